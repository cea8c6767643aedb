// Turns the selectors of a list, watch or deletecollection into one predicate. Each kind says which fields it can be
// selected by; an unknown one is the caller's error, in upstream's words.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
import {
  type FieldTerm,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
} from '../lib/selector.ts'
import { ApiError } from './error.ts'
import type { Kind, KubeObject } from './kind.ts'

export type Selectors = { readonly labelSelector?: string; readonly fieldSelector?: string }

/** BadRequest on a malformed selector and on a field that the kind cannot be selected by. */
export function compileSelector<T extends KubeObject>(kind: Kind<T>, selectors: Selectors): (object: T) => boolean {
  const requirements = reading(() => parseLabelSelector(selectors.labelSelector ?? ''))
  const terms = reading(() => parseFieldSelector(selectors.fieldSelector ?? ''))
  const known = new Set([
    'metadata.name',
    ...(kind.scope === 'Namespaced' ? ['metadata.namespace'] : []),
    ...kind.fieldLabels,
  ])
  for (const { field } of terms) {
    if (!known.has(field)) throw new ApiError('BadRequest', `field label not supported: ${field}`)
  }
  if (requirements.length === 0 && terms.length === 0) return () => true
  // Terms on name and namespace are cheap and most selective: the kind's own fields are built only for what passes them.
  const plain = terms.filter(({ field }) => field.startsWith('metadata.'))
  const own = terms.filter(({ field }) => !field.startsWith('metadata.'))
  return object =>
    plain.every(term => holds(term, metaField(object, term.field))) &&
    matchesLabels(requirements, object.metadata.labels) &&
    (own.length === 0 || matchesFields(own, kind.fields(object)))
}

function matchesFields(terms: readonly FieldTerm[], fields: Readonly<Record<string, string>>): boolean {
  return terms.every(term => holds(term, fields[term.field] ?? ''))
}

function holds({ operator, value }: FieldTerm, found: string): boolean {
  return (found === value) === (operator === '=')
}

function metaField(object: KubeObject, field: string): string {
  return field === 'metadata.name' ? object.metadata.name : (object.metadata.namespace ?? '')
}

/** The name, when the field selector asks for exactly one: then a read of one key will do. */
export function nameOfSelector(selectors: Selectors): string | undefined {
  const terms = reading(() => parseFieldSelector(selectors.fieldSelector ?? ''))
  return terms.find(({ field, operator }) => field === 'metadata.name' && operator === '=')?.value
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof SelectorError) throw new ApiError('BadRequest', error.message)
    throw error
  }
}
