// The rules that a ClusterRole gathers from others by their labels. Pure. Kept by controllers/clusterrole.ts, and made for
// the first time with the default roles. After kubernetes pkg/controller/clusterroleaggregation.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
import { selects } from '../lib/selector.ts'
import { sortedBy } from '../lib/sorted.ts'
import { equalJson } from './equal.ts'
import type { ClusterRole } from './kinds/clusterrole.ts'
import type { PolicyRule } from './types/rbac.ts'

type Aggregating = Pick<ClusterRole, 'aggregationRule'> & { readonly metadata: { readonly name: string } }
type Giving = Pick<ClusterRole, 'rules'> & Pick<ClusterRole, 'metadata'>

/** In order of the selectors, and of the names that each selects; each rule once. */
export function aggregatedRules(role: Aggregating, all: Iterable<Giving>): readonly PolicyRule[] {
  const others = sortedBy(all, ({ metadata }) => metadata.name).filter(one => one.metadata.name !== role.metadata.name)
  const rules: PolicyRule[] = []
  for (const selector of role.aggregationRule?.clusterRoleSelectors ?? []) {
    for (const other of others.filter(({ metadata }) => selects(selector, metadata.labels))) {
      for (const rule of other.rules ?? []) {
        if (!rules.some(known => equalJson(known, rule))) rules.push(rule)
      }
    }
  }
  return rules
}
