// From `kubectl apply` on the client's side to `kubectl apply --server-side`: the annotation that the first left behind says
// what kubectl owns already, though another manager's name stands at these fields, and is kept in step by the second, so
// that one can go back. Only for the manager `kubectl`: any other name says that this is not wanted.
// Upstream: apimachinery/pkg/util/managedfields/internal/{lastappliedmanager,lastappliedupdater}.go
import { parseExact } from '../../lib/json.ts'
import { sortedBy } from '../../lib/sorted.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../kind.ts'
import { isList, isObject } from '../parse.ts'
import type { Json } from '../schema.ts'
import { difference, type FieldSet } from './fieldset.ts'
import { compare, fieldSetOf } from './typed.ts'

export const kubectl = 'kubectl'
const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'
const annotationsBytesMax = 256 * 1024

/** The fields that were applied last on the client's side and still are as they were applied; undefined: it never was. */
export function lastAppliedSet<T extends KubeObject>(kind: Kind<T>, live: T): FieldSet | undefined {
  const text = live.metadata.annotations?.[lastAppliedAnnotation] ?? ''
  if (text === '') return undefined
  let applied: Json
  try {
    applied = parseExact(text) as Json
  } catch {
    // Somebody has written something else there. Then it says nothing.
    return undefined
  }
  if (!isObject(applied) || applied['apiVersion'] !== apiVersionOf(kind)) return undefined
  const { shape } = kind.schema
  const { modified, added, removed } = compare(shape, applied, live as unknown as Json)
  return [modified, added, removed].reduce(difference, fieldSetOf(shape, applied))
}

/** `next` with the annotation that says what has been applied now, when it had one before. */
export function withLastApplied<T extends KubeObject>(
  next: T,
  applied: T,
  { manager }: { readonly manager: string },
): T {
  const annotations = next.metadata?.annotations
  if (manager !== kubectl || (annotations?.[lastAppliedAnnotation] ?? '') === '') return next
  const { [lastAppliedAnnotation]: _, ...others } = annotations ?? {}
  const told = { ...others, [lastAppliedAnnotation]: `${textOf(applied)}\n` }
  const byteCount = Object.entries(told).reduce((sum, entry) => sum + Buffer.byteLength(entry.join('')), 0)
  return { ...next, metadata: { ...next.metadata, annotations: byteCount > annotationsBytesMax ? others : told } }
}

function textOf(applied: KubeObject): string {
  const { managedFields: _, annotations, ...metadata } = applied.metadata ?? {}
  const { [lastAppliedAnnotation]: __, ...others } = annotations ?? {}
  const kept = Object.keys(others).length > 0 ? { ...metadata, annotations: others } : metadata
  return JSON.stringify(inOrder({ ...applied, metadata: kept } as unknown as Json))
}

function inOrder(value: Json): Json {
  if (isList(value)) return value.map(inOrder)
  if (!isObject(value)) return value
  return Object.fromEntries(sortedBy(Object.entries(value), ([key]) => key).map(([key, item]) => [key, inOrder(item)]))
}
