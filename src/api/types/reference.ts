// References from one object to another.
import { s, type TypeOf } from '../schema.ts'

export const localObjectReference = s.object(
  'io.k8s.api.core.v1.LocalObjectReference',
  {
    name: s.string(1, 'Name of the object, in the namespace of the one that refers to it.'),
  },
  { atomic: true, description: 'Names an object in the same namespace; of which kind, the field that holds it says.' },
)
export type LocalObjectReference = TypeOf<typeof localObjectReference>
export const objectReference = s.object(
  'io.k8s.api.core.v1.ObjectReference',
  {
    apiVersion: s.string(5, 'Group and version of the object, as in apps/v1; v1 for the core group.'),
    kind: s.string(1, 'Kind of the object, as in Pod.'),
    namespace: s.string(2, 'Namespace of the object; empty for kinds of the cluster.'),
    name: s.string(3, 'What the object is called in its namespace.'),
    uid: s.string(4, 'Tells the object from others that had its name before or get it later.'),
    resourceVersion: s.string(6, 'Version of the object that is meant, where that matters.'),
    fieldPath: s.string(
      7,
      'Part that is meant, as in spec.containers{web} for one container; empty: the whole object.',
    ),
  },
  {
    atomic: true,
    description: 'Points at any object or at a part of one; how much of it has to be filled in depends on its user.',
  },
)
export type ObjectReference = TypeOf<typeof objectReference>
export const typedLocalObjectReference = s.object(
  'io.k8s.api.core.v1.TypedLocalObjectReference',
  {
    kind: s.string(2, { required: true, description: 'Kind of the object, as in VolumeSnapshot.' }),
    apiGroup: s.string(1, {
      pointer: true,
      description: 'Group of the kind without a version, as in snapshot.storage.k8s.io; absent: the core group.',
    }),
    name: s.string(3, {
      required: true,
      description: 'Name of the object, in the namespace of the one that refers to it.',
    }),
  },
  { atomic: true, description: 'Names an object of any kind in the same namespace.' },
)
export type TypedLocalObjectReference = TypeOf<typeof typedLocalObjectReference>
export const typedObjectReference = s.object(
  'io.k8s.api.core.v1.TypedObjectReference',
  {
    kind: s.string(2, { required: true, description: 'Kind of the object, as in PersistentVolumeClaim.' }),
    apiGroup: s.string(1, {
      pointer: true,
      description: 'Group of the kind without a version, as in snapshot.storage.k8s.io; absent: the core group.',
    }),
    name: s.string(3, { required: true, description: 'What the object is called in its namespace.' }),
    namespace: s.string(4, {
      pointer: true,
      description: 'Namespace of the object; absent: that of the one that refers to it.',
    }),
  },
  { description: 'Names an object of any kind, perhaps in another namespace.' },
)
export type TypedObjectReference = TypeOf<typeof typedObjectReference>
export const secretReference = s.object(
  'io.k8s.api.core.v1.SecretReference',
  {
    name: s.string(1, 'Which Secret of the namespace it is.'),
    namespace: s.string(2, 'Namespace in which the Secret lies.'),
  },
  { atomic: true, description: 'Names a Secret for objects that belong to no namespace themselves.' },
)
export type SecretReference = TypeOf<typeof secretReference>
