// The paths that are no resources: discovery, version. Pure. Health is answered by run.ts, OpenAPI by openapi-paths.ts.
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  groupVersions,
} from '../api/discovery.ts'
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { encodeBody } from '../api/protobuf.ts'
import type { JsonObject, Schema } from '../api/schema.ts'
import {
  apiGroupDiscoveryList as apiGroupDiscoveryListSchema,
  apiGroupList as apiGroupListSchema,
  apiGroup as apiGroupSchema,
  apiResourceList as apiResourceListSchema,
  apiVersions as apiVersionsSchema,
} from '../api/types/discovery.ts'
import { yamlText } from '../api/yaml.ts'
import type { HttpResponse } from '../world/http.ts'
import { json } from './answer.ts'
import { acceptable, contentTypeOf, type Media, negotiateDiscovery, type Offers } from './negotiate.ts'
import { pathNotFound } from './route.ts'

export type Version = {
  readonly major: string
  readonly minor: string
  /** As in v1.33.0+flotilla-0.1.0. */
  readonly gitVersion: string
  readonly gitCommit: string
  readonly buildDate: string
  readonly platform: string
}

export function versionAnswer(version: Version): JsonObject {
  return {
    ...version,
    gitTreeState: 'clean',
    goVersion: 'none',
    compiler: 'node',
    emulationMajor: version.major,
    emulationMinor: version.minor,
    minCompatibilityMajor: version.major,
    minCompatibilityMinor: version.minor,
  }
}

const isRoot = (path: string): boolean => path === '/api' || path === '/apis'
const aggregatedType = (version: string): string => `g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`

/** What the client takes on a path of discovery, and how to ask for the same in JSON; undefined: not such a path. */
export function discoveryAsked(
  path: string,
  accept: string | undefined,
): { readonly media: Media; readonly accept: string } | undefined {
  const [, root] = path.split('/')
  if (root !== 'api' && root !== 'apis') return undefined
  const wanted = negotiateDiscovery(accept, isRoot(path))
  if (wanted === undefined) {
    throw new ApiError('NotAcceptable', `only the following media types are accepted: ${acceptable(inAnyMedia)}`)
  }
  const { form, media } = wanted
  return { media, accept: form === 'plain' ? 'application/json' : `application/json;${aggregatedType(form)}` }
}

const inAnyMedia: Offers = { protobuf: true, table: false, stream: false }

const described: Readonly<Record<string, Schema>> = {
  APIVersions: apiVersionsSchema,
  APIGroupList: apiGroupListSchema,
  APIGroup: apiGroupSchema,
  APIResourceList: apiResourceListSchema,
  APIGroupDiscoveryList: apiGroupDiscoveryListSchema,
}

/** An answer of discovery in JSON as the client takes it. */
export function discoveryIn(media: Media, answer: HttpResponse): HttpResponse {
  if (answer.kind !== 'whole') return answer
  const { 'content-type': type = '', etag, ...headers } = answer.headers
  const vary = { ...headers, vary: 'Accept' }
  if (media === 'json') return { ...answer, headers: { ...vary, 'content-type': type, ...(etag && { etag }) } }
  const object = JSON.parse(String(answer.body)) as JsonObject
  const schema = described[String(object['kind'])]
  if (media === 'protobuf' && schema === undefined) return answer
  const typed = {
    ...vary,
    'content-type': type.replace('application/json', contentTypeOf(media, false)),
    ...(etag && { etag: `${etag.slice(0, -1)}-${media}"` }),
  }
  const body =
    schema !== undefined && media === 'protobuf'
      ? encodeBody(schema, { apiVersion: 'v1', ...object })
      : yamlText(object)
  return { ...answer, headers: typed, body }
}

/** In JSON; undefined: not a path of discovery. */
export function discovery(served: readonly Kind[], path: string, accept: string | undefined): HttpResponse | undefined {
  if (isRoot(path)) {
    const form = negotiateDiscovery(accept, true)?.form ?? 'plain'
    if (form === 'plain') return json(200, path === '/api' ? apiVersions() : apiGroupList(served))
    const type = `application/json;${aggregatedType(form)}`
    const body = JSON.stringify(aggregatedDiscovery(served, path === '/api', form))
    return json(200, body, { 'content-type': type, etag: etagOf(body) })
  }
  const [, root, group = '', version] = path.split('/')
  if (root === 'api' && group !== '' && version === undefined) return found(apiResourceList(served, '', group))
  if (root !== 'apis' || group === '') return undefined
  return found(version === undefined ? apiGroup(served, group) : apiResourceList(served, group, version))
}

function found(object: JsonObject | undefined): HttpResponse {
  if (object === undefined) throw new ApiError('NotFound', pathNotFound)
  return json(200, object)
}

/** GET /. */
export const rootPaths = (served: readonly Kind[]): JsonObject => ({
  paths: [
    '/.well-known/openid-configuration',
    '/api',
    ...groupVersions(served).map(({ group, version }) =>
      group === '' ? `/api/${version}` : `/apis/${group}/${version}`,
    ),
    '/apis',
    '/healthz',
    '/livez',
    '/openapi/v2',
    '/openapi/v3',
    '/openid/v1/jwks',
    '/readyz',
    '/version',
  ],
})

/** Names a body: the same text has the same name, another text another (FNV-1a over 53 bits is enough for a cache). */
export function etagOf(body: string): string {
  let high = 0xcbf29ce4
  let low = 0x84222325
  for (let i = 0; i < body.length; i++) {
    low = Math.imul(low ^ body.charCodeAt(i), 0x01000193) >>> 0
    high = Math.imul(high ^ low, 0x01000193) >>> 0
  }
  const hash = `${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}${body.length.toString(16)}`
  return `"${hash.toUpperCase()}"`
}
