// The log in memory: every entry since the last compaction, which of them have been handed to the shell for saving, and
// which are known to be on disk. Entries never change; a conflict replaces the tail (Raft paper, figure 2 and 5.3).
import { assert } from '../lib/assert.ts'
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
}

export function createLog(base: { index: Index; term: Term }, entries: readonly Entry[]): RaftLog {
  entries.forEach((entry, i) => {
    assert(entry.index === base.index + 1 + i, `the restored log has a gap before index ${entry.index}`)
  })
  const last = base.index + entries.length
  return { base: { index: base.index, term: base.term }, entries: [...entries], unsaved: last + 1, durable: last }
}

export function lastIndex(log: RaftLog): Index {
  return log.base.index + log.entries.length
}

export function lastTerm(log: RaftLog): Term {
  return log.entries[log.entries.length - 1]?.term ?? log.base.term
}

/** Undefined when the index is compacted away or not here yet. */
export function termAt(log: RaftLog, index: Index): Term | undefined {
  if (index === log.base.index) return log.base.term
  return log.entries[index - log.base.index - 1]?.term
}

/** The entries from `from` to `to`, both included; an empty list when `to < from`. */
export function between(log: RaftLog, from: Index, to: Index): readonly Entry[] {
  assert(from > log.base.index, `index ${from} is compacted, the log begins after ${log.base.index}`)
  return log.entries.slice(from - log.base.index - 1, Math.max(0, to - log.base.index))
}

/** Entries from `from` on that fit into `bytesMax`, but at least one where there is one. */
export function batchFrom(log: RaftLog, from: Index, bytesMax: number): readonly Entry[] {
  const first = from - log.base.index - 1
  let end = first
  let bytes = 0
  while (end < log.entries.length) {
    const entry = log.entries[end]
    if (entry === undefined) break
    bytes += entryBytes(entry)
    if (bytes > bytesMax && end > first) break
    end++
  }
  return log.entries.slice(first, end)
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

/** Appends at the end; the caller has checked that it follows. */
export function append(log: RaftLog, entry: Entry): void {
  assert(entry.index === lastIndex(log) + 1, `index ${entry.index} does not follow ${lastIndex(log)}`)
  assert(entry.term >= lastTerm(log), `term ${entry.term} follows the later term ${lastTerm(log)}`)
  log.entries.push(entry)
}

/** Drops everything from `index` on, because a leader's log says otherwise. */
export function truncateFrom(log: RaftLog, index: Index): void {
  assert(index > log.base.index, `cannot truncate at ${index}, compacted up to ${log.base.index}`)
  log.entries.length = Math.min(log.entries.length, index - log.base.index - 1)
  log.unsaved = Math.min(log.unsaved, index)
  log.durable = Math.min(log.durable, index - 1)
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
}

/** Starts over after an installed snapshot. */
export function reset(log: RaftLog, base: { index: Index; term: Term }): void {
  log.base = { index: base.index, term: base.term }
  log.entries = []
  log.unsaved = base.index + 1
  log.durable = base.index
}

/** The entries that no step has handed out yet; they count as handed out afterwards. */
export function takeUnsaved(log: RaftLog): readonly Entry[] {
  const taken = between(log, log.unsaved, lastIndex(log))
  log.unsaved = lastIndex(log) + 1
  return taken
}

/**
 * The shell has saved up to `index`, where the entry was of `term`. If that entry has been replaced since, the news is
 * about a log that is no longer ours and is ignored. An entry of the leader's own term exists once only, and nothing
 * else is ever counted, so an older entry that left and came back between can do no harm.
 */
export function markDurable(log: RaftLog, index: Index, term: Term): void {
  if (index >= log.unsaved || termAt(log, index) !== term) return
  log.durable = Math.max(log.durable, index)
}

/** The largest index up to `from` whose term is not later than `term`: where two logs may still agree. */
export function lastNotAfterTerm(log: RaftLog, from: Index, term: Term): Index | undefined {
  for (let index = Math.min(from, lastIndex(log)); index >= log.base.index; index--) {
    const here = termAt(log, index)
    if (here !== undefined && here <= term) return index
  }
  return undefined
}
