// PersistentVolumes, claims, storage classes and what CSI drivers keep in the API, as the official suite walks through them.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { claimProtectionController, volumeProtectionController } from '../../../src/controllers/protection.ts'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { walkThrough } from './operations.ts'

const storage = '/apis/storage.k8s.io/v1'
const claims = '/api/v1/namespaces/default/persistentvolumeclaims'
const volumes = '/api/v1/persistentvolumes'
const size = (amount: string) => ({ resources: { requests: { storage: amount } } })
const claimNamed = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], ...size('1Gi'), ...spec },
})
const volumeNamed = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { capacity: { storage: '5Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/data' }, ...spec },
})
const merge = (body: object) => ({ method: 'PATCH', body })

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
})
afterAll(() => api.stop())

describe('pv-pvc-api', () => {
  walkThrough({
    root: '/api/v1',
    resource: 'persistentvolumes',
    kind: 'PersistentVolume',
    shortNames: ['pv'],
    subresources: ['status'],
    controllers: [volumeProtectionController],
    make: i => volumeNamed(`pv-${i}`, { storageClassName: 'slow' }),
    change: { spec: { persistentVolumeReclaimPolicy: 'Delete' } },
    status: { patch: { phase: 'Failed', message: 'no' }, expected: { phase: 'Failed', message: 'no' } },
    columns: [
      'Name',
      'Capacity',
      'Access Modes',
      'Reclaim Policy',
      'Status',
      'Claim',
      'StorageClass',
      'VolumeAttributesClass',
      'Reason',
      'Age',
    ],
    cells: ['pv-0', '5Gi', 'RWO', 'Retain', 'Pending', '', 'slow', '<unset>', '', 'Filesystem'],
  })
  walkThrough({
    root: '/api/v1',
    namespace: 'default',
    resource: 'persistentvolumeclaims',
    kind: 'PersistentVolumeClaim',
    shortNames: ['pvc'],
    subresources: ['status'],
    controllers: [claimProtectionController],
    make: i => claimNamed(`pvc-${i}`, { storageClassName: 'slow' }),
    status: { patch: { phase: 'Lost' }, expected: { phase: 'Lost' } },
    columns: ['Name', 'Status', 'Volume', 'Capacity', 'Access Modes', 'StorageClass', 'VolumeAttributesClass', 'Age'],
    cells: ['pvc-0', 'Pending', '', '', '', 'slow', '<unset>', 'Filesystem'],
  })

  test('a volume is pending since it was made, kept when it is released, and has a file system', async () => {
    const { body } = await ask(volumes, { body: volumeNamed('fresh') })
    expect(body.spec).toMatchObject({
      persistentVolumeReclaimPolicy: 'Retain',
      volumeMode: 'Filesystem',
      hostPath: { path: '/data', type: '' },
    })
    expect(body.status).toEqual({ phase: 'Pending', lastPhaseTransitionTime: body.metadata.creationTimestamp })
    expect(body.metadata.generation).toBeUndefined()
    const since = '2020-01-01T00:00:00Z'
    const at = `${volumes}/fresh/status`
    await ask(at, merge({ status: { phase: 'Pending', lastPhaseTransitionTime: since } }))
    expect((await ask(at, merge({ status: { message: 'x' } }))).body.status.lastPhaseTransitionTime).toBe(since)
    const moved = await ask(at, merge({ status: { phase: 'Available' } }))
    expect(moved.body.status.lastPhaseTransitionTime).not.toBe(since)
  })

  test('a claim that is bound may grow, and nothing else of it changes', async () => {
    const at = `${claims}/growing`
    await ask(`${storage}/storageclasses`, {
      body: { metadata: { name: 'slow' }, provisioner: 'example.com/disk', allowVolumeExpansion: true },
    })
    const { body } = await ask(claims, { body: claimNamed('growing', { storageClassName: 'slow' }) })
    expect(body.spec).toEqual({
      accessModes: ['ReadWriteOnce'],
      ...size('1Gi'),
      storageClassName: 'slow',
      volumeMode: 'Filesystem',
    })
    expect((await ask(at, merge({ spec: size('2Gi') }))).code).toBe(422)
    await ask(at, merge({ spec: { volumeName: 'pv-7' } }))
    const bound = { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] }
    await ask(`${at}/status`, merge({ status: bound }))
    expect((await ask(at, merge({ spec: size('2Gi') }))).body.spec).toMatchObject(size('2Gi'))
    for (const spec of [{ volumeName: 'pv-8' }, { storageClassName: 'fast' }, { accessModes: ['ReadWriteMany'] }]) {
      const { code, message } = await ask(at, merge({ spec }))
      expect([code, message]).toEqual([
        422,
        expect.stringContaining('spec: Forbidden: spec is immutable after creation'),
      ])
    }
    const smaller = await ask(at, merge({ spec: size('1Gi') }))
    expect(smaller.message).toContain('field can not be less than status.capacity')
    expect((await ask(at, merge({ spec: size('1500Mi') }))).code).toBe(200)
    const { body: table } = await ask(at, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    expect(table.rows[0].cells.slice(0, 6)).toEqual(['growing', 'Bound', 'pv-7', '1Gi', 'RWO', 'slow'])
  })

  test('a claim says its source in both fields, whichever was given', async () => {
    const source = { kind: 'PersistentVolumeClaim', name: 'other' }
    for (const [name, spec] of Object.entries({ old: { dataSource: source }, new: { dataSourceRef: source } })) {
      const { body } = await ask(claims, { body: claimNamed(`from-${name}`, spec) })
      expect(body.spec).toMatchObject({ dataSource: source, dataSourceRef: source })
    }
    const far = { dataSourceRef: { ...source, namespace: 'elsewhere' } }
    expect((await ask(claims, { body: claimNamed('far', far) })).body.spec.dataSource).toBeUndefined()
  })

  test('what a volume is made of stays, but for the secret by which it grows', async () => {
    const csi = { driver: 'csi.example.com', volumeHandle: 'v' }
    const at = `${volumes}/driven`
    const body = {
      metadata: { name: 'driven' },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], csi },
    }
    expect((await ask(volumes, { body })).message).toBe('')
    const other = await ask(at, merge({ spec: { csi: { volumeHandle: 'w' } } }))
    expect(other.message).toContain('spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable')
    const secret = { controllerExpandSecretRef: { name: 's', namespace: 'n' } }
    expect((await ask(at, merge({ spec: { csi: secret } }))).code).toBe(200)
    expect((await ask(at, merge({ spec: { csi: { controllerExpandSecretRef: { name: 't' } } } }))).code).toBe(422)
  })

  test('the class that an annotation names counts', async () => {
    const metadata = { name: 'annotated', annotations: { 'volume.beta.kubernetes.io/storage-class': 'gold' } }
    await ask(claims, { body: { ...claimNamed('annotated'), metadata } })
    const { body } = await ask(`${claims}/annotated`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    expect(body.rows[0].cells).toContain('gold')
  })
})

describe('csi-api', () => {
  walkThrough({
    root: storage,
    resource: 'storageclasses',
    kind: 'StorageClass',
    shortNames: ['sc'],
    make: i => ({ metadata: { name: `class-${i}` }, provisioner: 'example.com/disk', parameters: { type: 'ssd' } }),
    change: { allowVolumeExpansion: true },
    columns: ['Name', 'Provisioner', 'ReclaimPolicy', 'VolumeBindingMode', 'AllowVolumeExpansion', 'Age'],
    cells: ['class-0', 'example.com/disk', 'Delete', 'Immediate', false],
  })
  walkThrough({
    root: storage,
    resource: 'csidrivers',
    kind: 'CSIDriver',
    make: i => ({ metadata: { name: `driver-${i}.example.com` }, spec: { tokenRequests: [{ audience: 'vault' }] } }),
    change: { spec: { requiresRepublish: true } },
    columns: [
      'Name',
      'AttachRequired',
      'PodInfoOnMount',
      'StorageCapacity',
      'TokenRequests',
      'RequiresRepublish',
      'Modes',
      'Age',
    ],
    cells: ['driver-0.example.com', true, false, false, 'vault', false, 'Persistent'],
  })
  walkThrough({
    root: storage,
    resource: 'csinodes',
    kind: 'CSINode',
    make: i => ({
      metadata: { name: `node-${i}` },
      spec: { drivers: [{ name: 'csi.example.com', nodeID: `id-${i}` }] },
    }),
    change: { spec: { drivers: [] } },
    columns: ['Name', 'Drivers', 'Age'],
    cells: ['node-0', 1],
  })
  walkThrough({
    root: storage,
    namespace: 'default',
    resource: 'csistoragecapacities',
    kind: 'CSIStorageCapacity',
    make: i => ({ metadata: { name: `capacity-${i}` }, storageClassName: 'slow', capacity: '10Gi' }),
    change: { capacity: '9Gi' },
    columns: ['Name', 'StorageClassName', 'Capacity'],
    cells: ['capacity-0', 'slow', '10Gi'],
  })
  walkThrough({
    root: storage,
    resource: 'volumeattachments',
    kind: 'VolumeAttachment',
    subresources: ['status'],
    make: i => ({
      metadata: { name: `attachment-${i}` },
      spec: { attacher: 'csi.example.com', nodeName: 'node-a', source: { persistentVolumeName: 'pv-a' } },
    }),
    status: { patch: { attached: true }, expected: { attached: true } },
    columns: ['Name', 'Attacher', 'PV', 'Node', 'Attached', 'Age'],
    cells: ['attachment-0', 'csi.example.com', 'pv-a', 'node-a', false],
  })

  test('the default class says so in its table', async () => {
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' }
    await ask(`${storage}/storageclasses`, {
      body: { metadata: { name: 'usual', annotations }, provisioner: 'example.com/d' },
    })
    const { body } = await ask(`${storage}/storageclasses/usual`, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    })
    expect(body.rows[0].cells[0]).toBe('usual (default)')
    expect(body.rows[0].object.metadata.name).toBe('usual')
  })

  test('a driver has all its defaults, and a generation once it was changed', async () => {
    const at = `${storage}/csidrivers`
    const { body } = await ask(at, { body: { metadata: { name: 'd.example.com' } } })
    expect(body.spec).toEqual({
      attachRequired: true,
      podInfoOnMount: false,
      volumeLifecycleModes: ['Persistent'],
      storageCapacity: false,
      fsGroupPolicy: 'ReadWriteOnceWithFSType',
      requiresRepublish: false,
      seLinuxMount: false,
    })
    expect(body.metadata.generation).toBeUndefined()
    const changed = await ask(`${at}/d.example.com`, merge({ spec: { requiresRepublish: true } }))
    expect(changed.body.metadata.generation).toBe(1)
    const kept = await ask(`${at}/d.example.com`, merge({ metadata: { labels: { a: 'b' } } }))
    expect(kept.body.metadata.generation).toBe(1)
  })
})
