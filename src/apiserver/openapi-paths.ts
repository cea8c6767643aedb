// GET /openapi/v3, /openapi/v3/<group version> and /openapi/v2. Pure; each document is made once for a list of kinds, when it
// is first asked for. The index names each document with its hash, and what is asked for by its hash never changes.
import type { GroupVersion } from '../api/discovery.ts'
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { documentsV3, openApiV3 } from '../api/openapi.ts'
import { encodeOpenApiV2, openApiV2 } from '../api/openapi-v2.ts'
import { encodeOpenApiV3 } from '../api/openapi-v3-binary.ts'
import type { JsonObject } from '../api/schema.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { HttpResponse } from '../world/http.ts'
import { json } from './answer.ts'
import { parseAccept } from './negotiate.ts'
import { etagOf } from './paths.ts'
import { pathNotFound } from './route.ts'

/** What is asked of a path of OpenAPI. */
export type DocumentAsked = {
  readonly path: string
  readonly accept: string | undefined
  /** Of the query; empty: whatever there is now. */
  readonly hash: string
  readonly nowMs: number
}

export type DocumentV3 = { readonly text: string; readonly etag: string; binary?: Bytes }
type Made = DocumentV3
type Documents = {
  readonly groups: ReadonlyMap<string, GroupVersion>
  readonly made: Map<string, Made>
  binary: { readonly bytes: Bytes; readonly etag: string } | undefined
}
const known = new WeakMap<readonly Kind[], Documents>()

/** What was made last: of it, a group whose kinds are the same ones is not made again when another changes. */
let latest: Documents | undefined

function unchanged(groups: Documents['groups']): Map<string, Made> {
  const isSame = (name: string, of: GroupVersion) => {
    const before = latest?.groups.get(name)?.kinds
    return before?.length === of.kinds.length && of.kinds.every((kind, i) => kind === before[i])
  }
  const kept = [...groups].filter(([name, of]) => isSame(name, of))
  return new Map(
    kept.flatMap(([name]) => {
      const made = latest?.made.get(name)
      return made === undefined ? [] : [[name, made] as const]
    }),
  )
}

function documentsOf(served: readonly Kind[]): Documents {
  const before = known.get(served)
  if (before !== undefined) return before
  const groups = documentsV3(served)
  const documents: Documents = { groups, made: unchanged(groups), binary: undefined }
  known.set(served, documents)
  latest = documents
  return documents
}

const protobufV2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'
/** What clients ask for, though an at sign may not stand in a media type: they cannot parse it in an answer. */
const protobufAsked = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

function once({ made }: Documents, name: string, make: () => JsonObject): Made {
  const before = made.get(name)
  if (before) return before
  const text = JSON.stringify(make())
  const fresh: Made = { text, etag: etagOf(text) }
  made.set(name, fresh)
  return fresh
}

const hashOf = (etag: string): string => etag.replaceAll('"', '')
const jsonType = 'application/json'
const protobufV3 = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf'
const typesV3: ReadonlyMap<string, string> = new Map([
  [jsonType, jsonType],
  [protobufV3, protobufV3],
  ['application/com.github.proto-openapi.spec.v3@v1.0+protobuf', protobufV3],
  ['*/*', jsonType],
  ['application/*', jsonType],
])
const yearMs = 365 * 24 * 3_600_000

/** Where the document `name` (apis/apps/v1) is found for good. */
export function urlOfV3(name: string, { etag }: Pick<DocumentV3, 'etag'>): string {
  return `/openapi/v3/${name}?hash=${hashOf(etag)}`
}

/** By its hash a document may be kept for ever; asked for by another one, it says where it is now. */
export function answerV3(name: string, made: DocumentV3, { accept, hash, nowMs }: DocumentAsked): HttpResponse {
  const type = parseAccept(accept).flatMap(({ type }) => typesV3.get(type) ?? [])[0]
  if (type === undefined) throw new ApiError('NotAcceptable', `${protobufV3} and ${jsonType} are given here`)
  const { etag } = made
  const vary = 'Accept'
  if (hash !== '' && hash !== hashOf(etag)) {
    return { kind: 'whole', code: 301, headers: { location: urlOfV3(name, made), vary }, body: '' }
  }
  const forGood = { 'cache-control': 'public, immutable', expires: new Date(nowMs + yearMs).toUTCString() }
  const headers = { etag, vary, ...(hash !== '' && forGood) }
  if (type === jsonType) return json(200, made.text, headers)
  made.binary ??= encodeOpenApiV3(JSON.parse(made.text) as JsonObject)
  return { kind: 'whole', code: 200, headers: { 'content-type': type, ...headers }, body: made.binary }
}

export function indexV3(paths: JsonObject): HttpResponse {
  const text = JSON.stringify({ paths })
  return json(200, text, { etag: etagOf(text) })
}

/** undefined: not a path of OpenAPI. */
export function openApi(served: readonly Kind[], asked: DocumentAsked, gitVersion: string): HttpResponse | undefined {
  const { path, accept } = asked
  if (!path.startsWith('/openapi/')) return undefined
  const documents = documentsOf(served)
  const v3 = (name: string, of: GroupVersion) => once(documents, name, () => openApiV3(of, gitVersion))
  if (path === '/openapi/v3') {
    const paths = [...documents.groups].map(([name, of]) => [name, { serverRelativeURL: urlOfV3(name, v3(name, of)) }])
    return indexV3(Object.fromEntries(paths))
  }
  if (path.startsWith('/openapi/v3/')) {
    const name = path.slice('/openapi/v3/'.length)
    const of = documents.groups.get(name)
    if (of === undefined) throw new ApiError('NotFound', pathNotFound)
    return answerV3(name, v3(name, of), asked)
  }
  if (path !== '/openapi/v2') return undefined
  const { text, etag } = once(documents, 'v2', () => openApiV2(served, gitVersion))
  const wanted = parseAccept(accept).map(({ type }) => type)
  const offers = wanted.find(type =>
    [protobufV2, protobufAsked, 'application/json', '*/*', 'application/*'].includes(type),
  )
  if (offers === undefined) throw new ApiError('NotAcceptable', `${protobufV2} and application/json are given here`)
  if (offers !== protobufV2 && offers !== protobufAsked) return json(200, text, { etag })
  documents.binary ??= { bytes: encodeOpenApiV2(JSON.parse(text) as JsonObject), etag: `${etag.slice(0, -1)}-pb"` }
  return {
    kind: 'whole',
    code: 200,
    headers: { 'content-type': protobufV2, etag: documents.binary.etag },
    body: documents.binary.bytes,
  }
}
