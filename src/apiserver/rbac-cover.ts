// Whether rights contain other rights: nobody gives away what they do not hold themselves. Pure.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
// (upstream: k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go)
import type { PolicyRule } from '../api/types/rbac.ts'
import type { Identity } from '../world/http.ts'
import { aggregate, pathMatches } from './rbac.ts'

/** Those of `wanted` that no rule of `held` covers alone, each broken down to one verb on one resource or path. */
export function uncovered(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): readonly PolicyRule[] {
  return wanted.flatMap(broken).filter(small => !held.some(rule => covers(rule, small)))
}

/** One verb, group, resource and name each. A rule that gives nothing gives no parts. */
function broken(rule: PolicyRule): readonly PolicyRule[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule
  const parts: PolicyRule[] = []
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        const part = { verbs: [verb], apiGroups: [group], resources: [resource] }
        if (resourceNames.length === 0) parts.push(part)
        else parts.push(...resourceNames.map(name => ({ ...part, resourceNames: [name] })))
      }
    }
  }
  for (const path of nonResourceURLs) {
    parts.push(...verbs.map(verb => ({ verbs: [verb], nonResourceURLs: [path] })))
  }
  return parts
}

function covers(held: PolicyRule, part: PolicyRule): boolean {
  const has = (all: readonly string[] | undefined, some: readonly string[] = []) =>
    (all ?? []).includes('*') || some.every(one => (all ?? []).includes(one))
  if (!has(held.verbs, part.verbs)) return false
  const { nonResourceURLs: paths = [] } = part
  if (paths.length > 0) return paths.every(path => (held.nonResourceURLs ?? []).some(have => pathMatches(have, path)))
  const names = held.resourceNames ?? []
  const { resourceNames: wanted = [] } = part
  return (
    has(held.apiGroups, part.apiGroups) &&
    (part.resources ?? []).every(resource => resourceCovered(held.resources ?? [], resource)) &&
    (names.length === 0 || (wanted.length > 0 && wanted.every(name => names.includes(name))))
  )
}

function resourceCovered(held: readonly string[], resource: string): boolean {
  if (held.includes('*') || held.includes(resource)) return true
  const slash = resource.indexOf('/')
  return slash >= 0 && held.includes(`*${resource.slice(slash)}`)
}

/** What upstream says to whoever gives away more than they hold; undefined: they hold it all. */
export function escalation(
  identity: Identity,
  held: { readonly rules: readonly PolicyRule[]; readonly errors: readonly string[] },
  wanted: readonly PolicyRule[],
): string | undefined {
  const missing = uncovered(held.rules, wanted)
  if (missing.length === 0) return undefined
  const lines = [...new Set(compacted(missing).map(described))].toSorted()
  const groups = identity.groups.map(group => JSON.stringify(group)).join(' ')
  const message = `user "${identity.user}" (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${lines.join('\n')}`
  return held.errors.length === 0 ? message : `${message}; resolution errors: [${aggregate(held.errors)}]`
}

/** The verbs on one resource stand in one rule. */
function compacted(parts: readonly PolicyRule[]): readonly PolicyRule[] {
  const found = new Map<string, PolicyRule>()
  for (const part of parts) {
    const { verbs, ...on } = part
    const key = part.nonResourceURLs === undefined ? JSON.stringify(on) : JSON.stringify(part)
    const before = found.get(key)
    found.set(key, before === undefined ? part : { ...before, verbs: [...new Set([...before.verbs, ...verbs])] })
  }
  return [...found.values()]
}

function described(rule: PolicyRule): string {
  const parts: readonly [string, readonly string[] | undefined][] = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ]
  const shown = parts.flatMap(([name, values = []]) =>
    values.length === 0 ? [] : [`${name}:[${values.map(value => JSON.stringify(value)).join(' ')}]`],
  )
  return `{${shown.join(', ')}}`
}
