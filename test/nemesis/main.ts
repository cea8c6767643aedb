// `npm run nemesis`: five real processes, each on a host of its own, under load, while everything breaks in turn; then all is
// mended, and what clients and watchers saw is checked. The last line is JSON; the exit code is 0 when nothing was wrong and
// the run was worth something.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { prng } from '../../src/lib/prng.ts'
import { formatOperation, type Operation } from '../check/history.ts'
import { clockFaults, compileShim, writeClock } from './clock-faults.ts'
import { Cluster, Compactor } from './cluster.ts'
import { now, sleep } from './command.ts'
import { diskFaults, mountSmallDisk, smallDiskIndex } from './disk-faults.ts'
import { cut, lose, makeLab } from './lab.ts'
import { Load, perform, type Recorder } from './load.ts'
import { Member } from './member.ts'
import { membershipFaults } from './membership-faults.ts'
import type { Effect, Nemesis } from './nemesis.ts'
import { networkFaults } from './network-faults.ts'
import { processFaults } from './process-faults.ts'
import { memberCount, systems } from './systems.ts'
import { type Check, checkRun, percentile } from './verdict.ts'
import { Watching } from './watching.ts'

const all: readonly Nemesis[] = [...processFaults, ...networkFaults, ...diskFaults, ...clockFaults, ...membershipFaults]

const help = `Breaks a cluster of five real processes in every way there is, and checks what clients saw. Needs root on Linux.

  npm run nemesis -- --minutes 5                   all nemeses against our own members
  npm run nemesis -- --system etcd                 the control: etcd has to come out clean
  npm run nemesis -- --system etcd --lie           the control of the control: stale reads, which have to be found
  npm run nemesis -- --minutes 1 --only ring,bridge

Options:
  --minutes N    how long things break, in all (default 5)
  --system S     ${Object.keys(systems).join(' or ')} (default flotilla)
  --only A,B     only these of: ${all.map(({ name }) => name.replaceAll(',', '')).join(', ')}
  --rate N       operations per second that the clients aim at (default 650)
  --seed N       what chance is drawn from; the processes have their own (default: the time)
  --dir D        where the data lie, a real disk (default: the system's temporary folder)
  --lie          clients ask for serializable reads and record them as linearizable
  --keep         the folder with data, logs and histories stays, as it does after a failure`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    system: { type: 'string', default: 'flotilla' },
    only: { type: 'string' },
    rate: { type: 'string', default: '650' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    dir: { type: 'string', default: tmpdir() },
    lie: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const insideMark = 'FLOTILLA_NEMESIS_INSIDE'
const rateMin = 500
const ambiguousShareMax = 0.2
const resumeP99MsMax = 3_000
const warmUpMs = 3_000
const cleanMs = 5_000
/** A busy machine takes its time; this is not what is measured. */
const startMs = 180_000
const healMs = 30_000
const tombstoneMs = 10_000
const tmpfsType = 0x01021994

type Slice = {
  readonly nemesis: Nemesis
  /** By `now`, mending included. */
  readonly start: number
  readonly end: number
  readonly effect: Effect
}

/** Runs this again in network, mount and PID namespaces of its own, which take everything away with them. */
function runInside(): number {
  if (process.getuid?.() !== 0) {
    console.error('The nemesis makes network namespaces: run it as root.')
    return 2
  }
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  // A shell, because the first process of a PID namespace has to take in orphans.
  const command = ['sh', '-c', '"$@" & wait $!', 'sh', process.execPath, import.meta.filename, ...process.argv.slice(2)]
  const { status } = spawnSync('unshare', [...namespaces, ...command], {
    env: { ...process.env, [insideMark]: '1' },
    stdio: 'inherit',
  })
  return status ?? 1
}

async function main(): Promise<number> {
  const system = systems[values.system]?.()
  const seed = natural(values.seed, 'seed')
  if (system === undefined) return complain(`--system must be ${Object.keys(systems).join(' or ')}`)
  const missing = system.missing()
  if (missing !== undefined) return complain(missing)
  if (statfsSync(values.dir).type === tmpfsType)
    return complain(`${values.dir} is in memory: give a folder on a real disk with --dir`)
  const dir = mkdtempSync(join(values.dir, 'flotilla-nemesis-'))
  console.log(`${system.name}, seed ${seed}, in ${dir}`)

  await makeLab(memberCount)
  await compileShim(dir)
  const members = Array.from({ length: memberCount }, (_, i) => new Member(system, i, join(dir, `m${i}`)))
  const cluster = new Cluster(system, members)
  for (const member of members) {
    await mkdir(member.dir, { recursive: true })
    writeClock(member, 0)
    if (member.index === smallDiskIndex) await mountSmallDisk(member.dataDir)
    await member.start()
  }
  const sick = await cluster.heal(startMs)
  if (sick !== undefined) return complain(`the cluster did not come up: ${sick}\n${members[0]?.lastLines(20)}`)

  const load = new Load(members, { seed, rate: natural(values.rate, 'rate'), asksForStaleReads: values.lie })
  const { recorder } = load
  const first = await perform(recorder, 200, firstOf(members).channel, 'm0#1', { kind: 'range', prefix: '' })
  if (
    first.outcome.kind !== 'done' ||
    first.outcome.response.kind !== 'items' ||
    first.outcome.response.items.length > 0
  )
    return complain('the store is not empty')
  const start = { revision: first.outcome.response.revision, items: [] }
  const watching = new Watching(members, recorder, system.hasBookmarks, seed, start.revision + 1)
  watching.start()
  load.start()
  await sleep(warmUpMs)
  const cleanRate = await measureClean(recorder, members)
  const compactor = new Compactor(members, recorder)
  compactor.start(seed, () => watching.newest)

  const resumedMs: number[] = []
  const slices = await breakThings(cluster, load, dir, seed, resumedMs)

  watching.stopVisitors()
  await load.stop()
  await compactor.stop()
  const failures: string[] = []
  const unhealed = await cluster.heal(healMs)
  if (unhealed !== undefined) failures.push(`the cluster did not heal: ${unhealed}`)
  const tombstone = await cluster.tombstone(recorder, tombstoneMs)
  if (tombstone === undefined) failures.push(`no write succeeded within ${tombstoneMs} ms after all was mended`)
  else {
    if (!(await watching.untilAllReached(tombstone, 15_000))) failures.push('watchers were not shown the last write')
    const hashes = await cluster.hashes(tombstone, 15_000)
    if (new Set(hashes.map(({ hash }) => hash)).size !== 1)
      failures.push(`the members differ: ${hashes.map(({ member, hash }) => `${member} ${hash}`).join(', ')}`)
    else console.log(`all members have hash ${hashes[0]?.hash} at revision ${tombstone}`)
  }
  await watching.stop()
  for (const member of members) await member.kill()
  for (const member of members) failures.push(...member.unexpected)

  const history = recorder.operations.toSorted((a, b) => a.call - b.call)
  console.log(`checking ${history.length} operations and ${watching.sessions.length} watches`)
  const checks = checkRun(history, watching.sessions, start, tombstone, system)
  const summary = report(slices, checks, failures, { history, unanswered: recorder.unanswered, cleanRate, resumedMs })
  if (summary.isClean && !values.keep) {
    // What is mounted in it is in the way.
    spawnSync('umount', [join(dir, `m${smallDiskIndex}`, 'data')])
    rmSync(dir, { recursive: true, force: true })
  } else await keep(dir, history, watching.sessions)
  console.log(JSON.stringify(summary.line))
  return summary.isClean ? 0 : 1
}

/** Operations per second while nothing is broken; says what they cost, since a busy machine is why there may be too few. */
async function measureClean(recorder: Recorder, members: readonly Member[]): Promise<number> {
  const seen = { operations: recorder.operations.length, harnessMs: harnessCpuMs(), membersMs: membersCpuMs(members) }
  await sleep(cleanMs)
  const count = recorder.operations.length - seen.operations
  const each = (ms: number) => (ms / Math.max(1, count)).toFixed(2)
  const costs = `CPU per operation: members ${each(membersCpuMs(members) - seen.membersMs)} ms, harness ${each(harnessCpuMs() - seen.harnessMs)} ms`
  const rate = count / (cleanMs / 1000)
  console.log(`before the first fault: ${Math.round(rate)} operations per second; ${costs}`)
  return rate
}

function harnessCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const membersCpuMs = (members: readonly Member[]) => members.reduce((sum, member) => sum + member.cpuMs(), 0)

function firstOf(members: readonly Member[]): Member {
  const [first] = members
  if (first === undefined) throw new Error('there are no members')
  return first
}

async function breakThings(
  cluster: Cluster,
  load: Load,
  dir: string,
  seed: number,
  resumedMs: number[],
): Promise<readonly Slice[]> {
  const wanted = values.only?.split(',').map(name => name.trim())
  const isWanted = ({ name }: Nemesis) => wanted === undefined || wanted.includes(name.replaceAll(',', ''))
  const chosen = all.filter(nemesis => {
    if (!isWanted(nemesis)) return false
    const missing = nemesis.missing?.(cluster)
    if (missing !== undefined) console.log(`skipped: ${nemesis.name}: ${missing}`)
    return missing === undefined
  })
  const weights = chosen.reduce((sum, { weight }) => sum + weight, 0)
  const slices: Slice[] = []
  for (const [i, nemesis] of chosen.entries()) {
    const start = now()
    const untilMs = performance.now() + (Number(values.minutes) * 60_000 * nemesis.weight) / weights
    const random = prng(seed * 100 + i)
    const { recorder } = load
    const ran = nemesis.run({ cluster, recorder, random, dir, untilMs, resumedMs })
    const effect = await ran.catch(
      (error: unknown): Effect => ({ faults: 0, wrong: [`it broke off: ${String(error)}`] }),
    )
    await cut([])
    await lose(0)
    const sick = await cluster.heal(healMs)
    const wrong = [
      ...(effect.wrong ?? []),
      ...(sick === undefined ? [] : [`not well ${healMs} ms after it was mended: ${sick}`]),
    ]
    slices.push({ nemesis, start, end: now(), effect: { ...effect, wrong } })
    console.log(`${nemesis.name}: ${effect.faults} faults${effect.note === undefined ? '' : `; ${effect.note}`}`)
  }
  return slices
}

type Numbers = {
  readonly history: readonly Operation[]
  readonly unanswered: readonly { readonly call: number }[]
  readonly cleanRate: number
  readonly resumedMs: readonly number[]
}

function report(slices: readonly Slice[], checks: readonly Check[], failures: readonly string[], numbers: Numbers) {
  const { history, unanswered, cleanRate, resumedMs } = numbers
  const worthless: string[] = []
  if (cleanRate < rateMin) worthless.push(`${Math.round(cleanRate)} operations per second, ${rateMin} are needed`)
  const nemeses: Record<string, { operations: number; ambiguousShare: number; faults: number; wrong: number }> = {}
  console.log()
  for (const { nemesis, start, end, effect } of slices) {
    const isIn = ({ call }: { call: number }) => call >= start && call < end
    const own = history.filter(isIn)
    const ambiguous = own.filter(({ outcome }) => outcome.kind === 'ambiguous').length
    const operations = own.length + unanswered.filter(isIn).length
    const ambiguousShare = Math.round((ambiguous / Math.max(1, operations)) * 1000) / 1000
    const wrong = effect.wrong ?? []
    nemeses[nemesis.name] = { operations, ambiguousShare, faults: effect.faults, wrong: wrong.length }
    if (effect.faults === 0) worthless.push(`${nemesis.name}: no fault took effect`)
    if (ambiguousShare > ambiguousShareMax) worthless.push(`${nemesis.name}: too much of it is ambiguous`)
    failures = [...failures, ...wrong.map(what => `${nemesis.name}: ${what}`)]
    console.log(
      `${nemesis.name}: ${operations} operations in ${Math.round((end - start) / 1e6)} s, ${(ambiguousShare * 100).toFixed(1)} % ambiguous, ${effect.faults} faults`,
    )
  }
  const resumeP99Ms = percentile(resumedMs, 0.99)
  if (resumeP99Ms !== undefined) {
    const median = percentile(resumedMs, 0.5) ?? 0
    console.log(
      `writes after a leader was killed: ${resumedMs.length} times, median ${Math.round(median)} ms, p99 ${Math.round(resumeP99Ms)} ms`,
    )
    if (resumeP99Ms > resumeP99MsMax)
      failures = [...failures, `writes resumed only after ${Math.round(resumeP99Ms)} ms`]
  }
  for (const { name, kind, checked, details } of checks) {
    console.log(`${name}: ${kind}, ${checked} checked`)
    for (const detail of details) console.log(`  ${detail.replaceAll('\n', '\n  ')}`)
  }
  for (const failure of failures) console.log(`WRONG: ${failure}`)
  for (const why of worthless) console.log(`WORTH NOTHING: ${why}`)
  const decided = checks.every(({ kind }) => kind !== 'unknown')
  const anomalies = checks.reduce((sum, one) => sum + one.anomalies, 0) + failures.length
  const isClean = decided && anomalies === 0 && worthless.length === 0
  const checkKinds = Object.fromEntries(checks.map(({ name, kind }) => [name, kind]))
  const line = {
    nemesis: values.system,
    anomalies,
    decided,
    resumeP99Ms: resumeP99Ms === undefined ? null : Math.round(resumeP99Ms),
    operations: history.length,
    ratePerSecond: Math.round(cleanRate),
    checks: checkKinds,
    nemeses,
    worthless,
  }
  return { isClean, line }
}

async function keep(dir: string, history: readonly Operation[], sessions: readonly unknown[]): Promise<void> {
  const write = async (name: string, lines: Iterable<string>) => {
    const out = createWriteStream(join(dir, name))
    for (const line of lines) if (!out.write(`${line}\n`)) await once(out, 'drain')
    out.end()
    await finished(out)
  }
  await write('history.jsonl', history.values().map(formatOperation))
  await write(
    'watches.jsonl',
    sessions.values().map(session => JSON.stringify(session)),
  )
  console.log(`kept: ${dir} with history.jsonl, watches.jsonl, and a log of each member`)
}

function natural(text: string, name: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new Error(`--${name} must be a whole number above 0, not ${text}`)
}

function complain(message: string): number {
  console.error(message)
  return 2
}

if (values.help) console.log(help)
else if (process.env[insideMark] === undefined) process.exitCode = runInside()
else process.exit(await main())
