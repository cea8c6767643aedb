// Deployment (apps/v1): equal pods that are replaced step by step when their template changes.

import { containerColumns, selectorText } from '../cells.ts'
import { forbidden, invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { isNone, validateCounts, validateKeeper, validatePart, validateReplicas } from '../workload.ts'

export const rollingUpdateDeployment = s.object(
  'io.k8s.api.apps.v1.RollingUpdateDeployment',
  {
    maxUnavailable: s.intOrString(
      1,
      'Pods that may be missing during the update: a count, or a percentage of replicas, rounded down. 25% by default.',
    ),
    maxSurge: s.intOrString(
      2,
      'Pods that may exist beyond replicas during the update: a count, or a percentage of replicas, rounded up. 25% by default.',
    ),
  },
  {
    description:
      'How far a rolling update may stray from the wanted number of pods; one of the two must be above zero.',
  },
)
export type RollingUpdateDeployment = TypeOf<typeof rollingUpdateDeployment>
export const deploymentStrategy = s.object(
  'io.k8s.api.apps.v1.DeploymentStrategy',
  {
    type: s.oneOf(1, ['RollingUpdate', 'Recreate'], {
      default: 'RollingUpdate',
      description:
        'RollingUpdate replaces a few pods at a time; Recreate waits until the last old pod has ended before it makes the first new one.',
    }),
    rollingUpdate: s.of(2, rollingUpdateDeployment, 'Bounds of a rolling update. Refused with Recreate.'),
  },
  { description: 'How the pods of an old template give way to those of a new one.' },
)
export type DeploymentStrategy = TypeOf<typeof deploymentStrategy>
export const deploymentSpec = s.object(
  'io.k8s.api.apps.v1.DeploymentSpec',
  {
    replicas: s.int32(1, {
      pointer: true,
      default: 1,
      description: 'Number of pods wanted; 1 by default. With 0 the Deployment stays and its pods go.',
    }),
    selector: s.of(2, labelSelector, {
      required: true,
      description: 'Labels by which it knows its own; the template must carry them. Immutable, and not empty.',
    }),
    template: s.of(3, podTemplateSpec, {
      required: true,
      description: 'The pods to run. Any change of it starts a rollout; their restartPolicy must be Always.',
    }),
    strategy: s.of(4, deploymentStrategy, {
      default: {},
      retainKeys: true,
      description: 'How pods are replaced when the template changes.',
    }),
    minReadySeconds: s.int32(5, 'Seconds that a pod must have been ready to count as available; 0 counts it at once.'),
    revisionHistoryLimit: s.int32(6, {
      pointer: true,
      default: 10,
      description: 'Number of emptied ReplicaSets that are kept to go back to; 10 by default, 0 keeps none.',
    }),
    paused: s.boolean(
      7,
      'True holds rollouts: a changed template waits until it is false again. Changes of replicas are still followed.',
    ),
    progressDeadlineSeconds: s.int32(9, {
      pointer: true,
      default: 600,
      description:
        'Seconds without any progress after which a rollout is reported as stuck, and not undone. 600 by default; must exceed minReadySeconds.',
    }),
  },
  { description: 'What a Deployment keeps running, and how it moves on to a new template.' },
)
export type DeploymentSpec = TypeOf<typeof deploymentSpec>
export const deploymentCondition = s.object(
  'io.k8s.api.apps.v1.DeploymentCondition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], {
      required: true,
      description: 'Whether it holds. Progressing is Unknown while the Deployment is paused.',
    }),
    type: s.string(1, {
      required: true,
      description:
        'Available: enough pods work. Progressing: the rollout moves, or is done. ReplicaFailure: pods cannot be made or removed.',
    }),
    reason: s.string(4, 'Why, in one word for programs, as in ProgressDeadlineExceeded.'),
    message: s.string(5, 'Why, in a sentence for people.'),
    lastUpdateTime: s.time(6, 'When the condition was last renewed; the progress deadline counts from here.'),
    lastTransitionTime: s.time(7, 'When status last took another value.'),
  },
  { description: 'One aspect of how a Deployment stands.' },
)
export type DeploymentCondition = TypeOf<typeof deploymentCondition>
export const deploymentStatus = s.object(
  'io.k8s.api.apps.v1.DeploymentStatus',
  {
    observedGeneration: s.int64(
      1,
      'The metadata.generation that the counts belong to; a lower one means that the last change is not seen yet.',
    ),
    replicas: s.int32(2, 'Pods of the present and of older templates together.'),
    updatedReplicas: s.int32(3, 'Pods of the present template.'),
    availableReplicas: s.int32(4, 'Pods that have been ready for minReadySeconds.'),
    unavailableReplicas: s.int32(5, 'Pods that its ReplicaSets are to have, and that are not available.'),
    conditions: s.list(6, deploymentCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'How the rollout goes: at most one each of Available, Progressing and ReplicaFailure.',
    }),
    readyReplicas: s.int32(7, 'Pods whose condition Ready is True.'),
    collisionCount: s.int32(8, {
      pointer: true,
      description: 'How often the name for a new ReplicaSet was already taken; counted into the hash of the next one.',
    }),
    terminatingReplicas: s.int32(9, { pointer: true, description: 'Pods that are being deleted. Not counted here.' }),
  },
  {
    description:
      'Counts over all ReplicaSets of a Deployment, which its controller writes; those that are zero are left out.',
  },
)
export type DeploymentStatus = TypeOf<typeof deploymentStatus>
export const deploymentSchema = s.object(
  'io.k8s.api.apps.v1.Deployment',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace, labels and the like. Annotations are passed on to the ReplicaSets.',
    }),
    spec: s.of(2, deploymentSpec, { default: {}, description: 'What is to run.' }),
    status: s.of(3, deploymentStatus, { default: {}, description: 'What runs, as the controller saw it last.' }),
  },
  { description: 'Keeps a number of equal pods running, and replaces them step by step when their template changes.' },
)
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
