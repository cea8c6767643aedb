// SelfSubjectRulesReview (authorization.k8s.io/v1): what may I do in this namespace? apiserver/run-review.ts answers.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { selfSubjectRulesReviewSpec, subjectRulesReviewStatus } from '../types/authorization.ts'
import { objectMeta } from '../types/meta.ts'

export const selfSubjectRulesReviewSchema = s.object(
  'io.k8s.api.authorization.v1.SelfSubjectRulesReview',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Of no meaning to the answer; nothing is stored under the name.',
    }),
    spec: s.of(2, selfSubjectRulesReviewSpec, { required: true, description: 'The namespace that is asked about.' }),
    status: s.of(3, subjectRulesReviewStatus, { default: {}, description: 'The answer; the server writes it.' }),
  },
  { description: 'Lists what its sender may do in a namespace, as kubectl auth can-i --list shows it. Never stored.' },
)
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
