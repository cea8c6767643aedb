// TokenReview (authentication.k8s.io/v1): whom does this token speak for? apiserver/run-review.ts answers.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { tokenReviewSpec, tokenReviewStatus } from '../types/authentication.ts'
import { objectMeta } from '../types/meta.ts'

export const tokenReviewSchema = s.object(
  'io.k8s.api.authentication.v1.TokenReview',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Of no meaning to the answer; nothing is stored under the name.',
    }),
    spec: s.of(2, tokenReviewSpec, { required: true, description: 'The token, and who is to accept it.' }),
    status: s.of(3, tokenReviewStatus, { default: {}, description: 'The answer; the server writes it.' }),
  },
  {
    description:
      'Asks whom a token speaks for, for servers that let the cluster authenticate their clients. Never stored.',
  },
)
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
