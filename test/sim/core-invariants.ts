// What must hold of one member of the core simulation after each of its steps, seen from inside: what a majority has on
// its disks, and what the log says of the membership.

import { termAt } from '../../src/raft/log.ts'
import { majority } from '../../src/raft/quorum.ts'
import type { Effects, Index, Membership, Message, RaftEvent, Term } from '../../src/raft/types.ts'
import type { Core, Node, Stored } from './core-node.ts'
import { must } from './safety.ts'

/** What a member was like before a step. */
export type Before = { readonly commit: Index; readonly membership: Membership | undefined }

export function checkStep(core: Core, node: Node, effects: Effects, before: Before): void {
  const { raft } = node
  checkRole(core, node, effects)
  checkMembership(node)
  if (raft.lead === undefined) return
  if (raft.commit > before.commit) checkCommit(core, node, before.membership)
  for (const [to, progress] of raft.lead.progress) {
    const count = progress.window.count
    must(count <= node.config.inflightCountMax, 'bounded queues', () => `${node.id} has ${count} appends out to ${to}`)
  }
}

function checkRole({ checker }: Core, node: Node, { role }: Effects): void {
  // A lone voter elects itself before its vote is on disk; it leads for others once it sends, or serves.
  if (role?.serving === true) checker.leads(node.id, role.term)
  if (role?.kind !== 'leader') return
  const { log } = node.raft
  // Compacted entries were committed; that they are the right ones was checked when they were applied.
  checker.elected(node.id, role.term, index =>
    index <= log.base.index ? checker.termOfCommitted(index) : termAt(log, index),
  )
}

/** The newest membership of the log is the one that counts, also after a truncation or a snapshot. */
function checkMembership({ id, raft, memberships }: Node): void {
  const believed = raft.history.at(-1)
  const said = memberships.at(-1)
  const isSame = believed?.membership === said?.membership || JSON.stringify(believed) === JSON.stringify(said)
  must(isSame, 'membership follows the log', () => {
    return `${id} believes in ${JSON.stringify(believed)}, its log says ${JSON.stringify(said)}`
  })
}

/** Whoever commits has seen the entry on the disks of a majority (Raft paper, 5.4.2). */
function checkCommit({ nodes }: Core, { id, raft }: Node, before: Membership | undefined): void {
  const { commit } = raft
  const term = termAt(raft.log, commit)
  must(term === raft.term, 'committed is durable on a majority', () => {
    return `${id} commits ${commit}/${term} in term ${raft.term} by counting`
  })
  const isHeld = (membership: Membership | undefined) => {
    const voters = membership?.voters ?? []
    return voters.filter(voter => has(nodes.get(voter)?.disk, commit, term)).length >= majority(voters.length)
  }
  // A change of membership in the same step counts from where it stands on.
  const now = raft.history.at(-1)?.membership
  must(isHeld(now) || isHeld(before), 'committed is durable on a majority', () => {
    const holders = [...nodes.values()].filter(({ disk }) => has(disk, commit, term)).map(node => node.id)
    return `${id} commits ${commit}/${term}, which is on the disks of ${holders}; voters are ${now?.voters}`
  })
}

function has(disk: Stored | undefined, index: Index, term: Term): boolean {
  if (disk === undefined) return false
  return index <= disk.base.index || disk.entries[index - disk.base.index - 1]?.term === term
}

/** A leader that was heard within an election time-out is not given up for another (dissertation 4.2.3). */
export function checkSticky(node: Node, events: readonly RaftEvent[], effects: Effects): void {
  const { raft } = node
  // Within a step it is not known which came first.
  const isLost = events.some(event => event.kind === 'unreachable' && event.member === node.heard?.leader)
  const heard = isLost ? undefined : node.heard
  for (const { to, message } of [...effects.sendEarly, ...effects.send]) {
    if (message.kind !== 'preVoteAnswer' || !message.granted || heard === undefined) continue
    const isGivenUp = heard.term !== raft.term || heard.leader === to
    const ticks = raft.nowTicks - heard.atTick
    must(isGivenUp || ticks >= node.config.electionTicks, 'leader stickiness', () => {
      return `${node.id} would elect ${to}, and heard ${heard.leader} in term ${heard.term} ${ticks} ticks ago`
    })
  }
  let laterTicks = events.filter(event => event.kind === 'tick').length
  for (const event of events) {
    if (event.kind === 'tick') laterTicks--
    if (event.kind === 'unreachable' && event.member === node.heard?.leader) node.heard = undefined
    // A member that was removed is not listened to, and neither is what comes late from an earlier leadership of the same.
    if (event.kind !== 'message' || event.message.kind !== 'append' || event.from !== raft.leader) continue
    if (event.message.term !== raft.term) continue
    node.heard = { leader: event.from, term: raft.term, atTick: raft.nowTicks - laterTicks }
  }
}

/** What an answer promises stands on the disk when it leaves. */
export function checkAnswer({ id, disk }: Node, message: Message): void {
  const isVote = message.kind === 'voteAnswer' && message.granted
  const isAppend = message.kind === 'appendAnswer' && message.accepted
  if (!isVote && !isAppend) return
  must(disk.hard.term >= message.term, 'answers are durable', () => {
    return `${id} sends ${message.kind} of term ${message.term}, but its disk is at term ${disk.hard.term}`
  })
  // A later leader may have replaced them within the same step: it won without this answer, which comes too late.
  if (!isAppend || disk.hard.term > message.term) return
  const last = disk.base.index + disk.entries.length
  must(message.index <= last, 'answers are durable', () => `${id} accepts up to ${message.index}, its disk has ${last}`)
}
