// ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1): what must hold of a request, in CEL; a binding says where.
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
import { bool, dyn, nullType, string, type Type } from '../../lib/cel/types.ts'
import { compileAdmission } from '../cel/admission.ts'
import { duplicateValue, invalidValue, notSupported, requiredValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dns1035Label, dnsSubdomain, qualifiedName } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import {
  admissionGroup,
  matchConditionsField,
  matchResources,
  validateConditions,
  validateEnums,
  validateMatch,
} from '../types/admission.ts'
import { condition, objectMeta } from '../types/meta.ts'

const prefix = 'io.k8s.api.admissionregistration.v1'
const map = { listType: 'map', mapKeys: ['name'], mergeKey: 'name' } as const

export const paramKind = s.object(
  `${prefix}.ParamKind`,
  {
    apiVersion: s.string(1, 'Group and version: example.com/v1, or v1 for core kinds.'),
    kind: s.string(2, 'Name of the kind in CamelCase, such as ConfigMap.'),
  },
  { atomic: true, description: 'The kind whose objects serve as parameters of a policy.' },
)
export const validation = s.object(
  `${prefix}.Validation`,
  {
    expression: s.string(1, {
      required: true,
      description:
        'CEL over object, oldObject, request, params, namespaceObject, variables and authorizer; false is a violation.',
    }),
    message: s.string(
      2,
      'Told of a violation: one line of at most 1024 characters. Required for an expression of several lines.',
    ),
    reason: s.string(3, {
      pointer: true,
      description:
        'Of the refusal, which decides its HTTP status: Unauthorized, Forbidden, Invalid or RequestEntityTooLarge. Invalid when absent.',
    }),
    messageExpression: s.string(
      4,
      'CEL that makes a text to tell instead of message; message counts when it fails or makes no single line.',
    ),
  },
  { description: 'Something that must hold of every request that the policy takes.' },
)
export type Validation = TypeOf<typeof validation>
export const auditAnnotation = s.object(
  `${prefix}.AuditAnnotation`,
  {
    key: s.string(1, {
      required: true,
      description: 'Unique in the policy; stands in the audit event as <policy>/<key>.',
    }),
    valueExpression: s.string(2, {
      required: true,
      description: 'CEL that makes the text, or null for no note. Cut off after 10240 characters.',
    }),
  },
  { description: 'A note in the audit event of every request that the policy takes.' },
)
export const variable = s.object(
  `${prefix}.Variable`,
  {
    name: s.string(1, { required: true, description: 'A CEL identifier; others read it as variables.<name>.' }),
    expression: s.string(2, {
      required: true,
      description: 'CEL, evaluated when first read, at most once for a request. May read the variables before it.',
    }),
  },
  { atomic: true, description: 'A value with a name, for expressions to share.' },
)
export type Variable = TypeOf<typeof variable>
export const validatingAdmissionPolicySpec = s.object(
  `${prefix}.ValidatingAdmissionPolicySpec`,
  {
    paramKind: s.of(1, paramKind, 'Kind of the objects that expressions read as params; without it there are none.'),
    matchConstraints: s.of(
      2,
      matchResources,
      'Requests that the policy takes; bindings may narrow them. Must be given.',
    ),
    validations: s.list(3, validation, 'All of these must hold. There must be at least one, or an auditAnnotation.'),
    failurePolicy: s.string(4, {
      pointer: true,
      default: 'Fail',
      description:
        'When an expression fails or parameters cannot be had: Fail counts it against the request, Ignore lets it go.',
    }),
    auditAnnotations: s.list(5, auditAnnotation, 'Notes for the audit event, at most 20.'),
    matchConditions: matchConditionsField(6),
    variables: s.list(7, variable, {
      ...map,
      description: 'Values that expressions share, in an order in which each may read those before it.',
    }),
  },
  { description: 'What must hold of which requests. Without a binding it has no effect.' },
)
export type ValidatingAdmissionPolicySpec = TypeOf<typeof validatingAdmissionPolicySpec>
export const expressionWarning = s.object(
  `${prefix}.ExpressionWarning`,
  {
    fieldRef: s.string(2, {
      required: true,
      description: 'Path of the expression, such as spec.validations[0].expression.',
    }),
    warning: s.string(3, { required: true, description: 'What the compiler says, for each kind that the rules name.' }),
  },
  { description: 'What is wrong with an expression, for all that is known of types.' },
)
export const typeChecking = s.object(
  `${prefix}.TypeChecking`,
  { expressionWarnings: s.list(1, expressionWarning, 'One for each expression that something is wrong with.') },
  { description: 'Where expressions do not suit the kinds that the rules name. It only warns.' },
)
export const validatingAdmissionPolicyStatus = s.object(
  `${prefix}.ValidatingAdmissionPolicyStatus`,
  {
    observedGeneration: s.int64(1, 'The metadata.generation that typeChecking is about.'),
    typeChecking: s.of(2, typeChecking, 'Looked at once for each change of the spec; empty when nothing was found.'),
    conditions: s.list(3, condition, {
      listType: 'map',
      mapKeys: ['type'],
      description: 'States of the policy. Nothing here writes any.',
    }),
  },
  { description: 'What the server has found out about the policy.' },
)
export const validatingAdmissionPolicySchema = s.object(
  `${prefix}.ValidatingAdmissionPolicy`,
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Bindings refer to the name; it is also part of the keys of audit annotations.',
    }),
    spec: s.of(2, validatingAdmissionPolicySpec, {
      default: {},
      description: 'What must hold, and of which requests.',
    }),
    status: s.of(3, validatingAdmissionPolicyStatus, { default: {}, description: 'Written by the server.' }),
  },
  {
    description: 'Rules in CEL for what may be written, judged by the API server itself. A binding puts them in force.',
  },
)
export type ValidatingAdmissionPolicy = TypeOf<typeof validatingAdmissionPolicySchema>

const reasons = ['Unauthorized', 'Forbidden', 'Invalid', 'RequestEntityTooLarge']
const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/
const auditAnnotationsMax = 20
const messageBytesMax = 1_024

function validateSpec(spec: ValidatingAdmissionPolicySpec, name: string): readonly FieldError[] {
  const { matchConstraints, validations = [], auditAnnotations = [], variables = [] } = spec
  const errors: FieldError[] = [
    ...validateEnums({ failurePolicy: spec.failurePolicy }, 'spec'),
    ...(spec.paramKind ? validateParamKind(spec.paramKind) : []),
    ...validateConditions(spec.matchConditions, 'spec.matchConditions', spec.paramKind !== undefined),
    ...variables.flatMap((one, i) => validateVariable(one, variables, i)),
    ...validations.flatMap((one, i) => validateValidation(one, `spec.validations[${i}]`)),
    ...validateAnnotations(auditAnnotations, name),
    ...validateExpressions(spec),
  ]
  if (matchConstraints === undefined) errors.push(requiredValue('spec.matchConstraints'))
  else {
    errors.push(...validateMatch(matchConstraints, 'spec.matchConstraints'))
    // Something must be matched, or else nothing ever is.
    if ((matchConstraints.resourceRules ?? []).length === 0) {
      errors.push(requiredValue('spec.matchConstraints.resourceRules'))
    }
  }
  if (validations.length === 0 && auditAnnotations.length === 0) {
    const why = 'validations or auditAnnotations must be specified'
    errors.push(requiredValue('spec.validations', `${why}; exactly one or both`))
  }
  return errors
}

/** All that compiles, against the variables before it. */
function validateExpressions(spec: ValidatingAdmissionPolicySpec): readonly FieldError[] {
  const base = { params: spec.paramKind !== undefined, authorizer: true }
  const variables: Record<string, Type> = {}
  const errors: FieldError[] = []
  const compile = (expression: string | undefined, path: string, returns?: readonly Type[]): Type => {
    if (!expression?.trim()) return dyn
    const compiled = compileAdmission(expression, { ...base, variables: { ...variables }, ...(returns && { returns }) })
    if (compiled.kind === 'ok') return compiled.program.type
    errors.push(invalidValue(path, expression, compiled.detail))
    return dyn
  }
  for (const [i, { name, expression }] of (spec.variables ?? []).entries()) {
    variables[name] = compile(expression, `spec.variables[${i}].expression`)
  }
  for (const [i, { expression, messageExpression }] of (spec.validations ?? []).entries()) {
    compile(expression, `spec.validations[${i}].expression`, [bool])
    compile(messageExpression, `spec.validations[${i}].messageExpression`, [string])
  }
  for (const [i, { valueExpression }] of (spec.auditAnnotations ?? []).entries()) {
    compile(valueExpression, `spec.auditAnnotations[${i}].valueExpression`, [string, nullType])
  }
  return errors
}

function validateParamKind({ apiVersion = '', kind = '' }: TypeOf<typeof paramKind>): readonly FieldError[] {
  const errors: FieldError[] = []
  if (apiVersion === '') errors.push(requiredValue('spec.paramKind.apiVersion'))
  else {
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/', 2) : ['', apiVersion]
    const wrong = (group ? dnsSubdomain(group) : undefined) ?? dns1035Label(version ?? '')
    if (wrong !== undefined) errors.push(invalidValue('spec.paramKind.apiVersion', apiVersion, wrong))
  }
  const wrong = kind === '' ? undefined : dns1035Label(kind.toLowerCase())
  if (kind === '') errors.push(requiredValue('spec.paramKind.kind'))
  if (wrong !== undefined) {
    const why = `may have mixed case, but should otherwise match: ${wrong}`
    errors.push(invalidValue('spec.paramKind.kind', kind, why))
  }
  return errors
}

function validateVariable({ name, expression }: Variable, all: readonly Variable[], i: number): readonly FieldError[] {
  const at = `spec.variables[${i}]`
  const errors: FieldError[] = []
  if (!name) errors.push(requiredValue(`${at}.name`, 'name is not specified'))
  else if (!identifier.test(name)) errors.push(invalidValue(`${at}.name`, name, 'name is not a valid CEL identifier'))
  if (!expression?.trim()) errors.push(requiredValue(`${at}.expression`, 'expression is not specified'))
  if (name && all.findIndex(other => other.name === name) < i) errors.push(duplicateValue(`${at}.name`, name))
  return errors
}

function validateValidation(given: Validation, at: string): readonly FieldError[] {
  const { expression, message, messageExpression, reason } = given
  const errors: FieldError[] = []
  if (!expression?.trim()) errors.push(requiredValue(`${at}.expression`, 'expression is not specified'))
  if (messageExpression && !messageExpression.trim()) {
    errors.push(invalidValue(`${at}.messageExpression`, messageExpression, 'must be non-empty if specified'))
  }
  if (message && !message.trim()) {
    errors.push(invalidValue(`${at}.message`, message, 'message must be non-empty if specified'))
  } else if (message && message.includes('\n')) {
    errors.push(invalidValue(`${at}.message`, message, 'message must not contain line breaks'))
  } else if (!message && expression?.includes('\n')) {
    errors.push(requiredValue(`${at}.message`, 'message must be specified if expression contains line breaks'))
  }
  if (message && message.length > messageBytesMax) errors.push(tooLong(`${at}.message`, messageBytesMax))
  if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(`${at}.reason`, reason, reasons))
  return errors
}

function validateAnnotations(given: readonly TypeOf<typeof auditAnnotation>[], policy: string): readonly FieldError[] {
  const errors: FieldError[] = given.flatMap(({ key, valueExpression }, i) => {
    const at = `spec.auditAnnotations[${i}]`
    const wrong = key ? qualifiedName(`${policy}/${key}`) : undefined
    return [
      ...(wrong === undefined ? [] : [invalidValue(`${at}.key`, key, wrong)]),
      ...(key ? [] : [requiredValue(`${at}.key`)]),
      ...(valueExpression?.trim() ? [] : [requiredValue(`${at}.valueExpression`, 'valueExpression is not specified')]),
      ...(key && given.findIndex(other => other.key === key) < i ? [duplicateValue(`${at}.key`, key)] : []),
    ]
  })
  if (given.length <= auditAnnotationsMax) return errors
  const why = `must not have more than ${auditAnnotationsMax} auditAnnotations`
  return [...errors, invalidValue('spec.auditAnnotations', given.length, why)]
}

export const validatingAdmissionPolicy = defineKind({
  group: admissionGroup,
  version: 'v1',
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
  categories: ['api-extensions'],
  scope: 'Cluster',
  updateNeedsVersion: true,
  subresources: ['status'],
  schema: validatingAdmissionPolicySchema,
  columns: () => [
    {
      name: 'Validations',
      type: 'integer',
      description: 'Validations indicates the number of validation rules defined in this configuration',
      cell: ({ spec }) => (spec.validations ?? []).length,
    },
    {
      name: 'ParamKind',
      type: 'string',
      description: 'ParamKind specifies the kind of resources used to parameterize this policy',
      cell: ({ spec }) =>
        spec.paramKind ? `${spec.paramKind.apiVersion ?? ''}/${spec.paramKind.kind ?? ''}` : '<unset>',
    },
  ],
  validate: ({ spec, metadata }) => validateSpec(spec, metadata.name),
})
