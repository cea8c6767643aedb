// What a webhook of admission is asked, and what it answers (admission.k8s.io/v1).
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#webhook-request-and-response
import { s, scalars, type TypeOf } from '../schema.ts'
import { userInfo } from './authentication.ts'
import { status } from './status.ts'

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const groupVersionKind = s.object(
  `${meta}.GroupVersionKind`,
  {
    group: s.string(1, { required: true, pointer: true, description: "Of the API; '' for core kinds." }),
    version: s.string(2, { required: true, pointer: true, description: 'Within the group, such as v1.' }),
    kind: s.string(3, { required: true, pointer: true, description: 'In CamelCase, such as Deployment.' }),
  },
  { description: 'Names a kind.' },
)
const groupVersionResource = s.object(
  `${meta}.GroupVersionResource`,
  {
    group: s.string(1, { required: true, pointer: true, description: "Of the API; '' for core kinds." }),
    version: s.string(2, { required: true, pointer: true, description: 'Within the group, such as v1.' }),
    resource: s.string(3, { required: true, pointer: true, description: 'Plural in lower case, such as deployments.' }),
  },
  { description: 'Names a resource.' },
)
export const admissionRequest = s.object(
  'io.k8s.api.admission.v1.AdmissionRequest',
  {
    uid: s.string(1, { required: true, description: 'Of this question; the answer repeats it.' }),
    kind: s.of(2, groupVersionKind, {
      required: true,
      description: 'Kind of the object as it is shown here, which a rule of the webhook names.',
    }),
    resource: s.of(3, groupVersionResource, {
      required: true,
      description: 'Resource as it is shown here, which a rule of the webhook names.',
    }),
    subResource: s.string(4, 'Such as status or scale; empty for the object itself.'),
    requestKind: s.of(13, groupVersionKind, 'Kind that the client has sent; may be of another version than kind.'),
    requestResource: s.of(
      14,
      groupVersionResource,
      'Resource that the client has asked for; may be of another version than resource.',
    ),
    requestSubResource: s.string(15, 'Subresource that the client has asked for.'),
    name: s.string(5, 'Of the object; may be empty while the object is made.'),
    namespace: s.string(
      6,
      'Where the object lies; for a Namespace its own name, empty for other kinds of the cluster.',
    ),
    operation: s.string(7, {
      required: true,
      description: 'CREATE, UPDATE, DELETE or CONNECT. A patch of what is there is an UPDATE.',
    }),
    userInfo: s.of(8, userInfo, { required: true, description: 'Who has sent the request.' }),
    object: s.any(9, 'The object as it is to be written, or the options of a CONNECT; null for DELETE.'),
    oldObject: s.any(10, 'The object as it is stored, for UPDATE and DELETE; null for others.'),
    dryRun: s.boolean(11, {
      pointer: true,
      description: 'True when nothing will be written; the webhook must leave nothing behind either.',
    }),
    options: s.any(12, 'What the client asked for beside the object, such as CreateOptions; null for CONNECT.'),
  },
  { description: 'The request that a webhook is to judge.' },
)
export type AdmissionRequest = TypeOf<typeof admissionRequest>
export const admissionResponse = s.object(
  'io.k8s.api.admission.v1.AdmissionResponse',
  {
    uid: s.string(1, { required: true, description: 'That of the question.' }),
    allowed: s.boolean(2, {
      required: true,
      pointer: true,
      description: 'Whether the request may pass, as far as this webhook is concerned.',
    }),
    status: s.of(3, status, 'Why not: its message, reason and code reach the client. Not read when allowed.'),
    patch: s.bytes(4, 'Changes to the object, in base64. For mutating webhooks only.'),
    patchType: s.string(5, { pointer: true, description: 'JSONPatch beside a patch, absent without one.' }),
    auditAnnotations: s.map(
      6,
      scalars.string,
      'Notes for the audit event; the name of the webhook is put in front of each key.',
    ),
    warnings: s.list(7, scalars.string, 'Texts that the client is shown, also when the request is refused.'),
  },
  { description: 'What a webhook says of a request.' },
)
export type AdmissionResponse = TypeOf<typeof admissionResponse>
export const admissionReview = s.object(
  'io.k8s.api.admission.v1.AdmissionReview',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    request: s.of(1, admissionRequest, 'The question; written by the server.'),
    response: s.of(2, admissionResponse, 'The answer; written by the webhook.'),
  },
  { description: 'What the server sends to an admission webhook, and what it gets back.' },
)
