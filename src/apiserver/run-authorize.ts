// Asks who may do what (authorize.ts), with the roles and the objects that this peer's replica holds.
import { type PersistentVolume, persistentVolume } from '../api/kinds/persistentvolume.ts'
import type { Pod } from '../api/kinds/pod.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import type { PolicyRule } from '../api/types/rbac.ts'
import { prefixEnd, type Store } from '../kv/store.ts'
import type { Identity } from '../world/http.ts'
import { type Attributes, authorizeByRoles, authorizeNode, type Decision, isMaster, nodeOf } from './authorize.ts'
import { usedBy, volumeNeeds } from './node-use.ts'
import { type ResourceAttributes, rulesFor } from './rbac.ts'
import type { RbacView } from './run-rbac.ts'
import { keyOf, objectOf, prefixOf } from './stored.ts'

export interface Authorizer {
  decide(identity: Identity, asked: Attributes): Decided | Promise<Decided>
  /** All rules of somebody in a namespace ('': the cluster's alone). */
  rulesFor(identity: Identity, namespace: string): Promise<Rules>
}

/** `why`: who said yes, or what kept them from it; may be ''. */
export type Decided = { readonly allowed: boolean; readonly why: string }

export type Rules = {
  readonly rules: readonly PolicyRule[]
  readonly errors: readonly string[]
  /** There are rights that no list of rules can say. */
  readonly incomplete: boolean
}

const yes: Decided = { allowed: true, why: '' }

export function openAuthorizer(store: Store, roles: RbacView): Authorizer {
  async function byRight(identity: Identity, asked: Attributes): Promise<Decided> {
    const node = nodeOf(identity)
    const byNode = node === undefined ? '' : await looked(store, node, asked, authorizeNode(node, asked))
    if (byNode === undefined) return yes
    const decision = authorizeByRoles(await roles.current(), identity, asked)
    if (decision.kind === 'yes') return { allowed: true, why: decision.why }
    const said = [byNode, decision.kind === 'no' ? decision.why : ''].filter(why => why !== '')
    return { allowed: false, why: said.join('\n') }
  }

  return {
    // Before there are any roles, and when none can be known, somebody must be able to help.
    decide: (identity, asked) => (isMaster(identity) ? yes : byRight(identity, asked)),
    async rulesFor(identity, namespace) {
      return { ...rulesFor(await roles.current(), identity, namespace), incomplete: nodeOf(identity) !== undefined }
    },
  }
}

/** undefined: yes. Otherwise what keeps the node authorizer from it. */
async function looked(store: Store, node: string, asked: Attributes, decision: Decision): Promise<string | undefined> {
  if (decision.kind === 'yes') return undefined
  if (decision.kind === 'no') return decision.why
  const has = asked.kind === 'resource' && (await related(store, node, asked, decision.kind))
  return has ? undefined : `no relationship found between node '${node}' and this object`
}

async function related(store: Store, node: string, asked: ResourceAttributes, how: 'ifOn' | 'ifUsedOn') {
  const { group, resource, namespace, name } = asked
  if (name === '') return false
  if (how === 'ifOn') {
    const scope = namespace === '' ? 'Cluster' : 'Namespaced'
    const found = await store.get(keyOf({ group, plural: resource, scope }, namespace, name))
    const { spec } = (found === undefined ? {} : objectOf(found)) as { spec?: { nodeName?: string } }
    return spec?.nodeName === node
  }
  if (resource === 'secrets') {
    return (await used(store, node, namespace, resource, name)) || (await usedByVolume(store, node, namespace, name))
  }
  if (resource !== 'persistentvolumes') return await used(store, node, namespace, resource, name)
  const found = await store.get(keyOf({ group, plural: resource, scope: 'Cluster' }, undefined, name))
  type Volume = { spec?: { claimRef?: { namespace?: string; name?: string } } }
  const { claimRef } = ((found === undefined ? {} : objectOf(found)) as Volume).spec ?? {}
  const { namespace: home = '', name: claim = '' } = claimRef ?? {}
  return home !== '' && (await used(store, node, home, 'persistentvolumeclaims', claim))
}

async function used(store: Store, node: string, namespace: string, resource: string, name: string): Promise<boolean> {
  if (namespace === '') return false
  const prefix = prefixOf(podKind, namespace)
  const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
  return items.some(item => {
    const pod = objectOf<Pod>(item)
    return pod.spec.nodeName === node && usedBy(pod, resource, name)
  })
}

/** A secret of a volume that is claimed for a pod on the node. */
async function usedByVolume(store: Store, node: string, namespace: string, name: string): Promise<boolean> {
  const prefix = prefixOf(persistentVolume)
  const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
  const volumes = items.map(item => objectOf<PersistentVolume>(item)).filter(one => volumeNeeds(one, namespace, name))
  for (const { spec } of volumes) {
    const { namespace: home = '', name: claim = '' } = spec.claimRef ?? {}
    if (await used(store, node, home, 'persistentvolumeclaims', claim)) return true
  }
  return false
}
