// The log in memory: every entry since the last compaction, which of them have been handed to the shell for saving, and
// which are known to be on disk. Entries never change; a conflict replaces the tail (Raft paper, figure 2 and 5.3).
import { AssertionError, assert } from '../lib/assert.ts'
import type { Entry, Index, Term } from './types.ts'

export type RaftLog = {
  /** The last entry that is no longer here. */
  base: { readonly index: Index; readonly term: Term }
  /** `entries[i]` has index `base.index + 1 + i`. */
  entries: Entry[]
  /** The first index that has not been handed out for saving. Invariant: base.index < unsaved <= last + 1. */
  unsaved: Index
  /** Known to be on disk up to here. Invariant: durable < unsaved. */
  durable: Index
  /** The leader's term when handed-out entries were last replaced: see `markDurable`. */
  fence: Term
  /**
   * The piece that was last taken out. Followers in step get the same entries, and so does the disk: they get the same
   * array then, and whoever turns it into bytes does so once.
   */
  piece: Piece
}

export type Piece = { readonly entries: readonly Entry[]; readonly bytes: number }

const nothing: readonly Entry[] = []
const noPiece: Piece = { entries: nothing, bytes: 0 }

export function createLog(base: { index: Index; term: Term }, entries: readonly Entry[]): RaftLog {
  entries.forEach((entry, i) => {
    assert(entry.index === base.index + 1 + i, `the restored log has a gap before index ${entry.index}`)
  })
  const last = base.index + entries.length
  return {
    base: { index: base.index, term: base.term },
    entries: [...entries],
    unsaved: last + 1,
    durable: last,
    fence: 0,
    piece: noPiece,
  }
}

export function lastIndex(log: RaftLog): Index {
  return log.base.index + log.entries.length
}

export function lastTerm(log: RaftLog): Term {
  return log.entries[log.entries.length - 1]?.term ?? log.base.term
}

/** Undefined when the index is compacted away or not here yet. */
export function termAt(log: RaftLog, index: Index): Term | undefined {
  const { base, entries } = log
  const at = index - base.index - 1
  if (at >= 0 && at < entries.length) return entries[at]?.term
  return at === -1 ? base.term : undefined
}

/** The entries from `from` to `to`, both included; an empty list when `to < from`. */
export function between(log: RaftLog, from: Index, to: Index): readonly Entry[] {
  const { base, entries } = log
  if (from <= base.index) throw new AssertionError(`index ${from} is compacted, the log begins after ${base.index}`)
  const first = from - base.index - 1
  const count = Math.min(to, lastIndex(log)) - from + 1
  if (count <= 0) return nothing
  return isPiece(log, first, count) ? log.piece.entries : entries.slice(first, first + count)
}

function isPiece({ entries, piece }: RaftLog, first: number, count: number): boolean {
  return piece.entries.length === count && piece.entries[0] === entries[first]
}

/** Entries from `from` on that fit into `bytesMax`, but at least one where there is one; and their bytes. */
export function batchFrom(log: RaftLog, from: Index, bytesMax: number): Piece {
  const { entries, base } = log
  const first = from - base.index - 1
  const left = entries.length - first
  if (left <= 0) return noPiece
  if (isPiece(log, first, left) && log.piece.bytes <= bytesMax) return log.piece
  let end = first
  let bytes = 0
  for (; end < entries.length; end++) {
    const entry = entries[end]
    if (entry === undefined) break
    const more = entryBytes(entry)
    if (bytes + more > bytesMax && end > first) break
    bytes += more
  }
  if (!isPiece(log, first, end - first)) log.piece = { entries: entries.slice(first, end), bytes }
  return log.piece
}

/** The cost of an entry in messages and in memory: its bytes and a fixed part for its frame. */
export function entryBytes(entry: Entry): number {
  switch (entry.kind) {
    case 'empty':
      return 32
    case 'command':
      return 32 + entry.command.length
    case 'membership': {
      const { voters, learners, removed } = entry.membership
      return 32 + entry.context.length + 40 * (voters.length + learners.length + removed.length)
    }
  }
}

/** Of the entry at `index`; 0 where there is none. */
export function bytesAt({ base, entries }: RaftLog, index: Index): number {
  const entry = entries[index - base.index - 1]
  return entry === undefined ? 0 : entryBytes(entry)
}

/** Appends at the end; the caller has checked that it follows. */
export function append(log: RaftLog, entry: Entry): void {
  if (entry.index !== lastIndex(log) + 1) {
    throw new AssertionError(`index ${entry.index} does not follow ${lastIndex(log)}`)
  }
  if (entry.term < lastTerm(log)) {
    throw new AssertionError(`term ${entry.term} follows the later term ${lastTerm(log)}`)
  }
  log.entries.push(entry)
}

/** Appends a whole list, which is what the disk gets too where nothing else waits for it. */
export function appendAll(log: RaftLog, entries: readonly Entry[]): void {
  let bytes = 0
  for (const entry of entries) {
    append(log, entry)
    bytes += entryBytes(entry)
  }
  log.piece = { entries, bytes }
}

/** Drops everything from `index` on, because the log of the leader of `term` says otherwise. */
export function truncateFrom(log: RaftLog, index: Index, term: Term): void {
  assert(index > log.base.index, `cannot truncate at ${index}, compacted up to ${log.base.index}`)
  if (index < log.unsaved) log.fence = term
  log.entries.length = Math.min(log.entries.length, index - log.base.index - 1)
  log.unsaved = Math.min(log.unsaved, index)
  log.durable = Math.min(log.durable, index - 1)
  log.piece = noPiece
}

/** Drops the head up to `index`, which a snapshot or the applied state covers. */
export function compact(log: RaftLog, index: Index): void {
  if (index <= log.base.index) return
  const term = termAt(log, index)
  assert(term !== undefined, `cannot compact at ${index}, the log ends at ${lastIndex(log)}`)
  assert(index < log.unsaved, `cannot compact at ${index}, saved up to ${log.unsaved - 1}`)
  log.entries.splice(0, index - log.base.index)
  log.base = { index, term }
  log.durable = Math.max(log.durable, index)
  log.piece = noPiece
}

/** Starts over after an installed snapshot; `term` is the current one. */
export function reset(log: RaftLog, base: { index: Index; term: Term }, term: Term): void {
  log.fence = term
  log.base = { index: base.index, term: base.term }
  log.entries = []
  log.unsaved = base.index + 1
  log.durable = base.index
  log.piece = noPiece
}

/** The entries that no step has handed out yet; they count as handed out afterwards. */
export function takeUnsaved(log: RaftLog): readonly Entry[] {
  const end = lastIndex(log) + 1
  if (log.unsaved === end) return nothing
  const taken = between(log, log.unsaved, end - 1)
  log.unsaved = end
  return taken
}

/**
 * The shell has saved up to `index`, where the entry was of `term`. If that entry has been replaced since, the news is
 * about a log that is no longer ours and is ignored. An entry may also have been replaced and come back, while the news
 * of its first save was under way and the save that replaces it still is (etcd-io/raft,
 * async_storage_writes_append_aba_race). So after entries were replaced only those count that the leader who did it, or
 * a later one, has made: these come once.
 */
export function markDurable(log: RaftLog, index: Index, term: Term): void {
  if (index <= log.durable || index >= log.unsaved || term < log.fence || termAt(log, index) !== term) return
  log.durable = index
}

/** The largest index up to `from` whose term is not later than `term`: where two logs may still agree. */
export function lastNotAfterTerm(log: RaftLog, from: Index, term: Term): Index | undefined {
  for (let index = Math.min(from, lastIndex(log)); index >= log.base.index; index--) {
    const here = termAt(log, index)
    if (here !== undefined && here <= term) return index
  }
  return undefined
}
