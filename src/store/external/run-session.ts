// This peer's presence in the external etcd: a lease that is kept alive, the peer's own key, and, where nobody leads, the
// leader's key. Who leads is read from the replica. A leadership that etcd has not confirmed within the life of the lease
// is over here before it can be over there: so no two lead at once.
import { StoreError } from '../../kv/store.ts'
import { onAbort } from '../../lib/abort.ts'
import { EtcdError, type EtcdLease, type EtcdLink } from '../../world/etcd.ts'
import type { Log } from '../../world/log.ts'
import type { PeerId } from '../../world/network.ts'
import type { Leaderships } from '../run-leadership.ts'
import type { Names } from './names.ts'
import type { OwnWorld, Replica } from './replica.ts'

export type SessionConfig = {
  readonly link: EtcdLink
  readonly names: Names
  readonly log: Log
  readonly ttlSeconds: number
  readonly requestTimeoutMs: number
  readonly leaderships: Leaderships
  readonly replica: () => Replica
}

export type Session = {
  /** Of the leadership that this peer is sure of at this moment. */
  leads(): number | undefined
  /** Ends what has run out, and acts on what has changed: called after each fold and now and then. */
  look(): void
  handOver(signal: AbortSignal): Promise<void>
  /** Resolves when the lease is given back, or nobody could be told. */
  end(): Promise<void>
}

/** The part of a lease's life that is relied on here: clocks differ, and timers come late. */
const trusted = 0.9

export function openSession(world: OwnWorld, config: SessionConfig): Session {
  const { link, names, log, leaderships, replica } = config
  const { clock, network } = world
  const ttlMs = config.ttlSeconds * 1_000
  const timeoutMs = Math.min(config.requestTimeoutMs, ttlMs / 3)
  const ending = new AbortController()
  let lease: EtcdLease | undefined
  let sureUntilMs = 0
  /** A leadership was given away: not taken back until another has had the chance. */
  let isResting = false
  let waking = new AbortController()
  const waiters = new Set<() => void>()

  function isSure(): boolean {
    return lease !== undefined && clock.monotonicMs() < sureUntilMs && !isResting && !ending.signal.aborted
  }

  function leads(): number | undefined {
    const { leader } = replica()
    return leader !== undefined && leader.lease === lease && isSure() ? leader.term : undefined
  }

  function look(): void {
    const { leader, term } = replica()
    const mine = leads()
    const { current } = leaderships
    if (mine !== undefined) leaderships.lead(mine)
    else {
      const other = leader?.peer === network.self ? undefined : leader?.peer
      if (current.mine || current.term !== term || current.leader !== other) leaderships.follow(term, other)
    }
    if (leader === undefined) waking.abort()
    for (const waiter of waiters) waiter()
  }

  async function campaign(own: EtcdLease): Promise<void> {
    const { succeeded } = await link.txn(
      {
        compare: [{ key: names.leader, target: 'create', revision: 0 }],
        success: [{ kind: 'put', key: names.leader, value: network.self, lease: own }],
        otherwise: [],
      },
      timeoutMs,
    )
    if (succeeded) log.info('this peer takes the lead')
  }

  async function keepAlive(own: EtcdLease): Promise<void> {
    const askedMs = clock.monotonicMs()
    const seconds = await link.keepAlive(own, Math.max(1, Math.min(timeoutMs, sureUntilMs - askedMs)))
    sureUntilMs = askedMs + seconds * 1_000 * trusted
  }

  /** From the grant of a lease to its loss. */
  async function hold(own: EtcdLease): Promise<void> {
    const present = { kind: 'put', key: names.peers + network.self, value: '', lease: own } as const
    await link.txn({ compare: [], success: [present], otherwise: [] }, timeoutMs)
    let dueMs = clock.monotonicMs() + ttlMs / 3
    while (!ending.signal.aborted && clock.monotonicMs() < sureUntilMs) {
      try {
        if (clock.monotonicMs() >= dueMs) {
          await keepAlive(own)
          dueMs = clock.monotonicMs() + ttlMs / 3
        }
        if (replica().leader === undefined && !isResting) await campaign(own)
      } catch (error) {
        if (error instanceof EtcdError && error.reason === 'lease-not-found') throw error
        log.debug('etcd did not answer in time', { why: String(error) })
        await clock.sleep(100, ending.signal)
        continue
      }
      await untilDue(dueMs)
    }
  }

  async function untilDue(dueMs: number): Promise<void> {
    waking = new AbortController()
    const isVacant = replica().leader === undefined && !isResting
    // The campaign may be won and not applied here yet, or its answer lost.
    const waitMs = Math.max(0, dueMs - clock.monotonicMs())
    using _listener = onAbort(ending.signal, () => waking.abort())
    if (isVacant) await clock.sleep(Math.min(50, waitMs), ending.signal)
    else await clock.sleep(waitMs, waking.signal)
  }

  async function live(): Promise<void> {
    let owed: EtcdLease | undefined
    let isTold = false
    /** Once for each loss: while etcd is away it is tried twice a second. */
    function tell(words: string, why?: unknown): void {
      if (ending.signal.aborted) return
      const fields = why === undefined ? {} : { why: String(why) }
      if (isTold) log.debug(words, fields)
      else log.warn(words, fields)
      isTold = true
    }
    while (!ending.signal.aborted) {
      const askedMs = clock.monotonicMs()
      try {
        const own = await link.grant(config.ttlSeconds, timeoutMs)
        sureUntilMs = askedMs + ttlMs * trusted
        lease = own
        isTold = false
        // An etcd that was away gives old leases their whole life again when it is back.
        if (owed !== undefined && (await giveBack(owed))) owed = undefined
        await hold(own)
        tell('etcd has not confirmed the session of this peer in time')
      } catch (error) {
        tell('this peer has no session in etcd', error)
      }
      const old = lease
      lease = undefined
      look()
      // So that nobody has to wait for its end; what leads next, this peer too, does so under another term.
      if (old !== undefined && !(await giveBack(old))) owed = old
      await clock.sleep(500, ending.signal)
    }
  }

  /** False: it is left to run out. */
  async function giveBack(old: EtcdLease): Promise<boolean> {
    try {
      await link.revoke(old, timeoutMs)
    } catch (error) {
      if (error instanceof EtcdError && error.reason === 'lease-not-found') return true
      log.debug('a lease in etcd was not given back', { why: String(error) })
      return false
    }
    return true
  }

  async function handOver(signal: AbortSignal): Promise<void> {
    const term = leads()
    if (term === undefined) throw new StoreError('not-leader', 'this peer does not lead', replica().leader?.peer)
    if (![...replica().peers.keys()].some(peer => peer !== network.self)) {
      throw new StoreError('unavailable', 'there is no other peer to hand over to')
    }
    isResting = true
    look()
    try {
      await link.txn(
        {
          compare: [{ key: names.leader, target: 'create', revision: term }],
          success: [{ kind: 'delete', key: names.leader }],
          otherwise: [],
        },
        timeoutMs,
      )
      await untilOther(term, signal)
    } catch (error) {
      // Whether the key is gone is not known: this lease must not lead again under the same term.
      sureUntilMs = 0
      waking.abort()
      if (error instanceof StoreError) throw error
      throw new StoreError('unavailable', `leadership is given up, and nobody is known to have taken it: ${error}`)
    } finally {
      isResting = false
      look()
    }
  }

  async function untilOther(term: number, signal: AbortSignal): Promise<void> {
    using deadline = clock.deadline(config.requestTimeoutMs, signal)
    const hasOther = (leader: { term: number; peer: PeerId } | undefined) =>
      leader !== undefined && leader.term > term && leader.peer !== network.self
    while (!hasOther(replica().leader)) {
      if (deadline.signal.aborted || ending.signal.aborted) {
        throw new StoreError('unavailable', 'leadership is given up, and no other peer has taken it in time')
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      waiters.add(resolve)
      using _deadline = onAbort(deadline.signal, resolve)
      using _ending = onAbort(ending.signal, resolve)
      await promise
      waiters.delete(resolve)
    }
  }

  const living = live()
  return {
    leads,
    look,
    handOver,
    async end() {
      if (!ending.signal.aborted) {
        ending.abort()
        // Also where nothing changes by it, so that those who follow hear of the end.
        const { leader, term } = replica()
        leaderships.follow(term, leader?.peer === network.self ? undefined : leader?.peer)
        look()
      }
      await living
    },
  }
}
