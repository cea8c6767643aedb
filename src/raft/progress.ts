// What a leader believes of one follower. Probe: where the logs agree is not known, so one append at a time. Replicate:
// appends are pipelined, at most a window of them unanswered. Snapshot: the follower needs entries that are compacted
// away, so nothing but heartbeats until the snapshot has arrived. After etcd-io/raft, design.md.

import type { Index } from './types.ts'
import { clearWindow, createWindow, freeUpTo, type Window } from './window.ts'

export type Progress = {
  kind: 'probe' | 'replicate' | 'snapshot'
  /** The last index known to be durable there and equal to ours. */
  match: Index
  /** The leader's newest round when `match` last grew: whoever answers a later one had `match` on its disk before. */
  matchRound: number
  /** The first index of the next append. Invariant: match < next. */
  next: Index
  /** Probe: an append is unanswered; the next heartbeat lifts it. */
  paused: boolean
  /** Replicate: the unanswered appends. */
  readonly window: Window
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
  /** It has less than it acknowledged, so nothing that it says is counted. */
  lost: boolean
  /** Removed by the entry at this index; told so once that is committed, then forgotten. */
  leaving: Index | undefined
}

export function createProgress(last: Index, now: number): Progress {
  return {
    kind: 'probe',
    match: 0,
    matchRound: 0,
    next: last + 1,
    paused: false,
    window: createWindow(),
    since: 0,
    acknowledged: 0,
    heardAt: now,
    toldCommit: 0,
    snapshotTicks: 0,
    snapshotSent: false,
    lost: false,
    leaving: undefined,
  }
}

export function becomeProbe(progress: Progress, next: Index, round: number): void {
  progress.kind = 'probe'
  progress.next = Math.max(progress.match + 1, next)
  progress.paused = false
  clearWindow(progress.window)
  progress.since = round
}

export function becomeReplicate(progress: Progress): void {
  progress.kind = 'replicate'
  progress.next = progress.match + 1
  progress.paused = false
  clearWindow(progress.window)
}

export function becomeSnapshot(progress: Progress): void {
  progress.kind = 'snapshot'
  progress.paused = false
  clearWindow(progress.window)
  progress.snapshotTicks = 0
  progress.snapshotSent = false
}

/** The follower has everything up to `index` on its disk; `round` is the leader's newest. */
export function acknowledge(progress: Progress, index: Index, round: number): void {
  if (index > progress.match) {
    progress.match = index
    progress.matchRound = round
    if (progress.next <= index) progress.next = index + 1
  }
  freeUpTo(progress.window, index)
}
