// Kubernetes' protobuf bodies.
import type { Bytes } from '../lib/bytes.ts'
import { ApiError } from './error.ts'
import { apiVersionOf, type Kind } from './kind.ts'
import type { JsonObject, Schema } from './schema.ts'
import { deleteOptions } from './types/meta.ts'

export const protobufMagic: Bytes = Uint8Array.of(0x6b, 0x38, 0x73, 0x00)

export type SchemaLookup = (apiVersion: string, kind: string) => Schema | undefined

export function schemaLookup(kinds: readonly Kind[]): SchemaLookup {
  const schemas = new Map(kinds.map((kind): [string, Schema] => [`${apiVersionOf(kind)} ${kind.kind}`, kind.schema]))
  return (apiVersion, kind) => (kind === 'DeleteOptions' ? deleteOptions : schemas.get(`${apiVersion} ${kind}`))
}

export function decodeBody(
  _bytes: Bytes,
  _lookup: SchemaLookup,
): { readonly apiVersion: string; readonly kind: string; readonly value: JsonObject } {
  throw new ApiError('UnsupportedMediaType', 'protobuf bodies are not served yet')
}
