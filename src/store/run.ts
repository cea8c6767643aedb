// Raft and kv made to live on a World. One inbox, one loop: take all that waits, step, send what may leave early, hand
// the rest to the saver (nothing is sent before it is durable), apply what is committed, announce, answer (nothing is
// answered before it is applied). What can end: openStore refuses damage; a failed disk or a broken invariant rejects
// `done`, and the process must then end: nothing of it may be tried again.

import { type Applied, apply, captureKv } from '../kv/kv.ts'
import { get, hashAt, look, range } from '../kv/read.ts'
import { encodeSnapshot } from '../kv/snapshot.ts'
import { type ChangeEvent, type Revision, StoreError, type Write, type WriteResult } from '../kv/store.ts'
import type { AppliedChange, Command, CommandStore, Outcome } from '../kv/txn.ts'
import { onAbort } from '../lib/abort.ts'
import { assert } from '../lib/assert.ts'
import { createRaft, status as raftStatus, step } from '../raft/raft.ts'
import type { Effects, Entry, HardState, RaftEvent, Refusal, Role } from '../raft/types.ts'
import type { World } from '../world/world.ts'
import { createHashes } from './audit.ts'
import { createEncoder } from './command.ts'
import { commandBytesMax, raftConfig, type StoreConfig, settingsOf } from './config.ts'
import { createForgetting } from './forget.ts'
import { createPendings, createThresholds } from './pending.ts'
import { refusalError } from './refusal.ts'
import { createAsks } from './run-asks.ts'
import { createAudit, knownOf } from './run-audit.ts'
import { boot } from './run-boot.ts'
import { createChanges } from './run-changes.ts'
import { createCommands, type Waiting } from './run-commands.ts'
import { createKeeper } from './run-keeper.ts'
import { createLeaderships } from './run-leadership.ts'
import { createLeaseTimes } from './run-leases.ts'
import type { Append } from './run-log.ts'
import { afterMoment } from './run-moment.ts'
import { createNewest } from './run-newest.ts'
import { createSaver } from './run-saver.ts'
import { createSnapshotServer } from './run-snapshot.ts'
import { createSpeech } from './run-speech.ts'
import { runWatch } from './run-watch.ts'
import { describeStatus } from './status.ts'
import { bookmark, createWatches, publish, restart, wakeAll } from './watch.ts'

export type { StoreConfig } from './config.ts'
export { StoreDamage } from './log.ts'

export type RunningStore = CommandStore & {
  /** Ends in order: what was accepted is made durable, the applied state is written. Idempotent. */
  stop(): Promise<void>
  /** Resolves after a stop; rejects when the store had to end: a failed disk, a broken invariant. */
  readonly done: Promise<void>
  /** Of the state machine at the applied index, for comparing replicas. */
  hash(): { readonly index: number; readonly hash: number }
}

type Answer = Applied['answer']

/** How long a batch of proposals waits for the one before it, and a commit for a message that carries it. */
const momentMs = 1
/** Messages that wait, and writes; of more, messages are dropped and writes refused. */
const inboxCountMax = 10_000

/** Opens what is on the disk and lives until the signal, or `stop`. Throws StoreDamage when the disk lost something. */
export async function openStore(world: World, config: StoreConfig, signal: AbortSignal): Promise<RunningStore> {
  const settings = settingsOf(config)
  const { clusterId, member, requestTimeoutMs, tickMs } = settings
  const log = world.log.with({ component: 'store' })
  const start = await boot({ ...world, log }, settings)

  const raft = createRaft(raftConfig(settings), start.restored, () => world.random.float())
  const { log: disklog, space } = start
  const saver = createSaver(disklog, world.clock)
  let hard: HardState = start.restored.hard
  let role: Role = raftStatus(raft).role

  const speech = createSpeech(world.network, settings, start.peers, log)
  const { peers, peerOf } = speech
  const ending = new AbortController()
  const isEnding = () => ending.signal.aborted
  const keeper = createKeeper(world, log, start, {
    settings,
    raft,
    saver,
    speech,
    leads: () => role.kind === 'leader',
    ending: ending.signal,
    push: event => push(event),
    carryOut: (effects, base) => carryOut(effects, base),
    replaced() {
      kv = keeper.kv
      hashes.clear()
      restart(watches, kv.revision)
      tell({ kind: 'break', revision: kv.revision })
      afterApplied()
    },
    fail: error => fail(error),
  })
  let { kv } = keeper

  let inbox: RaftEvent[] = []
  let proposals: RaftEvent[] = []
  let lastId = 0
  const nextId = () => ++lastId
  const commands = createCommands<Answer>(world, log, {
    clusterId,
    requestTimeoutMs,
    countMax: inboxCountMax,
    isMember: peer => settings.mayRaft(peer) && [...peers.values()].includes(peer),
    role: () => role,
    leaderPeer: () => (role.leader === member ? undefined : peerOf(role.leader)),
    propose: (id, command) => propose({ kind: 'propose', id, command }),
    nextId,
  })
  const changes = createPendings<void>(nextId)
  const reads = createPendings<Revision>(nextId)
  const transfers = createPendings<void>(nextId)
  const asked = [changes, reads, transfers]
  const revisions = createThresholds('revision')
  const indexes = createThresholds('index')
  /** Accepted changes of membership by the index they went to. */
  const accepted = new Map<number, { readonly id: number; readonly term: number }>()
  let readsWaiting: { readonly id: number; readonly index: number }[] = []
  const watches = createWatches()

  const { promise: done, resolve: finished, reject: failed } = Promise.withResolvers<void>()
  let failure: unknown

  // ---- the loop ----

  let isTurnDue = false

  /** All that one turn of the event loop brings is one step. */
  function wake(): void {
    if (isTurnDue) return
    isTurnDue = true
    world.clock.soon(runTurn)
  }

  function runTurn(): void {
    isTurnDue = false
    if (isEnding()) return
    try {
      turn()
    } catch (error) {
      fail(error)
    }
  }

  function push(event: RaftEvent): void {
    inbox.push(event)
    wake()
  }

  function turn(): void {
    const read = newest.take()
    if (read !== undefined) inbox.push({ kind: 'read', id: read })
    const events = inbox
    inbox = []
    if (events.length > 0) carryOut(step(raft, events), undefined)
    if (proposals.length === 0) return
    if (mayPropose()) proposeAll()
    else if (saver.isIdle) wakeLater()
  }

  /** The last entry of the newest batch of proposals, and when that was made. */
  let batch = { index: 0, atMs: Number.NEGATIVE_INFINITY }

  /**
   * Proposals wait for the sync under way, and for the batch before to be committed: what comes meanwhile is one batch.
   * Where the others are far away they wait no longer than a moment, so that batches follow each other on the way.
   */
  function mayPropose(): boolean {
    return saver.isIdle && (kv.index >= batch.index || world.clock.monotonicMs() - batch.atMs >= momentMs)
  }

  function proposeAll(): void {
    const events = proposals
    proposals = []
    const effects = step(raft, events)
    batch = { index: effects.accepted.at(-1)?.index ?? batch.index, atMs: world.clock.monotonicMs() }
    carryOut(effects, undefined)
  }

  const wakeLater = afterMoment(world.clock, momentMs, ending.signal, wake)
  const deadlineMs = () => world.clock.monotonicMs() + requestTimeoutMs
  const newest = createNewest({ clock: world.clock, momentMs, reads, deadlineMs, wake, wakeLater })
  /** A commit is told with the next batch when one follows closely, as it does while somebody writes. */
  const tellCommitLater = afterMoment(world.clock, momentMs, ending.signal, () => push({ kind: 'tellCommit' }))

  function carryOut(effects: Effects, base: Append['base']): void {
    const { save } = effects
    const before = role
    role = effects.role ?? role
    for (const entry of save?.entries ?? []) speech.learn(entry)
    let late = effects.send
    if (saver.holdsHard) late = [...effects.sendEarly, ...effects.send]
    else speech.send(effects.sendEarly)
    if (save !== undefined || base !== undefined || (late.length > 0 && !saver.isIdle)) {
      const isNew = save !== undefined && (save.hard.term !== hard.term || save.hard.vote !== hard.vote)
      if (isNew) hard = save.hard
      const messages = late
      saver.push({
        hard: isNew ? save.hard : undefined,
        base,
        entries: save?.entries ?? [],
        afterwards: () => speech.send(messages),
      })
      // A follower has nothing to say before; a leader's appends leave first, and what it answers in this turn.
      if (role.kind !== 'leader') saver.hurry()
      else if (effects.commit.length === 0) queueMicrotask(saver.hurry)
    } else speech.send(late)

    for (const { id, index, term } of effects.accepted) if (!commands.accepted(id)) accepted.set(index, { id, term })
    for (const { id, why } of effects.refused) refuse(id, why)
    for (const { member: id, ...found } of effects.lostData) {
      log.error('a member has less than it acknowledged: remove it, its peer may join anew', { member: id, ...found })
    }
    if (effects.untold) {
      if (commands.servesOthers) push({ kind: 'tellCommit' })
      else tellCommitLater()
    }
    if (effects.commit.length > 0) {
      if (role.kind === 'leader') applyAll(effects.commit)
      else queueMicrotask(() => applyLater(effects.commit))
    }
    for (const { id, index } of effects.reads) {
      newest.answered(id)
      if (index === undefined) reads.reject(id, new StoreError('unavailable', 'no leader answered a read'))
      else if (index <= kv.index) reads.resolve(id, kv.revision)
      else readsWaiting.push({ id, index })
    }
    if (effects.fetchSnapshot !== undefined) keeper.fetch(effects.fetchSnapshot.from, effects.fetchSnapshot.snapshot)
    if (effects.role !== undefined) becomeRole(before, effects.role)
  }

  /** The leader waits for a follower's answer, which leaves before this; a snapshot may have come in between. */
  function applyLater(entries: readonly Entry[]): void {
    try {
      const left = entries.filter(entry => entry.index > kv.index)
      if (left.length > 0 && !isEnding()) applyAll(left)
    } catch (error) {
      fail(error)
    }
  }

  function applyAll(entries: readonly Entry[]): void {
    const events: ChangeEvent[] = []
    const answers: { readonly waiting: Waiting<Answer>; readonly answer: Answer }[] = []
    let bytes = 0
    for (const entry of entries) {
      const { index, term } = entry
      if (entry.kind === 'command') bytes += entry.command.length
      const taken = entry.kind === 'command' ? commands.take(entry.command) : undefined
      const applied = apply(kv, { index, term, command: taken?.command }, taken?.waiting !== undefined)
      if (applied.answer.kind === 'unsupported') {
        throw new StoreError('closed', `entry ${index} is of a newer format: this program is too old for its cluster`)
      }
      if (applied.events.length > 0) keeper.note(applied.events)
      hashes.note(index, kv.hash)
      times.applied(applied.answer)
      for (const event of applied.events) events.push(event)
      if (taken?.waiting !== undefined) answers.push({ waiting: taken.waiting, answer: applied.answer })
      if (entry.kind !== 'membership') continue
      const change = accepted.get(index)
      accepted.delete(index)
      if (change?.term === term) changes.resolve(change.id, undefined)
      else if (change !== undefined) changes.reject(change.id, notLeader())
    }
    inbox.push({ kind: 'applied', index: kv.index })
    publish(watches, events, kv.revision)
    if (events.length > 0) tell({ kind: 'events', revision: kv.revision, events })
    for (const { waiting, answer } of answers) waiting.resolve(answer)
    afterApplied()
    forget(false)
    keeper.applied(bytes)
  }

  const hashes = createHashes()
  const times = createLeaseTimes({
    clock: world.clock,
    log,
    known: () => kv.leases,
    newest: inner => newest.ask(inner),
    revoke: (lease, term) => execute({ kind: 'revoke', lease, term }),
  })
  const asks = createAsks(world, log, {
    clusterId,
    requestTimeoutMs,
    isMember: peer => settings.mayRaft(peer) && [...peers.values()].includes(peer),
    leads: () => role.kind === 'leader',
    leaderPeer: () => (role.leader === member ? undefined : peerOf(role.leader)),
    times,
    hashes: indexes => knownOf(hashes, indexes),
    ending: ending.signal,
  })
  const audit = createAudit({
    self: member,
    membership: () => raftStatus(raft).membership,
    peers: () => peers,
    hashes,
    asks,
    log,
    fail: error => fail(error),
  })

  const listeners = new Set<(change: AppliedChange) => void>()

  function tell(change: AppliedChange): void {
    for (const listener of listeners) listener(change)
  }

  function afterApplied(): void {
    revisions.reached(kv.revision)
    indexes.reached(kv.index)
    if (readsWaiting.length === 0) return
    for (const { id, index } of readsWaiting) if (index <= kv.index) reads.resolve(id, kv.revision)
    readsWaiting = readsWaiting.filter(read => read.index > kv.index)
  }

  function refuse(id: number, why: Refusal): void {
    if (commands.refused(id, why)) return
    const error = why === 'not-leader' ? notLeader() : refusalError(why)
    changes.reject(id, error)
    transfers.reject(id, error)
  }

  function notLeader(): StoreError {
    const leader = role.leader === member ? undefined : peerOf(role.leader)
    return new StoreError('not-leader', `this peer does not lead; ${leader ?? 'no one known'} does`, leader)
  }

  // ---- leadership ----

  const leaderships = createLeaderships(role.term, ending.signal)
  const transferIds: number[] = []

  function becomeRole(before: Role, next: Role): void {
    if (next.kind !== before.kind || next.term !== before.term) {
      log.info('role', { role: next.kind, term: next.term, leader: peerOf(next.leader), member })
    }
    if (before.kind === 'leader' && (next.kind !== 'leader' || next.term !== before.term)) {
      // Its entries may still be committed by the next leader: so nobody can say now whether they happened.
      const error = (what: string) => new StoreError('unavailable', `leadership was lost; it may still happen: ${what}`)
      accepted.clear()
      changes.rejectAll(error)
    }
    commands.roleChanged()
    if (next.kind !== 'leader' && next.leader !== undefined) {
      for (const id of transferIds.splice(0)) transfers.resolve(id, undefined)
    }
    if (next.kind === 'removed') log.warn('this member was removed from the cluster', { member })
    showLeadership()
  }

  function showLeadership(): void {
    times.lead(role.kind === 'leader' && role.serving && !isEnding() ? role.term : undefined)
    if (role.kind === 'leader' && role.serving && !isEnding()) leaderships.lead(role.term)
    else leaderships.follow(role.term, role.leader === member ? undefined : peerOf(role.leader))
  }

  // ---- time ----

  const ticksOf = (ms: number) => Math.max(1, Math.round(ms / tickMs))
  const quietTicks = ticksOf(200)
  const markTicks = ticksOf(2_000)
  const fleeTicks = ticksOf(5_000)
  const bookmarkTicks = ticksOf(settings.bookmarkMs)
  const ageTicks = ticksOf(settings.historyAgeMs / 10)
  const auditTicks = ticksOf(settings.auditMs)
  let ticks = 0
  let busyAtTick = 0
  let markedAtTick = 0
  let bookmarked: Revision = kv.revision
  const forgetting = createForgetting({
    oldTicks: ticksOf(settings.historyAgeMs),
    countMax: settings.historyCountMax,
    bytesMax: settings.historyBytesMax,
  })

  function tick(): void {
    ticks += 1
    push({ kind: 'tick' })
    const nowMs = world.clock.monotonicMs()
    for (const one of asked) one.expire(nowMs)
    commands.expire(nowMs)
    // A moment after the last of a burst, and now and then during a long one.
    const isQuiet = ticks - busyAtTick >= quietTicks
    if (disklog.unmarked && (isQuiet || ticks - markedAtTick >= markTicks)) {
      markedAtTick = ticks
      saver.mark()
    }
    if (ticks % bookmarkTicks === 0 && kv.revision > bookmarked) {
      bookmarked = kv.revision
      bookmark(watches)
    }
    if (ticks % ageTicks === 0) forget(true)
    times.tick()
    if (ticks % auditTicks === 0) void audit()
    // Reads go on here; what is to be kept goes where there is room, if anybody has it.
    if (space.isTight && ticks % fleeTicks === 0) push({ kind: 'transfer', to: undefined })
  }

  function forget(isTick: boolean): void {
    if (!leaderships.current.mine) {
      forgetting.reset()
      return
    }
    const revision = forgetting.look(kv.versions, kv.revision, ticks, isTick)
    if (revision === undefined) return
    commands.execute(encode({ kind: 'compact', revision }), undefined).catch(error => {
      forgetting.reset()
      log.debug('old changes are forgotten later', { why: String(error) })
    })
  }

  // ---- what is asked ----

  function propose(event: RaftEvent): void {
    proposals.push(event)
    wake()
  }

  function checkOpen(): void {
    if (isEnding()) throw closed()
  }

  function checkLeader(): void {
    checkOpen()
    if (role.kind !== 'leader') throw notLeader()
    if (proposals.length >= inboxCountMax) throw new StoreError('unavailable', 'too many writes wait for the disk')
  }

  const encode = createEncoder()

  async function execute(command: Command, inner?: AbortSignal): Promise<Outcome> {
    checkOpen()
    if (space.isTight && role.kind === 'leader') throw new StoreError('unavailable', 'the disk of the leader is full')
    const bytes = encode(command)
    if (bytes.length > commandBytesMax) {
      throw new StoreError('too-large', `a command of ${bytes.length} bytes; at most ${commandBytesMax} are taken`)
    }
    const answer = await commands.execute(bytes, inner)
    const isOutcome = answer.kind !== 'idle' && answer.kind !== 'malformed' && answer.kind !== 'unsupported'
    assert(isOutcome, 'a command of ours is a command')
    return answer
  }

  async function write(command: Write, inner: AbortSignal): Promise<WriteResult> {
    checkLeader()
    const untilMs = command.id === undefined ? 0 : world.clock.monotonicMs() + requestTimeoutMs
    for (;;) {
      try {
        const outcome = await execute({ kind: 'write', write: command }, inner)
        assert(outcome.kind === 'write', 'a write is a write')
        return outcome.result
      } catch (error) {
        // Leadership was lost, and nobody can say whether it happened. One with an id is sent again: it happens once.
        const isUnknown = error instanceof StoreError && error.reason === 'unavailable' && role.kind !== 'leader'
        if (!isUnknown || inner.aborted || world.clock.monotonicMs() >= untilMs) throw error
        await world.clock.sleep(tickMs, inner)
      }
    }
  }

  const { changeMembership, transferLeadership } = createChanges(world, {
    requestTimeoutMs,
    raft: () => raftStatus(raft),
    speech,
    changes,
    transfers,
    transferIds,
    indexes,
    appliedIndex: () => kv.index,
    checkLeader,
    propose,
    push,
    deadlineMs,
  })

  // ---- life and end ----

  const snapshots = createSnapshotServer(world, keeper.giver, ending.signal)
  const handlers = [
    speech.listen({
      message: (from, message) => push({ kind: 'message', from, message }),
      lost(id) {
        push({ kind: 'unreachable', member: id })
        // Apart from each other, or the votes of those who lost the leader at one moment would be split.
        const waitMs = world.random.float() * 15
        if (id === role.leader) world.clock.sleep(waitMs, ending.signal).then(() => push({ kind: 'campaign' }))
      },
      isBlank: () => raftStatus(raft).lastIndex === 0,
      isFull: () => inbox.length >= inboxCountMax,
    }),
    world.network.onStream('snapshot', async (stream, inner) => {
      try {
        await snapshots.serve(stream, inner)
      } catch (error) {
        log.warn('a snapshot was not sent', { to: stream.remote, why: String(error) })
      }
    }),
    onAbort(signal, () => end(undefined)),
    commands,
    asks,
  ]

  function closed(): StoreError {
    return new StoreError(
      'closed',
      failure === undefined ? 'the store is closed' : `the store failed: ${String(failure)}`,
    )
  }

  function fail(error: unknown): void {
    if (isEnding()) {
      failure ??= error
      return
    }
    log.error('the store ends: what it must keep could not be kept', { why: String(error) })
    end({ error })
  }

  function end(why: { readonly error: unknown } | undefined): void {
    if (isEnding()) return
    if (why !== undefined) failure = why.error ?? new Error('unknown failure')
    ending.abort()
    space.close()
    for (const one of asked) one.rejectAll(closed)
    commands.end(closed)
    for (const threshold of [revisions, indexes]) threshold.rejectAll(closed)
    showLeadership()
    wakeAll(watches)
    saver.finish()
  }

  async function runTicks(): Promise<void> {
    while (!isEnding()) {
      await world.clock.sleep(tickMs, ending.signal)
      if (!isEnding()) tick()
    }
  }

  async function live(): Promise<void> {
    const saving = saver.run(entry => {
      if (entry !== undefined) inbox.push({ kind: 'durable', index: entry.index, term: entry.term })
      busyAtTick = ticks
      // Also without an entry: proposals may have waited for this.
      wake()
    })
    await Promise.all([saving.catch(fail), runTicks().catch(fail)])
    for (const handler of handlers) handler[Symbol.dispose]()
    await keeper.stop(() => failure === undefined)
    if (failure === undefined) finished()
    else failed(failure)
  }
  live().catch(failed)

  return {
    done,
    async stop() {
      end(undefined)
      await done.catch(() => {
        // Whoever waits for `done` hears of it; to stop what has failed is no failure.
      })
    },
    backup() {
      checkOpen()
      return encodeSnapshot(captureKv(kv), new Uint8Array(0))
    },
    hash: () => ({ index: kv.index, hash: kv.hash }),
    async get(key, options) {
      checkOpen()
      return get(kv, key, options?.revision)
    },
    async range(options) {
      checkOpen()
      return range(kv, options)
    },
    watch: (options, inner) => runWatch({ watches, kv: () => kv, isClosed: isEnding }, options, inner),
    write,
    execute,
    look: query => look(kv, query),
    since: (from, after, countMax) => kv.versions.since(from, after, kv.revision, countMax),
    hashAt: revision => hashAt(kv, revision),
    leases: () => [...kv.leases.keys()],
    lease: asks.lease,
    renewLease: asks.renewLease,
    onApplied(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    newest: inner => (isEnding() ? Promise.reject(closed()) : newest.ask(inner)),
    async applied(revision, inner) {
      checkOpen()
      if (kv.revision < revision) await revisions.wait(revision, inner)
    },
    revision: () => kv.revision,
    status: () => describeStatus(raftStatus(raft), kv, peers, peerOf(role.leader)),
    leadership: leaderships.stream,
    changeMembership,
    transferLeadership,
  }
}
