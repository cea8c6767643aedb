// Server-side apply: an applied configuration says all that its manager wants; who owns which field is kept in
// metadata.managedFields. Changing a field that another manager owns is a conflict unless forced; fields that the manager
// applied before and no longer does go, unless somebody else owns them. Other writes are tracked by trackUpdate.
// Upstream: structured-merge-diff merge/update.go. https://kubernetes.io/docs/reference/using-api/server-side-apply/
import { rfc3339 } from '../../lib/duration.ts'
import { equalJson } from '../equal.ts'
import { ApiError, type StatusCause } from '../error.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../kind.ts'
import { type Pausing, withoutPauses } from '../pausing.ts'
import type { Json } from '../schema.ts'
import {
  difference,
  emptySet,
  equalSets,
  type FieldPath,
  type FieldSet,
  hasMember,
  intersection,
  isEmptySet,
  membersOf,
  pathText,
  union,
} from './fieldset.ts'
import { type Form, formOf } from './forms.ts'
import { kubectl, lastAppliedSet, withLastApplied } from './lastapplied.ts'
import {
  capManagers,
  type Manager,
  type Managers,
  managerKey,
  managerText,
  readManagers,
  writeManagers,
} from './managers.ts'
import { type Comparison, compare, fieldSetOf, merge, removeItems, withNamedFields } from './typed.ts'

export type ApplyOptions = {
  readonly manager: string
  /** Take the fields that others own. */
  readonly force: boolean
  readonly nowMs: number
  readonly subresource?: string
}

const beforeFirstApply = 'before-first-apply'

/**
 * What the object is to be, with its managedFields; it still has to go through admit. Throws ApiError Conflict with one cause
 * per field that another manager owns.
 */
export function applyPatch<T extends KubeObject>(...asked: Parameters<typeof applying<T>>): T {
  return withoutPauses(applying(...asked))
}

/** The same, which yields now and then so that others may run: a large object takes long. */
export function* applying<T extends KubeObject>(
  kind: Kind<T>,
  live: T | undefined,
  applied: T,
  options: ApplyOptions,
): Pausing<T> {
  const { shape } = kind.schema
  const config = configOf(kind, applied, options.subresource)
  const before = live && bare(live)
  const known = live ? withFirst(kind, live, readManagers(live), options) : readManagers(undefined)
  const own = managerOf(kind, options, 'Apply')
  const key = managerKey(own)
  yield
  const set = owned(kind, fieldSetOf(shape, config as unknown as Json), options.subresource)
  yield
  const last = known.get(key)
  const managers = new Map(known).set(key, { ...own, set })
  const merged = merge(shape, before as Json | undefined, config as unknown as Json)
  yield
  // Nothing that it applied before is missing now, as when the same is applied again.
  const isAll = last?.apiVersion === own.apiVersion && isEmptySet(difference(last.set, set))
  const pruned = last === undefined || isAll ? merged : yield* prune(kind, merged, managers, last)
  yield
  const changes = compare(shape, before as Json | undefined, pruned)
  yield
  const { settled, conflicts } = settle(managers, key, changesSeen(kind, before as Json | undefined, pruned, changes))
  if (!options.force) refuseConflicts(kind, live, options, conflicts)
  const same = last && equalSets(last.set, set) && equalJson(before, pruned)
  const time = same ? last.time : rfc3339(options.nowMs)
  settled.set(key, { ...own, time, set })
  yield
  return withManagers(withLastApplied(pruned as unknown as T, applied, options), live ?? applied, settled)
}

type Conflict = { readonly manager: Manager; readonly path: FieldPath }

/** What kubectl had applied on the client's side before is its own still. */
function refuseConflicts<T extends KubeObject>(
  kind: Kind<T>,
  live: T | undefined,
  { manager }: ApplyOptions,
  conflicts: readonly Conflict[],
): void {
  if (conflicts.length === 0) return
  const own = live && manager === kubectl ? lastAppliedSet(kind, live) : undefined
  const left = own ? conflicts.filter(({ path }) => !hasMember(own, path)) : conflicts
  if (left.length > 0) throw conflictError(left)
}

/** `next` with managedFields that say what its manager has changed, compared to `old`. */
export function trackUpdate<T extends KubeObject>(...asked: Parameters<typeof tracking<T>>): T {
  return withoutPauses(tracking(...asked))
}

/** The same with pauses, as `applying`. */
export function* tracking<T extends KubeObject>(
  kind: Kind<T>,
  old: T | undefined,
  next: T,
  options: Omit<ApplyOptions, 'force'>,
): Pausing<T> {
  const given = next.metadata.managedFields
  // One empty entry is how a client asks to forget.
  if (given?.length === 1 && Object.keys(given[0] ?? {}).length === 0) return withManagers(bare(next), next, new Map())
  const known = readManagers(next)
  // An object that was never tracked stays so until somebody applies it.
  if (old && known.size === 0) return next
  yield
  const managers = capManagers(yield* updated(kind, old && bare(old), bare(next), known, options))
  yield
  return withManagers(bare(next), next, managers)
}

function* updated<T extends KubeObject>(
  kind: Kind<T>,
  before: T | undefined,
  after: T,
  known: Managers,
  options: Omit<ApplyOptions, 'force'>,
): Pausing<Managers> {
  const own = managerOf(kind, options, 'Update')
  const key = managerKey(own)
  const changes = compare(kind.schema.shape, before as Json | undefined, after as unknown as Json)
  yield
  const taken = owned(kind, union(changes.modified, changes.added), options.subresource)
  const seen = changesSeen(kind, before as Json | undefined, after as unknown as Json, changes)
  const { settled } = settle(known, key, seen)
  const had = settled.get(key)
  if (isEmptySet(taken) && had === undefined) return settled
  const set = union(difference(had?.set ?? emptySet, changes.removed), taken)
  const time = isEmptySet(taken) ? had?.time : rfc3339(options.nowMs)
  settled.set(key, { ...own, time, set })
  return settled
}

function managerOf(kind: Kind, options: Omit<ApplyOptions, 'force'>, operation: Manager['operation']): Manager {
  return {
    name: options.manager,
    operation,
    apiVersion: apiVersionOf(kind),
    subresource: options.subresource ?? '',
    time: undefined,
    set: emptySet,
  }
}

/** Before the first apply all that is there belongs to whoever made it. */
function withFirst<T extends KubeObject>(kind: Kind<T>, live: T, managers: Managers, options: ApplyOptions): Managers {
  if (managers.size > 0) return managers
  const first = { manager: beforeFirstApply, nowMs: options.nowMs }
  return withoutPauses(updated(kind, undefined, bare(live), managers, first))
}

/** What this door lets a manager apply: /status the status, the plain one all but it. */
function configOf<T extends KubeObject>(kind: Kind<T>, applied: T, subresource: string | undefined): T {
  const config = bare(applied)
  if (!kind.subresources.includes('status')) return config
  const { status, ...rest } = config as T & { readonly status?: unknown }
  if (subresource !== 'status') return rest as unknown as T
  const { apiVersion, kind: name, metadata } = config
  return { apiVersion, kind: name, metadata, ...(status !== undefined && { status }) } as unknown as T
}

function bare<T extends KubeObject>(object: T): T {
  if (object.metadata.managedFields === undefined) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** Of metadata: what names the object, and what the server writes. */
const ownedByNobody = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
].map(field => `f:${field}`)

/** What the server writes, and what names the object, has no owner. */
function owned(kind: Kind, set: FieldSet, subresource: string | undefined): FieldSet {
  const children = new Map(set.children)
  children.delete('f:apiVersion')
  children.delete('f:kind')
  const meta = new Map(set.children.get('f:metadata')?.children)
  for (const element of ownedByNobody) meta.delete(element)
  if (meta.size === 0) children.delete('f:metadata')
  else children.set('f:metadata', { member: false, children: meta })
  if (kind.subresources.includes('status')) {
    const mine = (element: string) =>
      element === 'f:metadata' || (element === 'f:status') === (subresource === 'status')
    for (const element of [...children.keys()]) if (!mine(element)) children.delete(element)
  }
  return { member: false, children }
}

/** Takes what the manager applied before, applies no more, and nobody else owns. */
function* prune(kind: Kind, merged: Json, managers: Managers, last: Manager): Pausing<Json> {
  const begin = viewOf(kind, last.apiVersion)
  const whole = begin.of(merged)
  const there = withNamedFields(begin.shape, fieldSetOf(begin.shape, whole))
  yield
  const before = intersection(withNamedFields(begin.shape, last.set), there)
  yield
  const gone = difference(before, ownedIn(kind, managers, begin))
  yield
  let pruned = begin.back(removeItems(begin.shape, whole, gone) ?? {})
  // What others own in another form stays with all that it is made of.
  const versions = new Set([...managers.values()].map(({ apiVersion }) => viewOf(kind, apiVersion).apiVersion))
  versions.delete(begin.apiVersion)
  for (const version of versions) {
    const view = viewOf(kind, version)
    const all = view.of(merged)
    const setOf = (value: Json) => withNamedFields(view.shape, fieldSetOf(view.shape, value))
    const kept = union(setOf(view.of(pruned)), ownedIn(kind, managers, view))
    pruned = view.back(removeItems(view.shape, all, difference(setOf(all), kept)) ?? {})
    yield
  }
  return pruned
}

/** How the owners of one version see an object. */
type View = Form & { readonly apiVersion: string }

const unchanged = (object: Json): Json => object

/** A version that has no form of its own counts as that of the kind. */
function viewOf(kind: Kind, apiVersion: string): View {
  const form = formOf(kind, apiVersion)
  return form
    ? { ...form, apiVersion }
    : { apiVersion: apiVersionOf(kind), shape: kind.schema.shape, of: unchanged, back: unchanged }
}

function ownedIn(kind: Kind, managers: Managers, { apiVersion: version, shape }: View): FieldSet {
  const owners = [...managers.values()].filter(({ apiVersion }) => viewOf(kind, apiVersion).apiVersion === version)
  return withNamedFields(
    shape,
    owners.reduce((sum, { set }) => union(sum, set), emptySet),
  )
}

type Changed = { readonly touched: FieldSet; readonly removed: FieldSet }

/** What has changed, in the form of a version; `changes` in that of the kind. */
function changesSeen(
  kind: Kind,
  before: Json | undefined,
  after: Json,
  changes: Comparison,
): (apiVersion: string) => Changed {
  const known = new Map<string, Changed>()
  return asked => {
    const { apiVersion, shape, of } = viewOf(kind, asked)
    const found = known.get(apiVersion)
    if (found) return found
    const isOwn = apiVersion === apiVersionOf(kind)
    const { modified, added, removed } = isOwn ? changes : compare(shape, before && of(before), of(after))
    const made = { touched: union(modified, added), removed }
    known.set(apiVersion, made)
    return made
  }
}

/** Takes from all others what this change gives to `key` and what it removes. The first is a conflict with them. */
function settle(
  managers: Managers,
  key: string,
  seen: (apiVersion: string) => Changed,
): { readonly settled: Map<string, Manager>; readonly conflicts: readonly Conflict[] } {
  const conflicts: Conflict[] = []
  const settled = new Map<string, Manager>()
  for (const [other, manager] of managers) {
    if (other === key) {
      settled.set(other, manager)
      continue
    }
    const { touched, removed } = seen(manager.apiVersion)
    const lost = intersection(manager.set, touched)
    for (const path of membersOf(lost)) conflicts.push({ manager, path })
    const set = difference(difference(manager.set, lost), removed)
    if (!isEmptySet(set)) settled.set(other, { ...manager, set })
  }
  return { settled, conflicts }
}

function conflictError(conflicts: readonly Conflict[]): ApiError {
  const causes = conflicts.map(
    ({ manager, path }): StatusCause => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${managerText(manager)}`,
      field: pathText(path),
    }),
  )
  const [first] = causes
  if (causes.length === 1 && first) {
    return new ApiError('Conflict', `Apply failed with 1 conflict: ${first.message}: ${first.field}`, { causes })
  }
  const byManager = Map.groupBy(conflicts, ({ manager }) => managerText(manager))
  const lines = [...byManager]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([manager, list]) => [`conflicts with ${manager}:`, ...list.map(({ path }) => `- ${pathText(path)}`)])
  return new ApiError('Conflict', `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`, { causes })
}

/** An empty list is written as such: it says that nobody owns anything, where no list would leave things as they were. */
function withManagers<T extends KubeObject>(object: T, source: T, managers: Managers): T {
  const metadata = { ...(object.metadata ?? source.metadata), managedFields: writeManagers(managers) }
  return { ...object, apiVersion: source.apiVersion, kind: source.kind, metadata }
}
