// The kinds that this server serves, found by where they are served.
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { selfSubjectReview } from '../api/kinds/selfsubjectreview.ts'
import { kinds } from '../api/kinds.ts'
import { quorum } from './quorum.ts'
import { pathNotFound } from './route.ts'

/** kubectl 1.27 asks who it is in the versions that came before v1. */
const older: readonly Kind[] = ['v1beta1', 'v1alpha1'].map(version => ({ ...selfSubjectReview, version }))

export const served: readonly Kind[] = [...kinds, ...older, quorum]

const byPath = new Map(served.map(kind => [`${kind.group}/${kind.version}/${kind.plural}`, kind]))

export function kindAt(place: { readonly group: string; readonly version: string; readonly resource: string }): Kind {
  const kind = byPath.get(`${place.group}/${place.version}/${place.resource}`)
  if (kind === undefined) throw new ApiError('NotFound', pathNotFound)
  return kind
}
