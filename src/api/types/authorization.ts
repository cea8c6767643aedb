// The review types of authorization.k8s.io.

import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelectorRequirement } from './meta.ts'

export const nonResourceAttributes = s.object('io.k8s.api.authorization.v1.NonResourceAttributes', {
  path: s.string(1),
  verb: s.string(2),
})
export type NonResourceAttributes = TypeOf<typeof nonResourceAttributes>
export const fieldSelectorRequirement = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement', {
  key: s.string(1, { required: true }),
  operator: s.string(2, { required: true }),
  values: s.list(3, scalars.string),
})
export type FieldSelectorRequirement = TypeOf<typeof fieldSelectorRequirement>
export const fieldSelectorAttributes = s.object('io.k8s.api.authorization.v1.FieldSelectorAttributes', {
  rawSelector: s.string(1),
  requirements: s.list(2, fieldSelectorRequirement),
})
export type FieldSelectorAttributes = TypeOf<typeof fieldSelectorAttributes>
export const labelSelectorAttributes = s.object('io.k8s.api.authorization.v1.LabelSelectorAttributes', {
  rawSelector: s.string(1),
  requirements: s.list(2, labelSelectorRequirement),
})
export type LabelSelectorAttributes = TypeOf<typeof labelSelectorAttributes>
export const resourceAttributes = s.object('io.k8s.api.authorization.v1.ResourceAttributes', {
  namespace: s.string(1),
  verb: s.string(2),
  group: s.string(3),
  version: s.string(4),
  resource: s.string(5),
  subresource: s.string(6),
  name: s.string(7),
  fieldSelector: s.of(8, fieldSelectorAttributes),
  labelSelector: s.of(9, labelSelectorAttributes),
})
export type ResourceAttributes = TypeOf<typeof resourceAttributes>
export const selfSubjectAccessReviewSpec = s.object('io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec', {
  resourceAttributes: s.of(1, resourceAttributes),
  nonResourceAttributes: s.of(2, nonResourceAttributes),
})
export type SelfSubjectAccessReviewSpec = TypeOf<typeof selfSubjectAccessReviewSpec>
export const subjectAccessReviewSpec = s.object('io.k8s.api.authorization.v1.SubjectAccessReviewSpec', {
  resourceAttributes: s.of(1, resourceAttributes),
  nonResourceAttributes: s.of(2, nonResourceAttributes),
  user: s.string(3),
  groups: s.list(4, scalars.string),
  extra: s.map(5, scalars.strings),
  uid: s.string(6),
})
export type SubjectAccessReviewSpec = TypeOf<typeof subjectAccessReviewSpec>
export const subjectAccessReviewStatus = s.object('io.k8s.api.authorization.v1.SubjectAccessReviewStatus', {
  allowed: s.boolean(1, { required: true }),
  reason: s.string(2),
  evaluationError: s.string(3),
  denied: s.boolean(4),
})
export type SubjectAccessReviewStatus = TypeOf<typeof subjectAccessReviewStatus>
export const selfSubjectRulesReviewSpec = s.object('io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec', {
  namespace: s.string(1),
})
export type SelfSubjectRulesReviewSpec = TypeOf<typeof selfSubjectRulesReviewSpec>
export const nonResourceRule = s.object('io.k8s.api.authorization.v1.NonResourceRule', {
  verbs: s.list(1, scalars.string, { required: true }),
  nonResourceURLs: s.list(2, scalars.string),
})
export type NonResourceRule = TypeOf<typeof nonResourceRule>
export const resourceRule = s.object('io.k8s.api.authorization.v1.ResourceRule', {
  verbs: s.list(1, scalars.string, { required: true }),
  apiGroups: s.list(2, scalars.string),
  resources: s.list(3, scalars.string),
  resourceNames: s.list(4, scalars.string),
})
export type ResourceRule = TypeOf<typeof resourceRule>
export const subjectRulesReviewStatus = s.object('io.k8s.api.authorization.v1.SubjectRulesReviewStatus', {
  resourceRules: s.list(1, resourceRule, { required: true }),
  nonResourceRules: s.list(2, nonResourceRule, { required: true }),
  incomplete: s.boolean(3, { required: true }),
  evaluationError: s.string(4),
})
export type SubjectRulesReviewStatus = TypeOf<typeof subjectRulesReviewStatus>
