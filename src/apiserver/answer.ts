// From objects, lists, Statuses and errors to responses, in the form that was negotiated. Pure.

import { ApiError, notFound, statusOf } from '../api/error.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../api/kind.ts'
import { hasProtobuf } from '../api/protobuf.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import {
  columnsOf,
  type IncludeObject,
  type ListMetaOut,
  partialObjectMetadata,
  tableHead,
  tableRow,
  toTable,
} from '../api/table.ts'
import { yamlText } from '../api/yaml.ts'
import type { KeyValue } from '../kv/store.ts'
import { type Bytes, text } from '../lib/bytes.ts'
import { parseExact } from '../lib/json.ts'
import type { HttpResponse } from '../world/http.ts'
import { bodyOf, protobufOf, statusBytes } from './encode.ts'
import { ContinueExpired } from './list.ts'
import { type Answers, acceptable, contentTypeOf, negotiate, type Offers } from './negotiate.ts'
import type { Answer } from './operation.ts'
import { isTrue } from './route.ts'
import { objectOf, type Served, servedLine, servedText } from './stored.ts'

export type View = {
  readonly answers: Answers
  readonly includeObject: IncludeObject
  readonly nowMs: number
  /** JSON for people: indented. */
  readonly pretty: boolean
}

/** What can be made of the answers to requests for objects of this kind. */
export function offersOf(kind: Kind, stream = false): Offers {
  return { protobuf: hasProtobuf(kind), table: kind.stored || kind.readOnly === true || kind.kind === 'Scale', stream }
}

export function viewOf(
  headers: Readonly<Record<string, string | undefined>>,
  query: URLSearchParams,
  nowMs: number,
  offers: Offers,
): View {
  const answers = negotiate(headers['accept'], offers)
  if (answers === undefined) {
    throw new ApiError('NotAcceptable', `only the following media types are accepted: ${acceptable(offers)}`)
  }
  const include = query.get('includeObject') ?? ''
  if (
    answers.as === 'Table' &&
    include !== '' &&
    include !== 'None' &&
    include !== 'Metadata' &&
    include !== 'Object'
  ) {
    throw new ApiError(
      'BadRequest',
      `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(include.slice(0, 64))}: must be 'Metadata', 'Object', 'None', or empty`,
    )
  }
  return {
    answers,
    includeObject: include === 'None' || include === 'Object' ? include : 'Metadata',
    nowMs,
    pretty: isPretty(query.get('pretty') ?? '', headers['user-agent'] ?? ''),
  }
}

/** Browsers and the tools that people look at an API with get it indented, as upstream. */
function isPretty(asked: string, userAgent: string): boolean {
  return asked !== '' ? isTrue(asked) : /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent)
}

const jsonType = { 'content-type': 'application/json' }

export function json(code: number, body: Json | string, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { kind: 'whole', code, headers: { ...jsonType, ...headers }, body: `${text}\n` }
}

export function plain(code: number, body: string): HttpResponse {
  return { kind: 'whole', code, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

type Headers = Readonly<Record<string, string>>

/** One JSON value in the forms that it can be had in. */
type Forms = {
  /** Its text with the end of the line, as bytes where they are there. */
  readonly line: () => string | Bytes
  readonly text: () => string
  /** Undefined: it has no such form. */
  readonly protobuf: () => Bytes | undefined
}

function mediaOf(view: View, code: number, forms: Forms, headers: Headers): HttpResponse {
  const { media } = view.answers
  if (media === 'json' && !view.pretty) {
    return { kind: 'whole', code, headers: { ...jsonType, ...headers }, body: forms.line() }
  }
  const typed = { ...headers, 'content-type': contentTypeOf(media, false) }
  if (media === 'yaml') return { kind: 'whole', code, headers: typed, body: yamlText(parseExact(forms.text()) as Json) }
  const encoded = media === 'protobuf' ? forms.protobuf() : undefined
  if (encoded !== undefined) return { kind: 'whole', code, headers: typed, body: encoded }
  return json(code, view.pretty ? JSON.stringify(parseExact(forms.text()), null, 2) : forms.text(), headers)
}

function formsOfText(text: () => string, protobuf: Forms['protobuf']): Forms {
  return { line: () => `${text()}\n`, text, protobuf }
}

function formsOfLine(line: Bytes, protobuf: Forms['protobuf']): Forms {
  return { line: () => line, text: () => text(line.subarray(0, -1)), protobuf }
}

function formsOfStored(stored: Served, protobuf: Forms['protobuf']): Forms {
  return { line: () => servedLine(stored), text: () => servedText(stored), protobuf }
}

function objectAnswer(view: View, kind: Kind, code: number, object: JsonObject, headers: Headers): HttpResponse {
  const forms = formsOfText(
    () => JSON.stringify(object),
    () => protobufOf(kind, object),
  )
  return mediaOf(view, code, forms, headers)
}

export function respondStored(kind: Kind, stored: KeyValue, view: View): HttpResponse {
  if (view.answers.as === 'Object') {
    const forms = formsOfStored(stored, () => bodyOf(kind, stored))
    return mediaOf(view, 200, forms, {})
  }
  return objectAnswer(view, kind, 200, shaped(kind, objectOf(stored), view), {})
}

/** An answer of write.ts: an object of the kind, or a Status, a Scale, a list; what was stored of it, or its JSON, if there. */
export function respondObject(
  kind: Kind,
  code: number,
  object: Json,
  view: View,
  warnings: readonly string[] = [],
): HttpResponse {
  const value = object as JsonObject
  const isWhole = view.answers.as === 'Object' || value['kind'] !== kind.kind
  const shown = isWhole ? value : shaped(kind, object as unknown as KubeObject, view)
  return objectAnswer(view, kind, code, shown, warningHeaders(warnings))
}

/** Its object is made of what is served only when somebody wants another form of it. */
export function respondAnswer(kind: Kind, answer: Answer, view: View): HttpResponse {
  const { code, stored, line, warnings } = answer
  const protobuf = () => protobufOf(kind, answer.object as JsonObject)
  const forms = stored === undefined ? line && formsOfLine(line, protobuf) : formsOfStored(stored, protobuf)
  if (view.answers.as !== 'Object' || forms === undefined) {
    return respondObject(kind, code, answer.object, view, warnings)
  }
  return mediaOf(view, code, forms, warningHeaders(warnings))
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
  const parts = partsOf(kind, { resourceVersion: String(revision) }, view)
  const items = objects.map(object => parts.item(object))
  return objectAnswer(view, kind, 200, { ...parts.head, [parts.member]: items }, {})
}

function shaped(kind: Kind, object: KubeObject, view: View): JsonObject {
  const { answers, includeObject, nowMs } = view
  if (answers.as === 'Table') {
    return toTable(kind, [object], nowMs, {
      includeObject,
      version: answers.version,
      listMeta: { resourceVersion: object.metadata.resourceVersion },
    })
  }
  if (answers.as === 'PartialObjectMetadataList') {
    const message = `you requested PartialObjectMetadataList, but the requested object is not a list (*${kind.kind})`
    throw new ApiError('NotAcceptable', message)
  }
  return partialObjectMetadata(object, answers.as === 'PartialObjectMetadata' ? answers.version : 'v1')
}

/** A list in the form that was negotiated: all of it but its items, where these go, and how one of them looks. */
export type Parts = {
  readonly head: JsonObject
  readonly member: 'items' | 'rows'
  item(object: KubeObject): JsonObject
}

export function partsOf(kind: Kind, listMeta: ListMetaOut, view: View): Parts {
  const { answers, includeObject, nowMs } = view
  switch (answers.as) {
    case 'Object':
      return {
        head: {
          kind: kind.custom?.listKind ?? `${kind.kind}List`,
          apiVersion: apiVersionOf(kind),
          metadata: { ...listMeta },
        },
        member: 'items',
        item: object => object as unknown as JsonObject,
      }
    case 'Table': {
      const columns = columnsOf(kind)
      const options = { includeObject, version: answers.version, listMeta }
      return {
        head: tableHead(columns, options),
        member: 'rows',
        item: object => tableRow(columns, object, nowMs, options),
      }
    }
    case 'PartialObjectMetadataList': {
      const { version } = answers
      return {
        head: { kind: answers.as, apiVersion: `meta.k8s.io/${version}`, metadata: { ...listMeta } },
        member: 'items',
        item: object => partialObjectMetadata(object, version),
      }
    }
    case 'PartialObjectMetadata': {
      const message = `you requested PartialObjectMetadata, but the requested object is a list (*${kind.kind}List)`
      throw new ApiError('NotAcceptable', message)
    }
  }
}

const warningLengthMax = 1_024

export function warningHeaders(warnings: readonly string[]): Readonly<Record<string, string>> {
  if (warnings.length === 0) return {}
  const lines = warnings.slice(0, 32).map(text => {
    const safe = text
      .slice(0, warningLengthMax)
      .replace(/[^\x20-\x7e]/g, '?')
      .replace(/[\\"]/g, '\\$&')
    return `299 - "${safe}"`
  })
  return { warning: lines.join(', ') }
}

const anything: Offers = { protobuf: true, table: false, stream: false }

/** The Status of an error; in the media type that is asked for, when that can be told. */
export function failure(error: ApiError, accept?: string): HttpResponse {
  const retry = error.details?.retryAfterSeconds
  const headers = {
    ...(retry !== undefined && retry > 0 && { 'retry-after': String(retry) }),
    ...(error.reason === 'Unauthorized' && { 'www-authenticate': 'Bearer realm="flotilla"' }),
  }
  const status = statusOf(error)
  const body = error instanceof ContinueExpired ? { ...status, metadata: { continue: error.continue } } : status
  const media = negotiate(accept, anything)?.media
  if (media === 'protobuf' || media === 'yaml') {
    const typed = { ...headers, 'content-type': contentTypeOf(media, false) }
    return {
      kind: 'whole',
      code: error.code,
      headers: typed,
      body: media === 'yaml' ? yamlText(body) : statusBytes(body),
    }
  }
  return json(error.code, body, headers)
}
