// HorizontalPodAutoscaler (autoscaling/v1): the autoscalers of autoscaling/v2, as clients of the older version see them.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v1/
import { toNew, toOld, withDefaultTarget } from '../autoscaling.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import {
  autoscalerCaution,
  boundFields,
  type HorizontalPodAutoscaler as NewAutoscaler,
  horizontalPodAutoscaler as newKind,
} from './horizontalpodautoscaler.ts'

export const crossVersionObjectReference = s.object(
  'io.k8s.api.autoscaling.v1.CrossVersionObjectReference',
  {
    kind: s.string(1, { required: true, description: 'What the object is, as in Deployment.' }),
    name: s.string(2, { required: true, description: 'What the object is called.' }),
    apiVersion: s.string(3, 'Group and version of the object, as in apps/v1.'),
  },
  { atomic: true, description: 'Names an object in the namespace of the autoscaler.' },
)
export type CrossVersionObjectReference = TypeOf<typeof crossVersionObjectReference>
export const horizontalPodAutoscalerSpec = s.object(
  'io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec',
  {
    scaleTargetRef: s.of(1, crossVersionObjectReference, {
      required: true,
      description:
        'What is made larger and smaller: a Deployment, a StatefulSet or anything else with a scale subresource.',
    }),
    ...boundFields,
    targetCPUUtilizationPercentage: s.int32(4, {
      pointer: true,
      description:
        'Use of cpu that is wanted as a mean over the pods, in percent of what they request; 80 by default when no other metric is given.',
    }),
  },
  {
    description:
      'Whose pods are counted, and by how much cpu they use. Other metrics of autoscaling/v2 stand in annotations.',
  },
)
export type HorizontalPodAutoscalerSpec = TypeOf<typeof horizontalPodAutoscalerSpec>
export const horizontalPodAutoscalerStatus = s.object(
  'io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerStatus',
  {
    observedGeneration: s.int64(1, { pointer: true, description: 'The metadata.generation that the rest belongs to.' }),
    lastScaleTime: s.time(2, 'When the number of pods was last changed by it.'),
    currentReplicas: s.int32(3, {
      required: true,
      description: 'Pods that the target had when last looked at.',
    }),
    desiredReplicas: s.int32(4, { required: true, description: 'Pods that the autoscaler wanted last.' }),
    currentCPUUtilizationPercentage: s.int32(5, {
      pointer: true,
      description: 'Use of cpu that was found as a mean over the pods, in percent of what they request.',
    }),
  },
  { description: 'What an autoscaler has read, and done about it.' },
)
export type HorizontalPodAutoscalerStatus = TypeOf<typeof horizontalPodAutoscalerStatus>
export const horizontalPodAutoscalerSchema = s.object(
  'io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace, labels and the like. Annotations carry what only autoscaling/v2 can say.',
    }),
    spec: s.of(2, horizontalPodAutoscalerSpec, { default: {}, description: 'What is wanted.' }),
    status: s.of(3, horizontalPodAutoscalerStatus, { default: {}, description: 'What was read and done.' }),
  },
  { description: `The autoscalers of autoscaling/v2, in the older form that knows cpu alone. ${autoscalerCaution}.` },
)
export type HorizontalPodAutoscaler = TypeOf<typeof horizontalPodAutoscalerSchema>

export const oldHorizontalPodAutoscaler = defineKind({
  group: 'autoscaling',
  version: 'v1',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  shortNames: ['hpa'],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  storedAs: {
    kind: newKind,
    read: objects => objects.map(object => toOld(object as NewAutoscaler)),
    write: toNew,
  },
  caution: autoscalerCaution,
  subresources: ['status'],
  schema: horizontalPodAutoscalerSchema,
  generation: false,
  columns: () =>
    newKind.columns().map(({ cell, ...column }) => ({
      ...column,
      cell: (object: HorizontalPodAutoscaler, nowMs: number) => cell(toNew(object), nowMs),
    })),
  defaults: withDefaultTarget,
  // The rules are those of v2, for what the object is there.
  validate: (object, old) => newKind.validate(toNew(object), old && toNew(old), undefined),
  validateStatus: (object, old) => newKind.validateStatus(toNew(object), toNew(old)),
})
