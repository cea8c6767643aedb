// metrics.k8s.io and the statistics of nodes: kubelets that answer, that are silent and that are slow, and the real kubectl.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { node as nodeKind } from '../../../src/api/kinds/node.ts'
import { type Pod, pod as podKind } from '../../../src/api/kinds/pod.ts'
import { decodeBody, schemaLookup } from '../../../src/api/protobuf.ts'
import { builtIn } from '../../../src/apiserver/catalog.ts'
import { answerTimeoutMs, keptMs, openNodeStats } from '../../../src/apiserver/run-stats.ts'
import { utf8 } from '../../../src/lib/bytes.ts'
import { encodeChannel, frameDecoder } from '../../../src/wire/frame.ts'
import { KubeletRequestSchema, StatsReplySchema } from '../../../src/wire/gen/flotilla/v1/kubelet_pb.ts'
import { type MeshStream, peerId } from '../../../src/world/network.ts'
import { pipe } from '../../apiserver/fake-kubelet.ts'
import { installed, Kubectl } from '../../apiserver/kubectl.ts'
import { servedApiserver } from '../../apiserver/served.ts'
import { request } from '../../apiserver/setup.ts'
import { virtualWorld } from '../../client/virtual-world.ts'

const { signal } = new AbortController()
const root = '/apis/metrics.k8s.io/v1beta1'
let api: Awaited<ReturnType<typeof servedApiserver>>

beforeAll(async () => {
  const uids = new Map<string, string>()
  api = await servedApiserver({
    peerOfNode: name => (name === 'unknown' ? undefined : peerId(name)),
    kubeletOf: async peer => {
      if (peer === 'dead') throw new Error('nobody there')
      const [ours, theirs] = pipe()
      if (peer !== 'mute') answerStats(theirs, uids).catch(() => theirs.abort())
      return ours
    },
  })
  for (const name of ['one', 'dead', 'mute', 'unknown']) {
    const capacity = { cpu: '4', memory: '1000Mi', pods: '10' }
    await api.client.create(
      nodeKind,
      { metadata: { name, labels: { machine: name } }, status: { capacity, allocatable: capacity } },
      signal,
    )
  }
  for (const [name, nodeName, phase] of [
    ['web', 'one', 'Running'],
    ['fresh', 'one', 'Running'],
    ['done', 'one', 'Succeeded'],
    ['lost', 'dead', 'Running'],
    ['waits', undefined, 'Pending'],
  ] as const) {
    const containers = [
      { name: 'main', image: 'x' },
      { name: 'side', image: 'x' },
    ]
    const metadata = { name, namespace: 'default', labels: { app: name } }
    const made = await api.client.create(
      podKind,
      { metadata, spec: { containers, ...(nodeName && { nodeName }) } },
      signal,
    )
    await api.client.updateStatus(podKind, { ...made, status: { ...made.status, phase } } as Pod, signal)
    if (name !== 'fresh') uids.set(name, made.metadata.uid)
  }
})
afterAll(() => api.close())

/** A kubelet that has measured all it knows; a pod that has just begun is not among them. */
async function answerStats(stream: MeshStream, uids: ReadonlyMap<string, string>): Promise<void> {
  const decoder = frameDecoder()
  for await (const bytes of stream.read()) {
    const [frame] = decoder.push(bytes)
    if (frame === undefined) continue
    expect(fromBinary(KubeletRequestSchema, frame).ask.case).toBe('stats')
    break
  }
  const usage = (cpuNanocores: bigint, mebibytes: bigint) => ({
    cpuNanoseconds: 90_000_000_000n,
    cpuNanocores,
    memoryUsageBytes: mebibytes * 2n ** 21n,
    memoryWorkingSetBytes: mebibytes * 2n ** 20n,
  })
  const reply = create(StatsReplySchema, {
    timeMs: BigInt(Date.parse('2026-03-01T10:00:00Z')),
    windowMs: 10_020n,
    bootMs: BigInt(Date.parse('2026-02-01T00:00:00Z')),
    node: usage(1_000_000_000n, 250n),
    memoryAvailableBytes: 700n * 2n ** 20n,
    filesystem: { capacityBytes: 1_000n, availableBytes: 400n, inodes: 50n, inodesFree: 20n },
    pods: [...uids].map(([name, uid]) => ({
      namespace: 'default',
      name,
      uid,
      startedMs: 0n,
      containers: [
        { name: 'main', startedMs: 0n, windowMs: 10_020n, usage: usage(120_500_000n, 64n) },
        { name: 'side', startedMs: 0n, windowMs: 70_000n, usage: usage(5_000_000n, 6n) },
      ],
    })),
  })
  await stream.write(encodeChannel(1, toBinary(StatsReplySchema, reply)))
  await stream.write(encodeChannel(3, utf8('{"status":"Success"}')))
  await stream.closeWrite()
}

async function ask(url: string, accept?: string) {
  const answer = await api.apiserver.handle(request(url, accept === undefined ? {} : { accept }))
  if (answer.kind !== 'whole') throw new Error('not whole')
  const text = String(answer.body)
  return { code: answer.code, text, body: text.startsWith('{') ? JSON.parse(text) : undefined }
}
const names = (list: { items: { metadata: { name: string } }[] }) => list.items.map(({ metadata }) => metadata.name)

describe('metrics', () => {
  test('nodes that answer are listed with what they use, the others are left out', async () => {
    const { code, body } = await ask(`${root}/nodes`)
    expect(code).toBe(200)
    expect(body).toMatchObject({ kind: 'NodeMetricsList', apiVersion: 'metrics.k8s.io/v1beta1' })
    expect(body.items).toEqual([
      {
        kind: 'NodeMetrics',
        apiVersion: 'metrics.k8s.io/v1beta1',
        metadata: { name: 'one', labels: { machine: 'one' }, creationTimestamp: expect.any(String) },
        timestamp: '2026-03-01T10:00:00Z',
        window: '10.02s',
        usage: { cpu: '1', memory: '250Mi' },
      },
    ])
  })

  test('pods are listed with each container that runs; those that do not run or could not be measured are left out', async () => {
    const { body } = await ask(`${root}/namespaces/default/pods`)
    expect(body.items).toEqual([
      {
        kind: 'PodMetrics',
        apiVersion: 'metrics.k8s.io/v1beta1',
        metadata: { name: 'web', namespace: 'default', labels: { app: 'web' }, creationTimestamp: expect.any(String) },
        timestamp: '2026-03-01T10:00:00Z',
        window: '1m10s',
        containers: [
          { name: 'main', usage: { cpu: '120500u', memory: '64Mi' } },
          { name: 'side', usage: { cpu: '5m', memory: '6Mi' } },
        ],
      },
    ])
    expect(names((await ask(`${root}/pods`)).body)).toEqual(['web'])
    expect(names((await ask(`${root}/namespaces/kube-system/pods`)).body)).toEqual([])
  })

  test('label and field selectors choose by what the pod or the node is', async () => {
    expect(names((await ask(`${root}/pods?labelSelector=app%3Dweb`)).body)).toEqual(['web'])
    expect(names((await ask(`${root}/pods?labelSelector=app%21%3Dweb`)).body)).toEqual([])
    expect(names((await ask(`${root}/pods?fieldSelector=metadata.name%3Dweb`)).body)).toEqual(['web'])
    expect(names((await ask(`${root}/nodes?labelSelector=machine%3Done`)).body)).toEqual(['one'])
    expect(names((await ask(`${root}/nodes?labelSelector=machine%3Ddead`)).body)).toEqual([])
    expect((await ask(`${root}/pods?labelSelector=a%20b`)).code).toBe(400)
  })

  test('one by name is given, or not found in the words of metrics-server', async () => {
    expect((await ask(`${root}/nodes/one`)).body).toMatchObject({ kind: 'NodeMetrics', usage: { cpu: '1' } })
    expect((await ask(`${root}/namespaces/default/pods/web`)).body).toMatchObject({
      kind: 'PodMetrics',
      window: '1m10s',
    })
    expect((await ask(`${root}/nodes/dead`)).body).toMatchObject({
      code: 404,
      message: 'nodemetrics.metrics.k8s.io "dead" not found',
    })
    expect((await ask(`${root}/namespaces/default/pods/fresh`)).body).toMatchObject({
      code: 404,
      message: 'podmetrics.metrics.k8s.io "default/fresh" not found',
    })
    expect((await ask(`${root}/namespaces/default/pods/none`)).body).toMatchObject({
      code: 404,
      message: 'pods "none" not found',
    })
  })

  test('tables have the columns of metrics-server', async () => {
    const { body } = await ask(`${root}/pods`, 'application/json;as=Table;v=v1;g=meta.k8s.io')
    expect(body.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual([
      'Name',
      'cpu',
      'memory',
      'Window',
    ])
    expect(body.rows[0].cells).toEqual(['web', '125500u', '70Mi', '1m10s'])
  })

  test('they are given in protobuf and YAML, too', async () => {
    const accept = 'application/vnd.kubernetes.protobuf'
    for (const path of ['nodes/one', 'namespaces/default/pods/web']) {
      const { body } = await ask(`${root}/${path}`)
      const answer = await api.apiserver.handle(request(`${root}/${path}`, { accept }))
      if (answer.kind !== 'whole') throw new Error('not whole')
      expect([answer.code, answer.headers['content-type']]).toEqual([200, accept])
      expect(decodeBody(answer.body as Uint8Array, schemaLookup(builtIn)).value).toEqual(body)
      expect(parse((await ask(`${root}/${path}`, 'application/yaml')).text)).toEqual(body)
    }
    const list = await api.apiserver.handle(request(`${root}/nodes`, { accept }))
    expect([list.kind === 'whole' && list.code, list.kind === 'whole' && list.headers['content-type']]).toEqual([
      200,
      accept,
    ])
  })

  test('a selector chooses among them', async () => {
    expect(names((await ask(`${root}/nodes?labelSelector=machine%3Done`)).body)).toEqual(['one'])
    expect(names((await ask(`${root}/nodes?labelSelector=machine%3Dother`)).body)).toEqual([])
    expect(names((await ask(`${root}/namespaces/default/pods?labelSelector=app%3Dweb`)).body)).toEqual(['web'])
    expect(names((await ask(`${root}/pods?labelSelector=app%3Dnone`)).body)).toEqual([])
  })

  test('they are read and nothing else', async () => {
    const created = await api.apiserver.handle(request(`${root}/nodes`, { body: { metadata: { name: 'x' } } }))
    expect(created).toMatchObject({ code: 405 })
    expect(await api.apiserver.handle(request(`${root}/nodes?watch=1`))).toMatchObject({ code: 405 })
    const other = { user: 'eve', groups: ['system:authenticated'] }
    expect(await api.apiserver.handle(request(`${root}/nodes`, { identity: other }))).toMatchObject({ code: 403 })
  })

  test('discovery and OpenAPI name them', async () => {
    const { body } = await ask(root)
    expect(body.resources).toEqual([
      { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: ['get', 'list'] },
      { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] },
    ])
    const document = (await ask('/openapi/v3/apis/metrics.k8s.io/v1beta1')).body
    expect(Object.keys(document.components.schemas)).toContain('io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics')
  })

  test('a kubelet is asked once, however many ask within a few seconds, and again after them', async () => {
    const world = virtualWorld()
    const asked: string[] = []
    const stats = openNodeStats(
      world,
      {
        peerOfNode: peerId,
        open: async peer => {
          asked.push(peer)
          const [ours, theirs] = pipe()
          if (peer === 'one') answerStats(theirs, new Map([['web', 'uid']])).catch(() => theirs.abort())
          return ours
        },
      },
      signal,
    )
    const [first, second] = await Promise.all([stats.of('one'), stats.of('one')])
    expect(first?.pods.map(({ uid }) => uid)).toEqual(['uid'])
    expect(second).toBe(first)
    const silent = stats.of('mute')
    await world.pass(answerTimeoutMs)
    expect(await silent).toBeUndefined()
    expect(asked).toEqual(['one', 'mute'])
    await world.pass(keptMs)
    await stats.of('one')
    expect(asked).toEqual(['one', 'mute', 'one'])
  })

  test('nodes/proxy gives the kubelet’s summary and its metrics for Prometheus', async () => {
    const summary = (await ask('/api/v1/nodes/one/proxy/stats/summary')).body
    expect(summary.node).toMatchObject({
      nodeName: 'one',
      startTime: '2026-02-01T00:00:00Z',
      cpu: { time: '2026-03-01T10:00:00Z', usageNanoCores: 1_000_000_000, usageCoreNanoSeconds: 90_000_000_000 },
      memory: { workingSetBytes: 250 * 2 ** 20, availableBytes: 700 * 2 ** 20 },
      fs: { capacityBytes: 1_000, usedBytes: 600, inodesUsed: 30 },
    })
    const web = summary.pods.find((pod: { podRef: { name: string } }) => pod.podRef.name === 'web')
    expect(web.cpu.usageNanoCores).toBe(125_500_000)
    expect(web.containers.map(({ name }: { name: string }) => name)).toEqual(['main', 'side'])
    const { text } = await ask('/api/v1/nodes/one:10250/proxy/metrics/resource')
    expect(text).toContain(
      'container_memory_working_set_bytes{container="side",namespace="default",pod="web"} 6291456 ',
    )
    expect(text).toMatch(/^node_cpu_usage_seconds_total 90 \d+$/m)
    expect((await ask('/api/v1/nodes/one/proxy/healthz')).text).toBe('ok')
    expect((await ask('/api/v1/nodes/one/proxy/run')).code).toBe(404)
    expect((await ask('/api/v1/nodes/dead/proxy/stats/summary')).code).toBe(503)
    expect((await ask('/api/v1/nodes/none/proxy/stats/summary')).code).toBe(404)
  })

  for (const version of installed(['1.27', '1.33'])) {
    test(`kubectl ${version} top`, async () => {
      const kubectl = new Kubectl(version, api.kubeconfig, `${api.folder}/${version}`)
      const rows = (text: string) => text.split('\n').map(line => line.trim().split(/\s+/))
      expect(rows(await kubectl.ok('top nodes --sort-by=cpu'))).toEqual(
        expect.arrayContaining([['one', '1000m', '25%', '250Mi', '25%']]),
      )
      expect(rows(await kubectl.ok('top node one --no-headers'))).toEqual([['one', '1000m', '25%', '250Mi', '25%']])
      expect(rows(await kubectl.ok('top pods'))).toEqual([
        ['NAME', 'CPU(cores)', 'MEMORY(bytes)'],
        ['web', '126m', '70Mi'],
      ])
      expect(rows(await kubectl.ok('top pods -A --no-headers -l app=web'))).toEqual([
        ['default', 'web', '126m', '70Mi'],
      ])
      expect(rows(await kubectl.ok('top pod web --containers --no-headers'))).toEqual([
        ['web', 'main', '121m', '64Mi'],
        ['web', 'side', '5m', '6Mi'],
      ])
      expect((await kubectl.run('top pod fresh')).err).toContain('podmetrics.metrics.k8s.io "default/fresh" not found')
      expect(rows(await kubectl.ok('get --raw /api/v1/nodes/one/proxy/healthz'))).toEqual([['ok']])
      expect(await kubectl.ok('get pods.metrics.k8s.io')).toMatch(/NAME +CPU +MEMORY +WINDOW/)
    })
  }
})
