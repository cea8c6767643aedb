// The terms by which a pod or a volume chooses nodes (upstream: ValidateNodeSelector).
import { forbidden, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import type { NodeSelector } from '../types/affinity.ts'

export function validateNodeTerms({ nodeSelectorTerms }: NodeSelector, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, term] of (nodeSelectorTerms ?? []).entries()) {
    for (const [j, expression] of (term.matchExpressions ?? []).entries()) {
      const at = `${path}.nodeSelectorTerms[${i}].matchExpressions[${j}]`
      const { operator, key, values = [] } = expression
      const wrong = key ? qualifiedName(key) : undefined
      if (wrong !== undefined) errors.push(invalidValue(`${at}.key`, key, wrong))
      if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
        errors.push(requiredValue(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
      }
      if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
        errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
      }
      if ((operator === 'Gt' || operator === 'Lt') && values.length !== 1) {
        errors.push(requiredValue(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
      }
    }
  }
  return errors
}
