// StatefulSet (apps/v1): pods with lasting names and storage of their own.
import { ageColumn, containerColumns } from '../cells.ts'
import { equalJson } from '../equal.ts'
import { forbidden } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { conditionFields } from '../types/condition.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { persistentVolumeClaim } from '../types/volumeclaim.ts'
import { validateCounts, validateKeeper, validateReplicas } from '../workload.ts'

const caution = 'StatefulSets are stored, but no controller of this version makes their pods'

export const statefulSetOrdinals = s.object(
  'io.k8s.api.apps.v1.StatefulSetOrdinals',
  {
    start: s.int32(1, 'Number of the first pod; 0 by default. The others follow without gaps.'),
  },
  { description: 'How the pods are numbered.' },
)
export type StatefulSetOrdinals = TypeOf<typeof statefulSetOrdinals>
export const statefulSetPersistentVolumeClaimRetentionPolicy = s.object(
  'io.k8s.api.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy',
  {
    whenDeleted: s.string(
      1,
      'When the set is deleted: Retain (the default) leaves its claims behind, Delete takes them with it.',
    ),
    whenScaled: s.string(
      2,
      'When replicas shrinks: Retain (the default) leaves the claims of the pods that go, Delete takes them after the pods.',
    ),
  },
  { description: 'What becomes of the claims of pods that are wanted no longer.' },
)
export type StatefulSetPersistentVolumeClaimRetentionPolicy = TypeOf<
  typeof statefulSetPersistentVolumeClaimRetentionPolicy
>
export const rollingUpdateStatefulSetStrategy = s.object(
  'io.k8s.api.apps.v1.RollingUpdateStatefulSetStrategy',
  {
    partition: s.int32(1, {
      pointer: true,
      description: 'Pods with a number below it keep the old template; 0 by default, which updates all of them.',
    }),
    maxUnavailable: s.intOrString(
      2,
      'Pods that may be missing at once during the update: a count, or a percentage of replicas. 1 when absent.',
    ),
  },
  { description: 'Bounds of a rolling update.' },
)
export type RollingUpdateStatefulSetStrategy = TypeOf<typeof rollingUpdateStatefulSetStrategy>
export const statefulSetUpdateStrategy = s.object(
  'io.k8s.api.apps.v1.StatefulSetUpdateStrategy',
  {
    type: s.oneOf(1, ['RollingUpdate', 'OnDelete'], {
      default: 'RollingUpdate',
      description:
        'RollingUpdate replaces pods from the highest number down; OnDelete replaces each when somebody has deleted it.',
    }),
    rollingUpdate: s.of(2, rollingUpdateStatefulSetStrategy, 'Bounds of a rolling update; OnDelete ignores them.'),
  },
  { description: 'How the pods of an old template give way to those of a new one.' },
)
export type StatefulSetUpdateStrategy = TypeOf<typeof statefulSetUpdateStrategy>
export const statefulSetSpec = s.object(
  'io.k8s.api.apps.v1.StatefulSetSpec',
  {
    replicas: s.int32(1, {
      pointer: true,
      default: 1,
      description: 'Number of pods wanted; 1 by default. Those with the highest numbers go first.',
    }),
    selector: s.of(2, labelSelector, {
      required: true,
      description: 'Labels by which it knows its pods; the template must carry them. Immutable, and not empty.',
    }),
    template: s.of(3, podTemplateSpec, {
      required: true,
      description:
        'The pods to run; each is called by the name of the set and its number. Their restartPolicy must be Always.',
    }),
    volumeClaimTemplates: s.list(
      4,
      persistentVolumeClaim,
      'Of each, every pod gets a claim of its own, which it finds as a volume of that name and keeps when it is made anew. Immutable.',
    ),
    serviceName: s.string(
      5,
      'Headless Service through which each pod has a DNS name of its own; it is not made by the set. Immutable.',
    ),
    podManagementPolicy: s.oneOf(6, ['OrderedReady', 'Parallel'], {
      default: 'OrderedReady',
      description:
        'OrderedReady starts one pod after the other is ready, and stops them in reverse; Parallel waits for none. Immutable.',
    }),
    updateStrategy: s.of(7, statefulSetUpdateStrategy, {
      default: {},
      description: 'How pods are replaced when the template changes.',
    }),
    revisionHistoryLimit: s.int32(8, {
      pointer: true,
      default: 10,
      description: 'Number of older templates kept as ControllerRevisions to go back to; 10 by default.',
    }),
    minReadySeconds: s.int32(9, 'Seconds that a pod must have been ready to count as available; 0 counts it at once.'),
    persistentVolumeClaimRetentionPolicy: s.of(
      10,
      statefulSetPersistentVolumeClaimRetentionPolicy,
      'Whether claims outlast their pods for good; they do by default.',
    ),
    ordinals: s.of(11, statefulSetOrdinals, 'How the pods are numbered; from 0 on when absent.'),
  },
  { description: 'Which pods there are to be, with what storage, and in which order they come and go.' },
)
export type StatefulSetSpec = TypeOf<typeof statefulSetSpec>
export const statefulSetCondition = s.object('io.k8s.api.apps.v1.StatefulSetCondition', conditionFields, {
  description: 'One aspect of how a StatefulSet stands.',
})
export type StatefulSetCondition = TypeOf<typeof statefulSetCondition>
export const statefulSetStatus = s.object(
  'io.k8s.api.apps.v1.StatefulSetStatus',
  {
    observedGeneration: s.int64(
      1,
      'The metadata.generation that the counts belong to; a lower one means that the last change is not seen yet.',
    ),
    replicas: s.int32(2, { required: true, description: 'Pods that the set has made.' }),
    readyReplicas: s.int32(3, 'Pods whose condition Ready is True.'),
    currentReplicas: s.int32(4, 'Pods of currentRevision.'),
    updatedReplicas: s.int32(5, 'Pods of updateRevision.'),
    currentRevision: s.string(
      6,
      'ControllerRevision of the template that an update leaves behind; the same as updateRevision when none goes on.',
    ),
    updateRevision: s.string(7, 'ControllerRevision of the present template.'),
    collisionCount: s.int32(9, {
      pointer: true,
      description:
        'How often the name for a new ControllerRevision was already taken; counted into the hash of the next one.',
    }),
    conditions: s.list(10, statefulSetCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What is to be said beside the counts, one entry of each type.',
    }),
    availableReplicas: s.int32(11, 'Pods that have been ready for minReadySeconds.'),
  },
  { description: 'Counts of the pods of a StatefulSet, and the revisions between which an update moves them.' },
)
export type StatefulSetStatus = TypeOf<typeof statefulSetStatus>
export const statefulSetSchema = s.object(
  'io.k8s.api.apps.v1.StatefulSet',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace, labels and the like. The name begins those of the pods.',
    }),
    spec: s.of(2, statefulSetSpec, { default: {}, description: 'What is to run.' }),
    status: s.of(3, statefulSetStatus, { default: {}, description: 'What runs.' }),
  },
  { description: `Keeps pods that have lasting names, numbers and storage of their own. ${caution}.` },
)
export type StatefulSet = TypeOf<typeof statefulSetSchema>

function statefulSetDefaults(spec: StatefulSetSpec): StatefulSetSpec {
  const { updateStrategy, persistentVolumeClaimRetentionPolicy: kept, volumeClaimTemplates } = spec
  const { rollingUpdate } = updateStrategy
  return {
    ...spec,
    ...(spec.template && { template: templateDefaults(spec.template) }),
    updateStrategy:
      updateStrategy.type === 'RollingUpdate'
        ? { ...updateStrategy, rollingUpdate: { ...rollingUpdate, partition: rollingUpdate?.partition ?? 0 } }
        : updateStrategy,
    persistentVolumeClaimRetentionPolicy: {
      whenDeleted: kept?.whenDeleted || 'Retain',
      whenScaled: kept?.whenScaled || 'Retain',
    },
    ...(volumeClaimTemplates && { volumeClaimTemplates: volumeClaimTemplates.map(claimDefaults) }),
  }
}

type Claim = NonNullable<StatefulSetSpec['volumeClaimTemplates']>[number]

function claimDefaults(claim: Claim): Claim {
  return {
    ...claim,
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    spec: { ...claim.spec, volumeMode: claim.spec?.volumeMode ?? 'Filesystem' },
    status: { ...claim.status, phase: claim.status?.phase ?? 'Pending' },
  }
}

const changeable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const

function validateChange(spec: StatefulSetSpec, old: StatefulSetSpec): readonly FieldError[] {
  const rest = (from: StatefulSetSpec) =>
    Object.fromEntries(Object.entries(from).filter(([key]) => !(changeable as readonly string[]).includes(key)))
  if (equalJson(rest(spec), rest(old))) return []
  const names = changeable.map(name => `'${name}'`)
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  return [forbidden('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)]
}

export const statefulSet = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'StatefulSet',
  plural: 'statefulsets',
  shortNames: ['sts'],
  categories: ['all'],
  scope: 'Namespaced',
  caution,
  stored: true,
  subresources: ['status', 'scale'],
  schema: statefulSetSchema,
  columns: () => [
    { name: 'Ready', type: 'string', cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas}` },
    ageColumn,
    ...containerColumns<StatefulSet>(({ spec }) => spec.template?.spec),
  ],
  defaults: object => ({ ...object, spec: statefulSetDefaults(object.spec) }),
  validateStatus: ({ status }) =>
    validateReplicas(status, ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas']),
  validate: ({ spec }, old) => [
    ...validateKeeper(spec, undefined, 'statefulset'),
    ...validateCounts({
      'spec.replicas': spec.replicas,
      'spec.minReadySeconds': spec.minReadySeconds,
      'spec.revisionHistoryLimit': spec.revisionHistoryLimit,
      'spec.ordinals.start': spec.ordinals?.start,
      'spec.updateStrategy.rollingUpdate.partition': spec.updateStrategy.rollingUpdate?.partition,
    }),
    ...(old ? validateChange(spec, old.spec) : []),
  ],
})
