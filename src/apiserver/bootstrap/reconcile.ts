// What is wanting of a default role or binding that is there already. Pure. What people added stays, what they took away
// comes back, and one whose annotation rbac.authorization.kubernetes.io/autoupdate says false is left alone.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation
import { aggregatedRules } from '../../api/clusterroles.ts'
import { equalJson } from '../../api/equal.ts'
import type { KubeObject } from '../../api/kind.ts'
import type { ClusterRole } from '../../api/kinds/clusterrole.ts'
import type { Draft } from '../../api/schema.ts'
import type { PolicyRule, RoleRef, Subject } from '../../api/types/rbac.ts'
import { uncovered } from '../rbac-cover.ts'
import { autoUpdate, type Named } from './policy.ts'

type RoleLike = KubeObject & Pick<ClusterRole, 'rules' | 'aggregationRule'>
type BindingLike = KubeObject & { readonly roleRef: RoleRef; readonly subjects?: readonly Subject[] }

export type Step<T> =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'update'; readonly object: T }
  /** Its roleRef is another, which no update can change. */
  | { readonly kind: 'replace' }

const nothing = { kind: 'nothing' } as const

export function reconcileRole<T extends RoleLike>(found: T, wanted: Draft<T> & Named): Step<T> {
  if (isProtected(found)) return nothing
  const { rules = [], aggregationRule } = wanted as Named & {
    readonly rules?: readonly PolicyRule[]
    readonly aggregationRule?: ClusterRole['aggregationRule']
  }
  // The rules of one that gathers are the controller's.
  const missing = aggregationRule === undefined ? uncovered(found.rules ?? [], rules) : []
  const selectors = found.aggregationRule?.clusterRoleSelectors ?? []
  const added = (aggregationRule?.clusterRoleSelectors ?? []).filter(one => !selectors.some(has => equalJson(has, one)))
  return changed(found, {
    ...withMeta(found, wanted),
    ...(missing.length > 0 && { rules: [...(found.rules ?? []), ...missing] }),
    ...(added.length > 0 && { aggregationRule: { clusterRoleSelectors: [...selectors, ...added] } }),
  })
}

export function reconcileBinding<T extends BindingLike>(found: T, wanted: Draft<T> & Named): Step<T> {
  if (isProtected(found)) return nothing
  const { subjects = [], roleRef } = wanted as Named & Pick<BindingLike, 'subjects' | 'roleRef'>
  if (!equalJson(found.roleRef, roleRef)) return { kind: 'replace' }
  const has = found.subjects ?? []
  const missing = subjects.filter(subject => !has.some(one => equalJson(one, subject)))
  return changed(found, {
    ...withMeta(found, wanted),
    ...(missing.length > 0 && { subjects: [...has, ...missing] }),
  })
}

function isProtected({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[autoUpdate] === 'false'
}

function withMeta<T extends KubeObject>(found: T, { metadata }: Named): T {
  const labels = { ...metadata.labels, ...found.metadata.labels }
  const annotations = { ...metadata.annotations, ...found.metadata.annotations }
  return { ...found, metadata: { ...found.metadata, labels, annotations } }
}

function changed<T extends KubeObject>(found: T, next: T): Step<T> {
  return equalJson(found, next) ? nothing : { kind: 'update', object: next }
}

/** The roles to make, those that gather with what they gather of these: nobody has to wait for the controller. */
export function filled(wanted: readonly (Draft<ClusterRole> & Named)[]): readonly (Draft<ClusterRole> & Named)[] {
  let roles = wanted as unknown as readonly ClusterRole[]
  // view is gathered by edit, and edit by admin.
  for (let depth = 0; depth < 3; depth++) {
    roles = roles.map(role => (role.aggregationRule ? { ...role, rules: aggregatedRules(role, roles) } : role))
  }
  return roles as unknown as readonly (Draft<ClusterRole> & Named)[]
}
