// The two systems that etcd's clients must not be able to tell apart: three members of etcd, and three of our stores in
// this process with etcd's API before each.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { type GrpcServer, serveGrpc } from '../../src/drivers/grpc/serve.ts'
import { openEtcd } from '../../src/etcd/run.ts'
import type { PeerId } from '../../src/world/network.ts'
import { freePorts } from '../ports.ts'
import { startCluster } from '../store/cluster.ts'
import { silent } from './serve.ts'

export type System = AsyncDisposable & {
  readonly name: string
  /** host:port of each member. */
  readonly endpoints: readonly string[]
}

const memberCount = 3
const timeoutMs = 60_000

const hasEtcd = (() => {
  try {
    execFileSync('etcd', ['--version'])
    execFileSync('etcdctl', ['version'])
    return true
  } catch {
    return false
  }
})()

/** Tests that need etcd and etcdctl. Without them they are skipped, and fail where CI is set. */
export function describeWithEtcd(name: string, body: () => void): void {
  if (hasEtcd) describe(name, body)
  else
    test.skipIf(process.env['CI'] !== 'true')(`${name} needs what is not here: etcd and etcdctl`, () =>
      expect(hasEtcd).toBe(true),
    )
}

export async function startOurs(): Promise<System> {
  // A busy machine may hold a member up for long, and a new leader would be another term in every answer.
  const cluster = await startCluster(memberCount, { tickMs: 50, electionTicks: 60, requestTimeoutMs: timeoutMs })
  const end = new AbortController()
  const urls = new Map<PeerId, string>()
  const endpoints: string[] = []
  const servers: GrpcServer[] = []
  for (const { store, member, peer } of cluster.peers) {
    const config = {
      clusterId: 'test',
      member,
      clientUrlsOf: (of: PeerId) => [urls.get(of) ?? ''],
      nameOf: (of: PeerId) => of.replace('peer-', 'm'),
      dbBytes: () => Promise.resolve(20_480),
    }
    const service = openEtcd(realClock(), store, config, end.signal)
    const options = { host: '127.0.0.1', port: 0, tls: undefined, service, log: silent }
    const server = await serveGrpc(options, end.signal)
    servers.push(server)
    endpoints.push(`127.0.0.1:${server.port}`)
    urls.set(peer, `http://127.0.0.1:${server.port}`)
  }
  return {
    name: 'ours',
    endpoints,
    async [Symbol.asyncDispose]() {
      end.abort()
      await Promise.all(servers.map(server => server.done))
      await cluster[Symbol.asyncDispose]()
    },
  }
}

export async function startEtcd(): Promise<System> {
  const root = await mkdtemp(join(tmpdir(), 'flotilla-etcd-'))
  const [clients, peers] = [await freePorts(memberCount), await freePorts(memberCount)]
  const all = peers.map((port, i) => `m${i}=http://127.0.0.1:${port}`).join(',')
  const children = clients.map((port, i) => startMember(root, i, port, peers[i] ?? 0, all))
  const system = {
    name: 'etcd',
    endpoints: clients.map(port => `127.0.0.1:${port}`),
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(children.map(child => (child.exitCode === null ? once(child, 'exit') : undefined)))
      await rm(root, { recursive: true })
    },
  }
  try {
    await healthy(system)
  } catch (error) {
    await system[Symbol.asyncDispose]()
    throw error
  }
  return system
}

function startMember(root: string, index: number, client: number, peer: number, all: string): ChildProcess {
  const options = {
    name: `m${index}`,
    'data-dir': join(root, String(index)),
    'listen-client-urls': `http://127.0.0.1:${client}`,
    'advertise-client-urls': `http://127.0.0.1:${client}`,
    'listen-peer-urls': `http://127.0.0.1:${peer}`,
    'initial-advertise-peer-urls': `http://127.0.0.1:${peer}`,
    'initial-cluster': all,
    // As patient as ours.
    'heartbeat-interval': '150',
    'election-timeout': '3000',
  }
  return spawn(
    'etcd',
    Object.entries(options).map(([name, value]) => `--${name}=${value}`),
    { stdio: 'ignore' },
  )
}

async function healthy(system: System): Promise<void> {
  const until = performance.now() + timeoutMs
  for (;;) {
    const { code } = await etcdctl(system, ['endpoint', 'health'])
    if (code === 0) return
    if (performance.now() > until) throw new Error('etcd did not come up')
  }
}

export type Said = { readonly code: number; readonly out: string; readonly error: string }

export type EtcdctlOptions = {
  readonly input?: string
  /** Ended, politely, when it has printed so many lines. */
  readonly lines?: number
  /** Of the members; default: all. */
  readonly endpoints?: readonly string[]
}

/** Runs etcdctl against the system. */
export async function etcdctl(system: System, args: readonly string[], options: EtcdctlOptions = {}): Promise<Said> {
  const endpoints = (options.endpoints ?? system.endpoints).join(',')
  const child = spawn('etcdctl', [`--endpoints=${endpoints}`, '--dial-timeout=20s', '--command-timeout=40s', ...args], {
    env: { ...process.env, ETCDCTL_API: '3' },
  })
  let [out, error] = ['', '']
  child.stdout.on('data', chunk => {
    out += String(chunk)
    if (options.lines !== undefined && out.split('\n').length > options.lines) child.kill('SIGTERM')
  })
  child.stderr.on('data', chunk => {
    error += String(chunk)
  })
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const [code] = await once(child, 'close')
  return { code: code ?? 0, out, error }
}
