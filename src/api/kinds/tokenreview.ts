// TokenReview (authentication.k8s.io/v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { tokenReviewSpec, tokenReviewStatus } from '../types/authentication.ts'
import { objectMeta } from '../types/meta.ts'

export const tokenReviewSchema = s.object('io.k8s.api.authentication.v1.TokenReview', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, tokenReviewSpec, { required: true }),
  status: s.of(3, tokenReviewStatus, { default: {} }),
})
export type TokenReview = TypeOf<typeof tokenReviewSchema>

export const tokenReview = defineKind({
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenReview',
  plural: 'tokenreviews',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  stored: false,
  subresources: [],
  schema: tokenReviewSchema,
})
