// The validation rules of custom resources (x-kubernetes-validations): compiled against the schema that they stand on, with
// a bound of their cost, and evaluated on objects
// (apiextensions-apiserver pkg/apiserver/schema/cel; https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules).
import { compile, environment, estimateCost, type Program } from '../../lib/cel/cel.ts'
import { optional, type Type } from '../../lib/cel/types.ts'
import { Failure, Optional, type Result } from '../../lib/cel/values.ts'
import type { Json } from '../schema.ts'
import type { ValidationRule } from '../types/jsonschema.ts'
import { adapt } from './adapt.ts'
import { type Declaration, occurrencesMax, sizeAt, withTypeAndName } from './declare.ts'
import { kubernetesLibraries } from './library/all.ts'
import { messageBytesMax, perCallLimit } from './limits.ts'

export type CompiledRule = { readonly kind: 'ok'; readonly rule: Rule } | Refused
/** `detail` is what the error of the field says: "compilation failed: ERROR: <input>:1:6: ...". */
export type Refused = { readonly kind: 'refused'; readonly detail: string }

export type Rule = {
  /** Whether it reads oldSelf, so that it holds only of changes. */
  readonly transition: boolean
  /** The most that one evaluation may cost; Infinity when nothing bounds it. */
  readonly costMax: number
  /** The most often that its schema may occur in a request, for use where nothing above bounds that. */
  readonly occurrencesMax: number
  /** `oldSelf` is undefined where there is none to compare with. The caller leaves out null values of self. */
  readonly evaluate: (self: Json, oldSelf: Json | undefined) => Outcome
}

export type Outcome =
  | { readonly kind: 'held' | 'violated'; readonly cost: number }
  /** `detail` is what the error of the field says. `final`: no further rule is to be run. */
  | { readonly kind: 'failed'; readonly detail: string; readonly final: boolean; readonly cost: number }

/**
 * Compiles one rule of the schema of `declaration`; `root` is whether that describes a whole resource. Where the rule says
 * optionalOldSelf, oldSelf is an optional value and the rule is evaluated without one, too; elsewhere the caller skips
 * transition rules without an old value.
 */
export function compileRule(declaration: Declaration, root: boolean, rule: ValidationRule): CompiledRule {
  const compiled = compileWith(declaration, rule.rule, rule.optionalOldSelf === true)
  if (compiled.kind === 'refused') return { kind: 'refused', detail: `compilation failed: ${compiled.message}` }
  const { program } = compiled
  if (program.type.kind !== 'bool') return { kind: 'refused', detail: 'cel expression must evaluate to a bool' }
  const adaptSelf = adapterOf(declaration, root)
  return {
    kind: 'ok',
    rule: {
      transition: readsOldSelf(program),
      costMax: costMaxOf(program, declaration),
      occurrencesMax: occurrencesMax(declaration),
      evaluate: (self, oldSelf) => {
        const variables = variablesOf(adaptSelf, self, oldSelf, rule.optionalOldSelf === true)
        const evaluated = program.evaluate(variables, { costLimit: perCallLimit })
        const { cost } = evaluated
        if (evaluated.kind === 'failed') return { ...failureOf(evaluated.error, rule), cost }
        return { kind: evaluated.value === true ? 'held' : 'violated', cost }
      },
    },
  }
}

export type CompiledMessage = { readonly kind: 'ok'; readonly message: Message } | Refused

export type Message = {
  readonly costMax: number
  /** The message, trimmed; undefined for one that Kubernetes does not take, after which the rule's own is used. */
  readonly evaluate: (
    self: Json,
    oldSelf: Json | undefined,
  ) => { readonly message: string | undefined; readonly cost: number }
}

/** Compiles the messageExpression of a rule. */
export function compileMessage(declaration: Declaration, root: boolean, rule: ValidationRule): CompiledMessage {
  const compiled = compileWith(declaration, rule.messageExpression ?? '', rule.optionalOldSelf === true)
  if (compiled.kind === 'refused') {
    return { kind: 'refused', detail: `messageExpression compilation failed: ${compiled.message}` }
  }
  const { program } = compiled
  if (program.type.kind !== 'string') {
    return { kind: 'refused', detail: 'messageExpression must evaluate to a string' }
  }
  const adaptSelf = adapterOf(declaration, root)
  return {
    kind: 'ok',
    message: {
      costMax: costMaxOf(program, declaration),
      evaluate: (self, oldSelf) => {
        const variables = variablesOf(adaptSelf, self, oldSelf, rule.optionalOldSelf === true)
        const evaluated = program.evaluate(variables, { costLimit: perCallLimit })
        const text = evaluated.kind === 'value' && typeof evaluated.value === 'string' ? evaluated.value.trim() : ''
        const usable = text !== '' && !text.includes('\n') && new TextEncoder().encode(text).length <= messageBytesMax
        return { message: usable ? text : undefined, cost: evaluated.cost }
      },
    },
  }
}

function compileWith(declaration: Declaration, source: string, optionalOldSelf: boolean) {
  const oldSelf: Type = optionalOldSelf ? optional(declaration.type) : declaration.type
  return compile(source, environment({ self: declaration.type, oldSelf }, kubernetesLibraries))
}

function readsOldSelf({ checked }: Program): boolean {
  return checked.variables.values().some(name => name === 'oldSelf')
}

const costMaxOf = (program: Program, declaration: Declaration): number =>
  estimateCost(program, path => sizeAt(declaration, path)).max

type Adapter = (json: Json) => Result

function adapterOf({ schema }: Declaration, root: boolean): Adapter {
  const complete = root ? withTypeAndName(schema) : schema
  return json => adapt(json, complete)
}

function variablesOf(adaptSelf: Adapter, self: Json, oldSelf: Json | undefined, optionalOldSelf: boolean) {
  return { self: () => adaptSelf(self), oldSelf: () => adaptOld(adaptSelf, oldSelf, optionalOldSelf) }
}

function adaptOld(adaptSelf: Adapter, oldSelf: Json | undefined, optionalOldSelf: boolean): Result {
  if (oldSelf === undefined) {
    return optionalOldSelf ? new Optional(undefined) : new Failure('no such attribute(s): oldSelf')
  }
  const value = adaptSelf(oldSelf)
  return value instanceof Failure || !optionalOldSelf ? value : new Optional(value)
}

/** A failed evaluation in upstream's words. */
function failureOf(
  error: string,
  rule: ValidationRule,
): Pick<Outcome & { kind: 'failed' }, 'kind' | 'detail' | 'final'> {
  const shown = (rule.message ?? '') === '' ? rule.rule.trim() : (rule.message ?? '').trim()
  if (error.startsWith('no such overload')) {
    const why = 'call arguments did not match a supported operator, function or macro signature for rule'
    return { kind: 'failed', detail: `'${error}': ${why}: ${shown}`, final: false }
  }
  if (error.startsWith('operation cancelled: actual cost limit exceeded')) {
    const why = 'no further validation rules will be run due to call cost exceeds limit for rule'
    return { kind: 'failed', detail: `'${error}': ${why}: ${shown}`, final: true }
  }
  return { kind: 'failed', detail: `${error} evaluating rule: ${shown}`, final: false }
}

/** What is said of an object that violates a rule. */
export function messageOf(rule: ValidationRule): string {
  return (rule.message ?? '') === '' ? `failed rule: ${rule.rule.trim()}` : (rule.message ?? '').trim()
}
