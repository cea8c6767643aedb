// Who has a seat in deciding. Where the peers keep the state, that is a raft member, which the leader gives on admission and
// which must be taken before the peer's Node may go. Where an external etcd keeps it, nobody has one: etcd decides, and who is
// there is whoever has a session in it.
import { ApiError } from '../api/error.ts'
import { type Store, StoreError } from '../kv/store.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { Questions } from './run-questions.ts'

const askLeaderMs = 20_000
const patienceMs = 10_000
const changeAgainMs = 100

export interface Seats extends Disposable {
  /** The member ID of a peer that is admitted; `anew`: it was here before, and gets another one. */
  give(peer: PeerId, how: { readonly anew: boolean; readonly witness: boolean }, signal: AbortSignal): Promise<string>
  /** Takes all that the peer has. */
  take(peer: PeerId, signal: AbortSignal): Promise<void>
  has(peer: PeerId): boolean
  /** What to do when nobody leads. */
  readonly leaderlessWords: string
}

type SeatStore = Pick<Store, 'status' | 'changeMembership'>

/** Serves the leader's part until it is disposed. */
export function raftSeats(world: World, store: SeatStore, questions: Questions, signal: AbortSignal): Seats {
  async function askLeader<T>(fields: object, until: AbortSignal): Promise<T> {
    const { leader } = store.status()
    if (leader === undefined) throw new ApiError('ServiceUnavailable', 'there is no leader at this moment')
    if (leader === world.network.self) return (await lead(leader, fields, until)) as T
    using deadline = world.clock.deadline(askLeaderMs, until)
    return await questions.ask<T>(leader, 'member', fields, deadline.signal)
  }

  async function lead(from: PeerId, asked: object, until: AbortSignal): Promise<object> {
    const { want, peer, anew, witness } = asked as Readonly<Record<string, unknown>>
    if (typeof peer !== 'string') throw new Error('the question cannot be read')
    if (!store.status().members.some(member => member.peer === from)) throw new Error('only a member may ask this')
    const both = AbortSignal.any([until, signal])
    if (want === 'none' || anew === true) await patiently(() => removeMembers(store, peer as PeerId, both), both)
    if (want === 'none') return {}
    const added = { kind: 'add', peer: peer as PeerId, ...(witness === true && { witness: true }) } as const
    const { member } = await patiently(() => store.changeMembership(added, both), both)
    return { memberId: member }
  }

  /** There is one change of membership at a time, and the leader makes some of its own. */
  async function patiently<T>(change: () => Promise<T>, until: AbortSignal): Promise<T> {
    const startedMs = world.clock.monotonicMs()
    for (;;) {
      try {
        return await change()
      } catch (error) {
        const passes = error instanceof StoreError && error.reason === 'unavailable'
        if (!passes || until.aborted || world.clock.monotonicMs() - startedMs > patienceMs) throw error
        await world.clock.sleep(changeAgainMs, until)
      }
    }
  }

  const answering = questions.on('member', (from, asked, until) => lead(from, asked, until))
  return {
    async give(peer, how, until) {
      const { memberId } = await askLeader<{ memberId: string }>({ want: 'new', peer, ...how }, until)
      return memberId
    },
    async take(peer, until) {
      await askLeader({ want: 'none', peer }, until)
    },
    has: peer => store.status().members.some(member => member.peer === peer),
    leaderlessWords:
      'the cluster has no leader, so no majority of its voters is there, and nobody can be removed. Bring voters back, or run ' +
      '`flotilla recover` on the peer with the newest copy: it begins again without the lost ones',
    [Symbol.dispose]: () => answering[Symbol.dispose](),
  }
}

/** Of a cluster whose state is in an external etcd. */
export function noSeats({ random }: Pick<World, 'random'>): Seats {
  return {
    give: async () => random.uuid(),
    take: async () => {},
    has: () => false,
    leaderlessWords:
      'nobody leads at this moment: does the etcd of this cluster answer? Try again when `flotilla status` names a leader',
    [Symbol.dispose]() {},
  }
}

/** A voter loses its vote first: its removal then needs nobody's answer but the others'. */
async function removeMembers(store: SeatStore, peer: PeerId, signal: AbortSignal): Promise<void> {
  const before = store.status().members.find(member => member.peer === peer)
  if (before === undefined) return
  if (before.role === 'voter') await store.changeMembership({ kind: 'demote', member: before.member }, signal)
  await store.changeMembership({ kind: 'remove', member: before.member }, signal)
}
