// HorizontalPodAutoscaler (autoscaling/v1): the autoscalers of autoscaling/v2, as clients of the older version see them.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v1/
import { toNew, toOld, withDefaultTarget } from '../autoscaling.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import {
  type HorizontalPodAutoscaler as NewAutoscaler,
  horizontalPodAutoscaler as newKind,
} from './horizontalpodautoscaler.ts'

export const crossVersionObjectReference = s.object(
  'io.k8s.api.autoscaling.v1.CrossVersionObjectReference',
  {
    kind: s.string(1, { required: true }),
    name: s.string(2, { required: true }),
    apiVersion: s.string(3),
  },
  { atomic: true },
)
export type CrossVersionObjectReference = TypeOf<typeof crossVersionObjectReference>
export const horizontalPodAutoscalerSpec = s.object('io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec', {
  scaleTargetRef: s.of(1, crossVersionObjectReference, { required: true }),
  minReplicas: s.int32(2, { pointer: true, default: 1 }),
  maxReplicas: s.int32(3, { required: true }),
  targetCPUUtilizationPercentage: s.int32(4, { pointer: true }),
})
export type HorizontalPodAutoscalerSpec = TypeOf<typeof horizontalPodAutoscalerSpec>
export const horizontalPodAutoscalerStatus = s.object('io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerStatus', {
  observedGeneration: s.int64(1, { pointer: true }),
  lastScaleTime: s.time(2),
  currentReplicas: s.int32(3, { required: true }),
  desiredReplicas: s.int32(4, { required: true }),
  currentCPUUtilizationPercentage: s.int32(5, { pointer: true }),
})
export type HorizontalPodAutoscalerStatus = TypeOf<typeof horizontalPodAutoscalerStatus>
export const horizontalPodAutoscalerSchema = s.object('io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, horizontalPodAutoscalerSpec, { default: {} }),
  status: s.of(3, horizontalPodAutoscalerStatus, { default: {} }),
})
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
  ...(newKind.caution !== undefined && { caution: newKind.caution }),
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
