// All kinds that the store holds, as what a controller reads: keyed by their resource ('pods', 'deployments.apps').
import { apiVersionOf, type Kind, resourceOf } from '../api/kind.ts'
import { kinds } from '../api/kinds.ts'
import { sortedBy } from '../lib/sorted.ts'

export const storedKinds: readonly Kind[] = sortedBy(
  kinds.filter(kind => kind.stored),
  resourceOf,
)

export const storedReads: Readonly<Record<string, Kind>> = Object.fromEntries(
  storedKinds.map(kind => [resourceOf(kind), kind]),
)

export function kindOf(apiVersion: string, name: string): Kind | undefined {
  return storedKinds.find(kind => kind.kind === name && apiVersionOf(kind) === apiVersion)
}
