// What is said of an external etcd, and what a peer makes of it; on real processes: what it says when none is there.
import { expect, test } from 'vitest'
import { parseClusterRecord } from '../../src/node/config.ts'
import {
  type DatastoreFlags,
  datastoreOf,
  markText,
  readMark,
  whyNotJoinWith,
  whyNotStartWith,
  whyNotTheEtcdOf,
} from '../../src/node/datastore.ts'
import { partInEtcd } from '../../src/node/quorum.ts'
import { decodeGrant, encodeGrant, type JoinGrant } from '../../src/node/run-join.ts'
import { recordOf } from '../../src/node/run-rejoin.ts'
import type { EtcdItem } from '../../src/world/etcd.ts'
import { peerId } from '../../src/world/network.ts'
import { openAgents, patienceMs, until } from './agents.ts'

const url = 'https://10.0.0.5:2379'
const tls = { datastoreCa: 'ca.pem', datastoreCert: 'c.pem', datastoreKey: 'k.pem' }

test('the flags become one etcd, with commas or without', () => {
  expect(datastoreOf({})).toBeUndefined()
  expect(datastoreOf({ datastore: [url] })).toEqual({ endpoints: [url] })
  expect(datastoreOf({ datastore: [`${url},https://10.0.0.6:2379`, 'https://10.0.0.7:2379'] })?.endpoints).toHaveLength(
    3,
  )
  expect(datastoreOf({ datastore: [url], ...tls, datastorePrefix: '/home' })).toEqual({
    endpoints: [url],
    ca: 'ca.pem',
    certificate: 'c.pem',
    key: 'k.pem',
    prefix: '/home',
  })
})

test.each<[DatastoreFlags, RegExp]>([
  [{ datastorePrefix: '/home' }, /--datastore-prefix says how/],
  [{ datastoreCert: 'c.pem' }, /--datastore-cert says how/],
  [{ datastore: [','] }, /wants the URLs/],
  [{ datastore: [url], datastoreCert: 'c.pem' }, /--datastore-key must name/],
  [{ datastore: [url], datastoreKey: 'k.pem' }, /--datastore-cert must name/],
  [{ datastore: [url], datastoreCert: 'c.pem', datastoreKey: 'k.pem' }, /--datastore-ca/],
  [{ datastore: [url], datastorePrefix: 'home' }, /--datastore-prefix: .*looks like \/flotilla/],
  [{ datastore: [url], witness: true }, /a witness is a vote/],
  [{ datastore: [url], etcdListen: true }, /ask the etcd itself/],
])('%j is refused', (flags, words) => {
  expect(() => datastoreOf(flags)).toThrow(
    expect.objectContaining({ name: 'ConfigError', message: expect.stringMatching(words) }),
  )
})

const own = { clusterName: 'home' }
const external = { clusterName: 'home', datastore: { prefix: '/home' } }

test('a peer starts with the kind of store that its cluster has, and says what is missing', () => {
  expect(whyNotStartWith(own, undefined)).toBeUndefined()
  expect(whyNotStartWith(external, { endpoints: [url] })).toBeUndefined()
  expect(whyNotStartWith(external, { endpoints: [url], prefix: '/home' })).toBeUndefined()
  expect(whyNotStartWith(external, { endpoints: [url], prefix: '/other' })).toMatch(/under \/home/)
  expect(whyNotStartWith(external, undefined)).toMatch(/--datastore <the URLs of that etcd> --datastore-prefix \/home/)
  expect(whyNotStartWith(own, { endpoints: [url] })).toMatch(/leave --datastore out/)
  expect(whyNotJoinWith(own, false)).toBeUndefined()
  expect(whyNotJoinWith(external, true)).toBeUndefined()
})

test('the record and the grant keep the prefix, and older ones are of a store that the peers keep', () => {
  const grant: JoinGrant = {
    ...{ clusterId: 'c', memberId: 'm', caPem: 'pem', peers: [], clusterCidr: 'a', serviceCidr: 'b' },
    ...{ clusterName: 'home', origin: 'c', past: [] },
  }
  expect(decodeGrant(encodeGrant(grant))).toEqual(grant)
  const outside = { ...grant, datastore: { prefix: '/home' } }
  expect(decodeGrant(encodeGrant(outside))).toEqual(outside)
  for (const one of [grant, outside]) {
    const record = recordOf(one, 'nas', false, 'store')
    expect(parseClusterRecord(JSON.stringify(record), 'f')).toEqual(record)
    expect(record.datastore).toEqual('datastore' in one ? { prefix: '/home' } : undefined)
  }
})

test('what lies in an etcd is known by its mark', () => {
  const item = (value: string) => ({ value }) as EtcdItem
  const mark = { clusterId: 'c', clusterName: 'home' }
  expect(readMark(item(markText(mark)))).toEqual(mark)
  for (const none of [undefined, item(''), item('{}'), item('[1]')]) expect(readMark(none)).toBeUndefined()
  expect(whyNotTheEtcdOf(mark, url, '/home', mark)).toBeUndefined()
  expect(whyNotTheEtcdOf(mark, url, '/home', undefined)).toMatch(/holds no cluster under \/home/)
  expect(whyNotTheEtcdOf(mark, url, '/home', { clusterId: 'd', clusterName: 'lab' })).toMatch(/lab \(d\)/)
})

test('the quorum shows who is there', () => {
  const [leader, present, absent] = [peerId('a'), peerId('b'), peerId('c')]
  const members = [leader, present].map(peer => ({ member: '1', peer, role: 'voter' as const }))
  const partOf = partInEtcd({
    ...{ term: 1, leader, role: 'follower', appliedIndex: 1, commitIndex: 1, revision: 1, compactedRevision: 0 },
    ...{ members, matchIndex: {} },
  })
  expect([leader, present, absent].map(peer => partOf(peer).role)).toEqual(['Leader', 'Present', 'None'])
})

test(
  'an etcd that is not there is waited for, before anything is written, and the peer can be stopped meanwhile',
  async () => {
    await using agents = openAgents()
    const one = await agents.agent('one')
    one.launch('up', '--datastore', 'http://127.0.0.1:1')
    await until('it says so', () =>
      /etcd at http:\/\/127\.0\.0\.1:1 does not answer/.test(one.said()) ? true : undefined,
    )
    await expect(one.status()).rejects.toThrow(/this peer waits for it/)
    await one.stop()
    expect(await one.ended()).toBe(0)
    one.launch('up', '--witness', '--datastore', 'http://127.0.0.1:1')
    expect(await one.ended()).toBe(1)
    expect(one.said()).toMatch(/a witness is a vote/)
  },
  2 * patienceMs,
)
