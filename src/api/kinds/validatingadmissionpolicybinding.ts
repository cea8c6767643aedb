// ValidatingAdmissionPolicyBinding (admissionregistration.k8s.io/v1): where a policy holds, with which parameters, and what
// happens when it does not.
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsSubdomain } from '../names.ts'
import { validateSelector } from '../pod/selector.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { admissionGroup, matchResources, validateMatch } from '../types/admission.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'

const prefix = 'io.k8s.api.admissionregistration.v1'

export const paramRef = s.object(
  `${prefix}.ParamRef`,
  {
    name: s.string(1, 'Of the one object that is meant; excludes selector.'),
    namespace: s.string(
      2,
      'Where parameters are looked for; when empty, in the namespace of the request. Must be empty for kinds of the cluster.',
    ),
    selector: s.of(
      3,
      labelSelector,
      'By labels; the policy is judged once with each object found. An empty one takes all; excludes name.',
    ),
    parameterNotFoundAction: s.string(4, {
      pointer: true,
      description: 'When there are none: Allow lets the request pass, Deny leaves it to failurePolicy. Must be given.',
    }),
  },
  { atomic: true, description: 'Which objects are the parameters: exactly one of name and selector.' },
)
export type ParamRef = TypeOf<typeof paramRef>
export const validatingAdmissionPolicyBindingSpec = s.object(
  `${prefix}.ValidatingAdmissionPolicyBindingSpec`,
  {
    policyName: s.string(
      1,
      'Of a ValidatingAdmissionPolicy; while there is none of the name, the binding has no effect.',
    ),
    paramRef: s.of(2, paramRef, 'Parameters for a policy with a paramKind; without it, params is null.'),
    matchResources: s.of(
      3,
      matchResources,
      'Narrows what the policy takes: requests must fit both. Without it nothing is narrowed.',
    ),
    validationActions: s.list(4, scalars.string, {
      listType: 'set',
      description:
        'What a violation leads to, at least one: Deny refuses, Warn warns the client, Audit notes it. Deny and Warn exclude each other.',
    }),
  },
  { description: 'Which policy holds, where, with which parameters, and what a violation leads to.' },
)
export const validatingAdmissionPolicyBindingSchema = s.object(
  `${prefix}.ValidatingAdmissionPolicyBinding`,
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Warnings and refusals tell the name beside that of the policy.',
    }),
    spec: s.of(2, validatingAdmissionPolicyBindingSpec, { default: {}, description: 'Which policy, and where.' }),
  },
  { description: 'Puts a ValidatingAdmissionPolicy in force.' },
)
export type ValidatingAdmissionPolicyBinding = TypeOf<typeof validatingAdmissionPolicyBindingSchema>

const actions = ['Audit', 'Deny', 'Warn']
const absences = ['Allow', 'Deny']

function validateBinding({ spec }: ValidatingAdmissionPolicyBinding): readonly FieldError[] {
  const { policyName = '', validationActions = [] } = spec
  const errors: FieldError[] = []
  const wrong = policyName === '' ? undefined : dnsSubdomain(policyName)
  if (policyName === '') errors.push(requiredValue('spec.policyName'))
  if (wrong !== undefined) errors.push(invalidValue('spec.policyName', policyName, wrong))
  if (spec.paramRef) errors.push(...validateParamRef(spec.paramRef))
  if (spec.matchResources) errors.push(...validateMatch(spec.matchResources, 'spec.matchResources'))
  if (validationActions.length === 0) errors.push(requiredValue('spec.validationActions'))
  for (const [i, action] of validationActions.entries()) {
    const at = `spec.validationActions[${i}]`
    if (!actions.includes(action)) errors.push(notSupported(at, action, actions))
    if (validationActions.indexOf(action) < i) errors.push(duplicateValue(at, action))
  }
  if (validationActions.includes('Deny') && validationActions.includes('Warn')) {
    const why =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'
    errors.push(invalidValue('spec.validationActions', validationActions, why))
  }
  return errors
}

function validateParamRef({ name = '', selector, parameterNotFoundAction: absent }: ParamRef): readonly FieldError[] {
  const errors: FieldError[] = []
  if (name !== '' && selector !== undefined) {
    errors.push(forbidden('spec.paramRef.name', 'name and selector are mutually exclusive'))
  }
  if (name === '' && selector === undefined) {
    errors.push(requiredValue('spec.paramRef', 'one of name or selector must be specified'))
  }
  errors.push(...validateSelector(selector, 'spec.paramRef.selector'))
  if (absent === undefined) {
    errors.push(requiredValue('spec.paramRef.parameterNotFoundAction'))
  } else if (!absences.includes(absent)) {
    errors.push(notSupported('spec.paramRef.parameterNotFoundAction', absent, absences))
  }
  return errors
}

export const validatingAdmissionPolicyBinding = defineKind({
  group: admissionGroup,
  version: 'v1',
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
  categories: ['api-extensions'],
  scope: 'Cluster',
  updateNeedsVersion: true,
  schema: validatingAdmissionPolicyBindingSchema,
  columns: () => [
    {
      name: 'PolicyName',
      type: 'string',
      description: 'PolicyName indicates the policy definition which the policy binding binded to',
      cell: ({ spec }) => spec.policyName ?? '',
    },
    {
      name: 'ParamRef',
      type: 'string',
      description: 'ParamRef indicates the param resource which sets the configration param',
      cell: ({ spec: { paramRef: ref } }) => {
        if (ref === undefined) return '<unset>'
        const namespace = ref.namespace ?? '*'
        return ref.name ? `${namespace}/${ref.name}` : `${namespace}/(selector)`
      },
    },
  ],
  validate: validateBinding,
})
