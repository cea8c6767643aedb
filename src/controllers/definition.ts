// CustomResourceDefinitions: accepts their names unless another of the group has them already, says that they are served,
// and when one is deleted lets it go only after its objects.
// After apiextensions-apiserver pkg/controller/{status,establish,finalizer}.
import { approvalCondition } from '../api/custom/approval.ts'
import { bundleFault } from '../api/custom/bundle.ts'
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import {
  type CustomResourceDefinition,
  type CustomResourceDefinitionCondition,
  type CustomResourceDefinitionNames,
  cleanupFinalizer,
  customResourceDefinition,
  hasCondition,
} from '../api/kinds/customresourcedefinition.ts'
import { isDeleting } from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { rfc3339 } from '../lib/duration.ts'
import { sortedBy } from '../lib/sorted.ts'
import {
  type Change,
  type Controller,
  defineController,
  defineSweep,
  guarded,
  nothing,
  patch,
  remove,
  updateStatus,
} from './controller.ts'
import type { CustomStored } from './storedkinds.ts'

type Definition = CustomResourceDefinition
type Names = CustomResourceDefinitionNames

/** One plan for all, so that of two that want a name only one gets it. */
export const definitionNamesController: Controller = defineSweep({
  name: 'definitionnames',
  reads: { definitions: customResourceDefinition },
  reconcile({ definitions }, { nowMs }) {
    const all = sortedBy(definitions.list(), ({ metadata }) => `${metadata.creationTimestamp} ${metadata.name}`)
    const accepted = new Map(all.map(({ metadata, status }) => [metadata.name, status?.acceptedNames]))
    const changes: Change[] = []
    for (const definition of all) {
      const next = judged(definition, taken(definition, all, accepted), nowMs)
      accepted.set(definition.metadata.name, next.status.acceptedNames)
      if (!sameJson(next.status, definition.status)) changes.push(updateStatus(customResourceDefinition, next))
    }
    return { changes }
  },
})

type Taken = { readonly resources: ReadonlySet<string>; readonly kinds: ReadonlySet<string> }

/** The names that the others of the group have. */
function taken(
  definition: Definition,
  all: readonly Definition[],
  accepted: ReadonlyMap<string, Names | undefined>,
): Taken {
  const others = all
    .filter(one => one.spec.group === definition.spec.group && one.metadata.name !== definition.metadata.name)
    .map(one => accepted.get(one.metadata.name))
  const named = (names: readonly (string | undefined)[]) =>
    new Set(names.filter(name => name !== undefined && name !== ''))
  return {
    resources: named(others.flatMap(one => [one?.plural, one?.singular, ...(one?.shortNames ?? [])])) as Set<string>,
    kinds: named(others.flatMap(one => [one?.kind, one?.listKind])) as Set<string>,
  }
}

function judged(definition: Definition, { resources, kinds }: Taken, nowMs: number): Definition {
  const { names } = definition.spec
  const before = definition.status?.acceptedNames ?? { plural: '', kind: '' }
  const faults: { readonly reason: string; readonly message: string }[] = []
  const pick = (reason: string, name: string | undefined, had: string | undefined, used: ReadonlySet<string>) => {
    if (name === had || name === undefined || !used.has(name)) return name
    faults.push({ reason, message: `${JSON.stringify(name)} is already in use` })
    return had
  }
  const shortNames = names.shortNames ?? []
  const short = shortNames.filter(name => resources.has(name) && !(before.shortNames ?? []).includes(name))
  const next: Names = {
    plural: pick('PluralConflict', names.plural, before.plural, resources) ?? '',
    ...only('singular', pick('SingularConflict', names.singular, before.singular, resources)),
    ...only('shortNames', short.length === 0 ? names.shortNames : before.shortNames),
    kind: pick('KindConflict', names.kind, before.kind, kinds) ?? '',
    ...only('listKind', pick('ListKindConflict', names.listKind, before.listKind, kinds)),
    ...only('categories', names.categories),
  }
  if (short.length > 0) {
    const texts = short.map(name => `${JSON.stringify(name)} is already in use`)
    faults.push({
      reason: 'ShortNamesConflict',
      message: texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`,
    })
  }
  const fault = faults.at(-1)
  const conditions = [
    fault === undefined
      ? { type: 'NamesAccepted', status: 'True' as const, reason: 'NoConflicts', message: 'no conflicts found' }
      : { type: 'NamesAccepted', status: 'False' as const, ...fault },
    established(definition, fault === undefined),
    ...[approvalCondition(definition) ?? []].flat(),
  ]
  const status = {
    ...definition.status,
    acceptedNames: next,
    conditions: conditions.reduce((list, one) => withCondition(list, one, nowMs), definition.status?.conditions ?? []),
  }
  return { ...definition, status } as Definition
}

/** Once established it stays so, whatever names it asks for later. */
function established(
  definition: Definition,
  isAccepted: boolean,
): Omit<CustomResourceDefinitionCondition, 'lastTransitionTime'> {
  const type = 'Established'
  if (isAccepted && !hasCondition(definition, type) && bundleFault(definition.spec) !== undefined) {
    return { type, status: 'False', reason: 'InvalidCABundle', message: 'The conversion webhook CABundle is invalid' }
  }
  if (isAccepted || hasCondition(definition, type)) {
    const message = 'the initial names have been accepted'
    return { type, status: 'True', reason: 'InitialNamesAccepted', message }
  }
  return { type, status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' }
}

function withCondition(
  list: readonly CustomResourceDefinitionCondition[],
  next: Omit<CustomResourceDefinitionCondition, 'lastTransitionTime'>,
  nowMs: number,
): readonly CustomResourceDefinitionCondition[] {
  const before = list.find(({ type }) => type === next.type)
  const kept = before?.status === next.status ? before.lastTransitionTime : undefined
  const made = { ...next, lastTransitionTime: kept ?? rfc3339(nowMs) }
  return before === undefined ? [...list, made] : list.map(one => (one === before ? made : one))
}

function only<K extends string, V>(name: K, value: V | undefined): { readonly [key in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in K]: V })
}

/** Empties the definitions that are being deleted. */
export const definitionCleanupController: Controller = cleanupOf([])

function cleanupOf(custom: readonly CustomStored[]): Controller {
  const kinds = new Map(custom.map(({ kind }) => [resourceOf(kind), kind]))
  return { ...cleaning(kinds), withKinds: cleanupOf }
}

function cleaning(kinds: ReadonlyMap<string, Kind>): Controller {
  return defineController({
    name: 'definitioncleanup',
    of: customResourceDefinition,
    reads: Object.fromEntries(kinds) as Readonly<Record<string, Kind>>,
    // A definition is called by the resource that it defines.
    wakes: Object.fromEntries([...kinds.keys()].map(resource => [resource, () => [resource]])),
    reconcile(definition, views) {
      const { name, finalizers = [] } = definition.metadata
      if (!isDeleting(definition) || !finalizers.includes(cleanupFinalizer)) return nothing
      const kind = kinds.get(name)
      // Served, but not among the kinds yet: the next round sees to it.
      if (kind === undefined && hasCondition(definition, 'Established')) return nothing
      const left: readonly KubeObject[] = views[name]?.list() ?? []
      if (kind !== undefined && left.length > 0) {
        const removals = left.filter(object => !isDeleting(object)).map(object => remove(kind, object))
        return { changes: removals }
      }
      const rest = finalizers.filter(one => one !== cleanupFinalizer)
      const change = patch(customResourceDefinition, definition, {
        metadata: {
          resourceVersion: definition.metadata.resourceVersion,
          finalizers: rest.length > 0 ? rest : null,
        },
      })
      // The view of the objects may be behind.
      const guards = kind === undefined ? [] : [{ kind: 'empty' as const, of: [kind], namespace: '' }]
      return { changes: [guarded(change, guards)] }
    },
  })
}
