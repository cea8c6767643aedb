// A kubelet on real child processes, with the API in memory: for tests of the shell. Time is real here, so tests wait for what
// they want to see and never for how long it takes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { node as nodeKind } from '../../src/api/kinds/node.ts'
import { type Pod, pod as podKind } from '../../src/api/kinds/pod.ts'
import type { Draft } from '../../src/api/schema.ts'
import { openProcess } from '../../src/drivers/runtime/process.ts'
import type { LiveEndpoint } from '../../src/gossip/gossip.ts'
import type { KubeletConfig } from '../../src/kubelet/context.ts'
import { type Kubelet, openKubelet } from '../../src/kubelet/run.ts'
import { type Bytes, concat, text } from '../../src/lib/bytes.ts'
import { encodeFrame, frameDecoder } from '../../src/wire/frame.ts'
import {
  type KubeletRequest,
  KubeletRequestSchema,
  type StatsReply,
  StatsReplySchema,
} from '../../src/wire/gen/flotilla/v1/kubelet_pb.ts'
import { type MeshStream, peerId } from '../../src/world/network.ts'
import type { ContainerRuntime } from '../../src/world/runtime.ts'
import type { World } from '../../src/world/world.ts'
import { type MemoryClient, memoryClient } from '../client/memory-client.ts'
import { world as parts, removePods } from '../runtime-specs.ts'

// The kubelet uses neither the network nor the disk of its world.
const world = { ...parts, network: undefined, disk: undefined } as unknown as World
const { signal: never } = new AbortController()

export type Agent = { readonly kubelet: Kubelet; stop(): Promise<void> }

export type Rig = {
  readonly client: MemoryClient
  readonly runtime: ContainerRuntime
  readonly folder: string
  readonly announced: () => readonly LiveEndpoint[]
  agent(): Agent
  pod(name: string): Pod | undefined
  run(name: string, spec: object): Promise<Pod>
  until<T>(look: () => T | undefined | false | Promise<T | undefined | false>, what: string): Promise<T>
  close(): Promise<void>
}

const processes = (folder: string) => openProcess(parts, { stateDir: join(folder, 'runtime') }, never)

export async function openRig(
  openRuntime: (folder: string) => Promise<ContainerRuntime> = processes,
  podCIDR = '127.77.0.0/24',
  cgroupRoot = '',
): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'fkb-'))
  const runtime = await openRuntime(folder)
  const client = memoryClient(parts)
  await client.create(nodeKind, { metadata: { name: 'one' }, spec: { podCIDR } }, never)
  const agents = new Set<Agent>()
  let announced: readonly LiveEndpoint[] = []
  const gossip = {
    view: () => ({ members: new Map(), endpoints: new Map() }),
    async *follow() {},
    announce: (endpoints: readonly LiveEndpoint[]) => {
      announced = endpoints
    },
  }
  const config: KubeletConfig = {
    node: {
      name: 'one',
      ip: '127.0.0.1',
      clusterDns: '169.254.20.10',
      clusterDomain: 'cluster.local',
      hostDns: { servers: ['127.0.0.53'], searches: [], options: [] },
      cgroupRoot,
      memoryBytes: 2 ** 30,
    },
    stateDir: join(folder, 'state'),
    allocatable: { cpuMilli: 4_000, memoryBytes: 2 ** 30, pods: 20 },
  }
  const rig: Rig = {
    client,
    runtime,
    folder,
    announced: () => announced,
    agent() {
      const controller = new AbortController()
      const kubelet = openKubelet(world, config, client, runtime, gossip, controller.signal)
      const agent: Agent = {
        kubelet,
        async stop() {
          agents.delete(agent)
          controller.abort()
          await kubelet.done
        },
      }
      agents.add(agent)
      return agent
    },
    pod: name => client.find(podKind, name),
    async run(name, spec) {
      const draft = { metadata: { name, namespace: 'default' }, spec: { nodeName: 'one', ...spec } }
      return await client.create(podKind, draft as Draft<Pod>, never)
    },
    async until(look, what) {
      for (let round = 0; round < 1_200; round++) {
        const found = await look()
        if (found !== undefined && found !== false) return found
        await sleep(25)
      }
      throw new Error(`never seen: ${what}; pods: ${JSON.stringify(client.all(podKind), undefined, 1)}`)
    },
    async close() {
      for (const agent of agents) await agent.stop()
      await removePods(runtime)
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  return rig
}

/** One shell script as a container. */
export const shell = (script: string, more: object = {}) => ({
  name: 'main',
  image: 'host',
  command: ['sh', '-c', script],
  ...more,
})

/** What `serve` answers to one request without input. */
export async function ask(
  kubelet: Kubelet,
  request: Omit<KubeletRequest, '$typeName' | 'namespace'>,
): Promise<{ readonly stdout: string; readonly status: Readonly<Record<string, unknown>> }> {
  const frame = encodeFrame(
    toBinary(KubeletRequestSchema, create(KubeletRequestSchema, { namespace: 'default', ...request })),
  )
  const stdout: Bytes[] = []
  const state = { status: {} }
  const decoder = frameDecoder()
  const stream: MeshStream = {
    remote: peerId('peer'),
    async *read() {
      yield frame
    },
    async write(bytes) {
      for (const payload of decoder.push(bytes)) {
        if (payload[0] === 1) stdout.push(payload.slice(1))
        if (payload[0] === 3) state.status = JSON.parse(text(payload.subarray(1)))
      }
    },
    async closeWrite() {},
    abort() {},
  }
  await kubelet.serve(stream, never)
  return { stdout: text(concat(stdout)), status: state.status }
}

/** What the kubelet answers to an API server that asks for statistics. */
export async function statsOver(kubelet: Kubelet): Promise<StatsReply> {
  const decoder = frameDecoder()
  let reply: StatsReply | undefined
  const request = create(KubeletRequestSchema, { ask: { case: 'stats', value: {} } })
  await kubelet.serve(
    {
      remote: peerId('peer'),
      async *read() {
        yield encodeFrame(toBinary(KubeletRequestSchema, request))
      },
      async write(bytes: Uint8Array) {
        for (const payload of decoder.push(bytes))
          if (payload[0] === 1) reply = fromBinary(StatsReplySchema, payload.subarray(1))
      },
      async closeWrite() {},
      abort() {},
    },
    never,
  )
  if (reply === undefined) throw new Error('no statistics came')
  return reply
}
