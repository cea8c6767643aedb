// Where a pod may go: affinity, taints, tolerations, spread.

import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector } from './meta.ts'

export const nodeSelectorRequirement = s.object('io.k8s.api.core.v1.NodeSelectorRequirement', {
  key: s.string(1, { required: true }),
  operator: s.oneOf(2, ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'], { required: true }),
  values: s.list(3, scalars.string),
})
export type NodeSelectorRequirement = TypeOf<typeof nodeSelectorRequirement>
export const nodeSelectorTerm = s.object(
  'io.k8s.api.core.v1.NodeSelectorTerm',
  {
    matchExpressions: s.list(1, nodeSelectorRequirement),
    matchFields: s.list(2, nodeSelectorRequirement),
  },
  { atomic: true },
)
export type NodeSelectorTerm = TypeOf<typeof nodeSelectorTerm>
export const preferredSchedulingTerm = s.object('io.k8s.api.core.v1.PreferredSchedulingTerm', {
  weight: s.int32(1, { required: true }),
  preference: s.of(2, nodeSelectorTerm, { required: true }),
})
export type PreferredSchedulingTerm = TypeOf<typeof preferredSchedulingTerm>
export const nodeSelector = s.object(
  'io.k8s.api.core.v1.NodeSelector',
  {
    nodeSelectorTerms: s.list(1, nodeSelectorTerm, { required: true }),
  },
  { atomic: true },
)
export type NodeSelector = TypeOf<typeof nodeSelector>
export const nodeAffinity = s.object('io.k8s.api.core.v1.NodeAffinity', {
  requiredDuringSchedulingIgnoredDuringExecution: s.of(1, nodeSelector),
  preferredDuringSchedulingIgnoredDuringExecution: s.list(2, preferredSchedulingTerm),
})
export type NodeAffinity = TypeOf<typeof nodeAffinity>
export const podAffinityTerm = s.object('io.k8s.api.core.v1.PodAffinityTerm', {
  labelSelector: s.of(1, labelSelector),
  namespaces: s.list(2, scalars.string),
  topologyKey: s.string(3, { required: true }),
  namespaceSelector: s.of(4, labelSelector),
  matchLabelKeys: s.list(5, scalars.string),
  mismatchLabelKeys: s.list(6, scalars.string),
})
export type PodAffinityTerm = TypeOf<typeof podAffinityTerm>
export const weightedPodAffinityTerm = s.object('io.k8s.api.core.v1.WeightedPodAffinityTerm', {
  weight: s.int32(1, { required: true }),
  podAffinityTerm: s.of(2, podAffinityTerm, { required: true }),
})
export type WeightedPodAffinityTerm = TypeOf<typeof weightedPodAffinityTerm>
export const podAffinity = s.object('io.k8s.api.core.v1.PodAffinity', {
  requiredDuringSchedulingIgnoredDuringExecution: s.list(1, podAffinityTerm),
  preferredDuringSchedulingIgnoredDuringExecution: s.list(2, weightedPodAffinityTerm),
})
export type PodAffinity = TypeOf<typeof podAffinity>
export const podAntiAffinity = s.object('io.k8s.api.core.v1.PodAntiAffinity', {
  requiredDuringSchedulingIgnoredDuringExecution: s.list(1, podAffinityTerm),
  preferredDuringSchedulingIgnoredDuringExecution: s.list(2, weightedPodAffinityTerm),
})
export type PodAntiAffinity = TypeOf<typeof podAntiAffinity>
export const affinity = s.object('io.k8s.api.core.v1.Affinity', {
  nodeAffinity: s.of(1, nodeAffinity),
  podAffinity: s.of(2, podAffinity),
  podAntiAffinity: s.of(3, podAntiAffinity),
})
export type Affinity = TypeOf<typeof affinity>
export const toleration = s.object('io.k8s.api.core.v1.Toleration', {
  key: s.string(1),
  operator: s.oneOf(2, ['Exists', 'Equal']),
  value: s.string(3),
  effect: s.oneOf(4, ['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
  tolerationSeconds: s.int64(5, { pointer: true }),
})
export type Toleration = TypeOf<typeof toleration>
export const taint = s.object('io.k8s.api.core.v1.Taint', {
  key: s.string(1, { required: true }),
  value: s.string(2),
  effect: s.oneOf(3, ['NoSchedule', 'PreferNoSchedule', 'NoExecute'], { required: true }),
  timeAdded: s.time(4),
})
export type Taint = TypeOf<typeof taint>
export const topologySpreadConstraint = s.object('io.k8s.api.core.v1.TopologySpreadConstraint', {
  maxSkew: s.int32(1, { required: true }),
  topologyKey: s.string(2, { required: true }),
  whenUnsatisfiable: s.oneOf(3, ['DoNotSchedule', 'ScheduleAnyway'], { required: true }),
  labelSelector: s.of(4, labelSelector),
  minDomains: s.int32(5, { pointer: true }),
  nodeAffinityPolicy: s.oneOf(6, ['Honor', 'Ignore'], { pointer: true }),
  nodeTaintsPolicy: s.oneOf(7, ['Honor', 'Ignore'], { pointer: true }),
  matchLabelKeys: s.list(8, scalars.string),
})
export type TopologySpreadConstraint = TypeOf<typeof topologySpreadConstraint>
