// Who may do what. Pure. Three are asked, and the first who says yes decides:
//   system:masters           everything, also before there are any roles
//   the node authorizer      what an agent needs to run the pods of its own node, and nothing of others
//   RBAC                     what roles and bindings say (rbac.ts)
// Nobody says no: what nobody grants is forbidden. run-authorize.ts looks at the objects that a node's rights depend on.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/
import { ApiError } from '../api/error.ts'
import type { Identity } from '../world/http.ts'
import { type Attributes, evaluate, type Rbac, type ResourceAttributes } from './rbac.ts'

export type { Attributes } from './rbac.ts'

export type Decision =
  | { readonly kind: 'yes'; readonly why: string }
  | { readonly kind: 'no'; readonly why: string }
  /** Only if the object's spec.nodeName is this node: the caller looks. */
  | { readonly kind: 'ifOn'; readonly node: string }
  /** Only if a pod on this node uses the object: the caller looks. */
  | { readonly kind: 'ifUsedOn'; readonly node: string }

export const masters = 'system:masters'
export const nodes = 'system:nodes'
export const authenticated = 'system:authenticated'
export const unauthenticated = 'system:unauthenticated'
export const anonymous = 'system:anonymous'
const nodePrefix = 'system:node:'

export function isMaster(identity: Identity): boolean {
  return identity.groups.includes(masters)
}

/** The node for which an agent speaks; undefined: it is no agent. */
export function nodeOf(identity: Identity): string | undefined {
  const isAgent = identity.groups.includes(nodes) && identity.user.startsWith(nodePrefix)
  return isAgent ? identity.user.slice(nodePrefix.length) : undefined
}

/** What roles say; asked when the node authorizer has not said yes. */
export function authorizeByRoles(rbac: Rbac, identity: Identity, asked: Attributes): Decision {
  const { allowed, why } = evaluate(rbac, identity, asked)
  return { kind: allowed ? 'yes' : 'no', why }
}

const yes: Decision = { kind: 'yes', why: '' }
const no = (why: string): Decision => ({ kind: 'no', why })
const reading = ['get', 'list', 'watch']

/**
 * As the node authorizer upstream (plugin/pkg/auth/authorizer/node), but that a node is never made by its own agent: the
 * list of Nodes says which peers belong to the cluster, and who was removed must not come back by its own word.
 * An agent here is kubelet and proxy in one, so it reads what system:node-proxier does, too.
 */
export function authorizeNode(node: string, asked: Attributes): Decision {
  if (asked.kind === 'path') return no('')
  const { verb, group, resource, subresource, namespace, name } = asked
  const what = group === '' ? resource : `${resource}.${group}`
  const reads = reading.includes(verb) && subresource === ''
  const changes = verb === 'update' || verb === 'patch'
  switch (what) {
    case 'nodes':
      if (reads) return yes
      if (!changes || !['', 'status'].includes(subresource)) return no(`node '${node}' cannot ${verb} nodes`)
      return name === node ? yes : no(`node '${node}' cannot ${verb} other nodes`)
    case 'pods':
      return authorizePod(node, asked)
    case 'services':
    case 'endpoints':
    case 'endpointslices.discovery.k8s.io':
    case 'namespaces':
    case 'csidrivers.storage.k8s.io':
    case 'runtimeclasses.node.k8s.io':
      return reads ? yes : no('')
    case 'configmaps':
    case 'secrets':
      return authorizeNamed(node, asked)
    case 'persistentvolumeclaims':
      if (subresource === 'status' && (verb === 'get' || changes)) return { kind: 'ifUsedOn', node }
      return authorizeGet(asked, { kind: 'ifUsedOn', node })
    case 'persistentvolumes':
    case 'resourceclaims.resource.k8s.io':
      return authorizeGet(asked, { kind: 'ifUsedOn', node })
    case 'volumeattachments.storage.k8s.io':
      return authorizeGet(asked, { kind: 'ifOn', node })
    case 'serviceaccounts':
      if (verb === 'create' && subresource === 'token') return { kind: 'ifUsedOn', node }
      return authorizeGet(asked, { kind: 'ifUsedOn', node })
    case 'leases.coordination.k8s.io':
      return authorizeLease(node, asked)
    case 'csinodes.storage.k8s.io':
      if (subresource !== '' || !['get', 'create', 'update', 'patch', 'delete'].includes(verb)) {
        return no('can only get, create, update, patch, or delete a CSINode')
      }
      // Its name is in the body when it is made; admission/noderestriction.ts looks there.
      return name === node || (verb === 'create' && name === '')
        ? yes
        : no('can only access CSINode with the same name as the requesting node')
    case 'resourceslices.resource.k8s.io':
      return authorizeSlice(node, asked)
    case 'events':
    case 'events.events.k8s.io':
      return ['create', 'update', 'patch'].includes(verb) && subresource === '' ? yes : no('')
    case 'certificatesigningrequests.certificates.k8s.io':
      return (verb === 'create' || reads) && subresource === '' ? yes : no('')
    case 'tokenreviews.authentication.k8s.io':
    case 'subjectaccessreviews.authorization.k8s.io':
      return verb === 'create' ? yes : no('')
    case 'localsubjectaccessreviews.authorization.k8s.io':
      return verb === 'create' && namespace !== '' ? yes : no('')
    default:
      return no('')
  }
}

/** Its own pods, one by one, or those that a selector says are its own. It makes none: there are no static pods here. */
function authorizePod(node: string, asked: ResourceAttributes): Decision {
  const { verb, subresource, name } = asked
  const own: Decision = { kind: 'ifOn', node }
  switch (subresource) {
    case '':
      if (verb === 'get' || verb === 'delete') return own
      if (verb !== 'list' && verb !== 'watch') return no('')
      if (selectsNode(asked.fieldSelector, 'spec.nodeName', node)) return yes
      return name === '' ? no(`can only list/watch pods with spec.nodeName field selector`) : own
    case 'status':
      return verb === 'update' || verb === 'patch' ? own : no('')
    case 'eviction':
      return verb === 'create' ? own : no('')
    default:
      return no('')
  }
}

function selectsNode(selector: string | undefined, field: string, node: string): boolean {
  return (selector ?? '').split(',').some(term => {
    const [key, value] = term.split(/==?/)
    return key === field && value === node
  })
}

function authorizeNamed(node: string, { verb, subresource, namespace, name }: ResourceAttributes): Decision {
  if (!reading.includes(verb)) return no('can only read resources of this type')
  if (subresource !== '') return no('cannot read subresource')
  if (namespace === '') return no('can only read namespaced object of this type')
  return name === '' ? no('No Object name found') : { kind: 'ifUsedOn', node }
}

function authorizeGet({ verb, subresource, name }: ResourceAttributes, otherwise: Decision): Decision {
  if (verb !== 'get' || name === '') return no('can only get individual resources of this type')
  return subresource === '' ? otherwise : no('cannot get subresource')
}

function authorizeLease(node: string, { verb, subresource, namespace, name }: ResourceAttributes): Decision {
  if (subresource !== '' || !['get', 'create', 'update', 'patch', 'delete'].includes(verb)) {
    return no('can only get, create, update, patch, or delete a node lease')
  }
  if (namespace !== 'kube-node-lease') return no('can only access leases in the "kube-node-lease" system namespace')
  return name === node || (verb === 'create' && name === '')
    ? yes
    : no('can only access node lease with the same name as the requesting node')
}

function authorizeSlice(node: string, asked: ResourceAttributes): Decision {
  const { verb, subresource } = asked
  if (subresource !== '') return no('cannot access subresource')
  switch (verb) {
    case 'create':
      return yes
    case 'get':
    case 'update':
    case 'patch':
    case 'delete':
      return { kind: 'ifOn', node }
    case 'list':
    case 'watch':
    case 'deletecollection':
      return selectsNode(asked.fieldSelector, 'spec.nodeName', node)
        ? yes
        : no('can only list/watch/deletecollection resourceslices with spec.nodeName field selector')
    default:
      return no(
        'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
      )
  }
}

/** `why`: of those who were asked, what kept them from a yes. */
/** The right that an apply needs besides when there is nothing yet. */
export function createAsked(place: {
  readonly group: string
  readonly resource: string
  readonly namespace?: string
  readonly name?: string
}): Attributes {
  const { group, resource, name = '' } = place
  const namespace = place.namespace ?? (group === '' && resource === 'namespaces' ? name : '')
  return { kind: 'resource', verb: 'create', group, resource, subresource: '', namespace, name }
}

export function forbidden(identity: Identity, asked: Attributes, why = ''): ApiError {
  const because = why === '' ? '' : `: ${why}`
  if (asked.kind === 'path') {
    const message = `forbidden: User "${identity.user}" cannot ${asked.verb} path "${asked.path}"${because}`
    return new ApiError('Forbidden', message, {})
  }
  const { verb, group, resource, subresource, namespace, name } = asked
  const whole = subresource === '' ? resource : `${resource}/${subresource}`
  const title = group === '' ? resource : `${resource}.${group}`
  const scope = namespace === '' ? ' at the cluster scope' : ` in the namespace "${namespace}"`
  const message = `${title}${name === '' ? '' : ` "${name}"`} is forbidden: User "${identity.user}" cannot ${verb} resource "${whole}" in API group "${group}"${scope}${because}`
  return new ApiError('Forbidden', message, {
    ...(name !== '' && { name }),
    ...(group !== '' && { group }),
    kind: resource,
  })
}
