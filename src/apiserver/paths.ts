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
import type { JsonObject } from '../api/schema.ts'
import type { HttpResponse } from '../world/http.ts'
import { json } from './answer.ts'
import { negotiateDiscovery } from './negotiate.ts'
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

/** undefined: not a path of discovery. */
export function discovery(served: readonly Kind[], path: string, accept: string | undefined): HttpResponse | undefined {
  if (path === '/api' || path === '/apis') {
    const form = negotiateDiscovery(accept)
    if (form === undefined) throw new ApiError('NotAcceptable', 'only application/json is given here')
    if (form === 'plain') return json(200, path === '/api' ? apiVersions() : apiGroupList(served))
    const type = `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`
    const body = JSON.stringify(aggregatedDiscovery(served, path === '/api', form))
    return json(200, body, { 'content-type': type, etag: etagOf(body), vary: 'Accept' })
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
  return `"${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}${body.length.toString(16)}"`
}
