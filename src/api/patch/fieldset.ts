// Sets of fields, as managedFields records them: a trie of path elements. An element is text as in FieldsV1: 'f:spec' a
// field or a map's key, 'k:{"name":"web"}' an item of a list by its keys, 'v:"x"' an item of a set by its value. A node is a
// member when the field itself is in the set, not only something below it. Values, never changed once built.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
import { sortedBy } from '../../lib/sorted.ts'
import { isObject } from '../parse.ts'
import type { Json, JsonObject } from '../schema.ts'

export interface FieldSet {
  readonly member: boolean
  readonly children: ReadonlyMap<string, FieldSet>
}

export type FieldPath = readonly string[]

export const emptySet: FieldSet = { member: false, children: new Map() }

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

  finish(): FieldSet {
    return this.#root
  }
}

function made(member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  return { member, children: new Map([...children].filter(([, child]) => !isEmptySet(child))) }
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const names = new Set([...a.children.keys(), ...b.children.keys()])
  return made(
    a.member || b.member,
    [...names].map(name => [name, union(a.children.get(name) ?? emptySet, b.children.get(name) ?? emptySet)]),
  )
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return made(
    a.member && b.member,
    [...a.children].map(([name, child]) => [name, intersection(child, b.children.get(name) ?? emptySet)]),
  )
}

/** What is in `a` and not in `b`; a member of `b` takes nothing that lies below it. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return made(
    a.member && !b.member,
    [...a.children].map(([name, child]) => [name, difference(child, b.children.get(name) ?? emptySet)]),
  )
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  return (
    a.member === b.member &&
    a.children.size === b.children.size &&
    [...a.children].every(([name, child]) => {
      const other = b.children.get(name)
      return other !== undefined && equalSets(child, other)
    })
  )
}

/** Without the subtree below `path`, and without `path` itself. */
export function withoutTree(set: FieldSet, path: FieldPath): FieldSet {
  const [first, ...rest] = path
  const child = first === undefined ? undefined : set.children.get(first)
  if (first === undefined || child === undefined) return set
  const replaced = rest.length === 0 ? emptySet : withoutTree(child, rest)
  return made(
    set.member,
    [...set.children].map(([name, other]) => [name, name === first ? replaced : other]),
  )
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

/** The FieldsV1 of managedFields. */
export function encodeSet(set: FieldSet): JsonObject {
  const children = sortedBy(set.children, ([name]) => name).map(([name, child]): [string, Json] => [
    name,
    encodeSet(child),
  ])
  return Object.fromEntries(set.member && children.length > 0 ? [['.', {}], ...children] : children)
}

/** Anything that is no FieldsV1 is left out: it came from outside. */
export function decodeSet(fields: Json | undefined): FieldSet {
  if (!isObject(fields)) return emptySet
  return made(false, childrenOf(fields))
}

function childrenOf(fields: JsonObject): [string, FieldSet][] {
  return Object.entries(fields)
    .filter(([name, below]) => name !== '.' && isObject(below))
    .map(([name, below]) => {
      const inner = isObject(below) ? below : {}
      const member = Object.keys(inner).length === 0 || Object.hasOwn(inner, '.')
      return [name, made(member, childrenOf(inner))]
    })
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
