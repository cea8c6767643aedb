// Effects and messages as lines of text, for golden transcripts and for reading a simulation. One line per thing.
import { unreachable } from '../lib/assert.ts'
import { text } from '../lib/bytes.ts'
import { isWitness } from './membership.ts'
import type { Effects, Entry, MemberId, Membership, Message, Role, SnapshotMeta } from './types.ts'

export function describeEffects(effects: Effects): readonly string[] {
  const { save, role, fetchSnapshot, lostData } = effects
  const lines: string[] = []
  if (role !== undefined) lines.push(`role ${describeRole(role)}`)
  if (save !== undefined) {
    const { term, vote } = save.hard
    lines.push(`save term ${term} vote ${vote ?? '-'}${save.entries.map(entry => ` ${describeEntry(entry)}`).join('')}`)
  }
  for (const { to, message } of effects.sendEarly) lines.push(`early -> ${to} ${describeMessage(message)}`)
  for (const { to, message } of effects.send) lines.push(`send  -> ${to} ${describeMessage(message)}`)
  for (const { id, index, term } of effects.accepted) lines.push(`accepted #${id} at ${index}/${term}`)
  for (const { id, why } of effects.refused) lines.push(`refused #${id} ${why}`)
  for (const { member, acknowledged, has } of lostData) lines.push(`lostData ${member} had ${acknowledged}, has ${has}`)
  for (const { to, atLeast } of effects.sendSnapshot) lines.push(`sendSnapshot -> ${to} at least ${atLeast}`)
  if (fetchSnapshot !== undefined) {
    lines.push(`fetchSnapshot from ${fetchSnapshot.from} ${describeSnapshot(fetchSnapshot.snapshot)}`)
  }
  if (effects.commit.length > 0) lines.push(`commit ${effects.commit.map(describeEntry).join(' ')}`)
  for (const { id, index } of effects.reads) lines.push(`read #${id} at ${index ?? '-'}`)
  return lines
}

export function describeMessage(message: Message): string {
  const { kind, term } = message
  switch (message.kind) {
    case 'preVote':
      return `${kind} t${term} last ${message.lastIndex}/${message.lastTerm}`
    case 'vote':
      return `${kind} t${term} last ${message.lastIndex}/${message.lastTerm}${message.transfer ? ' transfer' : ''}`
    case 'preVoteAnswer':
    case 'voteAnswer':
      return `${kind} t${term} ${message.granted ? 'yes' : 'no'}`
    case 'append': {
      const { previousIndex, previousTerm, entries, commit, round } = message
      const list = entries.map(entry => ` ${describeEntry(entry)}`).join('')
      return `${kind} t${term} after ${previousIndex}/${previousTerm} commit ${commit} round ${round}${list}`
    }
    case 'appendAnswer': {
      const { accepted, index, conflictTerm, round } = message
      return `${kind} t${term} ${accepted ? `yes ${index}` : `no, try ${index}/${conflictTerm}`} round ${round}`
    }
    case 'commit':
      return `${kind} t${term} ${message.index}`
    case 'snapshot':
      return `${kind} t${term} ${describeSnapshot(message.snapshot)}`
    case 'readIndex':
      return `${kind} t${term} #${message.id}`
    case 'readIndexAnswer':
      return `${kind} t${term} #${message.id} at ${message.index ?? '-'}`
    case 'timeoutNow':
      return `${kind} t${term}`
    case 'backfill': {
      const { previousIndex, previousTerm, entries, lastIndex, lastTerm } = message
      const list = entries.map(entry => ` ${describeEntry(entry)}`).join('')
      return `${kind} t${term} after ${previousIndex}/${previousTerm} of ${lastIndex}/${lastTerm}${list}`
    }
    case 'backfillAnswer':
      return `${kind} t${term} from ${message.index}/${message.conflictTerm}`
    default:
      return unreachable(message)
  }
}

/** `index/term` and what it holds: nothing for an empty entry, the text of a command, a membership. */
export function describeEntry(entry: Entry): string {
  const at = `${entry.index}/${entry.term}`
  switch (entry.kind) {
    case 'empty':
      return at
    case 'command':
      return `${at}"${text(entry.command)}"`
    case 'membership':
      return `${at}${describeMembership(entry.membership)}`
  }
}

/** Voters, then learners after `+`, then removed ones after `-`; `*` marks a witness. */
export function describeMembership(membership: Membership): string {
  const { voters, learners, removed } = membership
  const names = (members: readonly MemberId[]) =>
    members.map(member => (isWitness(membership, member) ? `${member}*` : member)).join(',')
  const part = (sign: string, members: readonly MemberId[]) => (members.length > 0 ? `${sign}${names(members)}` : '')
  return `(${names(voters)}${part(' +', learners)}${part(' -', removed)})`
}

function describeSnapshot({ index, term, membership }: SnapshotMeta): string {
  return `${index}/${term}${describeMembership(membership)}`
}

function describeRole({ kind, term, leader, serving }: Role): string {
  return `${kind} t${term} leader ${leader ?? '-'}${serving ? ' serving' : ''}`
}
