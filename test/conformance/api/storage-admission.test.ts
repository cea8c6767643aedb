// What claims and volumes get and are refused as they are written, and that they stay while they are in use.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { claimProtectionController, volumeProtectionController } from '../../../src/controllers/protection.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { type Asking, asking, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let running: Promise<void>

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  const controllers = [claimProtectionController, volumeProtectionController]
  running = runControllers(api.world, api.client, inputs(), controllers, api.signal)
})
afterAll(async () => {
  api.stop()
  await running
})

const claims = '/api/v1/namespaces/default/persistentvolumeclaims'
const classes = '/apis/storage.k8s.io/v1/storageclasses'
const claim = (name: string, spec: object = {}) =>
  ask(claims, {
    body: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    },
  })
const storageClass = (name: string, isDefault: boolean, more: object = {}) =>
  ask(classes, {
    body: {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name,
        ...(isDefault && { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } }),
      },
      provisioner: 'example.com/disk',
      ...more,
    },
  })

describe('storage-admission', () => {
  test('a claim without a class gets the default one, where there is one', async () => {
    expect((await claim('early')).body.spec.storageClassName).toBeUndefined()
    await storageClass('usual', true)
    await storageClass('other', false)
    expect((await claim('usual')).body.spec.storageClassName).toBe('usual')
    expect((await claim('none', { storageClassName: '' })).body.spec.storageClassName).toBe('')
    expect((await claim('other', { storageClassName: 'other' })).body.spec.storageClassName).toBe('other')
  })

  test('a claim that a pod uses stays until the pod is gone', async () => {
    const made = await claim('used')
    expect(made.body.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection'])
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'used' } }]
    await ask('/api/v1/namespaces/default/pods', { body: podNamed('user', { nodeName: 'n', volumes }) })
    const deleted = await ask(`${claims}/used`, { method: 'DELETE' })
    expect(deleted.body.metadata.deletionTimestamp).toEqual(expect.any(String))
    // Another one goes at once, so the controller has seen both by then.
    await claim('unused')
    await ask(`${claims}/unused`, { method: 'DELETE' })
    await expect.poll(async () => (await ask(`${claims}/unused`)).code, { timeout: 20_000 }).toBe(404)
    expect((await ask(`${claims}/used`)).code).toBe(200)
    await ask('/api/v1/namespaces/default/pods/user', { method: 'DELETE', body: { gracePeriodSeconds: 0 } })
    await expect.poll(async () => (await ask(`${claims}/used`)).code, { timeout: 20_000 }).toBe(404)
  })

  test('a volume that is bound stays until it no longer is', async () => {
    const volumes = '/api/v1/persistentvolumes'
    const made = await ask(volumes, {
      body: {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: 'disk' },
        spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/disk' } },
      },
    })
    expect(made.body.metadata.finalizers).toEqual(['kubernetes.io/pv-protection'])
    const phase = (to: string) => ask(`${volumes}/disk/status`, { method: 'PATCH', body: { status: { phase: to } } })
    await phase('Bound')
    await ask(`${volumes}/disk`, { method: 'DELETE' })
    expect((await ask(`${volumes}/disk`)).code).toBe(200)
    await phase('Released')
    await expect.poll(async () => (await ask(`${volumes}/disk`)).code, { timeout: 20_000 }).toBe(404)
  })

  test('a claim that lost its protection gets it back', async () => {
    await claim('bare')
    await ask(`${claims}/bare`, { method: 'PATCH', body: { metadata: { finalizers: null } } })
    await expect
      .poll(async () => (await ask(`${claims}/bare`)).body.metadata.finalizers, { timeout: 20_000 })
      .toEqual(['kubernetes.io/pvc-protection'])
  })

  test('a claim grows only where its class allows it', async () => {
    await storageClass('rigid', false)
    await storageClass('elastic', false, { allowVolumeExpansion: true })
    const grow = (name: string) =>
      ask(`${claims}/${name}`, { method: 'PATCH', body: { spec: { resources: { requests: { storage: '2Gi' } } } } })
    for (const name of ['rigid', 'elastic']) {
      await claim(`of-${name}`, { storageClassName: name, volumeName: 'v' })
      await ask(`${claims}/of-${name}/status`, { method: 'PATCH', body: { status: { phase: 'Bound' } } })
    }
    expect((await grow('of-rigid')).message).toBe(
      'persistentvolumeclaims "of-rigid" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    )
    expect((await grow('of-elastic')).code).toBe(200)
  })
})
