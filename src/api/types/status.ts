// What the server says of itself and not of an object of a kind: meta/v1 Status, and the metadata of objects without the
// rest of them.
import { s } from '../schema.ts'
import { listMeta, objectMeta } from './meta.ts'

const statusCause = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause',
  {
    reason: s.string(1, 'Kind of mistake for programs, as in FieldValueInvalid.'),
    message: s.string(2, 'The mistake in words for people.'),
    field: s.string(
      3,
      'Where in the sent object the mistake is, as in spec.containers[0].name; empty: nowhere in particular.',
    ),
  },
  { description: 'One of the mistakes that led to a refusal.' },
)
const statusDetails = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails',
  {
    name: s.string(1, 'Name of the object that the request was about.'),
    group: s.string(2, 'Group of its kind; empty for the core group.'),
    kind: s.string(3, 'The resource as in paths (pods), in some answers the kind.'),
    causes: s.list(4, statusCause, 'Every mistake that was found, each by itself.'),
    retryAfterSeconds: s.int32(
      5,
      'Seconds to wait before the same request is worth another try; the header Retry-After says the same.',
    ),
    uid: s.string(6, 'UID of the object that was found under the name.'),
  },
  { description: 'Which object an answer is about, and what was wrong in detail.' },
)
export const status = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.Status',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(1, listMeta, 'Empty, but for a list that can be continued.'),
    status: s.string(2, 'Success or Failure.'),
    message: s.string(3, 'What happened, for people.'),
    reason: s.string(4, 'Why it failed in one word, as in NotFound: finer than code, for programs.'),
    details: s.of(5, statusDetails, 'The object and its mistakes, as far as the reason has any.'),
    code: s.int32(6, 'Status code of HTTP that the answer has, as in 404.'),
  },
  { description: 'An answer that is no object: an error, or that something has been deleted.' },
)
export const partialObjectMetadata = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(1, objectMeta, 'The metadata of the object, complete.'),
  },
  { description: 'An object without its spec, status and data, for clients that ask for metadata alone.' },
)
export const partialObjectMetadataList = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(1, listMeta, 'Which state the list shows, and how it goes on.'),
    items: s.list(2, partialObjectMetadata, 'The metadata of each object.'),
  },
  { description: 'A list of objects of which only the metadata are shown.' },
)
/** The older version has the two the other way round. */
export const partialObjectMetadataListBeta = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1beta1.PartialObjectMetadataList',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(2, listMeta, 'Which state the list shows, and how it goes on.'),
    items: s.list(1, partialObjectMetadata, 'The metadata of each object.'),
  },
  { description: 'The list of meta/v1 for clients of the older version; only the protobuf numbers differ.' },
)
