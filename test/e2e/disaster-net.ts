// A testnet of its own for drills that take machines apart: three hosts with Docker and a peer each, an application on all.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { agentLog, dataDir, flotillaOn, flotillaStatus, killAgent, startAgent } from '../../testnet/agent.ts'
import { CommandError, daemon, type ProcessId, run, until } from '../../testnet/command.ts'
import { docker } from '../../testnet/docker.ts'
import { addressOf, onHost } from '../../testnet/hosts.ts'
import { down, kubectlCommand, save, type Testnet, up } from '../../testnet/testnet.ts'
import { busyboxArchive } from '../images.ts'

export const hosts = [1, 2, 3] as const
export const namespace = 'drill'

const application = `
apiVersion: v1
kind: Namespace
metadata: { name: ${namespace} }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: app, namespace: ${namespace} }
spec:
  replicas: 6
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - { maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { app: app } } }
      containers: [{ name: app, image: "busybox:1.36", command: [sleep, "100000"] }]
`

type Report = {
  readonly clusterId: string
  readonly clusterName: string
  readonly leader?: string
  readonly self: string
  readonly peers: readonly { readonly node: string; readonly role: string; readonly health: string }[]
}

type Pod = {
  readonly metadata: { readonly name: string; readonly uid: string }
  readonly spec: { readonly nodeName: string }
  readonly status: { readonly containerStatuses?: readonly { readonly restartCount: number }[] }
}

export type Drill = Awaited<ReturnType<typeof openDrill>>

export async function openDrill(say: (line: string) => void) {
  const dir = mkdtempSync(path.join(tmpdir(), 'flotilla-drill-'))
  const image = path.join(dir, 'busybox.tar')
  writeFileSync(image, busyboxArchive('busybox:1.36'))
  const flags = ['--cluster-name=drill', '--log-level=debug']
  const net: Testnet = await up({ name: 'fldr', dir, hosts: 3, runtime: 'docker', flags, images: [image], say })

  const loads: ProcessId[] = []

  const flotilla = (host: number, ...args: readonly string[]) => flotillaOn(net.net, host, args)

  async function kubectl(host: number, args: string | readonly string[], input?: string): Promise<string> {
    const words = typeof args === 'string' ? args.split(' ') : args
    const command = kubectlCommand(net, host, host, words)
    return (await run(command, input === undefined ? {} : { input })).stdout
  }

  const report = async (host: number) => (await flotillaStatus(net.net, host)) as Report

  /** All hosts are voters of the same cluster, as each of them sees it. */
  async function whole(): Promise<string> {
    let clusterId = ''
    for (const host of hosts) {
      await until(`host${host} sees three living voters`, 90_000, async () => {
        const { leader, peers, clusterId: its } = await report(host)
        if (clusterId === '') clusterId = its
        const all = peers.length === 3 && peers.every(one => one.role === 'voter' && one.health === 'alive')
        return leader !== undefined && all && its === clusterId
      })
    }
    await kubectl(1, 'wait --for=condition=Ready node/host1 node/host2 node/host3 --timeout=60s')
    return clusterId
  }

  /** Every running container with when it started, by Docker's own word. */
  async function containers(): Promise<ReadonlyMap<string, string>> {
    const all = new Map<string, string>()
    for (const host of hosts) {
      const { stdout } = await docker(net.net, host, ['ps', '-q', '--no-trunc'])
      const ids = stdout.split('\n').filter(line => line !== '')
      if (ids.length === 0) continue
      const inspected = await docker(net.net, host, ['inspect', '--format', '{{.Id}} {{.State.StartedAt}}', ...ids])
      for (const line of inspected.stdout.trim().split('\n')) {
        const [id = '', at = ''] = line.split(' ')
        all.set(id, at)
      }
    }
    return all
  }

  const pods = async (host: number) =>
    (JSON.parse(await kubectl(host, `-n ${namespace} get pods -o json`)) as { items: readonly Pod[] }).items

  async function kill(...which: readonly number[]): Promise<void> {
    await Promise.all(
      which.map(async host => {
        const id = net.agents[host]
        if (id !== undefined) await killAgent(id)
      }),
    )
  }

  async function start(host: number, join?: { readonly target: string; readonly token: string }): Promise<void> {
    net.agents[host] = await startAgent(net.net, host, net.options, join)
    await save(net)
  }

  return {
    net: net.net,
    flotilla,
    kubectl,
    report,
    whole,
    containers,
    pods,
    kill,
    start,
    dataDir: (host: number) => dataDir(net.net, host),
    agentLog: (host: number) => readFileSync(agentLog(net.net, host), 'utf8'),

    /** Data directory, key and all; the containers run on. */
    loseData(host: number): void {
      rmSync(dataDir(net.net, host), { recursive: true })
    },

    /** A host without its data comes back as the node that it was, with a token from a host that is there. */
    async comeBack(host: number, by: number): Promise<void> {
      const { self } = await report(by)
      const token = (await flotilla(by, 'token', 'create', '--quiet', '--replaces', `host${host}`)).trim()
      await start(host, { target: `/ip4/${addressOf(by)}/tcp/4001/p2p/${self}`, token })
    },

    /** Resolves when a config map was written, with its revision; waits while nobody leads. */
    async write(host: number, name: string): Promise<number> {
      await until(`host${host} writes ${name}`, 60_000, async () => {
        await kubectl(host, `-n ${namespace} create configmap ${name} --request-timeout=5s`).catch(error => {
          if (!(error instanceof CommandError) || !error.stderr.includes('AlreadyExists')) throw error
        })
        return true
      })
      return Number(
        await kubectl(host, `-n ${namespace} get configmap ${name} -o jsonpath={.metadata.resourceVersion}`),
      )
    },

    /** What a watch that goes on from this revision is told. */
    async watchFrom(host: number, revision: number): Promise<string> {
      const where = `/api/v1/namespaces/${namespace}/configmaps?watch=1&timeoutSeconds=3&resourceVersion=${revision}`
      return await kubectl(host, ['get', '--raw', where])
    },

    async deploy(): Promise<void> {
      await kubectl(1, ['apply', '-f', '-'], application)
      await kubectl(1, `-n ${namespace} rollout status deployment/app --timeout=120s`)
      await until('every host runs two', 60_000, async () => {
        const all = await pods(1)
        return (
          all.length === 6 && hosts.every(host => all.filter(pod => pod.spec.nodeName === `host${host}`).length === 2)
        )
      })
    },

    /** Writes config maps w-0, w-1, … as fast as one kubectl after the other does, until `stop`; `done` counts those acknowledged. */
    async load(host: number): Promise<Load> {
      const log = path.join(dir, 'load.log')
      writeFileSync(log, '')
      const script = `i=0; while true; do kubectl --kubeconfig=${dataDir(net.net, host)}/kubeconfig -n ${namespace} create configmap w-$i && echo $i >> ${log}; i=$((i+1)); done`
      const id: ProcessId = await daemon(onHost(net.net, host, ['sh', '-c', script]), path.join(dir, 'load.out'))
      loads.push(id)
      return {
        done: () =>
          readFileSync(log, 'utf8')
            .trim()
            .split('\n')
            .filter(line => line !== '').length,
        stop: () => killAgent(id),
      }
    },

    file: (name: string) => path.join(dir, name),
    async [Symbol.asyncDispose]() {
      await Promise.all(loads.map(killAgent))
      await down(net)
    },
  }
}

export type Load = { done(): number; stop(): Promise<void> }
