// The terms by which a pod or a volume chooses nodes (upstream: ValidateNodeSelector, validateNodeAffinityMutation).
import { equalJson } from '../equal.ts'
import { forbidden, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { dnsSubdomain, labelValue, qualifiedName } from '../names.ts'
import type { Affinity, NodeAffinity, NodeSelector, NodeSelectorTerm } from '../types/affinity.ts'

/** `labels`: values that no label can have are told. */
export function validateNodeTerms(
  { nodeSelectorTerms }: NodeSelector,
  path: string,
  labels = false,
): readonly FieldError[] {
  return (nodeSelectorTerms ?? []).flatMap((term, i) =>
    validateNodeTerm(term, `${path}.nodeSelectorTerms[${i}]`, labels),
  )
}

export function validateNodeTerm(term: NodeSelectorTerm, path: string, labels = false): readonly FieldError[] {
  return [
    ...(term.matchExpressions ?? []).flatMap((one, i) =>
      validateExpression(one, `${path}.matchExpressions[${i}]`, labels),
    ),
    ...(term.matchFields ?? []).flatMap((one, i) => validateFieldRequirement(one, `${path}.matchFields[${i}]`)),
  ]
}

type Requirement = NonNullable<NodeSelectorTerm['matchExpressions']>[number]

function validateExpression(
  { operator, key, values = [] }: Requirement,
  path: string,
  labels: boolean,
): readonly FieldError[] {
  const errors: FieldError[] = []
  if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
    errors.push(requiredValue(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
  }
  if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
    errors.push(forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
  }
  if ((operator === 'Gt' || operator === 'Lt') && values.length !== 1) {
    errors.push(requiredValue(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
  }
  const wrong = key ? qualifiedName(key) : undefined
  if (wrong !== undefined) errors.push(invalidValue(`${path}.key`, key, wrong))
  for (const [i, value] of values.entries()) {
    const fault = labels ? labelValue(value) : undefined
    if (fault !== undefined) errors.push(invalidValue(`${path}.values[${i}]`, value, fault))
  }
  return errors
}

/** The one field there is: the node's own name. */
function validateFieldRequirement({ operator, key, values = [] }: Requirement, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  if (operator !== 'In' && operator !== 'NotIn') {
    errors.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'))
  } else if (values.length !== 1) {
    const why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
    errors.push(requiredValue(`${path}.values`, why))
  }
  if (key !== 'metadata.name') {
    return [...errors, invalidValue(`${path}.key`, key, 'not a valid field selector key')]
  }
  for (const [i, value] of values.entries()) {
    const fault = dnsSubdomain(value)
    if (fault !== undefined) errors.push(invalidValue(`${path}.values[${i}]`, value, fault))
  }
  return errors
}

/** `affinity` with the nodes of `old`. */
export function withNodesOf(affinity: Affinity | undefined, old: Affinity | undefined): Affinity | undefined {
  const { nodeAffinity: _, ...rest } = affinity ?? {}
  const whole = { ...rest, ...(old?.nodeAffinity && { nodeAffinity: old.nodeAffinity }) }
  if (Object.keys(whole).length > 0) return whole
  return old && Object.keys(old).length === 0 ? old : undefined
}

/** A pod that waits behind gates may be told more narrowly where to go, and never more widely. */
export function validateNodesChange(
  affinity: NodeAffinity | undefined,
  old: NodeAffinity | undefined,
  path: string,
): readonly FieldError[] {
  const field = 'requiredDuringSchedulingIgnoredDuringExecution'
  const before = old?.[field]?.nodeSelectorTerms ?? []
  const terms = affinity?.[field]?.nodeSelectorTerms ?? []
  const at = `${path}.${field}.nodeSelectorTerms`
  if (before.length > 0 && before.length !== terms.length) {
    return [invalidValue(at, terms, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed')]
  }
  return before.flatMap((term, i) => {
    const next = terms[i] ?? {}
    if (isNarrower(next, term)) return []
    return [invalidValue(`${at}[${i}]`, next, 'only additions are allowed (no mutations or deletions)')]
  })
}

/** A term without anything matches no node, and stays so. */
function isNarrower(term: NodeSelectorTerm, old: NodeSelectorTerm): boolean {
  const { matchExpressions = [], matchFields = [] } = old
  const [expressions, fields] = [term.matchExpressions ?? [], term.matchFields ?? []]
  if (matchExpressions.length + matchFields.length === 0) return expressions.length + fields.length === 0
  return (
    equalJson(expressions.slice(0, matchExpressions.length), matchExpressions) &&
    equalJson(fields.slice(0, matchFields.length), matchFields)
  )
}
