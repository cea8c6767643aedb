// DaemonSet (apps/v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'

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
  revisionHistoryLimit: s.int32(6, { default: 10 }),
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
  collisionCount: s.int32(9),
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
})
