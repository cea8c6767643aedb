// Objects for the tests of the API, made as a request makes them.
import { type AdmitRequest, admit, type Stamp } from '../../src/api/admit.ts'
import { ApiError } from '../../src/api/error.ts'
import type { Kind, KubeObject } from '../../src/api/kind.ts'
import { kinds } from '../../src/api/kinds.ts'
import { type FieldValidation, parseObject } from '../../src/api/parse.ts'
import type { Json } from '../../src/api/schema.ts'

export const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)
export const stamp: Stamp = { uid: '6ba7b810-9dad-11d1-80b4-00c04fd430c8', nowMs, suffix: 'x7k2p' }

export function kindNamed(name: string): Kind {
  const kind = kinds.find(one => one.kind === name)
  if (!kind) throw new Error(`no kind ${name}`)
  return kind
}

export function parsed<T extends KubeObject>(kind: Kind<T>, value: unknown, mode: FieldValidation = 'Strict'): T {
  return parseObject(kind, value as Json, mode).object
}

const placed = (kind: Kind) => (kind.scope === 'Namespaced' ? { namespace: 'default' } : {})

/** As POST makes it. */
export function created<T extends KubeObject>(kind: Kind<T>, value: unknown, more: Partial<AdmitRequest<T>> = {}): T {
  return admit(kind, 'create', { old: undefined, incoming: parsed(kind, value), stamp, ...placed(kind), ...more })
}

/** As PUT makes it. */
export function updated<T extends KubeObject>(
  kind: Kind<T>,
  old: T,
  value: unknown,
  more: Partial<AdmitRequest<T>> = {},
): T {
  return admit(kind, 'update', { old, incoming: parsed(kind, value), stamp, ...placed(kind), ...more })
}

/** 'field: message' of each cause of a refusal, or what it says; none when nothing is refused. */
export function causesOf(act: () => unknown): readonly string[] {
  try {
    act()
  } catch (error) {
    if (error instanceof ApiError) {
      const causes = error.details?.causes ?? []
      return causes.length === 0 ? [error.message] : causes.map(({ field, message }) => `${field}: ${message}`)
    }
    throw error
  }
  return []
}
