// SelfSubjectAccessReview (authorization.k8s.io/v1): may I do something? apiserver/run-review.ts answers.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { selfSubjectAccessReviewSpec, subjectAccessReviewStatus } from '../types/authorization.ts'
import { objectMeta } from '../types/meta.ts'

export const selfSubjectAccessReviewSchema = s.object(
  'io.k8s.api.authorization.v1.SelfSubjectAccessReview',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Of no meaning to the answer; nothing is stored under the name.',
    }),
    spec: s.of(2, selfSubjectAccessReviewSpec, {
      required: true,
      description: 'The request that the sender would make.',
    }),
    status: s.of(3, subjectAccessReviewStatus, { default: {}, description: 'The answer; the server writes it.' }),
  },
  {
    description:
      'Asks whether its sender may send a request, as kubectl auth can-i does. Answered at once, never stored.',
  },
)
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
