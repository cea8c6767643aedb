// What a request can say beside its object (meta/v1). Clients write these as query parameters; as bodies there are only
// DeleteOptions (meta.ts), but all of them have a form in both encodings.
// https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
import { s, scalars, type TypeOf } from '../schema.ts'

export const createOptions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.CreateOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  dryRun: s.list(1, scalars.string),
  fieldManager: s.string(3),
  fieldValidation: s.string(4),
})
export type CreateOptions = TypeOf<typeof createOptions>
export const getOptions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.GetOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  resourceVersion: s.string(1),
})
export type GetOptions = TypeOf<typeof getOptions>
export const listOptions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.ListOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  labelSelector: s.string(1),
  fieldSelector: s.string(2),
  watch: s.boolean(3),
  resourceVersion: s.string(4),
  timeoutSeconds: s.int64(5, { pointer: true }),
  limit: s.int64(7),
  continue: s.string(8),
  allowWatchBookmarks: s.boolean(9),
  resourceVersionMatch: s.string(10),
  sendInitialEvents: s.boolean(11, { pointer: true }),
})
export type ListOptions = TypeOf<typeof listOptions>
export const patchOptions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.PatchOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  dryRun: s.list(1, scalars.string),
  force: s.boolean(2, { pointer: true }),
  fieldManager: s.string(3),
  fieldValidation: s.string(4),
})
export type PatchOptions = TypeOf<typeof patchOptions>
export const updateOptions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.UpdateOptions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  dryRun: s.list(1, scalars.string),
  fieldManager: s.string(2),
  fieldValidation: s.string(3),
})
export type UpdateOptions = TypeOf<typeof updateOptions>
