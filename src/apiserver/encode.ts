// Objects, lists and frames in each media type. Pure. What is made of a stored object is kept with it as long as the
// garbage collector lets it, so that a list or an event is not encoded anew for each client.
import { apiVersionOf, type Kind } from '../api/kind.ts'
import { scale } from '../api/kinds/scale.ts'
import { tokenRequest } from '../api/kinds/tokenrequest.ts'
import { isList, isObject } from '../api/parse.ts'
import { bodyOfMessage, encodeBody, encodeListBody, encodeMessage } from '../api/protobuf.ts'
import type { JsonObject, Schema } from '../api/schema.ts'
import {
  partialObjectMetadata,
  partialObjectMetadataList,
  partialObjectMetadataListBeta,
  status,
} from '../api/types/status.ts'
import type { KeyValue } from '../kv/store.ts'
import type { Bytes } from '../lib/bytes.ts'
import { objectOf } from './stored.ts'

const messages = new WeakMap<Kind, WeakMap<KeyValue, WeakRef<Bytes>>>()

/** The protobuf message of a stored object, as it lies in a list. */
export function messageOf(kind: Kind, stored: KeyValue): Bytes {
  const ofKind = messages.get(kind) ?? new WeakMap<KeyValue, WeakRef<Bytes>>()
  messages.set(kind, ofKind)
  const known = ofKind.get(stored)?.deref()
  if (known !== undefined) return known
  const message = encodeMessage(kind.schema, objectOf(stored) as unknown as JsonObject)
  ofKind.set(stored, new WeakRef(message))
  return message
}

/** The protobuf body of a stored object. */
export function bodyOf(kind: Kind, stored: KeyValue): Bytes {
  return bodyOfMessage(apiVersionOf(kind), kind.kind, messageOf(kind, stored))
}

/** What an answer about objects of `kind` can hold, by the kind that it says of itself. */
function schemaOf(kind: Kind, object: JsonObject): Schema | undefined {
  switch (object['kind']) {
    case kind.kind:
      return kind.schema
    case 'Status':
      return status
    case 'PartialObjectMetadata':
      return partialObjectMetadata
    case 'PartialObjectMetadataList':
      return object['apiVersion'] === 'meta.k8s.io/v1beta1' ? partialObjectMetadataListBeta : partialObjectMetadataList
    case scale.kind:
      return scale.schema
    case tokenRequest.kind:
      return tokenRequest.schema
    default:
      return undefined
  }
}

/** undefined: it has no form in protobuf. */
export function protobufOf(kind: Kind, object: JsonObject): Bytes | undefined {
  if (object['kind'] === `${kind.kind}List` && isObject(object['metadata']) && isList(object['items'])) {
    const items = object['items'].map(item => encodeMessage(kind.schema, item as JsonObject))
    return encodeListBody(apiVersionOf(kind), `${kind.kind}List`, object['metadata'], items)
  }
  const schema = schemaOf(kind, object)
  return schema && encodeBody(schema, object)
}

export function statusBytes(object: JsonObject): Bytes {
  return encodeBody(status, object)
}
