// All kinds that the store holds, as what a controller reads: keyed by their resource ('pods', 'deployments.apps'). A kind
// that is stored as another is not read besides it. What somebody defined comes to the built-in kinds: of it, objects are
// read as they are stored, which for metadata is as good as any version.
import { storedKind } from '../api/custom/kind.ts'
import { apiVersionOf, type Kind, resourceOf, storedKindOf } from '../api/kind.ts'
import { type CustomResourceDefinition, hasCondition } from '../api/kinds/customresourcedefinition.ts'
import { kinds } from '../api/kinds.ts'
import { sameJson } from '../lib/canonical.ts'
import { sortedBy } from '../lib/sorted.ts'

/** A kind that a CustomResourceDefinition defines, and all versions that its objects are called by. */
export type CustomStored = { readonly kind: Kind; readonly apiVersions: readonly string[] }

/** Of the definitions that are served, sorted by name. */
export function customStored(definitions: readonly CustomResourceDefinition[]): readonly CustomStored[] {
  return sortedBy(definitions, ({ metadata }) => metadata.name)
    .filter(definition => hasCondition(definition, 'Established'))
    .map(definition => {
      const { group, versions } = definition.spec
      const served = versions.filter(version => version.served)
      const kind = storedKind(definition)
      // What is written goes by a version that is served.
      const version = served.find(({ storage }) => storage)?.name ?? served[0]?.name ?? kind.version
      return { kind: { ...kind, version }, apiVersions: versions.map(({ name }) => `${group}/${name}`) }
    })
}

/** Whether two lists name the same kinds, so that whoever follows the one follows the other. */
export function sameStored(a: readonly CustomStored[], b: readonly CustomStored[]): boolean {
  const names = (all: readonly CustomStored[]) =>
    all.map(({ kind, apiVersions }) => [resourceOf(kind), kind.version, kind.kind, kind.scope, apiVersions])
  return sameJson(names(a), names(b))
}

export type KnownKinds = {
  /** Sorted by resource. */
  readonly stored: readonly Kind[]
  readonly reads: Readonly<Record<string, Kind>>
  /** The kind by which objects of this version are read. */
  of(apiVersion: string, name: string): Kind | undefined
}

export function knownKinds(custom: readonly CustomStored[]): KnownKinds {
  const own = kinds.filter(kind => kind.stored && kind.storedAs === undefined)
  const stored = sortedBy([...own, ...custom.map(({ kind }) => kind)], resourceOf)
  const byName = new Map<string, Kind>()
  for (const { kind, apiVersions } of custom) {
    for (const apiVersion of apiVersions) byName.set(`${apiVersion} ${kind.kind}`, kind)
  }
  for (const kind of kinds) {
    if (kind.stored) byName.set(`${apiVersionOf(kind)} ${kind.kind}`, storedKindOf(kind))
  }
  return {
    stored,
    reads: Object.fromEntries(stored.map(kind => [resourceOf(kind), kind])),
    of: (apiVersion, name) => byName.get(`${apiVersion} ${name}`),
  }
}
