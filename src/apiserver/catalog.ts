// The kinds that this server serves, found by where they are served.
import type { Kind } from '../api/kind.ts'
import { nodeMetrics } from '../api/kinds/nodemetrics.ts'
import { podMetrics } from '../api/kinds/podmetrics.ts'
import { selfSubjectReview } from '../api/kinds/selfsubjectreview.ts'
import { kinds } from '../api/kinds.ts'
import type { Until } from '../lib/abort.ts'
import { quorum } from './quorum.ts'

export interface Catalog {
  /** The same list until something is served that was not, or no longer: what is made of it can be kept by it. */
  kinds(): readonly Kind[]
  /** NotFound where nothing is served, by the newest that this peer can know. */
  find(place: Place, until: Until): Kind | Promise<Kind>
  /** Aborts when the kind is served no longer, or differently; undefined: never. */
  ended(kind: Kind): AbortSignal | undefined
}

export type Place = { readonly group: string; readonly version: string; readonly resource: string }

/** kubectl 1.27 asks who it is in the versions that came before v1. */
const older: readonly Kind[] = ['v1beta1', 'v1alpha1'].map(version => ({ ...selfSubjectReview, version }))

/** The kinds that every cluster serves. */
export const builtIn: readonly Kind[] = [...kinds, ...older, nodeMetrics, podMetrics, quorum]

const byPlace = new Map(builtIn.map(kind => [`${kind.group}/${kind.version}/${kind.plural}`, kind]))

export function builtInAt({ group, version, resource }: Place): Kind | undefined {
  return byPlace.get(`${group}/${version}/${resource}`)
}
