// CertificateSigningRequest (certificates.k8s.io/v1): somebody asks for a certificate, somebody approves, a signer signs.
// Each does their own through a way of their own: the request is made once and never changes, /approval takes the
// conditions, /status the certificate.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
import { text } from '../../lib/bytes.ts'
import { humanDuration } from '../../lib/duration.ts'
import { type PemBlock, pemBlocks } from '../../lib/pem.ts'
import { bytesOfBase64 } from '../base64.ts'
import { ageColumn } from '../cells.ts'
import { equalJson } from '../equal.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue, tooLong, tooMany } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsLabel, dnsSubdomain, pathSegment } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const certificateSigningRequestSpec = s.object(
  'io.k8s.api.certificates.v1.CertificateSigningRequestSpec',
  {
    request: s.bytes(1, {
      required: true,
      description: 'PEM of a PKCS #10 request, in base64; at most 64 KiB before base64.',
    }),
    username: s.string(2, 'Who asks; the server writes it, whatever was sent.'),
    uid: s.string(3, 'Uid of the user who asks; the server writes it.'),
    groups: s.list(4, scalars.string, 'Groups of the user who asks; the server writes them.'),
    usages: s.list(
      5,
      scalars.string,
      "What the key may be used for, such as 'digital signature' or 'client auth'; at least one, each once.",
    ),
    extra: s.map(6, scalars.strings, 'What else authentication knows of the user who asks; the server writes it.'),
    signerName: s.string(7, {
      required: true,
      description:
        'Who is to sign, as domain/name. Of kubernetes.io this cluster has kube-apiserver-client, kube-apiserver-client-kubelet and kubelet-serving.',
    }),
    expirationSeconds: s.int32(8, {
      pointer: true,
      description:
        'Wanted life of the certificate in seconds, from 600. The signers of this cluster give at most a year, which is also their default.',
    }),
  },
  { description: 'Who asks for which certificate. Immutable.' },
)
export type CertificateSigningRequestSpec = TypeOf<typeof certificateSigningRequestSpec>
export const certificateSigningRequestCondition = s.object(
  'io.k8s.api.certificates.v1.CertificateSigningRequestCondition',
  {
    type: s.string(1, {
      required: true,
      description:
        'Approved, Denied, Failed, or one that a signer gives a meaning. Those three never go away; Approved and Denied exclude each other.',
    }),
    reason: s.string(2, 'Why, as one word in CamelCase for programs.'),
    message: s.string(3, 'Why, as a sentence for people.'),
    lastUpdateTime: s.time(4, 'When the condition was written last; filled in when absent.'),
    lastTransitionTime: s.time(5, 'When status changed last; filled in when absent.'),
    status: s.string(6, {
      required: true,
      description: 'True, False or Unknown; always True for Approved, Denied and Failed.',
    }),
  },
  { description: 'A decision about the request, or what has become of it.' },
)
export type CertificateSigningRequestCondition = TypeOf<typeof certificateSigningRequestCondition>
export const certificateSigningRequestStatus = s.object(
  'io.k8s.api.certificates.v1.CertificateSigningRequestStatus',
  {
    conditions: s.list(1, certificateSigningRequestCondition, {
      listType: 'map',
      mapKeys: ['type'],
      description: 'Approved and Denied are written through the subresource approval, others through status.',
    }),
    certificate: s.bytes(
      2,
      'PEM of the certificate, and of those between it and its CA, in base64. The signer writes it, once.',
    ),
  },
  { description: 'What was decided, and the certificate.' },
)
export type CertificateSigningRequestStatus = TypeOf<typeof certificateSigningRequestStatus>
export const certificateSigningRequestSchema = s.object(
  'io.k8s.api.certificates.v1.CertificateSigningRequest',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Nothing depends on the name; generateName finds a free one.',
    }),
    spec: s.of(2, certificateSigningRequestSpec, {
      required: true,
      default: {},
      description: 'What is asked for; never changes.',
    }),
    status: s.of(3, certificateSigningRequestStatus, {
      default: {},
      description: 'What has become of it; written through the subresources approval and status.',
    }),
  },
  {
    description:
      'Asks for a certificate that a signer makes once somebody approves. Goes an hour after it was answered, or a day unanswered.',
  },
)
export type CertificateSigningRequest = TypeOf<typeof certificateSigningRequestSchema>

const usagesKnown = [
  'signing',
  'digital signature',
  'content commitment',
  'key encipherment',
  'key agreement',
  'data encipherment',
  'cert sign',
  'crl sign',
  'encipher only',
  'decipher only',
  'any',
  'server auth',
  'client auth',
  'code signing',
  'email protection',
  's/mime',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'timestamping',
  'ocsp signing',
  'microsoft sgc',
  'netscape sgc',
]
const expirationSecondsMin = 600
/** Upstream knows no such limit. A request has a few hundred bytes, and to take one apart takes time. */
const requestBytesMax = 65_536
const legacySigner = 'kubernetes.io/legacy-unknown'
const lengthMax = 253

function validateSpec(spec: CertificateSigningRequestSpec): readonly FieldError[] {
  const { usages = [], expirationSeconds, request, signerName } = spec
  const errors: FieldError[] = []
  const wrong = request === undefined ? undefined : wrongRequest(request)
  if (wrong !== undefined) errors.push(invalidValue('spec.request', request, wrong))
  if ((request ?? '').length > (requestBytesMax / 3) * 4) errors.push(tooLong('spec.request', requestBytesMax))
  if (usages.length === 0) errors.push(requiredValue('spec.usages'))
  // More than there are cannot be right, and need not be told one by one.
  if (usages.length > usagesKnown.length) errors.push(tooMany('spec.usages', usages.length, usagesKnown.length))
  else errors.push(...validateUsages(usages))
  if (signerName) errors.push(...validateSigner(signerName, 'spec.signerName'))
  if (expirationSeconds !== undefined && expirationSeconds < expirationSecondsMin) {
    const why = 'may not specify a duration less than 600 seconds (10 minutes)'
    errors.push(invalidValue('spec.expirationSeconds', expirationSeconds, why))
  }
  return errors
}

function validateUsages(usages: readonly string[]): readonly FieldError[] {
  return usages.flatMap((usage, i) => {
    const at = `spec.usages[${i}]`
    return [
      ...(usagesKnown.includes(usage) ? [] : [notSupported(at, usage, usagesKnown)]),
      ...(usages.indexOf(usage) < i ? [duplicateValue(at, usage)] : []),
    ]
  })
}

/** 'example.com/signer-name'. */
function validateSigner(name: string, path: string): readonly FieldError[] {
  if (name === legacySigner) {
    return [invalidValue(path, name, 'the legacy signerName is not allowed via this API version')]
  }
  const [domain = '', rest, ...more] = name.split('/')
  if (rest === undefined || more.length > 0) {
    const why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
    return [invalidValue(path, name, why)]
  }
  const label = domain.split('.').find(each => dnsLabel(each) !== undefined)
  const wrong = dnsSubdomain(rest)
  const because = (part: string, why: string | undefined) => `validating label ${JSON.stringify(part)}: ${why}`
  return [
    ...(domain.length > lengthMax ? [tooLong(path, lengthMax)] : []),
    ...(label === undefined ? [] : [invalidValue(path, domain, because(label, dnsLabel(label)))]),
    ...(wrong === undefined ? [] : [invalidValue(path, rest, because(rest, wrong))]),
  ]
}

const blocksOf = (base64: string): readonly PemBlock[] => pemBlocks(text(bytesOfBase64(base64)))

/** What is in the block whoever can read it looks at: apiserver/admission/run-certificates.ts. */
function wrongRequest(base64: string): string | undefined {
  const [first] = blocksOf(base64)
  return first?.type === 'CERTIFICATE REQUEST' ? undefined : 'PEM block type must be CERTIFICATE REQUEST'
}

function wrongCertificates(base64: string): string | undefined {
  const blocks = blocksOf(base64)
  if (blocks.length === 0) return 'must contain at least one CERTIFICATE PEM block'
  const other = blocks.find(({ type }) => type !== 'CERTIFICATE')
  if (other) return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(other.type)}`
  return blocks.some(({ body }) => body.includes(':')) ? 'no PEM block headers are permitted' : undefined
}

type Conditions = readonly CertificateSigningRequestCondition[]
const conditionsOf = (object: CertificateSigningRequest): Conditions => object.status?.conditions ?? []
const ofType = (object: CertificateSigningRequest, type: string): Conditions =>
  conditionsOf(object).filter(each => each.type === type)

/** Once they are there they stay, and they are true. */
const lasting = ['Approved', 'Denied', 'Failed']
const decisions = ['Approved', 'Denied']
const conditionsPath = 'status.conditions'

function validateConditions(object: CertificateSigningRequest): readonly FieldError[] {
  const seen = new Set<string>()
  return conditionsOf(object).flatMap(({ type = '', status = '' }, i) => {
    const at = `${conditionsPath}[${i}]`
    const allowed = lasting.includes(type) ? ['True'] : ['False', 'True', 'Unknown']
    const isOpposed = decisions.includes(type) && decisions.some(other => other !== type && seen.has(other))
    const isRepeated = seen.has(type)
    const why = 'Approved and Denied conditions are mutually exclusive'
    seen.add(type)
    return [
      ...(type === '' ? [requiredValue(`${at}.type`)] : []),
      ...(status === '' ? [requiredValue(`${at}.status`)] : []),
      ...(status === '' || allowed.includes(status) ? [] : [notSupported(`${at}.status`, status, allowed)]),
      ...(isOpposed ? [invalidValue(`${at}.type`, type, why)] : []),
      ...(isRepeated ? [duplicateValue(`${at}.type`, type)] : []),
    ]
  })
}

function validateChange(
  object: CertificateSigningRequest,
  old: CertificateSigningRequest,
  subresource: string | undefined,
): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const type of lasting) {
    const [after, before] = [ofType(object, type), ofType(old, type)]
    const what = `a condition of type ${JSON.stringify(type)}`
    if (after.length < before.length) errors.push(forbidden(conditionsPath, `updates may not remove ${what}`))
    else if (subresource === 'approval' || !decisions.includes(type)) continue
    else if (after.length > before.length) errors.push(forbidden(conditionsPath, `updates may not add ${what}`))
    else if (!equalJson(after, before)) errors.push(forbidden(conditionsPath, `updates may not modify ${what}`))
  }
  const [after = '', before = ''] = [object.status.certificate, old.status.certificate]
  if (after !== before) {
    const why = before === '' ? undefined : 'updates may not modify existing certificate content'
    const isRefused = subresource !== 'status'
    const said = isRefused ? 'updates may not set certificate content' : why
    if (said !== undefined) errors.push(forbidden('status.certificate', said))
  }
  return errors
}

function validateCertificate({ status }: CertificateSigningRequest): readonly FieldError[] {
  const wrong = status.certificate ? wrongCertificates(status.certificate) : undefined
  return wrong === undefined ? [] : [invalidValue('status.certificate', '<certificate data>', wrong)]
}

/** The request stays as it was made. Who approves changes the conditions, who signs everything but the decision. */
function prepare(
  object: CertificateSigningRequest,
  old: CertificateSigningRequest | undefined,
  subresource: string | undefined,
): CertificateSigningRequest {
  if (!old) return object
  const { spec } = old
  if (subresource === 'approval') {
    const { conditions } = object.status ?? {}
    const { conditions: _, ...kept } = old.status
    return { ...object, spec, status: { ...kept, ...(conditions && { conditions }) } }
  }
  return subresource === 'status' ? { ...object, spec, status: withDecision(object, old) } : { ...object, spec }
}

/** /status carries the decision along as it is: only one that is added or taken away is seen, and refused. */
function withDecision(object: CertificateSigningRequest, old: CertificateSigningRequest) {
  const { conditions, ...rest } = object.status ?? {}
  if (!conditions) return rest
  const decided = (type: string) => (decisions.includes(type) ? ofType(old, type)[0] : undefined)
  return { ...rest, conditions: conditions.map(each => decided(each.type) ?? each) }
}

function conditionText(object: CertificateSigningRequest): string {
  const has = (type: string) => ofType(object, type).length > 0
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending'
  return `${decision}${has('Failed') ? ',Failed' : ''}${object.status?.certificate ? ',Issued' : ''}`
}

function durationText({ expirationSeconds }: CertificateSigningRequestSpec): string {
  return expirationSeconds === undefined ? '<none>' : humanDuration(expirationSeconds * 1_000)
}

export const certificateSigningRequest = defineKind({
  group: 'certificates.k8s.io',
  version: 'v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  shortNames: ['csr'],
  scope: 'Cluster',
  subresources: ['approval', 'status'],
  schema: certificateSigningRequestSchema,
  nameRule: pathSegment,
  generation: false,
  columns: () => [
    ageColumn,
    { name: 'SignerName', type: 'string', cell: ({ spec }) => spec.signerName || '<none>' },
    { name: 'Requestor', type: 'string', cell: ({ spec }) => spec.username ?? '' },
    { name: 'RequestedDuration', type: 'string', cell: ({ spec }) => durationText(spec) },
    { name: 'Condition', type: 'string', cell: conditionText },
  ],
  fieldLabels: ['spec.signerName'],
  fields: ({ spec }) => ({ 'spec.signerName': spec.signerName }),
  prepare,
  validate: (object, old, subresource) => [
    ...validateSpec(object.spec),
    ...validateConditions(object),
    ...(old ? validateChange(object, old, subresource) : []),
  ],
  validateStatus: (object, old) => [
    ...validateConditions(object),
    ...validateCertificate(object),
    ...validateChange(object, old, 'status'),
  ],
})
