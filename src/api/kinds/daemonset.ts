// DaemonSet (apps/v1).

import { containerColumns, labelsText, selectorText } from '../cells.ts'
import { invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { isNone, validateCounts, validateKeeper, validatePart, validateStatusCounts } from '../workload.ts'

export const rollingUpdateDaemonSet = s.object('io.k8s.api.apps.v1.RollingUpdateDaemonSet', {
  maxUnavailable: s.intOrString(1),
  maxSurge: s.intOrString(2),
})
export type RollingUpdateDaemonSet = TypeOf<typeof rollingUpdateDaemonSet>
export const daemonSetUpdateStrategy = s.object('io.k8s.api.apps.v1.DaemonSetUpdateStrategy', {
  type: s.oneOf(1, ['RollingUpdate', 'OnDelete'], { default: 'RollingUpdate' }),
  rollingUpdate: s.of(2, rollingUpdateDaemonSet),
})
export type DaemonSetUpdateStrategy = TypeOf<typeof daemonSetUpdateStrategy>
export const daemonSetSpec = s.object('io.k8s.api.apps.v1.DaemonSetSpec', {
  selector: s.of(1, labelSelector, { required: true }),
  template: s.of(2, podTemplateSpec, { required: true }),
  updateStrategy: s.of(3, daemonSetUpdateStrategy, { default: {} }),
  minReadySeconds: s.int32(4),
  revisionHistoryLimit: s.int32(6, { pointer: true, default: 10 }),
})
export type DaemonSetSpec = TypeOf<typeof daemonSetSpec>
export const daemonSetCondition = s.object('io.k8s.api.apps.v1.DaemonSetCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  lastTransitionTime: s.time(3),
  reason: s.string(4),
  message: s.string(5),
})
export type DaemonSetCondition = TypeOf<typeof daemonSetCondition>
export const daemonSetStatus = s.object('io.k8s.api.apps.v1.DaemonSetStatus', {
  currentNumberScheduled: s.int32(1, { required: true }),
  numberMisscheduled: s.int32(2, { required: true }),
  desiredNumberScheduled: s.int32(3, { required: true }),
  numberReady: s.int32(4, { required: true }),
  observedGeneration: s.int64(5),
  updatedNumberScheduled: s.int32(6),
  numberAvailable: s.int32(7),
  numberUnavailable: s.int32(8),
  collisionCount: s.int32(9, { pointer: true }),
  conditions: s.list(10, daemonSetCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
})
export type DaemonSetStatus = TypeOf<typeof daemonSetStatus>
export const daemonSetSchema = s.object('io.k8s.api.apps.v1.DaemonSet', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, daemonSetSpec, { default: {} }),
  status: s.of(3, daemonSetStatus, { default: {} }),
})
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
