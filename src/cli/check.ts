// `flotilla check`: is what lies on the disk what was written? For the data directory of a stopped peer, and for a backup.
import * as fs from 'node:fs'
import * as path from 'node:path'
import type { Command } from 'commander'
import type { CheckedFile, CheckReport } from '../store/run-check.ts'
import { describeHead } from './backup.ts'
import { agentRuns } from './control.ts'
import { defaultDataDir } from './options.ts'
import { inWords, progress } from './progress.ts'
import { table } from './table.ts'

export function addCheckCommand(program: Command): void {
  program
    .command('check [place]')
    .description('verify the data directory of a stopped peer, or a backup file, byte for byte; changes nothing')
    .addHelpText(
      'after',
      '\nEnds with code 0 when the peer would start from it, with 2 when it would refuse.\n\nExample:\n  flotilla check\n  flotilla check /mnt/usb/home.backup',
    )
    .action(async (place: string | undefined) => {
      const at = path.resolve(place ?? defaultDataDir())
      if (!fs.existsSync(at)) throw new Error(`${at} is not there: name a data directory or a backup`)
      process.exitCode = fs.statSync(at).isDirectory() ? await checkDataDir(at) : await checkBackup(at)
    })
}

async function checkBackup(file: string): Promise<number> {
  const { readBackup } = await import('../node/run-backup.ts')
  const { BackupError } = await import('../node/backup.ts')
  const { snapshotReader } = await import('../kv/snapshot.ts')
  const shown = progress('checking', fs.statSync(file).size)
  const reader = snapshotReader()
  try {
    const head = await readBackup(
      file,
      chunk => reader.push(chunk),
      bytes => shown.bytes(bytes),
    )
    shown.end()
    if (reader.finish() === undefined) throw new BackupError('this backup is whole, but the state in it is not')
    console.log(`${describeHead(head)}\nwhole: \`flotilla restore\` can begin from it`)
    return 0
  } catch (error) {
    if (!(error instanceof Error) || !['BackupError', 'SnapshotError'].includes(error.name)) throw error
    console.log(error.message)
    return 2
  }
}

async function checkDataDir(dataDir: string): Promise<number> {
  const { readCluster, storeDir } = await import('../node/run-files.ts')
  const { openDisk } = await import('../drivers/disk.ts')
  const { checkStore } = await import('../store/run-check.ts')
  const { memberId } = await import('../raft/types.ts')
  const { externalWords } = await import('../node/datastore.ts')
  if (await agentRuns(dataDir))
    throw new Error(`the agent runs with ${dataDir}: stop it first, or check a backup of it`)
  const record = await readCluster(dataDir)
  if (record === undefined)
    throw new Error(`${dataDir} holds no cluster: it is not a data directory, or cluster.json is gone`)
  if (record.datastore !== undefined) throw new Error(externalWords)
  const dir = storeDir(dataDir, record)
  if (!fs.existsSync(dir)) {
    console.log(`${dir} is gone: this member's store is lost. Started, it asks the other peers to be admitted again`)
    return 2
  }
  const identity = { cluster: record.clusterId, member: memberId(record.memberId) }
  const report = await checkStore(await openDisk(dir), identity)
  console.log(`${record.clusterName} (${record.clusterId}), node ${record.nodeName}, store ${dir}\n`)
  console.log(describe(report))
  if (record.abandoned !== undefined) {
    console.log(
      `\nthis cluster was abandoned: it goes on as ${record.abandoned.succession.to}, and this store never opens again`,
    )
  }
  return verdicts[report.outcome].starts ? 0 : 2
}

const verdicts: Readonly<Record<CheckReport['outcome'], { readonly starts: boolean; readonly words: string }>> = {
  new: { starts: true, words: 'nothing was ever written here' },
  unused: { starts: true, words: 'it was opened once, and nothing was acknowledged' },
  clean: { starts: true, words: 'clean' },
  torn: {
    starts: true,
    words: 'clean but for a last write that was cut short and that nobody was promised: a start clears it',
  },
  corrupt: { starts: false, words: 'DAMAGED: the disk gave back other bytes than were written' },
  missing: { starts: false, words: 'INCOMPLETE: something that was acknowledged is gone' },
  foreign: { starts: false, words: 'of another member or another cluster' },
}

/** Pure. */
export function describe(report: CheckReport): string {
  const row = ({ name, bytes, records, problem }: CheckedFile) => [
    name,
    inWords(bytes),
    String(records),
    problem ?? 'good',
  ]
  const { starts, words } = verdicts[report.outcome]
  const { term, index, revision, hash } = report
  const state = `term ${term}, index ${index}, revision ${revision}, hash ${(hash >>> 0).toString(16).padStart(8, '0')}`
  return [
    table(['FILE', 'SIZE', 'RECORDS', 'VERDICT'], report.files.map(row)),
    '',
    starts ? state : (report.why ?? ''),
    words,
    ...(starts
      ? []
      : [
          'Started, this peer asks the others to be admitted again as a new member; alone, it needs `flotilla restore`',
        ]),
  ].join('\n')
}
