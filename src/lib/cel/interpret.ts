// A checked expression to a function: every part becomes a closure, made once. Failures are values that strict functions
// pass on and && and || absorb; every step has a cost, and evaluation ends when the limit is passed, which bounds it
// whatever the expression does (cel-go, interpreter/runtimecost.go). Called by cel.ts.
import { type Comprehension, type Element, type Entry, type Expr, operators } from './ast.ts'
import type { Checked, Resolved } from './check.ts'
import { costs, type Overload } from './env.ts'
import { dyn, type Type } from './types.ts'
import {
  ArrayList,
  EntryMap,
  Failure,
  Fields,
  isOf,
  keyOf,
  List,
  Optional,
  type Result,
  TypeValue,
  typeName,
  type Value,
} from './values.ts'

/** What the variables of an expression are. A function is asked when the variable is first used, each time it is. */
export type Variables = Readonly<Record<string, Value | (() => Result)>>

/** The state of one evaluation. */
type Frame = { readonly variables: Variables; readonly locals: Result[]; cost: number; readonly limit: number }

type Code = (frame: Frame) => Result

export type Outcome = { readonly result: Result; readonly cost: number }

/** Ends an evaluation from any depth; never leaves this file. */
class CostStop extends Error {}

const costExceeded = new Failure('operation cancelled: actual cost limit exceeded')

export function interpret(checked: Checked): (variables: Variables, limit: number) => Outcome {
  const compiler = new Compiler(checked)
  const code = compiler.code(checked.expr)
  const { slots } = compiler
  return (variables, limit) => {
    const frame: Frame = { variables, locals: new Array<Result>(slots).fill(null), cost: 0, limit }
    try {
      return { result: code(frame), cost: frame.cost }
    } catch (error) {
      if (!(error instanceof CostStop)) throw error
      return { result: costExceeded, cost: frame.cost }
    }
  }
}

function charge(frame: Frame, cost: number): void {
  frame.cost += cost
  if (frame.cost > frame.limit) throw new CostStop()
}

const noOverload = new Failure('no such overload')

class Compiler {
  /** How many locals a frame needs. */
  slots = 0
  readonly #checked: Checked
  readonly #codes = new Map<Expr, Code>()
  #scope: readonly { readonly name: string; readonly slot: number }[] = []
  constructor(checked: Checked) {
    this.#checked = checked
  }

  /** A macro may use one part twice; it is then compiled once. */
  code(expr: Expr): Code {
    const known = this.#codes.get(expr)
    if (known !== undefined) return known
    const code = this.#compile(expr)
    this.#codes.set(expr, code)
    return code
  }

  #compile(expr: Expr): Code {
    const constant = this.#constant(expr)
    // What gathers entries begins with a map of its own.
    if (constant instanceof EntryMap && constant.size === 0) return () => new EntryMap()
    if (constant !== undefined) return () => constant
    switch (expr.kind) {
      case 'literal':
        return () => expr.value
      case 'ident':
        return this.#ident(expr, costs.identOrSelect)
      case 'select':
        return this.#select(expr, costs.identOrSelect)
      case 'call':
        return this.#call(expr)
      case 'list':
        return this.#list(expr)
      case 'map':
        return this.#map(expr)
      case 'comprehension':
        return this.#comprehension(expr)
      case 'object':
        return () => new Failure(`unknown type: ${expr.name}`)
    }
  }

  /**
   * As upstream counts: what an attribute begins with is free where the attribute is an index or a branch of a choice,
   * because it is not evaluated by itself there.
   */
  #attribute(expr: Expr): Code {
    if (expr.kind === 'ident') return this.#ident(expr, 0)
    if (expr.kind === 'select' && !expr.test) return this.#select(expr, 0)
    return this.code(expr)
  }

  #ident(expr: Expr & { kind: 'ident' }, cost: number): Code {
    const { name } = expr
    const slot = name.startsWith('.') ? undefined : this.#scope.findLast(local => local.name === name)?.slot
    if (slot !== undefined) {
      return frame => {
        charge(frame, cost)
        return frame.locals[slot] ?? null
      }
    }
    const variable = this.#checked.variables.get(expr) ?? name
    return this.#variable(variable, this.#checked.types.get(expr), cost)
  }

  #variable(name: string, type: Type | undefined, cost: number): Code {
    if (type?.kind === 'type') {
      const constant = new TypeValue(name)
      return () => constant
    }
    const unknown = new Failure(`no such attribute(s): ${name}`)
    return frame => {
      charge(frame, cost)
      const value = frame.variables[name]
      if (typeof value === 'function') return value()
      return value === undefined ? unknown : value
    }
  }

  #select(expr: Expr & { kind: 'select' }, cost: number): Code {
    const variable = this.#checked.variables.get(expr)
    if (variable !== undefined) return this.#variable(variable, this.#checked.types.get(expr), cost)
    const { field } = expr
    if (expr.test) {
      const tested = this.code(expr.operand)
      return frame => hasField(tested(frame), field)
    }
    const operand = cost === 0 ? this.#attribute(expr.operand) : this.#operand(expr.operand)
    const missing = new Failure(`no such key: ${field}`)
    return frame => {
      const target = operand(frame)
      charge(frame, costs.identOrSelect)
      if (!(target instanceof Fields)) return selectOther(target, field)
      const value = target.get(field)
      return value === undefined ? missing : value
    }
  }

  /** What is selected from: to begin an attribute with what is none costs one. */
  #operand(expr: Expr): Code {
    const operand = this.code(expr)
    if (isAttribute(expr)) return operand
    return frame => {
      const value = operand(frame)
      charge(frame, costs.identOrSelect)
      return value
    }
  }

  #call(expr: Expr & { kind: 'call' }): Code {
    const special = this.#special(expr)
    if (special !== undefined) return special
    const resolved = this.#checked.calls.get(expr)
    if (resolved === undefined) return () => noOverload
    const { name, args } = resolved
    const [first, second] = args
    if ((name === operators.index || name === operators.optionalIndex) && first && second) {
      return callOf(resolved, [this.#operand(first), this.#attribute(second)])
    }
    const members = name === operators.in && second !== undefined ? this.#constant(second) : undefined
    const codes = args.map(arg => this.code(arg))
    if (!(members instanceof List)) return callOf(resolved, codes)
    // Looking for a value among constants is free.
    const free = resolved.overloads.map(overload => ({ ...overload, cost: () => 0 }))
    return callOf({ ...resolved, overloads: free }, codes)
  }

  /** The value of what is constant, which is made once; undefined for what is not, or fails. */
  #constant(expr: Expr): Value | undefined {
    switch (expr.kind) {
      case 'literal':
        return expr.value
      case 'list':
        return this.#constantList(expr.elements)
      case 'map':
        return this.#constantMap(expr.entries)
      case 'call':
        return this.#converted(expr)
      default:
        return undefined
    }
  }

  #constantList(elements: readonly Element[]): Value | undefined {
    const items: Value[] = []
    for (const { value, optional } of elements) {
      const constant = optional ? undefined : this.#constant(value)
      if (constant === undefined) return undefined
      items.push(constant)
    }
    return new ArrayList(items, true)
  }

  #constantMap(entries: readonly Entry[]): Value | undefined {
    const made = new EntryMap()
    for (const { key, value, optional } of entries) {
      const [name, content] = optional ? [] : [this.#constant(key), this.#constant(value)]
      if (name === undefined || content === undefined || insertNew(made, name, content)) return undefined
    }
    return made
  }

  #converted(expr: Expr & { kind: 'call' }): Value | undefined {
    const resolved = this.#checked.calls.get(expr)
    const [arg] = expr.args
    if (resolved === undefined || arg === undefined || !conversions.has(resolved.name)) return undefined
    const constant = this.#constant(arg)
    if (constant === undefined) return undefined
    const fitting = resolved.overloads.find(overload => fits(overload, [constant]))
    const value = fitting?.call(constant)
    return value instanceof Failure ? undefined : value
  }

  /** What does not evaluate all of its arguments first. */
  #special({ name, args }: Expr & { kind: 'call' }): Code | undefined {
    const [first, second, third] = args
    if (first === undefined) return undefined
    switch (name) {
      case operators.notStrictlyFalse: {
        const condition = this.code(first)
        return frame => {
          const value = condition(frame)
          charge(frame, 1)
          return value !== false
        }
      }
      case operators.and:
        return second && and(this.code(first), this.code(second))
      case operators.or:
        return second && or(this.code(first), this.code(second))
      case operators.conditional:
        return second && third && conditional(this.code(first), this.#attribute(second), this.#attribute(third))
      case operators.optionalSelect:
        return second?.kind === 'literal' && typeof second.value === 'string'
          ? optionalSelect(this.#operand(first), second.value)
          : undefined
      default:
        return undefined
    }
  }

  #list(expr: Expr & { kind: 'list' }): Code {
    const elements = expr.elements.map(({ value, optional }) => ({ code: this.code(value), optional }))
    return frame => {
      const items: Result[] = []
      for (const { code, optional } of elements) {
        const value = code(frame)
        if (value instanceof Failure) return value
        if (!optional) items.push(value)
        else if (!(value instanceof Optional)) return notOptional(value)
        else if (value.value !== undefined) items.push(value.value)
      }
      charge(frame, costs.list)
      return new ArrayList(items)
    }
  }

  #map(expr: Expr & { kind: 'map' }): Code {
    const entries = expr.entries.map(({ key, value, optional }) => ({
      key: this.code(key),
      value: this.code(value),
      optional,
    }))
    return frame => {
      const made = new EntryMap()
      for (const { key, value, optional } of entries) {
        const name = key(frame)
        if (name instanceof Failure) return name
        const result = value(frame)
        if (result instanceof Failure) return result
        if (optional && !(result instanceof Optional)) return notOptional(result)
        const content = optional && result instanceof Optional ? result.value : result
        if (content === undefined) continue
        const failure = insertNew(made, name, content)
        if (failure !== undefined) return failure
      }
      charge(frame, costs.map)
      return made
    }
  }

  #comprehension(expr: Comprehension): Code {
    const range = this.code(expr.range)
    const initial = this.code(expr.initial)
    const outer = this.#scope
    const [accumulator, first, second] = [this.slots, this.slots + 1, this.slots + 2]
    this.slots += 3
    const withAccumulator = [...outer, { name: expr.accumulator, slot: accumulator }]
    this.#scope = [...withAccumulator, { name: expr.variable, slot: first }]
    if (expr.second !== undefined) this.#scope = [...this.#scope, { name: expr.second, slot: second }]
    const condition = this.code(expr.condition)
    const step = this.code(expr.step)
    this.#scope = withAccumulator
    const result = this.code(expr.result)
    this.#scope = outer
    const pair = expr.second !== undefined
    return frame => {
      const over = range(frame)
      if (over instanceof Failure) return over
      const { locals } = frame
      locals[accumulator] = initial(frame)
      const each = (one: Result, other: Result): boolean => {
        locals[first] = one
        locals[second] = other
        if (condition(frame) === false) return false
        locals[accumulator] = step(frame)
        return true
      }
      if (over instanceof List) eachOfList(over, pair, each)
      else if (over instanceof Fields) eachOfFields(over, pair, each)
      else return noOverload
      return result(frame)
    }
  }
}

/** Conversions that are done before anything runs when what they convert is constant. */
const conversions = new Set('bool bytes double duration dyn int string timestamp uint'.split(' '))

/** Whether it is looked up rather than computed. */
function isAttribute(expr: Expr): boolean {
  if (expr.kind === 'ident' || expr.kind === 'select') return true
  if (expr.kind !== 'call' || expr.target !== undefined) return false
  const lookups: readonly string[] = [operators.index, operators.optionalIndex, operators.optionalSelect]
  return lookups.includes(expr.name) || expr.name === operators.conditional
}

type Each = (one: Result, other: Result) => boolean

function eachOfList(over: List, pair: boolean, each: Each): void {
  for (let i = 0; i < over.size; i++) {
    if (!(pair ? each(i, over.get(i)) : each(over.get(i), null))) return
  }
}

function eachOfFields(over: Fields, pair: boolean, each: Each): void {
  for (const key of over.keys()) {
    const name = keyOf(key)
    if (!each(key, pair && name !== undefined ? (over.get(name) ?? null) : null)) return
  }
}

const notOptional = (value: Value): Failure =>
  new Failure(`cannot initialize optional entry from non-optional value ${typeName(value)}`)

/** Adds an entry to a map that an expression writes down. */
function insertNew(into: EntryMap, name: Value, value: Value): Failure | undefined {
  const key = keyOf(name)
  if (key === undefined) return new Failure(`unsupported key type: ${typeName(name)}`)
  if (into.has(key)) return new Failure(`Failed with repeated key`)
  into.insert(key, name, value)
  return undefined
}

/** What has no fields has not this one either. */
function hasField(target: Result, field: string): Result {
  if (target instanceof Fields) return target.has(field)
  if (target instanceof Failure) return target
  return target instanceof Optional && target.value !== undefined && hasField(target.value, field)
}

/** A field of what is no object or map: an optional one of an optional. */
function selectOther(target: Result, field: string): Result {
  if (target instanceof Failure) return target
  if (!(target instanceof Optional)) return new Failure(`no such key: ${field}`)
  if (target.value === undefined) return target
  return target.value instanceof Fields ? fieldIfThere(target.value, field) : selectOther(target.value, field)
}

function fieldIfThere(target: Value, field: string): Result {
  const inner = target instanceof Optional ? target.value : target
  const value = inner instanceof Fields && inner.has(field) ? inner.get(field) : undefined
  return value instanceof Failure ? value : new Optional(value)
}

function optionalSelect(operand: Code, field: string): Code {
  return frame => {
    const target = operand(frame)
    charge(frame, costs.identOrSelect)
    return target instanceof Failure ? target : fieldIfThere(target, field)
  }
}

function and(left: Code, right: Code): Code {
  return frame => {
    const one = left(frame)
    if (one === false) return false
    const other = right(frame)
    if (other === false) return false
    if (one === true && other === true) return true
    return one instanceof Failure ? one : other instanceof Failure ? other : noOverload
  }
}

function or(left: Code, right: Code): Code {
  return frame => {
    const one = left(frame)
    if (one === true) return true
    const other = right(frame)
    if (other === true) return true
    if (one === false && other === false) return false
    return one instanceof Failure ? one : other instanceof Failure ? other : noOverload
  }
}

function conditional(condition: Code, then: Code, otherwise: Code): Code {
  return frame => {
    const decided = condition(frame)
    if (decided === true) return then(frame)
    if (decided === false) return otherwise(frame)
    return decided instanceof Failure ? decided : noOverload
  }
}

function callOf({ name, overloads }: Resolved, args: readonly Code[]): Code {
  const [only, another] = overloads
  const [first, second, third] = args
  if (only !== undefined && another === undefined) {
    if (first !== undefined && second === undefined) return unary(name, only, first)
    if (first !== undefined && second !== undefined && third === undefined) return binary(name, only, first, second)
  }
  return frame => {
    const values: Value[] = []
    for (const arg of args) {
      const value = arg(frame)
      if (value instanceof Failure) return value
      values.push(value)
    }
    const fitting = overloads.find(overload => fits(overload, values))
    if (fitting === undefined) return unfit(frame, name, values)
    charge(frame, fitting.cost?.(...values) ?? 1)
    return finish(frame, fitting, fitting.call(...values))
  }
}

function fits({ params, anySecond }: Overload, values: readonly Value[]): boolean {
  return params.every((type, i) => (i === 1 && anySecond === true) || isOf(values[i] ?? null, type))
}

function unary(name: string, only: Overload, arg: Code): Code {
  const { call, cost } = only
  const [type] = only.params
  if (type === undefined) return () => noOverload
  return frame => {
    const value = arg(frame)
    if (value instanceof Failure) return value
    if (!isOf(value, type)) return unfit(frame, name, [value])
    charge(frame, cost === undefined ? 1 : cost(value))
    return finish(frame, only, call(value))
  }
}

function binary(name: string, only: Overload, first: Code, second: Code): Code {
  const { call, cost } = only
  const [one, declared] = only.params
  if (one === undefined || declared === undefined) return () => noOverload
  const two = only.anySecond === true ? dyn : declared
  return frame => {
    const left = first(frame)
    if (left instanceof Failure) return left
    const right = second(frame)
    if (right instanceof Failure) return right
    if (!isOf(left, one) || !isOf(right, two)) return unfit(frame, name, [left, right])
    charge(frame, cost === undefined ? 1 : cost(left, right))
    return finish(frame, only, call(left, right))
  }
}

function finish(frame: Frame, { resultCost }: Overload, result: Result): Result {
  if (resultCost !== undefined && !(result instanceof Failure)) charge(frame, resultCost(result))
  return result
}

function unfit(frame: Frame, name: string, values: readonly Value[]): Result {
  charge(frame, 1)
  const [, key = null] = values
  // What holds nothing holds no key.
  if (name === operators.optionalIndex) return new Optional(undefined)
  if (name === operators.index)
    return new Failure(`no such key: ${typeof key === 'object' ? typeName(key) : String(key)}`)
  return new Failure(`no such overload: ${name}(${values.map(typeName).join(', ')})`)
}
