// An API server on a store in memory, for tests.
import { generateKeyPairSync } from 'node:crypto'
import { readYaml } from '../../src/api/parse.ts'
import { type ApiserverConfig, openApiserver } from '../../src/apiserver/run.ts'
import { openCaller } from '../../src/drivers/http/call.ts'
import { openYamlThread } from '../../src/drivers/yaml.ts'
import type { Bytes } from '../../src/lib/bytes.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import type { HttpRequest, Identity } from '../../src/world/http.ts'
import type { PeerId } from '../../src/world/network.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { type Line, testWorld } from './world.ts'

export const admin: Identity = { user: 'admin', groups: ['system:masters'] }

const { privateKey } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})

export const testConfig: ApiserverConfig = {
  serviceCidr: '10.96.0.0/16',
  nodePortRange: { from: 30_000, to: 32_767 },
  version: {
    major: '1',
    minor: '33',
    gitVersion: 'v1.33.0+flotilla-test',
    gitCommit: 'test',
    buildDate: '2026-01-01T00:00:00Z',
    platform: 'linux/amd64',
  },
  serviceAccountKeys: {
    privateKeys: [privateKey],
    issuer: 'https://kubernetes.default.svc.cluster.local',
    audiences: ['https://kubernetes.default.svc.cluster.local'],
  },
  readYaml: async text => readYaml(text, 'Strict'),
  peerOfNode: () => undefined,
  kubeletOf: () => Promise.reject(new Error('no kubelet here')),
}

export async function testApiserver(more: Partial<ApiserverConfig> = {}, given?: MemoryStore) {
  const controller = new AbortController()
  const { signal } = controller
  const store = given ?? memoryStore()
  const lines: Line[] = []
  const world = testWorld('memory', undefined, lines)
  const apiserver = openApiserver(
    world,
    store,
    { ...testConfig, caller: openCaller(signal), readYaml: openYamlThread(signal).read, ...more },
    signal,
  )
  await apiserver.bootstrap(1, signal)
  const client = apiserver.client(admin)
  return { apiserver, client, store, world, lines, signal, stop: () => controller.abort() }
}

export type Ask = {
  readonly method?: string
  readonly body?: unknown
  readonly type?: string
  readonly accept?: string
  readonly identity?: Identity | null
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A request as the driver would hand it over. */
export function request(url: string, ask: Ask = {}): HttpRequest {
  const [path = '', query = ''] = url.split('?')
  const bytes: Bytes =
    ask.body === undefined
      ? new Uint8Array()
      : ask.body instanceof Uint8Array
        ? ask.body
        : utf8(typeof ask.body === 'string' ? ask.body : JSON.stringify(ask.body))
  return {
    method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
    path,
    query,
    headers: {
      ...(ask.type !== undefined && { 'content-type': ask.type }),
      ...(ask.accept !== undefined && { accept: ask.accept }),
      'user-agent': 'test/1',
      ...ask.headers,
    },
    certificate: ask.identity === null ? undefined : (ask.identity ?? admin),
    remote: '127.0.0.1',
    upgrade: undefined,
    body: async max => (bytes.length > max ? undefined : bytes),
    signal: ask.signal ?? new AbortController().signal,
  }
}

export type { PeerId }
