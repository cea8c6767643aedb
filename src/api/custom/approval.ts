// Groups of the Kubernetes community are not for others to define kinds in, unless they say that they may.
// Upstream: apiextensions-apiserver pkg/apihelpers and pkg/controller/apiapproval.
// https://github.com/kubernetes/enhancements/pull/1111
import type { CustomResourceDefinition, CustomResourceDefinitionCondition } from '../kinds/customresourcedefinition.ts'

export const approvalAnnotation = 'api-approved.kubernetes.io'
const see = 'see https://github.com/kubernetes/enhancements/pull/1111'
const must = `protected groups must have approval annotation ${JSON.stringify(approvalAnnotation)}`

export type Approval = {
  readonly state: 'missing' | 'invalid' | 'approved' | 'unapproved'
  readonly message: string
}

/** undefined: the group is not protected. */
export function approvalOf({
  metadata,
  spec,
}: Pick<CustomResourceDefinition, 'metadata' | 'spec'>): Approval | undefined {
  const isProtected = ['k8s.io', 'kubernetes.io'].some(
    domain => spec.group === domain || spec.group?.endsWith(`.${domain}`),
  )
  if (!isProtected) return undefined
  const given = metadata.annotations?.[approvalAnnotation] ?? ''
  if (given === '') return { state: 'missing', message: `${must}, ${see}` }
  if (given.startsWith('unapproved')) return { state: 'unapproved', message: `not approved: ${JSON.stringify(given)}` }
  if (/^[a-z][a-z0-9+.-]*:\/\/[^\s/]+/i.test(given)) return { state: 'approved', message: `approved in ${given}` }
  const message = `${must} with either a URL or a reason starting with "unapproved", ${see}`
  return { state: 'invalid', message }
}

const reasons: Readonly<Record<Approval['state'], string>> = {
  missing: 'MissingAnnotation',
  invalid: 'InvalidAnnotation',
  approved: 'ApprovedAnnotation',
  unapproved: 'UnapprovedAnnotation',
}

/** What the status says of it. */
export function approvalCondition(
  definition: CustomResourceDefinition,
): Omit<CustomResourceDefinitionCondition, 'lastTransitionTime'> | undefined {
  const approval = approvalOf(definition)
  if (approval === undefined) return undefined
  const { state, message } = approval
  const status = state === 'approved' ? 'True' : 'False'
  return { type: 'KubernetesAPIApprovalPolicyConformant', status, reason: reasons[state], message }
}
