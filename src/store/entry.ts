// Entries, memberships and hard state as bytes, the same in the log on disk and in messages to other members.
import type { ByteReader, ByteWriter } from '../lib/binary.ts'
import {
  type Entry,
  type HardState,
  type MemberId,
  type Membership,
  memberId,
  type SnapshotMeta,
} from '../raft/types.ts'

const emptyTag = 0
const commandTag = 1
const membershipTag = 2

export function writeEntry(out: ByteWriter, entry: Entry): void {
  out.varint(entry.index)
  out.varint(entry.term)
  switch (entry.kind) {
    case 'empty':
      out.u8(emptyTag)
      return
    case 'command':
      out.u8(commandTag)
      out.bytes(entry.command)
      return
    case 'membership':
      out.u8(membershipTag)
      writeMembership(out, entry.membership)
      out.bytes(entry.context)
      return
  }
}

/** Marks the reader as failed when there is no entry; what comes back is then to be thrown away. */
export function readEntry(input: ByteReader): Entry {
  const index = input.varint()
  const term = input.varint()
  const tag = input.u8()
  if (index === 0 || tag > membershipTag) input.fail()
  if (tag === commandTag) return { index, term, kind: 'command', command: input.bytes() }
  if (tag !== membershipTag) return { index, term, kind: 'empty' }
  return { index, term, kind: 'membership', membership: readMembership(input), context: input.bytes() }
}

export function writeMembership(out: ByteWriter, membership: Membership): void {
  for (const members of [membership.voters, membership.learners, membership.removed]) {
    out.varint(members.length)
    for (const member of members) out.text(member)
  }
}

export function readMembership(input: ByteReader): Membership {
  const members = (): MemberId[] => {
    const all: MemberId[] = []
    for (let i = input.count(4); i > 0 && input.ok; i--) all.push(memberId(input.text()))
    return all
  }
  return { voters: members(), learners: members(), removed: members() }
}

export function writeHard(out: ByteWriter, hard: HardState): void {
  out.varint(hard.term)
  // No member has the empty name.
  out.text(hard.vote ?? '')
}

export function readHard(input: ByteReader): HardState {
  const term = input.varint()
  const vote = input.text()
  return { term, vote: vote === '' ? undefined : memberId(vote) }
}

export function writeMeta(out: ByteWriter, meta: SnapshotMeta): void {
  out.varint(meta.index)
  out.varint(meta.term)
  writeMembership(out, meta.membership)
}

export function readMeta(input: ByteReader): SnapshotMeta {
  return { index: input.varint(), term: input.varint(), membership: readMembership(input) }
}
