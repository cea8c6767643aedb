// From a request's bytes to what write.ts understands. Pure.
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { type FieldValidation, readIfJson, readJson, readYaml } from '../api/parse.ts'
import { decodeBody, schemaLookup } from '../api/protobuf.ts'
import { type Duplicates, noDuplicates, type Read } from '../api/reader.ts'
import type { Json } from '../api/schema.ts'
import type { Bytes } from '../lib/bytes.ts'
import { builtIn } from './catalog.ts'
import { bodyForm } from './negotiate.ts'
import type { PatchKind } from './operation.ts'

/** What etcd-backed servers take too. */
export const bodyBytesMax = 3 * 1024 * 1024
/**
 * The parser of YAML takes a microsecond per byte and more, and of hostile text thirty. What is longer than a little is
 * read beside the event loop. Clients send JSON also under the name of YAML, which is read here whatever its length.
 */
const yamlHereBytesMax = 8 * 1024
const yamlBytesMax = 1024 * 1024
const yamlDepthMax = 100

export type Body = { readonly value: Json; readonly duplicates: Duplicates; readonly patch?: PatchKind }
/** Whose text has to be read elsewhere. */
export type LongBody = { readonly yaml: string; readonly patch?: PatchKind }
/** Gives what readYaml of api/parse.ts gives, while others run. Rejects with ApiError. */
export type YamlReader = (text: string, signal: AbortSignal) => Promise<Read>

const lookup = schemaLookup(builtIn)
const utf8 = new TextDecoder('utf-8', { fatal: true })

export function decode(bytes: Bytes, contentType: string | undefined, mode: FieldValidation): Body | LongBody {
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

function yamlOf(text: string, byteCount: number, mode: FieldValidation): Read | { readonly yaml: string } {
  if (byteCount <= yamlHereBytesMax) {
    checkDepth(text)
    return readYaml(text, mode)
  }
  if (text.trimStart().startsWith('{')) {
    const read = readIfJson(text, mode)
    if (read !== undefined) return read
  }
  if (byteCount > yamlBytesMax) {
    throw new ApiError(
      'RequestEntityTooLarge',
      `a body in YAML may have ${yamlBytesMax} bytes; send a larger one as JSON`,
    )
  }
  checkDepth(text)
  return { yaml: text }
}

function checkDepth(text: string): void {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === openBracket || char === openBrace) depth += 1
    else if (char === closeBracket || char === closeBrace) depth = Math.max(0, depth - 1)
    if (depth > yamlDepthMax) throw new ApiError('BadRequest', 'error converting YAML to JSON: exceeded max depth')
  }
}

const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]

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
