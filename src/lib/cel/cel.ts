// The Common Expression Language (github.com/google/cel-spec), as cel-go runs it: compile an expression once, evaluate it
// often. Both are total: any text gives a program or issues, and evaluation ends at its cost limit at the latest.
// Functions beyond the standard ones come as libraries (env.ts), documents as lazily adapted values (values.ts).
import { type Checked, check } from './check.ts'
import { estimateChecked, type Sizes } from './cost.ts'
import { type Env, type Functions, functionsOf, type Library, type Range } from './env.ts'
import { interpret, type Variables } from './interpret.ts'
import { parse } from './parser.ts'
import { type Issue, showIssues } from './source.ts'
import { standardLibraries } from './standard.ts'
import type { Type } from './types.ts'
import { Failure, type Value } from './values.ts'

export type Program = {
  readonly source: string
  readonly checked: Checked
  /** The type of what it evaluates to. */
  readonly type: Type
  readonly evaluate: (variables: Variables, options: { readonly costLimit: number }) => Evaluated
}

export type Evaluated =
  | { readonly kind: 'value'; readonly value: Value; readonly cost: number }
  | { readonly kind: 'failed'; readonly error: string; readonly cost: number }

export type Compiled =
  | { readonly kind: 'ok'; readonly program: Program }
  /** `message` shows all issues with their places, as cel-go does. */
  | { readonly kind: 'refused'; readonly issues: readonly Issue[]; readonly message: string }

/** An environment of these variables, the standard functions and those of `libraries`. */
export function environment(variables: Readonly<Record<string, Type>>, libraries: readonly Library[] = none): Env {
  const functions = known.get(libraries) ?? functionsOf(...standardLibraries, ...libraries)
  known.set(libraries, functions)
  return {
    variables,
    functions,
    macros: { optional: true, twoVariables: true },
  }
}

/** Functions by the libraries that they come from: environments with the same are many. */
const known = new WeakMap<readonly Library[], Functions>()
const none: readonly Library[] = []

/** Parses, checks, and makes ready to run. Never throws, whatever the text is; neither does `evaluate`. */
export function compile(source: string, env: Env): Compiled {
  const refuse = (issues: readonly Issue[]): Compiled => ({
    kind: 'refused',
    issues,
    message: showIssues(source, issues),
  })
  const parsed = parse(source, env.macros)
  if (parsed.kind === 'refused') return refuse(parsed.issues)
  const checked = check(env, parsed.expr)
  if ('issues' in checked) return refuse(checked.issues)
  const run = interpret(checked)
  const evaluate: Program['evaluate'] = (variables, { costLimit }) => {
    const { result, cost } = run(variables, costLimit)
    if (result instanceof Failure) return { kind: 'failed', error: result.message, cost }
    return { kind: 'value', value: result, cost }
  }
  const type = checked.types.get(checked.expr) ?? { kind: 'dyn' }
  return { kind: 'ok', program: { source, checked, type, evaluate } }
}

/** The least and most that evaluating may cost, when what it reads is at most as large as `sizes` says. */
export const estimateCost = (program: Program, sizes: Sizes): Range => estimateChecked(program.checked, sizes)
