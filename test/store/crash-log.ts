// A log with a history, all that it promises written down, and what becomes of it when its files are cut, bent, lost, or
// left by a crash between any two writes. Every case ends in an outcome that is counted; one in which something
// acknowledged is gone and the log opens all the same throws.
import { utf8 } from '../../src/lib/bytes.ts'
import { crc32 } from '../../src/lib/crc32.ts'
import { type Entry, type HardState, memberId } from '../../src/raft/types.ts'
import { type Identity, type LogState, StoreDamage } from '../../src/store/log.ts'
import { type Append, openLog, type RunLog } from '../../src/store/run-log.ts'
import { scanLog } from '../../src/store/run-scan.ts'
import type { Space } from '../../src/store/run-space.ts'
import type { Disk } from '../../src/world/disk.ts'
import type { Log } from '../../src/world/log.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
export const identity: Identity = { cluster: 'c', member: memberId('me') }

export type Counts = Map<string, number>
export const counted = (counts: Counts, what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)
export const total = (counts: Counts) => [...counts.values()].reduce((a, b) => a + b, 0)
export function table(title: string, counts: Counts): string {
  const rows = [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, n]) => `${String(n).padStart(9)}  ${what}`)
  return `${title}: ${total(counts)} cases\n${rows.join('\n')}`
}

/** Small pieces and segments, so that a short history has many of them. */
export const openSmallLog = (disk: Disk, space?: Space) =>
  openLog(disk, identity, silent, { zeroBytesAhead: 1_024, segmentBytesMax: 8_192, ...(space && { space }) })

const droppedTo = 70
const command = (index: number, term: number): Entry => {
  // Some are of several sectors, so that a crash leaves some of them.
  const length = index % 40 === 7 ? 2_500 : 10 + ((index * 7) % 60)
  return { index, term, kind: 'command', command: utf8(`${index}/${term}`.padEnd(length, '.')) }
}
const member = (index: number, term: number, names: string[]): Entry => {
  const membership = { voters: names.map(memberId), learners: [], removed: [] }
  return { index, term, kind: 'membership', membership, context: utf8(names.join(' at ')) }
}

/** 200 entries in three terms, with a conflict, two changes of membership and a snapshot. */
function* history(): Generator<Append> {
  function* run(from: number, to: number, term: number): Generator<Append> {
    for (let index = from; index <= to; ) {
      const first = index
      const count = Math.min(to - index + 1, 1 + ((index * 5) % 4))
      yield { entries: Array.from({ length: count }, (_, i) => command(first + i, term)) }
      index += count
    }
  }
  yield { hard: { term: 1, vote: undefined }, entries: [member(1, 1, ['me'])] }
  yield* run(2, 50, 1)
  yield { entries: [member(51, 1, ['me', 'you'])] }
  yield* run(52, 60, 1)
  yield { hard: { term: 2, vote: memberId('you') }, entries: [] }
  yield { entries: [58, 59, 60, 61].map(index => command(index, 2)) }
  yield* run(62, 110, 2)
  yield { hard: { term: 3, vote: identity.member }, entries: [{ index: 111, term: 3, kind: 'empty' }] }
  yield { entries: [member(112, 3, ['me', 'you', 'they'])] }
  yield* run(113, 140, 3)
  yield { base: { index: 150, term: 3, generation: 1, keep: false }, entries: [command(151, 3)] }
  yield* run(152, 200, 3)
}

/** What the log must say after an append. */
export type Promised = {
  readonly hard: HardState
  readonly base: number
  readonly last: number
  readonly entries: ReadonlyMap<number, string>
}

const nothing: Promised = { hard: { term: 0, vote: undefined }, base: 0, last: 0, entries: new Map() }

function textOf(entry: Entry): string {
  const body =
    entry.kind === 'command' ? crc32(entry.command) : entry.kind === 'empty' ? '' : entry.membership.voters.join()
  return `${entry.term} ${entry.kind} ${body}`
}

function after(before: Promised, { hard, base, entries }: Append): Promised {
  const kept = new Map(base === undefined ? before.entries : [])
  const [first] = entries
  for (const index of [...kept.keys()]) if (first !== undefined && index >= first.index) kept.delete(index)
  for (const entry of entries) kept.set(entry.index, textOf(entry))
  const start = base?.index ?? before.base
  return { hard: hard ?? before.hard, base: start, last: Math.max(start, ...kept.keys()), entries: kept }
}

/** After so many appends: `promises[0]` is a blank log. */
export const promises: readonly Promised[] = (() => {
  const all = [nothing]
  for (const append of history()) all.push(after(all.at(-1) ?? nothing, append))
  return all
})()

/** `isShort`: the log may begin later than it should. */
function says({ hard, base, entries }: LogState, promised: Promised, isShort: boolean): boolean {
  if (hard.term !== promised.hard.term || hard.vote !== promised.hard.vote) return false
  const last = entries.at(-1)?.index ?? base.index
  if (last !== promised.last) return false
  if (!isShort && base.index > Math.max(promised.base, droppedTo)) return false
  return entries.every(entry => entry.index <= promised.base || promised.entries.get(entry.index) === textOf(entry))
}

/** Appends all of the history; `acknowledged` hears after each append how many there were. */
export async function live(log: RunLog, acknowledged: (count: number) => void): Promise<void> {
  let count = 0
  for (const append of history()) {
    await log.append(append)
    acknowledged(++count)
    if (count % 17 === 0) await log.mark()
    if (count === 60) void log.drop(droppedTo)
  }
}

export type Found =
  | { readonly kind: 'refused'; readonly found: string }
  /** The log is what it was after so many appends. */
  | { readonly kind: 'opened'; readonly appends: number; readonly isTorn: boolean; readonly isShort: boolean }

/** What a start finds, and repairs if it is one. Throws when it opens and is of no moment of its history. */
export async function start(disk: Disk, where: () => string, repairs: boolean): Promise<Found> {
  let state: LogState
  let isTorn: boolean
  try {
    if (repairs) {
      const opened = await openSmallLog(disk)
      await opened.log.close()
      state = opened.state
      isTorn = opened.found === 'torn'
    } else {
      const scan = await scanLog(disk, identity)
      state = scan.state
      isTorn = (scan.torn ?? scan.begun) !== undefined
    }
  } catch (error) {
    if (error instanceof StoreDamage) return { kind: 'refused', found: error.found }
    throw error
  }
  for (const isShort of [false, true]) {
    const appends = promises.findLastIndex(promised => says(state, promised, isShort))
    if (appends >= 0) return { kind: 'opened', appends, isTorn, isShort }
  }
  throw new Error(`${where()}: the log opens and is of no moment of its history`)
}

/** In words, where so many appends were acknowledged. Throws when something of them is gone and nobody says so. */
export async function outcomeOf(disk: Disk, acknowledged: number, where: () => string): Promise<string> {
  return outcome(await start(disk, where, false), acknowledged, where)
}

export function outcome(found: Found, acknowledged: number, where: () => string): string {
  if (found.kind === 'refused') return `refused: ${found.found}`
  if (found.appends < acknowledged) {
    throw new LostQuietly(`${where()}: ${acknowledged} appends were acknowledged, ${found.appends} are there`)
  }
  // Then the applied state reaches to its beginning, or the store refuses (restore.ts).
  if (found.isShort) return 'opened: begins later, which the applied state must explain'
  return `opened: ${found.isTorn ? 'a torn tail, cleared' : 'clean'}${found.appends > acknowledged ? ', with an append that was under way' : ''}`
}

export class LostQuietly extends Error {
  override readonly name = 'LostQuietly'
}
