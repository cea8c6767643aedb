// Deployment (apps/v1).

import { containerColumns, selectorText } from '../cells.ts'
import { forbidden, invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { isNone, validateCounts, validateKeeper, validatePart, validateReplicas } from '../workload.ts'

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
  replicas: s.int32(1, { pointer: true, default: 1 }),
  selector: s.of(2, labelSelector, { required: true }),
  template: s.of(3, podTemplateSpec, { required: true }),
  strategy: s.of(4, deploymentStrategy, { default: {}, retainKeys: true }),
  minReadySeconds: s.int32(5),
  revisionHistoryLimit: s.int32(6, { pointer: true, default: 10 }),
  paused: s.boolean(7),
  progressDeadlineSeconds: s.int32(9, { pointer: true, default: 600 }),
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
  collisionCount: s.int32(8, { pointer: true }),
  terminatingReplicas: s.int32(9, { pointer: true }),
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

function strategyDefaults(strategy: DeploymentStrategy): DeploymentStrategy {
  if (strategy.type !== 'RollingUpdate') return strategy
  const { maxUnavailable = '25%', maxSurge = '25%' } = strategy.rollingUpdate ?? {}
  return { ...strategy, rollingUpdate: { maxUnavailable, maxSurge } }
}

function validateDeployment(spec: DeploymentSpec): readonly FieldError[] {
  const { strategy, progressDeadlineSeconds, minReadySeconds = 0 } = spec
  const errors: FieldError[] = [
    ...validateCounts({
      'spec.replicas': spec.replicas,
      'spec.minReadySeconds': spec.minReadySeconds,
      'spec.revisionHistoryLimit': spec.revisionHistoryLimit,
      'spec.progressDeadlineSeconds': progressDeadlineSeconds,
    }),
  ]
  if (progressDeadlineSeconds <= minReadySeconds) {
    const why = 'must be greater than minReadySeconds'
    errors.push(invalidValue('spec.progressDeadlineSeconds', progressDeadlineSeconds, why))
  }
  const { rollingUpdate } = strategy
  const path = 'spec.strategy.rollingUpdate'
  if (strategy.type === 'Recreate') {
    const why = "may not be specified when strategy `type` is 'Recreate'"
    return rollingUpdate ? [...errors, forbidden(path, why)] : errors
  }
  errors.push(...validatePart(rollingUpdate?.maxUnavailable, `${path}.maxUnavailable`))
  errors.push(...validatePart(rollingUpdate?.maxSurge, `${path}.maxSurge`, false))
  if (isNone(rollingUpdate?.maxUnavailable) && isNone(rollingUpdate?.maxSurge)) {
    const why = 'may not be 0 when `maxSurge` is 0'
    errors.push(invalidValue(`${path}.maxUnavailable`, rollingUpdate?.maxUnavailable, why))
  }
  return errors
}

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
  columns: () => [
    { name: 'Ready', type: 'string', cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas}` },
    { name: 'Up-to-date', type: 'string', cell: ({ status }) => status?.updatedReplicas ?? 0 },
    { name: 'Available', type: 'string', cell: ({ status }) => status?.availableReplicas ?? 0 },
    ...containerColumns<Deployment>(({ spec }) => spec.template?.spec),
    { name: 'Selector', type: 'string', priority: 1, cell: ({ spec }) => selectorText(spec.selector) },
  ],
  defaults: object => ({
    ...object,
    spec: {
      ...object.spec,
      ...(object.spec.template && { template: templateDefaults(object.spec.template) }),
      strategy: strategyDefaults(object.spec.strategy),
    },
  }),
  validateStatus: ({ status }) => validateReplicas(status, ['updatedReplicas', 'readyReplicas', 'availableReplicas']),
  validate: (object, old) => [
    ...validateKeeper(object.spec, old?.spec, 'deployment'),
    ...validateDeployment(object.spec),
  ],
})
