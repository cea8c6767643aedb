// Asks the other members now and then for their hashes, and says so, or ends this store, when they differ (audit.ts).
import type { MemberId, Membership } from '../raft/types.ts'
import type { Log } from '../world/log.ts'
import type { IndexHash } from './ask.ts'
import { type Hashes, judge } from './audit.ts'
import { StoreDamage } from './log.ts'
import type { Peers } from './members.ts'
import type { Asks } from './run-asks.ts'

export type AuditConfig = {
  readonly self: MemberId
  readonly membership: () => Membership
  readonly peers: () => Peers
  readonly hashes: Hashes
  readonly asks: Pick<Asks, 'hashesOf'>
  readonly log: Log
  readonly fail: (error: StoreDamage) => void
}

/** One round; does nothing when nothing was applied since all were found equal. Never rejects. */
export function createAudit({ self, membership, peers, hashes, asks, log, fail }: AuditConfig): () => Promise<void> {
  let equalAt = 0
  let isAsking = false

  async function round(): Promise<void> {
    const candidates = hashes.candidates()
    const [newest] = candidates
    if (newest === undefined || newest === equalAt) return
    const { voters, learners } = membership()
    const others = [...voters, ...learners].filter(member => member !== self)
    const told = new Map<MemberId, readonly IndexHash[]>([[self, knownOf(hashes, candidates)]])
    await Promise.all(
      others.map(async member => {
        const peer = peers().get(member)
        const answer = peer === undefined ? undefined : await asks.hashesOf(peer, candidates)
        if (answer !== undefined) told.set(member, answer)
      }),
    )
    const verdict = judge(self, voters, candidates, told)
    switch (verdict.kind) {
      case 'unknown':
        return
      case 'equal':
        if (told.size === others.length + 1 && verdict.index === newest) equalAt = newest
        return
      case 'others-differ':
        log.error('the state of other members differs from that of a majority', {
          index: verdict.index,
          others: verdict.others.join(' '),
        })
        return
      case 'undecided':
        log.error('members differ in their state, and none of them has a majority: compare them by hand', {
          ...verdict,
        })
        return
      case 'self-differs': {
        const what = `at index ${verdict.index} the state of this member differs from that of a majority`
        fail(new StoreDamage('corrupt', what))
      }
    }
  }

  return async () => {
    if (isAsking) return
    isAsking = true
    try {
      await round()
    } finally {
      isAsking = false
    }
  }
}

export function knownOf(hashes: Hashes, indexes: readonly number[]): readonly IndexHash[] {
  return indexes.flatMap(index => {
    const hash = hashes.get(index)
    return hash === undefined ? [] : [{ index, hash }]
  })
}
