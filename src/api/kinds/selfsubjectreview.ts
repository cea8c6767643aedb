// SelfSubjectReview (authentication.k8s.io/v1): who am I? apiserver/run-review.ts answers.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { selfSubjectReviewStatus } from '../types/authentication.ts'
import { objectMeta } from '../types/meta.ts'

export const selfSubjectReviewSchema = s.object(
  'io.k8s.api.authentication.v1.SelfSubjectReview',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Of no meaning to the answer; nothing is stored under the name.',
    }),
    status: s.of(2, selfSubjectReviewStatus, { default: {}, description: 'The answer; the server writes it.' }),
  },
  { description: 'Asks who its sender is to the server, as kubectl auth whoami does. Never stored.' },
)
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
