// Entries, memberships and hard state as bytes, the same in the log on disk and in messages to other members.
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
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

/**
 * The last few lists that became bytes, or came as bytes, in a ring. The core hands one list to all followers that are in
 * step and to the disk, which takes several turns' lists at once when it is slow. (A WeakMap costs more than it saves.)
 */
const recent: { entries: readonly Entry[]; bytes: Bytes }[] = []
const recentCountMax = 8
/** Larger lists are not kept waiting here for others to push them out. */
const recentBytesMax = 256 * 1024
let oldest = 0

function remember(entries: readonly Entry[], bytes: Bytes): void {
  if (bytes.length > recentBytesMax) return
  recent[oldest] = { entries, bytes }
  oldest = (oldest + 1) % recentCountMax
}

/**
 * The entries one after the other, as `writeEntry` writes them: for messages and for the log. Mostly made once for a
 * list, and not at all for one that came in a message, so nobody may change what this gives.
 */
export function entriesBytes(entries: readonly Entry[]): Bytes {
  for (const known of recent) if (known.entries === entries) return known.bytes
  let capacity = 0
  for (const entry of entries) capacity += entry.kind === 'command' ? 24 + entry.command.length : 512
  const out = new ByteWriter(capacity)
  for (const entry of entries) writeEntry(out, entry)
  const bytes = out.finish()
  remember(entries, bytes)
  return bytes
}

/**
 * What `entriesBytes` wrote; undefined where that is not `count` entries and nothing else, without a gap after `previous`
 * and without a term that falls. Commands are pieces of `bytes`, not copies: whoever keeps an entry keeps the memory
 * that `bytes` is a part of, so it should be of about that size (see message.ts).
 */
export function readEntries(
  bytes: Bytes,
  count: number,
  previous: { readonly index: number; readonly term: number },
): readonly Entry[] | undefined {
  const input = new ByteReader(bytes)
  const entries: Entry[] = []
  let { index, term } = previous
  for (let i = count; i > 0; i--) {
    const entry = readEntry(input)
    if (!input.ok || entry.index !== index + 1 || entry.term < term) return undefined
    index = entry.index
    term = entry.term
    entries.push(entry)
  }
  if (!input.done) return undefined
  if (count > 0) remember(entries, bytes)
  return entries
}

/**
 * Stands where the first form has the number of voters, and is no number of voters: a newer form follows, whose number
 * comes next. Programs that know the first form alone refuse it. It is written where it is needed only, so that what
 * they can understand they do.
 */
const membershipMark = 2 ** 32
const withWitnesses = 2

/** First form: voters, learners, removed. Second form: these and the witnesses. */
export function writeMembership(out: ByteWriter, membership: Membership): void {
  const { voters, learners, removed, witnesses } = membership
  if (witnesses !== undefined) {
    out.varint(membershipMark)
    out.u8(withWitnesses)
  }
  writeMembers(out, voters)
  writeMembers(out, learners)
  writeMembers(out, removed)
  if (witnesses !== undefined) writeMembers(out, witnesses)
}

export function readMembership(input: ByteReader): Membership {
  const first = input.varint()
  const isNewer = first === membershipMark
  if (isNewer && input.u8() !== withWitnesses) input.fail()
  const membership = {
    voters: readMembers(input, isNewer ? input.varint() : first),
    learners: readMembers(input, input.varint()),
    removed: readMembers(input, input.varint()),
  }
  return isNewer ? { ...membership, witnesses: readMembers(input, input.varint()) } : membership
}

function writeMembers(out: ByteWriter, members: readonly MemberId[]): void {
  out.varint(members.length)
  for (const member of members) out.text(member)
}

function readMembers(input: ByteReader, count: number): MemberId[] {
  const members: MemberId[] = []
  // A length before each name: a count that cannot be is a fault, not a long loop.
  if (count * 4 > input.remaining) input.fail()
  for (let i = count; i > 0 && input.ok; i--) members.push(memberId(input.text()))
  return members
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
