// Deployment (apps/v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'

export const rollingUpdateDeployment = s.object('io.k8s.api.apps.v1.RollingUpdateDeployment', {
  maxUnavailable: s.intOrString(1),
  maxSurge: s.intOrString(2),
})
export type RollingUpdateDeployment = TypeOf<typeof rollingUpdateDeployment>
export const deploymentStrategy = s.object('io.k8s.api.apps.v1.DeploymentStrategy', {
  type: s.oneOf(1, ['RollingUpdate', 'Recreate'], { default: 'RollingUpdate' }),
  rollingUpdate: s.of(2, rollingUpdateDeployment),
})
export type DeploymentStrategy = TypeOf<typeof deploymentStrategy>
export const deploymentSpec = s.object('io.k8s.api.apps.v1.DeploymentSpec', {
  replicas: s.int32(1, { default: 1 }),
  selector: s.of(2, labelSelector, { required: true }),
  template: s.of(3, podTemplateSpec, { required: true }),
  strategy: s.of(4, deploymentStrategy, { default: {}, retainKeys: true }),
  minReadySeconds: s.int32(5),
  revisionHistoryLimit: s.int32(6, { default: 10 }),
  paused: s.boolean(7),
  progressDeadlineSeconds: s.int32(9, { default: 600 }),
})
export type DeploymentSpec = TypeOf<typeof deploymentSpec>
export const deploymentCondition = s.object('io.k8s.api.apps.v1.DeploymentCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  reason: s.string(4),
  message: s.string(5),
  lastUpdateTime: s.time(6),
  lastTransitionTime: s.time(7),
})
export type DeploymentCondition = TypeOf<typeof deploymentCondition>
export const deploymentStatus = s.object('io.k8s.api.apps.v1.DeploymentStatus', {
  observedGeneration: s.int64(1),
  replicas: s.int32(2),
  updatedReplicas: s.int32(3),
  availableReplicas: s.int32(4),
  unavailableReplicas: s.int32(5),
  conditions: s.list(6, deploymentCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
  readyReplicas: s.int32(7),
  collisionCount: s.int32(8),
  terminatingReplicas: s.int32(9),
})
export type DeploymentStatus = TypeOf<typeof deploymentStatus>
export const deploymentSchema = s.object('io.k8s.api.apps.v1.Deployment', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, deploymentSpec, { default: {} }),
  status: s.of(3, deploymentStatus, { default: {} }),
})
export type Deployment = TypeOf<typeof deploymentSchema>

export const deployment = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status', 'scale'],
  schema: deploymentSchema,
})
