// `flotilla backup`: all of the cluster's objects in one file, made while it runs; the schedule; what there is.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { humanDuration } from '../lib/duration.ts'
import { type BackupHead, backupName, durationMs, type Schedule, scheduleData } from '../node/backup.ts'
import type { BackupInfo } from '../node/run-backup.ts'
import { timeStamp } from '../node/run-files.ts'
import { ask, askLong, download } from './control.ts'
import { dataDirOption } from './options.ts'
import { inWords, progress } from './progress.ts'
import { table } from './table.ts'

export function addBackupCommand(program: Command): void {
  const backup = program
    .command('backup [file]')
    .description("write all of the cluster's objects into one file, while it runs; volumes are not in it")
    // What stands behind a subcommand is the subcommand's.
    .enablePositionalOptions()
    .addOption(dataDirOption())
    .option('--to <node...>', 'keep it on these peers, in their backups folder, instead of in a file here')
    .addHelpText(
      'after',
      `
The file holds every Secret and the key of the certificate authority: whoever reads it owns the cluster. It is made for this
user alone. Without a name it is called after the cluster, the time, and the revision.

Example:
  flotilla backup /mnt/usb/home.backup
  flotilla backup --to nas pi2
  flotilla backup schedule --every 12h --keep 5
  flotilla backup list`,
    )
    .action(async (file: string | undefined, options: { dataDir: string; to?: string[] }) => {
      if (options.to !== undefined) {
        if (file !== undefined) throw new Error('say either a file or --to, not both')
        const say = (line: string) => console.error(line)
        await askLong(options.dataDir, 'POST', '/backup', { to: options.to }, say)
        console.log(`kept on this peer and on ${options.to.join(', ')}`)
        return
      }
      await writeFile(options.dataDir, file)
    })
  backup
    .command('schedule')
    .description('make backups on a schedule; the peer that leads makes them and copies them to others')
    .addOption(dataDirOption())
    .option('--every <time>', 'how often: 12h, 1d, 30m', duration)
    .option('--off', 'make none')
    .option('--keep <count>', 'how many of them each peer keeps', count)
    .option('--to <node...>', 'which peers keep a copy; any: two that are there')
    .addHelpText(
      'after',
      '\nWithout options it says what holds. None is made when nothing has changed.\n\nExample:\n  flotilla backup schedule --every 12h --keep 5\n  flotilla backup schedule --to nas pi2\n  flotilla backup schedule --off',
    )
    .action(schedule)
  backup
    .command('list')
    .description('the backups that the peers keep, the newest first')
    .addOption(dataDirOption())
    .addHelpText('after', '\nExample:\n  flotilla backup list')
    .action(async (options: { dataDir: string }) => {
      const found = await ask<readonly BackupInfo[]>(options.dataDir, 'GET', '/backups')
      console.log(listed(found, Date.now()))
    })
}

async function writeFile(dataDir: string, wanted: string | undefined): Promise<void> {
  // Heavy modules are loaded when they are needed.
  const { writeBackup } = await import('../node/run-backup.ts')
  const shown = progress('backup')
  // The name is known when the head has come; until then the file has a name of its own.
  const file = path.resolve(wanted ?? `flotilla-${process.pid}.backup`)
  const head = await writeBackup(file, await download(dataDir, '/backup'), bytes => shown.bytes(bytes))
  shown.end()
  const named = wanted === undefined ? path.resolve(backupName(head, timeStamp(head.atMs))) : file
  if (named !== file) await fs.rename(file, named)
  console.log(describeHead(head))
  if (!head.newest) console.error('no leader confirmed it: other peers may know more than this file')
  console.log(named)
}

/** One line for people. */
export function describeHead(head: BackupHead): string {
  const at = new Date(head.atMs).toISOString()
  return `${head.clusterName} (${head.clusterId}) as of revision ${head.revision}, made on ${head.node} at ${at}`
}

type ScheduleFlags = { dataDir: string; every?: number; off?: true; keep?: number; to?: string[] }

async function schedule(flags: ScheduleFlags): Promise<void> {
  const before = await ask<Schedule>(flags.dataDir, 'GET', '/backup-schedule')
  const to = flags.to === undefined ? before.to : flags.to.join() === 'any' ? undefined : flags.to
  const everyMs = flags.off === true ? 0 : (flags.every ?? before.everyMs)
  const wanted: Schedule = { everyMs, keep: flags.keep ?? before.keep, ...(to !== undefined && { to }) }
  const isQuestion = [flags.every, flags.off, flags.keep, flags.to].every(one => one === undefined)
  if (!isQuestion) await ask(flags.dataDir, 'POST', '/backup-schedule', wanted)
  console.log(inForce(wanted))
}

/** Pure. */
export function inForce(schedule: Schedule): string {
  if (schedule.everyMs <= 0) return 'no backups are made on a schedule'
  const where = schedule.to === undefined ? 'two other peers that are there' : schedule.to.join(', ')
  return `a backup every ${scheduleData(schedule)['backup-every']}; the newest ${schedule.keep} are kept, with copies on ${where}`
}

/** Pure: one row per backup, with all the peers that have it. */
export function listed(found: readonly BackupInfo[], nowMs: number): string {
  if (found.length === 0) return 'no peer that answers keeps a backup: make one with `flotilla backup`'
  const byName = Map.groupBy(found, ({ name }) => name)
  const rows = [...byName]
    .flatMap(([name, copies]) => {
      const [first] = copies
      if (first === undefined) return []
      const nodes = copies.map(({ node }) => node).sort()
      return [{ name, first, nodes }]
    })
    .sort((a, b) => b.first.atMs - a.first.atMs)
    .map(({ name, first, nodes }) => [
      name,
      humanDuration(nowMs - first.atMs),
      String(first.revision),
      inWords(first.bytes),
      nodes.join(','),
    ])
  return table(['FILE', 'AGE', 'REVISION', 'SIZE', 'ON'], rows)
}

function duration(words: string): number {
  const ms = durationMs(words)
  if (ms === undefined || ms < 60_000)
    throw new InvalidArgumentError('say a time of at least a minute, for example 12h')
  return ms
}

function count(words: string): number {
  const value = Number(words)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('say a whole number from 1 on')
  return value
}
