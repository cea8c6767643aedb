// Gives every part of an expression its type and every call the overloads that may serve it, or says what is wrong in
// cel-go's words. Pure. Called by cel.ts after parser.ts; interpret.ts and cost.ts read what it finds.
import { type Comprehension, type Expr, operators } from './ast.ts'
import type { Env, Overload } from './env.ts'
import type { Issue } from './source.ts'
import {
  assignable,
  Bindings,
  bool,
  bytes,
  double,
  duration,
  dyn,
  errorType,
  formatType,
  int,
  isDyn,
  list,
  map,
  mostGeneral,
  nullType,
  optional,
  param,
  sameType,
  string,
  substitute,
  type Type,
  timestamp,
  typeType,
  uint,
} from './types.ts'
import { Double, Uint, type Value } from './values.ts'

/** A call as it will run. */
export type Resolved = {
  /** The function's full name: the target may have been a part of it (optional.of). */
  readonly name: string
  readonly args: readonly Expr[]
  /** Those that fit the types that are known; more than one where a type is known only at run time. */
  readonly overloads: readonly Overload[]
}

export type Checked = {
  readonly expr: Expr
  readonly types: ReadonlyMap<Expr, Type>
  readonly calls: ReadonlyMap<Expr, Resolved>
  /** The variable that a dotted name turned out to be. */
  readonly variables: ReadonlyMap<Expr, string>
}

/** The names of types, which are values of type type. */
const typeNames: Readonly<Record<string, Type>> = {
  bool,
  bytes,
  double,
  dyn,
  int,
  uint,
  string,
  list: list(dyn),
  map: map(dyn, dyn),
  null_type: nullType,
  type: typeType(),
  optional_type: optional(param('T')),
  'google.protobuf.Duration': duration,
  'google.protobuf.Timestamp': timestamp,
}

export function check(env: Env, tree: Expr): Checked | { readonly issues: readonly Issue[] } {
  const checker = new Checker(env)
  checker.visit(tree)
  return checker.issues.length > 0 ? { issues: checker.issues } : checker.checked(tree)
}

class Checker {
  readonly issues: Issue[] = []
  readonly #env: Env
  readonly #types = new Map<Expr, Type>()
  readonly #calls = new Map<Expr, Resolved>()
  readonly #variables = new Map<Expr, string>()
  #scopes: { readonly name: string; readonly type: Type }[] = []
  readonly #bindings = new Bindings()
  #fresh = 0
  constructor(env: Env) {
    this.#env = env
  }

  checked(tree: Expr): Checked {
    const types = new Map<Expr, Type>()
    for (const [expr, type] of this.#types) types.set(expr, substitute(this.#bindings, type, 'dyn'))
    return { expr: tree, types, calls: this.#calls, variables: this.#variables }
  }

  /** A macro may use one part twice; it is then looked at once. */
  visit(expr: Expr): Type {
    const known = this.#types.get(expr)
    if (known !== undefined) return known
    const type = this.#typeOf(expr)
    this.#types.set(expr, type)
    return type
  }

  #refuse(expr: { readonly offset: number }, message: string): Type {
    this.issues.push({ offset: expr.offset, message })
    return errorType
  }

  #typeOf(expr: Expr): Type {
    switch (expr.kind) {
      case 'literal':
        return literalType(expr.value)
      case 'ident':
        return this.#lookup(expr, expr.name) ?? this.#undeclared(expr, expr.name)
      case 'select':
        return this.#select(expr)
      case 'call':
        return this.#call(expr)
      case 'list':
        return this.#list(expr)
      case 'map':
        return this.#map(expr)
      case 'object':
        for (const { value } of expr.fields) this.visit(value)
        return this.#undeclared(expr, expr.name)
      case 'comprehension':
        return this.#comprehension(expr)
    }
  }

  #undeclared(expr: Expr, name: string): Type {
    return this.#refuse(expr, `undeclared reference to '${name.replace(/^\./, '')}' (in container '')`)
  }

  #lookup(expr: Expr, name: string): Type | undefined {
    const local = name.startsWith('.') ? undefined : this.#scopes.findLast(scope => scope.name === name)
    if (local !== undefined) return local.type
    const plain = name.replace(/^\./, '')
    const declared = Object.hasOwn(this.#env.variables, plain) ? this.#env.variables[plain] : undefined
    const type = declared ?? (Object.hasOwn(typeNames, plain) ? typeType(typeNames[plain]) : undefined)
    if (type !== undefined) this.#variables.set(expr, plain)
    return type
  }

  #select(expr: Expr & { kind: 'select' }): Type {
    if (!expr.test) {
      const name = qualifiedName(expr)
      const found = name === undefined || this.#shadowed(name) ? undefined : this.#lookup(expr, name)
      if (found !== undefined) return found
    }
    const type = this.#field(expr, this.visit(expr.operand), expr.field)
    return expr.test ? bool : type
  }

  #shadowed(name: string): boolean {
    const [first] = name.split('.')
    return this.#scopes.some(scope => scope.name === first)
  }

  /** The type of a field of something; of an optional something, an optional field. */
  #field(at: Expr, operand: Type, field: string): Type {
    const target = substitute(this.#bindings, operand, 'keep')
    const inner = isOptional(target) ? (target.parameters[0] ?? dyn) : target
    const type = this.#plainField(at, inner, field)
    return isOptional(target) ? optional(type) : type
  }

  #plainField(at: Expr, target: Type, field: string): Type {
    switch (target.kind) {
      case 'map':
        return target.value
      case 'object':
        return target.field(field) ?? this.#refuse(at, `undefined field '${field}'`)
      case 'param':
        this.#assignable([dyn], [target])
        return dyn
      case 'dyn':
      case 'error':
        return dyn
      default:
        return this.#refuse(at, `type '${formatType(target)}' does not support field selection`)
    }
  }

  #call(expr: Expr & { kind: 'call' }): Type {
    const { name, target, args } = expr
    if (name === operators.optionalSelect) return this.#optionalSelect(expr)
    if (target === undefined) {
      for (const arg of args) this.visit(arg)
      return this.#resolve(expr, name.replace(/^\./, ''), args, false)
    }
    const prefix = qualifiedName(target)
    if (prefix !== undefined && !this.#shadowed(prefix)) {
      const qualified = `${prefix}.${name}`.replace(/^\./, '')
      if (this.#env.functions.has(qualified)) {
        for (const arg of args) this.visit(arg)
        return this.#resolve(expr, qualified, args, false)
      }
    }
    const all = [target, ...args]
    for (const arg of all) this.visit(arg)
    return this.#resolve(expr, name, all, true)
  }

  #optionalSelect(expr: Expr & { kind: 'call' }): Type {
    const [operand, field] = expr.args
    if (operand === undefined || field?.kind !== 'literal' || typeof field.value !== 'string') {
      return this.#refuse(expr, 'unsupported optional field selection')
    }
    this.visit(field)
    const type = this.#field(expr, this.visit(operand), field.value)
    return isOptional(type) ? type : optional(type)
  }

  #resolve(expr: Expr, name: string, args: readonly Expr[], member: boolean): Type {
    const declared = this.#env.functions.get(name)
    if (declared === undefined) return this.#undeclared(expr, name)
    const types = args.map(arg => this.#types.get(arg) ?? errorType)
    const fitting: Overload[] = []
    let result: Type | undefined
    for (const candidate of declared) {
      if (candidate.member !== member) continue
      const signature = this.#instance(candidate)
      if (!this.#assignable(types, signature.params)) continue
      fitting.push(candidate)
      const type = substitute(this.#bindings, signature.result, 'keep')
      if (result === undefined) result = type
      else if (!isDyn(result) && !sameType(result, type)) result = dyn
    }
    if (result === undefined) return this.#noOverload(expr, name, types, member)
    this.#calls.set(expr, { name, args, overloads: fitting })
    this.#refuseLiterals(args, fitting, member)
    return result
  }

  #noOverload(expr: Expr, name: string, args: readonly Type[], member: boolean): Type {
    const types = args.map(type => formatType(substitute(this.#bindings, type, 'dyn')))
    const signature = member ? `${types[0]}.(${types.slice(1).join(', ')})` : `(${types.join(', ')})`
    return this.#refuse(expr, `found no matching overload for '${name}' applied to '${signature}'`)
  }

  #refuseLiterals(args: readonly Expr[], fitting: readonly Overload[], member: boolean): void {
    const arg = args[member ? 1 : 0]
    if (arg?.kind !== 'literal') return
    for (const { refuseLiteral } of fitting) {
      const message = refuseLiteral?.(arg.value)
      if (message === undefined) continue
      this.#refuse(arg, message)
      return
    }
  }

  /** The signature with type parameters that nothing else uses. */
  #instance({ params, result }: Overload): { params: Type[]; result: Type } {
    const names = new Map<string, Type>()
    const rename = (type: Type): Type => {
      switch (type.kind) {
        case 'param': {
          const known = names.get(type.name) ?? param(`_var${this.#fresh++}`)
          names.set(type.name, known)
          return known
        }
        case 'list':
          return list(rename(type.element))
        case 'map':
          return map(rename(type.key), rename(type.value))
        case 'opaque':
          return type.parameters.length === 0 ? type : { ...type, parameters: type.parameters.map(rename) }
        case 'type':
          return type.of === undefined ? type : typeType(rename(type.of))
        default:
          return type
      }
    }
    return { params: params.map(rename), result: rename(result) }
  }

  #assignable(from: readonly Type[], to: readonly Type[]): boolean {
    return assignable(this.#bindings, from, to)
  }

  #list(expr: Expr & { kind: 'list' }): Type {
    let element: Type | undefined
    for (const item of expr.elements) {
      element = this.#join(item.value, element, this.#unwrapped(item))
    }
    return list(element ?? param(`_var${this.#fresh++}`))
  }

  #map(expr: Expr & { kind: 'map' }): Type {
    let key: Type | undefined
    let value: Type | undefined
    for (const entry of expr.entries) {
      key = this.#join(entry.key, key, this.visit(entry.key))
      value = this.#join(entry.value, value, this.#unwrapped(entry))
    }
    return map(key ?? param(`_var${this.#fresh++}`), value ?? param(`_var${this.#fresh++}`))
  }

  /** The type of an element, which an optional element has inside. */
  #unwrapped(item: { readonly value: Expr; readonly optional: boolean }): Type {
    const type = this.visit(item.value)
    if (!item.optional) return type
    if (isOptional(type)) return type.parameters[0] ?? dyn
    if (isDyn(type)) return type
    return this.#refuse(
      item.value,
      `expected type 'optional_type(${formatType(type)})' but found '${formatType(type)}'`,
    )
  }

  /** Elements of a literal are of one type. */
  #join(at: Expr, previous: Type | undefined, current: Type): Type {
    if (previous === undefined) return current
    if (this.#assignable([previous], [current])) return mostGeneral(previous, current)
    const [expected, found] = [previous, current].map(type => formatType(substitute(this.#bindings, type, 'dyn')))
    this.#refuse(at, `expected type '${expected}' but found '${found}'`)
    return errorType
  }

  #comprehension(expr: Expr & Comprehension): Type {
    const range = substitute(this.#bindings, this.visit(expr.range), 'keep')
    const initial = this.visit(expr.initial)
    const [first, second] = this.#iterated(expr, range)
    this.#scopes.push({ name: expr.accumulator, type: initial })
    this.#scopes.push({ name: expr.variable, type: first })
    if (expr.second !== undefined) this.#scopes.push({ name: expr.second, type: second })
    this.#expectType(expr.condition, bool)
    this.#expectType(expr.step, initial)
    this.#scopes = this.#scopes.slice(0, expr.second === undefined ? -1 : -2)
    const result = this.visit(expr.result)
    this.#scopes = this.#scopes.slice(0, -1)
    return substitute(this.#bindings, result, 'keep')
  }

  #iterated(expr: Comprehension, range: Type): readonly [Type, Type] {
    const pair = expr.second !== undefined
    switch (range.kind) {
      case 'list':
        return pair ? [int, range.element] : [range.element, errorType]
      case 'map':
        return [range.key, range.value]
      case 'param':
        this.#assignable([dyn], [range])
        return [dyn, dyn]
      case 'dyn':
      case 'error':
        return [dyn, dyn]
      default:
        this.#refuse(
          expr.range,
          `expression of type '${formatType(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        )
        return [errorType, errorType]
    }
  }

  #expectType(expr: Expr, expected: Type): void {
    const found = this.visit(expr)
    if (this.#assignable([expected], [found])) return
    const [want, got] = [expected, found].map(type => formatType(substitute(this.#bindings, type, 'dyn')))
    this.#refuse(expr, `expected type '${want}' but found '${got}'`)
  }
}

const isOptional = (type: Type): type is Type & { kind: 'opaque' } =>
  type.kind === 'opaque' && type.name === 'optional_type'

/** a.b.c of nested selections; undefined when it is anything else. */
function qualifiedName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name
  if (expr.kind !== 'select' || expr.test) return undefined
  const operand = qualifiedName(expr.operand)
  return operand === undefined ? undefined : `${operand}.${expr.field}`
}

function literalType(value: Value): Type {
  switch (typeof value) {
    case 'string':
      return string
    case 'boolean':
      return bool
    case 'number':
    case 'bigint':
      return int
  }
  if (value === null) return nullType
  if (value instanceof Double) return double
  return value instanceof Uint ? uint : bytes
}
