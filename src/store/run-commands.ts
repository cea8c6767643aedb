// Commands on their way into the log: each has a number of its own in this store's life, goes to the leader (here or
// elsewhere, all of one turn in one message), and is answered when this replica has applied it. A command is handed over
// once and never again by itself: when the leader is lost before it is applied, nobody can say whether it happened, and
// its caller is told so. The leader takes each number of a sender once per term, so a doubled message does no harm.
import { StoreError } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Refusal, Role } from '../raft/types.ts'
import type { Log } from '../world/log.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import { decodeSpeech, encodeSpeech, type Refused, unwrap, wrap } from './command.ts'
import { refusalError } from './refusal.ts'

export type Waiting<T> = {
  readonly sequence: number
  readonly deadlineMs: number
  /** Undefined while this peer leads or nobody does. */
  leader: PeerId | undefined
  readonly resolve: (answer: T) => void
  readonly reject: (error: Error) => void
  readonly listener: Disposable | undefined
}

export type CommandsConfig = {
  readonly clusterId: string
  readonly requestTimeoutMs: number
  /** Commands that wait at most; of more, new ones are refused. */
  readonly countMax: number
  /** Members of the cluster may forward. */
  readonly isMember: (peer: PeerId) => boolean
  readonly role: () => Role
  /** Of the leader; undefined while none is known, or it is this peer. */
  readonly leaderPeer: () => PeerId | undefined
  /** Takes a command into the log; `id` comes back to `refused` when it was not. */
  readonly propose: (id: number, command: Bytes) => void
  readonly nextId: () => number
}

export interface Commands<T> {
  /** Rejects with StoreError; without a signal the time-out alone ends it. */
  execute(command: Bytes, signal: AbortSignal | undefined): Promise<T>
  /** The entry that is applied now: whoever waits here for it, and what the state machine reads of it. */
  take(entry: Bytes): { readonly waiting: Waiting<T> | undefined; readonly command: Bytes }
  /** The core took, or did not take, what was proposed under this id; false: it was none of ours. */
  accepted(id: number): boolean
  refused(id: number, why: Refusal): boolean
  /** The role changed: what went to a leader that is none any more has nobody who can say what became of it. */
  roleChanged(): void
  expire(nowMs: number): void
  end(error: () => Error): void
  readonly waitingCount: number
  /** Another member has sent us commands within the last second: it waits to hear of their commit. */
  readonly servesOthers: boolean
}

type Foreign = { readonly peer: PeerId; readonly origin: number; readonly sequence: number }

/** Senders that a leader remembers within a term. */
const originCountMax = 10_000

export function createCommands<T>(world: World, log: Log, config: CommandsConfig): Commands<T> & Disposable {
  const { network, clock } = world
  const { clusterId: cluster, requestTimeoutMs } = config
  // Never 0, which stands for nobody.
  const origin = 1 + Math.floor(world.random.float() * 0xffff_fffe)
  let lastSequence = 0
  const waiting = new Map<number, Waiting<T>>()
  /** What this leader proposed, until the core has said yes or no: its own by sequence, or of another peer. */
  const proposed = new Map<number, number | Foreign>()
  /** This turn's commands for another leader. */
  let outgoing: Bytes[] = []
  let refusals = new Map<PeerId, { origin: number; refused: Refused[] }>()
  /** The highest number taken of each sender in this term. */
  let taken = new Map<number, number>()
  let takenTerm = 0
  let tookAtMs = Number.NEGATIVE_INFINITY

  const handler = network.onMessage('store', (peer, bytes) => {
    const speech = config.isMember(peer) ? decodeSpeech(bytes) : undefined
    if (speech === undefined || speech.cluster !== cluster) {
      log.debug('dropped a message about commands', { from: peer, bytes: bytes.length })
      return
    }
    if (speech.kind === 'forward') takeForwarded(peer, speech.term, speech.commands)
    else if (speech.origin === origin) for (const one of speech.refused) wasRefused(peer, one)
  })

  function takeForwarded(peer: PeerId, term: number, commands: readonly Bytes[]): void {
    const role = config.role()
    if (takenTerm !== role.term || taken.size > originCountMax) {
      taken = new Map()
      takenTerm = role.term
    }
    for (const bytes of commands) {
      const { origin: theirs, sequence } = unwrap(bytes)
      const foreign = { peer, origin: theirs, sequence }
      if (theirs === 0) continue
      if (role.kind !== 'leader' || role.term !== term) refuseForeign(foreign, 'not-leader')
      else if (sequence > (taken.get(theirs) ?? 0)) {
        taken.set(theirs, sequence)
        tookAtMs = clock.monotonicMs()
        const id = config.nextId()
        proposed.set(id, foreign)
        config.propose(id, bytes)
      }
    }
  }

  function refuseForeign({ peer, origin: theirs, sequence }: Foreign, why: Refused['why']): void {
    if (refusals.size === 0) queueMicrotask(sendRefusals)
    const batch = refusals.get(peer) ?? { origin: theirs, refused: [] }
    refusals.set(peer, batch)
    if (batch.origin === theirs) batch.refused.push({ sequence, why })
  }

  function sendRefusals(): void {
    const all = refusals
    refusals = new Map()
    for (const [peer, batch] of all) network.send(peer, 'store', encodeSpeech({ kind: 'refused', cluster, ...batch }))
  }

  function wasRefused(peer: PeerId, { sequence, why }: Refused): void {
    const one = waiting.get(sequence)
    if (one?.leader !== peer) return
    settle(one)?.reject(
      why === 'not-leader'
        ? new StoreError('not-leader', `${peer} does not lead any more; try again`)
        : new StoreError(
            'unavailable',
            `the leader ${peer} has too much to do and did not take the command; try again`,
          ),
    )
  }

  function settle(one: Waiting<T>): Waiting<T> | undefined {
    if (!waiting.delete(one.sequence)) return undefined
    one.listener?.[Symbol.dispose]()
    return one
  }

  function flushOutgoing(): void {
    const commands = outgoing
    outgoing = []
    const leader = config.leaderPeer()
    if (leader === undefined) return
    network.send(leader, 'store', encodeSpeech({ kind: 'forward', cluster, term: config.role().term, commands }))
  }

  const late = () => new StoreError('unavailable', 'no answer in time: a write; it may still happen')

  return {
    get waitingCount() {
      return waiting.size
    },
    get servesOthers() {
      return clock.monotonicMs() - tookAtMs < 1_000
    },
    execute(command, signal) {
      if (waiting.size >= config.countMax) {
        return Promise.reject(new StoreError('unavailable', 'too many writes wait; none of them is lost, try again'))
      }
      const leader = config.leaderPeer()
      const isHere = config.role().kind === 'leader'
      if (!isHere && leader === undefined) {
        return Promise.reject(new StoreError('unavailable', 'no leader is known; try again in a moment'))
      }
      if (signal?.aborted === true) return Promise.reject(late())
      lastSequence += 1
      const sequence = lastSequence
      const { promise, resolve, reject } = Promise.withResolvers<T>()
      const listener =
        signal === undefined
          ? undefined
          : onAbort(signal, () => {
              waiting.delete(sequence)
              reject(late())
            })
      const deadlineMs = clock.monotonicMs() + requestTimeoutMs
      waiting.set(sequence, { sequence, deadlineMs, leader: isHere ? undefined : leader, resolve, reject, listener })
      const bytes = wrap(origin, sequence, command)
      if (isHere) {
        const id = config.nextId()
        proposed.set(id, sequence)
        config.propose(id, bytes)
      } else {
        if (outgoing.length === 0) clock.soon(flushOutgoing)
        outgoing.push(bytes)
      }
      return promise
    },
    take(entry) {
      const wrapped = unwrap(entry)
      if (wrapped.origin !== origin) return { waiting: undefined, command: wrapped.command }
      const one = waiting.get(wrapped.sequence)
      return { waiting: one === undefined ? undefined : settle(one), command: wrapped.command }
    },
    accepted: id => proposed.delete(id),
    refused(id, why) {
      const one = proposed.get(id)
      if (one === undefined) return false
      proposed.delete(id)
      const isNotLeader = why === 'not-leader'
      if (typeof one !== 'number') {
        refuseForeign(one, isNotLeader ? 'not-leader' : 'unavailable')
        return true
      }
      const mine = waiting.get(one)
      const leader = config.leaderPeer()
      const error = isNotLeader
        ? new StoreError('not-leader', `this peer does not lead; ${leader ?? 'no one known'} does`, leader)
        : refusalError(why)
      if (mine !== undefined) settle(mine)?.reject(error)
      return true
    },
    roleChanged() {
      const leader = config.leaderPeer()
      const isHere = config.role().kind === 'leader'
      for (const one of waiting.values()) {
        if (isHere ? one.leader === undefined : one.leader !== undefined && one.leader === leader) continue
        settle(one)?.reject(new StoreError('unavailable', 'leadership changed; it may still happen: a write'))
      }
    },
    expire(nowMs) {
      for (const one of waiting.values()) if (one.deadlineMs <= nowMs) settle(one)?.reject(late())
    },
    end(error) {
      for (const one of waiting.values()) settle(one)?.reject(error())
    },
    [Symbol.dispose]: () => handler[Symbol.dispose](),
  }
}
