// Who may do what. Pure. RBAC objects are not among the kinds yet, so this is deliberately little:
//   system:masters           everything, also speaking for others (impersonation)
//   system:node:<name> in system:nodes    what an agent needs to run the pods of its own node, and nothing of others
//   everybody who is known   discovery, version, OpenAPI, and reviews of what they themselves may do
// Service accounts are only known, so they may read discovery and no object, until somebody can grant them more.
import { ApiError } from '../api/error.ts'
import type { Identity } from '../world/http.ts'

export type Attributes =
  | {
      readonly kind: 'resource'
      readonly verb: string
      readonly group: string
      readonly resource: string
      readonly subresource: string
      readonly namespace: string
      readonly name: string
    }
  | { readonly kind: 'path'; readonly verb: string; readonly path: string }

export type Decision =
  | { readonly kind: 'yes'; readonly why: string }
  | { readonly kind: 'no' }
  /** Only if the pod runs on this node, or a pod on this node uses the object: the caller looks. */
  | { readonly kind: 'ifPodOn' | 'ifUsedOn'; readonly node: string }

export const masters = 'system:masters'
export const nodes = 'system:nodes'
export const authenticated = 'system:authenticated'
const nodePrefix = 'system:node:'

const openPaths = /^\/(|api|apis|version|healthz|livez|readyz|openapi)(\/.*)?$/
const ownReviews = ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews']

export function isMaster(identity: Identity): boolean {
  return identity.groups.includes(masters)
}

export function authorize(identity: Identity, asked: Attributes): Decision {
  if (isMaster(identity)) return { kind: 'yes', why: 'member of system:masters' }
  if (!identity.groups.includes(authenticated)) return { kind: 'no' }
  if (asked.kind === 'path') {
    const reads = asked.verb === 'get' || asked.verb === 'head'
    return reads && openPaths.test(asked.path) ? { kind: 'yes', why: 'discovery' } : { kind: 'no' }
  }
  if (
    asked.verb === 'create' &&
    ownReviews.includes(asked.resource) &&
    /^auth(entication|orization)\.k8s\.io$/.test(asked.group)
  ) {
    return { kind: 'yes', why: 'reviews of oneself' }
  }
  if (identity.groups.includes(nodes) && identity.user.startsWith(nodePrefix)) {
    return authorizeNode(identity.user.slice(nodePrefix.length), asked)
  }
  return { kind: 'no' }
}

const yes: Decision = { kind: 'yes', why: 'agent of the node' }
const no: Decision = { kind: 'no' }
const reading = ['get', 'list', 'watch']

/** As the node authorizer and NodeRestriction upstream: an agent speaks for its own node and for the pods bound to it. */
function authorizeNode(node: string, asked: Extract<Attributes, { kind: 'resource' }>): Decision {
  const { verb, group, resource, subresource, namespace, name } = asked
  const what = group === '' ? resource : `${resource}.${group}`
  const reads = reading.includes(verb)
  switch (what) {
    case 'nodes':
      if (reads) return subresource === '' ? yes : no
      if (verb === 'create') return subresource === '' && name === node ? yes : no
      return ['update', 'patch'].includes(verb) && ['', 'status'].includes(subresource) && name === node ? yes : no
    case 'pods':
      if (reads) return subresource === '' ? yes : no
      if (['update', 'patch'].includes(verb) && subresource === 'status') return { kind: 'ifPodOn', node }
      if (verb === 'delete' && subresource === '') return { kind: 'ifPodOn', node }
      return verb === 'create' && subresource === 'eviction' ? { kind: 'ifPodOn', node } : no
    case 'services':
    case 'endpoints':
    case 'endpointslices.discovery.k8s.io':
    case 'namespaces':
      return reads && subresource === '' ? yes : no
    case 'configmaps':
    case 'secrets':
      return verb === 'get' && name !== '' ? { kind: 'ifUsedOn', node } : no
    case 'serviceaccounts':
      if (verb === 'get') return { kind: 'ifUsedOn', node }
      return verb === 'create' && subresource === 'token' ? { kind: 'ifUsedOn', node } : no
    case 'leases.coordination.k8s.io':
      return namespace === 'kube-node-lease' && name === node && verb !== 'delete' ? yes : no
    case 'events':
      return ['create', 'update', 'patch'].includes(verb) ? yes : no
    default:
      return no
  }
}

export function forbidden(identity: Identity, asked: Attributes): ApiError {
  if (asked.kind === 'path') {
    return new ApiError('Forbidden', `forbidden: User "${identity.user}" cannot ${asked.verb} path "${asked.path}"`)
  }
  const { verb, group, resource, subresource, namespace, name } = asked
  const whole = subresource === '' ? resource : `${resource}/${subresource}`
  const title = group === '' ? resource : `${resource}.${group}`
  const scope = namespace === '' ? ' at the cluster scope' : ` in the namespace "${namespace}"`
  const message = `${title}${name === '' ? '' : ` "${name}"`} is forbidden: User "${identity.user}" cannot ${verb} resource "${whole}" in API group "${group}"${scope}`
  return new ApiError('Forbidden', message, {
    ...(name !== '' && { name }),
    ...(group !== '' && { group }),
    kind: resource,
  })
}
