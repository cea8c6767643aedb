// LimitRanges: what they give to containers that say nothing, and what they refuse, in upstream's words.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
})
afterAll(() => api.stop())

/** A namespace of its own with one limit range of these items. */
async function ranged(name: string, ...limits: readonly object[]): Promise<void> {
  await ask('/api/v1/namespaces', { body: namespaceNamed(name) })
  const body = { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'l' }, spec: { limits } }
  const { code, message } = await ask(`/api/v1/namespaces/${name}/limitranges`, { body })
  expect({ code, message }).toEqual({ code: 201, message: '' })
}

const create = (namespace: string, resources: object | undefined, more: object = {}) =>
  ask(`/api/v1/namespaces/${namespace}/pods`, {
    body: podNamed('p', { containers: [{ name: 'c', image: 'i:1', ...(resources && { resources }) }], ...more }),
  })

describe('limitrange', () => {
  test('a container that says nothing gets the defaults, and the pod says where they are from', async () => {
    await ranged('defaults', {
      type: 'Container',
      default: { cpu: '500m', memory: '512Mi' },
      defaultRequest: { cpu: '100m' },
    })
    const plain = await create('defaults', undefined, { initContainers: [{ name: 'i', image: 'i:1' }] })
    const resources = { limits: { cpu: '500m', memory: '512Mi' }, requests: { cpu: '100m', memory: '512Mi' } }
    expect(plain.body.spec.containers[0].resources).toEqual(resources)
    expect(plain.body.spec.initContainers[0].resources).toEqual(resources)
    expect(plain.body.metadata.annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c; ' +
        'cpu, memory request for init container i; cpu, memory limit for init container i',
    )
    expect(plain.body.status.qosClass).toBe('Burstable')
  })

  test('what a container says itself stays', async () => {
    await ranged('kept', { type: 'Container', default: { cpu: '500m' }, defaultRequest: { cpu: '100m' } })
    const { body } = await create('kept', { requests: { cpu: '200m' } })
    expect(body.spec.containers[0].resources).toEqual({ limits: { cpu: '500m' }, requests: { cpu: '200m' } })
    expect(body.metadata.annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: cpu limit for container c',
    )
  })

  test.each<[string, object, object | undefined, string]>([
    [
      'less than the minimum',
      { type: 'Container', min: { cpu: '100m' } },
      { requests: { cpu: '50m' } },
      'minimum cpu usage per Container is 100m, but request is 50m',
    ],
    [
      'more than the maximum',
      { type: 'Container', max: { cpu: '1', memory: '1Gi' }, default: { memory: '1Mi' } },
      { limits: { cpu: '2' } },
      'maximum cpu usage per Container is 1, but limit is 2',
    ],
    [
      'a limit too far from the request',
      { type: 'Container', maxLimitRequestRatio: { cpu: '2' } },
      { requests: { cpu: '100m' }, limits: { cpu: '400m' } },
      'cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000',
    ],
    [
      'a pod without a limit',
      { type: 'Pod', max: { memory: '1Gi' } },
      undefined,
      'maximum memory usage per Pod is 1Gi.  No limit is specified',
    ],
    [
      'a pod that asks for nothing',
      { type: 'Pod', min: { cpu: '1' } },
      undefined,
      'minimum cpu usage per Pod is 1.  No request is specified',
    ],
  ])('refuses %s', async (name, item, resources, why) => {
    const namespace = name.replaceAll(' ', '-')
    await ranged(namespace, item)
    const { code, message } = await create(namespace, resources)
    expect({ code, message }).toEqual({ code: 403, message: `pods "p" is forbidden: ${why}` })
  })

  test('all that is wrong is told at once', async () => {
    await ranged('all', { type: 'Pod', min: { cpu: '1', memory: '1Gi' } })
    const { message } = await create('all', { requests: { cpu: '1m', memory: '1Mi' } })
    expect(message).toBe(
      'pods "p" is forbidden: [minimum cpu usage per Pod is 1, but request is 1m, minimum memory usage per Pod is 1Gi, but request is 1Mi]',
    )
  })

  test('the containers of a pod count together, and the larger of them and of what starts it', async () => {
    await ranged('sum', { type: 'Pod', max: { cpu: '1' } })
    const container = (name: string, cpu: string) => ({ name, image: 'i:1', resources: { limits: { cpu } } })
    const pod = (spec: object) => ask('/api/v1/namespaces/sum/pods', { body: podNamed('p', spec) })
    const two = await pod({ containers: [container('a', '600m'), container('b', '600m')] })
    expect(two.message).toContain('maximum cpu usage per Pod is 1, but limit is 1200m')
    const initial = await pod({ containers: [container('a', '1')], initContainers: [container('i', '1')] })
    expect(initial.code).toBe(201)
  })

  test('claims are held to the storage they may ask for', async () => {
    await ranged('claims', { type: 'PersistentVolumeClaim', min: { storage: '2Gi' }, max: { storage: '10Gi' } })
    const claim = (storage: string) =>
      ask('/api/v1/namespaces/claims/persistentvolumeclaims', {
        body: {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'v' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
        },
      })
    expect((await claim('1Gi')).message).toBe(
      'persistentvolumeclaims "v" is forbidden: minimum storage usage per PersistentVolumeClaim is 2Gi, but request is 1Gi',
    )
    expect((await claim('11Gi')).message).toBe(
      'persistentvolumeclaims "v" is forbidden: maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 11Gi',
    )
    expect((await claim('5Gi')).code).toBe(201)
  })

  test('a pod that is there is not looked at again when the range changes', async () => {
    await ask('/api/v1/namespaces', { body: namespaceNamed('later') })
    await create('later', undefined)
    const body = {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'l' },
      spec: { limits: [{ type: 'Pod', min: { cpu: '1' } }] },
    }
    await ask('/api/v1/namespaces/later/limitranges', { body })
    const { code } = await ask('/api/v1/namespaces/later/pods/p', {
      method: 'PATCH',
      body: { metadata: { labels: { a: 'b' } } },
    })
    expect(code).toBe(200)
  })
})
