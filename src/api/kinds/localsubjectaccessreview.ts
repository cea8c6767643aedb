// LocalSubjectAccessReview (authorization.k8s.io/v1): may somebody do something in this namespace? Who may ask so need
// not be able to ask about the whole cluster. apiserver/run-review.ts answers.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { subjectAccessReviewSpec, subjectAccessReviewStatus } from '../types/authorization.ts'
import { objectMeta } from '../types/meta.ts'

export const localSubjectAccessReviewSchema = s.object(
  'io.k8s.api.authorization.v1.LocalSubjectAccessReview',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Its namespace is the one that is asked about.' }),
    spec: s.of(2, subjectAccessReviewSpec, {
      required: true,
      description: 'Who would send which request; in the namespace of the review, and about a resource only.',
    }),
    status: s.of(3, subjectAccessReviewStatus, { default: {}, description: 'The answer; the server writes it.' }),
  },
  {
    description:
      'Asks whether somebody may send a request in one namespace, so that asking can be granted for that one alone. Never stored.',
  },
)
export type LocalSubjectAccessReview = TypeOf<typeof localSubjectAccessReviewSchema>

export const localSubjectAccessReview = defineKind({
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'LocalSubjectAccessReview',
  plural: 'localsubjectaccessreviews',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: false,
  subresources: [],
  schema: localSubjectAccessReviewSchema,
})
