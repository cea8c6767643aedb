// What a service account keeps from the pods that name it, and what pods get that a node has made by itself.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
const annotation = 'kubernetes.io/enforce-mountable-secrets'
const space = '/api/v1/namespaces/default'
const annotated = { name: 'strict', annotations: { [annotation]: 'true' } }

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  const body = { metadata: annotated, secrets: [{ name: 'mine' }], imagePullSecrets: [{ name: 'pull' }] }
  await ask(`${space}/serviceaccounts`, { body })
})
afterAll(() => api.stop())

const container = (more: object) => ({ name: 'c', image: 'i:1', ...more })
const env = (name: string) => [{ name: 'E', valueFrom: { secretKeyRef: { name, key: 'k' } } }]
const envFrom = (name: string) => [{ secretRef: { name } }]
const make = (name: string, spec: object, metadata: object = {}) =>
  ask(`${space}/pods`, { body: podNamed(name, { serviceAccountName: 'strict', ...spec }, metadata) })
const unlisted = (what: string) =>
  `pods "p" is forbidden: ${what} is not allowed because service account strict does not reference that`

describe('serviceaccount admission', () => {
  test.each<[string, object, string]>([
    [
      'a volume',
      { volumes: [{ name: 'v', secret: { secretName: 'other' } }] },
      `${unlisted('volume with secret.secretName="other"')} secret`,
    ],
    [
      'a variable of an init container',
      { initContainers: [container({ name: 'i', env: env('other') })] },
      `${unlisted('init container i with envVar E referencing secret.secretName="other"')} secret`,
    ],
    [
      'a variable',
      { containers: [container({ env: env('other') })] },
      `${unlisted('container c with envVar E referencing secret.secretName="other"')} secret`,
    ],
    [
      'all variables',
      { containers: [container({ envFrom: envFrom('other') })] },
      `${unlisted('container c with envFrom referencing secret.secretName="other"')} secret`,
    ],
    [
      'pulling images',
      { imagePullSecrets: [{ name: 'pull' }, { name: 'other' }] },
      `${unlisted('imagePullSecrets[1].name="other"')} imagePullSecret`,
    ],
  ])('an account that says so keeps other Secrets than its own from %s', async (_, spec, message) => {
    expect(await make('p', spec)).toMatchObject({ code: 403, message })
  })

  test('its own may be used, and another account keeps none', async () => {
    const volumes = [{ name: 'v', secret: { secretName: 'mine' } }]
    const own = { volumes, containers: [container({ env: env('mine'), envFrom: envFrom('mine') })] }
    const made = await make('own', own)
    expect([made.code, made.body.spec.imagePullSecrets]).toEqual([201, [{ name: 'pull' }]])
    expect((await make('free', { ...own, serviceAccountName: 'default' })).code).toBe(201)
  })

  test('nor may a container for debugging use others', async () => {
    expect((await make('debugged', {})).code).toBe(201)
    const add = (name: string, secret: string) =>
      ask(`${space}/pods/debugged/ephemeralcontainers`, {
        method: 'PATCH',
        type: 'application/strategic-merge-patch+json',
        body: { spec: { ephemeralContainers: [container({ name, env: env(secret) })] } },
      })
    const refused = await add('d', 'other')
    expect([refused.code, refused.message]).toEqual([
      403,
      'pods "debugged" is forbidden: ephemeral container d with envVar E referencing secret.secretName="other" is not allowed because service account strict does not reference that secret',
    ])
    expect((await add('e', 'mine')).code).toBe(200)
  })

  test('who sets the annotation is told that it is on its way out, once', async () => {
    const body = { metadata: { name: 'later', annotations: { [annotation]: 'true' } } }
    const warning = `metadata.annotations[${annotation}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`
    expect((await ask(`${space}/serviceaccounts`, { body })).warnings).toEqual([warning])
    const patch = { method: 'PATCH', body: { metadata: { labels: { a: 'b' } } } }
    expect((await ask(`${space}/serviceaccounts/later`, patch)).warnings).toEqual([])
  })

  test('a pod that a node shows as its own gets nothing, and may use nothing', async () => {
    const metadata = { annotations: { 'kubernetes.io/config.mirror': 'x' } }
    const mirror = { nodeName: 'n1', serviceAccountName: '' }
    expect((await make('m1', { ...mirror, serviceAccountName: 'strict' }, metadata)).message).toBe(
      'pods "m1" is forbidden: a mirror pod may not reference service accounts',
    )
    expect((await make('m2', { ...mirror, containers: [container({ env: env('mine') })] }, metadata)).message).toBe(
      'pods "m2" is forbidden: a mirror pod may not reference secrets',
    )
    const { code, body } = await make('m3', mirror, metadata)
    expect([code, body.spec.volumes, body.spec.serviceAccountName]).toEqual([201, undefined, undefined])
  })
})

describe('other plugins that look at what is made', () => {
  test('TaintNodesByCondition: a node begins as not ready', async () => {
    const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }
    const own = { key: 'mine', effect: 'NoExecute' }
    const made = await ask('/api/v1/nodes', { body: { metadata: { name: 'n1' }, spec: { taints: [own] } } })
    expect(made.body.spec.taints).toEqual([own, taint])
    const again = await ask('/api/v1/nodes', { body: { metadata: { name: 'n2' }, spec: { taints: [taint] } } })
    expect(again.body.spec.taints).toEqual([taint])
    const removed = await ask('/api/v1/nodes/n1', { method: 'PATCH', body: { spec: { taints: null } } })
    expect(removed.body.spec.taints).toBeUndefined()
  })

  test('Priority: one class is the default, and no second one', async () => {
    const classes = '/apis/scheduling.k8s.io/v1/priorityclasses'
    const make = (name: string, more: object) => ask(classes, { body: { metadata: { name }, value: 1, ...more } })
    expect((await make('first', { globalDefault: true })).code).toBe(201)
    const why = 'PriorityClass first is already marked as default. Only one default can exist'
    expect(await make('second', { globalDefault: true })).toMatchObject({
      code: 403,
      message: `priorityclasses.scheduling.k8s.io "second" is forbidden: ${why}`,
    })
    expect((await make('second', {})).code).toBe(201)
    const set = (name: string) => ask(`${classes}/${name}`, { method: 'PATCH', body: { globalDefault: true } })
    expect([(await set('first')).code, (await set('second')).code]).toEqual([200, 403])
  })

  test('LimitRanger: a pod that runs is held to its range when it is made larger', async () => {
    await ask('/api/v1/namespaces', { body: { metadata: { name: 'bounded' } } })
    const bounded = '/api/v1/namespaces/bounded'
    const resources = { requests: { cpu: '100m' }, limits: { cpu: '200m' } }
    const spec = { containers: [container({ resources })] }
    expect((await ask(`${bounded}/pods`, { body: podNamed('r', spec) })).code).toBe(201)
    const limits = [{ type: 'Container', max: { cpu: '500m' } }]
    await ask(`${bounded}/limitranges`, { body: { metadata: { name: 'l' }, spec: { limits } } })
    const resize = (cpu: string) =>
      ask(`${bounded}/pods/r/resize`, {
        method: 'PATCH',
        type: 'application/strategic-merge-patch+json',
        body: { spec: { containers: [{ name: 'c', resources: { requests: { cpu }, limits: { cpu: '800m' } } }] } },
      })
    expect(await resize('700m')).toMatchObject({
      code: 403,
      message: expect.stringContaining('maximum cpu usage per Container is 500m, but limit is 800m'),
    })
  })
})
