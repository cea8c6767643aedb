// What a leader believes of one follower. Probe: where the logs agree is not known, so one append at a time. Replicate:
// appends are pipelined, at most a window of them unanswered. Snapshot: the follower needs entries that are compacted
// away, so nothing but heartbeats until the snapshot has arrived. After etcd-io/raft, design.md.
import type { Index } from './types.ts'

export type Progress = {
  kind: 'probe' | 'replicate' | 'snapshot'
  /** The last index known to be durable there and equal to ours. */
  match: Index
  /** The first index of the next append. Invariant: match < next. */
  next: Index
  /** Probe: an append is unanswered; the next heartbeat lifts it. */
  paused: boolean
  /** Replicate: the last index of each unanswered append, ascending. */
  inflight: Index[]
  /** The leader's round when `next` last went back: refusals of that round and earlier are old news. */
  since: number
  /** The newest round that was answered. */
  acknowledged: number
  /** The leader's tick at the last answer. */
  heardAt: number
  /** The commit index last told. */
  toldCommit: Index
  /** Snapshot: ticks since the last announcement, and whether the shell has sent it. */
  snapshotTicks: number
  snapshotSent: boolean
  /** Removed by the entry at this index; told so once that is committed, then forgotten. */
  leaving: Index | undefined
}

export function createProgress(last: Index, now: number): Progress {
  return {
    kind: 'probe',
    match: 0,
    next: last + 1,
    paused: false,
    inflight: [],
    since: 0,
    acknowledged: 0,
    heardAt: now,
    toldCommit: 0,
    snapshotTicks: 0,
    snapshotSent: false,
    leaving: undefined,
  }
}

export function becomeProbe(progress: Progress, next: Index, round: number): void {
  progress.kind = 'probe'
  progress.next = Math.max(progress.match + 1, next)
  progress.paused = false
  progress.inflight = []
  progress.since = round
}

export function becomeReplicate(progress: Progress): void {
  progress.kind = 'replicate'
  progress.next = progress.match + 1
  progress.paused = false
  progress.inflight = []
}

export function becomeSnapshot(progress: Progress): void {
  progress.kind = 'snapshot'
  progress.paused = false
  progress.inflight = []
  progress.snapshotTicks = 0
  progress.snapshotSent = false
}

/** The follower has everything up to `index`. */
export function acknowledge(progress: Progress, index: Index): void {
  progress.match = Math.max(progress.match, index)
  progress.next = Math.max(progress.next, progress.match + 1)
  const { inflight } = progress
  let answered = 0
  while (answered < inflight.length && (inflight[answered] ?? 0) <= index) answered++
  if (answered > 0) inflight.splice(0, answered)
}
