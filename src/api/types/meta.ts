// Metadata that every object carries, and the small types of apimachinery.
import { s, scalars, type TypeOf } from '../schema.ts'

export const managedFieldsEntry = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry', {
  apiVersion: s.string(3),
  manager: s.string(1),
  operation: s.string(2),
  time: s.time(4),
  fieldsType: s.string(6),
  fieldsV1: s.fieldsV1(7),
  subresource: s.string(8),
})
export type ManagedFieldsEntry = TypeOf<typeof managedFieldsEntry>
export const ownerReference = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference',
  {
    apiVersion: s.string(5, { required: true }),
    kind: s.string(1, { required: true }),
    name: s.string(3, { required: true }),
    uid: s.string(4, { required: true }),
    controller: s.boolean(6, { pointer: true }),
    blockOwnerDeletion: s.boolean(7, { pointer: true }),
  },
  { atomic: true },
)
export type OwnerReference = TypeOf<typeof ownerReference>
export const objectMeta = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta', {
  name: s.string(1, {
    stored: true,
    description: 'Name is what the object is called; no other of its kind in its namespace is called the same.',
  }),
  generateName: s.string(2, { description: 'GenerateName is what a name begins with that the server makes up.' }),
  namespace: s.string(3, { description: 'Namespace is the space within which the name is unique.' }),
  selfLink: s.string(4, { description: 'SelfLink is no longer filled in.' }),
  uid: s.string(5, {
    stored: true,
    description: 'UID tells the object from all that ever were. The server gives it.',
  }),
  resourceVersion: s.string(6, {
    stored: true,
    description: 'ResourceVersion is the version of the store in which the object was written last.',
  }),
  generation: s.int64(7, { description: 'Generation counts the changes of what is wanted.' }),
  creationTimestamp: s.time(8, {
    stored: true,
    description: 'CreationTimestamp is a timestamp of when the server made the object. Nobody else can set it.',
  }),
  deletionTimestamp: s.time(9, {
    description:
      'DeletionTimestamp is when the object is to be gone. The server sets it when somebody deletes the object.',
  }),
  deletionGracePeriodSeconds: s.int64(10, {
    pointer: true,
    description: 'DeletionGracePeriodSeconds is how long the object may take to go once it is deleted.',
  }),
  labels: s.map(11, scalars.string, { description: 'Labels are what selectors find the object by.' }),
  annotations: s.map(12, scalars.string, {
    description: 'Annotations are notes of programs, which nothing is found by.',
  }),
  ownerReferences: s.list(13, ownerReference, {
    listType: 'map',
    mapKeys: ['uid'],
    mergeKey: 'uid',
    description: 'OwnerReferences are the objects with all of which gone this one goes too.',
  }),
  finalizers: s.list(14, scalars.string, {
    listType: 'set',
    mergeKey: '',
    description: 'Finalizers are what has to be done, and taken from here, before the object may go.',
  }),
  managedFields: s.list(17, managedFieldsEntry, { description: 'ManagedFields are who has written which field.' }),
})
export type ObjectMeta = TypeOf<typeof objectMeta>
export const labelSelectorRequirement = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement', {
  key: s.string(1, { required: true }),
  operator: s.oneOf(2, ['In', 'NotIn', 'Exists', 'DoesNotExist'], { required: true }),
  values: s.list(3, scalars.string),
})
export type LabelSelectorRequirement = TypeOf<typeof labelSelectorRequirement>
export const labelSelector = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector',
  {
    matchLabels: s.map(1, scalars.string),
    matchExpressions: s.list(2, labelSelectorRequirement),
  },
  { atomic: true },
)
export type LabelSelector = TypeOf<typeof labelSelector>
export const listMeta = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta', {
  selfLink: s.string(1),
  resourceVersion: s.string(2),
  continue: s.string(3),
  remainingItemCount: s.int64(4, { pointer: true }),
})
export type ListMeta = TypeOf<typeof listMeta>
export const condition = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.Condition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  observedGeneration: s.int64(3),
  lastTransitionTime: s.time(4, { required: true }),
  reason: s.string(5, { required: true }),
  message: s.string(6, { required: true }),
})
export type Condition = TypeOf<typeof condition>
export const preconditions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions', {
  uid: s.string(1, { pointer: true }),
  resourceVersion: s.string(2, { pointer: true }),
})
export type Preconditions = TypeOf<typeof preconditions>
export const deleteOptions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  gracePeriodSeconds: s.int64(1, { pointer: true }),
  preconditions: s.of(2, preconditions),
  orphanDependents: s.boolean(3, { pointer: true }),
  propagationPolicy: s.string(4, { pointer: true }),
  dryRun: s.list(5, scalars.string),
  ignoreStoreReadErrorWithClusterBreakingPotential: s.boolean(6, { pointer: true }),
})
export type DeleteOptions = TypeOf<typeof deleteOptions>
