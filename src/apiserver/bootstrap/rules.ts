// The notation of the default roles: lists are words with a space between them. Pure.
import type { Subject } from '../../api/types/rbac.ts'
import { type PolicyRule, rbacGroup } from '../../api/types/rbac.ts'

export const read = 'get list watch'
export const write = 'create update patch delete deletecollection'

/** The core group among others, which has no name of its own. */
export const core = '""'

const words = (text: string): readonly string[] => text.split(' ').filter(word => word !== '')

export function rule(verbs: string, groups: string, resources: string, names = ''): PolicyRule {
  const apiGroups = groups === '' ? [''] : words(groups).map(group => (group === core ? '' : group))
  return {
    verbs: words(verbs).toSorted(),
    apiGroups: apiGroups.toSorted(),
    resources: words(resources).toSorted(),
    ...(names !== '' && { resourceNames: words(names).toSorted() }),
  }
}

export function paths(...nonResourceURLs: readonly string[]): PolicyRule {
  return { verbs: ['get'], nonResourceURLs: nonResourceURLs.toSorted() }
}

export const events: PolicyRule = rule('create update patch', `${core} events.k8s.io`, 'events')

export const user = (name: string): Subject => ({ kind: 'User', apiGroup: rbacGroup, name })
export const group = (name: string): Subject => ({ kind: 'Group', apiGroup: rbacGroup, name })
export const account = (name: string, namespace = 'kube-system'): Subject => ({
  kind: 'ServiceAccount',
  name,
  namespace,
})
