// Macros: calls that are rewritten before checking, because their arguments are not values but names and bodies
// (cel-spec, "Macros"; cel-go, comprehensions v2 and optional types). Called by parser.ts.
import { accumulatorName, type Comprehension, type Expr, type ExprKind, operators } from './ast.ts'

/** Sets of macros that an environment may have. has, all, exists, exists_one, map and filter are always there. */
export type Macros = { readonly optional: boolean; readonly twoVariables: boolean }

export type Expanded =
  | { readonly kind: 'expanded'; readonly expr: Expr }
  | { readonly kind: 'wrong'; readonly offset: number; readonly message: string }

export type Maker = { readonly offset: number; readonly make: (offset: number, kind: ExprKind) => Expr }

type Expand = (args: readonly Expr[], target: Expr, maker: Maker) => Expanded

/** undefined when the call is no macro. */
export function expandMacro(
  macros: Macros,
  name: string,
  target: Expr | undefined,
  args: readonly Expr[],
  maker: Maker,
): Expanded | undefined {
  if (target === undefined) return name === 'has' && args.length === 1 ? has(args, maker) : undefined
  const key = `${name}/${args.length}`
  const expand =
    standard[key] ??
    (macros.twoVariables ? twoVariables[key] : undefined) ??
    (macros.optional ? optional[key] : undefined)
  return expand?.(args, target, maker)
}

function has([arg]: readonly Expr[], { offset, make }: Maker): Expanded {
  if (arg?.kind !== 'select' || arg.test) {
    return { kind: 'wrong', offset: arg?.offset ?? offset, message: 'invalid argument to has() macro' }
  }
  return {
    kind: 'expanded',
    expr: make(offset, { kind: 'select', operand: arg.operand, field: arg.field, test: true }),
  }
}

/** What the bodies of comprehensions are made of. */
function builder({ offset, make }: Maker) {
  const call = (name: string, ...args: Expr[]): Expr => make(offset, { kind: 'call', name, target: undefined, args })
  return {
    call,
    accumulator: make(offset, { kind: 'ident', name: accumulatorName }),
    literal: (value: boolean | number): Expr => make(offset, { kind: 'literal', value }),
    emptyList: (): Expr => make(offset, { kind: 'list', elements: [] }),
    listOf: (value: Expr): Expr => make(offset, { kind: 'list', elements: [{ value, optional: false }] }),
    emptyMap: (): Expr => make(offset, { kind: 'map', entries: [] }),
  }
}
type Builder = ReturnType<typeof builder>
type Body = Pick<Comprehension, 'initial' | 'condition' | 'step' | 'result'>

function all(b: Builder, predicate: Expr): Body {
  return {
    initial: b.literal(true),
    condition: b.call(operators.notStrictlyFalse, b.accumulator),
    step: b.call(operators.and, b.accumulator, predicate),
    result: b.accumulator,
  }
}

function exists(b: Builder, predicate: Expr): Body {
  return {
    initial: b.literal(false),
    condition: b.call(operators.notStrictlyFalse, b.call(operators.not, b.accumulator)),
    step: b.call(operators.or, b.accumulator, predicate),
    result: b.accumulator,
  }
}

function existsOne(b: Builder, predicate: Expr): Body {
  const counted = b.call(operators.add, b.accumulator, b.literal(1))
  return {
    initial: b.literal(0),
    condition: b.literal(true),
    step: b.call(operators.conditional, predicate, counted, b.accumulator),
    result: b.call(operators.equals, b.accumulator, b.literal(1)),
  }
}

/** Gathers into a list or map: `step` for each that passes the filter. */
function gather(b: Builder, initial: Expr, filter: Expr | undefined, step: Expr): Body {
  return {
    initial,
    condition: b.literal(true),
    step: filter === undefined ? step : b.call(operators.conditional, filter, step, b.accumulator),
    result: b.accumulator,
  }
}

const append = (b: Builder, value: Expr): Expr => b.call(operators.add, b.accumulator, b.listOf(value))

/** A macro whose first `names` arguments are variables of a loop over the target. */
function loop(names: 1 | 2, badName: string, body: (b: Builder, args: readonly Expr[]) => Body | undefined): Expand {
  return (args, target, maker) => {
    const variables: string[] = []
    for (const arg of args.slice(0, names)) {
      if (arg.kind !== 'ident' || arg.name.startsWith('.'))
        return { kind: 'wrong', offset: arg.offset, message: badName }
      if (variables.includes(arg.name)) {
        return { kind: 'wrong', offset: arg.offset, message: `duplicate variable name: ${arg.name}` }
      }
      variables.push(arg.name)
    }
    const made = body(builder(maker), args)
    const [variable, second] = variables
    if (made === undefined || variable === undefined) return { kind: 'wrong', offset: maker.offset, message: badName }
    const whole: Comprehension = {
      kind: 'comprehension',
      range: target,
      variable,
      second,
      accumulator: accumulatorName,
      ...made,
    }
    return { kind: 'expanded', expr: maker.make(maker.offset, whole) }
  }
}

const simpleName = 'argument must be a simple name'
const identifier = 'argument is not an identifier'

const standard: Readonly<Record<string, Expand>> = {
  'all/2': loop(1, simpleName, (b, [, predicate]) => predicate && all(b, predicate)),
  'exists/2': loop(1, simpleName, (b, [, predicate]) => predicate && exists(b, predicate)),
  'exists_one/2': loop(1, simpleName, (b, [, predicate]) => predicate && existsOne(b, predicate)),
  'existsOne/2': loop(1, simpleName, (b, [, predicate]) => predicate && existsOne(b, predicate)),
  'map/2': loop(1, identifier, (b, [, value]) => value && gather(b, b.emptyList(), undefined, append(b, value))),
  'map/3': loop(1, identifier, (b, [, filter, value]) => value && gather(b, b.emptyList(), filter, append(b, value))),
  'filter/2': loop(1, identifier, (b, [name, filter]) => name && gather(b, b.emptyList(), filter, append(b, name))),
}

function insert(b: Builder, key: Expr, value: Expr): Expr {
  return b.call(operators.mapInsert, b.accumulator, key, value)
}

const twoVariables: Readonly<Record<string, Expand>> = {
  'all/3': loop(2, identifier, (b, [, , predicate]) => predicate && all(b, predicate)),
  'exists/3': loop(2, identifier, (b, [, , predicate]) => predicate && exists(b, predicate)),
  'exists_one/3': loop(2, identifier, (b, [, , predicate]) => predicate && existsOne(b, predicate)),
  'existsOne/3': loop(2, identifier, (b, [, , predicate]) => predicate && existsOne(b, predicate)),
  'transformList/3': loop(
    2,
    identifier,
    (b, [, , value]) => value && gather(b, b.emptyList(), undefined, append(b, value)),
  ),
  'transformList/4': loop(
    2,
    identifier,
    (b, [, , filter, value]) => value && gather(b, b.emptyList(), filter, append(b, value)),
  ),
  'transformMap/3': loop(
    2,
    identifier,
    (b, [key, , value]) => key && value && gather(b, b.emptyMap(), undefined, insert(b, key, value)),
  ),
  'transformMap/4': loop(
    2,
    identifier,
    (b, [key, , filter, value]) => key && value && gather(b, b.emptyMap(), filter, insert(b, key, value)),
  ),
  'transformMapEntry/3': loop(
    2,
    identifier,
    (b, [, , entry]) => entry && gather(b, b.emptyMap(), undefined, b.call(operators.mapInsert, b.accumulator, entry)),
  ),
  'transformMapEntry/4': loop(
    2,
    identifier,
    (b, [, , filter, entry]) =>
      entry && gather(b, b.emptyMap(), filter, b.call(operators.mapInsert, b.accumulator, entry)),
  ),
}

/** target.hasValue() ? <wrap>(body with name = target.value()) : optional.none() */
function optionalBody(wrap: boolean): Expand {
  return ([name, body], target, { offset, make }) => {
    if (name?.kind !== 'ident' || body === undefined) {
      const macro = wrap ? 'optMap()' : 'optFlatMap()'
      return {
        kind: 'wrong',
        offset: name?.offset ?? offset,
        message: `${macro} variable name must be a simple identifier`,
      }
    }
    const call = (method: string, on: Expr | undefined, ...args: Expr[]): Expr =>
      make(offset, { kind: 'call', name: method, target: on, args })
    const namespace = make(offset, { kind: 'ident', name: 'optional' })
    const bound = make(offset, {
      kind: 'comprehension',
      range: make(offset, { kind: 'list', elements: [] }),
      variable: '#unused',
      second: undefined,
      accumulator: name.name,
      initial: call('value', target),
      condition: make(offset, { kind: 'literal', value: false }),
      step: make(offset, { kind: 'ident', name: name.name }),
      result: body,
    })
    const some = wrap ? call('of', namespace, bound) : bound
    const none = call('none', namespace)
    return { kind: 'expanded', expr: call(operators.conditional, undefined, call('hasValue', target), some, none) }
  }
}

const optional: Readonly<Record<string, Expand>> = {
  'optMap/2': optionalBody(true),
  'optFlatMap/2': optionalBody(false),
}
