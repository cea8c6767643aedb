// The store on a real etcd, and what happens when that etcd, or the peer that leads, is killed, frozen or forgets.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { openEtcd } from '../../src/drivers/etcd.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { ChangeEvent } from '../../src/kv/store.ts'
import { type ExternalConfig, type ExternalStore, openExternalStore } from '../../src/store/external/run.ts'
import { EtcdError, type EtcdLink } from '../../src/world/etcd.ts'
import type { Log } from '../../src/world/log.ts'
import { peerId } from '../../src/world/network.ts'
import { eventually } from '../store/cluster.ts'
import { clientFiles, type EtcdServer, hasEtcd, startEtcdServer } from './etcd-server.ts'
import { collect, leaderOf, leadershipOf, put, type StoreCluster, storeSuite } from './store.ts'

const never = new AbortController().signal
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const timeout = 120_000

function open(name: string, link: EtcdLink, config: ExternalConfig): Promise<ExternalStore> {
  const network = { self: peerId(name) }
  return openExternalStore({ clock: realClock(), random: realRandom(), log: silent, network }, link, config, never)
}

/** A session and a deadline that a slow machine keeps; where one has to run out it is shorter. */
const patient = { sessionSeconds: 20, requestTimeoutMs: 20_000 }

let clusters = 0

async function startPeers(server: EtcdServer, count: number, config: ExternalConfig = {}): Promise<StoreCluster> {
  clusters += 1
  const prefix = `/test-${clusters}`
  const peers = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const link = await openEtcd({ endpoints: [server.url] })
      return { peer: peerId(`peer-${i}`), store: await open(`peer-${i}`, link, { prefix, ...patient, ...config }) }
    }),
  )
  await eventually(() => {
    for (const { store } of peers) expect(store.status().members).toHaveLength(count)
  })
  return {
    peers,
    async [Symbol.asyncDispose]() {
      await Promise.all(peers.map(peer => peer.store.stop()))
    },
  }
}

if (!hasEtcd) {
  const what = 'no etcd on this machine (Debian package etcd-server)'
  if (process.env['CI'] === 'true') test(what, () => expect(hasEtcd).toBe(true))
  else test.skip(what, () => {})
} else {
  let server: EtcdServer
  beforeAll(async () => {
    server = await startEtcdServer()
  }, timeout)
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })
  storeSuite({ name: 'external etcd', start: (count, options) => startPeers(server, count, options) })
  describe('external etcd', { timeout }, () => failures(() => server))
}

function failures(server: () => EtcdServer): void {
  test('etcd is killed and comes back: nothing acknowledged is lost, watches go on, and one leads again', async () => {
    await using cluster = await startPeers(server(), 2, { sessionSeconds: 4, requestTimeoutMs: 5_000 })
    const before = await leadershipOf((await leaderOf(cluster.peers)).store)
    const [watched] = cluster.peers
    const after = watched?.store.revision() ?? 0
    const isLast = (event: ChangeEvent) => event.kind === 'put' && event.current.key === '/last'
    const watching = (async () => {
      const events: ChangeEvent[] = []
      for await (const batch of watched?.store.watch({ from: '/', to: '0', after }, never) ?? []) {
        events.push(...batch.events)
        if (batch.events.some(isLast)) break
      }
      return events
    })()
    const acknowledged: string[] = []
    const maybe = new Set<string>()
    let isOver = false
    const writing = (async () => {
      for (let i = 0; !isOver; i++) {
        const { store } = await leaderOf(cluster.peers)
        const key = `/a/${i}`
        try {
          await store.write({ ...put(key, 'x'), id: `write-${i}` }, never)
          acknowledged.push(key)
        } catch {
          maybe.add(key)
        }
      }
    })()
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(50))
    await server().kill()
    const count = acknowledged.length
    await eventually(() => expect(before.ended.aborted).toBe(true))
    await server().start()
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(count + 50))
    isOver = true
    await writing
    await eventually(async () =>
      (await leaderOf(cluster.peers)).store.write({ ...put('/last', 'x'), id: 'last' }, never),
    )
    const events = await watching
    const revisions = events.map(event => (event.kind === 'put' ? event.current.modRevision : event.revision))
    expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b))
    const seen = events.map(event => (event.kind === 'put' ? event.current.key : event.key))
    // Each once and in order; one whose outcome was not known may be among them.
    expect(seen.filter(key => !maybe.has(key))).toEqual([...acknowledged, '/last'])
    for (const { store } of cluster.peers) {
      await store.newest(never)
      const { items } = await store.range({ from: '/', to: '0' })
      expect(new Set(items.map(({ key }) => key))).toEqual(new Set(seen))
    }
    expect((await leadershipOf((await leaderOf(cluster.peers)).store)).term).toBeGreaterThan(before.term)
  })

  test('the leader of two is stopped: the other leads under a higher term and has everything', async () => {
    await using cluster = await startPeers(server(), 2)
    const lead = await leaderOf(cluster.peers)
    const { term, ended } = await leadershipOf(lead.store)
    await lead.store.write(put('/a', '1'), never)
    await lead.store.stop()
    expect(ended.aborted).toBe(true)
    const others = cluster.peers.filter(peer => peer !== lead)
    const next = await leaderOf(others)
    const leadership = await leadershipOf(next.store)
    expect(leadership.term).toBeGreaterThan(term)
    expect(await next.store.get('/a')).toMatchObject({ value: '1' })
    expect(await next.store.write({ ...put('/a', '2'), term }, never)).toEqual({
      kind: 'fenced',
      term: leadership.term,
    })
    await next.store.write(put('/a', '2'), never)
    await eventually(() => expect(next.store.status().members.map(({ peer }) => peer)).toEqual([next.peer]))
    await expect(next.store.transferLeadership(never)).rejects.toMatchObject({ reason: 'unavailable' })
  })

  test('a leader whose etcd is silent leads no longer, and says of a write that it may still happen', async () => {
    await using cluster = await startPeers(server(), 1, { sessionSeconds: 4, requestTimeoutMs: 1_000 })
    const lead = await leaderOf(cluster.peers)
    const { term, ended } = await leadershipOf(lead.store)
    server().freeze()
    try {
      await expect(lead.store.write(put('/a', '1'), never)).rejects.toMatchObject({ reason: 'unavailable' })
      await expect(lead.store.newest(never)).rejects.toMatchObject({ reason: 'unavailable' })
      await eventually(() => expect(ended.aborted).toBe(true))
      expect(lead.store.status().role).not.toBe('leader')
      await expect(lead.store.write(put('/a', '1'), never)).rejects.toMatchObject({ reason: 'not-leader' })
    } finally {
      server().thaw()
    }
    await eventually(async () => expect((await leadershipOf(lead.store)).term).toBeGreaterThan(term))
    await eventually(() => lead.store.write(put('/b', '1'), never))
  })

  test('a leader that is cut off from etcd has stopped to lead before another begins', async () => {
    const config = { prefix: '/cut-off', sessionSeconds: 4, requestTimeoutMs: 1_000 }
    const plain = await openEtcd({ endpoints: [server().url] })
    let isCut = false
    const lost = () => Promise.reject(new EtcdError('unavailable', 'the line was cut'))
    const line: EtcdLink = {
      ...plain,
      range: (...args) => (isCut ? lost() : plain.range(...args)),
      txn: (...args) => (isCut ? lost() : plain.txn(...args)),
      grant: (...args) => (isCut ? lost() : plain.grant(...args)),
      keepAlive: (...args) => (isCut ? lost() : plain.keepAlive(...args)),
      revoke: (...args) => (isCut ? lost() : plain.revoke(...args)),
    }
    const first = await open('first', line, config)
    const { term, ended } = await leadershipOf(first)
    const second = await open('second', await openEtcd({ endpoints: [server().url] }), config)
    try {
      await first.write(put('/a', '1'), never)
      isCut = true
      const next = await leadershipOf(second)
      expect(first.status().role).not.toBe('leader')
      expect(next.term).toBeGreaterThan(term)
      await expect(first.write(put('/a', '2'), never)).rejects.toMatchObject({ reason: 'not-leader' })
      await eventually(() => expect(ended.aborted).toBe(true))
      isCut = false
      await eventually(() => expect(first.status()).toMatchObject({ role: 'follower', leader: 'second' }))
      await eventually(() => second.transferLeadership(never))
      expect((await leadershipOf(first)).term).toBeGreaterThan(next.term)
    } finally {
      await Promise.all([first.stop(), second.stop()])
    }
  })

  test('a peer that was away while etcd forgot loads everything again, and its watchers are told', async () => {
    await using cluster = await startPeers(server(), 1)
    const { store } = await leaderOf(cluster.peers)
    const plain = await openEtcd({ endpoints: [server().url] })
    const gate = Promise.withResolvers<void>()
    let cut = new AbortController()
    let isCut = false
    const shaky: EtcdLink = {
      ...plain,
      async *watch(from, signal) {
        if (isCut) await gate.promise
        yield* plain.watch(from, AbortSignal.any([signal, cut.signal]))
        if (cut.signal.aborted) throw new EtcdError('unavailable', 'the line was cut')
      },
    }
    const away = await open('away', shaky, { prefix: `/test-${clusters}` })
    try {
      const first = await store.write(put('/a', '1'), never)
      await store.write(put('/gone', '1'), never)
      await away.newest(never)
      const after = away.revision()
      const watching = collect(away, { from: '/', to: '0', after }, 100)
      isCut = true
      cut.abort()
      cut = new AbortController()
      await store.write({ compare: [], operations: [{ key: '/gone', value: undefined }] }, never)
      await store.write(put('/a', '2'), never)
      await plain.compact(store.revision(), 5_000)
      gate.resolve()
      await expect(watching).rejects.toMatchObject({ reason: 'compacted' })
      await away.newest(never)
      expect(await away.get('/a')).toMatchObject({
        value: '2',
        version: 2,
        createRevision: first.kind === 'done' && first.revision,
      })
      expect(await away.get('/gone')).toBeUndefined()
      const more = collect(away, { from: '/', to: '0', after: away.revision() }, 1)
      await store.write(put('/b', '1'), never)
      expect((await more).flatMap(batch => batch.events)).toMatchObject([{ kind: 'put', previous: undefined }])
    } finally {
      await away.stop()
    }
  })

  test('many keys are loaded in pages, and what others keep in the same etcd is not seen', async () => {
    const link = await openEtcd({ endpoints: [server().url] })
    const prefix = '/many'
    for (let i = 0; i < 2_500; i += 100) {
      const success = Array.from({ length: 100 }, (_, j) => ({
        kind: 'put' as const,
        key: `${prefix}/${String(i + j).padStart(5, '0')}`,
        value: 'x',
        lease: '0',
      }))
      await link.txn({ compare: [], success, otherwise: [] }, 5_000)
    }
    for (const key of ['/many', '/manyothers/1', '/man', '/many-1']) {
      await link.txn({ compare: [], success: [{ kind: 'put', key, value: 'x', lease: '0' }], otherwise: [] }, 5_000)
    }
    const store = await open('peer', link, { prefix })
    try {
      const { items } = await store.range({ from: '\0', to: '\xff' })
      expect(items.map(({ key }) => key)).toEqual(
        Array.from({ length: 2_500 }, (_, i) => `/${String(i).padStart(5, '0')}`),
      )
    } finally {
      await store.stop()
    }
  })

  test('the leader lets etcd forget what is old', async () => {
    await using cluster = await startPeers(server(), 1, { compactAgeMs: 1_000 })
    const { store } = await leaderOf(cluster.peers)
    await store.write(put('/a', '1'), never)
    const old = store.revision()
    await store.write(put('/a', '2'), never)
    const link = await openEtcd({ endpoints: [server().url] })
    try {
      await eventually(async () => {
        const read = link.range({ from: '/', to: '0', limit: 1, revision: old }, 5_000)
        await expect(read).rejects.toMatchObject({ reason: 'compacted' })
      })
      expect(await store.get('/a', { revision: old })).toMatchObject({ value: '1' })
    } finally {
      link.close()
    }
  })

  test('an etcd that is not the one it was ends the store', async () => {
    await using other = await startEtcdServer()
    const store = await open('peer', await openEtcd({ endpoints: [other.url] }), {})
    await leaderOf([{ peer: peerId('peer'), store }])
    await store.write(put('/a', '1'), never)
    await other.replace()
    await expect(store.done).rejects.toThrow(/another etcd/)
    await expect(store.get('/a')).rejects.toMatchObject({ reason: 'closed' })
    await store.stop()
  })

  test('membership is etcd’s own affair', async () => {
    await using cluster = await startPeers(server(), 1)
    const { store } = await leaderOf(cluster.peers)
    const change = store.changeMembership({ kind: 'add', peer: peerId('x') }, never)
    await expect(change).rejects.toMatchObject({ reason: 'refused', message: expect.stringContaining('etcdctl') })
  })

  test('with TLS, a client certificate opens the door, and one endpoint of two that is there is enough', async () => {
    const folder = makeCertificates()
    try {
      await using secure = await startEtcdServer(folder)
      const dead = 'https://127.0.0.1:1'
      const endpoints = [dead, secure.url]
      const store = await open('peer', await openEtcd({ endpoints, ...clientFiles(folder) }), {})
      await leaderOf([{ peer: peerId('peer'), store }])
      await store.write(put('/a', '1'), never)
      expect(await store.newest(never)).toBe(store.revision())
      await store.stop()
      const stranger = await openEtcd({ endpoints: [secure.url], ca: clientFiles(folder).ca })
      const read = stranger.range({ from: '/', to: '0', limit: 1, revision: 0 }, 3_000)
      await expect(read).rejects.toBeInstanceOf(EtcdError)
      stranger.close()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('addresses and files that do not fit are refused with what to do', async () => {
    const http = 'http://127.0.0.1:2379'
    await expect(openEtcd({ endpoints: [] })).rejects.toThrow(/one or more/)
    await expect(openEtcd({ endpoints: ['10.0.0.5:2379'] })).rejects.toThrow(/looks like https/)
    await expect(openEtcd({ endpoints: [http, 'https://127.0.0.1:2379'] })).rejects.toThrow(/all http/)
    await expect(openEtcd({ endpoints: [http], ca: 'ca.pem' })).rejects.toThrow(/https/)
    const half = { endpoints: ['https://127.0.0.1:2379'], ca: 'ca.pem', certificate: 'client.pem' }
    await expect(openEtcd(half)).rejects.toThrow(/key/)
    const link = await openEtcd({ endpoints: [http] })
    for (const prefix of ['flotilla', '/flotilla/', '/a.b', '/']) {
      await expect(open('peer', link, { prefix })).rejects.toThrow(/looks like \/flotilla/)
    }
    link.close()
  })
}

/** A CA with a certificate for the server and one for a client. */
function makeCertificates(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flotilla-tls-'))
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca', '-days', '2')
  writeFileSync(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n')
  for (const name of ['server', 'client']) {
    run('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
    run('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`)
  }
  return folder
}
