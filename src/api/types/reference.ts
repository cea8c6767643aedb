// References from one object to another.
import { s, type TypeOf } from '../schema.ts'

export const localObjectReference = s.object(
  'io.k8s.api.core.v1.LocalObjectReference',
  {
    name: s.string(1),
  },
  { atomic: true },
)
export type LocalObjectReference = TypeOf<typeof localObjectReference>
export const objectReference = s.object(
  'io.k8s.api.core.v1.ObjectReference',
  {
    apiVersion: s.string(5),
    kind: s.string(1),
    namespace: s.string(2),
    name: s.string(3),
    uid: s.string(4),
    resourceVersion: s.string(6),
    fieldPath: s.string(7),
  },
  { atomic: true },
)
export type ObjectReference = TypeOf<typeof objectReference>
export const typedLocalObjectReference = s.object(
  'io.k8s.api.core.v1.TypedLocalObjectReference',
  {
    kind: s.string(2, { required: true }),
    apiGroup: s.string(1, { pointer: true }),
    name: s.string(3, { required: true }),
  },
  { atomic: true },
)
export type TypedLocalObjectReference = TypeOf<typeof typedLocalObjectReference>
export const typedObjectReference = s.object('io.k8s.api.core.v1.TypedObjectReference', {
  kind: s.string(2, { required: true }),
  apiGroup: s.string(1, { pointer: true }),
  name: s.string(3, { required: true }),
  namespace: s.string(4, { pointer: true }),
})
export type TypedObjectReference = TypeOf<typeof typedObjectReference>
export const secretReference = s.object(
  'io.k8s.api.core.v1.SecretReference',
  {
    name: s.string(1),
    namespace: s.string(2),
  },
  { atomic: true },
)
export type SecretReference = TypeOf<typeof secretReference>
