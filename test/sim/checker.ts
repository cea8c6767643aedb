// What must hold in every run, whatever breaks: the safety properties of Raft (paper, figure 3) and what clients were
// promised. Fed with what is seen on the network, on the disks and at the state machines; throws at the first lie.
import { text } from '../../src/lib/bytes.ts'
import type { Entry, HardState, Index, MemberId, Membership, Message, Term } from '../../src/raft/types.ts'

export class SafetyError extends Error {
  override readonly name = 'SafetyError'
}

function must(holds: boolean, what: () => string): void {
  if (!holds) throw new SafetyError(what())
}

const contentOf = (entry: Entry): string =>
  entry.kind === 'command'
    ? `c${text(entry.command)}`
    : entry.kind === 'membership'
      ? `m${JSON.stringify(entry.membership)}`
      : 'e'

export type Checker = ReturnType<typeof createChecker>

export function createChecker() {
  const leaderOf = new Map<Term, MemberId>()
  const voteOf = new Map<string, MemberId>()
  const entryOf = new Map<string, { content: string; previousTerm: Term | undefined }>()
  const committed: { term: Term; content: string }[] = []
  const hashOf = new Map<Index, string>()
  const appliedOf = new Map<string, Index>()
  /** Entries that a leader has called committed: their term, and the first term in which it was said. */
  const saidCommitted = new Map<Index, { readonly term: Term; readonly by: Term }>()
  let committedMembership: { index: Index; membership: Membership } | undefined
  let acknowledgedIndex = 0
  const counts = { leaders: 0, writes: 0, reads: 0, memberships: 0 }

  /** Election safety: one leader in a term. */
  function leads(member: MemberId, term: Term): void {
    const known = leaderOf.get(term)
    must(known === undefined || known === member, () => `term ${term} has two leaders, ${known} and ${member}`)
    if (known === undefined) counts.leaders++
    leaderOf.set(term, member)
  }

  /** A member votes once in a term, also across crashes. */
  function votes(member: MemberId, term: Term, vote: MemberId): void {
    const key = `${member}@${term}`
    const known = voteOf.get(key)
    must(known === undefined || known === vote, () => `${member} voted for ${known} and ${vote} in term ${term}`)
    voteOf.set(key, vote)
  }

  /** Log matching: index and term name one entry, and one entry before it. */
  function entries(list: readonly Entry[], previousTerm: Term | undefined): void {
    let before = previousTerm
    for (const entry of list) {
      const key = `${entry.index}/${entry.term}`
      const content = contentOf(entry)
      const known = entryOf.get(key)
      if (known === undefined) entryOf.set(key, { content, previousTerm: before })
      else {
        must(known.content === content, () => `entry ${key} is two entries: ${known.content} and ${content}`)
        const agrees = known.previousTerm === undefined || before === undefined || known.previousTerm === before
        must(agrees, () => `before entry ${key} comes term ${known.previousTerm} and term ${before}`)
        known.previousTerm ??= before
      }
      before = entry.term
    }
  }

  /** Leader completeness, as far as messages show it: no later leader has another entry where one was committed. */
  function completes(member: MemberId, message: Extract<Message, { kind: 'append' }>): void {
    const { term, previousIndex, previousTerm, commit } = message
    for (const entry of [{ index: previousIndex, term: previousTerm }, ...message.entries]) {
      const { index } = entry
      const known = saidCommitted.get(index)
      const agrees = known === undefined || known.term === entry.term || known.by > term
      must(
        agrees,
        () => `${member} leads term ${term} with ${index}/${entry.term}, ${index}/${known?.term} is committed`,
      )
      if (index <= commit && known === undefined) saidCommitted.set(index, { term: entry.term, by: term })
    }
  }

  return {
    counts,
    leads,
    votes,
    entries,
    acknowledgedIndex: () => acknowledgedIndex,
    committedIndex: () => committed.length,

    saves(member: MemberId, hard: HardState, list: readonly Entry[], previousTerm: Term | undefined): void {
      if (hard.vote !== undefined) votes(member, hard.term, hard.vote)
      entries(list, previousTerm)
    },

    sends(member: MemberId, to: MemberId, message: Message): void {
      if (message.kind === 'append') {
        leads(member, message.term)
        entries(message.entries, message.previousTerm)
        completes(member, message)
      } else if (message.kind === 'voteAnswer' && message.granted) votes(member, message.term, to)
    },

    /** Leader completeness: what was committed in an earlier term is in the log of every later leader. */
    elected(member: MemberId, term: Term, termAt: (index: Index) => Term | undefined): void {
      const newest = committed[committed.length - 1]
      if (newest === undefined || newest.term >= term) return
      const index = committed.length
      const own = termAt(index)
      must(
        own === newest.term,
        () => `${member} leads term ${term} with term ${own} at committed ${index}/${newest.term}`,
      )
    },

    /** State machine safety: at one index the same entry everywhere, in order, without a gap. `life` is one run of one member. */
    applies(life: string, entry: Entry, hash: string): void {
      const { index, term } = entry
      const previous = appliedOf.get(life)
      must(previous === undefined || index === previous + 1, () => `${life} applied ${index} after ${previous}`)
      appliedOf.set(life, index)
      const content = contentOf(entry)
      must(index <= committed.length + 1, () => `${life} applied ${index}, the newest known is ${committed.length}`)
      const known = committed[index - 1]
      if (known === undefined) {
        committed.push({ term, content })
        if (entry.kind === 'membership') follows(index, entry.membership)
      } else {
        const isSame = known.term === term && known.content === content
        must(isSame, () => `${life} applied ${term}:${content} at ${index}, others ${known.term}:${known.content}`)
      }
      this.hashes(life, index, hash)
    },

    hashes(who: string, index: Index, hash: string): void {
      const known = hashOf.get(index)
      must(known === undefined || known === hash, () => `${who} has state ${hash} at ${index}, others ${known}`)
      hashOf.set(index, hash)
    },

    installs(life: string, index: Index): void {
      appliedOf.set(life, index)
    },

    acknowledges(index: Index): void {
      counts.writes++
      acknowledgedIndex = Math.max(acknowledgedIndex, index)
    },

    /** A newest read shows all that was acknowledged before it was asked. */
    reads(who: string, index: Index, acknowledgedBefore: Index): void {
      counts.reads++
      must(
        index >= acknowledgedBefore,
        () => `${who} read at ${index}, but ${acknowledgedBefore} was acknowledged before`,
      )
    },
  }

  /** One voter comes or goes at a time, so that majorities meet; nobody comes back under a removed name. */
  function follows(index: Index, membership: Membership): void {
    counts.memberships++
    const before = committedMembership?.membership
    committedMembership = { index, membership }
    if (before === undefined) return
    const changed =
      membership.voters.filter(id => !before.voters.includes(id)).length +
      before.voters.filter(id => !membership.voters.includes(id)).length
    must(changed <= 1, () => `membership ${index} changes ${changed} voters at once`)
    must(membership.voters.length > 0, () => `membership ${index} has no voters`)
    for (const id of before.removed) {
      must(membership.removed.includes(id), () => `membership ${index} forgets that ${id} was removed`)
      const isBack = membership.voters.includes(id) || membership.learners.includes(id)
      must(!isBack, () => `membership ${index} admits ${id} again`)
    }
  }
}
