// What must hold in every run, whatever breaks: the safety properties of Raft (paper, figure 3), those of single-server
// membership change (dissertation 4), and what clients were promised. Fed after every event with what is seen on the
// network, on the disks and at the state machines; throws at the first lie.
import { crc32 } from '../../src/lib/crc32.ts'
import { majority } from '../../src/raft/quorum.ts'
import type { Entry, HardState, Index, MemberId, Membership, Message, Term } from '../../src/raft/types.ts'
import { must } from './safety.ts'

type Append = Extract<Message, { kind: 'append' }>
type Committed = { readonly term: Term; readonly content: number }

/** A number that differs where entries do: the kind, and a checksum of what it holds. */
function contentOf(entry: Entry): number {
  switch (entry.kind) {
    case 'empty':
      return 0
    case 'command':
      return 2 ** 32 + crc32(entry.command)
    case 'membership':
      return 2 ** 33 + crc32(new TextEncoder().encode(JSON.stringify(entry.membership)))
  }
}

/** Index and term as one number; runs are far from 2^26 entries and 2^26 terms. */
const keyOf = (index: Index, term: Term) => index * 2 ** 26 + term

export type Checker = ReturnType<typeof createChecker>

export function createChecker() {
  const leaderOf = new Map<Term, MemberId>()
  const votesOf = new Map<MemberId, Map<Term, MemberId>>()
  const savedTermOf = new Map<MemberId, Term>()
  const entryOf = new Map<number, { content: number; previousTerm: Term | undefined }>()
  /** Entry objects that were looked at, with the term before them: messages of one process share them. */
  const known = new WeakMap<Entry, Term>()
  const committed: Committed[] = []
  const hashOf = new Map<Index, string>()
  const appliedOf = new Map<string, Index>()
  /** Entries that a leader has called committed: their term, and the first term in which it was said. */
  const saidCommitted = new Map<Index, { readonly term: Term; readonly by: Term }>()
  /** Of each term, as its leader's messages show it: its first entry, if that was seen, and its newest change. */
  const termOf = new Map<Term, { first: Index | undefined; change: Index }>()
  /** How far each member has said that its log holds what its leader's does. */
  const promiseOf = new Map<MemberId, { readonly term: Term; readonly index: Index }>()
  /** The newest leader's term that has reached a member: it may take back what was promised to an earlier one. */
  const heardTermOf = new Map<MemberId, Term>()
  const memberships: { readonly index: Index; readonly membership: Membership }[] = []
  const everMembers = new Set<MemberId>()
  const witnesses = new Set<MemberId>()
  let acknowledgedIndex = 0
  const counts = { leaders: 0, writes: 0, reads: 0, memberships: 0 }

  function leads(member: MemberId, term: Term): void {
    const before = leaderOf.get(term)
    if (before === member) return
    must(before === undefined, 'one leader per term', () => `term ${term} has two, ${before} and ${member}`)
    must(!witnesses.has(member), 'witnesses never lead', () => `${member} leads term ${term}`)
    counts.leaders++
    leaderOf.set(term, member)
  }

  /** Also across crashes. */
  function votes(member: MemberId, term: Term, vote: MemberId): void {
    const mine = votesOf.get(member) ?? new Map<Term, MemberId>()
    const before = mine.get(term)
    const isSame = before === undefined || before === vote
    must(isSame, 'one vote per term', () => `${member} voted for ${before} and ${vote} in term ${term}`)
    mine.set(term, vote)
    votesOf.set(member, mine)
  }

  /** Index and term name one entry, and one entry before it. */
  function entries(list: readonly Entry[], previousTerm: Term | undefined): void {
    let before = previousTerm
    for (const entry of list) {
      if (before === undefined || known.get(entry) !== before) {
        matches(entry, before)
        if (before !== undefined) known.set(entry, before)
      }
      before = entry.term
    }
  }

  function matches(entry: Entry, before: Term | undefined): void {
    const { index, term } = entry
    const content = contentOf(entry)
    const other = entryOf.get(keyOf(index, term))
    if (other === undefined) {
      entryOf.set(keyOf(index, term), { content, previousTerm: before })
      return
    }
    must(other.content === content, 'log matching', () => `entry ${index}/${term} is two entries, one of ${entry.kind}`)
    const agrees = other.previousTerm === undefined || before === undefined || other.previousTerm === before
    must(agrees, 'log matching', () => `before ${index}/${term} comes term ${other.previousTerm}, and term ${before}`)
    other.previousTerm ??= before
  }

  /** As far as messages show it: no later leader has another entry where one was committed. */
  function completes(member: MemberId, message: Append): void {
    const { term, previousIndex, previousTerm, commit } = message
    const says = (index: Index, entryTerm: Term) => {
      const said = saidCommitted.get(index)
      const agrees = said === undefined || said.term === entryTerm || said.by > term
      must(agrees, 'leader completeness', () => {
        return `${member} leads term ${term} with ${index}/${entryTerm}, but ${index}/${said?.term} is committed`
      })
      if (index <= commit && said === undefined) saidCommitted.set(index, { term: entryTerm, by: term })
    }
    says(previousIndex, previousTerm)
    for (const entry of message.entries) says(entry.index, entry.term)
  }

  /** One change at a time, and none before an entry of the own term is committed (erratum to dissertation 4.1). */
  function configures(member: MemberId, message: Append): void {
    const { term, commit } = message
    let before = message.previousTerm
    for (const entry of message.entries) {
      const isFirst = entry.term === term && before < term
      before = entry.term
      if (entry.term !== term) continue
      const seen = termOf.get(term) ?? { first: undefined, change: 0 }
      termOf.set(term, seen)
      if (isFirst) seen.first = entry.index
      if (entry.kind !== 'membership' || entry.index <= seen.change) continue
      const { first, change } = seen
      must(first === undefined || commit >= first, 'one configuration at a time', () => {
        return `${member} changes the membership at ${entry.index}/${term} before its first entry ${first} is committed`
      })
      must(commit >= change, 'one configuration at a time', () => {
        return `${member} changes the membership at ${entry.index}/${term}, and ${change} is not committed`
      })
      seen.change = entry.index
    }
  }

  function promises(member: MemberId, term: Term, index: Index): void {
    if (term < (heardTermOf.get(member) ?? 0)) return
    const before = promiseOf.get(member)
    const isMore = before === undefined || term > before.term || (term === before.term && index > before.index)
    if (isMore) promiseOf.set(member, { term, index })
  }

  /** What it has promised to hold is still there when it wants to lead. */
  function keeps(member: MemberId, lastIndex: Index): void {
    const promise = promiseOf.get(member)
    must(promise === undefined || lastIndex >= promise.index, 'answers are durable', () => {
      return `${member} has a log up to ${lastIndex}, and has told term ${promise?.term} that it holds ${promise?.index}`
    })
  }

  /** What the next membership owes to the one before. */
  function follows(index: Index, membership: Membership): void {
    counts.memberships++
    const before = memberships.at(-1)?.membership
    memberships.push({ index, membership })
    const members = [...membership.voters, ...membership.learners]
    must(membership.voters.length > 0, 'majorities overlap', () => `membership ${index} has no voters`)
    if (before !== undefined) {
      const union = new Set([...before.voters, ...membership.voters])
      const overlaps = majority(before.voters.length) + majority(membership.voters.length) > union.size
      must(overlaps, 'majorities overlap', () => {
        return `membership ${index} makes ${membership.voters} out of ${before.voters}`
      })
      const old = new Set([...before.voters, ...before.learners])
      for (const id of members) {
        must(old.has(id) || !everMembers.has(id), 'no member ID twice', () => `membership ${index} admits ${id} again`)
      }
      for (const id of before.removed) {
        must(
          membership.removed.includes(id),
          'no member ID twice',
          () => `membership ${index} forgets ${id} is removed`,
        )
      }
    }
    for (const id of members) everMembers.add(id)
  }

  function hashes(who: string, index: Index, hash: string): void {
    const other = hashOf.get(index)
    const isSame = other === undefined || other === hash
    must(isSame, 'equal states at equal indexes', () => `${who} has state ${hash} at ${index}, others ${other}`)
    hashOf.set(index, hash)
  }

  return {
    counts,
    leads,
    votes,
    entries,
    hashes,
    /** The membership before the first entry of the log. */
    founds(membership: Membership): void {
      memberships.push({ index: 0, membership })
      for (const id of [...membership.voters, ...membership.learners]) everMembers.add(id)
    },
    witness: (member: MemberId) => void witnesses.add(member),
    acknowledgedIndex: () => acknowledgedIndex,
    committedIndex: () => committed.length,
    termOfCommitted: (index: Index): Term | undefined => committed[index - 1]?.term,
    /** The membership that is committed as of `index`; undefined: no entry has said one. */
    membershipAt: (index: Index) => memberships.findLast(at => at.index <= index)?.membership,

    saves(member: MemberId, hard: HardState, list: readonly Entry[], previousTerm: Term | undefined): void {
      const before = savedTermOf.get(member) ?? 0
      must(hard.term >= before, 'terms never go back', () => `${member} goes from term ${before} to ${hard.term}`)
      savedTermOf.set(member, hard.term)
      if (hard.vote !== undefined) votes(member, hard.term, hard.vote)
      entries(list, previousTerm)
    },

    sends(member: MemberId, to: MemberId, message: Message): void {
      switch (message.kind) {
        case 'append':
          leads(member, message.term)
          entries(message.entries, message.previousTerm)
          completes(member, message)
          configures(member, message)
          break
        case 'appendAnswer': {
          if (message.accepted) promises(member, message.term, message.index)
          break
        }
        case 'backfill':
          entries(message.entries, message.previousTerm)
          break
        case 'preVote':
          keeps(member, message.lastIndex)
          break
        case 'vote':
          votes(member, message.term, member)
          keeps(member, message.lastIndex)
          break
        case 'voteAnswer':
          if (message.granted) votes(member, message.term, to)
          break
        default:
          break
      }
    },

    /** What is on its way into a member. */
    hears(member: MemberId, message: Message): void {
      // A witness with a newer log may take promises back too.
      if (message.kind === 'backfill') promiseOf.delete(member)
      if (message.kind !== 'append' && message.kind !== 'snapshot') return
      heardTermOf.set(member, Math.max(message.term, heardTermOf.get(member) ?? 0))
      const promise = promiseOf.get(member)
      if (promise !== undefined && message.term > promise.term) promiseOf.delete(member)
    },

    /** What was committed in an earlier term is in the log of every later leader. */
    elected(member: MemberId, term: Term, termAt: (index: Index) => Term | undefined): void {
      const newest = committed[committed.length - 1]
      if (newest === undefined || newest.term >= term) return
      const index = committed.length
      const own = termAt(index)
      must(own === newest.term, 'leader completeness', () => {
        return `${member} leads term ${term} with term ${own} at committed ${index}/${newest.term}`
      })
    },

    /** At one index the same entry everywhere, in order, without a gap. `life` is one run of one member. */
    applies(life: string, entry: Entry, hash: string): void {
      const { index, term } = entry
      const previous = appliedOf.get(life)
      const isNext = previous === undefined || index === previous + 1
      must(isNext, 'applied in order', () => `${life} applied ${index} after ${previous}`)
      appliedOf.set(life, index)
      const content = contentOf(entry)
      const isKnown = index <= committed.length + 1
      must(isKnown, 'applied in order', () => `${life} applied ${index}, the newest known is ${committed.length}`)
      const other = committed[index - 1]
      if (other === undefined) {
        committed.push({ term, content })
        if (entry.kind === 'membership') follows(index, entry.membership)
      } else {
        const isSame = other.term === term && other.content === content
        must(isSame, 'committed entries never change', () => {
          return `${life} applied ${entry.kind} ${index}/${term}, others another ${index}/${other.term}`
        })
      }
      hashes(life, index, hash)
    },

    installs(life: string, index: Index, member: MemberId): void {
      appliedOf.set(life, index)
      promiseOf.delete(member)
    },

    acknowledges(index: Index): void {
      counts.writes++
      acknowledgedIndex = Math.max(acknowledgedIndex, index)
    },

    /** A newest read shows all that was acknowledged before it was asked. */
    reads(who: string, index: Index, acknowledgedBefore: Index): void {
      counts.reads++
      const isNewest = index >= acknowledgedBefore
      must(isNewest, 'newest reads', () => {
        return `${who} read at ${index}, but ${acknowledgedBefore} was acknowledged before it asked`
      })
    },
  }
}
