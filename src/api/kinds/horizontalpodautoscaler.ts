// HorizontalPodAutoscaler (autoscaling/v2): a number of pods that follows what is measured of them.
import { validateAutoscaler } from '../autoscalers.ts'
import { ageColumn } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { validateCounts } from '../workload.ts'

export const autoscalerCaution = 'HorizontalPodAutoscalers are stored, but no controller of this version acts on them'

export const hPAScalingPolicy = s.object(
  'io.k8s.api.autoscaling.v2.HPAScalingPolicy',
  {
    type: s.string(1, {
      required: true,
      description: 'What value counts: Pods, or Percent of the pods that there were when the time began.',
    }),
    value: s.int32(2, {
      required: true,
      description: 'Pods or percent, above 0, that may be added or removed within periodSeconds.',
    }),
    periodSeconds: s.int32(3, {
      required: true,
      description: 'The time that is looked back on, in seconds, 1 to 1800.',
    }),
  },
  { description: 'A bound on how much the number of pods may change within some time.' },
)
export type HPAScalingPolicy = TypeOf<typeof hPAScalingPolicy>
export const hPAScalingRules = s.object(
  'io.k8s.api.autoscaling.v2.HPAScalingRules',
  {
    selectPolicy: s.string(1, {
      pointer: true,
      description:
        'Which policy holds when they differ: Max (the default) that with the greatest change, Min that with the least. Disabled: no change at all.',
    }),
    policies: s.list(
      2,
      hPAScalingPolicy,
      'Bounds on the change, at least one. By default 100 percent in 15 seconds, and for scaleUp also 4 pods.',
    ),
    stabilizationWindowSeconds: s.int32(3, {
      pointer: true,
      description:
        'Seconds (0 to 3600) of wishes of the past, of which the most cautious is followed. By default 0 to grow, 300 to shrink.',
    }),
    tolerance: s.quantity(
      4,
      'How far a metric may be off its target before anything changes, as a part of it: 0.05 is five percent.',
    ),
  },
  { description: 'How fast, and how steadily, the number of pods may change in one direction.' },
)
export type HPAScalingRules = TypeOf<typeof hPAScalingRules>
export const horizontalPodAutoscalerBehavior = s.object(
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior',
  {
    scaleUp: s.of(
      1,
      hPAScalingRules,
      'Rules for growing; absent, to the double or by 4 pods in 15 seconds, whichever is more.',
    ),
    scaleDown: s.of(
      2,
      hPAScalingRules,
      'Rules for shrinking; absent, at once, though not below the most that was wanted within the last 300 seconds.',
    ),
  },
  { description: 'How fast the number of pods may change, in each direction.' },
)
export type HorizontalPodAutoscalerBehavior = TypeOf<typeof horizontalPodAutoscalerBehavior>
export const metricTarget = s.object(
  'io.k8s.api.autoscaling.v2.MetricTarget',
  {
    type: s.string(1, {
      required: true,
      description: 'Utilization, Value or AverageValue: which of the other fields is given.',
    }),
    value: s.quantity(2, 'Wanted for the metric as a whole; above 0.'),
    averageValue: s.quantity(3, 'Wanted as a mean over the pods; above 0.'),
    averageUtilization: s.int32(4, {
      pointer: true,
      description:
        'Wanted as a mean over the pods, in percent of what they request; 1 or more, and only for resources.',
    }),
  },
  { description: 'The value that the number of pods is to bring a metric to.' },
)
export type MetricTarget = TypeOf<typeof metricTarget>
export const containerResourceMetricSource = s.object(
  'io.k8s.api.autoscaling.v2.ContainerResourceMetricSource',
  {
    name: s.string(1, { required: true, description: 'The resource, as in cpu or memory.' }),
    target: s.of(2, metricTarget, {
      required: true,
      description: 'The use that is wanted: averageUtilization or averageValue, not both.',
    }),
    container: s.string(3, {
      required: true,
      description: 'The container of each pod whose use counts; the others are left out of it.',
    }),
  },
  { description: 'What one container of each pod uses of a resource.' },
)
export type ContainerResourceMetricSource = TypeOf<typeof containerResourceMetricSource>
export const metricIdentifier = s.object(
  'io.k8s.api.autoscaling.v2.MetricIdentifier',
  {
    name: s.string(1, { required: true, description: 'As the metric is called where metrics are served.' }),
    selector: s.of(2, labelSelector, 'Labels that narrow the metric down; absent, its name says enough.'),
  },
  { description: 'Names a metric that is measured outside of the pods.' },
)
export type MetricIdentifier = TypeOf<typeof metricIdentifier>
export const externalMetricSource = s.object(
  'io.k8s.api.autoscaling.v2.ExternalMetricSource',
  {
    metric: s.of(1, metricIdentifier, { required: true, description: 'Which metric.' }),
    target: s.of(2, metricTarget, {
      required: true,
      description: 'What is wanted of it: value, or averageValue for each pod; not both.',
    }),
  },
  { description: 'A metric of nothing in the cluster, such as the length of a queue elsewhere.' },
)
export type ExternalMetricSource = TypeOf<typeof externalMetricSource>
export const crossVersionObjectReference = s.object(
  'io.k8s.api.autoscaling.v2.CrossVersionObjectReference',
  {
    apiVersion: s.string(3, 'Group and version of the object, as in apps/v1.'),
    kind: s.string(1, { required: true, description: 'What the object is, as in Deployment.' }),
    name: s.string(2, { required: true, description: 'What the object is called.' }),
  },
  { description: 'Names an object in the namespace of the autoscaler.' },
)
export type CrossVersionObjectReference = TypeOf<typeof crossVersionObjectReference>
export const objectMetricSource = s.object(
  'io.k8s.api.autoscaling.v2.ObjectMetricSource',
  {
    describedObject: s.of(1, crossVersionObjectReference, {
      required: true,
      description: 'The object that is measured.',
    }),
    target: s.of(2, metricTarget, {
      required: true,
      description: 'What is wanted of it: value, or averageValue for each pod.',
    }),
    metric: s.of(3, metricIdentifier, { required: true, description: 'Which metric of the object.' }),
  },
  { description: 'A metric of one object, such as the requests that come in through an Ingress.' },
)
export type ObjectMetricSource = TypeOf<typeof objectMetricSource>
export const podsMetricSource = s.object(
  'io.k8s.api.autoscaling.v2.PodsMetricSource',
  {
    metric: s.of(1, metricIdentifier, { required: true, description: 'Which metric of the pods.' }),
    target: s.of(2, metricTarget, { required: true, description: 'What is wanted of it: averageValue.' }),
  },
  { description: 'A metric that every pod has, such as the requests that it answers.' },
)
export type PodsMetricSource = TypeOf<typeof podsMetricSource>
export const resourceMetricSource = s.object(
  'io.k8s.api.autoscaling.v2.ResourceMetricSource',
  {
    name: s.string(1, { required: true, description: 'The resource, as in cpu or memory.' }),
    target: s.of(2, metricTarget, {
      required: true,
      description: 'The use that is wanted: averageUtilization or averageValue, not both.',
    }),
  },
  { description: 'What the pods use of a resource, all containers together.' },
)
export type ResourceMetricSource = TypeOf<typeof resourceMetricSource>
export const metricSpec = s.object(
  'io.k8s.api.autoscaling.v2.MetricSpec',
  {
    type: s.string(1, { required: true, description: 'Resource, ContainerResource, Pods, Object or External.' }),
    object: s.of(2, objectMetricSource, 'Of type Object: what is measured of one object.'),
    pods: s.of(3, podsMetricSource, 'Of type Pods: what is measured of each pod.'),
    resource: s.of(4, resourceMetricSource, 'Of type Resource: what the pods use of cpu, memory or the like.'),
    external: s.of(5, externalMetricSource, 'Of type External: what is measured outside of the cluster.'),
    containerResource: s.of(
      7,
      containerResourceMetricSource,
      'Of type ContainerResource: what one container of each pod uses.',
    ),
  },
  { description: 'A metric that the number of pods follows. The field that its type names is given, and no other.' },
)
export type MetricSpec = TypeOf<typeof metricSpec>
/** The same in autoscaling/v1. */
export const boundFields = {
  minReplicas: s.int32(2, {
    pointer: true,
    default: 1,
    description: 'Lower bound on the number of pods; 1 by default, and never less.',
  }),
  maxReplicas: s.int32(3, {
    required: true,
    description: 'Upper bound on the number of pods; not below minReplicas.',
  }),
}
export const horizontalPodAutoscalerSpec = s.object(
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec',
  {
    scaleTargetRef: s.of(1, crossVersionObjectReference, {
      required: true,
      description:
        'What is made larger and smaller: a Deployment, a StatefulSet or anything else with a scale subresource.',
    }),
    ...boundFields,
    metrics: s.list(
      4,
      metricSpec,
      'What the number of pods follows; of several, the one that wants most pods. By default 80 percent of the cpu that they request.',
    ),
    behavior: s.of(5, horizontalPodAutoscalerBehavior, 'How fast the number may change.'),
  },
  { description: 'Whose pods are counted, and by what.' },
)
export type HorizontalPodAutoscalerSpec = TypeOf<typeof horizontalPodAutoscalerSpec>
export const horizontalPodAutoscalerCondition = s.object(
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerCondition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it holds.' }),
    type: s.string(1, {
      required: true,
      description:
        'AbleToScale: the target can be scaled. ScalingActive: metrics are there. ScalingLimited: minReplicas or maxReplicas is in the way.',
    }),
    lastTransitionTime: s.time(3, 'When status last took another value.'),
    reason: s.string(4, 'Why, in one word for programs.'),
    message: s.string(5, 'Why, in a sentence for people.'),
  },
  { description: 'One aspect of how an autoscaler stands.' },
)
export type HorizontalPodAutoscalerCondition = TypeOf<typeof horizontalPodAutoscalerCondition>
export const metricValueStatus = s.object(
  'io.k8s.api.autoscaling.v2.MetricValueStatus',
  {
    value: s.quantity(1, 'The metric as a whole.'),
    averageValue: s.quantity(2, 'The mean over the pods.'),
    averageUtilization: s.int32(3, {
      pointer: true,
      description: 'The mean over the pods, in percent of what they request.',
    }),
  },
  { description: 'What a metric was when it was last read.' },
)
export type MetricValueStatus = TypeOf<typeof metricValueStatus>
export const containerResourceMetricStatus = s.object(
  'io.k8s.api.autoscaling.v2.ContainerResourceMetricStatus',
  {
    name: s.string(1, { required: true, description: 'The resource, as in cpu or memory.' }),
    current: s.of(2, metricValueStatus, { required: true, description: 'The use that was found.' }),
    container: s.string(3, { required: true, description: 'The container that was measured in each pod.' }),
  },
  { description: 'What one container of each pod used of a resource.' },
)
export type ContainerResourceMetricStatus = TypeOf<typeof containerResourceMetricStatus>
export const externalMetricStatus = s.object(
  'io.k8s.api.autoscaling.v2.ExternalMetricStatus',
  {
    metric: s.of(1, metricIdentifier, { required: true, description: 'Which metric.' }),
    current: s.of(2, metricValueStatus, { required: true, description: 'The value that was found.' }),
  },
  { description: 'What a metric of nothing in the cluster was.' },
)
export type ExternalMetricStatus = TypeOf<typeof externalMetricStatus>
export const objectMetricStatus = s.object(
  'io.k8s.api.autoscaling.v2.ObjectMetricStatus',
  {
    metric: s.of(1, metricIdentifier, { required: true, description: 'Which metric of the object.' }),
    current: s.of(2, metricValueStatus, { required: true, description: 'The value that was found.' }),
    describedObject: s.of(3, crossVersionObjectReference, {
      required: true,
      description: 'The object that was measured.',
    }),
  },
  { description: 'What a metric of one object was.' },
)
export type ObjectMetricStatus = TypeOf<typeof objectMetricStatus>
export const podsMetricStatus = s.object(
  'io.k8s.api.autoscaling.v2.PodsMetricStatus',
  {
    metric: s.of(1, metricIdentifier, { required: true, description: 'Which metric of the pods.' }),
    current: s.of(2, metricValueStatus, { required: true, description: 'The mean that was found.' }),
  },
  { description: 'What a metric of the pods was.' },
)
export type PodsMetricStatus = TypeOf<typeof podsMetricStatus>
export const resourceMetricStatus = s.object(
  'io.k8s.api.autoscaling.v2.ResourceMetricStatus',
  {
    name: s.string(1, { required: true, description: 'The resource, as in cpu or memory.' }),
    current: s.of(2, metricValueStatus, { required: true, description: 'The use that was found.' }),
  },
  { description: 'What the pods used of a resource.' },
)
export type ResourceMetricStatus = TypeOf<typeof resourceMetricStatus>
export const metricStatus = s.object(
  'io.k8s.api.autoscaling.v2.MetricStatus',
  {
    type: s.string(1, { required: true, description: 'Resource, ContainerResource, Pods, Object or External.' }),
    object: s.of(2, objectMetricStatus, 'Of type Object: what one object showed.'),
    pods: s.of(3, podsMetricStatus, 'Of type Pods: what the pods showed.'),
    resource: s.of(4, resourceMetricStatus, 'Of type Resource: what the pods used.'),
    external: s.of(5, externalMetricStatus, 'Of type External: what was read outside of the cluster.'),
    containerResource: s.of(
      7,
      containerResourceMetricStatus,
      'Of type ContainerResource: what one container of each pod used.',
    ),
  },
  { description: 'A metric as it was last read. The field that its type names is there, and no other.' },
)
export type MetricStatus = TypeOf<typeof metricStatus>
export const horizontalPodAutoscalerStatus = s.object(
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus',
  {
    observedGeneration: s.int64(1, { pointer: true, description: 'The metadata.generation that the rest belongs to.' }),
    lastScaleTime: s.time(2, 'When the number of pods was last changed by it.'),
    currentReplicas: s.int32(3, 'Pods that the target had when last looked at.'),
    desiredReplicas: s.int32(4, { required: true, description: 'Pods that the autoscaler wanted last.' }),
    currentMetrics: s.list(5, metricStatus, 'What was read, in the order of spec.metrics.'),
    conditions: s.list(6, horizontalPodAutoscalerCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'Whether it can scale, and what holds it back; one entry of each type.',
    }),
  },
  { description: 'What an autoscaler has read, and done about it.' },
)
export type HorizontalPodAutoscalerStatus = TypeOf<typeof horizontalPodAutoscalerStatus>
export const horizontalPodAutoscalerSchema = s.object(
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name, namespace, labels and the like.' }),
    spec: s.of(2, horizontalPodAutoscalerSpec, { default: {}, description: 'What is wanted.' }),
    status: s.of(3, horizontalPodAutoscalerStatus, { default: {}, description: 'What was read and done.' }),
  },
  { description: `Lets the number of pods follow what is measured of them. ${autoscalerCaution}.` },
)
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
  caution: autoscalerCaution,
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
