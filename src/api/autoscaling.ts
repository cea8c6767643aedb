// HorizontalPodAutoscalers of autoscaling/v1 and v2 are the same objects. v1 knows one metric, the use of CPU; all else it
// carries in annotations, in the form of v1's own types, so that a client of v1 loses nothing by writing back what it read.
// Upstream: pkg/apis/autoscaling/v1/conversion.go, annotations.go.
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerBehavior,
  HorizontalPodAutoscalerCondition,
  HPAScalingRules,
  MetricIdentifier,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from './kinds/horizontalpodautoscaler.ts'
import type { HorizontalPodAutoscaler as OldAutoscaler } from './kinds/oldhorizontalpodautoscaler.ts'
import { isList, isObject } from './parse.ts'
import type { Json } from './schema.ts'
import type { LabelSelector } from './types/meta.ts'

const prefix = 'autoscaling.alpha.kubernetes.io'
const annotationNames = {
  metrics: `${prefix}/metrics`,
  currentMetrics: `${prefix}/current-metrics`,
  conditions: `${prefix}/conditions`,
  behavior: `${prefix}/behavior`,
} as const

type Annotations = Readonly<Record<string, string>>

const cpuPercentDefault = 80
const noStatus = { currentReplicas: 0, desiredReplicas: 0 }

/** The metric that v1 can say itself. */
function cpuPercent({ type, resource }: MetricSpec): number | undefined {
  return type === 'Resource' && resource?.name === 'cpu' ? resource.target.averageUtilization : undefined
}

/** The use of CPU that an autoscaler of v1 gets which names no metric at all. */
export function withDefaultTarget(object: OldAutoscaler): OldAutoscaler {
  const others = listIn(object.metadata.annotations, annotationNames.metrics) ?? []
  if (object.spec.targetCPUUtilizationPercentage !== undefined || others.length > 0) return object
  return { ...object, spec: { ...object.spec, targetCPUUtilizationPercentage: cpuPercentDefault } }
}

/** From v2 to v1. An object that lacks what a whole one has lacks it there too. */
export function toOld({ metadata, spec, status }: HorizontalPodAutoscaler): OldAutoscaler {
  const { metrics = [], behavior, ...rest }: Partial<HorizontalPodAutoscaler['spec']> = spec ?? {}
  const { currentMetrics = [], conditions = [], observedGeneration, lastScaleTime } = status ?? noStatus
  const percent = metrics.map(cpuPercent).find(value => value !== undefined)
  const others = metrics.filter(metric => cpuPercent(metric) === undefined)
  const used = currentMetrics.findLast(
    ({ type, resource }) =>
      type === 'Resource' && resource?.name === 'cpu' && resource.current.averageUtilization !== undefined,
  )
  const annotations: Annotations = {
    ...ownAnnotations(metadata.annotations),
    ...(others.length > 0 && { [annotationNames.metrics]: JSON.stringify(others.map(oldSpec)) }),
    ...(currentMetrics.length > 0 && {
      [annotationNames.currentMetrics]: JSON.stringify(currentMetrics.map(oldStatus)),
    }),
    ...(behavior && { [annotationNames.behavior]: JSON.stringify(capitalBehavior(behavior)) }),
    ...(conditions.length > 0 && { [annotationNames.conditions]: JSON.stringify(conditions) }),
  }
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: withAnnotations(metadata, annotations),
    spec: {
      ...rest,
      ...(percent !== undefined && { targetCPUUtilizationPercentage: percent }),
    } as OldAutoscaler['spec'],
    status: {
      ...(observedGeneration !== undefined && { observedGeneration }),
      ...(lastScaleTime !== undefined && { lastScaleTime }),
      currentReplicas: status?.currentReplicas ?? 0,
      desiredReplicas: status?.desiredReplicas ?? 0,
      ...(used && { currentCPUUtilizationPercentage: used.resource?.current.averageUtilization }),
    } as OldAutoscaler['status'],
  }
}

/** From v1 to v2. What an annotation holds that cannot be read is nothing. */
export function toNew({ metadata, spec, status }: OldAutoscaler): HorizontalPodAutoscaler {
  const { targetCPUUtilizationPercentage: percent, ...common }: Partial<OldAutoscaler['spec']> = spec ?? {}
  const { currentCPUUtilizationPercentage: used, currentReplicas, ...rest } = status ?? noStatus
  const { annotations } = metadata
  const metrics = [
    ...(listIn(annotations, annotationNames.metrics) ?? []).map(metric => newSpec(metric as OldMetric)),
    ...(percent === undefined ? [] : [cpuMetric(percent)]),
  ]
  const behavior = behaviorIn(annotations)
  const usedNow =
    used === undefined
      ? undefined
      : { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: used } } }
  const currentMetrics =
    listIn(annotations, annotationNames.currentMetrics)?.map(metric => newStatus(metric as OldMetric)) ??
    (usedNow && [usedNow])
  const conditions = listIn(annotations, annotationNames.conditions)
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: withAnnotations(metadata, ownAnnotations(annotations)),
    spec: {
      ...common,
      ...(metrics.length > 0 && { metrics }),
      ...(behavior && { behavior }),
    } as HorizontalPodAutoscaler['spec'],
    status: {
      ...rest,
      // Which v2 leaves out when there are none.
      ...(currentReplicas !== 0 && { currentReplicas }),
      ...(currentMetrics && { currentMetrics }),
      ...(conditions && { conditions: conditions as unknown as readonly HorizontalPodAutoscalerCondition[] }),
    },
  }
}

function cpuMetric(averageUtilization: number): MetricSpec {
  return { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } }
}

function ownAnnotations(annotations: Annotations | undefined): Annotations {
  const carried: readonly string[] = Object.values(annotationNames)
  return Object.fromEntries(Object.entries(annotations ?? {}).filter(([name]) => !carried.includes(name)))
}

function withAnnotations<T extends { readonly annotations?: Annotations }>(metadata: T, annotations: Annotations): T {
  const { annotations: _, ...rest } = metadata
  return (Object.keys(annotations).length > 0 ? { ...rest, annotations } : rest) as T
}

function listIn(annotations: Annotations | undefined, name: string): readonly Json[] | undefined {
  const value = jsonIn(annotations, name)
  return isList(value) && value.every(isObject) ? value : undefined
}

function jsonIn(annotations: Annotations | undefined, name: string): Json | undefined {
  const text = annotations?.[name]
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

/** A metric of v1, wanted or as it is: what names and measures it lies flat, beside the type. */
type OldMetric = { readonly type: string } & {
  readonly [K in 'object' | 'pods' | 'resource' | 'containerResource' | 'external']?: OldSource
}
type OldSource = {
  readonly name?: string
  readonly container?: string
  readonly target?: { readonly kind: string; readonly name: string; readonly apiVersion?: string }
  readonly metricName?: string
  readonly selector?: LabelSelector
  readonly metricSelector?: LabelSelector
  readonly targetValue?: string
  readonly averageValue?: string
  readonly targetAverageValue?: string
  readonly targetAverageUtilization?: number
  readonly currentValue?: string
  readonly currentAverageValue?: string
  readonly currentAverageUtilization?: number
}

/** The object without the fields that are undefined. */
function given<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

function oldSpec({ type, object, pods, resource, containerResource, external }: MetricSpec): OldMetric {
  return given<OldMetric>({
    type,
    object:
      object &&
      given<OldSource>({
        target: object.describedObject,
        metricName: object.metric.name,
        targetValue: object.target.value ?? '0',
        selector: object.metric.selector,
        averageValue: object.target.averageValue,
      }),
    pods:
      pods &&
      given<OldSource>({
        metricName: pods.metric.name,
        targetAverageValue: pods.target.averageValue ?? '0',
        selector: pods.metric.selector,
      }),
    resource: resource && given<OldSource>({ name: resource.name, ...oldTarget(resource.target) }),
    containerResource:
      containerResource &&
      given<OldSource>({
        name: containerResource.name,
        ...oldTarget(containerResource.target),
        container: containerResource.container,
      }),
    external:
      external &&
      given<OldSource>({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        targetValue: external.target.value,
        targetAverageValue: external.target.averageValue,
      }),
  })
}

function oldTarget({ averageUtilization, averageValue }: MetricTarget): OldSource {
  return given<OldSource>({ targetAverageUtilization: averageUtilization, targetAverageValue: averageValue })
}

function oldStatus({ type, object, pods, resource, containerResource, external }: MetricStatus): OldMetric {
  return given<OldMetric>({
    type,
    object:
      object &&
      given<OldSource>({
        target: object.describedObject,
        metricName: object.metric.name,
        currentValue: object.current.value ?? '0',
        selector: object.metric.selector,
        averageValue: object.current.averageValue,
      }),
    pods:
      pods &&
      given<OldSource>({
        metricName: pods.metric.name,
        currentAverageValue: pods.current.averageValue ?? '0',
        selector: pods.metric.selector,
      }),
    resource: resource && given<OldSource>({ name: resource.name, ...oldValue(resource.current) }),
    containerResource:
      containerResource &&
      given<OldSource>({
        name: containerResource.name,
        ...oldValue(containerResource.current),
        container: containerResource.container,
      }),
    external:
      external &&
      given<OldSource>({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        currentValue: external.current.value ?? '0',
        currentAverageValue: external.current.averageValue,
      }),
  })
}

function oldValue({ averageUtilization, averageValue }: MetricValueStatus): OldSource {
  return given<OldSource>({
    currentAverageUtilization: averageUtilization,
    currentAverageValue: averageValue ?? '0',
  })
}

function newSpec({ type, object, pods, resource, containerResource, external }: OldMetric): MetricSpec {
  return given<MetricSpec>({
    type,
    object: object && {
      describedObject: object.target ?? { kind: '', name: '' },
      metric: identifier(object.metricName, object.selector),
      target: given<MetricTarget>({
        type: object.averageValue === undefined ? 'Value' : 'AverageValue',
        value: valueBeside(object.averageValue, object.targetValue),
        averageValue: object.averageValue,
        averageUtilization: undefined,
      }),
    },
    pods: pods && {
      metric: identifier(pods.metricName, pods.selector),
      target: newTarget('AverageValue', pods),
    },
    resource: resource && { name: resource.name ?? '', target: useTarget(resource) },
    containerResource: containerResource && {
      name: containerResource.name ?? '',
      container: containerResource.container ?? '',
      target: useTarget(containerResource),
    },
    external: external && {
      metric: identifier(external.metricName, external.metricSelector),
      target: newTarget(external.targetValue === undefined ? 'AverageValue' : 'Value', external),
    },
  })
}

/** v1 writes a value of zero where there is none; beside an average nothing is meant by it. */
function valueBeside(average: string | undefined, value: string | undefined): string | undefined {
  return average !== undefined && value === '0' ? undefined : value
}

function identifier(name: string | undefined, selector: LabelSelector | undefined): MetricIdentifier {
  return { name: name ?? '', ...(selector && { selector }) }
}

function newTarget(type: string, source: OldSource): MetricTarget {
  return given<MetricTarget>({
    type,
    value: source.targetValue,
    averageValue: source.targetAverageValue,
    averageUtilization: source.targetAverageUtilization,
  })
}

/** Of a resource: a part of what is asked for, or else an amount. */
function useTarget(source: OldSource): MetricTarget {
  return newTarget(source.targetAverageUtilization === undefined ? 'AverageValue' : 'Utilization', source)
}

function newStatus({ type, object, pods, resource, containerResource, external }: OldMetric): MetricStatus {
  return given<MetricStatus>({
    type,
    object: object && {
      describedObject: object.target ?? { kind: '', name: '' },
      metric: identifier(object.metricName, object.selector),
      current: given<MetricValueStatus>({
        value: valueBeside(object.averageValue, object.currentValue),
        averageValue: object.averageValue,
        averageUtilization: undefined,
      }),
    },
    pods: pods && { metric: identifier(pods.metricName, pods.selector), current: newValue(pods) },
    resource: resource && { name: resource.name ?? '', current: newValue(resource) },
    containerResource: containerResource && {
      name: containerResource.name ?? '',
      container: containerResource.container ?? '',
      current: newValue(containerResource),
    },
    external: external && {
      metric: identifier(external.metricName, external.metricSelector),
      current: newValue(external),
    },
  })
}

function newValue(source: OldSource): MetricValueStatus {
  return given<MetricValueStatus>({
    value: valueBeside(source.currentAverageValue, source.currentValue),
    averageValue: source.currentAverageValue,
    averageUtilization: source.currentAverageUtilization,
  })
}

/** The behaviour is carried as Go writes a type that says nothing of its JSON: capital names, and null for what is absent. */
function capitalBehavior({ scaleUp, scaleDown }: HorizontalPodAutoscalerBehavior): Json {
  return { ScaleUp: capitalRules(scaleUp), ScaleDown: capitalRules(scaleDown) }
}

function capitalRules(rules: HPAScalingRules | undefined): Json {
  if (!rules) return null
  const { stabilizationWindowSeconds = null, selectPolicy = null, policies = [], tolerance = null } = rules
  return {
    StabilizationWindowSeconds: stabilizationWindowSeconds,
    SelectPolicy: selectPolicy,
    Policies: policies.map(({ type, value, periodSeconds }) => ({
      Type: type,
      Value: value,
      PeriodSeconds: periodSeconds,
    })),
    Tolerance: tolerance,
  }
}

function behaviorIn(annotations: Annotations | undefined): HorizontalPodAutoscalerBehavior | undefined {
  const value = small(jsonIn(annotations, annotationNames.behavior) ?? null)
  return isObject(value) && Object.keys(value).length > 0 ? (value as HorizontalPodAutoscalerBehavior) : undefined
}

/** Names with a small first letter, and without what is null. */
function small(value: Json): Json {
  if (isList(value)) return value.map(small)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null)
      .map(([name, item]): [string, Json] => [name.charAt(0).toLowerCase() + name.slice(1), small(item)]),
  )
}
