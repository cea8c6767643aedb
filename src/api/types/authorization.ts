// The review types of authorization.k8s.io.

import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelectorRequirement } from './meta.ts'

export const nonResourceAttributes = s.object(
  'io.k8s.api.authorization.v1.NonResourceAttributes',
  {
    path: s.string(1, 'Path of the URL, such as /healthz.'),
    verb: s.string(2, 'HTTP method in lower case, such as get.'),
  },
  { description: 'A request to a path that is no resource.' },
)
export type NonResourceAttributes = TypeOf<typeof nonResourceAttributes>
export const fieldSelectorRequirement = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement',
  {
    key: s.string(1, { required: true, description: 'Path of the field, such as spec.nodeName.' }),
    operator: s.string(2, {
      required: true,
      description: 'In, NotIn, Exists or DoesNotExist. Only In with a single value is taken into account here.',
    }),
    values: s.list(3, scalars.string, 'What the field is compared with; empty for Exists and DoesNotExist.'),
  },
  { description: 'One condition of a field selector.' },
)
export type FieldSelectorRequirement = TypeOf<typeof fieldSelectorRequirement>
export const fieldSelectorAttributes = s.object(
  'io.k8s.api.authorization.v1.FieldSelectorAttributes',
  {
    rawSelector: s.string(
      1,
      'As in the query of the URL: spec.nodeName=one. When given, requirements are not looked at.',
    ),
    requirements: s.list(2, fieldSelectorRequirement, 'The same taken apart; all of them hold.'),
  },
  {
    description:
      'The field selector of a list, watch or deletecollection that is asked about; give one of its two forms.',
  },
)
export type FieldSelectorAttributes = TypeOf<typeof fieldSelectorAttributes>
export const labelSelectorAttributes = s.object(
  'io.k8s.api.authorization.v1.LabelSelectorAttributes',
  {
    rawSelector: s.string(1, 'As in the query of the URL: app=web,tier!=cache.'),
    requirements: s.list(2, labelSelectorRequirement, 'The same taken apart; all of them hold.'),
  },
  {
    description:
      'The label selector of a list, watch or deletecollection that is asked about. No answer depends on it here.',
  },
)
export type LabelSelectorAttributes = TypeOf<typeof labelSelectorAttributes>
export const resourceAttributes = s.object(
  'io.k8s.api.authorization.v1.ResourceAttributes',
  {
    namespace: s.string(1, 'Where the request is made; empty for all namespaces, or for what lies in none.'),
    verb: s.string(
      2,
      'get, list, watch, create, update, patch, delete, deletecollection or a special one; * asks for all at once.',
    ),
    group: s.string(3, "Group of the resource: '' for core kinds; * asks for all at once."),
    version: s.string(4, 'Within the group. No answer depends on it: roles do not tell versions apart.'),
    resource: s.string(5, 'Plural in lower case; * asks for all at once.'),
    subresource: s.string(6, 'Such as log or status; empty for the object itself.'),
    name: s.string(7, 'Of the one object that is meant; empty asks for all objects.'),
    fieldSelector: s.of(
      8,
      fieldSelectorAttributes,
      'Narrows the request, which may be what lets it pass: the agent of a node may list the pods of that node only.',
    ),
    labelSelector: s.of(9, labelSelectorAttributes, 'Narrows the request by labels. No answer depends on it here.'),
  },
  { description: 'A request about a resource.' },
)
export type ResourceAttributes = TypeOf<typeof resourceAttributes>
export const selfSubjectAccessReviewSpec = s.object(
  'io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec',
  {
    resourceAttributes: s.of(1, resourceAttributes, 'A request about a resource; excludes nonResourceAttributes.'),
    nonResourceAttributes: s.of(
      2,
      nonResourceAttributes,
      'A request to any other path of the server; excludes resourceAttributes.',
    ),
  },
  { description: 'The request that is asked about: exactly one of both kinds.' },
)
export type SelfSubjectAccessReviewSpec = TypeOf<typeof selfSubjectAccessReviewSpec>
export const subjectAccessReviewSpec = s.object(
  'io.k8s.api.authorization.v1.SubjectAccessReviewSpec',
  {
    resourceAttributes: s.of(1, resourceAttributes, 'A request about a resource; excludes nonResourceAttributes.'),
    nonResourceAttributes: s.of(
      2,
      nonResourceAttributes,
      'A request to any other path of the server; excludes resourceAttributes.',
    ),
    user: s.string(
      3,
      'Name of the user. No groups are added to those that are given here, not even system:authenticated.',
    ),
    groups: s.list(4, scalars.string, 'Groups that the user is taken to be in.'),
    extra: s.map(5, scalars.strings, 'What else authentication would know of the user, by keys in lower case.'),
    uid: s.string(6, 'What authentication would give as the uid of the user.'),
  },
  {
    description: 'Who would send which request: at least a user or a group, and exactly one of both kinds of request.',
  },
)
export type SubjectAccessReviewSpec = TypeOf<typeof subjectAccessReviewSpec>
export const subjectAccessReviewStatus = s.object(
  'io.k8s.api.authorization.v1.SubjectAccessReviewStatus',
  {
    allowed: s.boolean(1, {
      required: true,
      description: 'Whether somebody grants the request. Admission may still refuse it.',
    }),
    reason: s.string(2, 'For people: which binding grants it, or what was missing.'),
    evaluationError: s.string(
      3,
      'What went wrong while judging, beside an answer that may still hold. Never set here.',
    ),
    denied: s.boolean(
      4,
      'Whether somebody forbids the request outright. Never set here: what nobody grants is not allowed, and nobody forbids.',
    ),
  },
  { description: 'Whether a request would be authorized.' },
)
export type SubjectAccessReviewStatus = TypeOf<typeof subjectAccessReviewStatus>
export const selfSubjectRulesReviewSpec = s.object(
  'io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec',
  {
    namespace: s.string(1, 'Its grants are listed, and those that hold everywhere. Must not be empty.'),
  },
  { description: 'Where the rights are to be listed.' },
)
export type SelfSubjectRulesReviewSpec = TypeOf<typeof selfSubjectRulesReviewSpec>
export const nonResourceRule = s.object(
  'io.k8s.api.authorization.v1.NonResourceRule',
  {
    verbs: s.list(1, scalars.string, { required: true, description: 'HTTP methods in lower case; * for all.' }),
    nonResourceURLs: s.list(
      2,
      scalars.string,
      'Paths; a * at the end stands for all that begins so, alone for every path.',
    ),
  },
  { description: 'A grant about paths that are no resources.' },
)
export type NonResourceRule = TypeOf<typeof nonResourceRule>
export const resourceRule = s.object(
  'io.k8s.api.authorization.v1.ResourceRule',
  {
    verbs: s.list(1, scalars.string, {
      required: true,
      description: 'get, list, watch, create, update, patch, delete, deletecollection and special ones; * for all.',
    }),
    apiGroups: s.list(2, scalars.string, "Groups of the resources: '' for core kinds, * for all."),
    resources: s.list(
      3,
      scalars.string,
      "Plurals in lower case, with a subresource after a slash: 'pods', 'pods/log', '*/scale'; * for all.",
    ),
    resourceNames: s.list(4, scalars.string, 'Limits the grant to objects of these names; empty for any.'),
  },
  { description: 'A grant of all its verbs on all its resources.' },
)
export type ResourceRule = TypeOf<typeof resourceRule>
export const subjectRulesReviewStatus = s.object(
  'io.k8s.api.authorization.v1.SubjectRulesReviewStatus',
  {
    resourceRules: s.list(1, resourceRule, {
      required: true,
      description: 'Grants about resources, in no order that would mean anything; some may repeat others.',
    }),
    nonResourceRules: s.list(2, nonResourceRule, {
      required: true,
      description: 'Grants about paths that are no resources, in no order that would mean anything.',
    }),
    incomplete: s.boolean(3, {
      required: true,
      description:
        'Whether more may be allowed than is listed: a role is missing, or the asker is the agent of a node.',
    }),
    evaluationError: s.string(4, 'Why the list is not complete.'),
  },
  { description: 'What somebody may do, as a list to show. To decide by, ask a SelfSubjectAccessReview.' },
)
export type SubjectRulesReviewStatus = TypeOf<typeof subjectRulesReviewStatus>
