// A pod's RuntimeClass gives it its overhead and where it may run, and has to be there.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  const classes = {
    plain: {},
    heavy: { overhead: { podFixed: { cpu: '10m', memory: '1Mi' } } },
    placed: {
      scheduling: {
        nodeSelector: { disk: 'fast' },
        tolerations: [{ key: 'reserved', operator: 'Exists', effect: 'NoSchedule' }],
      },
    },
  }
  for (const [name, more] of Object.entries(classes)) {
    const body = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler: 'runc', ...more }
    await ask('/apis/node.k8s.io/v1/runtimeclasses', { body })
  }
})
afterAll(() => api.stop())

const create = (name: string, spec: object) => ask('/api/v1/namespaces/default/pods', { body: podNamed(name, spec) })

describe('runtimeclass-admission', () => {
  test('a pod of a class that is not there is refused, also when the class has been deleted', async () => {
    const why = 'pods "a" is forbidden: pod rejected: RuntimeClass "gone" not found'
    const before = await create('a', { runtimeClassName: 'gone' })
    expect([before.code, before.message]).toEqual([403, why])
    const body = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'gone' }, handler: 'runc' }
    await ask('/apis/node.k8s.io/v1/runtimeclasses', { body })
    expect((await create('b', { runtimeClassName: 'gone' })).code).toBe(201)
    await ask('/apis/node.k8s.io/v1/runtimeclasses/gone', { method: 'DELETE' })
    expect((await create('a', { runtimeClassName: 'gone' })).message).toBe(why)
  })

  test('a class without overhead leaves a pod as it is', async () => {
    const { code, body } = await create('plain', { runtimeClassName: 'plain' })
    expect([code, body.spec.overhead]).toEqual([201, undefined])
  })

  test('the overhead of the class is the pod’s', async () => {
    const { body } = await create('heavy', { runtimeClassName: 'heavy' })
    expect(body.spec.overhead).toEqual({ cpu: '10m', memory: '1Mi' })
    const same = await create('same', { runtimeClassName: 'heavy', overhead: { cpu: '0.01', memory: '1024Ki' } })
    expect(same.code).toBe(201)
  })

  test('another overhead than that of the class is refused', async () => {
    const other = await create('other', { runtimeClassName: 'heavy', overhead: { cpu: '20m' } })
    expect([other.code, other.message]).toEqual([
      403,
      "pods \"other\" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    ])
    const without = await create('without', { overhead: { cpu: '20m' } })
    expect(without.message).toBe(
      'pods "without" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
    )
  })

  test('where the class runs is added to what the pod says, unless the two disagree', async () => {
    const { body } = await create('placed', { runtimeClassName: 'placed', nodeSelector: { zone: 'a' } })
    expect(body.spec.nodeSelector).toEqual({ zone: 'a', disk: 'fast' })
    expect(body.spec.tolerations).toContainEqual({ key: 'reserved', operator: 'Exists', effect: 'NoSchedule' })
    const torn = await create('torn', { runtimeClassName: 'placed', nodeSelector: { disk: 'slow' } })
    expect([torn.code, torn.message]).toEqual([
      403,
      'pods "torn" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[disk] = fast; pod.spec.nodeSelector[disk] = slow',
    ])
  })
})
