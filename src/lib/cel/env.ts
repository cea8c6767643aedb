// What an expression may use: variables with types, functions with overloads, macros. Data; checked by check.ts, run by
// interpret.ts.
import type { Macros } from './macros.ts'
import type { Type } from './types.ts'
import type { Result, Value } from './values.ts'

/** Costs of cel-go (common/cost.go). */
export const costs = {
  identOrSelect: 1,
  list: 10,
  map: 30,
  object: 40,
  perCharacter: 0.1,
  perRegexCharacter: 0.25,
} as const

/** A number of elements, or a cost: at least min and at most max, which may be Infinity. */
export type Range = { readonly min: number; readonly max: number }

/** What is known of an argument before anything runs. The target of a method is the first. */
export type Argument = {
  readonly type: Type
  readonly size: Range
  /** Of a list: its elements. */
  readonly element: { readonly type: Type; readonly size: Range } | undefined
}

export type CallEstimate = { readonly cost: Range; readonly size?: Range }

export type Overload = {
  /** cel-go's name for it, for example index_list. */
  readonly id: string
  /** Called as target.f(...): the first parameter is the target. */
  readonly member: boolean
  readonly params: readonly Type[]
  readonly result: Type
  /** Gets as many arguments as there are parameters, each of the parameter's type. Must not throw. */
  readonly call: (...args: Value[]) => Result
  /** At run time any value may stand for the second argument: `call` looks at it. */
  readonly anySecond?: true
  /** What a call costs beside its arguments, taken before it runs; 1 unless said. */
  readonly cost?: (...args: Value[]) => number
  /** What it costs beside that, when that shows in the result alone. */
  readonly resultCost?: (result: Value) => number
  /** The bounds of that cost, and of the result's size where it has one. */
  readonly estimate?: (...args: Argument[]) => CallEstimate
  /** What is wrong with a literal first argument (second of a method), which need not wait for evaluation. */
  readonly refuseLiteral?: (value: Value) => string | undefined
}

/** Functions by name. */
export type Library = Readonly<Record<string, readonly Overload[]>>
export type Functions = ReadonlyMap<string, readonly Overload[]>

/** Where and how an expression is compiled. */
export type Env = {
  readonly variables: Readonly<Record<string, Type>>
  readonly functions: Functions
  readonly macros: Macros
}

export function functionsOf(...libraries: readonly Library[]): Functions {
  const functions = new Map<string, Overload[]>()
  for (const library of libraries) {
    for (const [name, overloads] of Object.entries(library)) {
      functions.set(name, [...(functions.get(name) ?? []), ...overloads])
    }
  }
  return functions
}

/** `name(params) -> result` as a function. */
export function overload(
  id: string,
  params: readonly Type[],
  result: Type,
  call: (...args: never[]) => Result,
  more: Pick<Overload, 'anySecond' | 'cost' | 'resultCost' | 'estimate' | 'refuseLiteral'> = {},
): Overload {
  // Values are checked against params before a call, which is what the parameters of `call` rely on.
  return { id, member: false, params, result, call: call as Overload['call'], ...more }
}

/** The same as a method of its first parameter. */
export function method(...args: Parameters<typeof overload>): Overload {
  return { ...overload(...args), member: true }
}
