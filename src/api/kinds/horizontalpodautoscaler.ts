// HorizontalPodAutoscaler (autoscaling/v2).
import { validateAutoscaler } from '../autoscalers.ts'
import { ageColumn } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { validateCounts } from '../workload.ts'

export const hPAScalingPolicy = s.object('io.k8s.api.autoscaling.v2.HPAScalingPolicy', {
  type: s.string(1, { required: true }),
  value: s.int32(2, { required: true }),
  periodSeconds: s.int32(3, { required: true }),
})
export type HPAScalingPolicy = TypeOf<typeof hPAScalingPolicy>
export const hPAScalingRules = s.object('io.k8s.api.autoscaling.v2.HPAScalingRules', {
  selectPolicy: s.string(1, { pointer: true }),
  policies: s.list(2, hPAScalingPolicy),
  stabilizationWindowSeconds: s.int32(3, { pointer: true }),
  tolerance: s.quantity(4),
})
export type HPAScalingRules = TypeOf<typeof hPAScalingRules>
export const horizontalPodAutoscalerBehavior = s.object('io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior', {
  scaleUp: s.of(1, hPAScalingRules),
  scaleDown: s.of(2, hPAScalingRules),
})
export type HorizontalPodAutoscalerBehavior = TypeOf<typeof horizontalPodAutoscalerBehavior>
export const metricTarget = s.object('io.k8s.api.autoscaling.v2.MetricTarget', {
  type: s.string(1, { required: true }),
  value: s.quantity(2),
  averageValue: s.quantity(3),
  averageUtilization: s.int32(4, { pointer: true }),
})
export type MetricTarget = TypeOf<typeof metricTarget>
export const containerResourceMetricSource = s.object('io.k8s.api.autoscaling.v2.ContainerResourceMetricSource', {
  name: s.string(1, { required: true }),
  target: s.of(2, metricTarget, { required: true }),
  container: s.string(3, { required: true }),
})
export type ContainerResourceMetricSource = TypeOf<typeof containerResourceMetricSource>
export const metricIdentifier = s.object('io.k8s.api.autoscaling.v2.MetricIdentifier', {
  name: s.string(1, { required: true }),
  selector: s.of(2, labelSelector),
})
export type MetricIdentifier = TypeOf<typeof metricIdentifier>
export const externalMetricSource = s.object('io.k8s.api.autoscaling.v2.ExternalMetricSource', {
  metric: s.of(1, metricIdentifier, { required: true }),
  target: s.of(2, metricTarget, { required: true }),
})
export type ExternalMetricSource = TypeOf<typeof externalMetricSource>
export const crossVersionObjectReference = s.object('io.k8s.api.autoscaling.v2.CrossVersionObjectReference', {
  apiVersion: s.string(3),
  kind: s.string(1, { required: true }),
  name: s.string(2, { required: true }),
})
export type CrossVersionObjectReference = TypeOf<typeof crossVersionObjectReference>
export const objectMetricSource = s.object('io.k8s.api.autoscaling.v2.ObjectMetricSource', {
  describedObject: s.of(1, crossVersionObjectReference, { required: true }),
  target: s.of(2, metricTarget, { required: true }),
  metric: s.of(3, metricIdentifier, { required: true }),
})
export type ObjectMetricSource = TypeOf<typeof objectMetricSource>
export const podsMetricSource = s.object('io.k8s.api.autoscaling.v2.PodsMetricSource', {
  metric: s.of(1, metricIdentifier, { required: true }),
  target: s.of(2, metricTarget, { required: true }),
})
export type PodsMetricSource = TypeOf<typeof podsMetricSource>
export const resourceMetricSource = s.object('io.k8s.api.autoscaling.v2.ResourceMetricSource', {
  name: s.string(1, { required: true }),
  target: s.of(2, metricTarget, { required: true }),
})
export type ResourceMetricSource = TypeOf<typeof resourceMetricSource>
export const metricSpec = s.object('io.k8s.api.autoscaling.v2.MetricSpec', {
  type: s.string(1, { required: true }),
  object: s.of(2, objectMetricSource),
  pods: s.of(3, podsMetricSource),
  resource: s.of(4, resourceMetricSource),
  external: s.of(5, externalMetricSource),
  containerResource: s.of(7, containerResourceMetricSource),
})
export type MetricSpec = TypeOf<typeof metricSpec>
export const horizontalPodAutoscalerSpec = s.object('io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec', {
  scaleTargetRef: s.of(1, crossVersionObjectReference, { required: true }),
  minReplicas: s.int32(2, { pointer: true, default: 1 }),
  maxReplicas: s.int32(3, { required: true }),
  metrics: s.list(4, metricSpec),
  behavior: s.of(5, horizontalPodAutoscalerBehavior),
})
export type HorizontalPodAutoscalerSpec = TypeOf<typeof horizontalPodAutoscalerSpec>
export const horizontalPodAutoscalerCondition = s.object('io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  lastTransitionTime: s.time(3),
  reason: s.string(4),
  message: s.string(5),
})
export type HorizontalPodAutoscalerCondition = TypeOf<typeof horizontalPodAutoscalerCondition>
export const metricValueStatus = s.object('io.k8s.api.autoscaling.v2.MetricValueStatus', {
  value: s.quantity(1),
  averageValue: s.quantity(2),
  averageUtilization: s.int32(3, { pointer: true }),
})
export type MetricValueStatus = TypeOf<typeof metricValueStatus>
export const containerResourceMetricStatus = s.object('io.k8s.api.autoscaling.v2.ContainerResourceMetricStatus', {
  name: s.string(1, { required: true }),
  current: s.of(2, metricValueStatus, { required: true }),
  container: s.string(3, { required: true }),
})
export type ContainerResourceMetricStatus = TypeOf<typeof containerResourceMetricStatus>
export const externalMetricStatus = s.object('io.k8s.api.autoscaling.v2.ExternalMetricStatus', {
  metric: s.of(1, metricIdentifier, { required: true }),
  current: s.of(2, metricValueStatus, { required: true }),
})
export type ExternalMetricStatus = TypeOf<typeof externalMetricStatus>
export const objectMetricStatus = s.object('io.k8s.api.autoscaling.v2.ObjectMetricStatus', {
  metric: s.of(1, metricIdentifier, { required: true }),
  current: s.of(2, metricValueStatus, { required: true }),
  describedObject: s.of(3, crossVersionObjectReference, { required: true }),
})
export type ObjectMetricStatus = TypeOf<typeof objectMetricStatus>
export const podsMetricStatus = s.object('io.k8s.api.autoscaling.v2.PodsMetricStatus', {
  metric: s.of(1, metricIdentifier, { required: true }),
  current: s.of(2, metricValueStatus, { required: true }),
})
export type PodsMetricStatus = TypeOf<typeof podsMetricStatus>
export const resourceMetricStatus = s.object('io.k8s.api.autoscaling.v2.ResourceMetricStatus', {
  name: s.string(1, { required: true }),
  current: s.of(2, metricValueStatus, { required: true }),
})
export type ResourceMetricStatus = TypeOf<typeof resourceMetricStatus>
export const metricStatus = s.object('io.k8s.api.autoscaling.v2.MetricStatus', {
  type: s.string(1, { required: true }),
  object: s.of(2, objectMetricStatus),
  pods: s.of(3, podsMetricStatus),
  resource: s.of(4, resourceMetricStatus),
  external: s.of(5, externalMetricStatus),
  containerResource: s.of(7, containerResourceMetricStatus),
})
export type MetricStatus = TypeOf<typeof metricStatus>
export const horizontalPodAutoscalerStatus = s.object('io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus', {
  observedGeneration: s.int64(1, { pointer: true }),
  lastScaleTime: s.time(2),
  currentReplicas: s.int32(3),
  desiredReplicas: s.int32(4, { required: true }),
  currentMetrics: s.list(5, metricStatus),
  conditions: s.list(6, horizontalPodAutoscalerCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
})
export type HorizontalPodAutoscalerStatus = TypeOf<typeof horizontalPodAutoscalerStatus>
export const horizontalPodAutoscalerSchema = s.object('io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, horizontalPodAutoscalerSpec, { default: {} }),
  status: s.of(3, horizontalPodAutoscalerStatus, { default: {} }),
})
export type HorizontalPodAutoscaler = TypeOf<typeof horizontalPodAutoscalerSchema>

type Target = { readonly value?: string; readonly averageValue?: string; readonly averageUtilization?: number }

/** One metric's target and what it is now, wherever its kind keeps them. */
function parts(
  metric: MetricSpec | MetricStatus | undefined,
): { readonly name: string; readonly value: Target } | undefined {
  const { resource, containerResource, pods, object, external } = metric ?? {}
  const found = resource ?? containerResource ?? pods ?? object ?? external
  if (!found) return undefined
  const name = resource?.name ?? containerResource?.name ?? ''
  return { name, value: 'target' in found ? found.target : (found as { current: Target }).current }
}

function amount(value: Target | undefined, none: string): string {
  if (value?.averageUtilization !== undefined) return `${value.averageUtilization}%`
  return value?.averageValue ?? value?.value ?? none
}

function targetsText({ spec, status }: HorizontalPodAutoscaler): string {
  const texts = (spec.metrics ?? []).map((metric, i) => {
    const [wanted, now] = [parts(metric), parts(status?.currentMetrics?.[i])]
    const name = wanted?.name ? `${wanted.name}: ` : ''
    return `${name}${amount(now?.value, '<unknown>')}/${amount(wanted?.value, '<auto>')}`
  })
  const shown = texts.slice(0, 2).join(', ')
  return texts.length > 2 ? `${shown} + ${texts.length - 2} more...` : shown || '<none>'
}

const percentDefault = 80

function autoscalerDefaults(spec: HorizontalPodAutoscalerSpec): HorizontalPodAutoscalerSpec {
  const { behavior } = spec
  return {
    ...spec,
    metrics: spec.metrics?.length
      ? spec.metrics
      : [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percentDefault } },
          },
        ],
    ...(behavior && {
      behavior: {
        scaleUp: {
          stabilizationWindowSeconds: 0,
          selectPolicy: 'Max',
          policies: [
            { type: 'Pods', value: 4, periodSeconds: 15 },
            { type: 'Percent', value: 100, periodSeconds: 15 },
          ],
          ...behavior.scaleUp,
        },
        scaleDown: {
          selectPolicy: 'Max',
          policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
          ...behavior.scaleDown,
        },
      },
    }),
  }
}

export const horizontalPodAutoscaler = defineKind({
  group: 'autoscaling',
  version: 'v2',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  shortNames: ['hpa'],
  categories: ['all'],
  scope: 'Namespaced',
  caution: 'HorizontalPodAutoscalers are stored, but no controller of this version acts on them',
  stored: true,
  subresources: ['status'],
  schema: horizontalPodAutoscalerSchema,
  generation: false,
  columns: () => [
    {
      name: 'Reference',
      type: 'string',
      cell: ({ spec }) => `${spec.scaleTargetRef?.kind}/${spec.scaleTargetRef?.name}`,
    },
    { name: 'Targets', type: 'string', cell: targetsText },
    { name: 'MinPods', type: 'string', cell: ({ spec }) => String(spec.minReplicas ?? '<unset>') },
    { name: 'MaxPods', type: 'string', cell: ({ spec }) => spec.maxReplicas },
    { name: 'Replicas', type: 'string', cell: ({ status }) => status?.currentReplicas ?? 0 },
    ageColumn,
  ],
  defaults: object => ({ ...object, spec: autoscalerDefaults(object.spec) }),
  validate: ({ spec }, old) => validateAutoscaler(spec, old?.spec),
  validateStatus: ({ status }) =>
    validateCounts({
      'status.currentReplicas': status.currentReplicas,
      'status.desiredReplicas': status.desiredReplicas,
    }),
})
