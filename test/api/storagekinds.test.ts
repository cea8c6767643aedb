// What the kinds of storage refuse, and where.
import { describe, expect, test } from 'vitest'
import type { Kind, KubeObject } from '../../src/api/kind.ts'
import { csiDriver } from '../../src/api/kinds/csidriver.ts'
import { csiNode } from '../../src/api/kinds/csinode.ts'
import { csiStorageCapacity } from '../../src/api/kinds/csistoragecapacity.ts'
import { persistentVolume } from '../../src/api/kinds/persistentvolume.ts'
import { persistentVolumeClaim } from '../../src/api/kinds/persistentvolumeclaim.ts'
import { type Pod, pod } from '../../src/api/kinds/pod.ts'
import { storageClass } from '../../src/api/kinds/storageclass.ts'
import { volumeAttachment } from '../../src/api/kinds/volumeattachment.ts'
import { causesOf, created, updated } from './make.ts'

type Case = readonly [what: string, more: object, expected: readonly string[]]

const modes = ['ReadWriteOnce']
const size = (storage: string) => ({ resources: { requests: { storage } } })
const named = (kind: Kind, more: object, name = 'x') => ({ kind: kind.kind, metadata: { name }, ...more })

/** Each cause is 'field: message', and begins as expected. */
function refuses(kind: Kind, object: object, expected: readonly string[]): void {
  const causes = causesOf(() => created(kind, named(kind, object)))
  expect(causes).toEqual(expected.map(text => expect.stringContaining(text)))
}

function refusesChange(kind: Kind, before: object, after: object, expected: readonly string[]): void {
  const old = created(kind, named(kind, before))
  const causes = causesOf(() => updated<KubeObject>(kind, old, named(kind, after)))
  expect(causes).toEqual(expected.map(text => expect.stringContaining(text)))
}

describe('persistent volume', () => {
  const volume = (more: object) => ({
    spec: { capacity: { storage: '1Gi' }, accessModes: modes, hostPath: { path: '/data' }, ...more },
  })
  test.each<Case>([
    ['is well', {}, []],
    ['has no source', { hostPath: null }, ['spec: Required value: must specify a volume type']],
    [
      'has two sources',
      { nfs: { server: 's', path: '/' } },
      ['spec.nfs: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      'has no size',
      { capacity: {} },
      ['spec.capacity: Required value', 'spec.capacity: Unsupported value: {}: supported values: "storage"'],
    ],
    ['has another amount', { capacity: { storage: '1Gi', cpu: '1' } }, ['spec.capacity: Unsupported value']],
    [
      'has a size of nothing',
      { capacity: { storage: '0' } },
      ['spec.capacity[storage]: Invalid value: "0": must be greater than zero'],
    ],
    ['has no access mode', { accessModes: [] }, ['spec.accessModes: Required value']],
    [
      'has an access mode that is none',
      { accessModes: ['Any'] },
      [
        'spec.accessModes: Unsupported value: "Any": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      ],
    ],
    [
      'is for one pod and for many',
      { accessModes: ['ReadWriteOncePod', 'ReadOnlyMany'] },
      ['spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes'],
    ],
    [
      'goes where it should not',
      { hostPath: { path: '/a/../b' } },
      ['spec.hostPath.path: Invalid value: "/a/../b": must not contain \'..\''],
    ],
    [
      'is of a type that is none',
      { hostPath: { path: '/a', type: 'Pipe' } },
      ['spec.hostPath.type: Unsupported value: "Pipe"'],
    ],
    [
      'recycles the root',
      { hostPath: { path: '/' }, persistentVolumeReclaimPolicy: 'Recycle' },
      ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
    ],
    [
      'is kept in a way that is none',
      { persistentVolumeReclaimPolicy: 'Keep' },
      [
        'spec.persistentVolumeReclaimPolicy: Unsupported value: "Keep": supported values: "Delete", "Recycle", "Retain"',
      ],
    ],
    [
      'is local to no node',
      { hostPath: null, local: { path: '/disk' } },
      ['spec.nodeAffinity: Required value: Local volume requires node affinity'],
    ],
    [
      'has terms for nodes without a value',
      {
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: [] }] }] },
        },
      },
      ['spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values: Required value'],
    ],
    [
      'is of a driver with a wrong name and a secret without a namespace',
      {
        hostPath: null,
        csi: { driver: 'no driver', volumeHandle: 'v', nodePublishSecretRef: { name: 's' } },
      },
      [
        'spec.csi.driver: Invalid value: "no driver": a lowercase RFC 1123 subdomain',
        'spec.csi.nodePublishSecretRef.namespace: Required value',
      ],
    ],
    [
      'is of a driver without a handle',
      { hostPath: null, csi: { driver: 'd' } },
      ['spec.csi.volumeHandle: Required value'],
    ],
    ['has a mode that is none', { volumeMode: 'Raw' }, ['spec.volumeMode: Unsupported value: "Raw"']],
    ['is of a class with a wrong name', { storageClassName: 'A' }, ['spec.storageClassName: Invalid value: "A"']],
  ])('%s', (_, more, expected) => refuses(persistentVolume, volume(more), expected))

  test.each<Case>([
    ['may be sized anew', { capacity: { storage: '2Gi' } }, []],
    [
      'stays what it is made of',
      { hostPath: { path: '/other' } },
      ['spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation'],
    ],
    ['stays what it is read as', { volumeMode: 'Block' }, ['volumeMode: Invalid value: "Block": field is immutable']],
  ])('%s', (_, more, expected) => refusesChange(persistentVolume, volume({}), volume(more), expected))
})

describe('claim', () => {
  const claim = (more: object) => ({ spec: { accessModes: modes, ...size('1Gi'), ...more } })
  test.each<Case>([
    ['is well', {}, []],
    [
      'has no access mode',
      { accessModes: [] },
      ['spec.accessModes: Required value: at least 1 access mode is required'],
    ],
    ['asks for nothing', { resources: {} }, ['spec.resources[storage]: Required value']],
    [
      'asks for less than nothing',
      size('-1'),
      ['spec.resources[storage]: Invalid value: "-1": must be greater than zero'],
    ],
    [
      'has a mode that is none',
      { volumeMode: 'Raw' },
      ['spec.volumeMode: Unsupported value: "Raw": supported values: "Block", "Filesystem"'],
    ],
    [
      'has a source of another group without its name',
      { dataSource: { kind: 'VolumeSnapshot', name: 's' } },
      [
        'spec.dataSource: Invalid value: "VolumeSnapshot": must be \'PersistentVolumeClaim\' when referencing the default apiGroup',
        'spec.dataSourceRef: Invalid value: "VolumeSnapshot": must be \'PersistentVolumeClaim\' when referencing the default apiGroup',
      ],
    ],
    [
      'has two sources',
      {
        dataSource: { kind: 'PersistentVolumeClaim', name: 'a' },
        dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'b' },
      },
      ['spec: Invalid value: "spec.dataSource": must match dataSourceRef'],
    ],
    [
      'selects by what cannot be',
      { selector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
      [
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
      ],
    ],
  ])('%s', (_, more, expected) => refuses(persistentVolumeClaim, claim(more), expected))

  test('takes a class once, where it had none', () => {
    refusesChange(persistentVolumeClaim, claim({}), claim({ storageClassName: 'gold' }), [])
    const settled = claim({ storageClassName: 'gold' })
    refusesChange(persistentVolumeClaim, settled, claim({ storageClassName: 'iron' }), [
      'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    ])
  })

  test('names no class of attributes, which Kubernetes 1.33 does not know unless told', () => {
    const made = created(
      persistentVolumeClaim,
      named(persistentVolumeClaim, claim({ volumeAttributesClassName: 'fast' })),
    )
    expect(made.spec).not.toHaveProperty('volumeAttributesClassName')
  })
})

describe('ephemeral volume of a pod', () => {
  const podOf = (ephemeral: object) => ({
    spec: { containers: [{ name: 'c', image: 'i:1' }], volumes: [{ name: 'scratch', ephemeral }] },
  })
  const at = 'spec.volumes[0].ephemeral.volumeClaimTemplate'
  test('has the defaults of a claim', () => {
    const template = { spec: { accessModes: modes, ...size('1Gi') } }
    const made = created(pod, named(pod, podOf({ volumeClaimTemplate: template })))
    const [volume] = (made as Pod).spec.volumes ?? []
    expect(volume?.ephemeral?.volumeClaimTemplate?.spec).toMatchObject({ volumeMode: 'Filesystem', ...size('1Gi') })
  })
  test.each<Case>([
    ['claims nothing', {}, [`${at}: Required value`]],
    [
      'claims what a claim may not',
      { volumeClaimTemplate: { metadata: { labels: { 'a b': 'c' } }, spec: { accessModes: [] } } },
      [
        `${at}.metadata.labels: Invalid value: "a b"`,
        `${at}.spec.accessModes: Required value: at least 1 access mode is required`,
        `${at}.spec.resources[storage]: Required value`,
      ],
    ],
  ])('%s', (_, ephemeral, expected) => refuses(pod, podOf(ephemeral), expected))
})

describe('storage class', () => {
  test.each<Case>([
    ['is well', {}, []],
    ['is made by nobody', { provisioner: '' }, ['provisioner: Required value']],
    ['is made by a wrong name', { provisioner: 'a b' }, ['provisioner: Invalid value: "a b": name part']],
    [
      'has a parameter without a name',
      { parameters: { '': 'x' } },
      ['parameters: Invalid value: "": field can not be empty.'],
    ],
    [
      'is recycled',
      { reclaimPolicy: 'Recycle' },
      ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
    ],
    [
      'binds when it likes',
      { volumeBindingMode: 'Late' },
      ['volumeBindingMode: Unsupported value: "Late": supported values: "Immediate", "WaitForFirstConsumer"'],
    ],
    [
      'has the same topology twice',
      { allowedTopologies: [1, 2].map(() => ({ matchLabelExpressions: [{ key: 'zone', values: ['a'] }] })) },
      ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
    ],
    [
      'has a value twice in a topology',
      { allowedTopologies: [{ matchLabelExpressions: [{ key: 'zone', values: ['a', 'a'] }] }] },
      ['allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "a"'],
    ],
  ])('%s', (_, more, expected) => refuses(storageClass, { provisioner: 'example.com/disk', ...more }, expected))

  test('keeps what volumes were made by', () => {
    const before = { provisioner: 'example.com/disk', parameters: { type: 'ssd' } }
    const after = {
      provisioner: 'example.com/tape',
      reclaimPolicy: 'Retain',
      volumeBindingMode: 'WaitForFirstConsumer',
    }
    refusesChange(storageClass, before, after, [
      'parameters: Forbidden: updates to parameters are forbidden.',
      'provisioner: Forbidden: updates to provisioner are forbidden.',
      'reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.',
      'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
    ])
    refusesChange(storageClass, before, { ...before, allowVolumeExpansion: true }, [])
  })
})

describe('driver', () => {
  test.each<Case>([
    ['is well', {}, []],
    ['has a policy that is none', { fsGroupPolicy: 'All' }, ['spec.fsGroupPolicy: Unsupported value: "All"']],
    [
      'lives in a way that is none',
      { volumeLifecycleModes: ['Once'] },
      ['spec.volumeLifecycleModes: Unsupported value: "Once"'],
    ],
    [
      'asks for the same token twice, and for one too short',
      { tokenRequests: [{ audience: 'a' }, { audience: 'a' }, { audience: 'b', expirationSeconds: 10 }] },
      [
        'spec.tokenRequests[1].audience: Duplicate value: "a"',
        'spec.tokenRequests[2].expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes',
      ],
    ],
  ])('%s', (_, spec, expected) => refuses(csiDriver, { spec }, expected))

  test('keeps how its volumes are attached', () => {
    refusesChange(csiDriver, { spec: {} }, { spec: { attachRequired: false, podInfoOnMount: true } }, [
      'spec.attachedRequired: Invalid value: false: field is immutable',
      'spec.podInfoOnMount: Invalid value: true: field is immutable',
    ])
  })
})

describe('node of drivers', () => {
  const driver = { name: 'csi.example.com', nodeID: 'a' }
  test.each<Case>([
    ['is well', { drivers: [driver] }, []],
    ['has none', { drivers: [] }, []],
    ['has one twice', { drivers: [driver, driver] }, ['spec.drivers[1].name: Duplicate value: "csi.example.com"']],
    [
      'does not know its name there',
      { drivers: [{ ...driver, nodeID: '' }] },
      ['spec.drivers[0].nodeID: Required value'],
    ],
    [
      'has a name too long',
      { drivers: [{ ...driver, nodeID: 'a'.repeat(257) }] },
      ['spec.drivers[0].nodeID: Invalid value: "aaa'],
    ],
    [
      'holds less than nothing, by keys that are none',
      { drivers: [{ ...driver, allocatable: { count: -1 }, topologyKeys: ['a', 'a', 'b c'] }] },
      [
        'spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0',
        'spec.drivers[0]: Duplicate value: "a"',
        'spec.drivers[0]: Invalid value: "b c": name part',
      ],
    ],
  ])('%s', (_, spec, expected) => refuses(csiNode, { spec }, expected))

  test('a driver comes and goes, and does not change', () => {
    const changed = { spec: { drivers: [{ ...driver, nodeID: 'b' }] } }
    refusesChange(csiNode, { spec: { drivers: [driver] } }, changed, ['CSINodeDriver: Invalid value: {'])
    refusesChange(csiNode, { spec: { drivers: [driver] } }, { spec: { drivers: [] } }, [])
  })
})

describe('capacity', () => {
  test('of a class, not below zero, and for the same nodes always', () => {
    const slow = { storageClassName: 'slow', capacity: '1Gi' }
    refuses(csiStorageCapacity, slow, [])
    refuses(csiStorageCapacity, { ...slow, capacity: '-1' }, ['capacity: Invalid value: "-1"'])
    refuses(csiStorageCapacity, {}, ['storageClassName: Required value'])
    refusesChange(csiStorageCapacity, slow, { ...slow, storageClassName: 'fast', nodeTopology: {} }, [
      'nodeTopology: Invalid value: {}: field is immutable',
      'storageClassName: Invalid value: "fast": field is immutable',
    ])
  })
})

describe('attachment', () => {
  const spec = { attacher: 'csi.example.com', nodeName: 'a', source: { persistentVolumeName: 'v' } }
  const inline = { accessModes: modes, csi: { driver: 'csi.example.com', volumeHandle: 'h' } }
  const one = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'
  test.each<Case>([
    ['is well', {}, []],
    ['is well inline', { source: { inlineVolumeSpec: inline } }, []],
    ['is of nothing', { source: {} }, [`spec.source: Required value: ${one}`]],
    [
      'is of two',
      { source: { persistentVolumeName: 'v', inlineVolumeSpec: inline } },
      [`spec.source: Forbidden: ${one}`],
    ],
    [
      'has a size inline, and no driver',
      { source: { inlineVolumeSpec: { accessModes: modes, capacity: { storage: '1' }, hostPath: { path: '/' } } } },
      [
        'spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes',
        'spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes',
      ],
    ],
    ['has a wrong attacher', { attacher: 'a b' }, ['spec.attacher: Invalid value: "a b"']],
    [
      'has no attacher and no node',
      { attacher: '', nodeName: '' },
      ['spec.attacher: Required value', 'spec.nodeName: Required value'],
    ],
  ])('%s', (_, more, expected) => refuses(volumeAttachment, { spec: { ...spec, ...more } }, expected))

  test('stays as it is', () => {
    refusesChange(volumeAttachment, { spec }, { spec: { ...spec, nodeName: 'b' } }, ['spec: Invalid value: {'])
  })
})
