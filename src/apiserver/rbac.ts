// Who has which rights by roles and bindings. Pure. `compile` makes an index by subject of all roles and bindings, once
// for each change of any of them; a question then looks only at what its own user and groups are bound to.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/ (upstream: plugin/pkg/auth/authorizer/rbac)
import type { ClusterRole } from '../api/kinds/clusterrole.ts'
import type { ClusterRoleBinding } from '../api/kinds/clusterrolebinding.ts'
import type { Role } from '../api/kinds/role.ts'
import type { RoleBinding } from '../api/kinds/rolebinding.ts'
import { type PolicyRule, type RoleRef, rbacGroup, type Subject } from '../api/types/rbac.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { Identity } from '../world/http.ts'

export type Attributes =
  | {
      readonly kind: 'resource'
      readonly verb: string
      readonly group: string
      readonly resource: string
      readonly subresource: string
      /** '': the cluster. */
      readonly namespace: string
      /** '': of no single object. */
      readonly name: string
      /** Of a list or a watch, as it was sent. */
      readonly fieldSelector?: string
    }
  | { readonly kind: 'path'; readonly verb: string; readonly path: string }

export type ResourceAttributes = Extract<Attributes, { kind: 'resource' }>

export type RbacObjects = {
  readonly roles: Iterable<Role>
  readonly roleBindings: Iterable<RoleBinding>
  readonly clusterRoles: Iterable<ClusterRole>
  readonly clusterRoleBindings: Iterable<ClusterRoleBinding>
}

/** What one binding gives one subject. */
type Grant = {
  /** ClusterRoleBinding "x" of ClusterRole "y" to User "z" */
  readonly source: string
  /** An Error says that the role is not there. */
  readonly rules: readonly PolicyRule[] | Error
}

type BySubject = ReadonlyMap<string, readonly Grant[]>

export type Rbac = {
  readonly everywhere: BySubject
  /** By namespace: what its RoleBindings give. */
  readonly within: ReadonlyMap<string, BySubject>
  /** `namespace`: of the binding that refers; '' for one of the cluster. An Error says that there is no such role. */
  rulesOf(ref: Pick<RoleRef, 'kind' | 'name'>, namespace: string): readonly PolicyRule[] | Error
}

export type Verdict =
  | { readonly allowed: true; readonly why: string }
  /** `why`: roles that were looked for and are not there; mostly ''. */
  | { readonly allowed: false; readonly why: string }

export function compile(objects: RbacObjects): Rbac {
  const clusterRoles = new Map<string, ClusterRole>()
  for (const role of objects.clusterRoles) clusterRoles.set(role.metadata.name, role)
  const roles = new Map<string, Role>()
  for (const role of objects.roles) roles.set(`${role.metadata.namespace}/${role.metadata.name}`, role)

  const rulesOf: Rbac['rulesOf'] = ({ kind, name }, namespace) => {
    if (kind !== 'ClusterRole' && kind !== 'Role') return new Error(`unsupported role reference kind: "${kind}"`)
    const found = kind === 'ClusterRole' ? clusterRoles.get(name) : roles.get(`${namespace}/${name}`)
    return found === undefined
      ? new Error(`${kind.toLowerCase()}.${rbacGroup} "${name}" not found`)
      : (found.rules ?? [])
  }

  const everywhere = new Map<string, Grant[]>()
  const within = new Map<string, Map<string, Grant[]>>()
  for (const binding of sortedBy(objects.clusterRoleBindings, ({ metadata }) => metadata.name)) {
    grant(everywhere, binding, 'ClusterRoleBinding', '', rulesOf)
  }
  for (const binding of sortedBy(objects.roleBindings, ({ metadata }) => metadata.name)) {
    const { namespace = '' } = binding.metadata
    const here = within.get(namespace) ?? new Map<string, Grant[]>()
    within.set(namespace, here)
    grant(here, binding, 'RoleBinding', namespace, rulesOf)
  }
  return { everywhere, within, rulesOf }
}

function grant(
  into: Map<string, Grant[]>,
  binding: RoleBinding | ClusterRoleBinding,
  kind: string,
  namespace: string,
  rulesOf: Rbac['rulesOf'],
): void {
  const { metadata, roleRef, subjects = [] } = binding
  const rules = rulesOf(roleRef, namespace)
  const place = namespace === '' ? metadata.name : `${metadata.name}/${namespace}`
  const seen = new Set<string>()
  for (const subject of subjects) {
    const key = keyOfSubject(subject, namespace)
    if (key === undefined || seen.has(key)) continue
    seen.add(key)
    const source = `${kind} "${place}" of ${roleRef.kind} "${roleRef.name}" to ${described(subject, namespace)}`
    const others = into.get(key)
    if (others) others.push({ source, rules })
    else into.set(key, [{ source, rules }])
  }
}

const keyOfUser = (name: string): string => `u:${name}`
const keyOfGroup = (name: string): string => `g:${name}`

/** undefined: nobody. A service account without a namespace is one of the binding's. */
function keyOfSubject({ kind, name, namespace = '' }: Subject, bindingNamespace: string): string | undefined {
  switch (kind) {
    case 'User':
      return keyOfUser(name)
    case 'Group':
      return keyOfGroup(name)
    case 'ServiceAccount': {
      const home = namespace === '' ? bindingNamespace : namespace
      return home === '' ? undefined : keyOfUser(`system:serviceaccount:${home}:${name}`)
    }
    default:
      return undefined
  }
}

function described({ kind, name, namespace = '' }: Subject, bindingNamespace: string): string {
  if (kind !== 'ServiceAccount') return `${kind} "${name}"`
  return `${kind} "${name}/${namespace === '' ? bindingNamespace : namespace}"`
}

/** Grants of the user first, then of the groups in their order; those of the cluster before those of the namespace. */
function* grantsOf(rbac: Rbac, identity: Identity, namespace: string): Generator<Grant> {
  const keys = [keyOfUser(identity.user), ...identity.groups.map(keyOfGroup)]
  const tables = [rbac.everywhere, ...(namespace === '' ? [] : [rbac.within.get(namespace)])]
  for (const table of tables) {
    if (table === undefined) continue
    for (const key of keys) yield* table.get(key) ?? []
  }
}

export function evaluate(rbac: Rbac, identity: Identity, asked: Attributes): Verdict {
  const missing = new Set<string>()
  const namespace = asked.kind === 'resource' ? asked.namespace : ''
  for (const { source, rules } of grantsOf(rbac, identity, namespace)) {
    if (rules instanceof Error) missing.add(rules.message)
    else if (rules.some(rule => ruleAllows(rule, asked))) {
      return { allowed: true, why: `RBAC: allowed by ${source}` }
    }
  }
  return { allowed: false, why: missing.size === 0 ? '' : `RBAC: ${aggregate([...missing])}` }
}

/** All rules of somebody in a namespace ('': the cluster's alone), and what kept some from being known. */
export function rulesFor(
  rbac: Rbac,
  identity: Identity,
  namespace: string,
): { readonly rules: readonly PolicyRule[]; readonly errors: readonly string[] } {
  const rules: PolicyRule[] = []
  const errors: string[] = []
  for (const granted of grantsOf(rbac, identity, namespace)) {
    if (granted.rules instanceof Error) errors.push(granted.rules.message)
    else rules.push(...granted.rules)
  }
  return { rules, errors }
}

/** Several errors in one line, as upstream's Aggregate says them. */
export function aggregate(errors: readonly string[]): string {
  const unique = [...new Set(errors)]
  return unique.length === 1 ? (unique[0] ?? '') : `[${unique.join(', ')}]`
}

export function ruleAllows(rule: PolicyRule, asked: Attributes): boolean {
  if (!matches(rule.verbs, asked.verb)) return false
  if (asked.kind === 'path') return (rule.nonResourceURLs ?? []).some(pattern => pathMatches(pattern, asked.path))
  const { resourceNames = [] } = rule
  return (
    matches(rule.apiGroups ?? [], asked.group) &&
    (rule.resources ?? []).some(resource => resourceMatches(resource, asked.resource, asked.subresource)) &&
    (resourceNames.length === 0 || resourceNames.includes(asked.name))
  )
}

function matches(allowed: readonly string[], wanted: string): boolean {
  return allowed.includes('*') || allowed.includes(wanted)
}

/** '*', 'pods', 'pods/log', or one subresource of everything: '*\/scale'. */
function resourceMatches(allowed: string, resource: string, subresource: string): boolean {
  if (allowed === '*') return true
  if (subresource === '') return allowed === resource
  return allowed === `${resource}/${subresource}` || allowed === `*/${subresource}`
}

/** '*', a path, or what begins like it: '/healthz/*'. */
export function pathMatches(allowed: string, path: string): boolean {
  if (allowed === '*' || allowed === path) return true
  return allowed.endsWith('*') && path.startsWith(allowed.replace(/\*+$/, ''))
}
