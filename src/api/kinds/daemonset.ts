// DaemonSet (apps/v1): one pod on every node that fits.

import { containerColumns, labelsText, selectorText } from '../cells.ts'
import { invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { conditionFields } from '../types/condition.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { isNone, validateCounts, validateKeeper, validatePart, validateStatusCounts } from '../workload.ts'

export const rollingUpdateDaemonSet = s.object(
  'io.k8s.api.apps.v1.RollingUpdateDaemonSet',
  {
    maxUnavailable: s.intOrString(
      1,
      'Nodes that may be without a working pod at once: a count, or a percentage of the nodes wanted, rounded up. 1 by default.',
    ),
    maxSurge: s.intOrString(
      2,
      'Nodes that may run an old and a new pod side by side: a count, or a percentage, rounded up. 0 by default; else maxUnavailable must be 0.',
    ),
  },
  { description: 'Bounds of a rolling update; one of the two is zero, the other is not.' },
)
export type RollingUpdateDaemonSet = TypeOf<typeof rollingUpdateDaemonSet>
export const daemonSetUpdateStrategy = s.object(
  'io.k8s.api.apps.v1.DaemonSetUpdateStrategy',
  {
    type: s.oneOf(1, ['RollingUpdate', 'OnDelete'], {
      default: 'RollingUpdate',
      description: 'RollingUpdate replaces pods node after node; OnDelete replaces each when somebody has deleted it.',
    }),
    rollingUpdate: s.of(2, rollingUpdateDaemonSet, 'Bounds of a rolling update; OnDelete ignores them.'),
  },
  { description: 'How the pods of an old template give way to those of a new one.' },
)
export type DaemonSetUpdateStrategy = TypeOf<typeof daemonSetUpdateStrategy>
export const daemonSetSpec = s.object(
  'io.k8s.api.apps.v1.DaemonSetSpec',
  {
    selector: s.of(1, labelSelector, {
      required: true,
      description: 'Labels by which it knows its pods; the template must carry them. Immutable, and not empty.',
    }),
    template: s.of(2, podTemplateSpec, {
      required: true,
      description:
        'The pod of each node that its node selector, node affinity and tolerations admit. Its restartPolicy must be Always.',
    }),
    updateStrategy: s.of(3, daemonSetUpdateStrategy, {
      default: {},
      description: 'How pods are replaced when the template changes.',
    }),
    minReadySeconds: s.int32(
      4,
      'Seconds that a pod must have been ready to count as available; 0 counts it at once. An update waits for it.',
    ),
    revisionHistoryLimit: s.int32(6, {
      pointer: true,
      default: 10,
      description:
        'Number of older templates kept as ControllerRevisions to go back to; 10 by default. Those that pods still run stay anyway.',
    }),
  },
  { description: 'The pod that every fitting node gets, and how it is renewed.' },
)
export type DaemonSetSpec = TypeOf<typeof daemonSetSpec>
export const daemonSetCondition = s.object('io.k8s.api.apps.v1.DaemonSetCondition', conditionFields, {
  description: 'One aspect of how a DaemonSet stands.',
})
export type DaemonSetCondition = TypeOf<typeof daemonSetCondition>
export const daemonSetStatus = s.object(
  'io.k8s.api.apps.v1.DaemonSetStatus',
  {
    currentNumberScheduled: s.int32(1, {
      required: true,
      description: 'Nodes that are to have the pod, and have one.',
    }),
    numberMisscheduled: s.int32(2, { required: true, description: 'Nodes that have the pod, and are not to have it.' }),
    desiredNumberScheduled: s.int32(3, { required: true, description: 'Nodes that are to have the pod.' }),
    numberReady: s.int32(4, { required: true, description: 'Nodes that are to have the pod, and where it is ready.' }),
    observedGeneration: s.int64(
      5,
      'The metadata.generation that the counts belong to; a lower one means that the last change is not seen yet.',
    ),
    updatedNumberScheduled: s.int32(6, 'Nodes with a pod of the present template. Absent for none.'),
    numberAvailable: s.int32(7, 'Nodes whose pod has been ready for minReadySeconds. Absent for none.'),
    numberUnavailable: s.int32(8, 'Nodes that are to have the pod, and where none is available. Absent for none.'),
    collisionCount: s.int32(9, {
      pointer: true,
      description:
        'How often the name for a new ControllerRevision was already taken; counted into the hash of the next one.',
    }),
    conditions: s.list(10, daemonSetCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What others have noted here; the controller itself notes nothing.',
    }),
  },
  { description: 'On how many nodes the pod is, as the controller counts them.' },
)
export type DaemonSetStatus = TypeOf<typeof daemonSetStatus>
export const daemonSetSchema = s.object(
  'io.k8s.api.apps.v1.DaemonSet',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name, namespace, labels and the like.' }),
    spec: s.of(2, daemonSetSpec, { default: {}, description: 'What is to run on the nodes.' }),
    status: s.of(3, daemonSetStatus, { default: {}, description: 'Where it runs, as the controller saw it last.' }),
  },
  { description: 'Runs one pod on every node that fits, also on those that join later.' },
)
export type DaemonSet = TypeOf<typeof daemonSetSchema>

function strategyDefaults(strategy: DaemonSetUpdateStrategy): DaemonSetUpdateStrategy {
  if (strategy.type !== 'RollingUpdate') return strategy
  const { maxUnavailable = 1, maxSurge = 0 } = strategy.rollingUpdate ?? {}
  return { ...strategy, rollingUpdate: { maxUnavailable, maxSurge } }
}

function validateDaemonSet(spec: DaemonSetSpec): readonly FieldError[] {
  const errors: FieldError[] = [
    ...validateCounts({
      'spec.minReadySeconds': spec.minReadySeconds,
      'spec.revisionHistoryLimit': spec.revisionHistoryLimit,
    }),
  ]
  if (spec.updateStrategy.type !== 'RollingUpdate') return errors
  const { maxUnavailable, maxSurge } = spec.updateStrategy.rollingUpdate ?? {}
  const path = 'spec.updateStrategy.rollingUpdate'
  errors.push(...validatePart(maxUnavailable, `${path}.maxUnavailable`), ...validatePart(maxSurge, `${path}.maxSurge`))
  if (isNone(maxUnavailable) && isNone(maxSurge)) {
    errors.push(invalidValue(`${path}.maxUnavailable`, maxUnavailable, 'cannot be 0 when maxSurge is 0'))
  } else if (!isNone(maxUnavailable) && !isNone(maxSurge)) {
    errors.push(invalidValue(`${path}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'))
  }
  return errors
}

export const daemonSet = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  shortNames: ['ds'],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status'],
  schema: daemonSetSchema,
  columns: () => [
    { name: 'Desired', type: 'integer', cell: ({ status }) => status?.desiredNumberScheduled ?? 0 },
    { name: 'Current', type: 'integer', cell: ({ status }) => status?.currentNumberScheduled ?? 0 },
    { name: 'Ready', type: 'integer', cell: ({ status }) => status?.numberReady ?? 0 },
    { name: 'Up-to-date', type: 'integer', cell: ({ status }) => status?.updatedNumberScheduled ?? 0 },
    { name: 'Available', type: 'integer', cell: ({ status }) => status?.numberAvailable ?? 0 },
    { name: 'Node Selector', type: 'string', cell: ({ spec }) => labelsText(spec.template?.spec?.nodeSelector) },
    ...containerColumns<DaemonSet>(({ spec }) => spec.template?.spec),
    { name: 'Selector', type: 'string', priority: 1, cell: ({ spec }) => selectorText(spec.selector) },
  ],
  defaults: object => ({
    ...object,
    spec: {
      ...object.spec,
      ...(object.spec.template && { template: templateDefaults(object.spec.template) }),
      updateStrategy: strategyDefaults(object.spec.updateStrategy),
    },
  }),
  validateStatus: ({ status }) => validateStatusCounts(status),
  validate: ({ spec }, old) => [...validateKeeper(spec, old?.spec, 'daemonset'), ...validateDaemonSet(spec)],
})
