// SubjectAccessReview (authorization.k8s.io/v1): may somebody do something? apiserver/run-review.ts answers.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { subjectAccessReviewSpec, subjectAccessReviewStatus } from '../types/authorization.ts'
import { objectMeta } from '../types/meta.ts'

export const subjectAccessReviewSchema = s.object(
  'io.k8s.api.authorization.v1.SubjectAccessReview',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Of no meaning to the answer; nothing is stored under the name.',
    }),
    spec: s.of(2, subjectAccessReviewSpec, { required: true, description: 'Who would send which request.' }),
    status: s.of(3, subjectAccessReviewStatus, { default: {}, description: 'The answer; the server writes it.' }),
  },
  { description: 'Asks whether somebody may send a request, anywhere in the cluster. Answered at once, never stored.' },
)
export type SubjectAccessReview = TypeOf<typeof subjectAccessReviewSchema>

export const subjectAccessReview = defineKind({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SubjectAccessReview',
  plural: 'subjectaccessreviews',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  stored: false,
  subresources: [],
  schema: subjectAccessReviewSchema,
})
