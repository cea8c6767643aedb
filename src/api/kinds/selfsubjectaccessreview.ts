// SelfSubjectAccessReview (authorization.k8s.io/v1).
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { selfSubjectAccessReviewSpec, subjectAccessReviewStatus } from '../types/authorization.ts'
import { objectMeta } from '../types/meta.ts'

export const selfSubjectAccessReviewSchema = s.object('io.k8s.api.authorization.v1.SelfSubjectAccessReview', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, selfSubjectAccessReviewSpec, { required: true }),
  status: s.of(3, subjectAccessReviewStatus, { default: {} }),
})
export type SelfSubjectAccessReview = TypeOf<typeof selfSubjectAccessReviewSchema>

export const selfSubjectAccessReview = defineKind({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectAccessReview',
  plural: 'selfsubjectaccessreviews',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  stored: false,
  subresources: [],
  schema: selfSubjectAccessReviewSchema,
})
