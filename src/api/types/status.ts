// What the server says of itself and not of an object of a kind: meta/v1 Status, and the metadata of objects without the
// rest of them.
import { s } from '../schema.ts'
import { listMeta, objectMeta } from './meta.ts'

const statusCause = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause', {
  reason: s.string(1),
  message: s.string(2),
  field: s.string(3),
})
const statusDetails = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails', {
  name: s.string(1),
  group: s.string(2),
  kind: s.string(3),
  causes: s.list(4, statusCause),
  retryAfterSeconds: s.int32(5),
  uid: s.string(6),
})
export const status = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.Status', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, listMeta),
  status: s.string(2),
  message: s.string(3),
  reason: s.string(4),
  details: s.of(5, statusDetails),
  code: s.int32(6),
})
export const partialObjectMetadata = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, objectMeta),
})
export const partialObjectMetadataList = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, listMeta),
  items: s.list(2, partialObjectMetadata),
})
/** The older version has the two the other way round. */
export const partialObjectMetadataListBeta = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1beta1.PartialObjectMetadataList',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(2, listMeta),
    items: s.list(1, partialObjectMetadata),
  },
)
