// From a request's bytes to what write.ts understands. Pure.
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { type FieldValidation, readJson, readYaml } from '../api/parse.ts'
import { decodeBody, schemaLookup } from '../api/protobuf.ts'
import { type Duplicates, noDuplicates } from '../api/reader.ts'
import type { Json } from '../api/schema.ts'
import type { Bytes } from '../lib/bytes.ts'
import { builtIn } from './catalog.ts'
import { bodyForm } from './negotiate.ts'
import type { PatchKind } from './operation.ts'

/** What etcd-backed servers take too. */
export const bodyBytesMax = 3 * 1024 * 1024
/** What etcd takes as one object. */
const objectBytesMax = 1.5 * 1024 * 1024

/** Refuses what could never be stored before anything is made of it: an object that has no blanks to lose. */
export function checkSize(verb: string, bytes: Bytes): void {
  const isObject = verb === 'create' || verb === 'update'
  if (!isObject || bytes.length <= objectBytesMax || bytes[0] !== 0x7b || isBlank(bytes[1])) return
  throw new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${objectBytesMax} for what is stored`)
}

const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * The parser of YAML takes a time that grows with the square of the text's nesting and of a mapping's length, and nothing
 * else runs meanwhile. Clients send JSON also under the name of YAML; what is large must be that.
 */
const yamlBytesMax = 128 * 1024
const yamlDepthMax = 100

export type Body = { readonly value: Json; readonly duplicates: Duplicates; readonly patch?: PatchKind }

const lookup = schemaLookup(builtIn)
const utf8 = new TextDecoder('utf-8', { fatal: true })

export function decode(bytes: Bytes, contentType: string | undefined, mode: FieldValidation): Body {
  const form = bodyForm(contentType)
  if (form === undefined) throw unsupported(contentType)
  if (form.form === 'protobuf') return { value: decodeBody(bytes, lookup).value, duplicates: noDuplicates }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch (error) {
    throw new ApiError('BadRequest', 'the body is not well-formed UTF-8', undefined, { cause: error })
  }
  if (text.trim() === '') throw new ApiError('BadRequest', 'the body is empty')
  const read = form.form === 'yaml' ? yamlOf(text, bytes.length, mode) : readJson(text, mode)
  return { ...read, ...('patch' in form && { patch: form.patch }) }
}

function yamlOf(text: string, byteCount: number, mode: FieldValidation) {
  if (byteCount > yamlBytesMax) {
    if (text.trimStart().startsWith('{')) return readJson(text, mode)
    throw new ApiError(
      'RequestEntityTooLarge',
      `a body in YAML may have ${yamlBytesMax} bytes; send a larger one as JSON`,
    )
  }
  let depth = 0
  for (const char of text) {
    if (char === '[' || char === '{') depth += 1
    else if (char === ']' || char === '}') depth = Math.max(0, depth - 1)
    if (depth > yamlDepthMax) throw new ApiError('BadRequest', 'error converting YAML to JSON: exceeded max depth')
  }
  return readYaml(text, mode)
}

export function unsupported(contentType: string | undefined): ApiError {
  const accepted = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'
  return new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format (${contentType ?? ''}) - accepted media types include: ${accepted}`,
  )
}

export function unsupportedPatch(): ApiError {
  const accepted = [
    'application/json-patch+json',
    'application/merge-patch+json',
    'application/strategic-merge-patch+json',
    'application/apply-patch+yaml',
  ]
  return new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  )
}

export function nameOfBody(kind: Kind, body: Json): string {
  const metadata = (body as { readonly metadata?: { readonly name?: Json } } | null)?.metadata
  const name = metadata?.name
  if (typeof name !== 'string' || name === '') throw new ApiError('BadRequest', `${kind.kind} names no object`)
  return name
}
