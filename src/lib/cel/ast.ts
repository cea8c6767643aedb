// The syntax tree of an expression, after macros are expanded (cel-spec, syntax.proto). An expression is known by its
// identity: what checking finds of it is kept in maps from Expr.
import type { Value } from './values.ts'

export type Expr = {
  /** Where in the source it is reported: the operator of an operation, the first character of anything else. */
  readonly offset: number
  /** 1 for a leaf, else one more than its deepest part. */
  readonly depth: number
} & ExprKind

export type ExprKind =
  | { readonly kind: 'literal'; readonly value: Value }
  /** With a leading dot when it was written with one. */
  | { readonly kind: 'ident'; readonly name: string }
  /** `test` for has(operand.field). */
  | { readonly kind: 'select'; readonly operand: Expr; readonly field: string; readonly test: boolean }
  | {
      readonly kind: 'call'
      readonly name: string
      readonly target: Expr | undefined
      readonly args: readonly Expr[]
    }
  | { readonly kind: 'list'; readonly elements: readonly Element[] }
  | { readonly kind: 'map'; readonly entries: readonly Entry[] }
  | { readonly kind: 'object'; readonly name: string; readonly fields: readonly Initializer[] }
  | Comprehension

export type Element = { readonly value: Expr; readonly optional: boolean }
export type Entry = { readonly key: Expr; readonly value: Expr; readonly optional: boolean }
export type Initializer = {
  readonly field: string
  readonly offset: number
  readonly value: Expr
  readonly optional: boolean
}

/** A loop over a list's elements or a map's keys; with `second`, over index and element or key and value. */
export type Comprehension = {
  readonly kind: 'comprehension'
  readonly range: Expr
  readonly variable: string
  readonly second: string | undefined
  readonly accumulator: string
  readonly initial: Expr
  /** The loop goes on while it is true. */
  readonly condition: Expr
  readonly step: Expr
  readonly result: Expr
}

/** The deepest that an expression may nest. */
export const depthMax = 250

/** Operators are functions with names that no source can write. */
export const operators = {
  conditional: '_?_:_',
  and: '_&&_',
  or: '_||_',
  not: '!_',
  equals: '_==_',
  notEquals: '_!=_',
  less: '_<_',
  lessEquals: '_<=_',
  greater: '_>_',
  greaterEquals: '_>=_',
  add: '_+_',
  subtract: '_-_',
  multiply: '_*_',
  divide: '_/_',
  modulo: '_%_',
  negate: '-_',
  index: '_[_]',
  in: '@in',
  optionalSelect: '_?._',
  optionalIndex: '_[?_]',
  notStrictlyFalse: '@not_strictly_false',
  mapInsert: 'cel.@mapInsert',
} as const

/** The variable in which comprehensions gather. No source can write it. */
export const accumulatorName = '@result'

export function expr(offset: number, kind: ExprKind): Expr {
  return { offset, depth: 1 + depthOf(kind), ...kind } as Expr
}

function depthOf(kind: ExprKind): number {
  switch (kind.kind) {
    case 'literal':
    case 'ident':
      return 0
    case 'select':
      return kind.operand.depth
    case 'call':
      return Math.max(0, kind.target?.depth ?? 0, ...kind.args.map(arg => arg.depth))
    case 'list':
      return kind.elements.reduce((deepest, { value }) => Math.max(deepest, value.depth), 0)
    case 'map':
      return kind.entries.reduce((deepest, { key, value }) => Math.max(deepest, key.depth, value.depth), 0)
    case 'object':
      return kind.fields.reduce((deepest, { value }) => Math.max(deepest, value.depth), 0)
    case 'comprehension':
      return Math.max(kind.range.depth, kind.initial.depth, kind.condition.depth, kind.step.depth, kind.result.depth)
  }
}
