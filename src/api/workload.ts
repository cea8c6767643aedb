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
