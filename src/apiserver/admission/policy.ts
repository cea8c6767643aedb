// ValidatingAdmissionPolicy: what its expressions say of one request. Pure. After
// k8s.io/apiserver/pkg/admission/plugin/policy/validating; the messages are upstream's.
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
import {
  type AdmissionInput,
  type AdmissionOptions,
  admissionVariables,
  variableFailed,
} from '../../api/cel/admission.ts'
import { messageBytesMax, perCallLimit, policyBudget } from '../../api/cel/limits.ts'
import type { ValidatingAdmissionPolicy, Validation } from '../../api/kinds/validatingadmissionpolicy.ts'
import type { Program } from '../../lib/cel/cel.ts'
import type { Variables } from '../../lib/cel/interpret.ts'
import { bool, dyn, formatType, nullType, string, type Type } from '../../lib/cel/types.ts'
import type { Result } from '../../lib/cel/values.ts'
import { compiledOnce, judge } from './expressions.ts'

/** `index`: of the validation that does not hold. */
export type Violation = { readonly message: string; readonly reason: string; readonly index: number }

export type Judgement = {
  /** What the policy holds against the request. With failurePolicy Ignore a fault is nothing. */
  readonly violations: readonly Violation[]
  /** For the audit event. */
  readonly annotations: readonly { readonly key: string; readonly value: string }[]
  /** Annotations that could not be made refuse the request, whatever the binding wants done about violations. */
  readonly faults: readonly string[]
}

type Compiled = { readonly program: Program } | { readonly fault: string }

function compile(expression: string, options: AdmissionOptions): Compiled {
  const types = Object.entries(options.variables ?? {}).map(([name, type]) => `${name}:${formatType(type)}`)
  const compiled = compiledOnce(expression, options, types.join(','))
  return compiled.kind === 'ok' ? { program: compiled.program } : { fault: `compilation error: ${compiled.detail}` }
}

export function judgementOf({ spec }: ValidatingAdmissionPolicy, input: Omit<AdmissionInput, 'variables'>): Judgement {
  const fails = spec.failurePolicy !== 'Ignore'
  const fault = (message: string, index: number): readonly Violation[] =>
    fails ? [{ message, reason: 'Invalid', index }] : []
  const nothing: Judgement = { violations: [], annotations: [], faults: [] }
  try {
    if (!judge(spec.matchConditions ?? [], input)) return nothing
  } catch (error) {
    return { ...nothing, violations: fault((error as Error).message, 0) }
  }
  const params = spec.paramKind !== undefined
  const budget = { left: policyBudget }
  const { variables, types } = variablesOf(spec.variables ?? [], input, params, budget)
  const options = { params, authorizer: true, variables: types }
  const failed = (expression: string, why: string) => `expression '${expression}' resulted in error: ${why}`
  const violations = (spec.validations ?? []).flatMap((validation, index) => {
    const compiled = compile(validation.expression, { ...options, returns: [bool] })
    if ('fault' in compiled) return fault(compiled.fault, index)
    const done = run(compiled.program, variables, budget)
    if (done.kind === 'failed') return fault(failed(validation.expression, done.error), index)
    if (done.value === true) return []
    const message = messageOf(validation, options, variables, budget)
    return [{ message, reason: validation.reason ?? 'Invalid', index }]
  })
  const annotations: { key: string; value: string }[] = []
  const faults: string[] = []
  for (const { key, valueExpression } of spec.auditAnnotations ?? []) {
    const compiled = compile(valueExpression, { ...options, returns: [string, nullType] })
    const done = 'fault' in compiled ? undefined : run(compiled.program, variables, budget)
    if (done?.kind === 'value') {
      const value = typeof done.value === 'string' ? done.value.trim() : ''
      if (value !== '') annotations.push({ key, value: value.slice(0, annotationLengthMax) })
    } else if (fails) {
      faults.push('fault' in compiled ? compiled.fault : failed(valueExpression, done?.error ?? ''))
    }
  }
  return { violations, annotations, faults }
}

const annotationLengthMax = 10 * 1_024

type Budget = { left: number }

function run(program: Program, variables: Variables, budget: Budget) {
  const done = program.evaluate(variables, { costLimit: Math.max(0, Math.min(budget.left, perCallLimit)) })
  budget.left -= done.cost
  return done
}

/** Each is evaluated when it is first read, and may read those before it. */
function variablesOf(
  given: NonNullable<ValidatingAdmissionPolicy['spec']['variables']>,
  input: Omit<AdmissionInput, 'variables'>,
  params: boolean,
  budget: Budget,
): { readonly variables: Variables; readonly types: Readonly<Record<string, Type>> } {
  const types: Record<string, Type> = {}
  const values: Record<string, () => Result> = {}
  const variables = admissionVariables({ ...input, variables: values })
  for (const { name, expression } of given) {
    const compiled = compile(expression, { params, authorizer: true, variables: { ...types } })
    types[name] = 'fault' in compiled ? dyn : compiled.program.type
    values[name] = () => {
      if ('fault' in compiled) return variableFailed(name, compiled.fault)
      const done = run(compiled.program, variables, budget)
      return done.kind === 'value' ? done.value : variableFailed(name, done.error)
    }
  }
  return { variables, types }
}

function messageOf(validation: Validation, options: AdmissionOptions, variables: Variables, budget: Budget): string {
  const { messageExpression = '', message = '', expression } = validation
  if (messageExpression !== '') {
    const compiled = compile(messageExpression, { ...options, returns: [string] })
    const done = 'fault' in compiled ? undefined : run(compiled.program, variables, budget)
    const text = done?.kind === 'value' && typeof done.value === 'string' ? done.value.trim() : ''
    if (text !== '' && text.length <= messageBytesMax && !text.includes('\n')) return text
  }
  return message.trim() === '' ? `failed expression: ${expression.trim()}` : message.trim()
}
