// Sweeps over what may become of the files of a log: each byte cut, each bit bent, each operation failed, each moment
// crashed. `share` says how much of it is tried: 1 is all, 0.1 about a tenth, drawn. Each gives its cases by outcome and
// throws at the first that ends in none.
import { type Prng, prng } from '../../src/lib/prng.ts'
import type { Entry } from '../../src/raft/types.ts'
import type { Space } from '../../src/store/run-space.ts'
import { type Counts, counted, live, openSmallLog, outcome, outcomeOf, promises, start } from './crash-log.ts'
import {
  type Change,
  type Content,
  carryOut,
  changed,
  type Failure,
  type File,
  memoryDisk,
  type Operation,
  sectors,
} from './disk.ts'

type Files = ReadonlyMap<string, Uint8Array>

const all = promises.length - 1

/** The files of a log after the whole history: with a watermark at its end, or with one that the last append is past. */
export async function filesAtRest(isMarked: boolean): Promise<Files> {
  const disk = memoryDisk()
  const { log } = await openSmallLog(disk)
  await log.begin()
  await live(log, () => {})
  if (isMarked) await log.mark()
  await log.close()
  return disk.content().files
}

function withFile(files: Files, name: string, bytes: Uint8Array | undefined) {
  const next = new Map(files)
  if (bytes === undefined) next.delete(name)
  else next.set(name, bytes)
  return memoryDisk(undefined, { files: next, maps: new Map() })
}

/** Every file gone, and cut at every byte. */
export async function cutEverywhere(files: Files, share: number): Promise<Counts> {
  const counts: Counts = new Map()
  const random = prng(1)
  for (const [name, bytes] of files) {
    counted(counts, await outcomeOf(withFile(files, name, undefined), all, () => `without ${name}`))
    for (let length = 0; length < bytes.length; length++) {
      if (!random.chance(share)) continue
      const disk = withFile(files, name, bytes.subarray(0, length))
      counted(counts, await outcomeOf(disk, all, () => `${name} cut at ${length}`))
    }
  }
  return counts
}

/** Every bit of every file bent; of the zeros that were never written to, a part. */
export async function bendEverywhere(files: Files, share: number): Promise<Counts> {
  const counts: Counts = new Map()
  const random = prng(2)
  for (const [name, bytes] of files) {
    const disk = withFile(files, name, bytes)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const here = bytes[bit >> 3] ?? 0
      if (!random.chance(here === 0 ? share / 16 : share)) continue
      const bent = bytes.slice()
      bent[bit >> 3] = here ^ (1 << (bit & 7))
      disk.files.set(name, { durable: bent, now: bent, pending: [] })
      counted(counts, await outcomeOf(disk, all, () => `${name} bent at bit ${bit}`))
    }
  }
  return counts
}

/**
 * The last append was acknowledged and the watermark is not past it yet. What log.ts says cannot be proved is counted
 * apart: the last append, and only it, lost in its place.
 */
export async function harmBeforeTheMark(files: Files, share: number): Promise<Counts> {
  const counts: Counts = new Map()
  const random = prng(5)
  const found = [...files].filter(([name, bytes]) => name.startsWith('log/') && bytes.some(byte => byte !== 0)).at(-1)
  if (found === undefined) throw new Error('there is a last segment')
  const [name, bytes] = found
  const end = bytes.findLastIndex(byte => byte !== 0) + 1
  const tryOne = async (what: 'cut' | 'bent', bent: Uint8Array, where: string) => {
    if (!random.chance(share)) return
    const result = await start(withFile(files, name, bent), () => where, false)
    const isGap = result.kind === 'opened' && result.appends === all - 1
    const gap = 'the stated gap: the last append is gone, and nobody can tell'
    counted(counts, `${what}: ${isGap ? gap : outcome(result, all, () => where)}`)
  }
  for (let length = 0; length < bytes.length; length++)
    await tryOne('cut', bytes.subarray(0, length), `cut at ${length}`)
  for (let bit = Math.max(0, end - 400) * 8; bit < end * 8; bit++) {
    const bent = bytes.slice()
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await tryOne('bent', bent, `bent at bit ${bit}`)
  }
  return counts
}

/** The history again and again, with one operation that fails, alone or as the first of many; then a crash. */
export async function failEverywhere(share: number): Promise<Counts> {
  const counts: Counts = new Map()
  const random = prng(3)
  const whole = memoryDisk()
  await openSmallLog(whole).then(({ log }) => live(log, () => {}))
  for (let at = 0; at <= whole.operationCount; at++) {
    for (const how of ['EIO', 'FULL'] as const) {
      for (const once of [true, false]) {
        for (const isQuick of [true, false]) {
          if (random.chance(share)) counted(counts, await failAt(at, how, once, isQuick, random))
        }
      }
    }
  }
  return counts
}

async function failAt(at: number, how: Failure, once: boolean, isQuick: boolean, random: Prng): Promise<string> {
  const where = () => `${how} at operation ${at}${once ? '' : ' and after it'}, ${isQuick ? 'quick' : 'slow'}`
  const disk = memoryDisk()
  disk.isQuick = isQuick
  disk.failAfter(at, how, once)
  let acknowledged = 0
  // A full disk that gets room when it is asked for.
  const space = { full: async () => once, untilRoom: (error: unknown) => Promise.reject(error) } as unknown as Space
  const ended = await openSmallLog(disk, space)
    .then(async ({ log }) => await live(log, count => (acknowledged = count)))
    .then(
      () => 'went on',
      error => (error instanceof Error && 'code' in error ? `ended by ${String(error.code)}` : Promise.reject(error)),
    )
  if (how === 'FULL' && once && ended !== 'went on') throw new Error(`${where()}: a full disk with room again ended it`)
  const left = disk.crash(random)
  const found = await start(left, where, true)
  if (found.kind === 'refused') throw new Error(`${where()}: what is left is refused as ${found.found}`)
  return `${how === 'EIO' ? 'EIO' : once ? 'full, with room again' : 'full'}: ${ended}; next start ${outcome(found, acknowledged, where)}`
}

/**
 * A crash after each operation of the history, in each way it may leave what was not synced, up to `capCount` ways.
 * `bug`: to see that the sweep sees it.
 */
export async function crashEverywhere(
  capCount: number,
  isQuick: boolean,
  bug?: 'a sync does nothing' | 'an append is acknowledged when it begins',
): Promise<Counts> {
  const counts: Counts = new Map()
  const random = prng(4)
  const disk = memoryDisk()
  disk.isQuick = isQuick
  const trace: Operation[] = []
  disk.trace = trace
  const { log } = await openSmallLog(disk)
  await log.begin()
  await live(log, count => trace.push({ kind: 'note', note: count }))
  await log.close()

  const now = { files: new Map<string, File>(), maps: new Map() }
  let acknowledged = 0
  for (const [i, operation] of trace.entries()) {
    const isEarly = bug === 'an append is acknowledged when it begins'
    if (operation.kind === 'note') acknowledged = Number(operation.note) + (isEarly ? 1 : 0)
    else if (bug !== 'a sync does nothing' || operation.kind !== 'sync') carryOut(now, operation)
    if (operation.kind === 'note') continue
    for (const content of remains(now.files, capCount, random)) {
      await crashOnce(content, acknowledged, () => `crash after operation ${i}`, random, counts)
    }
  }
  return counts
}

async function crashOnce(content: Content, acknowledged: number, where: () => string, random: Prng, counts: Counts) {
  const disk = memoryDisk(undefined, content)
  disk.trace = []
  const found = await start(disk, where, true)
  if (found.kind === 'refused') throw new Error(`${where()}: a crash is refused as ${found.found}`)
  counted(counts, outcome(found, acknowledged, where))

  const again = await start(disk.copy(), where, true)
  const isSame = again.kind === 'opened' && again.appends === found.appends && !again.isTorn
  if (!isSame) throw new Error(`${where()}: to recover twice is not to recover once`)
  counted(counts, 'recovered twice: the same')

  const during = { files: filesOf(content), maps: new Map() }
  for (const operation of disk.trace ?? []) {
    carryOut(during, operation)
    const [left] = remains(during.files, 1, random)
    if (left === undefined) continue
    const second = await start(memoryDisk(undefined, left), where, true)
    const isKept = second.kind === 'opened' && second.appends === found.appends
    if (!isKept) throw new Error(`${where()}: a crash while it recovered changed what it recovers`)
    counted(counts, 'crashed while it recovered: the same')
  }
  if (random.chance(0.05)) await goOn(disk.copy(), where, counts)
}

/** What was recovered is a log like any other: it takes an append and gives it back. */
async function goOn(disk: ReturnType<typeof memoryDisk>, where: () => string, counts: Counts): Promise<void> {
  const { log, state } = await openSmallLog(disk)
  const index = (state.entries.at(-1)?.index ?? state.base.index) + 1
  const next: Entry = { index, term: state.hard.term + 1, kind: 'empty' }
  await log.append({ hard: { term: next.term, vote: undefined }, entries: [next] })
  const after = await openSmallLog(disk.crash(prng(1)))
  if (after.state.entries.at(-1)?.index !== index) throw new Error(`${where()}: an append after it is gone`)
  counted(counts, 'went on after it')
}

const filesOf = ({ files }: Content): Map<string, File> =>
  new Map([...files].map(([name, bytes]) => [name, { durable: bytes, now: bytes, pending: [] }]))

/**
 * What a crash may leave: of what was not synced each sector or not, in any order; all ways when they are few, else none,
 * all, and some that are drawn. Also two in which what is left is torn within its sectors.
 */
function remains(files: ReadonlyMap<string, File>, capCount: number, random: Prng): Content[] {
  const parts = [...files].flatMap(([name, file]) => file.pending.flatMap(sectors).map(change => ({ name, change })))
  const withParts = (isKept: (i: number) => boolean, isTorn = false): Content => {
    const left = new Map([...files].map(([name, file]) => [name, file.durable]))
    for (const [i, { name, change }] of parts.entries()) {
      if (isKept(i))
        left.set(name, changed(left.get(name) ?? new Uint8Array(0), isTorn ? torn(change, random) : change))
    }
    return { files: left, maps: new Map() }
  }
  const draw = (isTorn: boolean) => withParts(() => random.chance(0.5), isTorn)
  if (capCount === 1) return [draw(false)]
  const tornOnes = parts.length === 0 ? [] : [draw(true), draw(true)]
  if (2 ** parts.length > capCount) {
    const drawn = Array.from({ length: capCount - 2 }, () => draw(false))
    return [withParts(() => false), withParts(() => true), ...drawn, ...tornOnes]
  }
  const every = Array.from({ length: 2 ** parts.length }, (_, bits) => withParts(i => ((bits >> i) & 1) === 1))
  return [...every, ...tornOnes]
}

const torn = (change: Change, random: Prng): Change =>
  change.kind === 'write'
    ? { ...change, bytes: change.bytes.subarray(0, random.below(change.bytes.length + 1)) }
    : change
