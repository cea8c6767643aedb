// The types of the Common Expression Language (cel-spec, "Language Definition", Gradual Type Checking): what they are, how
// they print in messages, and when a value of one may stand where another is expected. Pure; used by check.ts and cost.ts.

export type Type =
  | { readonly kind: 'dyn' | 'error' | 'null' | 'bool' | 'int' | 'uint' | 'double' | 'string' | 'bytes' }
  | { readonly kind: 'duration' | 'timestamp' }
  | { readonly kind: 'list'; readonly element: Type }
  | { readonly kind: 'map'; readonly key: Type; readonly value: Type }
  | ObjectType
  /** A type of a library (net.IP), or optional_type with its parameter. */
  | { readonly kind: 'opaque'; readonly name: string; readonly parameters: readonly Type[] }
  /** The type of a type. */
  | { readonly kind: 'type'; readonly of: Type | undefined }
  /** Stands for any one type in the signature of a function. */
  | { readonly kind: 'param'; readonly name: string }

/** An object with known fields. Two of them are the same type when their names are equal. */
export interface ObjectType {
  readonly kind: 'object'
  readonly name: string
  /** The type of a field; undefined when there is no such field. */
  field(name: string): Type | undefined
}

export const dyn: Type = { kind: 'dyn' }
export const errorType: Type = { kind: 'error' }
export const nullType: Type = { kind: 'null' }
export const bool: Type = { kind: 'bool' }
export const int: Type = { kind: 'int' }
export const uint: Type = { kind: 'uint' }
export const double: Type = { kind: 'double' }
export const string: Type = { kind: 'string' }
export const bytes: Type = { kind: 'bytes' }
export const duration: Type = { kind: 'duration' }
export const timestamp: Type = { kind: 'timestamp' }
export const list = (element: Type): Type => ({ kind: 'list', element })
export const map = (key: Type, value: Type): Type => ({ kind: 'map', key, value })
export const opaque = (name: string, ...parameters: Type[]): Type => ({ kind: 'opaque', name, parameters })
export const optional = (of: Type): Type => opaque('optional_type', of)
export const typeType = (of?: Type): Type => ({ kind: 'type', of })
export const param = (name: string): Type => ({ kind: 'param', name })

/** As cel-go prints it in messages: list(int), map(string, dyn), the name of an object. */
export function formatType(type: Type): string {
  switch (type.kind) {
    case 'list':
      return `list(${formatType(type.element)})`
    case 'map':
      return `map(${formatType(type.key)}, ${formatType(type.value)})`
    case 'object':
      return type.name
    case 'opaque':
      return type.parameters.length === 0 ? type.name : `${type.name}(${type.parameters.map(formatType).join(', ')})`
    case 'type':
      return type.of === undefined ? 'type' : `type(${formatType(type.of)})`
    case 'param':
      return type.name
    case 'error':
      return '!error!'
    default:
      return type.kind
  }
}

/** What type parameters stand for, found while checking. An attempt that fails leaves nothing behind. */
export class Bindings {
  readonly #found = new Map<string, Type>()
  readonly #undo: (readonly [string, Type | undefined])[] = []

  get(name: string): Type | undefined {
    return this.#found.get(name)
  }

  set(name: string, type: Type): void {
    this.#undo.push([name, this.#found.get(name)])
    this.#found.set(name, type)
  }

  attempt(assign: () => boolean): boolean {
    this.#undo.length = 0
    if (assign()) return true
    for (const [name, before] of this.#undo.toReversed()) {
      if (before === undefined) this.#found.delete(name)
      else this.#found.set(name, before)
    }
    return false
  }
}

export const isDyn = (type: Type): boolean => type.kind === 'dyn' || type.kind === 'error'

export function sameType(a: Type, b: Type): boolean {
  if (a === b) return true
  if (a.kind === 'list' && b.kind === 'list') return sameType(a.element, b.element)
  if (a.kind === 'map' && b.kind === 'map') return sameType(a.key, b.key) && sameType(a.value, b.value)
  if ((a.kind === 'object' && b.kind === 'object') || (a.kind === 'param' && b.kind === 'param'))
    return a.name === b.name
  if (a.kind === 'opaque' && b.kind === 'opaque') return a.name === b.name && sameTypes(a.parameters, b.parameters)
  if (a.kind === 'type' && b.kind === 'type') {
    return a.of === undefined || b.of === undefined ? a.of === b.of : sameType(a.of, b.of)
  }
  return a.kind === b.kind
}

function sameTypes(a: readonly Type[], b: readonly Type[]): boolean {
  return a.length === b.length && a.every((type, i) => sameType(type, b[i] ?? errorType))
}

/** Whether values of `from` may stand where `to` are expected; then `bindings` knows what the parameters stand for. */
export function assignable(bindings: Bindings, from: readonly Type[], to: readonly Type[]): boolean {
  if (from.length !== to.length) return false
  return bindings.attempt(() => from.every((type, i) => assign(bindings, type, to[i] ?? errorType)))
}

function assign(bindings: Bindings, from: Type, to: Type): boolean {
  if (to.kind === 'param') {
    const found = substitutes(bindings, from, to)
    if (found.valid) return true
    if (found.bound) return false
  }
  if (from.kind === 'param') return substitutes(bindings, to, from).valid
  if (isDyn(from) || isDyn(to)) return true
  if (from.kind === 'null') return ['null', 'object', 'opaque', 'duration', 'timestamp'].includes(to.kind)
  if (from.kind === 'list' && to.kind === 'list') return assign(bindings, from.element, to.element)
  if (from.kind === 'map' && to.kind === 'map') {
    return assign(bindings, from.key, to.key) && assign(bindings, from.value, to.value)
  }
  if (from.kind === 'opaque' && to.kind === 'opaque') {
    return (
      from.name === to.name &&
      from.parameters.length === to.parameters.length &&
      from.parameters.every((type, i) => assign(bindings, type, to.parameters[i] ?? errorType))
    )
  }
  if (from.kind === 'object' && to.kind === 'object') return from.name === to.name
  return from.kind === to.kind
}

/** Whether `param` may stand for `type`, and whether it stood for something already. */
function substitutes(
  bindings: Bindings,
  type: Type,
  param: Type & { kind: 'param' },
): { valid: boolean; bound: boolean } {
  if (sameType(type, param)) return { valid: true, bound: true }
  const bound = bindings.get(param.name)
  if (bound !== undefined) {
    if (sameType(type, bound)) return { valid: true, bound: true }
    if (!assign(bindings, type, bound)) return { valid: false, bound: true }
    bindings.set(param.name, mostGeneral(type, bound))
    return { valid: true, bound: true }
  }
  if (occurs(bindings, param, type)) return { valid: false, bound: false }
  bindings.set(param.name, type)
  return { valid: true, bound: false }
}

function occurs(bindings: Bindings, param: Type & { kind: 'param' }, within: Type): boolean {
  switch (within.kind) {
    case 'param': {
      if (within.name === param.name) return true
      const bound = bindings.get(within.name)
      return bound !== undefined && occurs(bindings, param, bound)
    }
    case 'list':
      return occurs(bindings, param, within.element)
    case 'map':
      return occurs(bindings, param, within.key) || occurs(bindings, param, within.value)
    case 'opaque':
      return within.parameters.some(type => occurs(bindings, param, type))
    default:
      return false
  }
}

/** Of two types that unify, the one that admits more. */
export function mostGeneral(a: Type, b: Type): Type {
  return lessSpecific(a, b) ? a : b
}

function lessSpecific(a: Type, b: Type): boolean {
  if (isDyn(a) || a.kind === 'param') return true
  if (isDyn(b) || b.kind === 'param') return false
  if (a.kind === 'list' && b.kind === 'list') return lessSpecific(a.element, b.element)
  if (a.kind === 'map' && b.kind === 'map') return lessSpecific(a.key, b.key) && lessSpecific(a.value, b.value)
  if (a.kind === 'opaque' && b.kind === 'opaque') {
    return a.name === b.name && a.parameters.every((type, i) => lessSpecific(type, b.parameters[i] ?? errorType))
  }
  return a.kind === 'type' && b.kind === 'type' ? true : sameType(a, b)
}

/** `type` with its parameters replaced by what they stand for, and the others by dyn when `free` says so. */
export function substitute(bindings: Bindings, type: Type, free: 'keep' | 'dyn'): Type {
  switch (type.kind) {
    case 'param': {
      const bound = bindings.get(type.name)
      if (bound !== undefined) return substitute(bindings, bound, free)
      return free === 'dyn' ? dyn : type
    }
    case 'list':
      return list(substitute(bindings, type.element, free))
    case 'map':
      return map(substitute(bindings, type.key, free), substitute(bindings, type.value, free))
    case 'opaque':
      if (type.parameters.length === 0) return type
      return { ...type, parameters: type.parameters.map(parameter => substitute(bindings, parameter, free)) }
    case 'type':
      return type.of === undefined ? type : typeType(substitute(bindings, type.of, free))
    default:
      return type
  }
}
