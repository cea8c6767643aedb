import fc from 'fast-check'
import { expect, test } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { type Entry, type Message, memberId } from '../../src/raft/types.ts'
import { decodePeers, encodePeers } from '../../src/store/members.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/store/message.ts'
import { peerId } from '../../src/world/network.ts'

const membership = { voters: [memberId('a'), memberId('b')], learners: [memberId('c')], removed: [memberId('d')] }
const entries: readonly Entry[] = [
  { index: 8, term: 3, kind: 'empty' },
  { index: 9, term: 3, kind: 'command', command: utf8('hello') },
  { index: 10, term: 4, kind: 'membership', membership, context: utf8('ctx') },
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
