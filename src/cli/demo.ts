// `flotilla demo`, which is `npm start`: three peers on this machine, each a process of its own, a sample application on
// them, and a live view. Nothing of it outlives Ctrl-C.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as os from 'node:os'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { realClock } from '../drivers/clock.ts'
import { realLog } from '../drivers/log.ts'
import { realRandom } from '../drivers/random.ts'
import { kubeconfigFile, kubeconfigText, readCertificate, writeKubeconfig } from '../node/run-files.ts'
import type { StatusReport } from '../node/status.ts'
import { type Api, ApiRequestError, requestApi } from './api.ts'
import { ask } from './control.ts'
import { demoArchive, demoImage, demoNamespace, demoObjects, demoReplicas } from './demo-app.ts'
import { liveView } from './live.ts'

const peerCount = 3
const readyMs = 120_000
const main = fileURLToPath(new URL('../main.ts', import.meta.url))
// Each pod has a loopback address of its own in the process runtime, so that all may listen on the same port; each demo has a
// range of its own, so that two may run at once.
const loopbackPods = `127.${64 + Math.floor(Math.random() * 128)}.0.0/16`

type Peer = { readonly name: string; readonly dataDir: string; readonly child: ChildProcess }

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('three peers on this machine with a sample application and a live view; Ctrl-C ends all')
    .addOption(
      new Option('--runtime <runtime>', 'what runs containers').choices(['auto', 'docker', 'process']).default('auto'),
    )
    .option('--docker-socket <path>', "Docker's socket", '/var/run/docker.sock')
    .addHelpText('after', '\nExample:\n  npm start\n  flotilla demo --runtime process')
    .action(async (options: { runtime: string; dockerSocket: string }) => {
      process.exitCode = await demo(options.runtime, options.dockerSocket)
      process.exit()
    })
}

async function demo(runtime: string, dockerSocket: string): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  // npm does not pass every signal on: when it is gone, so are we.
  const parent = process.ppid
  const orphaned = setInterval(() => process.ppid !== parent && stop.abort(), 1_000)
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'flotilla-demo-'))
  const peers: Peer[] = []
  let created = false
  let api: Api | undefined
  try {
    const docker = runtime !== 'process' && (await useDocker(dockerSocket, runtime === 'docker', stop.signal))
    for (let i = 1; i <= peerCount && !stop.signal.aborted; i++) {
      peers.push(await startPeer(dir, i, docker, dockerSocket, peers[0], stop.signal))
      console.log(`peer-${i} is up`)
    }
    const first = peers[0]
    if (first === undefined || stop.signal.aborted) return 130
    const kubeconfig = path.join(dir, 'kubeconfig')
    api = await writeContexts(kubeconfig, peers)
    await untilReady('all nodes are Ready', stop.signal, peers, async () => {
      const { peers: seen } = await ask<StatusReport>(first.dataDir, 'GET', '/status')
      return seen.length === peerCount && seen.every(peer => peer.ready === 'Ready')
    })
    console.log('all nodes are Ready; starting the sample application')
    created = true
    for (const { path: at, body } of demoObjects(
      docker ? demoImage : 'host',
      docker ? '/usr/bin/node' : process.execPath,
    )) {
      await requestApi(api, 'POST', at, body)
    }
    const url = await appUrl(api, stop.signal, peers)
    console.log(`ready: kubeconfig=${kubeconfig} app=${url}`)
    await liveView(() => view(first, peers), url, kubeconfig, stop.signal)
    return 0
  } catch (error) {
    if (stop.signal.aborted) return 130
    console.error(`flotilla: ${error instanceof Error ? error.message : String(error)}`)
    for (const { name, dataDir } of peers) console.error(`${name}: ${await lastLine(`${dataDir}.log`)}`)
    return 1
  } finally {
    clearInterval(orphaned)
    console.log('ending everything')
    if (created && api !== undefined) await removeApp(api)
    await Promise.all(peers.map(endPeer))
    await endLeftovers(dir)
    await fs.rm(dir, { recursive: true, force: true })
  }
}

/** True when Docker answers and has our image. Says in one line what is used and why. */
async function useDocker(socketPath: string, asked: boolean, signal: AbortSignal): Promise<boolean> {
  const world = { clock: realClock(), random: realRandom(), log: realLog({ level: 'error', format: 'text' }) }
  const { loadDockerImage } = await import('../drivers/runtime/docker-load.ts')
  // Pods on Docker get their addresses from the agent, which takes root.
  const root = process.getuid?.() === 0
  const loaded = root && (await loadDockerImage(world, socketPath, demoImage, demoArchive, signal))
  if (loaded) {
    console.log(`using Docker at ${socketPath}`)
    return true
  }
  const why = root ? `no Docker daemon answers at ${socketPath}` : 'pods on Docker need root for their network'
  if (asked) throw new Error(why)
  console.log(`${why}: using the process runtime, which runs pods as plain processes of this machine`)
  return false
}

async function startPeer(
  dir: string,
  i: number,
  docker: boolean,
  dockerSocket: string,
  first: Peer | undefined,
  signal: AbortSignal,
): Promise<Peer> {
  const name = `peer-${i}`
  const dataDir = path.join(dir, name)
  const flags = [
    `--data-dir=${dataDir}`,
    `--name=${name}`,
    '--node-ip=127.0.0.1',
    '--listen=/ip4/127.0.0.1/tcp/0',
    '--no-mdns',
    '--api-host=127.0.0.1',
    '--api-port=0',
    `--runtime=${docker ? 'docker' : 'process'}`,
    `--docker-socket=${dockerSocket}`,
    '--dataplane=userspace',
    '--dns-address=none',
    '--end-with-stdin',
    ...(docker ? [] : [`--cluster-cidr=${loopbackPods}`]),
  ]
  const verb = first === undefined ? ['up'] : ['join', `--token=${await tokenOf(first)}`]
  // In a group of its own, so that Ctrl-C reaches us alone and the application can be taken away first; its standard input
  // ends with us, however we end.
  const child = spawn(process.execPath, [main, ...verb, ...flags], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  const log = createWriteStream(`${dataDir}.log`)
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const peer = { name, dataDir, child }
  await untilReady(`${name} answers`, signal, [peer], async () => {
    await ask(dataDir, 'GET', '/status')
    return true
  })
  return peer
}

async function tokenOf(first: Peer): Promise<string> {
  return (await ask<{ token: string }>(first.dataDir, 'POST', '/tokens', { ttlMs: 600_000 })).token
}

/** One kubeconfig with a context per peer, each reaching its own peer. */
async function writeContexts(file: string, peers: readonly Peer[]): Promise<Api> {
  const contexts = await Promise.all(
    peers.map(async ({ name, dataDir }) => {
      const text = await fs.readFile(kubeconfigFile(dataDir), 'utf8')
      return { name, server: /server: (\S+)/.exec(text)?.[1] ?? '' }
    }),
  )
  const dataDir = peers[0]?.dataDir ?? ''
  const [ca, admin] = await Promise.all([readCertificate(dataDir, 'ca'), readCertificate(dataDir, 'admin')])
  if (ca === undefined || admin === undefined) throw new Error(`no certificates in ${dataDir}`)
  await writeKubeconfig(file, kubeconfigText(contexts, ca.certificatePem, admin))
  return { server: contexts[0]?.server ?? '', caPem: ca.certificatePem, admin }
}

type Service = { readonly spec: { readonly ports: readonly { readonly nodePort?: number }[] } }

/** Where the application answers, once it does from a pod. */
async function appUrl(api: Api, signal: AbortSignal, peers: readonly Peer[]): Promise<string> {
  const service = await requestApi<Service>(api, 'GET', `/api/v1/namespaces/${demoNamespace}/services/demo`)
  const url = `http://127.0.0.1:${service.spec.ports[0]?.nodePort}/`
  await untilReady('the sample application answers', signal, peers, async () => {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    return response.ok
  })
  return url
}

async function untilReady(
  what: string,
  signal: AbortSignal,
  peers: readonly Peer[],
  holds: () => Promise<boolean>,
): Promise<void> {
  const endMs = performance.now() + readyMs
  let last: unknown
  while (performance.now() < endMs && !signal.aborted) {
    const gone = peers.find(({ child }) => child.exitCode !== null || child.signalCode !== null)
    if (gone !== undefined) throw new Error(`${gone.name} has ended: ${await lastLine(`${gone.dataDir}.log`)}`)
    try {
      if (await holds()) return
    } catch (error) {
      last = error
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  if (!signal.aborted)
    throw new Error(`not within ${readyMs / 1_000} s: ${what}${last === undefined ? '' : ` (${String(last)})`}`)
}

async function lastLine(file: string): Promise<string> {
  const lines = (await fs.readFile(file, 'utf8').catch(() => '')).trim().split('\n')
  return lines.at(-1) ?? ''
}

type PodList = {
  readonly items: readonly {
    readonly metadata: { readonly name: string }
    readonly spec: { readonly nodeName?: string }
    readonly status: { readonly phase?: string; readonly podIP?: string }
  }[]
}

/** Any living peer will do: that is the point. */
async function view(first: Peer, peers: readonly Peer[]) {
  for (const { dataDir } of [first, ...peers]) {
    try {
      const report = await ask<StatusReport>(dataDir, 'GET', '/status')
      const [ca, admin] = await Promise.all([readCertificate(dataDir, 'ca'), readCertificate(dataDir, 'admin')])
      if (ca === undefined || admin === undefined) continue
      const server = /server: (\S+)/.exec(await fs.readFile(kubeconfigFile(dataDir), 'utf8'))?.[1] ?? ''
      const pods = await requestApi<PodList>({ server, caPem: ca.certificatePem, admin }, 'GET', '/api/v1/pods')
      const rows = pods.items.map(pod => [
        pod.metadata.name,
        pod.status.phase ?? '',
        pod.spec.nodeName ?? '',
        pod.status.podIP ?? '',
      ])
      return { report, pods: rows }
    } catch {
      // This peer is down or starting; the next one is asked.
    }
  }
  return undefined
}

/** Pods outlive an agent on purpose, so they are taken away before the agents end. */
async function removeApp(api: Api): Promise<void> {
  try {
    await requestApi(api, 'DELETE', `/apis/apps/v1/namespaces/${demoNamespace}/deployments/demo`, {
      propagationPolicy: 'Background',
    })
    const endMs = performance.now() + 15_000
    while (performance.now() < endMs) {
      const { items } = await requestApi<PodList>(api, 'GET', `/api/v1/namespaces/${demoNamespace}/pods`)
      if (items.length === 0) return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    console.error(`some of the ${demoReplicas} pods did not end within 15 s`)
  } catch (error) {
    if (error instanceof ApiRequestError && error.code === 404) return
    console.error(`the sample application was not removed: ${String(error)}`)
  }
}

/** Pods that run as plain processes and could not be taken away by the API: they are known by our folder, which is unique. */
async function endLeftovers(dir: string): Promise<void> {
  for (const entry of await fs.readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue
    const about = await Promise.all(
      ['cmdline', 'environ'].map(file => fs.readFile(`/proc/${entry}/${file}`, 'latin1').catch(() => '')),
    )
    if (!about.some(text => text.includes(`${dir}/`))) continue
    try {
      process.kill(Number(entry), 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH')
        console.error(`process ${entry} was not ended: ${String(error)}`)
    }
  }
}

async function endPeer({ child }: Peer): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 8_000)
  await ended
  clearTimeout(timer)
}
