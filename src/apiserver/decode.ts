// From a request's bytes and query to what write.ts understands. Pure.
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { type FieldValidation, readJson, readYaml } from '../api/parse.ts'
import { decodeBody, schemaLookup } from '../api/protobuf.ts'
import { type Duplicates, noDuplicates } from '../api/reader.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import type { Bytes } from '../lib/bytes.ts'
import { builtIn } from './catalog.ts'
import { bodyForm } from './negotiate.ts'
import type { PatchKind } from './operation.ts'
import { isTrue } from './route.ts'

/** What etcd-backed servers take too. */
export const bodyBytesMax = 3 * 1024 * 1024
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

export type WriteQuery = {
  readonly fieldManager: string
  readonly fieldValidation: FieldValidation
  readonly force: boolean
  readonly dryRun: boolean
}

export function writeQuery(query: URLSearchParams, userAgent: string | undefined): WriteQuery {
  const validation = query.get('fieldValidation') ?? ''
  if (validation !== '' && validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') {
    throw new ApiError(
      'BadRequest',
      `fieldValidation: Unsupported value: ${JSON.stringify(validation.slice(0, 64))}: supported values: "Ignore", "Strict", "Warn"`,
    )
  }
  const manager = query.get('fieldManager') ?? ''
  if (manager.length > 128) throw new ApiError('BadRequest', 'fieldManager: Too long: may not be more than 128 bytes')
  return {
    // Who does not say what it is called is noted by the program's name, as upstream.
    fieldManager: manager !== '' ? manager : ((userAgent ?? '').split('/')[0] ?? '').slice(0, 128) || 'unknown',
    fieldValidation: validation === '' ? 'Warn' : validation,
    force: isTrue(query.get('force')),
    dryRun: dryRunOf(query.getAll('dryRun')),
  }
}

function dryRunOf(values: readonly string[]): boolean {
  const set = values.filter(value => value !== '')
  if (set.some(value => value !== 'All')) {
    throw new ApiError(
      'BadRequest',
      `dryRun: Unsupported value: ${JSON.stringify(set[0]?.slice(0, 64))}: supported values: "All"`,
    )
  }
  return set.length > 0
}

/** DeleteOptions come in the body or, each for itself, in the query. */
export function deleteBody(
  body: Json,
  query: URLSearchParams,
): { readonly options: JsonObject; readonly dryRun: boolean } {
  const given = typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as JsonObject) : {}
  const grace = query.get('gracePeriodSeconds')
  if (grace !== null && !/^\d{1,9}$/.test(grace)) {
    throw new ApiError('BadRequest', `gracePeriodSeconds: Invalid value: ${JSON.stringify(grace.slice(0, 64))}`)
  }
  const policy = query.get('propagationPolicy')
  const orphan = query.get('orphanDependents')
  const dry = given['dryRun']
  const options: JsonObject = {
    ...given,
    ...(grace !== null && { gracePeriodSeconds: Number(grace) }),
    ...(policy !== null && { propagationPolicy: policy }),
    ...(orphan !== null && { orphanDependents: isTrue(orphan) }),
  }
  const asked = [...(Array.isArray(dry) ? dry.map(String) : []), ...query.getAll('dryRun')]
  return { options, dryRun: dryRunOf(asked) }
}

/** A whole number from the query: absent or malformed-as-upstream refused. */
export function countOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? ''
  if (text === '') return 0
  if (!/^\d{1,15}$/.test(text)) {
    throw new ApiError(
      'BadRequest',
      `${name}: Invalid value: ${JSON.stringify(text.slice(0, 64))}: must be a whole number, not negative`,
    )
  }
  return Number(text)
}

export function nameOfBody(kind: Kind, body: Json): string {
  const metadata = (body as { readonly metadata?: { readonly name?: Json } } | null)?.metadata
  const name = metadata?.name
  if (typeof name !== 'string' || name === '') throw new ApiError('BadRequest', `${kind.kind} names no object`)
  return name
}
