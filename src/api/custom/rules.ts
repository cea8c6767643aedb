// The rules in CEL that a schema carries (x-kubernetes-validations): whether they are well formed. Pure.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
import { invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import type { JsonSchemaProps, ValidationRule } from '../types/jsonschema.ts'
import { additionalOf, child, itemsOf, keyed } from './schema.ts'

export function validateRules(schema: JsonSchemaProps, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    errors.push(...validateRule(rule, `${child(path, 'x-kubernetes-validations')}[${i}]`))
  }
  const items = itemsOf(schema)
  if (items) errors.push(...validateRules(items, child(path, 'items')))
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    errors.push(...validateRules(below, keyed(child(path, 'properties'), name)))
  }
  const additional = additionalOf(schema)
  if (additional) errors.push(...validateRules(additional, child(path, 'additionalProperties')))
  return errors
}

const reasons = ['FieldValueRequired', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueDuplicate']
const hasLineBreak = (text: string): boolean => /[\n\r]/.test(text)

function validateRule(rule: ValidationRule, path: string): readonly FieldError[] {
  const { message, messageExpression, reason, fieldPath } = rule
  const errors: FieldError[] = []
  const text = (message ?? '').trim()
  if (rule.rule.trim() === '') errors.push(requiredValue(`${path}.rule`, 'rule is not specified'))
  else if (message && text === '') {
    errors.push(invalidValue(`${path}.message`, message, 'message must be non-empty if specified'))
  } else if (hasLineBreak(text)) {
    errors.push(invalidValue(`${path}.message`, message, 'message must not contain line breaks'))
  } else if (hasLineBreak(rule.rule.trim()) && text === '') {
    errors.push(requiredValue(`${path}.message`, 'message must be specified if rule contains line breaks'))
  }
  if (messageExpression && messageExpression.trim() === '') {
    const why = 'messageExpression must be non-empty if specified'
    errors.push(requiredValue(`${path}.messageExpression`, why))
  }
  if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(`${path}.reason`, reason, reasons))
  if (fieldPath && fieldPath.trim() === '') {
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must be non-empty if specified'))
  } else if (fieldPath && hasLineBreak(fieldPath)) {
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must not contain line breaks'))
  }
  return errors
}
