// Workloads as people run them: the real kubectl against the real API server, with the controllers and the scheduler at work
// and stand-ins for the kubelets. Real time: nothing here depends on how long something takes.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { node as nodeKind } from '../../src/api/kinds/node.ts'
import { type Pod, pod as podKind } from '../../src/api/kinds/pod.ts'
import { follow } from '../../src/client/run-follow.ts'
import { controllers } from '../../src/controllers/all.ts'
import { defaultControllerConfig } from '../../src/controllers/inputs.ts'
import { runControllers } from '../../src/controllers/run.ts'
import { runScheduler } from '../../src/scheduler/run.ts'
import { installed, Kubectl } from '../apiserver/kubectl.ts'
import { servedApiserver } from '../apiserver/served.ts'
import { asReady, inputs } from './cluster.ts'

const deploymentYaml = (image: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: "${image}"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`
const daemonYaml = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: a, image: "agent:1"}]}
`
const jobYaml = `
apiVersion: batch/v1
kind: Job
metadata: {name: sum}
spec:
  completions: 3
  parallelism: 2
  template: {spec: {restartPolicy: Never, containers: [{name: a, image: once}]}}
`

describe.each(installed(['1.33']))('kubectl %s', { timeout: 300_000 }, version => {
  let api: Awaited<ReturnType<typeof servedApiserver>>
  let kubectl: Kubectl
  const stop = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  /** Pods start, run and end as their image says; images named 'broken' never become ready, 'once' ends well. */
  async function kubelets(): Promise<void> {
    const { client } = api
    let address = 1
    const seen = follow(api.world, client, podKind, {}, {}, stop.signal)
    await seen.synced
    while (!stop.signal.aborted) {
      for (const one of seen.view.list()) {
        const key = { namespace: one.metadata.namespace ?? '', name: one.metadata.name }
        const image = one.spec.containers[0]?.image ?? ''
        const write = async (next: Pod) => await client.updateStatus(podKind, next, stop.signal).catch(() => undefined)
        if (!one.spec.nodeName) continue
        if (one.metadata.deletionTimestamp !== undefined) {
          await client.delete(podKind, key, { gracePeriodSeconds: 0 }, stop.signal).catch(() => undefined)
        } else if ((one.status.phase ?? 'Pending') === 'Pending' && !image.startsWith('broken')) {
          address += 1
          const ready = asReady(one, Date.now(), `10.42.0.${address}`)
          await write(image === 'once' ? { ...ready, status: { ...ready.status, phase: 'Succeeded' } } : ready)
        }
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    await seen.done
  }

  beforeAll(async () => {
    api = await servedApiserver()
    const cache = join(api.folder, 'cache')
    await mkdir(cache)
    kubectl = new Kubectl(version, api.kubeconfig, cache)
    for (const name of ['n1', 'n2']) {
      const made = await api.client.create(nodeKind, { metadata: { name } }, api.signal)
      const capacity = { cpu: '8', memory: '16Gi', pods: '110' }
      const conditions = [{ type: 'Ready', status: 'True' as const, reason: 'KubeletReady' }]
      await api.client.updateStatus(
        nodeKind,
        { ...made, status: { ...made.status, capacity, allocatable: capacity, conditions } },
        api.signal,
      )
    }
    const config = { ...defaultControllerConfig, kubernetesServiceIp: '10.96.0.1' }
    const apiAddresses = () => [{ ip: '192.0.2.1', port: 6_443 }]
    const given = inputs({ config, apiAddresses, startedAtMs: Date.now() })
    running = Promise.all([
      runControllers(api.world, api.client, given, controllers, stop.signal),
      runScheduler(api.world, api.client, stop.signal),
      kubelets(),
    ])
  })
  afterAll(async () => {
    stop.abort()
    await running
    await api.close()
  })

  const images = () => kubectl.ok('get pods -l app=web -o jsonpath={.items[*].spec.containers[0].image}')

  test('rollout: status, history, undo, pause and resume', async () => {
    await kubectl.ok('apply -f -', deploymentYaml('web:1'))
    expect(await kubectl.ok('rollout status deploy/web --timeout=60s')).toContain('successfully rolled out')
    expect(await kubectl.ok('get deploy web')).toMatch(/web +3\/3 +3 +3/)
    await kubectl.ok('wait --for=condition=Available deploy/web --timeout=60s')
    await kubectl.ok('annotate deploy web kubernetes.io/change-cause=one')
    await kubectl.ok('apply -f -', deploymentYaml('web:2'))
    await kubectl.ok('rollout status deploy/web --timeout=60s')
    expect(await images()).toBe('web:2 web:2 web:2')
    expect(await kubectl.ok('rollout history deploy/web')).toMatch(/\n1 +one\n2 +/)
    expect(await kubectl.ok('rollout history deploy/web --revision=1')).toContain('web:1')
    await kubectl.ok('rollout undo deploy/web')
    await kubectl.ok('rollout status deploy/web --timeout=60s')
    expect(await images()).toBe('web:1 web:1 web:1')
    expect(await kubectl.ok('rollout history deploy/web')).toMatch(/\n2 +.*\n3 +one/)
    await kubectl.ok('rollout pause deploy/web')
    await kubectl.ok('set image deploy/web a=web:3')
    await kubectl.ok('scale deploy web --replicas=4')
    await kubectl.ok('wait --for=jsonpath={.status.replicas}=4 deploy/web --timeout=60s')
    expect(await images()).toBe('web:1 web:1 web:1 web:1')
    await kubectl.ok('rollout resume deploy/web')
    await kubectl.ok('rollout status deploy/web --timeout=60s')
    expect(await images()).toBe('web:3 web:3 web:3 web:3')
    await kubectl.ok('rollout restart deploy/web')
    await kubectl.ok('rollout status deploy/web --timeout=60s')
    const described = await kubectl.ok('describe deploy web')
    expect(described).toContain('4 desired | 4 updated | 4 total | 4 available | 0 unavailable')
    expect(described).toMatch(/ScalingReplicaSet .*Scaled up replica set web-\w+ from 0 to/)
    const listed =
      'get endpointslices -l kubernetes.io/service-name=web -o jsonpath={.items[*].endpoints[*].conditions.ready}'
    await expect.poll(() => kubectl.ok(listed), { timeout: 20_000 }).toBe('true true true true')
    expect(await kubectl.ok('describe svc web')).toMatch(/Endpoints: +10\.42\.0\.\d+:80/)
  })

  test('a broken image stops the rollout, and undo saves it', async () => {
    await kubectl.ok('set image deploy/web a=broken')
    const status = await kubectl.run('rollout status deploy/web --timeout=3s')
    expect([status.code, status.err]).toEqual([1, expect.stringContaining('timed out waiting for the condition')])
    expect((await images()).split(' ').filter(image => image === 'web:3').length).toBeGreaterThanOrEqual(3)
    await kubectl.ok('rollout undo deploy/web')
    await kubectl.ok('rollout status deploy/web --timeout=60s')
  })

  test('delete with each propagation policy', async () => {
    await kubectl.ok('delete deploy web --cascade=orphan')
    expect((await images()).split(' ')).toHaveLength(4)
    await kubectl.ok('apply -f -', deploymentYaml('web:3'))
    await kubectl.ok('rollout status deploy/web --timeout=60s')
    await kubectl.ok('delete deploy web --cascade=foreground --timeout=60s')
    expect(await kubectl.ok('get rs,pods -l app=web -o name')).toBe('')
    await kubectl.ok('apply -f -', deploymentYaml('web:1'))
    await kubectl.ok('rollout status deploy/web --timeout=60s')
    await kubectl.ok('delete deploy web')
    await kubectl.ok('wait --for=delete pod -l app=web --timeout=60s')
  })

  test('a DaemonSet rolls out, keeps its history and goes back', async () => {
    await kubectl.ok('apply -f -', daemonYaml)
    await kubectl.ok('rollout status ds/agent --timeout=60s')
    expect(await kubectl.ok('get ds agent')).toMatch(/agent +2 +2 +2 +2 +2/)
    await kubectl.ok('set image ds/agent a=agent:2')
    await kubectl.ok('rollout status ds/agent --timeout=60s')
    expect(await kubectl.ok('rollout history ds/agent')).toMatch(/\n1 .*\n2 /)
    await kubectl.ok('rollout undo ds/agent')
    await kubectl.ok('rollout status ds/agent --timeout=60s')
    const images = await kubectl.ok('get pods -l app=agent -o jsonpath={.items[*].spec.containers[0].image}')
    expect(images).toBe('agent:1 agent:1')
    await kubectl.ok('delete ds agent')
  })

  test('a Job completes', async () => {
    await kubectl.ok('apply -f -', jobYaml)
    await kubectl.ok('wait --for=condition=Complete job/sum --timeout=60s')
    expect(await kubectl.ok('get job sum')).toMatch(/sum +Complete +3\/3/)
    await kubectl.ok('delete job sum')
    await kubectl.ok('wait --for=delete pod -l job-name=sum --timeout=60s')
  })

  test('a pod that fits nowhere says why', async () => {
    await kubectl.ok(
      'run huge --image=web:1 --overrides={"spec":{"containers":[{"name":"huge","image":"web:1","resources":{"requests":{"cpu":"64"}}}]}}',
    )
    await kubectl.ok('wait --for=condition=PodScheduled=false pod/huge --timeout=60s')
    expect(await kubectl.ok('describe pod huge')).toMatch(
      /FailedScheduling .*0\/2 nodes are available: 2 Insufficient cpu/,
    )
    await kubectl.ok('delete pod huge')
  })

  test('a namespace is filled with what it needs, and deleted with all that is in it', async () => {
    await kubectl.ok('create namespace team')
    await kubectl.ok('-n team wait --for=jsonpath={.data} configmap/kube-root-ca.crt --timeout=60s')
    await kubectl.ok('-n team apply -f -', deploymentYaml('web:1'))
    await kubectl.ok('-n team rollout status deploy/web --timeout=60s')
    await kubectl.ok('delete namespace team --timeout=60s')
    expect((await kubectl.run('get namespace team')).err).toContain('not found')
    expect(await kubectl.ok('-n team get pods,deploy,rs,svc,cm,sa,endpointslices -o name')).toBe('')
  })

  test('nothing was complained about', () => {
    expect(api.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([])
  })
})
