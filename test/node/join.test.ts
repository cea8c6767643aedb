import { expect, test } from 'vitest'
import { type Cluster, decideJoin, isNodeName, type JoinQuestion } from '../../src/node/join.ts'
import type { TokenRecord } from '../../src/node/token.ts'
import { peerId } from '../../src/world/network.ts'

const [newcomer, member] = [peerId('newcomer'), peerId('member')]
const cluster: Cluster = {
  record: { clusterName: 'home' },
  peerOfNode: name => (name === 'taken' ? member : undefined),
  nodeOfPeer: peer => (peer === member ? 'taken' : undefined),
}
const record: TokenRecord = {
  id: 'a1',
  createdMs: 0,
  expiresMs: 1_000,
  usesLeft: 1,
  role: 'control',
  storedKey: '',
  serverKey: '',
}
const question: JoinQuestion = {
  peer: newcomer,
  nodeName: 'pi',
  addresses: ['/ip4/192.0.2.1/tcp/1'],
  tokenId: 'a1',
  witness: false,
  externalStore: false,
}
const decide = (more: Partial<JoinQuestion> = {}, token: TokenRecord | undefined = record, nowMs = 500) =>
  decideJoin({ ...question, ...more }, token, cluster, nowMs)
const why = (...args: Parameters<typeof decide>) => {
  const decision = decide(...args)
  return decision.kind === 'refuse' ? decision.why : 'admitted'
}

test('a newcomer with a good token is admitted, and that uses the token up', () => {
  const decision = decide()
  expect(decision).toEqual({ kind: 'admit', again: false, token: { ...record, usesLeft: 0 } })
  const { usesLeft: _, ...unlimited } = record
  expect(decide({}, unlimited)).toEqual({ kind: 'admit', again: false, token: unlimited })
})

test('each reason to refuse is named', () => {
  expect(decideJoin(question, undefined, cluster, 500)).toMatchObject({ why: 'unknown-token' })
  expect(why({}, record, 1_001)).toBe('expired')
  expect(why({}, { ...record, usesLeft: 0 })).toBe('used-up')
  expect(why({ nodeName: 'taken' })).toBe('name-taken')
  expect(why({ peer: member, nodeName: 'other' })).toBe('peer-renamed')
  expect(why({ nodeName: 'Pi 4' })).toBe('bad-name')
  expect(why({ addresses: ['192.0.2.1:4001'] })).toBe('bad-addresses')
  expect(why({ addresses: Array.from({ length: 33 }, () => '/ip4/192.0.2.1/tcp/1') })).toBe('bad-addresses')
})

test('a member that asks again, because the first answer got lost, is answered again and uses nothing', () => {
  for (const [token, nowMs] of [
    [record, 500],
    [{ ...record, usesLeft: 0 }, 500],
    [record, 5_000],
  ] as const) {
    expect(decide({ peer: member, nodeName: 'taken' }, token, nowMs)).toEqual({ kind: 'admit', again: true, token })
  }
})

test('a machine with another key takes a Node over with a token that names it, and with no other', () => {
  const forTaken = { ...record, replaces: 'taken' }
  expect(decide({ nodeName: 'taken' }, forTaken)).toEqual({
    kind: 'admit',
    again: false,
    instead: member,
    token: { ...forTaken, usesLeft: 0 },
  })
  expect(why({ nodeName: 'taken' }, { ...record, replaces: 'other' })).toBe('name-taken')
  expect(why({ nodeName: 'pi' }, forTaken)).toBe('bad-name')
  expect(why({ nodeName: 'taken' }, { ...forTaken, usesLeft: 0 })).toBe('used-up')
  expect(why({ nodeName: 'taken' }, forTaken, 1_001)).toBe('expired')
  // One that is a Node already does not become a second one.
  expect(why({ peer: member, nodeName: 'third' }, { ...record, replaces: 'third' })).toBe('peer-renamed')
  // The Node is gone meanwhile: there is nothing to take over, and the name is free.
  expect(decide({ nodeName: 'gone' }, { ...record, replaces: 'gone' })).not.toHaveProperty('instead')
})

test('who was told of an etcd joins a cluster in an etcd, and nobody else does', () => {
  const inEtcd = { ...cluster, record: { clusterName: 'home', datastore: { prefix: '/home' } } }
  const asks = { ...question, externalStore: true }
  expect(decideJoin(asks, record, inEtcd, 500)).toMatchObject({ kind: 'admit' })
  expect(decideJoin(question, record, inEtcd, 500)).toMatchObject({
    why: 'other-store',
    message: expect.stringContaining('--datastore <the URLs of that etcd> --datastore-prefix /home'),
  })
  expect(decideJoin(asks, record, cluster, 500)).toMatchObject({
    why: 'other-store',
    message: expect.stringContaining('without --datastore'),
  })
})

test('node names are DNS subdomains', () => {
  for (const good of ['a', 'pi-4', 'nas.home.arpa', '1']) expect([good, isNodeName(good)]).toEqual([good, true])
  for (const bad of ['', '-a', 'a-', 'A', 'a_b', 'a..b', '.a', 'a.', 'ä', 'a/b', 'x'.repeat(254)]) {
    expect([bad, isNodeName(bad)]).toEqual([bad, false])
  }
})
