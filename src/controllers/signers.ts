// The signers of certificate requests that a cluster has of itself: what they sign, for how long, and which requests of
// nodes are approved without anybody. Pure; node/run-signer.ts, which has the authority's key, acts on it. The signer
// kubernetes.io/legacy-unknown is none of them: what it signs nobody has to trust.
// After kubernetes pkg/controller/certificates/{signer,approver} and pkg/apis/certificates/helpers.go.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from '../api/kinds/certificatesigningrequest.ts'
import { isDeleting } from '../client/objects.ts'

/** What the request itself says, once its signature was checked. */
export type Requested = {
  readonly user: string
  readonly groups: readonly string[]
  readonly dns: readonly string[]
  readonly ips: readonly string[]
  readonly emails: readonly string[]
  readonly uris: readonly string[]
}

const domain = 'kubernetes.io/'
export const clientSigner = `${domain}kube-apiserver-client`
export const nodeClientSigner = `${domain}kube-apiserver-client-kubelet`
export const nodeServingSigner = `${domain}kubelet-serving`
const signers = [clientSigner, nodeClientSigner, nodeServingSigner]

const nodes = 'system:nodes'
const nodePrefix = 'system:node:'
const masters = 'system:masters'

/** What there is to do for a request. */
export type Due = 'nothing' | 'approval' | 'signature'

export function dueOf(request: CertificateSigningRequest): Due {
  const { spec, status } = request
  if (!signers.includes(spec.signerName) || isDeleting(request) || status.certificate) return 'nothing'
  if (has(request, 'Failed') || has(request, 'Denied')) return 'nothing'
  if (has(request, 'Approved')) return 'signature'
  return spec.signerName === nodeClientSigner ? 'approval' : 'nothing'
}

function has({ status }: CertificateSigningRequest, type: string): boolean {
  return (status.conditions ?? []).some(each => each.type === type && each.status === 'True')
}

/** Why the signer will not sign; undefined when it will. The sentences are upstream's. */
export function refusal({ spec }: CertificateSigningRequest, asked: Requested): string | undefined {
  const usages = spec.usages ?? []
  switch (spec.signerName) {
    case clientSigner:
      return clientRefusal(usages, asked)
    case nodeClientSigner:
      return nodeRefusal(asked, usages, 'client auth')
    case nodeServingSigner:
      return nodeRefusal(asked, usages, 'server auth')
    default:
      return `${spec.signerName} is no signer of this cluster`
  }
}

function clientRefusal(usages: readonly string[], { groups }: Requested): string | undefined {
  const odd = usages.find(usage => !['digital signature', 'key encipherment', 'client auth'].includes(usage))
  if (odd !== undefined) return `invalid usage for client certificate: ${odd}`
  if (!usages.includes('client auth')) return 'missing required usage for client certificate: client auth'
  return groups.includes(masters) ? `use of ${clientSigner} signer with ${masters} group is not allowed` : undefined
}

function nodeRefusal(asked: Requested, usages: readonly string[], use: 'client auth' | 'server auth') {
  const { user, groups, dns, ips, emails, uris } = asked
  if (groups.length !== 1 || groups[0] !== nodes) return `subject organization is not ${nodes}`
  if (use === 'server auth' && dns.length === 0 && ips.length === 0) return 'DNS or IP subjectAltName is required'
  if (use === 'client auth' && dns.length > 0) return 'DNS subjectAltNames are not allowed'
  if (emails.length > 0) return 'Email subjectAltNames are not allowed'
  if (use === 'client auth' && ips.length > 0) return 'IP subjectAltNames are not allowed'
  if (uris.length > 0) return 'URI subjectAltNames are not allowed'
  if (!user.startsWith(nodePrefix)) return `subject common name does not begin with ${nodePrefix}`
  const wanted = [use, 'digital signature', 'key encipherment'].toSorted()
  const odd = usages.filter(usage => !wanted.includes(usage))
  // A key that cannot encipher, as those of elliptic curves, need not say that it does.
  const missing = wanted.filter(usage => usage !== 'key encipherment' && !usages.includes(usage))
  return odd.length > 0 || missing.length > 0 ? `usages did not match [${wanted.join(' ')}]` : undefined
}

/** The rights that let a node's request for its client certificate be approved: any of them will do. */
export type NodeRight = 'selfnodeclient' | 'nodeclient'

export function rightsFor(request: CertificateSigningRequest, asked: Requested): readonly NodeRight[] {
  if (request.spec.signerName !== nodeClientSigner || refusal(request, asked) !== undefined) return []
  return request.spec.username === asked.user ? ['selfnodeclient', 'nodeclient'] : ['nodeclient']
}

const minuteMs = 60_000
const lifeMsMin = 10 * minuteMs
export const lifeMsMax = 365 * 24 * 60 * minuteMs

/** As long as was asked for, from ten minutes to a year. */
export function lifeMsOf({ spec }: CertificateSigningRequest): number {
  if (spec.expirationSeconds === undefined) return lifeMsMax
  return Math.min(lifeMsMax, Math.max(lifeMsMin, spec.expirationSeconds * 1_000))
}

export function approvedBy(right: NodeRight): CertificateSigningRequestCondition {
  const what = right === 'selfnodeclient' ? 'self kubelet client certificate' : 'kubelet client certificate'
  return {
    type: 'Approved',
    status: 'True',
    reason: 'AutoApproved',
    message: `Auto approving ${what} after SubjectAccessReview.`,
  }
}

export function failed(message: string): CertificateSigningRequestCondition {
  return { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message }
}

/** With one more condition. */
export function withCondition(
  request: CertificateSigningRequest,
  condition: CertificateSigningRequestCondition,
): CertificateSigningRequest {
  const conditions = [...(request.status.conditions ?? []), condition]
  return { ...request, status: { ...request.status, conditions } }
}
