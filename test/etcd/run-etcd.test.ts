// How a peer serves etcd's API: over TLS, to those whom the cluster's own authority calls administrators.
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import {
  type Authority,
  adminIdentity,
  issueClient,
  issueServing,
  makeAuthority,
  makeSigningKey,
} from '../../src/drivers/pki.ts'
import { type ClusterRecord, ConfigError, etcdListen } from '../../src/node/config.ts'
import { startEtcd } from '../../src/node/run-etcd.ts'
import { createMesh } from '../store/network.ts'
import { memoryCommandStore, self } from './memory-store.ts'
import { silent } from './serve.ts'

const names = { nodeName: 'node', hosts: ['127.0.0.1'], serviceIp: '10.43.0.1' }

describe('over TLS', () => {
  const end = new AbortController()
  const said: string[] = []
  let authority: Authority
  let dataDir: string
  let port: number
  let done: Promise<void>

  beforeAll(async () => {
    authority = await makeAuthority('test', Date.now())
    dataDir = await mkdtemp(join(tmpdir(), 'flotilla-run-etcd-'))
    const world = { clock: realClock(), network: createMesh().network(self), log: silent }
    const cluster = { clusterId: 'cluster', memberId: 'm0', store: '.' } as ClusterRecord
    const keys = { authority, signing: makeSigningKey() }
    const parts = { world, store: memoryCommandStore(), cluster, dataDir, keys, names, nameOf: () => 'node' }
    const listen = { host: '127.0.0.1', port: 0, insecure: false }
    const server = await startEtcd({ ...parts, say: line => said.push(line) }, listen, end.signal)
    ;({ port, done } = server)
  })

  afterAll(async () => {
    end.abort()
    await done
    await rm(dataDir, { recursive: true })
  })

  function status(client: { certificatePem: string; keyPem: string } | undefined): Promise<'answered' | 'refused'> {
    return new Promise(resolve => {
      const session = connect(`https://127.0.0.1:${port}`, {
        ca: authority.certificatePem,
        ...(client !== undefined && { cert: client.certificatePem, key: client.keyPem }),
      })
      const end = (how: 'answered' | 'refused') => {
        resolve(how)
        session.destroy()
      }
      for (const event of ['error', 'close']) session.on(event, () => end('refused'))
      const stream = session.request({
        ':method': 'POST',
        ':path': '/etcdserverpb.Maintenance/Status',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.on('error', () => end('refused'))
      stream.on('data', chunk => end(chunk.includes('3.4.23') ? 'answered' : 'refused'))
      stream.end(Buffer.alloc(5))
    })
  }

  test('the administrator of the cluster is answered', async () => {
    expect(await status(await issueClient(authority, adminIdentity, Date.now()))).toBe('answered')
  })

  test('nobody else is: no certificate, another group, another authority, a serving certificate, an old one', async () => {
    expect(await status(undefined)).toBe('refused')
    const other = { user: 'kubernetes-admin', groups: ['system:authenticated', 'masters'] }
    expect(await status(await issueClient(authority, other, Date.now()))).toBe('refused')
    expect(await status(await issueClient(authority, { ...other, groups: [] }, Date.now()))).toBe('refused')
    const stranger = await makeAuthority('stranger', Date.now())
    expect(await status(await issueClient(stranger, adminIdentity, Date.now()))).toBe('refused')
    expect(await status(await issueServing(authority, names, Date.now()))).toBe('refused')
    const longAgo = Date.now() - 800 * 24 * 3_600_000
    expect(await status(await issueClient(authority, adminIdentity, longAgo))).toBe('refused')
  })

  test('a person is told how to ask', () => {
    expect(said.join('\n')).toContain(`--endpoints https://127.0.0.1:${port} --cacert ${dataDir}/pki/ca.crt`)
  })
})

test.each([
  ['', '127.0.0.1', 2379],
  ['2380', '127.0.0.1', 2380],
  [':2380', '127.0.0.1', 2380],
  ['localhost', 'localhost', 2379],
  ['192.168.1.10', '192.168.1.10', 2379],
  ['192.168.1.10:1', '192.168.1.10', 1],
  ['[::1]:2381', '::1', 2381],
  ['[::1]', '::1', 2379],
])('--etcd-listen %j listens on %s port %i', (text, host, port) => {
  expect(etcdListen(text, false)).toEqual({ host, port, insecure: false })
})

test.each(['127.0.0.1:99999', 'a:b:c', '::1', '[::1', '127.0.0.1:'])('--etcd-listen %s is none', text => {
  expect(() => etcdListen(text, false)).toThrow(ConfigError)
})

test('without TLS on loopback alone', () => {
  for (const text of ['', '127.9.9.9:1', '[::1]:1', 'localhost:1']) expect(etcdListen(text, true).insecure).toBe(true)
  for (const text of ['0.0.0.0:1', '192.168.1.10', '[::]:1', 'example.org', '127.0.0.1.example.org:1']) {
    expect(() => etcdListen(text, true)).toThrow(ConfigError)
  }
})
