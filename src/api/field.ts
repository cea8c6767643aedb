// Makes FieldErrors in the words of Kubernetes (apimachinery/pkg/util/validation/field): kubectl shows them as they are.
import type { FieldError } from './kind.ts'

/** One by one: a call with as many arguments as a body can hold mistakes would run out of stack. */
export function addAll(errors: FieldError[], more: readonly FieldError[]): void {
  for (const error of more) errors.push(error)
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? 'null'
}

function because(detail: string): string {
  return detail === '' ? '' : `: ${detail}`
}

export function requiredValue(field: string, detail = ''): FieldError {
  return { field, reason: 'FieldValueRequired', message: `Required value${because(detail)}` }
}

export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${shown(value)}${because(detail)}` }
}

export function notSupported(field: string, value: unknown, allowed: readonly string[]): FieldError {
  const list = allowed.toSorted().map(shown).join(', ')
  return {
    field,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${shown(value)}${allowed.length > 0 ? `: supported values: ${list}` : ''}`,
  }
}

export function forbidden(field: string, detail: string): FieldError {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden${because(detail)}` }
}

export function duplicateValue(field: string, value: unknown, detail = ''): FieldError {
  return { field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${shown(value)}${because(detail)}` }
}

export function notFoundValue(field: string, value: unknown): FieldError {
  return { field, reason: 'FieldValueNotFound', message: `Not found: ${shown(value)}` }
}

export function tooLong(field: string, countMax: number): FieldError {
  return {
    field,
    reason: 'FieldValueTooLong',
    message: `Too long: may not be more than ${countMax} bytes`,
  }
}

export function immutable(field: string, value: unknown): FieldError {
  return invalidValue(field, value, 'field is immutable')
}

export function tooMany(field: string, count: number, countMax: number): FieldError {
  return { field, reason: 'FieldValueTooMany', message: `Too many: ${count}: must have at most ${countMax} items` }
}
