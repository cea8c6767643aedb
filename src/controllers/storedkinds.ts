// All kinds that the store holds, as what a controller reads: keyed by their resource ('pods', 'deployments.apps'). A kind
// that is stored as another is not read besides it.
import { apiVersionOf, type Kind, resourceOf, storedKindOf } from '../api/kind.ts'
import { kinds } from '../api/kinds.ts'
import { sortedBy } from '../lib/sorted.ts'

export const storedKinds: readonly Kind[] = sortedBy(
  kinds.filter(kind => kind.stored && kind.storedAs === undefined),
  resourceOf,
)

export const storedReads: Readonly<Record<string, Kind>> = Object.fromEntries(
  storedKinds.map(kind => [resourceOf(kind), kind]),
)

/** The kind by which objects of this version are read. */
export function kindOf(apiVersion: string, name: string): Kind | undefined {
  const found = kinds.find(kind => kind.stored && kind.kind === name && apiVersionOf(kind) === apiVersion)
  return found && storedKindOf(found)
}
