// ConversionReview (apiextensions.k8s.io/v1): what a conversion webhook is asked, and what it answers. Never stored.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-request-and-response
import { s, scalars, type TypeOf } from '../schema.ts'
import { status } from './status.ts'

const prefix = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'

const conversionRequest = s.object(`${prefix}.ConversionRequest`, {
  uid: s.string(1, { required: true }),
  desiredAPIVersion: s.string(2, { required: true }),
  objects: s.list(3, scalars.any, { required: true }),
})

const conversionResponse = s.object(`${prefix}.ConversionResponse`, {
  uid: s.string(1, { required: true }),
  convertedObjects: s.list(2, scalars.any, { required: true }),
  result: s.of(3, status, { required: true }),
})

export const conversionReview = s.object(`${prefix}.ConversionReview`, {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  request: s.of(1, conversionRequest),
  response: s.of(2, conversionResponse),
})
export type ConversionReview = TypeOf<typeof conversionReview>
