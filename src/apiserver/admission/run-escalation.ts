// Nobody gives away rights that they do not hold: who writes a role must hold its rules or the verb escalate on it, who
// binds one must hold its rules or the verb bind on it. Upstream does this in the storage of roles and bindings
// (pkg/registry/rbac/*/policybased), so it is asked last, and masters are not asked.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
import { equalJson } from '../../api/equal.ts'
import { ApiError } from '../../api/error.ts'
import { type KubeObject, resourceOf } from '../../api/kind.ts'
import type { ClusterRole } from '../../api/kinds/clusterrole.ts'
import type { RoleBinding } from '../../api/kinds/rolebinding.ts'
import { type PolicyRule, rbacGroup } from '../../api/types/rbac.ts'
import { isMaster } from '../authorize.ts'
import { type Rbac, type ResourceAttributes, rulesFor } from '../rbac.ts'
import { escalation } from '../rbac-cover.ts'
import type { Authorizer } from '../run-authorize.ts'
import type { RbacView } from '../run-rbac.ts'
import type { Change, Hook } from './admission.ts'

const plurals = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings']

/** Whoever has all this may collect any rules there are, and come to be. */
const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

export function escalationHook(authorizer: Authorizer, roles: RbacView): Hook {
  return {
    name: 'RBACEscalation',
    handles: ({ kind, verb, identity, subresource }) =>
      kind.group === rbacGroup &&
      plurals.includes(kind.plural) &&
      subresource === undefined &&
      (verb === 'CREATE' || verb === 'UPDATE') &&
      !isMaster(identity),
    async validate(change) {
      if (change.object === undefined || onlyForGarbage(change.object, change.old)) return undefined
      const asked = needed(change, change.object)
      if ((await authorizer.decide(change.identity, asked)).allowed) return undefined
      check(change, change.object, await roles.current())
      return undefined
    },
  }
}

/** The verb that lets somebody write what they do not hold. */
function needed({ kind, namespace = '', verb, name }: Change, object: KubeObject): ResourceAttributes {
  const about = { kind: 'resource', group: rbacGroup, subresource: '', namespace } as const
  if (isRole(kind.plural)) {
    // As in the authorization of the request itself, one that is to be made has no name yet.
    return { ...about, verb: 'escalate', resource: kind.plural, name: verb === 'CREATE' ? '' : name }
  }
  const { roleRef } = object as RoleBinding
  const resource = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles'
  return { ...about, verb: 'bind', resource, name: roleRef.name }
}

const isRole = (plural: string): boolean => plural === 'roles' || plural === 'clusterroles'

function check(change: Change, object: KubeObject, rbac: Rbac): void {
  const { kind, namespace = '', identity, old } = change
  const held = rulesFor(rbac, identity, namespace)
  if (isRole(kind.plural)) {
    const { rules = [], aggregationRule } = object as ClusterRole
    const why = escalation(identity, held, rules)
    if (why !== undefined) throw refusal(change, why)
    const aggregates = aggregationRule !== undefined || (old as ClusterRole | undefined)?.aggregationRule !== undefined
    if (aggregates && escalation(identity, held, everything) !== undefined) {
      throw refusal(change, 'must have cluster-admin privileges to use an aggregationRule')
    }
    return
  }
  const { roleRef } = object as RoleBinding
  const rules = rbac.rulesOf(roleRef, namespace)
  if (rules instanceof Error) throw new ApiError('NotFound', rules.message, { name: roleRef.name, group: rbacGroup })
  const why = escalation(identity, held, rules)
  if (why !== undefined) throw refusal(change, why)
}

function refusal({ kind, name }: Change, why: string): ApiError {
  const message = `${resourceOf(kind)} "${name}" is forbidden: ${why}`
  return new ApiError('Forbidden', message, { name, group: kind.group, kind: kind.plural })
}

/** The garbage collector takes owners and finalizers off what it could not have made. */
function onlyForGarbage(object: KubeObject, old: KubeObject | undefined): boolean {
  return old !== undefined && equalJson(withoutGarbage(object), withoutGarbage(old))
}

function withoutGarbage(object: KubeObject): unknown {
  const { ownerReferences, finalizers, managedFields, resourceVersion, ...metadata } = object.metadata
  return { ...object, metadata }
}
