// Rules that Deployments, ReplicaSets, DaemonSets, StatefulSets and Jobs share (upstream: pkg/apis/apps/validation).
import { equalJson } from './equal.ts'
import { addAll, forbidden, immutable, invalidValue, notSupported } from './field.ts'
import type { FieldError } from './kind.ts'
import { validateOwnSelector } from './pod/selector.ts'
import { validateTemplate } from './pod/validate.ts'
import type { LabelSelector } from './types/meta.ts'
import type { PodTemplateSpec } from './types/podspec.ts'

type Workload = {
  readonly selector?: LabelSelector
  readonly template?: PodTemplateSpec
}

/** Of what keeps its pods running: selector and template fit together, pods always restart, the selector stays. */
export function validateKeeper(spec: Workload, old: Workload | undefined, what: string): readonly FieldError[] {
  const { selector, template } = spec
  const errors = [...validateOwnSelector(selector, template, what)]
  if (template) {
    addAll(errors, validateTemplate(template, 'spec.template'))
    const policy = template.spec?.restartPolicy
    if (policy !== undefined && policy !== 'Always') {
      errors.push(notSupported('spec.template.spec.restartPolicy', policy, ['Always']))
    }
    if (template.spec?.activeDeadlineSeconds !== undefined) {
      const path = 'spec.template.spec.activeDeadlineSeconds'
      errors.push(forbidden(path, `activeDeadlineSeconds in ${what} is not Supported`))
    }
  }
  return [...errors, ...fixed('spec.selector', selector, old, old?.selector)]
}

/** `value` may not differ from what it was. */
export function fixed(path: string, value: unknown, old: unknown, before: unknown): readonly FieldError[] {
  return old === undefined || equalJson(value, before) ? [] : [immutable(path, value ?? null)]
}

/** Counts and seconds: absent or not below zero. */
export function validateCounts(counts: Readonly<Record<string, number | undefined>>): readonly FieldError[] {
  return Object.entries(counts).flatMap(([path, value]) =>
    value !== undefined && value < 0 ? [invalidValue(path, value, 'must be greater than or equal to 0')] : [],
  )
}

/** A count, or a part of one hundred: 3 or '25%'. */
export function validatePart(value: number | string | undefined, path: string, hundred = true): readonly FieldError[] {
  if (value === undefined) return []
  if (typeof value === 'number') return validateCounts({ [path]: value })
  const percent = /^([0-9]+)%$/.exec(value)?.[1]
  if (percent === undefined) {
    const why =
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
    return [invalidValue(path, value, why)]
  }
  return hundred && Number(percent) > 100 ? [invalidValue(path, value, 'must not be greater than 100%')] : []
}

/** True for 0 and '0%'. */
export function isNone(value: number | string | undefined): boolean {
  return value === undefined || value === 0 || /^0+%$/.test(String(value))
}

type Counts = Readonly<Record<string, unknown>> & {
  readonly replicas?: number
  readonly readyReplicas?: number
  readonly availableReplicas?: number
}

/** Of a status: no count below zero, those of `parts` not above that of all pods, and no more available than ready. */
export function validateReplicas(status: Counts, parts: readonly string[]): readonly FieldError[] {
  const { replicas = 0, readyReplicas = 0, availableReplicas = 0 } = status
  const errors = [...validateStatusCounts(status)]
  for (const name of parts) {
    const count = status[name]
    if (typeof count === 'number' && count > replicas) {
      errors.push(invalidValue(`status.${name}`, count, 'cannot be greater than status.replicas'))
    }
  }
  if (availableReplicas > readyReplicas) {
    errors.push(invalidValue('status.availableReplicas', availableReplicas, 'cannot be greater than readyReplicas'))
  }
  return errors
}

/** All numbers of a status are counts. */
export function validateStatusCounts(status: Readonly<Record<string, unknown>>): readonly FieldError[] {
  const counts = Object.entries(status).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  return validateCounts(Object.fromEntries(counts.map(([name, count]) => [`status.${name}`, count])))
}
