// A CommandStore of one replica in memory, on the real kv: for tests of etcd's API without a disk or peers.
import type { Context } from '../../src/etcd/context.ts'
import { HeaderWriter } from '../../src/etcd/responses.ts'
import { encodeCommand } from '../../src/kv/codec.ts'
import { apply, createKv, type Kv } from '../../src/kv/kv.ts'
import { hashAt, look } from '../../src/kv/read.ts'
import { type Leadership, StoreError } from '../../src/kv/store.ts'
import type { AppliedChange, Command, CommandStore, Outcome } from '../../src/kv/txn.ts'
import { onAbort } from '../../src/lib/abort.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import type { Clock } from '../../src/world/clock.ts'
import { peerId } from '../../src/world/network.ts'
import { memoryStore } from '../apiserver/memory-store.ts'

export const self = peerId('memory')

export type MemoryCommandStore = CommandStore & {
  /** All of one turn: applied one after the other, told as one change. */
  applyAll(commands: readonly Command[]): Outcome[]
  /** Tells those who listen that changes were skipped, as an installed snapshot does. */
  interrupt(commands: readonly Command[]): void
  setLeader(known: boolean): void
}

export function memoryCommandStore(): MemoryCommandStore {
  const kv: Kv = createKv()
  const listeners = new Set<(change: AppliedChange) => void>()
  const leaderListeners = new Set<() => void>()
  const renewed = new Map<number, number>()
  let index = 0
  let hasLeader = true

  function applyAll(commands: readonly Command[]): { outcomes: Outcome[]; change: AppliedChange } {
    const events = []
    const outcomes: Outcome[] = []
    for (const command of commands) {
      index += 1
      const applied = apply(kv, { index, term: 2, command: encodeCommand(command) }, true)
      if (!('revision' in applied.answer)) throw new Error(`${command.kind} came to be ${applied.answer.kind}`)
      events.push(...applied.events)
      outcomes.push(applied.answer)
    }
    return { outcomes, change: { kind: 'events', revision: kv.revision, events } }
  }

  function tell(change: AppliedChange): void {
    for (const listener of listeners) listener(change)
  }

  return {
    ...memoryStore({ self }),
    applyAll(commands) {
      const { outcomes, change } = applyAll(commands)
      tell(change)
      return outcomes
    },
    interrupt(commands) {
      applyAll(commands)
      tell({ kind: 'break', revision: kv.revision })
    },
    setLeader(known) {
      hasLeader = known
      for (const listener of leaderListeners) listener()
    },
    async execute(command) {
      if (!hasLeader) throw new StoreError('unavailable', 'no leader')
      await Promise.resolve()
      const { outcomes, change } = applyAll([command])
      tell(change)
      const [outcome] = outcomes
      if (outcome === undefined) throw new Error('no outcome')
      return outcome
    },
    look: query => look(kv, query),
    onApplied(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => listeners.delete(listener) }
    },
    since: (range, after, countMax) => kv.versions.since(range, after, kv.revision, countMax),
    async renewLease(lease) {
      const found = kv.leases.get(lease)
      if (found === undefined) return undefined
      renewed.set(lease, (renewed.get(lease) ?? 0) + 1)
      return { ttlSeconds: found.ttlSeconds }
    },
    async lease(lease) {
      const found = kv.leases.get(lease)
      if (found === undefined) return undefined
      const { ttlSeconds } = found
      return { lease, grantedSeconds: ttlSeconds, remainingSeconds: ttlSeconds - 0.5, keys: [...found.keys] }
    },
    leases: () => [...kv.leases.keys()],
    hashAt: revision => hashAt(kv, revision),
    *backup() {
      yield utf8('a backup, ')
      yield utf8('in two chunks')
    },
    async newest() {
      if (!hasLeader) throw new StoreError('unavailable', 'no leader')
      return kv.revision
    },
    revision: () => kv.revision,
    status: () => ({
      term: 2,
      leader: hasLeader ? self : undefined,
      role: hasLeader ? 'leader' : 'follower',
      appliedIndex: index,
      commitIndex: index,
      revision: kv.revision,
      compactedRevision: kv.versions.compacted,
      members: [{ member: 'm0', peer: self, role: 'voter' }],
      matchIndex: {},
    }),
    async *leadership(signal): AsyncGenerator<Leadership> {
      while (!signal.aborted) {
        yield hasLeader ? { mine: true, term: 2, ended: signal } : { mine: false, term: 2, leader: undefined }
        await new Promise<void>(resolve => {
          const done = () => {
            leaderListeners.delete(done)
            resolve()
          }
          leaderListeners.add(done)
          onAbort(signal, done)
        })
      }
    },
  }
}

/** What a handler of etcd's API stands on, for one that asks for little more than the store. */
export function contextOn(
  store: CommandStore,
  clock: Clock,
  requireLeader: Context['requireLeader'] = () => true,
): Context {
  return {
    store,
    clusterId: 1n,
    memberId: 2n,
    member: 'm0',
    header: new HeaderWriter(1n, 2n),
    clientUrlsOf: () => [],
    nameOf: () => '',
    dbBytes: () => Promise.resolve(0),
    hasLeader: () => true,
    clock,
    requireLeader,
    signal: new AbortController().signal,
  }
}
