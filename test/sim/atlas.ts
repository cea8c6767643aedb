// Where faults may destroy what was promised to be kept: on so few members that a majority of every membership that may
// count now has never lost anything. So a failure of a run is a bug, and not bad luck. (The fault atlas of TigerBeetle.)
import { majority } from '../../src/raft/quorum.ts'
import type { MemberId, Membership, Message } from '../../src/raft/types.ts'

/** Older ones are committed over: whatever happens, they do not count again. */
const keptCount = 6

export type Atlas = {
  /** Memberships on their way through the network. */
  readonly sees: (message: Message) => void
  /** Of the memberships that may count, those that have so many voters left; `isLeft` says who. */
  readonly isQuorum: (isLeft: (member: MemberId) => boolean) => boolean
  /** Those that were ever admitted to vote and never to lead. */
  readonly witnesses: ReadonlySet<MemberId>
}

export function createAtlas(founder: MemberId): Atlas {
  const witnesses = new Set<MemberId>()
  const known = new Map<string, { readonly index: number; readonly membership: Membership }>()
  note(0, { voters: [founder], learners: [], removed: [] })

  function note(index: number, membership: Membership): void {
    const key = `${index} ${membership.voters}`
    if (known.has(key)) return
    known.set(key, { index, membership })
    for (const member of membership.witnesses ?? []) witnesses.add(member)
    const indexes = [...known.values()].map(one => one.index).sort((a, b) => b - a)
    const oldest = indexes[keptCount - 1] ?? 0
    for (const [name, one] of known) if (one.index < oldest) known.delete(name)
  }

  return {
    sees(message) {
      if (message.kind === 'snapshot') note(message.snapshot.index, message.snapshot.membership)
      if (message.kind !== 'append') return
      for (const entry of message.entries) if (entry.kind === 'membership') note(entry.index, entry.membership)
    },
    isQuorum: isLeft =>
      [...known.values()].every(
        ({ membership: { voters } }) => voters.filter(isLeft).length >= majority(voters.length),
      ),
    witnesses,
  }
}
