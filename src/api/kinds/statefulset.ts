// StatefulSet (apps/v1).
import { ageColumn, containerColumns } from '../cells.ts'
import { equalJson } from '../equal.ts'
import { forbidden } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { persistentVolumeClaim } from '../types/volumeclaim.ts'
import { validateCounts, validateKeeper, validateReplicas } from '../workload.ts'

export const statefulSetOrdinals = s.object('io.k8s.api.apps.v1.StatefulSetOrdinals', {
  start: s.int32(1),
})
export type StatefulSetOrdinals = TypeOf<typeof statefulSetOrdinals>
export const statefulSetPersistentVolumeClaimRetentionPolicy = s.object(
  'io.k8s.api.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy',
  {
    whenDeleted: s.string(1),
    whenScaled: s.string(2),
  },
)
export type StatefulSetPersistentVolumeClaimRetentionPolicy = TypeOf<
  typeof statefulSetPersistentVolumeClaimRetentionPolicy
>
export const rollingUpdateStatefulSetStrategy = s.object('io.k8s.api.apps.v1.RollingUpdateStatefulSetStrategy', {
  partition: s.int32(1, { pointer: true }),
  maxUnavailable: s.intOrString(2),
})
export type RollingUpdateStatefulSetStrategy = TypeOf<typeof rollingUpdateStatefulSetStrategy>
export const statefulSetUpdateStrategy = s.object('io.k8s.api.apps.v1.StatefulSetUpdateStrategy', {
  type: s.oneOf(1, ['RollingUpdate', 'OnDelete'], { default: 'RollingUpdate' }),
  rollingUpdate: s.of(2, rollingUpdateStatefulSetStrategy),
})
export type StatefulSetUpdateStrategy = TypeOf<typeof statefulSetUpdateStrategy>
export const statefulSetSpec = s.object('io.k8s.api.apps.v1.StatefulSetSpec', {
  replicas: s.int32(1, { pointer: true, default: 1 }),
  selector: s.of(2, labelSelector, { required: true }),
  template: s.of(3, podTemplateSpec, { required: true }),
  volumeClaimTemplates: s.list(4, persistentVolumeClaim),
  serviceName: s.string(5),
  podManagementPolicy: s.oneOf(6, ['OrderedReady', 'Parallel'], { default: 'OrderedReady' }),
  updateStrategy: s.of(7, statefulSetUpdateStrategy, { default: {} }),
  revisionHistoryLimit: s.int32(8, { pointer: true, default: 10 }),
  minReadySeconds: s.int32(9),
  persistentVolumeClaimRetentionPolicy: s.of(10, statefulSetPersistentVolumeClaimRetentionPolicy),
  ordinals: s.of(11, statefulSetOrdinals),
})
export type StatefulSetSpec = TypeOf<typeof statefulSetSpec>
export const statefulSetCondition = s.object('io.k8s.api.apps.v1.StatefulSetCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  lastTransitionTime: s.time(3),
  reason: s.string(4),
  message: s.string(5),
})
export type StatefulSetCondition = TypeOf<typeof statefulSetCondition>
export const statefulSetStatus = s.object('io.k8s.api.apps.v1.StatefulSetStatus', {
  observedGeneration: s.int64(1),
  replicas: s.int32(2, { required: true }),
  readyReplicas: s.int32(3),
  currentReplicas: s.int32(4),
  updatedReplicas: s.int32(5),
  currentRevision: s.string(6),
  updateRevision: s.string(7),
  collisionCount: s.int32(9, { pointer: true }),
  conditions: s.list(10, statefulSetCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
  availableReplicas: s.int32(11),
})
export type StatefulSetStatus = TypeOf<typeof statefulSetStatus>
export const statefulSetSchema = s.object('io.k8s.api.apps.v1.StatefulSet', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, statefulSetSpec, { default: {} }),
  status: s.of(3, statefulSetStatus, { default: {} }),
})
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
  caution: 'StatefulSets are stored, but no controller of this version makes their pods',
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
