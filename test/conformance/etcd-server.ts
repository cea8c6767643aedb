// One real etcd on free ports of the loopback, in a folder of its own, that can be killed, frozen, and started again.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEtcd } from '../../src/drivers/etcd.ts'
import { freePorts } from '../ports.ts'

export type EtcdServer = AsyncDisposable & {
  readonly url: string
  /** As kill -9 does. */
  kill(): Promise<void>
  /** On the same data and ports. */
  start(): Promise<void>
  /** Ends it and starts an empty one at its place. */
  replace(): Promise<void>
  freeze(): void
  thaw(): void
}

export const hasEtcd = (() => {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

/** `folder` has ca.pem, server.pem and server.key, and clients must show a certificate of that CA. */
export async function startEtcdServer(tlsFolder?: string): Promise<EtcdServer> {
  const folder = await mkdtemp(join(tmpdir(), 'flotilla-etcd-'))
  const [client, peer] = await freePorts(2)
  const url = `${tlsFolder === undefined ? 'http' : 'https'}://127.0.0.1:${client}`
  const flags: Record<string, string> = {
    name: 'one',
    'data-dir': join(folder, 'data'),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': `http://127.0.0.1:${peer}`,
    'initial-advertise-peer-urls': `http://127.0.0.1:${peer}`,
    'initial-cluster': `one=http://127.0.0.1:${peer}`,
    ...(tlsFolder !== undefined && {
      'cert-file': join(tlsFolder, 'server.pem'),
      'key-file': join(tlsFolder, 'server.key'),
      'trusted-ca-file': join(tlsFolder, 'ca.pem'),
      'client-cert-auth': 'true',
    }),
  }
  const tls = tlsFolder === undefined ? {} : clientFiles(tlsFolder)
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    child = spawn(
      'etcd',
      Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
      { stdio: 'ignore' },
    )
    const link = await openEtcd({ endpoints: [url], ...tls })
    const started = performance.now()
    for (;;) {
      try {
        await link.range({ from: '/', to: '0', limit: 1, revision: 0 }, 2_000)
        break
      } catch (error) {
        if (performance.now() - started > 60_000) throw error
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
    link.close()
  }

  async function kill(): Promise<void> {
    const dying = child
    child = undefined
    if (dying === undefined || dying.exitCode !== null) return
    dying.kill('SIGKILL')
    await once(dying, 'exit')
  }

  const server: EtcdServer = {
    url,
    kill,
    start,
    async replace() {
      await kill()
      await rm(join(folder, 'data'), { recursive: true })
      flags['initial-cluster-token'] = 'another'
      await start()
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
  try {
    await start()
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
  return server
}

export function clientFiles(folder: string) {
  return { ca: join(folder, 'ca.pem'), certificate: join(folder, 'client.pem'), key: join(folder, 'client.key') }
}
