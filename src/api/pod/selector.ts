// Label selectors of specs, and the rule that a workload selects its own template (upstream: ValidateLabelSelector).
import { selects } from '../../lib/selector.ts'
import { forbidden, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { labelValue, qualifiedName } from '../names.ts'
import type { LabelSelector } from '../types/meta.ts'
import type { PodTemplateSpec } from '../types/podspec.ts'
import { validateLabels } from '../validate.ts'

export function validateSelector(selector: LabelSelector | undefined, path: string): readonly FieldError[] {
  if (!selector) return []
  const errors: FieldError[] = [...validateLabels(selector.matchLabels, `${path}.matchLabels`)]
  for (const [i, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${i}]`
    const wrong = key ? qualifiedName(key) : undefined
    if (wrong !== undefined) errors.push(invalidValue(`${at}.key`, key, wrong))
    if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
      errors.push(requiredValue(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    }
    if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
      errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    }
    for (const [j, value] of values.entries()) {
      const fault = labelValue(value)
      if (fault !== undefined) errors.push(invalidValue(`${at}.values[${j}]`, value, fault))
    }
  }
  return errors
}

/** spec.selector of a workload: there, not empty, and met by the labels of its own template. */
export function validateOwnSelector(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  what: string,
): readonly FieldError[] {
  if (!selector) return []
  const errors = [...validateSelector(selector, 'spec.selector')]
  const empty = Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  if (empty) {
    errors.push(invalidValue('spec.selector', selector, `empty selector is invalid for ${what}`))
  } else if (template && !selects(selector, template.metadata?.labels)) {
    const path = 'spec.template.metadata.labels'
    errors.push(invalidValue(path, template.metadata?.labels ?? null, '`selector` does not match template `labels`'))
  }
  return errors
}
