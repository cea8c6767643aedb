// What a webhook of admission is asked, and what it answers (admission.k8s.io/v1).
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#webhook-request-and-response
import { s, scalars, type TypeOf } from '../schema.ts'
import { userInfo } from './authentication.ts'
import { status } from './status.ts'

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const groupVersionKind = s.object(`${meta}.GroupVersionKind`, {
  group: s.string(1, { required: true, pointer: true }),
  version: s.string(2, { required: true, pointer: true }),
  kind: s.string(3, { required: true, pointer: true }),
})
const groupVersionResource = s.object(`${meta}.GroupVersionResource`, {
  group: s.string(1, { required: true, pointer: true }),
  version: s.string(2, { required: true, pointer: true }),
  resource: s.string(3, { required: true, pointer: true }),
})
export const admissionRequest = s.object('io.k8s.api.admission.v1.AdmissionRequest', {
  uid: s.string(1, { required: true }),
  kind: s.of(2, groupVersionKind, { required: true }),
  resource: s.of(3, groupVersionResource, { required: true }),
  subResource: s.string(4),
  requestKind: s.of(13, groupVersionKind),
  requestResource: s.of(14, groupVersionResource),
  requestSubResource: s.string(15),
  name: s.string(5),
  namespace: s.string(6),
  operation: s.string(7, { required: true }),
  userInfo: s.of(8, userInfo, { required: true }),
  object: s.any(9),
  oldObject: s.any(10),
  dryRun: s.boolean(11, { pointer: true }),
  options: s.any(12),
})
export type AdmissionRequest = TypeOf<typeof admissionRequest>
export const admissionResponse = s.object('io.k8s.api.admission.v1.AdmissionResponse', {
  uid: s.string(1, { required: true }),
  allowed: s.boolean(2, { required: true, pointer: true }),
  status: s.of(3, status),
  patch: s.bytes(4),
  patchType: s.string(5, { pointer: true }),
  auditAnnotations: s.map(6, scalars.string),
  warnings: s.list(7, scalars.string),
})
export type AdmissionResponse = TypeOf<typeof admissionResponse>
export const admissionReview = s.object('io.k8s.api.admission.v1.AdmissionReview', {
  apiVersion: s.string(0),
  kind: s.string(0),
  request: s.of(1, admissionRequest),
  response: s.of(2, admissionResponse),
})
