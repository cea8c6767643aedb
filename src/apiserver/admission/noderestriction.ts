// What an agent may not change of what it may write: it says how its node and its pods are, never what runs where. After
// kubernetes plugin/pkg/admission/noderestriction; the authorizer (authorize.ts) has let through only its own objects, and
// this is a second door, also for the agents that ask in the same process.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
import { peerAnnotation } from '../../api/annotations.ts'
import { equalJson } from '../../api/equal.ts'
import { ApiError } from '../../api/error.ts'
import { type KubeObject, resourceOf } from '../../api/kind.ts'
import type { Node } from '../../api/kinds/node.ts'
import { type Pod, pod as podKind } from '../../api/kinds/pod.ts'
import { sortedBy } from '../../lib/sorted.ts'
import type { Identity } from '../../world/http.ts'
import { nodeOf } from '../authorize.ts'
import type { Change, Plugin } from './admission.ts'

export const nodeRestriction: Plugin = {
  name: 'NodeRestriction',
  handles: ({ identity }) => nodeOf(identity) !== undefined,
  reads: ({ kind, subresource, namespace, name }) =>
    kind === podKind && subresource === 'eviction'
      ? [{ kind: podKind, ...(namespace !== undefined && { namespace }), name }]
      : [],
  validate(change, seen) {
    const node = nodeOf(change.identity) ?? ''
    const { kind, subresource, namespace, name, verb, old, object } = change
    switch (resourceOf(kind)) {
      case 'nodes':
        if (name !== node) throw refusal(change, `node "${node}" is not allowed to modify node "${name}"`)
        checkNode(change, node, object as Node | undefined, old as Node | undefined)
        return undefined
      case 'pods':
        if (subresource === 'eviction') checkOwn(change, node, seen.one<Pod>(podKind, namespace, name), 'evict pods')
        else if (verb === 'CREATE' && subresource === undefined) {
          throw refusal(
            change,
            `pod does not have "kubernetes.io/config.mirror" annotation, node "${node}" can only create mirror pods, and there are none here`,
          )
        } else if (verb === 'DELETE') checkOwn(change, node, old as Pod, 'delete pods')
        else if (subresource === 'status') checkStatus(change, node, object as Pod, old as Pod)
        return undefined
      case 'leases.coordination.k8s.io':
        if (namespace !== 'kube-node-lease' || name !== node) {
          throw refusal(change, 'can only access node lease with the same name as the requesting node')
        }
        return undefined
      case 'csinodes.storage.k8s.io':
        if (name !== node) throw refusal(change, 'can only access CSINode with the same name as the requesting node')
        return undefined
      case 'resourceslices.resource.k8s.io': {
        const { spec } = (object ?? old) as KubeObject & { readonly spec?: { readonly nodeName?: string } }
        if (spec?.nodeName !== node)
          throw refusal(change, 'can only create ResourceSlice with the same NodeName as the requesting node')
        return undefined
      }
      default:
        return undefined
    }
  },
}

function refusal({ kind, name }: Change, why: string): ApiError {
  const details = { name, ...(kind.group !== '' && { group: kind.group }), kind: kind.plural }
  return new ApiError('Forbidden', `${resourceOf(kind)} "${name}" is forbidden: ${why}`, details)
}

/** Labels, taints and owners steer which pods come here and when the node goes; its peer is who belongs to the cluster. */
function checkNode(change: Change, node: string, next: Node | undefined, old: Node | undefined): void {
  if (next === undefined) return
  const wrong = forbiddenLabels(next.metadata.labels, old?.metadata.labels)
  if (wrong.length > 0) {
    const list = wrong.join(', ')
    const why = old === undefined ? `set the following labels: ${list}` : `modify labels: ${list}`
    throw refusal(change, `${old === undefined ? `node "${node}" ` : ''}is not allowed to ${why}`)
  }
  if (!equalJson(next.metadata.ownerReferences ?? [], old?.metadata.ownerReferences ?? [])) {
    throw refusal(change, `node "${node}" is not allowed to modify ownerReferences`)
  }
  if (old === undefined) return
  if (!equalJson(next.spec.taints ?? [], old.spec.taints ?? [])) {
    throw refusal(change, `node "${node}" is not allowed to modify taints`)
  }
  if (next.metadata.annotations?.[peerAnnotation] !== old.metadata.annotations?.[peerAnnotation]) {
    throw refusal(change, `node "${node}" is not allowed to modify the annotation ${peerAnnotation}`)
  }
}

const agentLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
])

const isUnder = (domain: string, root: string): boolean => domain === root || domain.endsWith(`.${root}`)

/** Of those that differ. */
function forbiddenLabels(next: Labels = {}, old: Labels = {}): readonly string[] {
  const changed = [...new Set([...Object.keys(next), ...Object.keys(old)])].filter(key => next[key] !== old[key])
  return sortedBy(changed.filter(isForbidden), key => key)
}

type Labels = Readonly<Record<string, string>> | undefined

function isForbidden(label: string): boolean {
  const domain = label.includes('/') ? label.slice(0, label.indexOf('/')) : ''
  if (isUnder(domain, 'node-restriction.kubernetes.io')) return true
  const isReserved = isUnder(domain, 'kubernetes.io') || isUnder(domain, 'k8s.io')
  const isAgents = isUnder(domain, 'kubelet.kubernetes.io') || isUnder(domain, 'node.kubernetes.io')
  return isReserved && !isAgents && !agentLabels.has(label)
}

function checkOwn(change: Change, node: string, pod: Pod | undefined, what: string): void {
  if (pod !== undefined && pod.spec.nodeName !== node) {
    throw refusal(change, `node "${node}" can only ${what} with spec.nodeName set to itself`)
  }
}

function checkStatus(change: Change, node: string, next: Pod, old: Pod): void {
  checkOwn(change, node, old, 'update pod status for pods')
  // With labels an agent could make its pods answer for a Service of others.
  if (!equalJson(next.metadata.labels ?? {}, old.metadata.labels ?? {})) {
    throw refusal(change, `node "${node}" cannot update labels through pod status`)
  }
  if (!equalJson(next.status.resourceClaimStatuses ?? [], old.status.resourceClaimStatuses ?? [])) {
    throw refusal(change, `node "${node}" cannot update resource claim statues`)
  }
}

/** What a token is to be bound to, as the body of a TokenRequest says it. */
export type BoundTo = { readonly kind?: string; readonly name?: string; readonly uid?: string }

/** The only tokens that an agent gets are bound to a pod that runs on its node. `pod`: the one of that name, as stored. */
export function checkToken(identity: Identity, account: string, bound: BoundTo, pod: Pod | undefined): void {
  const node = nodeOf(identity)
  if (node === undefined) return
  const { kind = '', name = '', uid = '' } = bound
  const no = (why: string) =>
    new ApiError('Forbidden', `serviceaccounts "${account}" is forbidden: ${why}`, {
      name: account,
      kind: 'serviceaccounts',
    })
  if (kind !== 'Pod' || name === '') throw no('node requested token not bound to a pod')
  if (uid === '') throw no('node requested token with a pod binding without a uid')
  if (pod?.spec.nodeName !== node) throw no('node requested token bound to a pod scheduled on a different node')
  if ((pod.spec.serviceAccountName ?? 'default') !== account) {
    throw no('node requested token bound to a pod that runs as another service account')
  }
}
