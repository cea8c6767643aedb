// Which nodes a pod may or should go to: by their labels, their taints, and the pods that are there.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/

import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector } from './meta.ts'

export const nodeSelectorRequirement = s.object(
  'io.k8s.api.core.v1.NodeSelectorRequirement',
  {
    key: s.string(1, { required: true, description: 'Label of nodes, in matchFields metadata.name.' }),
    operator: s.oneOf(2, ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'], {
      required: true,
      description:
        'How the value is compared. NotIn and DoesNotExist also take nodes without it; Gt and Lt are of numbers.',
    }),
    values: s.list(3, scalars.string, 'At least one with In and NotIn, one whole number with Gt and Lt, else none.'),
  },
  { description: 'What a label or the name of a node must be.' },
)
export type NodeSelectorRequirement = TypeOf<typeof nodeSelectorRequirement>
export const nodeSelectorTerm = s.object(
  'io.k8s.api.core.v1.NodeSelectorTerm',
  {
    matchExpressions: s.list(1, nodeSelectorRequirement, 'Requirements on labels of the node.'),
    matchFields: s.list(
      2,
      nodeSelectorRequirement,
      'Requirements on fields of the node; metadata.name is the only one.',
    ),
  },
  {
    atomic: true,
    description: 'Nodes that meet all requirements of both lists; without any requirement it is no node.',
  },
)
export type NodeSelectorTerm = TypeOf<typeof nodeSelectorTerm>
export const preferredSchedulingTerm = s.object(
  'io.k8s.api.core.v1.PreferredSchedulingTerm',
  {
    weight: s.int32(1, { required: true, description: '1 to 100: what the term adds to the score of a node.' }),
    preference: s.of(2, nodeSelectorTerm, { required: true, description: 'Which nodes get the weight.' }),
  },
  { description: 'A wish for some nodes, by how much it counts.' },
)
export type PreferredSchedulingTerm = TypeOf<typeof preferredSchedulingTerm>
export const nodeSelector = s.object(
  'io.k8s.api.core.v1.NodeSelector',
  {
    nodeSelectorTerms: s.list(1, nodeSelectorTerm, {
      required: true,
      description: 'At least one; a node that fits any of them will do.',
    }),
  },
  { atomic: true, description: 'A set of nodes.' },
)
export type NodeSelector = TypeOf<typeof nodeSelector>
export const nodeAffinity = s.object(
  'io.k8s.api.core.v1.NodeAffinity',
  {
    requiredDuringSchedulingIgnoredDuringExecution: s.of(
      1,
      nodeSelector,
      'No other node gets the pod. One whose labels change later keeps it.',
    ),
    preferredDuringSchedulingIgnoredDuringExecution: s.list(
      2,
      preferredSchedulingTerm,
      'Of the nodes that can take the pod, those are preferred whose weights sum up highest.',
    ),
  },
  { description: 'Which nodes a pod needs or likes, by labels and names.' },
)
export type NodeAffinity = TypeOf<typeof nodeAffinity>
export const podAffinityTerm = s.object(
  'io.k8s.api.core.v1.PodAffinityTerm',
  {
    labelSelector: s.of(1, labelSelector, 'The pods meant, by their labels. Absent: none; {}: all.'),
    namespaces: s.list(
      2,
      scalars.string,
      'Where these pods are, besides namespaceSelector. Without either: the namespace of the pod itself.',
    ),
    topologyKey: s.string(3, {
      required: true,
      description:
        'Nodes with the same value of this label are one place: kubernetes.io/hostname, topology.kubernetes.io/zone.',
    }),
    namespaceSelector: s.of(4, labelSelector, 'Namespaces of these pods by their labels; {}: all. Adds to namespaces.'),
    matchLabelKeys: s.list(
      5,
      scalars.string,
      'Labels that these pods must have like the pod itself: pod-template-hash means its own revision alone.',
    ),
    mismatchLabelKeys: s.list(6, scalars.string, 'Labels whose value must differ from that of the pod itself: tenant.'),
  },
  { description: 'Other pods, and what counts as the same place as theirs.' },
)
export type PodAffinityTerm = TypeOf<typeof podAffinityTerm>
export const weightedPodAffinityTerm = s.object(
  'io.k8s.api.core.v1.WeightedPodAffinityTerm',
  {
    weight: s.int32(1, {
      required: true,
      description: '1 to 100: what each such pod counts in the score of its place.',
    }),
    podAffinityTerm: s.of(2, podAffinityTerm, {
      required: true,
      description: 'Which pods, and what is the same place.',
    }),
  },
  { description: 'A wish to be near other pods, or far from them, by how much it counts.' },
)
export type WeightedPodAffinityTerm = TypeOf<typeof weightedPodAffinityTerm>
export const podAffinity = s.object(
  'io.k8s.api.core.v1.PodAffinity',
  {
    requiredDuringSchedulingIgnoredDuringExecution: s.list(
      1,
      podAffinityTerm,
      'The pod only goes where it is near such pods, for every term. The first of a group that means itself is free.',
    ),
    preferredDuringSchedulingIgnoredDuringExecution: s.list(
      2,
      weightedPodAffinityTerm,
      'Of the nodes that can take the pod, those near such pods are preferred.',
    ),
  },
  { description: 'Which pods a pod wants to be near.' },
)
export type PodAffinity = TypeOf<typeof podAffinity>
export const podAntiAffinity = s.object(
  'io.k8s.api.core.v1.PodAntiAffinity',
  {
    requiredDuringSchedulingIgnoredDuringExecution: s.list(
      1,
      podAffinityTerm,
      'The pod never goes where such pods are, for any term; nor do such pods come to it later.',
    ),
    preferredDuringSchedulingIgnoredDuringExecution: s.list(
      2,
      weightedPodAffinityTerm,
      'Of the nodes that can take the pod, those far from such pods are preferred.',
    ),
  },
  { description: 'Which pods a pod wants to be far from, often those of its own kind.' },
)
export type PodAntiAffinity = TypeOf<typeof podAntiAffinity>
export const affinity = s.object(
  'io.k8s.api.core.v1.Affinity',
  {
    nodeAffinity: s.of(1, nodeAffinity, 'Nodes it needs or likes; a richer nodeSelector.'),
    podAffinity: s.of(2, podAffinity, 'Pods it wants in the same zone or on the same node.'),
    podAntiAffinity: s.of(3, podAntiAffinity, 'Pods it wants in other zones or on other nodes.'),
  },
  { description: 'What draws a pod to nodes and pods, or away from them, when it is scheduled.' },
)
export type Affinity = TypeOf<typeof affinity>
export const toleration = s.object(
  'io.k8s.api.core.v1.Toleration',
  {
    key: s.string(1, 'Key of the taint. Empty, with operator Exists: every taint.'),
    operator: s.oneOf(2, ['Exists', 'Equal'], { description: 'Exists: whatever the value is. Default: Equal.' }),
    value: s.string(3, 'Value of the taint for Equal; empty with Exists.'),
    effect: s.oneOf(4, ['NoSchedule', 'PreferNoSchedule', 'NoExecute'], {
      description: 'Effect of the taint. Default: all.',
    }),
    tolerationSeconds: s.int64(5, {
      pointer: true,
      description:
        'How long the pod stays once such a taint is there, for NoExecute; 0 or less: not at all. Default: for ever.',
    }),
  },
  { description: 'Taints that a pod puts up with.' },
)
export type Toleration = TypeOf<typeof toleration>
export const taint = s.object(
  'io.k8s.api.core.v1.Taint',
  {
    key: s.string(1, { required: true, description: 'What tolerations name: example.com/gpu-only.' }),
    value: s.string(2, 'Told apart by tolerations with operator Equal. Default: empty.'),
    effect: s.oneOf(3, ['NoSchedule', 'PreferNoSchedule', 'NoExecute'], {
      required: true,
      description: 'NoSchedule: no new pods; PreferNoSchedule: rather not; NoExecute: those that run have to go too.',
    }),
    timeAdded: s.time(4, 'Since when it is there, from which tolerationSeconds count.'),
  },
  { description: 'Keeps pods without a fitting toleration away from a node.' },
)
export type Taint = TypeOf<typeof taint>
export const topologySpreadConstraint = s.object(
  'io.k8s.api.core.v1.TopologySpreadConstraint',
  {
    maxSkew: s.int32(1, {
      required: true,
      description: 'How many pods more than the emptiest place a place may have; at least 1.',
    }),
    topologyKey: s.string(2, {
      required: true,
      description: 'Nodes with the same value of this label are one place; those without it do not count.',
    }),
    whenUnsatisfiable: s.oneOf(3, ['DoNotSchedule', 'ScheduleAnyway'], {
      required: true,
      description: 'Where it cannot be kept, the pod waits, or goes where it is kept best.',
    }),
    labelSelector: s.of(4, labelSelector, 'The pods that are counted, of the same namespace. Absent: none.'),
    minDomains: s.int32(5, {
      pointer: true,
      description: 'With fewer places than this, the emptiest counts as holding none; for DoNotSchedule. Default: 1.',
    }),
    nodeAffinityPolicy: s.oneOf(6, ['Honor', 'Ignore'], {
      pointer: true,
      description: 'Ignore: also counts nodes that nodeSelector and nodeAffinity rule out. Default: Honor.',
    }),
    nodeTaintsPolicy: s.oneOf(7, ['Honor', 'Ignore'], {
      pointer: true,
      description: 'Honor: leaves out nodes with taints that the pod does not tolerate. Default: Ignore.',
    }),
    matchLabelKeys: s.list(
      8,
      scalars.string,
      'Labels that counted pods must have like the pod itself: pod-template-hash means its own revision alone.',
    ),
  },
  { description: 'How evenly pods are laid over places, such as zones or nodes.' },
)
export type TopologySpreadConstraint = TypeOf<typeof topologySpreadConstraint>
