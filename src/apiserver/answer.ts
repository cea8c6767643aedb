// From objects, lists, Statuses and errors to responses, in the form that was negotiated. Pure.
import { stringify } from 'yaml'
import { ApiError, notFound, statusOf } from '../api/error.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../api/kind.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import {
  type IncludeObject,
  type ListMetaOut,
  partialObjectMetadata,
  partialObjectMetadataList,
  toTable,
} from '../api/table.ts'
import type { KeyValue } from '../kv/store.ts'
import type { HttpResponse } from '../world/http.ts'
import { ContinueExpired } from './list.ts'
import { type Answers, negotiate } from './negotiate.ts'
import type { Listed } from './run-read.ts'
import { objectOf, servedText } from './stored.ts'

export type View = { readonly answers: Answers; readonly includeObject: IncludeObject; readonly nowMs: number }

export function viewOf(accept: string | undefined, query: URLSearchParams, nowMs: number): View {
  const answers = negotiate(accept)
  if (answers === undefined) {
    throw new ApiError(
      'NotAcceptable',
      'only the following media types are accepted: application/json, application/yaml',
    )
  }
  const include = query.get('includeObject') ?? ''
  if (include !== '' && include !== 'None' && include !== 'Metadata' && include !== 'Object') {
    throw new ApiError('BadRequest', `invalid includeObject value: ${include.slice(0, 64)}`)
  }
  return { answers, includeObject: include === '' ? 'Metadata' : include, nowMs }
}

const jsonType = { 'content-type': 'application/json' }

export function json(code: number, body: Json | string, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { kind: 'whole', code, headers: { ...jsonType, ...headers }, body: `${text}\n` }
}

export function plain(code: number, body: string): HttpResponse {
  return { kind: 'whole', code, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

/** A JSON text that is already there, in the media type wanted. */
function mediaOf(view: View, code: number, text: string, headers: Readonly<Record<string, string>>): HttpResponse {
  if (view.answers.as === 'Object' && view.answers.media === 'yaml') {
    return {
      kind: 'whole',
      code,
      headers: { ...headers, 'content-type': 'application/yaml' },
      body: stringify(JSON.parse(text)),
    }
  }
  return json(code, text, headers)
}

export function respondStored(kind: Kind, stored: KeyValue, view: View): HttpResponse {
  if (view.answers.as === 'Object') return mediaOf(view, 200, servedText(stored), {})
  return json(200, shaped(kind, objectOf(stored), view))
}

/** An answer of write.ts: an object of the kind, or a Status, a Scale, a list. */
export function respondObject(
  kind: Kind,
  code: number,
  object: Json,
  view: View,
  warnings: readonly string[] = [],
): HttpResponse {
  const headers = warningHeaders(warnings)
  const isObject = (object as JsonObject)['kind'] === kind.kind
  if (view.answers.as === 'Object' || !isObject) return mediaOf(view, code, JSON.stringify(object), headers)
  return json(code, shaped(kind, object as unknown as KubeObject, view), headers)
}

/** What is made when it is asked for: all of it, or the one of this name. */
export function respondMade(
  kind: Kind,
  objects: readonly KubeObject[],
  name: string | undefined,
  revision: number,
  view: View,
): HttpResponse {
  if (name !== undefined) {
    const found = objects.find(({ metadata }) => metadata.name === name)
    if (found === undefined) throw notFound(kind, name)
    return respondObject(kind, 200, found as unknown as Json, view)
  }
  const listMeta = { resourceVersion: String(revision) }
  const { answers, includeObject, nowMs } = view
  if (answers.as === 'Table') {
    return json(200, toTable(kind, objects, nowMs, { includeObject, version: answers.version, listMeta }))
  }
  if (answers.as !== 'Object') return json(200, partialObjectMetadataList(objects, listMeta))
  const items = objects as unknown as Json
  const text = JSON.stringify({ kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata: listMeta, items })
  return mediaOf(view, 200, text, {})
}

function shaped(kind: Kind, object: KubeObject, view: View): JsonObject {
  if (view.answers.as === 'Table') {
    const { includeObject, nowMs } = view
    return toTable(kind, [object], nowMs, {
      includeObject,
      version: view.answers.version,
      listMeta: { resourceVersion: object.metadata.resourceVersion },
    })
  }
  return partialObjectMetadata(object)
}

/** How many objects are glued together at once: a list of many thousands never is one text in memory. */
const chunkCount = 200

export function respondList(kind: Kind, listed: Listed, view: View): HttpResponse {
  const listMeta: ListMetaOut = {
    resourceVersion: String(listed.revision),
    ...(listed.continue !== undefined && { continue: listed.continue }),
    ...(listed.remaining !== undefined && listed.remaining > 0 && { remainingItemCount: listed.remaining }),
  }
  if (view.answers.as === 'Table') {
    const objects = listed.items.map(item => objectOf(item))
    const { includeObject, nowMs } = view
    return json(200, toTable(kind, objects, nowMs, { includeObject, version: view.answers.version, listMeta }))
  }
  if (view.answers.as !== 'Object') {
    return json(
      200,
      partialObjectMetadataList(
        listed.items.map(item => objectOf(item)),
        listMeta,
      ),
    )
  }
  const head = `{"kind":"${kind.kind}List","apiVersion":"${apiVersionOf(kind)}","metadata":${JSON.stringify(listMeta)},"items":[`
  if (listed.items.length <= chunkCount || view.answers.media === 'yaml') {
    return mediaOf(view, 200, `${head}${listed.items.map(item => servedText(item)).join(',')}]}`, {})
  }
  return { kind: 'stream', code: 200, headers: jsonType, body: chunks(head, listed.items) }
}

/** Without waiting for anything, so synchronous; the driver takes any iterable. */
function chunks(head: string, items: readonly KeyValue[]): AsyncIterable<string> {
  let at = 0
  let text = head
  const next = (): IteratorResult<string> => {
    if (at > items.length) return { done: true, value: undefined }
    const part = items.slice(at, at + chunkCount).map(item => servedText(item))
    const separator = at > 0 && part.length > 0 ? ',' : ''
    const last = at + chunkCount >= items.length
    const value = `${text}${separator}${part.join(',')}${last ? ']}\n' : ''}`
    text = ''
    at = last ? items.length + 1 : at + chunkCount
    return { done: false, value }
  }
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(next()) }) }
}

export function warningHeaders(warnings: readonly string[]): Readonly<Record<string, string>> {
  if (warnings.length === 0) return {}
  const lines = warnings.slice(0, 32).map(text => {
    const safe = text
      .replace(/[^\x20-\x7e]/g, '?')
      .replace(/[\\"]/g, '\\$&')
      .slice(0, 1_024)
    return `299 - "${safe}"`
  })
  return { warning: lines.join(', ') }
}

export function failure(error: ApiError): HttpResponse {
  const status = statusOf(error)
  const retry = error.details?.retryAfterSeconds
  const headers = {
    ...(retry !== undefined && error.reason !== 'Timeout' && { 'retry-after': String(retry) }),
    ...(error.reason === 'Unauthorized' && { 'www-authenticate': 'Bearer realm="flotilla"' }),
  }
  const body = error instanceof ContinueExpired ? { ...status, metadata: { continue: error.continue } } : status
  return json(error.code, body, headers)
}
