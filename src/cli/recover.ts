// `flotilla recover`: the majority is lost for good; the cluster begins again from the copy of this one peer.
import * as path from 'node:path'
import { type Command, Option } from 'commander'
import { humanDuration } from '../lib/duration.ts'
import type { CopyReport } from '../node/run-copy.ts'
import { confirmCluster, yesClusterOption } from './confirm.ts'
import { agentRuns, ask, askLong } from './control.ts'
import { dataDirOption } from './options.ts'
import { table } from './table.ts'

type Flags = { dataDir: string; yesCluster?: string; output: string; look?: true }

export function addRecoverCommand(program: Command): void {
  program
    .command('recover')
    .description('begin the cluster again from this peer’s copy, when the majority of its voters is lost for good')
    .addOption(dataDirOption())
    .option('--look', 'only show what this copy holds, to compare it with those of other peers')
    .addOption(
      new Option('-o, --output <format>', 'with --look: text or json').choices(['text', 'json']).default('text'),
    )
    .addOption(yesClusterOption())
    .addHelpText(
      'after',
      `
Run it with --look on every peer that is left and recover on the one with the latest term, then the highest index: writes that
only lost peers had are gone. The agent may run or be stopped. This peer becomes the only voter of a cluster with another ID;
name, certificates, tokens and Nodes stay. The other peers notice, keep their pods running, set their stores aside, and come
back by themselves; so do lost ones that return. Only a majority that is alive elsewhere, out of reach, cannot be told: if there
may be one, do not recover.

Example:
  flotilla recover --look
  flotilla recover
  flotilla recover --yes-cluster home`,
    )
    .action(recover)
}

async function recover(flags: Flags): Promise<void> {
  const dataDir = path.resolve(flags.dataDir)
  const isRunning = await agentRuns(dataDir)
  const report = isRunning ? await ask<CopyReport>(dataDir, 'GET', '/copy') : await stoppedCopy(dataDir)
  console.log(
    flags.look === true && flags.output === 'json' ? JSON.stringify(report, null, 2) : describe(report, Date.now()),
  )
  if (flags.look === true) return
  if (report.leader !== undefined) {
    throw new Error(
      'the cluster has a leader, so a majority of its voters is there and nothing needs to be recovered. To take a lost peer out: ' +
        '`flotilla remove <node>`',
    )
  }
  await confirmCluster(report.clusterName, flags.yesCluster)
  if (isRunning) {
    const { clusterName } = report
    console.log(await askLong<string>(dataDir, 'POST', '/recover', { clusterName }, line => console.error(line)))
    console.log('the cluster begins again here: `flotilla status` shows the others coming back')
    return
  }
  const { recoverHere } = await import('../node/run-copy.ts')
  const { record, log } = await openStopped(dataDir)
  const begun = await recoverHere(dataDir, record, report.peer, Date.now(), log)
  console.log(`begun again as ${begun.record.clusterId}, revision ${begun.copy.revision}`)
  console.log(`the old store is kept in ${begun.aside ?? 'no folder'}`)
  console.log('now start it: flotilla up. The other peers come back by themselves')
}

async function stoppedCopy(dataDir: string): Promise<CopyReport> {
  const { inspectCopy } = await import('../node/run-copy.ts')
  const { identityFile } = await import('../node/run-files.ts')
  const { readIdentity } = await import('../drivers/identity.ts')
  const { record, log } = await openStopped(dataDir)
  const identity = await readIdentity(identityFile(dataDir))
  if (identity === undefined)
    throw new Error(`${identityFile(dataDir)} is gone: restore a backup with \`flotilla restore\``)
  const report = await inspectCopy(dataDir, record, identity.peer, log)
  const { describeSuccession } = await import('../node/succession.ts')
  const { abandoned } = record
  return abandoned === undefined ? report : { ...report, abandoned: describeSuccession(abandoned.succession) }
}

async function openStopped(dataDir: string) {
  const { readCluster } = await import('../node/run-files.ts')
  const { realLog } = await import('../drivers/log.ts')
  const { externalWords } = await import('../node/datastore.ts')
  const record = await readCluster(dataDir)
  if (record === undefined) {
    throw new Error(
      `${dataDir} holds no cluster: name another --data-dir, or restore a backup with \`flotilla restore\``,
    )
  }
  if (record.datastore !== undefined) throw new Error(externalWords)
  return { record, log: realLog({ level: 'warn', format: 'text' }) }
}

/** Pure: what a person compares and decides by. */
export function describe(report: CopyReport, nowMs: number): string {
  const { term, index, revision, hash, keyCount, writtenMs } = report
  const lines = [
    `cluster ${report.clusterName} (${report.clusterId}), the copy of ${report.node} (${report.peer})`,
    `term ${term}, index ${index}, revision ${revision}, hash ${hash}${keyCount === undefined ? '' : `, ${keyCount} keys`}`,
    `last written ${writtenMs === 0 ? 'never' : `${humanDuration(nowMs - writtenMs)} ago, ${new Date(writtenMs).toISOString()}`}`,
    '',
    table(
      ['MEMBER', 'ROLE', 'NODE', 'PEER ID'],
      report.members.map(one => [one.member, one.role, one.node ?? '', one.peer ?? '']),
    ),
    '',
  ]
  if (report.abandoned !== undefined) {
    lines.push(`${report.abandoned}. To come back to that one, only start this peer; to recover here makes a third`, '')
  }
  return lines.join('\n')
}
