import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteReader, ByteWriter } from '../../src/lib/binary.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { type Entry, type Membership, type Message, memberId } from '../../src/raft/types.ts'
import { entriesBytes, readMembership, writeMembership } from '../../src/store/entry.ts'
import { decodePeers, encodePeers } from '../../src/store/members.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/store/message.ts'
import { peerId } from '../../src/world/network.ts'

const membership = { voters: [memberId('a'), memberId('b')], learners: [memberId('c')], removed: [memberId('d')] }
const entries: readonly Entry[] = [
  { index: 8, term: 3, kind: 'empty' },
  { index: 9, term: 3, kind: 'command', command: utf8('hello') },
  { index: 10, term: 4, kind: 'membership', membership, context: utf8('ctx') },
  {
    index: 11,
    term: 4,
    kind: 'membership',
    membership: { ...membership, witnesses: [memberId('b')] },
    context: utf8(''),
  },
]
const messages: readonly Message[] = [
  { kind: 'preVote', term: 4, lastIndex: 5, lastTerm: 3 },
  { kind: 'preVoteAnswer', term: 4, granted: true },
  { kind: 'vote', term: 4, lastIndex: 5, lastTerm: 3, transfer: true },
  { kind: 'voteAnswer', term: 4, granted: false },
  { kind: 'append', term: 4, previousIndex: 7, previousTerm: 2, entries, commit: 2 ** 40, round: 3 },
  { kind: 'append', term: 4, previousIndex: 0, previousTerm: 0, entries: [], commit: 0, round: 1 },
  { kind: 'appendAnswer', term: 4, accepted: false, index: 7, conflictTerm: 2, round: 9 },
  { kind: 'snapshot', term: 4, snapshot: { index: 10, term: 3, membership } },
  { kind: 'readIndex', term: 4, id: 2 ** 45 },
  { kind: 'readIndexAnswer', term: 4, id: 1, index: undefined },
  { kind: 'readIndexAnswer', term: 4, id: 1, index: 0 },
  { kind: 'timeoutNow', term: 4 },
  { kind: 'commit', term: 4, index: 2 ** 33 },
  { kind: 'backfill', term: 4, previousIndex: 7, previousTerm: 2, entries, lastIndex: 99, lastTerm: 4 },
  { kind: 'backfillAnswer', term: 4, index: 7, conflictTerm: 2 },
]
const around = (message: Message) => ({ cluster: 'c', from: memberId('a'), to: memberId('b'), message })

test('every message comes back as it was', () => {
  for (const message of messages) expect(decodeEnvelope(encodeEnvelope(around(message)))).toEqual(around(message))
})

test('every proper prefix, and one byte too many, is dropped without a throw', () => {
  for (const message of messages) {
    const bytes = encodeEnvelope(around(message))
    for (let n = 0; n < bytes.length; n++) expect(decodeEnvelope(bytes.slice(0, n))).toBeUndefined()
    expect(decodeEnvelope(Uint8Array.of(...bytes, 0))).toBeUndefined()
  }
})

test('random and bent bytes never throw', () => {
  const bent = fc.tuple(fc.constantFrom(...messages), fc.nat(), fc.nat(255)).map(([message, at, byte]) => {
    const bytes = encodeEnvelope(around(message)).slice()
    bytes[at % bytes.length] = byte
    return bytes
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), bent), bytes => {
      decodeEnvelope(bytes)
      decodePeers(bytes)
    }),
    { seed: 5, numRuns: 5_000 },
  )
})

test('an append with a gap, or of terms that fall or lie in the future, is dropped', () => {
  const append = (more: Partial<Extract<Message, { kind: 'append' }>>) =>
    decodeEnvelope(
      encodeEnvelope(
        around({ kind: 'append', term: 4, previousIndex: 7, previousTerm: 2, entries, commit: 0, round: 1, ...more }),
      ),
    )
  expect(append({})).toBeDefined()
  expect(append({ previousIndex: 6 })).toBeUndefined()
  expect(append({ previousTerm: 4 })).toBeUndefined()
  expect(append({ term: 3 })).toBeUndefined()
})

test('a list of entries becomes bytes once, for all followers and the disk, and not at all where it came as bytes', () => {
  const list = [...entries]
  const bytes = entriesBytes(list)
  expect(entriesBytes(list)).toBe(bytes)
  expect(entriesBytes([...list])).toEqual(bytes)
  const message = {
    kind: 'append',
    term: 4,
    previousIndex: 7,
    previousTerm: 2,
    entries: list,
    commit: 0,
    round: 1,
  } as const
  for (const to of ['b', 'c']) {
    const sent = encodeEnvelope({ cluster: 'c', from: memberId('a'), to: memberId(to), message })
    expect(sent.slice(-bytes.length)).toEqual(bytes)
    const heard = decodeEnvelope(sent.slice())?.message
    if (heard?.kind !== 'append') throw new Error('an append was sent')
    expect(heard.entries).toEqual(list)
    expect(entriesBytes(heard.entries)).toEqual(bytes)
    expect(entriesBytes(heard.entries)).toBe(entriesBytes(heard.entries))
  }
})

test('commands are pieces of the message, unless that is a small piece of something larger', () => {
  const append = { kind: 'append', term: 4, previousIndex: 7, previousTerm: 2, entries, commit: 0, round: 1 } as const
  const sent = encodeEnvelope(around(append)).slice()
  const memoryOf = (bytes: Uint8Array<ArrayBufferLike>) => {
    const message = decodeEnvelope(bytes)?.message
    const entry = message?.kind === 'append' ? message.entries[1] : undefined
    if (entry?.kind !== 'command') throw new Error('a command was sent')
    expect(entry.command).toEqual(utf8('hello'))
    return entry.command.buffer
  }
  expect(memoryOf(sent)).toBe(sent.buffer)
  const received = new Uint8Array(1024 * 1024)
  received.set(sent, 5_000)
  expect(memoryOf(received.subarray(5_000, 5_000 + sent.length))).not.toBe(received.buffer)
})

test('a membership without witnesses is written as it always was, and one of an unknown form is refused', () => {
  const written = (of: Membership) => {
    const out = new ByteWriter()
    writeMembership(out, of)
    return out.finish()
  }
  // Voters a and b, no learner, removed d: as the first release wrote it.
  const first = Uint8Array.of(2, 1, 0, 0, 0, 97, 1, 0, 0, 0, 98, 0, 1, 1, 0, 0, 0, 100)
  const old: Membership = { voters: [memberId('a'), memberId('b')], learners: [], removed: [memberId('d')] }
  expect(written(old)).toEqual(first)
  expect(readMembership(new ByteReader(first))).toEqual(old)

  const newer = { ...old, witnesses: [memberId('b')] }
  const bytes = written(newer)
  expect(readMembership(new ByteReader(bytes))).toEqual(newer)
  const mark = 5
  const unknown = bytes.slice()
  unknown[mark] = 3
  const input = new ByteReader(unknown)
  readMembership(input)
  expect(input.ok).toBe(false)
})

test('the peers of a membership come back, those that are not known are left out', () => {
  const peers = new Map([
    [memberId('a'), peerId('pa')],
    [memberId('c'), peerId('pc')],
    [memberId('x'), peerId('px')],
  ])
  expect([...decodePeers(encodePeers(membership, peers))]).toEqual([
    ['a', 'pa'],
    ['c', 'pc'],
  ])
})
