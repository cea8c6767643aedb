// What is wrong with the spec of a HorizontalPodAutoscaler (upstream: pkg/apis/autoscaling/validation).
// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
import { compareQuantity } from '../lib/quantity.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from './field.ts'
import type { FieldError } from './kind.ts'
import type {
  CrossVersionObjectReference,
  HorizontalPodAutoscalerSpec,
  HPAScalingPolicy,
  HPAScalingRules,
  MetricSpec,
  MetricTarget,
} from './kinds/horizontalpodautoscaler.ts'
import { dnsLabel, pathSegment } from './names.ts'
import { validateContainerResource } from './resources.ts'
import { named } from './storage.ts'

const periodSecondsMax = 1_800
const stabilizationSecondsMax = 3_600

export function validateAutoscaler(
  spec: HorizontalPodAutoscalerSpec,
  old: HorizontalPodAutoscalerSpec | undefined,
): readonly FieldError[] {
  const { minReplicas, maxReplicas, scaleTargetRef, metrics = [], behavior } = spec
  const errors: FieldError[] = []
  // Who scaled to none before that was refused may go on.
  const lowest = old?.minReplicas === 0 ? 0 : 1
  if (minReplicas < lowest) {
    errors.push(invalidValue('spec.minReplicas', minReplicas, `must be greater than or equal to ${lowest}`))
  }
  if (maxReplicas < 1) errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than 0'))
  if (maxReplicas < minReplicas) {
    errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'))
  }
  errors.push(...validateReference(scaleTargetRef, 'spec.scaleTargetRef'))
  for (const [i, metric] of metrics.entries()) errors.push(...validateMetric(metric, `spec.metrics[${i}]`))
  if (minReplicas === 0 && !metrics.some(({ type }) => type === 'Object' || type === 'External')) {
    const why = 'must specify at least one Object or External metric to support scaling to zero replicas'
    errors.push(forbidden('spec.metrics', why))
  }
  return [
    ...errors,
    ...validateRules(behavior?.scaleUp, 'spec.behavior.scaleUp'),
    ...validateRules(behavior?.scaleDown, 'spec.behavior.scaleDown'),
  ]
}

function validateReference(reference: CrossVersionObjectReference | undefined, path: string): readonly FieldError[] {
  const { kind, name } = reference ?? {}
  return [...named(`${path}.kind`, kind, pathSegment), ...named(`${path}.name`, name, pathSegment)]
}

/** By type: the one field that such a metric fills. */
const sources = {
  Object: 'object',
  External: 'external',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
} as const

function validateMetric(metric: MetricSpec, path: string): readonly FieldError[] {
  const { type } = metric
  const expected = Object.hasOwn(sources, type ?? '') ? sources[type as keyof typeof sources] : undefined
  const given = Object.values(sources).filter(source => metric[source] !== undefined)
  const errors: FieldError[] = []
  if (type && expected === undefined) errors.push(notSupported(`${path}.type`, type, Object.keys(sources)))
  const [first] = given
  if (first !== undefined) errors.push(...validateSource(metric, first, `${path}.${first}`))
  if (expected !== undefined && metric[expected] === undefined) {
    errors.push(requiredValue(`${path}.${expected}`, 'must populate information for the given metric source'))
  }
  if (given.length === 1) return errors
  const others = given.filter(source => source !== expected)
  return [
    ...errors,
    ...others.map(other => forbidden(`${path}.${other}`, 'must populate the given metric source only')),
  ]
}

function validateSource(
  { object, external, pods, resource, containerResource }: MetricSpec,
  source: (typeof sources)[keyof typeof sources],
  path: string,
): readonly FieldError[] {
  switch (source) {
    case 'object':
      return [
        ...validateReference(object?.describedObject, `${path}.describedObject`),
        ...named(`${path}.metric.name`, object?.metric?.name, pathSegment),
        ...validateTarget(object?.target, `${path}.target`),
        ...oneOf(object?.target, `${path}.target`, 'must set either a target value or averageValue'),
      ]
    case 'external':
      return [
        ...named(`${path}.metric.name`, external?.metric?.name, pathSegment),
        ...validateTarget(external?.target, `${path}.target`),
        ...oneOf(external?.target, `${path}.target`, 'must set either a target value for metric or a per-pod target'),
        ...(external?.target?.value !== undefined && external.target.averageValue !== undefined
          ? [forbidden(`${path}.target.value`, 'may not set both a target value for metric and a per-pod target')]
          : []),
      ]
    case 'pods':
      return [
        ...named(`${path}.metric.name`, pods?.metric?.name, pathSegment),
        ...validateTarget(pods?.target, `${path}.target`),
        ...(pods?.target?.averageValue === undefined
          ? [requiredValue(`${path}.target.averageValue`, 'must specify a positive target averageValue')]
          : []),
      ]
    case 'resource':
      return validateUse(resource?.target, `${path}.target`)
    case 'containerResource':
      return [
        ...(containerResource?.name ? validateContainerResource(containerResource.name, `${path}.name`) : []),
        ...named(`${path}.container`, containerResource?.container, dnsLabel),
        ...validateUse(containerResource?.target, `${path}.target`),
      ]
  }
}

/** A value, or an average: one of them has to be there. */
function oneOf(target: MetricTarget | undefined, path: string, why: string): readonly FieldError[] {
  const { value, averageValue } = target ?? {}
  return value === undefined && averageValue === undefined ? [requiredValue(`${path}.averageValue`, why)] : []
}

/** The use of a resource is wanted as a part of what is asked for, or as an amount. */
function validateUse(target: MetricTarget | undefined, path: string): readonly FieldError[] {
  const errors = [...validateTarget(target, path)]
  const { averageUtilization, averageValue } = target ?? {}
  if (averageUtilization === undefined && averageValue === undefined) {
    const why = 'must set either a target raw value or a target utilization'
    errors.push(requiredValue(`${path}.averageUtilization`, why))
  }
  if (averageUtilization !== undefined && averageValue !== undefined) {
    const why = 'may not set both a target raw value and a target utilization'
    errors.push(forbidden(`${path}.averageValue`, why))
  }
  return errors
}

const targetTypes = ['Utilization', 'Value', 'AverageValue']

function validateTarget(target: MetricTarget | undefined, path: string): readonly FieldError[] {
  const { type, averageUtilization } = target ?? {}
  const errors: FieldError[] = []
  if (type && !targetTypes.includes(type)) {
    errors.push(invalidValue(`${path}.type`, type, 'must be either Utilization, Value, or AverageValue'))
  }
  for (const name of ['value', 'averageValue'] as const) {
    const amount = target?.[name]
    if (amount !== undefined && compareQuantity(amount, '0') <= 0) {
      errors.push(invalidValue(`${path}.${name}`, amount, 'must be positive'))
    }
  }
  if (averageUtilization !== undefined && averageUtilization < 1) {
    errors.push(invalidValue(`${path}.averageUtilization`, averageUtilization, 'must be greater than 0'))
  }
  return errors
}

const selections = ['Disabled', 'Max', 'Min']
const policyTypes = ['Percent', 'Pods']

function validateRules(rules: HPAScalingRules | undefined, path: string): readonly FieldError[] {
  if (!rules) return []
  const { stabilizationWindowSeconds: seconds = 0, selectPolicy, policies = [] } = rules
  const errors: FieldError[] = []
  const at = `${path}.stabilizationWindowSeconds`
  if (seconds < 0) errors.push(invalidValue(at, seconds, 'must be greater than or equal to zero'))
  if (seconds > stabilizationSecondsMax) {
    errors.push(invalidValue(at, seconds, `must be less than or equal to ${stabilizationSecondsMax}`))
  }
  if (selectPolicy !== undefined && !selections.includes(selectPolicy)) {
    errors.push(notSupported(`${path}.selectPolicy`, selectPolicy, selections))
  }
  if (policies.length === 0) errors.push(requiredValue(`${path}.policies`, 'must specify at least one Policy'))
  return [...errors, ...policies.flatMap((policy, i) => validatePolicy(policy, `${path}.policies[${i}]`))]
}

function validatePolicy({ type, value, periodSeconds }: HPAScalingPolicy, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  if (type && !policyTypes.includes(type)) errors.push(notSupported(`${path}.type`, type, policyTypes))
  if (value <= 0) errors.push(invalidValue(`${path}.value`, value, 'must be greater than zero'))
  if (periodSeconds <= 0) errors.push(invalidValue(`${path}.periodSeconds`, periodSeconds, 'must be greater than zero'))
  if (periodSeconds > periodSecondsMax) {
    const why = `must be less than or equal to ${periodSecondsMax}`
    errors.push(invalidValue(`${path}.periodSeconds`, periodSeconds, why))
  }
  return errors
}
