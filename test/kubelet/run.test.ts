// The kubelet's shell on real child processes: pods run, are served, adopted, mended and taken away.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import { configMap as configMapKind } from '../../src/api/kinds/configmap.ts'
import { type Pod, pod as podKind } from '../../src/api/kinds/pod.ts'
import { ask, openRig, type Rig, shell } from './rig.ts'

const { signal } = new AbortController()
let rig: Rig

beforeEach(async () => {
  rig = await openRig()
})
afterEach(async () => {
  await rig.close()
})

const mainOf = (pod: Pod | undefined) => pod?.status.containerStatuses?.find(one => one.name === 'main')
const running = (name: string) =>
  rig.until(() => (mainOf(rig.pod(name))?.state?.running ? rig.pod(name) : undefined), `${name} runs`)
const gone = (name: string) => rig.until(() => rig.pod(name) === undefined, `${name} is gone`)
const key = (name: string) => ({ namespace: 'default', name })
const setMap = (name: string, data: Record<string, string>) =>
  client().create(configMapKind, { metadata: { name, namespace: 'default' }, data }, signal)
const client = () => rig.client

test('a pod runs, is announced, gives its log, and runs commands', async () => {
  const { kubelet } = rig.agent()
  await rig.run('web', { containers: [shell('echo hello; exec sleep 1000')] })
  const pod = await running('web')
  expect(pod.status.phase).toBe('Running')
  expect(pod.status.conditions?.find(one => one.type === 'Ready')?.status).toBe('True')
  expect(pod.status.podIP).toMatch(/^127\.77\.0\./)
  await rig.until(() => rig.announced().find(one => one.name === 'web')?.ready, 'web is announced as ready')

  const { uid } = pod.metadata
  const logs = { follow: false, timestamps: false, previous: false, stream: '' }
  const logged = async () =>
    (await ask(kubelet, { pod: 'web', uid, container: 'main', ask: { case: 'logs', value: logs as never } })).stdout
  await rig.until(async () => (await logged()) === 'hello\n', 'the log')
  const command = { command: ['sh', '-c', 'echo said; exit 3'], tty: false, stdin: false }
  const said = await ask(kubelet, {
    pod: 'web',
    uid,
    container: 'main',
    ask: { case: 'exec', value: command as never },
  })
  expect(said.stdout).toBe('said\n')
  expect(said.status).toMatchObject({ reason: 'NonZeroExitCode', details: { causes: [{ message: '3' }] } })
  const nowhere = await ask(kubelet, {
    pod: 'no',
    uid: '',
    container: 'main',
    ask: { case: 'logs', value: logs as never },
  })
  expect(nowhere.status).toMatchObject({ code: 404 })
})

test('an agent that starts again is asked for a pod before it has looked: it looks first', async () => {
  const first = rig.agent()
  await rig.run('web', { containers: [shell('exec sleep 1000')] })
  const { uid } = (await running('web')).metadata
  await first.stop()
  const { kubelet } = rig.agent()
  const value = { command: ['sh', '-c', 'echo said'], tty: false, stdin: false } as never
  const said = await ask(kubelet, { pod: 'web', uid, container: 'main', ask: { case: 'exec', value } })
  expect(said).toMatchObject({ stdout: 'said\n', status: { status: 'Success' } })
})

test('a settled pod is written no more', async () => {
  rig.agent()
  await rig.run('web', { containers: [shell('exec sleep 1000')] })
  await running('web')
  await sleep(500)
  const before = client().writes.filter(one => one.startsWith('status')).length
  await setMap('unrelated', { a: 'b' })
  await sleep(700)
  expect(client().writes.filter(one => one.startsWith('status')).length).toBe(before)
})

test('a second agent adopts what the first one left running', async () => {
  const first = rig.agent()
  await rig.run('web', { containers: [shell('exec sleep 1000', { readinessProbe: { exec: { command: ['true'] } } })] })
  const ready = () => (mainOf(rig.pod('web'))?.ready ? rig.pod('web') : undefined)
  const before = await rig.until(ready, 'web is ready')
  await first.stop()
  const events = client().writes.length
  rig.agent()
  await rig.until(() => rig.announced().length > 0, 'the second agent has looked')
  await sleep(500)
  expect(rig.pod('web')).toEqual(before)
  expect(client().writes.slice(events)).toEqual([])
  expect(await rig.runtime.observe(signal)).toMatchObject([
    { containers: [{ attempt: 0, state: { kind: 'running' } }] },
  ])
})

test('a deleted pod gets its signal, its end is told, and only then its object goes', async () => {
  rig.agent()
  await rig.run('web', { containers: [shell('trap "exit 7" TERM; echo up; while true; do sleep 0.05; done')] })
  await running('web')
  await sleep(300)
  const last: Pod[] = []
  const watched = (async () => {
    const from = { resourceVersion: String(client().revision) }
    for await (const event of client().watch(podKind, from, signal)) {
      if (event.type === 'BOOKMARK') continue
      last.push(event.object)
      if (event.type === 'DELETED') return
    }
  })()
  await client().delete(podKind, key('web'), { gracePeriodSeconds: 20 }, signal)
  await gone('web')
  await watched
  expect(mainOf(last.at(-1))?.state?.terminated?.exitCode).toBe(7)
  expect(last.at(-1)?.status.phase).toBe('Failed')
  await rig.until(async () => (await rig.runtime.observe(signal)).length === 0, 'nothing is left of it')
  const folder = join(rig.folder, 'state/pods', last[0]?.metadata.uid ?? '')
  await rig.until(() => !existsSync(folder), 'its folder is gone')
})

test('a deletion goes on under the next agent', async () => {
  const first = rig.agent()
  const script = `trap "sleep 1; echo ended > ${rig.folder}/ended; exit 0" TERM; while true; do sleep 0.05; done`
  await rig.run('web', { containers: [shell(script)] })
  await running('web')
  await sleep(300)
  await client().delete(podKind, key('web'), { gracePeriodSeconds: 30 }, signal)
  await sleep(200)
  await first.stop()
  expect(rig.pod('web')?.metadata.deletionTimestamp).toBeDefined()
  rig.agent()
  await gone('web')
  expect(readFileSync(join(rig.folder, 'ended'), 'utf8')).toBe('ended\n')
})

test('a forced delete hurries a stop that is under way, and a preStop hook runs once', async () => {
  rig.agent()
  const preStop = { exec: { command: ['sh', '-c', `echo hook >> ${rig.folder}/hooks; exec sleep 1000`] } }
  await rig.run('web', {
    terminationGracePeriodSeconds: 900,
    containers: [shell('trap "" TERM; while true; do sleep 0.05; done', { lifecycle: { preStop } })],
  })
  await running('web')
  await client().delete(podKind, key('web'), {}, signal)
  await rig.until(() => existsSync(join(rig.folder, 'hooks')), 'the hook has begun')
  await client().delete(podKind, key('web'), { gracePeriodSeconds: 3 }, signal)
  await gone('web')
  expect(readFileSync(join(rig.folder, 'hooks'), 'utf8')).toBe('hook\n')
})

test('a pod whose object was removed by force is taken away, and one that is merely not in view is not', async () => {
  const first = rig.agent()
  await rig.run('web', { terminationGracePeriodSeconds: 900, containers: [shell('exec sleep 1000')] })
  await running('web')
  await first.stop()
  // An agent whose list is older than the pod: its watch shows nothing, the API knows better.
  const { list } = client()
  client().list = async (kind, options, until) =>
    kind.kind === 'Pod' ? { items: [], resourceVersion: String(client().revision) } : await list(kind, options, until)
  const second = rig.agent()
  await rig.until(() => second.kubelet.observed().length > 0, 'the second agent has looked')
  await sleep(500)
  expect(await rig.runtime.observe(signal)).toMatchObject([{ containers: [{ state: { kind: 'running' } }] }])
  await second.stop()
  client().list = list
  rig.agent()
  await client().delete(podKind, key('web'), { gracePeriodSeconds: 0 }, signal)
  await rig.until(async () => (await rig.runtime.observe(signal)).length === 0, 'nothing is left of it')
})

test('a configMap volume is updated in place, a subPathExpr is resolved, a broken reference leaves it as it was', async () => {
  rig.agent()
  const map = await setMap('settings', { greeting: 'hello' })
  await rig.run('web', {
    volumes: [
      { name: 'settings', configMap: { name: 'settings' } },
      { name: 'data', emptyDir: {} },
    ],
    containers: [
      shell('exec sleep 1000', {
        env: [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
        volumeMounts: [
          { name: 'settings', mountPath: '/etc/settings' },
          { name: 'data', mountPath: '/data', subPathExpr: 'of-$(POD)' },
        ],
      }),
    ],
  })
  const { uid } = (await running('web')).metadata
  const volumes = join(rig.folder, 'state/pods', uid, 'volumes')
  const greeting = () => readFileSync(join(volumes, 'settings/greeting'), 'utf8')
  expect(greeting()).toBe('hello')
  expect(existsSync(join(volumes, 'data/of-web'))).toBe(true)
  client().change(configMapKind, map, old => ({ ...old, data: { greeting: 'good day' } }))
  await rig.until(() => greeting() === 'good day', 'the new text')
  await client().delete(configMapKind, key('settings'), {}, signal)
  await rig.until(() => client().writes.some(one => one.startsWith('create events') && one.includes('web')), 'an event')
  expect(greeting()).toBe('good day')
  expect(mainOf(rig.pod('web'))?.restartCount).toBe(0)
})

test('CreateContainerConfigError heals as soon as the configMap is there', async () => {
  rig.agent()
  await rig.run('web', {
    containers: [shell('echo $GREETING; exec sleep 1000', { envFrom: [{ configMapRef: { name: 'settings' } }] })],
  })
  const waits = () => mainOf(rig.pod('web'))?.state?.waiting
  await rig.until(() => waits()?.reason === 'CreateContainerConfigError', 'the error in the status')
  expect(waits()?.message).toBe('configmap "settings" not found')
  expect(rig.pod('web')?.status.phase).toBe('Pending')
  await setMap('settings', { GREETING: 'hello' })
  expect(mainOf(await running('web'))?.restartCount).toBe(0)
})

test('the message that a container leaves, or the end of its log, stands in its status', async () => {
  rig.agent()
  const fallback = { name: 'silent', terminationMessagePolicy: 'FallbackToLogsOnError' }
  await rig.run('job', {
    restartPolicy: 'Never',
    containers: [
      shell('echo because > $FLOTILLA_ROOT/dev/termination-log; exit 3'),
      { ...shell('echo said before; exit 4'), ...fallback },
    ],
  })
  const job = await rig.until(() => (rig.pod('job')?.status.phase === 'Failed' ? rig.pod('job') : undefined), 'the end')
  expect(job.status.containerStatuses?.map(one => one.state?.terminated)).toMatchObject([
    { exitCode: 3, reason: 'Error', message: 'because\n' },
    { exitCode: 4, reason: 'Error', message: 'said before\n' },
  ])
})

test('containers are restarted while the API cannot be written, and what happened is told afterwards', async () => {
  rig.agent()
  await rig.run('web', {
    containers: [shell(`test -e ${rig.folder}/again && exec sleep 1000; touch ${rig.folder}/again; exec sleep 0.3`)],
  })
  client().refuse = verb => (verb === 'status' ? new ApiError('ServiceUnavailable', 'no leader') : undefined)
  const second = (attempt: number, kind: string) => async () => {
    const [pod] = await rig.runtime.observe(signal)
    return pod?.containers.some(one => one.attempt === attempt && one.state.kind === kind)
  }
  await rig.until(second(1, 'running'), 'the second attempt runs')
  expect(rig.pod('web')?.status.containerStatuses).toBeUndefined()
  client().refuse = () => undefined
  const pod = await rig.until(() => (mainOf(rig.pod('web'))?.restartCount === 1 ? rig.pod('web') : undefined), 'told')
  expect(pod.status.phase).toBe('Running')
})

test('init containers run in order before the others, and a sidecar outlives what it serves', async () => {
  rig.agent()
  const say = (what: string) => `echo ${what} >> ${rig.folder}/order`
  const until = (what: string) => `while ! grep -q ${what} ${rig.folder}/order; do sleep 0.02; done`
  await rig.run('job', {
    restartPolicy: 'Never',
    initContainers: [
      { ...shell(say('first')), name: 'first' },
      {
        ...shell(`trap "${say('sidecar-ends')}; exit 0" TERM; ${say('sidecar')}; while true; do sleep 0.05; done`),
        name: 'sidecar',
        restartPolicy: 'Always',
      },
      { ...shell(`${until('sidecar')}; ${say('second')}`), name: 'second' },
    ],
    containers: [shell(`${say('main')}; sleep 0.3; ${say('main-ends')}`)],
  })
  const job = await rig.until(
    () => (rig.pod('job')?.status.phase === 'Succeeded' ? rig.pod('job') : undefined),
    'the end',
  )
  expect(readFileSync(join(rig.folder, 'order'), 'utf8').trim().split('\n')).toEqual([
    ...['first', 'sidecar', 'second', 'main', 'main-ends', 'sidecar-ends'],
  ])
  expect(job.status.initContainerStatuses?.map(one => one.state?.terminated?.exitCode)).toEqual([0, 0, 0])
})
