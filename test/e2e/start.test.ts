// `npm start`, as a new user would: ready within a minute, the application answers, each context reaches its peer, and
// nothing is left behind.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import * as path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { requestApi } from '../../src/cli/api.ts'

const root = path.resolve(import.meta.dirname, '../..')
let child: ChildProcess
let said = ''
let tookMs = Number.NaN

beforeAll(async () => {
  const startedMs = performance.now()
  // A group of its own, as a shell gives it: Ctrl-C reaches all of it.
  child = spawn('npm', ['start'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  child.stdout?.on('data', part => {
    said += String(part)
  })
  child.stderr?.on('data', part => {
    said += String(part)
  })
  while (!/^ready: /m.test(said)) {
    if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}:\n${said}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  tookMs = performance.now() - startedMs
}, 150_000)

afterAll(() => {
  if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL')
})

const ready = () => /^ready: kubeconfig=(\S+) app=(\S+)$/m.exec(said)

test('it is ready, in under a minute on a machine that is not overloaded', () => {
  expect(ready()).not.toBeNull()
  console.log(`npm start was ready after ${Math.round(tookMs)} ms:\n${said}`)
})

test('it says in one line which runtime it uses', () => {
  expect(said).toMatch(/^(using Docker at|.*using the process runtime)/m)
})

test('the sample application answers from pods on all three peers', async () => {
  const url = ready()?.[2] ?? ''
  const seen = new Set<string>()
  for (let i = 0; i < 200 && seen.size < 3; i++) {
    // A new connection each time: one connection stays with its pod.
    const body = await (await fetch(url, { headers: { connection: 'close' } })).text()
    seen.add(/ on (peer-\d)/.exec(body)?.[1] ?? body)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  expect([...seen].toSorted()).toEqual(['peer-1', 'peer-2', 'peer-3'])
})

type Kubeconfig = {
  readonly clusters: readonly {
    readonly name: string
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string }
  }[]
  readonly contexts: readonly { readonly name: string }[]
  readonly users: readonly {
    readonly user: { readonly 'client-certificate-data': string; readonly 'client-key-data': string }
  }[]
}

test('the kubeconfig has one context per peer, and each reaches its own peer', async () => {
  const config = parse(readFileSync(ready()?.[1] ?? '', 'utf8')) as Kubeconfig
  expect(config.contexts.map(one => one.name)).toEqual(['peer-1', 'peer-2', 'peer-3'])
  expect(new Set(config.clusters.map(one => one.cluster.server)).size).toBe(3)
  const text = (base64: string | undefined) => Buffer.from(base64 ?? '', 'base64').toString('utf8')
  const user = config.users[0]?.user
  for (const { cluster } of config.clusters) {
    const api = {
      server: cluster.server,
      caPem: text(cluster['certificate-authority-data']),
      admin: { certificatePem: text(user?.['client-certificate-data']), keyPem: text(user?.['client-key-data']) },
    }
    const nodes = await requestApi<{ items: readonly unknown[] }>(api, 'GET', '/api/v1/nodes')
    expect(nodes.items.length).toBe(3)
  }
})

test('a signal ends everything: processes, pods and files', async () => {
  const dir = path.dirname(ready()?.[1] ?? '')
  const ended = new Promise(resolve => child.once('exit', resolve))
  process.kill(-(child.pid ?? 0), 'SIGINT')
  await ended
  expect(said).not.toMatch(/was not removed|did not end/)
  expect(existsSync(dir)).toBe(false)
  const left = execFileSync('sh', ['-c', `pgrep -f ${dir} || true`], { encoding: 'utf8' })
    .split('\n')
    .filter(
      pid =>
        pid !== '' &&
        existsSync(`/proc/${pid}/cmdline`) &&
        !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('pgrep'),
    )
  expect(left).toEqual([])
}, 60_000)
