// Metadata that every object carries, and the small types of apimachinery.
import { s, scalars, type TypeOf } from '../schema.ts'

export const managedFieldsEntry = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry',
  {
    apiVersion: s.string(3, 'Group and version by whose names fieldsV1 calls the fields, as in apps/v1.'),
    manager: s.string(1, "The writer's fieldManager, or the program in its User-Agent when it gave none."),
    operation: s.string(2, 'Apply for server-side apply, Update for any other write.'),
    time: s.time(4, 'When this writer last added, changed or gave up a field of its own.'),
    fieldsType: s.string(6, 'Form of the set of fields; FieldsV1 is the only one.'),
    fieldsV1: s.fieldsV1(
      7,
      'The fields, nested as in the object: f:<field>, k:<keys of a list item>, v:<value>, with a dot for the thing itself.',
    ),
    subresource: s.string(
      8,
      'Subresource that was written, as in status; empty: the object itself. A manager has an entry for each.',
    ),
  },
  { description: 'One writer, and the fields that it set last in one way and one version.' },
)
export type ManagedFieldsEntry = TypeOf<typeof managedFieldsEntry>
export const ownerReference = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference',
  {
    apiVersion: s.string(5, { required: true, description: 'Group and version of the owner, as in apps/v1.' }),
    kind: s.string(1, { required: true, description: 'Kind of the owner, as in ReplicaSet.' }),
    name: s.string(3, { required: true, description: 'What the owner is called.' }),
    uid: s.string(4, {
      required: true,
      description: 'UID of the owner; another object that has the name later does not count as it.',
    }),
    controller: s.boolean(6, {
      pointer: true,
      description: 'Whether this owner manages the object; at most one of the owners does.',
    }),
    blockOwnerDeletion: s.boolean(7, {
      pointer: true,
      description: 'Whether an owner that is deleted in the foreground waits until this object is gone.',
    }),
  },
  { atomic: true, description: 'An object that this one belongs to, in the same namespace or of the cluster.' },
)
export type OwnerReference = TypeOf<typeof ownerReference>
export const objectMeta = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
  {
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
  },
  { description: 'What objects of every kind have: names, labels, owners, and what the server notes of them.' },
)
export type ObjectMeta = TypeOf<typeof objectMeta>
export const labelSelectorRequirement = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement',
  {
    key: s.string(1, { required: true, description: 'Key of the label that is looked at.' }),
    operator: s.oneOf(2, ['In', 'NotIn', 'Exists', 'DoesNotExist'], {
      required: true,
      description:
        'In and NotIn compare with values, Exists and DoesNotExist ask for the key alone. NotIn also takes objects without the key.',
    }),
    values: s.list(
      3,
      scalars.string,
      'What In and NotIn compare with, at least one; must be empty for the other operators.',
    ),
  },
  { description: 'A condition on one label.' },
)
export type LabelSelectorRequirement = TypeOf<typeof labelSelectorRequirement>
export const labelSelector = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector',
  {
    matchLabels: s.map(1, scalars.string, 'Labels that an object must have with just these values.'),
    matchExpressions: s.list(
      2,
      labelSelectorRequirement,
      'Further conditions beside matchLabels: on sets of values, on whether a label is there at all.',
    ),
  },
  {
    atomic: true,
    description:
      'Chooses objects by their labels: all that is said must hold, so an empty selector chooses every object.',
  },
)
export type LabelSelector = TypeOf<typeof labelSelector>
export const listMeta = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta',
  {
    selfLink: s.string(1, 'Empty; older versions gave the path of the list here.'),
    resourceVersion: s.string(2, 'State of the store that the list shows; a watch that begins here misses nothing.'),
    continue: s.string(
      3,
      'Token for what follows, sent back as the parameter continue of the same query; empty on the last part.',
    ),
    remainingItemCount: s.int64(4, {
      pointer: true,
      description:
        'How many objects follow after this part; absent when there are none, or when a selector leaves it unknown.',
    }),
  },
  { description: 'What a list says of itself: which state it shows, and how it goes on.' },
)
export type ListMeta = TypeOf<typeof listMeta>
export const condition = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.Condition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], {
      required: true,
      description: 'Whether it holds; Unknown while nobody can tell.',
    }),
    type: s.string(1, {
      required: true,
      description: 'What is observed, in CamelCase, as in Ready; each stands in the list once.',
    }),
    observedGeneration: s.int64(
      3,
      'metadata.generation that the observer saw; when it is behind, the condition may be out of date.',
    ),
    lastTransitionTime: s.time(4, { required: true, description: 'When status last went from one value to another.' }),
    reason: s.string(5, { required: true, description: 'One CamelCase word for programs that says why.' }),
    message: s.string(6, { required: true, description: 'A sentence for people; may be empty.' }),
  },
  { description: 'One thing that is observed of an object, and since when it is so.' },
)
export type Condition = TypeOf<typeof condition>
export const preconditions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions',
  {
    uid: s.string(1, {
      pointer: true,
      description: 'UID that the object must have, so that one made anew under the same name is spared.',
    }),
    resourceVersion: s.string(2, {
      pointer: true,
      description: 'Version that the object must be in, so that nobody deletes what they have not seen.',
    }),
  },
  { description: 'What must be true of the object; otherwise it is not deleted, and the answer is 409 Conflict.' },
)
export type Preconditions = TypeOf<typeof preconditions>
export const deleteOptions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    gracePeriodSeconds: s.int64(1, {
      pointer: true,
      description:
        'Seconds that a pod gets to end: 0 removes it at once, absent means what its spec says. Other kinds take no time.',
    }),
    preconditions: s.of(2, preconditions, 'What must be true of the object for it to be deleted.'),
    orphanDependents: s.boolean(3, {
      pointer: true,
      description: 'The older form of propagationPolicy, never beside it: true is Orphan, false Background.',
    }),
    propagationPolicy: s.string(4, {
      pointer: true,
      description:
        'Objects that it owns are deleted after it (Background, also when absent), before it (Foreground), or stay (Orphan).',
    }),
    dryRun: s.list(5, scalars.string, 'All: everything is checked, and nothing is deleted. No other value is known.'),
    ignoreStoreReadErrorWithClusterBreakingPotential: s.boolean(6, {
      pointer: true,
      description: 'For objects that the store can no longer read. Without effect here.',
    }),
  },
  { description: 'How an object, or everything that a query selects, is deleted: the body of a DELETE.' },
)
export type DeleteOptions = TypeOf<typeof deleteOptions>
