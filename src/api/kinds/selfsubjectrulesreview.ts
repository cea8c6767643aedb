// SelfSubjectRulesReview (authorization.k8s.io/v1).
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { selfSubjectRulesReviewSpec, subjectRulesReviewStatus } from '../types/authorization.ts'
import { objectMeta } from '../types/meta.ts'

export const selfSubjectRulesReviewSchema = s.object('io.k8s.api.authorization.v1.SelfSubjectRulesReview', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, selfSubjectRulesReviewSpec, { required: true }),
  status: s.of(3, subjectRulesReviewStatus, { default: {} }),
})
export type SelfSubjectRulesReview = TypeOf<typeof selfSubjectRulesReviewSchema>

export const selfSubjectRulesReview = defineKind({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectRulesReview',
  plural: 'selfsubjectrulesreviews',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  stored: false,
  subresources: [],
  schema: selfSubjectRulesReviewSchema,
})
