// Sets of fields, as managedFields records them: a trie of path elements. An element is text as in FieldsV1: 'f:spec' a
// field or a map's key, 'k:{"name":"web"}' an item of a list by its keys, 'v:"x"' an item of a set by its value. A node is a
// member when the field itself is in the set, not only something below it. Values, never changed once built.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
import { isKept, KeptDerivation } from '../../lib/kept.ts'
import { sortedBy } from '../../lib/sorted.ts'
import { isObject } from '../parse.ts'
import type { Json, JsonObject } from '../schema.ts'

export interface FieldSet {
  readonly member: boolean
  readonly children: ReadonlyMap<string, FieldSet>
}

export type FieldPath = readonly string[]

const noChildren: ReadonlyMap<string, FieldSet> = new Map()

export const emptySet: FieldSet = Object.freeze({ member: false, children: noChildren })

/** A field, and nothing of what is below it: most of what is in a set, and one for all. */
export const fieldAlone: FieldSet = Object.freeze({ member: true, children: noChildren })

/** The set of these; the shared ones where it can be. */
export function setOf(member: boolean, children: ReadonlyMap<string, FieldSet>): FieldSet {
  if (children.size > 0) return { member, children }
  return member ? fieldAlone : emptySet
}

export function isEmptySet(set: FieldSet): boolean {
  return !set.member && set.children.size === 0
}

/** Collects paths into a set. */
export class FieldSetBuilder {
  readonly #root: { member: boolean; children: Map<string, FieldSet> } = { member: false, children: new Map() }

  insert(path: FieldPath): void {
    let node = this.#root
    for (const element of path) {
      const below = (node.children.get(element) as typeof node | undefined) ?? { member: false, children: new Map() }
      node.children.set(element, below)
      node = below
    }
    node.member = true
  }

  /** All of `set`, below `path`, where nothing is yet. */
  attach(path: FieldPath, set: FieldSet): void {
    if (isEmptySet(set)) return
    let node = this.#root
    for (const element of path.slice(0, -1)) {
      const below = (node.children.get(element) as typeof node | undefined) ?? { member: false, children: new Map() }
      node.children.set(element, below)
      node = below
    }
    const last = path.at(-1)
    if (last !== undefined) node.children.set(last, set as typeof node)
  }

  finish(): FieldSet {
    return this.#root
  }
}

/** Each child of `a` as `act` makes it of the two; what comes out empty is left out. */
function combined(
  member: boolean,
  a: FieldSet,
  b: FieldSet,
  act: (child: FieldSet, other: FieldSet) => FieldSet,
): FieldSet {
  const children = new Map<string, FieldSet>()
  for (const [name, child] of a.children) {
    const made = act(child, b.children.get(name) ?? emptySet)
    if (!isEmptySet(made)) children.set(name, made)
  }
  return setOf(member, children)
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  // Sets are values: the same one may stand in many places.
  if (isEmptySet(a) || a === b) return b
  if (isEmptySet(b)) return a
  const children = new Map(a.children)
  for (const [name, child] of b.children) children.set(name, union(a.children.get(name) ?? emptySet, child))
  return { member: a.member || b.member, children }
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a) || isEmptySet(b)) return emptySet
  if (a === b) return a
  return combined(a.member && b.member, a, b, intersection)
}

/** What is in `a` and not in `b`; a member of `b` takes nothing that lies below it. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(b)) return a
  if (a === b) return emptySet
  return combined(a.member && !b.member, a, b, difference)
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true
  if (a.member !== b.member || a.children.size !== b.children.size) return false
  for (const [name, child] of a.children) {
    const other = b.children.get(name)
    if (other === undefined || !equalSets(child, other)) return false
  }
  return true
}

export function hasMember(set: FieldSet, path: FieldPath): boolean {
  let node: FieldSet | undefined = set
  for (const element of path) node = node?.children.get(element)
  return node?.member ?? false
}

/** All members, in order of their text. */
export function* membersOf(set: FieldSet, path: FieldPath = []): Generator<FieldPath> {
  if (set.member) yield path
  for (const [name, child] of sortedBy(set.children, ([element]) => element)) yield* membersOf(child, [...path, name])
}

/** The FieldsV1 of managedFields, in order of text. */
export function encodeSet(set: FieldSet): JsonObject {
  return isKept(set) ? encoded.of(set, undefined, () => encodedSet(set)) : encodedSet(set)
}

const encoded = new KeptDerivation<undefined, JsonObject>()

function encodedSet(set: FieldSet): JsonObject {
  const fields: { [name: string]: Json } = {}
  if (set.member && set.children.size > 0) fields['.'] = {}
  // By code unit, which sort does by itself, much faster than with a function.
  for (const name of [...set.children.keys()].sort()) {
    const child = set.children.get(name)
    // Most are a field and nothing below it.
    fields[name] = child === undefined || child.children.size === 0 ? none : encodeSet(child)
  }
  return fields
}

const none: JsonObject = {}

/** Anything that is no FieldsV1 is left out: it came from outside. */
export function decodeSet(fields: Json | undefined): FieldSet {
  if (!isObject(fields)) return emptySet
  return { member: false, children: childrenOf(fields) }
}

function childrenOf(fields: JsonObject): ReadonlyMap<string, FieldSet> {
  const children = new Map<string, FieldSet>()
  for (const [name, below] of Object.entries(fields)) {
    if (name === '.' || !isObject(below)) continue
    const set = Object.keys(below).length === 0 ? fieldAlone : setOf(Object.hasOwn(below, '.'), childrenOf(below))
    if (!isEmptySet(set)) children.set(name, set)
  }
  return children
}

/** As conflicts name a field: .spec.containers[name="web"].image */
export function pathText(path: FieldPath): string {
  return path
    .map(element => {
      const content = element.slice(2)
      if (element.startsWith('f:')) return `.${content}`
      if (element.startsWith('v:')) return `[=${content}]`
      if (!element.startsWith('k:')) return `[${content}]`
      const keys = JSON.parse(content) as JsonObject
      return `[${Object.entries(keys)
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
        .join(',')}]`
    })
    .join('')
}
