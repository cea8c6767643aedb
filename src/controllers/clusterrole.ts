// Writes into each ClusterRole with an aggregationRule the rules of those that it selects, so that admin, edit and view also
// give what comes with new kinds. After kubernetes pkg/controller/clusterroleaggregation.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
import { aggregatedRules } from '../api/clusterroles.ts'
import { type ClusterRole, clusterRole } from '../api/kinds/clusterrole.ts'
import { isDeleting } from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { type Change, defineSweep, type Plan, update } from './controller.ts'

export const clusterRoleController = defineSweep({
  name: 'clusterrole-aggregation',
  delayMs: 100,
  reads: { roles: clusterRole },
  // All at once: one that gathers is gathered by others in turn, and a change of labels moves rules between several.
  reconcile({ roles }): Plan {
    const all = roles.list()
    return { changes: all.flatMap(role => changeOf(role, all)) }
  },
})

function changeOf(role: ClusterRole, all: readonly ClusterRole[]): readonly Change[] {
  if (role.aggregationRule === undefined || isDeleting(role)) return []
  const rules = aggregatedRules(role, all)
  return sameJson(rules, role.rules ?? []) ? [] : [update(clusterRole, { ...role, rules })]
}
