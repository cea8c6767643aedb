// The store on an etcd that is run elsewhere: etcd is the log, and each peer keeps a replica of it in memory, which reads
// and watches are answered from by the same code as the embedded store's. Writes are transactions that hold only while
// this peer leads; which peer does is a key with a lease. What can end it: the signal, `stop`, and an etcd that is not
// the one it was, or went back to an older state, which rejects `done`: what this peer has said was then never true.
import type { Kv } from '../../kv/kv.ts'
import { get, range } from '../../kv/read.ts'
import {
  type Revision,
  type Store,
  StoreError,
  type StoreStatus,
  type Write,
  type WriteResult,
} from '../../kv/store.ts'
import { onAbort } from '../../lib/abort.ts'
import { EtcdError, type EtcdLease, type EtcdLink } from '../../world/etcd.ts'
import { createForgetting } from '../forget.ts'
import { createThresholds, unlessAborted } from '../pending.ts'
import { createLeaderships } from '../run-leadership.ts'
import { runWatch } from '../run-watch.ts'
import { bookmark, createWatches, publish, restart, wakeAll } from '../watch.ts'
import { createAges } from './ages.ts'
import { namesOf } from './names.ts'
import type { OwnWorld, Replica } from './replica.ts'
import { follow } from './run-follow.ts'
import { openSession } from './run-session.ts'
import { outcomeOf, planWrite } from './write.ts'

export type ExternalConfig = {
  /** What all keys of this cluster begin with; another cluster on the same etcd has another one. */
  readonly prefix?: string
  /** How long a peer that leads and is gone keeps others from leading; etcd allows no less than 2 s or so. */
  readonly sessionSeconds?: number
  readonly requestTimeoutMs?: number
  readonly historyCountMax?: number
  readonly historyBytesMax?: number
  /** A replica forgets changes older than this, and the oldest of what is more than the two above. */
  readonly historyAgeMs?: number
  /** The leader lets etcd forget what is older than this. */
  readonly compactAgeMs?: number
  readonly bookmarkMs?: number
}

export type ExternalStore = Store & {
  /** Gives up leadership and presence at once, and closes the connection. Idempotent. */
  stop(): Promise<void>
  /** Resolves after a stop; rejects when the store had to end. */
  readonly done: Promise<void>
}

const defaults: Required<ExternalConfig> = {
  prefix: '/flotilla',
  sessionSeconds: 5,
  requestTimeoutMs: 5_000,
  historyCountMax: 100_000,
  historyBytesMax: 32 * 1024 * 1024,
  historyAgeMs: 5 * 60_000,
  compactAgeMs: 10 * 60_000,
  bookmarkMs: 2_000,
}

const tickMs = 100
/** Writes that wait for etcd at most; of more, new ones are refused. */
const writeCountMax = 10_000
/** An etcd that says nothing for so long is asked whether something has happened. */
const quietMs = 5_000
/** The id of a write is remembered for at least half as long. */
const doneSeconds = 240

/**
 * Resolves once all keys are loaded; until then an etcd that cannot be reached is tried again, and the log says so.
 * Rejects when the signal aborts before. The link is closed with the store.
 */
export async function openExternalStore(
  world: OwnWorld,
  link: EtcdLink,
  config: ExternalConfig,
  signal: AbortSignal,
): Promise<ExternalStore> {
  const settings = { ...defaults, ...config }
  const { requestTimeoutMs } = settings
  const { clock, network } = world
  const log = world.log.with({ component: 'store' })
  const names = namesOf(settings.prefix)
  const ending = new AbortController()
  const isEnding = () => ending.signal.aborted
  const watches = createWatches()
  const revisions = createThresholds('revision')
  const leaderships = createLeaderships(0, ending.signal)
  const first = Promise.withResolvers<Replica>()
  let cluster: string | undefined
  /** The newest revision that etcd was heard to have. */
  let seen: Revision = 0
  let failure: Error | undefined

  // ---- the replica ----

  let current: Replica | undefined

  const follower = follow(
    world,
    {
      link,
      names,
      log,
      requestTimeoutMs,
      loaded(fresh, id) {
        const before = current
        if (!isSame(id, fresh.kv.revision, before?.kv.revision ?? 0)) return
        current = fresh
        first.resolve(fresh)
        forgetting.reset()
        if (before === undefined) return
        fresh.term = Math.max(fresh.term, before.term)
        restart(watches, fresh.kv.revision)
        moved()
      },
      folded(changes) {
        if (isEnding()) return
        publish(watches, changes, kv().revision)
        moved()
        forget(false)
      },
    },
    ending.signal,
  )

  /** Ends the store when what answers is another etcd, or has lost what was known of it before it was asked. */
  function isSame(id: string, revision: Revision, known: Revision): boolean {
    cluster ??= id
    if (id === cluster && revision >= known) {
      seen = Math.max(seen, revision)
      return !isEnding()
    }
    fail(
      new Error(
        id === cluster
          ? `etcd is at revision ${revision} and was at ${known}: it was restored; start this peer again`
          : `another etcd answers: cluster ${id}, not ${cluster}; start this peer again if that is wanted`,
      ),
    )
    return false
  }

  function moved(): void {
    revisions.reached(kv().revision)
    seen = Math.max(seen, kv().revision)
    session?.look()
  }

  // ---- time ----

  const ageTicks = Math.max(1, Math.round(settings.historyAgeMs / 10 / tickMs))
  const bookmarkTicks = Math.max(1, Math.round(settings.bookmarkMs / tickMs))
  const compactTicks = Math.max(1, Math.round(settings.compactAgeMs / 10 / tickMs))
  const forgetting = createForgetting({
    oldTicks: Math.max(1, Math.round(settings.historyAgeMs / tickMs)),
    countMax: settings.historyCountMax,
    bytesMax: settings.historyBytesMax,
  })
  const ages = createAges(settings.compactAgeMs)
  let ticks = 0
  let bookmarked: Revision = 0
  let askedAtMs = clock.monotonicMs()

  function forget(isTick: boolean): void {
    const { versions, revision } = kv()
    const old = forgetting.look(versions, revision, ticks, isTick)
    if (old !== undefined) versions.compact(old)
  }

  function tick(): void {
    ticks += 1
    session?.look()
    const { revision } = kv()
    if (ticks % bookmarkTicks === 0 && revision > bookmarked) {
      bookmarked = revision
      bookmark(watches)
    }
    if (ticks % ageTicks === 0) forget(true)
    if (ticks % compactTicks === 0) compact()
    const nowMs = clock.monotonicMs()
    if (nowMs - Math.max(askedAtMs, follower.heardAtMs()) < quietMs) return
    askedAtMs = nowMs
    newest().catch(error => log.debug('etcd is silent', { why: String(error) }))
  }

  /** All peers take note of the ages, so that whoever leads next knows them too. */
  function compact(): void {
    const revision = ages.look(kv().revision, clock.monotonicMs())
    if (revision === undefined || session?.leads() === undefined) return
    link.compact(revision, requestTimeoutMs).catch(error => {
      const isDone = error instanceof EtcdError && error.reason === 'compacted'
      if (!isDone) log.warn('etcd did not forget what is old', { why: String(error) })
    })
  }

  async function runTicks(): Promise<void> {
    while (!isEnding()) {
      await clock.sleep(tickMs, ending.signal)
      if (!isEnding()) tick()
    }
  }

  // ---- reads ----

  let reading: Promise<Revision> | undefined

  /** All who ask in one turn of the event loop share one read of etcd. */
  function newest(inner?: AbortSignal): Promise<Revision> {
    if (isEnding()) return Promise.reject(closed())
    if (reading === undefined) {
      reading = new Promise<void>(resolve => clock.soon(resolve)).then(() => {
        reading = undefined
        return askNewest()
      })
      // Whoever asked may have gone; the failure is told to those who are still there.
      reading.catch(() => {})
    }
    return inner === undefined ? reading : unlessAborted(reading, inner)
  }

  async function askNewest(): Promise<Revision> {
    using deadline = clock.deadline(requestTimeoutMs, ending.signal)
    const untilMs = clock.monotonicMs() + requestTimeoutMs
    for (;;) {
      try {
        const one = { from: names.leader, to: `${names.leader}\0`, limit: 1, revision: 0 }
        const known = kv().revision
        const page = await link.range(one, Math.max(1, untilMs - clock.monotonicMs()))
        if (!isSame(page.cluster, page.revision, known)) throw closed()
        return await untilApplied(page.revision, deadline.signal)
      } catch (error) {
        if (isEnding()) throw closed()
        if (!(error instanceof EtcdError)) throw error
        const isFinal = error.reason === 'refused' || clock.monotonicMs() >= untilMs
        if (isFinal) throw new StoreError('unavailable', `etcd did not answer a read: ${error.message}`)
        await clock.sleep(50, deadline.signal)
      }
    }
  }

  async function untilApplied(revision: Revision, inner: AbortSignal): Promise<Revision> {
    seen = Math.max(seen, revision)
    if (kv().revision < revision) {
      try {
        await revisions.wait(revision, inner)
      } catch (error) {
        const isLate = !isEnding() && error instanceof StoreError && error.reason === 'unavailable'
        const heardMs = clock.monotonicMs() - follower.heardAtMs()
        if (isLate && heardMs >= requestTimeoutMs) follower.again(`revision ${revision} did not come in time`)
        throw error
      }
    }
    return kv().revision
  }

  // ---- writes ----

  let writeCount = 0
  let doneLease: { readonly lease: Promise<EtcdLease>; readonly untilMs: number } | undefined

  /** What the ids of writes live by: one lease for all of two minutes, which is left to run out after two more. */
  function leaseOfIds(): Promise<EtcdLease> {
    const nowMs = clock.monotonicMs()
    if (doneLease === undefined || nowMs >= doneLease.untilMs) {
      const lease = link.grant(doneSeconds, requestTimeoutMs)
      const granted = { lease, untilMs: nowMs + (doneSeconds / 2) * 1_000 }
      doneLease = granted
      lease.catch(() => {
        if (doneLease === granted) doneLease = undefined
      })
    }
    return doneLease.lease
  }

  async function write(command: Write, inner: AbortSignal): Promise<WriteResult> {
    const term = leadingTerm()
    if (inner.aborted) throw new StoreError('unavailable', 'no answer in time: a write; it did not happen')
    if (writeCount >= writeCountMax) throw new StoreError('unavailable', 'too many writes wait for etcd; try again')
    writeCount += 1
    try {
      return await writeInTime(command, term, inner)
    } finally {
      writeCount -= 1
    }
  }

  async function writeInTime(command: Write, term: number, inner: AbortSignal): Promise<WriteResult> {
    using deadline = clock.deadline(requestTimeoutMs, inner)
    const giveUp = new AbortController()
    using _late = onAbort(deadline.signal, () => giveUp.abort())
    using _end = onAbort(ending.signal, () => giveUp.abort())
    const untilMs = clock.monotonicMs() + requestTimeoutMs
    for (;;) {
      const leftMs = Math.max(1, untilMs - clock.monotonicMs())
      try {
        return await unlessAborted(writeOnce(command, term, leftMs), giveUp.signal)
      } catch (error) {
        if (isEnding()) throw closed()
        // One that did not happen, or has an id and happens once, is sent again.
        const isAgain = error instanceof EtcdError && mayRepeat(error.reason, command)
        if (!isAgain || giveUp.signal.aborted) throw error instanceof EtcdError ? writeError(error) : error
        await clock.sleep(50, giveUp.signal)
        if (isEnding()) throw closed()
        if (giveUp.signal.aborted) throw writeError(error)
      }
    }
  }

  async function writeOnce(command: Write, term: number, timeoutMs: number): Promise<WriteResult> {
    const lease = command.id === undefined ? undefined : await leaseOfIds()
    const txn = planWrite(names, command, term, lease)
    const known = kv().revision
    const result = await link.txn(txn, timeoutMs).catch(error => {
      if (error instanceof EtcdError && error.reason === 'lease-not-found') doneLease = undefined
      throw error
    })
    if (!isSame(result.cluster, result.revision, known)) throw closed()
    const outcome = outcomeOf(names, command, term, result)
    await untilApplied(result.revision, ending.signal)
    if (outcome.kind === 'deposed') throw notLeader()
    return outcome
  }

  function leadingTerm(): number {
    if (isEnding()) throw closed()
    const term = session?.leads()
    if (term === undefined) throw notLeader()
    return term
  }

  function notLeader(): StoreError {
    const { leader } = replica()
    const other = leader?.peer === network.self ? undefined : leader?.peer
    return new StoreError('not-leader', `this peer does not lead; ${other ?? 'no one known'} does`, other)
  }

  // ---- life and end ----

  function replica(): Replica {
    if (current === undefined) throw closed()
    return current
  }

  function kv(): Kv {
    return replica().kv
  }

  function closed(): StoreError {
    return new StoreError(
      'closed',
      failure === undefined ? 'the store is closed' : `the store failed: ${failure.message}`,
    )
  }

  function fail(error: Error): void {
    if (isEnding()) return
    failure = error
    log.error('the store ends', { why: error.message })
    end()
  }

  function end(): void {
    if (isEnding()) return
    ending.abort()
    revisions.rejectAll(closed)
    first.reject(closed())
    wakeAll(watches)
    // At once: what this peer does as the leader must not outlive its lease.
    void session?.end()
  }

  const listener = onAbort(signal, end)
  let session: ReturnType<typeof openSession> | undefined
  try {
    await first.promise
  } catch (error) {
    await follower.done
    listener[Symbol.dispose]()
    link.close()
    throw error
  }
  session = openSession(world, {
    link,
    names,
    log,
    ttlSeconds: settings.sessionSeconds,
    requestTimeoutMs,
    leaderships,
    replica,
  })
  moved()

  async function live(presence: NonNullable<typeof session>): Promise<void> {
    await Promise.all([runTicks(), follower.done])
    await presence.end()
    listener[Symbol.dispose]()
    link.close()
    if (failure !== undefined) throw failure
  }
  const done = live(session)
  // Whoever waits for `done` hears of it.
  done.catch(() => {})

  function status(): StoreStatus {
    const { leader, peers, term, kv: now } = replica()
    const isLeader = session?.leads() !== undefined
    return {
      term,
      leader: isLeader || leader?.peer !== network.self ? leader?.peer : undefined,
      role: isLeader ? 'leader' : leader === undefined ? 'candidate' : 'follower',
      appliedIndex: now.revision,
      commitIndex: Math.max(seen, now.revision),
      revision: now.revision,
      compactedRevision: now.versions.compacted,
      members: [...peers.values()].map(({ peer, since }) => ({ member: String(since), peer, role: 'voter' })),
      matchIndex: {},
    }
  }

  return {
    done,
    async stop() {
      end()
      await done.catch(() => {})
    },
    async get(key, options) {
      if (isEnding()) throw closed()
      return get(kv(), key, options?.revision)
    },
    async range(options) {
      if (isEnding()) throw closed()
      return range(kv(), options)
    },
    watch: (options, inner) => runWatch({ watches, kv, isClosed: isEnding }, options, inner),
    write,
    newest,
    async applied(revision, inner) {
      if (isEnding()) throw closed()
      if (kv().revision < revision) await revisions.wait(revision, inner)
    },
    revision: () => kv().revision,
    status,
    leadership: leaderships.stream,
    async changeMembership() {
      leadingTerm()
      throw new StoreError(
        'refused',
        'the store of this cluster is an external etcd: its members are managed there, for example with etcdctl member',
      )
    },
    async transferLeadership(inner) {
      leadingTerm()
      await session?.handOver(inner)
    },
  }
}

function mayRepeat(reason: EtcdError['reason'], { id }: Write): boolean {
  return reason === 'not-done' || reason === 'lease-not-found' || (reason === 'unavailable' && id !== undefined)
}

function writeError(error: unknown): StoreError {
  if (!(error instanceof EtcdError)) return new StoreError('unavailable', `a write failed: ${String(error)}`)
  if (error.reason === 'too-large') return new StoreError('too-large', error.message)
  const isOpen = error.reason === 'unavailable'
  return new StoreError(
    'unavailable',
    `etcd did not take a write${isOpen ? '; it may still happen' : ''}: ${error.message}`,
  )
}
