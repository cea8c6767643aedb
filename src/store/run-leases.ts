// How much time leases have left, which only the leader counts, on its monotonic clock. A new leader gives every lease its
// full time again, for it cannot know what its predecessor promised. The end of a lease is a command of the log that
// carries the leader's term, so what a deposed leader thought has ended does not.
//
// A keep-alive is answered only after a majority has confirmed, in a round that began after the keep-alive came, that this
// peer still leads (ReadIndex). CheckQuorum's window would be cheaper, and wrong for a process that stood still within it:
// it would promise time that the next leader, which has started every lease anew, knows nothing of (etcd#15247). The round
// is shared by all keep-alives and reads of a turn, so its price is small.
import type { Applied } from '../kv/kv.ts'
import type { Leases } from '../kv/leases.ts'
import { type Revision, StoreError } from '../kv/store.ts'
import type { LeaseId, LeaseInfo, Outcome } from '../kv/txn.ts'
import { createHeap } from '../lib/heap.ts'
import type { Clock } from '../world/clock.ts'
import type { Log } from '../world/log.ts'

/** A leader that did not look for so long stood still: it could not take keep-alives either, so that time does not count. */
const stallMsMin = 1_000
/** Ends that are under way at once, so that a million leases that end together do not crowd out all writes. */
const endingCountMax = 200
const retryMs = 1_000

export type LeasesConfig = {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly log: Log
  /** As the state machine has them now. */
  readonly known: () => Leases
  /** Resolves when a majority has confirmed that this peer leads, and all that was committed before is applied. */
  readonly newest: (signal: AbortSignal | undefined) => Promise<Revision>
  readonly revoke: (lease: LeaseId, term: number) => Promise<Outcome>
}

export interface LeaseTimes {
  /** This peer leads in `term` and has applied all before it; undefined: it does not. */
  lead(term: number | undefined): void
  /** What a command did; only grants and revocations matter. */
  applied(answer: Applied['answer']): void
  /** Looks for leases that have ended; to be called every now and then. */
  tick(): void
  /** On the leader only, or StoreError 'not-leader'. Starts the lease's time again; undefined: there is no such lease. */
  renew(lease: LeaseId, signal?: AbortSignal): Promise<{ readonly ttlSeconds: number } | undefined>
  /** On the leader only, or StoreError 'not-leader'. */
  look(lease: LeaseId, signal?: AbortSignal): Promise<LeaseInfo | undefined>
}

export function createLeaseTimes({ clock, log, known, newest, revoke }: LeasesConfig): LeaseTimes {
  let term: number | undefined
  /** By when each lease ends. One in the heap may have been moved since: then this has the last word. */
  let ends = new Map<LeaseId, number>()
  let next = createHeap<{ readonly lease: LeaseId; readonly atMs: number }>((a, b) => a.atMs < b.atMs)
  /** What is being ended, until it is known whether it was. */
  let ending = new Map<LeaseId, Promise<void>>()
  let lookedMs = clock.monotonicMs()
  let stalledMs = 0

  const nowMs = () => clock.monotonicMs() - stalledMs

  function start(lease: LeaseId, ms: number): void {
    const atMs = nowMs() + ms
    // One that is only put off stays where it is in the heap, and is put back when its turn comes.
    if (!ends.has(lease)) next.push({ lease, atMs })
    ends.set(lease, atMs)
  }

  function end(lease: LeaseId, inTerm: number): void {
    const settled = revoke(lease, inTerm)
      .then(
        outcome => outcome.kind === 'revoke' || (outcome.kind === 'failed' && outcome.why === 'lease-not-found'),
        error => {
          log.debug('a lease is ended later', { lease, why: String(error) })
          return false
        },
      )
      .then(isEnded => {
        if (term !== inTerm) return
        ending.delete(lease)
        if (isEnded) ends.delete(lease)
        else if (known().has(lease)) restart(lease, retryMs)
      })
    ending.set(lease, settled)
  }

  /** It left the heap. */
  function restart(lease: LeaseId, ms: number): void {
    ends.delete(lease)
    start(lease, ms)
  }

  function checkLeads(inTerm = term): number {
    if (term === undefined || term !== inTerm) throw new StoreError('not-leader', 'this peer does not lead; ask again')
    return term
  }

  /** After it, this peer led after the call came, and knows all leases that were granted before. */
  async function confirm(lease: LeaseId, signal: AbortSignal | undefined): Promise<void> {
    const inTerm = checkLeads()
    await newest(signal)
    checkLeads(inTerm)
    await ending.get(lease)
    checkLeads(inTerm)
  }

  return {
    lead(inTerm) {
      if (inTerm === term) return
      term = inTerm
      ends = new Map()
      next = createHeap((a, b) => a.atMs < b.atMs)
      ending = new Map()
      lookedMs = clock.monotonicMs()
      if (term === undefined) return
      for (const [lease, { ttlSeconds }] of known()) start(lease, ttlSeconds * 1_000)
    },
    applied(answer) {
      if (term === undefined) return
      if (answer.kind === 'grant') start(answer.lease, answer.ttlSeconds * 1_000)
      else if (answer.kind === 'revoke') ends.delete(answer.lease)
    },
    tick() {
      const sinceMs = clock.monotonicMs() - lookedMs
      lookedMs += sinceMs
      if (sinceMs > stallMsMin) stalledMs += sinceMs
      if (term === undefined) return
      while (ending.size < endingCountMax) {
        const first = next.peek()
        if (first === undefined || first.atMs > nowMs()) return
        next.pop()
        const atMs = ends.get(first.lease)
        // Revoked since, or granted anew, and then in the heap a second time.
        if (atMs === undefined || ending.has(first.lease)) continue
        if (atMs > nowMs()) next.push({ lease: first.lease, atMs })
        else end(first.lease, term)
      }
    },
    async renew(lease, signal) {
      await confirm(lease, signal)
      const found = known().get(lease)
      if (found === undefined) return undefined
      start(lease, found.ttlSeconds * 1_000)
      return { ttlSeconds: found.ttlSeconds }
    },
    async look(lease, signal) {
      await confirm(lease, signal)
      const found = known().get(lease)
      if (found === undefined) return undefined
      const leftMs = Math.max(0, (ends.get(lease) ?? 0) - nowMs())
      return {
        lease,
        grantedSeconds: found.ttlSeconds,
        remainingSeconds: Math.floor(leftMs / 1_000),
        keys: [...found.keys].sort(),
      }
    },
  }
}
