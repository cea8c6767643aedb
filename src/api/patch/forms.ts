// The other forms of an object, in which who owns what of it may have been written down: autoscaling/v1 beside v2, the
// events of one group beside those of the other. Custom resources have none here: webhooks convert them, in their time.
// Upstream: apimachinery/pkg/util/managedfields/internal/versionconverter.go
import { assert } from '../../lib/assert.ts'
import { apiVersionOf, type Kind, type KubeObject, storedKindOf } from '../kind.ts'
import { kinds } from '../kinds.ts'
import type { Json, Shape } from '../schema.ts'

export type Form = {
  readonly shape: Shape
  /** From the kind's own form to this one, and back. The object may lack what only a whole one has. */
  of(object: Json): Json
  back(object: Json): Json
}

/** Undefined: it is the kind's own, or none that is known. */
export function formOf(kind: Kind, apiVersion: string): Form | undefined {
  if (kind.custom || apiVersion === apiVersionOf(kind)) return undefined
  const stored = storedKindOf(kind)
  const other = kinds.find(one => apiVersionOf(one) === apiVersion && storedKindOf(one) === stored)
  if (other === undefined) return undefined
  return {
    shape: other.schema.shape,
    of: object => converted(object, kind, other),
    back: object => converted(object, other, kind),
  }
}

function converted(object: Json, from: Kind, to: Kind): Json {
  const given = object as unknown as KubeObject
  const stored = from.storedAs === undefined ? given : from.storedAs.write(given)
  assert(!(stored instanceof Promise), 'a kind of our own is converted at once')
  const shown = to.storedAs === undefined ? [stored] : to.storedAs.read([stored])
  assert(!(shown instanceof Promise), 'a kind of our own is converted at once')
  return (shown[0] ?? null) as Json
}
