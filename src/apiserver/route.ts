// From a method and a path to what is asked. Pure; every path segment is decoded once, here, and a segment that could
// mean another place ('..', an encoded slash, an empty one) is refused rather than cleaned (reliability-security.md A1).
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
import { ApiError } from '../api/error.ts'

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

export type ResourceRoute = {
  readonly kind: 'resource'
  readonly verb: Verb
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly namespace?: string
  readonly name?: string
  readonly subresource?: string
  /** What follows a subresource, as it was sent: 'a/b%20c'. Our own have that behind proxy alone. */
  readonly rest?: string
}

/** A path that is no resource: discovery, health, OpenAPI. Decoded, without a slash at the end. */
export type PathRoute = { readonly kind: 'path'; readonly verb: string; readonly path: string }

export type Route = ResourceRoute | PathRoute

const lengthMax = 4_096
const noQuery = new URLSearchParams()

type Asking = { readonly method: string; readonly path: string; readonly query: string }
type Parsed = { readonly asked: Route; readonly query: URLSearchParams }
let last: { readonly of: Asking; readonly parsed: Parsed } | undefined

/** What a request asks for. The last one is remembered: who counts a request asks, and then who answers it. */
export function routeOf({ method, path, query }: Asking): Parsed {
  if (last?.of.path === path && last.of.query === query && last.of.method === method) return last.parsed
  const parameters = query === '' ? noQuery : new URLSearchParams(query)
  const parsed = { asked: route(method, path, parameters), query: parameters }
  last = { of: { method, path, query }, parsed }
  return parsed
}

export function route(method: string, path: string, query: URLSearchParams): Route {
  if (path.length > lengthMax) throw new ApiError('BadRequest', 'the path is too long')
  const raw = path.split('/').slice(1)
  if (raw.at(-1) === '' && raw.length > 1) raw.pop()
  const [root, ...rest] = raw
  if (root === 'api' && rest.length >= 2) {
    return resource(method, '', decoded(rest[0]), rest.slice(1), query)
  }
  if (root === 'apis' && rest.length >= 3) {
    return resource(method, decoded(rest[0]), decoded(rest[1]), rest.slice(2), query)
  }
  const clean = raw.map((segment, i) => (i === 0 && segment === '' ? '' : decoded(segment)))
  return { kind: 'path', verb: method.toLowerCase(), path: `/${clean.join('/')}` }
}

/** Most segments: nothing is encoded in them, and they are no '.' or '..'. */
const plain = /^[\w-][\w.-]*$/

function decoded(segment: string | undefined): string {
  if (segment !== undefined && plain.test(segment)) return segment
  let text: string
  try {
    text = decodeURIComponent(segment ?? '')
  } catch (error) {
    throw new ApiError('BadRequest', 'the path is not well encoded', undefined, { cause: error })
  }
  if (text === '' || text === '.' || text === '..' || /[/\\\0]/.test(text)) {
    throw new ApiError('BadRequest', `the path holds ${JSON.stringify(text)}, which is no name`)
  }
  return text
}

function resource(
  method: string,
  group: string,
  version: string,
  segments: readonly string[],
  query: URLSearchParams,
): ResourceRoute {
  let watching = isTrue(query.get('watch'))
  let at = 0
  // The old way to ask for a watch: /api/v1/watch/namespaces/x/pods.
  if (decoded(segments[0]) === 'watch' && segments.length > 1) {
    watching = true
    at = 1
  }
  let namespace: string | undefined
  // /namespaces/x is the object x; /namespaces/x/pods is what lies in it; /namespaces/x/status is a subresource.
  if (decoded(segments[at]) === 'namespaces' && segments.length >= at + 3) {
    const third = decoded(segments[at + 2])
    const ofNamespace = group === '' && (third === 'status' || third === 'finalize') && segments.length === at + 3
    if (!ofNamespace) {
      namespace = decoded(segments[at + 1])
      at += 2
    }
  }
  const plural = decoded(segments[at])
  const name = segments.length > at + 1 ? decoded(segments[at + 1]) : undefined
  const subresource = segments.length > at + 2 ? decoded(segments[at + 2]) : undefined
  const proxied = segments.slice(at + 3)
  // Servers behind this one may have longer paths; of this one's own groups only the first is sure here.
  if (proxied.length > 0 && subresource !== 'proxy' && group === '') throw new ApiError('NotFound', pathNotFound)
  for (const segment of proxied) if (segment !== '') decoded(segment)
  return {
    kind: 'resource',
    verb: verbOf(method, name !== undefined, watching),
    group,
    version,
    resource: plural,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
    ...((subresource === 'proxy' || proxied.length > 0) && { rest: proxied.join('/') }),
  }
}

export const methodNotAllowed = 'the server does not allow this method on the requested resource'
export const pathNotFound = 'the server could not find the requested resource'

function verbOf(method: string, named: boolean, watching: boolean): Verb {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return watching ? 'watch' : named ? 'get' : 'list'
    case 'POST':
      return 'create'
    case 'PUT':
    case 'PATCH':
      if (!named) throw new ApiError('MethodNotAllowed', methodNotAllowed)
      return method === 'PUT' ? 'update' : 'patch'
    case 'DELETE':
      return named ? 'delete' : 'deletecollection'
    default:
      throw new ApiError('MethodNotAllowed', methodNotAllowed)
  }
}

/** As Go's strconv.ParseBool reads query parameters; a parameter without a value is true. */
export function isTrue(value: string | null): boolean {
  return value !== null && ['', '1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)
}
