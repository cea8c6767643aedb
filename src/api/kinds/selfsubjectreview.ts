// SelfSubjectReview (authentication.k8s.io/v1).
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { selfSubjectReviewStatus } from '../types/authentication.ts'
import { objectMeta } from '../types/meta.ts'

export const selfSubjectReviewSchema = s.object('io.k8s.api.authentication.v1.SelfSubjectReview', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  status: s.of(2, selfSubjectReviewStatus, { default: {} }),
})
export type SelfSubjectReview = TypeOf<typeof selfSubjectReviewSchema>

export const selfSubjectReview = defineKind({
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectReview',
  plural: 'selfsubjectreviews',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  stored: false,
  subresources: [],
  schema: selfSubjectReviewSchema,
})
