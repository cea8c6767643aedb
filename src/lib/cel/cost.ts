// Bounds what an expression may cost before it runs, from its shape and from how large what it reads may be (cel-go,
// checker/cost.go). Costs add up over calls; a loop multiplies by the size of its range. Pure. Called by cel.ts.
import { accumulatorName, type Comprehension, type Expr, operators } from './ast.ts'
import type { Checked, Resolved } from './check.ts'
import { type Argument, type CallEstimate, costs, type Range } from './env.ts'
import { fixed, plus, times, union, unknown, zero } from './estimates.ts'
import { dyn, type Type } from './types.ts'
import { sizeOrOne } from './values.ts'

/**
 * How large what is found at a path may be; undefined leaves it to the type. A path begins with a variable, and goes on
 * with names of fields, '@items' (a list's), '@keys' and '@values' (a map's).
 */
export type Sizes = (path: readonly string[]) => Range | undefined

export function estimateChecked(checked: Checked, sizes: Sizes): Range {
  return new Estimator(checked, sizes).cost(checked.expr)
}

/** Sizes of the keys and values of a container that an expression makes. */
type Entries = { readonly container: 'list' | 'map'; readonly key: Range; readonly value: Range }

type Local = {
  readonly name: string
  readonly path: readonly string[] | undefined
  readonly size: Range | undefined
  readonly entries: Entries | undefined
}

const one = fixed(costs.identOrSelect)
const none: Range = { min: Number.POSITIVE_INFINITY, max: 0 }

class Estimator {
  readonly #checked: Checked
  readonly #sizes: Sizes
  readonly #costs = new Map<Expr, Range>()
  readonly #paths = new Map<Expr, readonly string[]>()
  readonly #computed = new Map<Expr, Range>()
  readonly #entries = new Map<Expr, Entries>()
  #locals: readonly Local[] = []
  constructor(checked: Checked, sizes: Sizes) {
    this.#checked = checked
    this.#sizes = sizes
  }

  /** A macro may use one part twice; it is then looked at once and counted twice. */
  cost(expr: Expr): Range {
    const known = this.#costs.get(expr)
    if (known !== undefined) return known
    const cost = this.#costOf(expr)
    this.#costs.set(expr, cost)
    return cost
  }

  #costOf(expr: Expr): Range {
    switch (expr.kind) {
      case 'literal':
        return zero
      case 'ident': {
        if (this.#local(expr) === undefined) this.#paths.set(expr, [this.#checked.variables.get(expr) ?? expr.name])
        return one
      }
      case 'select':
        return this.#select(expr)
      case 'call':
        return this.#call(expr)
      case 'list':
        return this.#list(expr)
      case 'map':
        return this.#map(expr)
      case 'object':
        return expr.fields.reduce((sum, { value }) => plus(sum, this.cost(value)), fixed(costs.object))
      case 'comprehension':
        return this.#comprehension(expr)
    }
  }

  #type(expr: Expr): Type {
    return this.#checked.types.get(expr) ?? dyn
  }

  #local(expr: Expr): Local | undefined {
    return expr.kind === 'ident' ? this.#locals.findLast(local => local.name === expr.name) : undefined
  }

  #pathOf(expr: Expr): readonly string[] | undefined {
    const local = this.#local(expr)
    return local !== undefined ? local.path : this.#paths.get(expr)
  }

  #extend(expr: Expr, operand: Expr, step: string): void {
    const path = this.#pathOf(operand)
    if (path !== undefined) this.#paths.set(expr, [...path, step])
  }

  #select(expr: Expr & { kind: 'select' }): Range {
    const variable = this.#checked.variables.get(expr)
    if (variable !== undefined) {
      this.#paths.set(expr, [variable])
      return one
    }
    const operand = this.cost(expr.operand)
    if (expr.test) return operand
    this.#extend(expr, expr.operand, expr.field)
    return ['map', 'object', 'param', 'dyn'].includes(this.#type(expr.operand).kind) ? plus(operand, one) : operand
  }

  #list(expr: Expr & { kind: 'list' }): Range {
    const values = expr.elements.map(element => element.value)
    const sum = this.#sum(values)
    const value = values.length === 0 ? zero : this.#sizeOfAny(values)
    this.#entries.set(expr, { container: 'list', key: fixed(1), value })
    return plus(sum, fixed(costs.list))
  }

  #map(expr: Expr & { kind: 'map' }): Range {
    const keys = expr.entries.map(entry => entry.key)
    const values = expr.entries.map(entry => entry.value)
    const sum = plus(this.#sum(keys), this.#sum(values))
    const [key, value] = keys.length === 0 ? [zero, zero] : [this.#sizeOfAny(keys), this.#sizeOfAny(values)]
    this.#entries.set(expr, { container: 'map', key, value })
    return plus(sum, fixed(costs.map))
  }

  #sum(parts: readonly Expr[]): Range {
    return parts.reduce((sum, part) => plus(sum, this.cost(part)), zero)
  }

  #sizeOfAny(parts: readonly Expr[]): Range {
    return parts.map(part => this.#sizeOrUnknown(part)).reduce(union)
  }

  #sizeOrUnknown(expr: Expr): Range {
    return this.#size(expr) ?? unknown
  }

  #size(expr: Expr): Range | undefined {
    const known = this.#computed.get(expr) ?? sizeOfLiteral(expr)
    if (known !== undefined) return known
    const path = this.#pathOf(expr)
    const estimate = path === undefined || path[0] === accumulatorName ? undefined : this.#sizes(path)
    if (estimate !== undefined) {
      this.#computed.set(expr, estimate)
      return estimate
    }
    return isScalar(this.#type(expr)) ? fixed(1) : this.#local(expr)?.size
  }

  #entriesOf(expr: Expr): Entries | undefined {
    return this.#entries.get(expr) ?? this.#local(expr)?.entries
  }

  #call(expr: Expr & { kind: 'call' }): Range {
    if (expr.name === operators.optionalSelect && expr.args[0] !== undefined) return plus(this.cost(expr.args[0]), one)
    const resolved = this.#checked.calls.get(expr)
    if (resolved === undefined) return zero
    const [first, second, third] = resolved.args
    const argumentCosts = this.#sum(resolved.args)
    switch (resolved.name) {
      case operators.and:
      case operators.or:
        return first === undefined ? zero : { min: this.cost(first).min, max: argumentCosts.max }
      case operators.conditional:
        return first && second && third ? this.#conditional(expr, first, second, third) : zero
      case 'dyn':
        if (first !== undefined) this.#copySizes(expr, first)
        return plus(argumentCosts, fixed(1))
      default:
        return plus(argumentCosts, this.#overloads(expr, resolved))
    }
  }

  #conditional(expr: Expr, condition: Expr, then: Expr, otherwise: Expr): Range {
    this.#computed.set(expr, union(this.#sizeOrUnknown(then), this.#sizeOrUnknown(otherwise)))
    this.#unite(expr, then, otherwise)
    return plus(this.cost(condition), union(this.cost(then), this.cost(otherwise)))
  }

  #unite(expr: Expr, a: Expr, b: Expr): void {
    const [left, right] = [this.#entriesOf(a), this.#entriesOf(b)]
    if (left === undefined || right === undefined) return
    const entries = { ...left, key: union(left.key, right.key), value: union(left.value, right.value) }
    this.#entries.set(expr, entries)
  }

  #copySizes(to: Expr, from: Expr): void {
    const [size, entries] = [this.#size(from), this.#entriesOf(from)]
    if (size !== undefined) this.#computed.set(to, size)
    if (entries !== undefined) this.#entries.set(to, entries)
  }

  /** A range that covers all overloads that may serve. */
  #overloads(expr: Expr, { args, overloads }: Resolved): Range {
    const known = args.map(arg => this.#argument(arg))
    let cost = none
    let size: Range | undefined
    for (const overload of overloads) {
      const estimate: CallEstimate = overload.estimate?.(...known) ?? { cost: fixed(1) }
      cost = union(cost, estimate.cost)
      if (estimate.size !== undefined) size = size === undefined ? estimate.size : union(size, estimate.size)
      const [container, other] = args
      if (container === undefined) continue
      if (overload.id === 'index_list' || overload.id === 'index_map') {
        size = this.#entriesOf(container)?.value ?? size
        this.#extend(expr, container, overload.id === 'index_list' ? '@items' : '@values')
      }
      if (overload.id === 'add_list' && other !== undefined) this.#unite(expr, container, other)
    }
    if (size !== undefined) this.#computed.set(expr, size)
    return cost
  }

  #argument(expr: Expr): Argument {
    const type = this.#type(expr)
    const size = this.#sizeOrUnknown(expr)
    if (type.kind !== 'list') return { type, size, element: undefined }
    const path = this.#pathOf(expr)
    const elementSize =
      this.#entriesOf(expr)?.value ?? (path === undefined ? undefined : this.#sizes([...path, '@items'])) ?? unknown
    return { type, size, element: { type: type.element, size: elementSize } }
  }

  #comprehension(expr: Expr & Comprehension): Range {
    const before = plus(this.cost(expr.range), this.cost(expr.initial))
    const outer = this.#locals
    const accumulator: Local = {
      name: expr.accumulator,
      path: this.#pathOf(expr.initial),
      size: this.#size(expr.initial),
      entries: this.#entriesOf(expr.initial),
    }
    if (isBinding(expr)) {
      this.#locals = [...outer, accumulator]
      const result = this.cost(expr.result)
      this.#copySizes(expr, expr.result)
      this.#locals = outer
      return plus(before, result)
    }
    this.#locals = [...outer, accumulator, ...this.#iterated(expr)]
    const each = plus(this.cost(expr.condition), this.cost(expr.step))
    this.#locals = [...outer, accumulator]
    const result = this.cost(expr.result)
    this.#locals = outer
    const count = this.#sizeOrUnknown(expr.range)
    this.#sizeOfResult(expr, count)
    return plus(plus(before, result), times(count, each))
  }

  #iterated(expr: Comprehension): readonly Local[] {
    const entries = this.#entriesOf(expr.range)
    const path = this.#pathOf(expr.range)
    const isList = (entries?.container ?? this.#type(expr.range).kind) === 'list'
    const local = (name: string, step: string, size: Range | undefined): Local => ({
      name,
      path: path === undefined ? undefined : [...path, step],
      size,
      entries: undefined,
    })
    const value = (name: string) => local(name, isList ? '@items' : '@values', entries?.value)
    if (expr.second !== undefined) {
      return [local(expr.variable, isList ? '@indices' : '@keys', entries?.key), value(expr.second)]
    }
    return [isList ? value(expr.variable) : local(expr.variable, '@keys', entries?.key)]
  }

  #sizeOfResult(expr: Expr & Comprehension, count: Range): void {
    const { kind } = expr.initial
    if (kind === 'literal') this.#computed.set(expr, fixed(1))
    if (kind !== 'list' && kind !== 'map') return
    this.#computed.set(expr, count)
    const entries = this.#entriesOf(expr.step)
    if (entries !== undefined) this.#entries.set(expr, entries)
  }
}

/** A comprehension that loops over nothing, to give a value a name. */
const isBinding = (expr: Comprehension): boolean =>
  expr.range.kind === 'list' && expr.range.elements.length === 0 && expr.accumulator !== accumulatorName

function sizeOfLiteral(expr: Expr): Range | undefined {
  if (expr.kind === 'literal') return fixed(sizeOrOne(expr.value))
  if (expr.kind === 'list') return fixed(expr.elements.length)
  return expr.kind === 'map' ? fixed(expr.entries.length) : undefined
}

/** What counts as one. Values of libraries do: comparing two of them is a step. */
function isScalar(type: Type): boolean {
  if (type.kind === 'opaque') return type.parameters.every(isScalar)
  return ['bool', 'int', 'uint', 'double', 'duration', 'timestamp'].includes(type.kind)
}
