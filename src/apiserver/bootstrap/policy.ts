// The roles and bindings that every cluster has. Facts of Kubernetes 1.33.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
// (upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go and namespace_policy.go)

import type { ClusterRole } from '../../api/kinds/clusterrole.ts'
import type { ClusterRoleBinding } from '../../api/kinds/clusterrolebinding.ts'
import type { Role } from '../../api/kinds/role.ts'
import type { RoleBinding } from '../../api/kinds/rolebinding.ts'
import type { Draft } from '../../api/schema.ts'
import { type PolicyRule, rbacGroup, type Subject } from '../../api/types/rbac.ts'
import { controllerRules, namespaceRoles } from './controllers.ts'
import { account, events, group, paths, read, rule, user, write } from './rules.ts'

export const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate'
const aggregateTo = 'rbac.authorization.k8s.io/aggregate-to-'

const health = ['/livez', '/readyz', '/healthz']
const version = ['/version', '/version/']
const certificates = 'certificates.k8s.io'
const storage = 'storage.k8s.io'

const workloads =
  'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale'
const oldWorkloads =
  'daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale'

const adminRules: readonly PolicyRule[] = [
  rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
  rule(`${read} ${write}`, rbacGroup, 'roles rolebindings'),
]

const editRules: readonly PolicyRule[] = [
  rule(read, '', 'pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy'),
  rule('impersonate', '', 'serviceaccounts'),
  rule(write, '', 'pods pods/attach pods/proxy pods/exec pods/portforward'),
  rule('create', '', 'pods/eviction'),
  rule(
    write,
    '',
    'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
  ),
  rule('create', '', 'serviceaccounts/token'),
  rule(write, 'apps', workloads),
  rule(write, 'autoscaling', 'horizontalpodautoscalers'),
  rule(write, 'batch', 'cronjobs jobs'),
  rule(write, 'extensions', oldWorkloads),
  rule(write, 'policy', 'poddisruptionbudgets'),
  rule(write, 'networking.k8s.io', 'ingresses networkpolicies'),
  rule(`${read} ${write}`, 'coordination.k8s.io', 'leases'),
]

const viewRules: readonly PolicyRule[] = [
  rule(
    read,
    '',
    'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
  ),
  rule(
    read,
    '',
    'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
  ),
  rule(read, '', 'namespaces'),
  rule(read, 'discovery.k8s.io', 'endpointslices'),
  rule(
    read,
    'apps',
    'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
  ),
  rule(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
  rule(read, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
  rule(
    read,
    'extensions',
    'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale',
  ),
  rule(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
  rule(read, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
]

const nodeRules: readonly PolicyRule[] = [
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews localsubjectaccessreviews'),
  rule(read, '', 'services'),
  rule(`create ${read}`, '', 'nodes'),
  rule('update patch', '', 'nodes/status'),
  rule('update patch', '', 'nodes'),
  events,
  rule(read, '', 'pods'),
  rule('create delete', '', 'pods'),
  rule('update patch', '', 'pods/status'),
  rule('create', '', 'pods/eviction'),
  rule(read, '', 'secrets configmaps'),
  rule('get', '', 'persistentvolumeclaims persistentvolumes'),
  rule('get', '', 'endpoints'),
  rule(`create ${read}`, certificates, 'certificatesigningrequests'),
  rule('get create update patch delete', 'coordination.k8s.io', 'leases'),
  rule('get', storage, 'volumeattachments'),
  rule('get update patch', '', 'persistentvolumeclaims/status'),
  rule('create', '', 'serviceaccounts/token'),
  rule(read, storage, 'csidrivers'),
  rule('get create update patch delete', storage, 'csinodes'),
  rule(read, 'node.k8s.io', 'runtimeclasses'),
]

const reviews: readonly PolicyRule[] = [
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
]

const managerRules: readonly PolicyRule[] = [
  events,
  rule('create', 'coordination.k8s.io', 'leases'),
  rule('get update', 'coordination.k8s.io', 'leases', 'kube-controller-manager'),
  rule('create', '', 'secrets serviceaccounts'),
  rule('delete', '', 'secrets'),
  rule('get', '', 'namespaces secrets serviceaccounts configmaps'),
  rule('update', '', 'secrets serviceaccounts'),
  ...reviews,
  rule('list watch', '*', '*'),
  rule('create', '', 'serviceaccounts/token'),
]

const schedulerRules: readonly PolicyRule[] = [
  events,
  rule('create', 'coordination.k8s.io', 'leases'),
  rule('get update', 'coordination.k8s.io', 'leases', 'kube-scheduler'),
  rule(read, '', 'nodes'),
  rule(`${read} delete`, '', 'pods'),
  rule('create', '', 'pods/binding bindings'),
  rule('patch update', '', 'pods/status'),
  rule(read, '', 'services replicationcontrollers'),
  rule(read, 'apps extensions', 'replicasets'),
  rule(read, 'apps', 'statefulsets'),
  rule(read, 'policy', 'poddisruptionbudgets'),
  rule(read, '', 'persistentvolumeclaims persistentvolumes'),
  ...reviews,
  rule(read, storage, 'csinodes'),
  rule(read, '', 'namespaces'),
  rule(read, storage, 'csidrivers'),
  rule(read, storage, 'csistoragecapacities'),
]

/** By name; the three that only gather stand below. */
const clusterRules: Readonly<Record<string, readonly PolicyRule[]>> = {
  'cluster-admin': [rule('*', '*', '*'), { verbs: ['*'], nonResourceURLs: ['*'] }],
  'system:discovery': [paths(...health, ...version, '/openapi', '/openapi/*', '/api', '/api/*', '/apis', '/apis/*')],
  'system:monitoring': [paths('/metrics', '/metrics/slis', ...health, '/livez/*', '/readyz/*', '/healthz/*')],
  'system:basic-user': [
    rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
    rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
  ],
  'system:public-info-viewer': [paths(...health, ...version)],
  'system:aggregate-to-admin': adminRules,
  'system:aggregate-to-edit': editRules,
  'system:aggregate-to-view': viewRules,
  'system:node': nodeRules,
  'system:node-problem-detector': [rule('get', '', 'nodes'), rule('patch', '', 'nodes/status'), events],
  'system:kubelet-api-admin': [
    rule(read, '', 'nodes'),
    rule('proxy', '', 'nodes'),
    rule('*', '', 'nodes/proxy nodes/metrics nodes/stats nodes/log nodes/configz nodes/healthz nodes/pods'),
  ],
  'system:node-bootstrapper': [rule(`create ${read}`, certificates, 'certificatesigningrequests')],
  'system:auth-delegator': reviews,
  'system:kube-aggregator': [rule(read, '', 'services endpoints'), rule(read, 'discovery.k8s.io', 'endpointslices')],
  'system:kube-controller-manager': managerRules,
  'system:kube-dns': [rule('list watch', '', 'endpoints services')],
  'system:persistent-volume-provisioner': [
    rule(`${read} create delete`, '', 'persistentvolumes'),
    rule(`${read} update`, '', 'persistentvolumeclaims'),
    rule(read, storage, 'storageclasses'),
    rule('watch', '', 'events'),
    events,
  ],
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': [
    rule('create', certificates, 'certificatesigningrequests/nodeclient'),
  ],
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': [
    rule('create', certificates, 'certificatesigningrequests/selfnodeclient'),
  ],
  'system:volume-scheduler': [
    rule(`${read} update patch`, '', 'persistentvolumes'),
    rule(read, storage, 'storageclasses'),
    rule(`${read} update patch`, '', 'persistentvolumeclaims'),
  ],
  'system:certificates.k8s.io:legacy-unknown-approver': approver('legacy-unknown'),
  'system:certificates.k8s.io:kubelet-serving-approver': approver('kubelet-serving'),
  'system:certificates.k8s.io:kube-apiserver-client-approver': approver('kube-apiserver-client'),
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': approver('kube-apiserver-client-kubelet'),
  'system:service-account-issuer-discovery': [paths('/.well-known/openid-configuration', '/openid/v1/jwks')],
  'system:node-proxier': [
    rule('list watch', '', 'services endpoints'),
    rule(read, '', 'nodes'),
    events,
    rule('list watch', 'discovery.k8s.io', 'endpointslices'),
    rule('list watch', 'networking.k8s.io', 'servicecidrs'),
  ],
  'system:kube-scheduler': schedulerRules,
}

function approver(signer: string): readonly PolicyRule[] {
  return [rule('approve', certificates, 'signers', `kubernetes.io/${signer}`)]
}

/** Who has the role of the same name. A binding without anybody is there so that nobody is in it. */
const clusterSubjects: Readonly<Record<string, readonly Subject[]>> = {
  'cluster-admin': [group('system:masters')],
  'system:monitoring': [group('system:monitoring')],
  'system:discovery': [group('system:authenticated')],
  'system:basic-user': [group('system:authenticated')],
  'system:public-info-viewer': [group('system:authenticated'), group('system:unauthenticated')],
  'system:node-proxier': [user('system:kube-proxy')],
  'system:kube-controller-manager': [user('system:kube-controller-manager')],
  'system:kube-dns': [account('kube-dns')],
  'system:kube-scheduler': [user('system:kube-scheduler')],
  'system:volume-scheduler': [user('system:kube-scheduler')],
  'system:node': [],
  'system:service-account-issuer-discovery': [group('system:serviceaccounts')],
}

const namespaceSubjects: Readonly<Record<string, readonly Subject[]>> = {
  'kube-system/system::leader-locking-kube-controller-manager': [
    user('system:kube-controller-manager'),
    account('kube-controller-manager'),
  ],
  'kube-system/system::leader-locking-kube-scheduler': [user('system:kube-scheduler'), account('kube-scheduler')],
  'kube-system/system:controller:bootstrap-signer': [account('bootstrap-signer')],
  'kube-system/system:controller:cloud-provider': [account('cloud-provider')],
  'kube-system/system:controller:token-cleaner': [account('token-cleaner')],
  'kube-public/system:controller:bootstrap-signer': [account('bootstrap-signer')],
}

type Labels = Readonly<Record<string, string>>

const meta = (name: string, labels: Labels = {}, namespace?: string) => ({
  name,
  ...(namespace !== undefined && { namespace }),
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
  annotations: { [autoUpdate]: 'true' },
})

const gathers = (to: string, labels: Labels = {}): Draft<ClusterRole> & Named => ({
  metadata: meta(to, labels),
  aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`${aggregateTo}${to}`]: 'true' } }] },
})

const into = (to: string): Labels => ({ [`${aggregateTo}${to}`]: 'true' })

/** system:aggregate-to-edit is gathered into edit. */
function labelsOf(name: string): Labels {
  const [, to] = /^system:aggregate-to-(.*)$/.exec(name) ?? []
  return to === undefined ? {} : into(to)
}

export type Named = {
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels: Labels
    readonly annotations: Labels
  }
}

const ref = (kind: 'ClusterRole' | 'Role', name: string) => ({ apiGroup: rbacGroup, kind, name })

export const defaultClusterRoles: readonly (Draft<ClusterRole> & Named)[] = [
  ...Object.entries(clusterRules).map(([name, rules]) => ({ metadata: meta(name, labelsOf(name)), rules })),
  gathers('admin'),
  gathers('edit', into('admin')),
  gathers('view', into('edit')),
  // As metrics-server brings it: metrics.k8s.io is served here without one.
  {
    metadata: meta('system:aggregated-metrics-reader', { ...into('admin'), ...into('edit'), ...into('view') }),
    rules: [rule(read, 'metrics.k8s.io', 'pods nodes')],
  },
  ...Object.entries(controllerRules).map(([name, rules]) => ({ metadata: meta(`system:controller:${name}`), rules })),
]

export const defaultClusterRoleBindings: readonly (Draft<ClusterRoleBinding> & Named)[] = [
  ...Object.entries(clusterSubjects).map(([name, subjects]) => ({
    metadata: meta(name),
    roleRef: ref('ClusterRole', name),
    ...(subjects.length > 0 && { subjects }),
  })),
  ...Object.keys(controllerRules).map(name => ({
    metadata: meta(`system:controller:${name}`),
    roleRef: ref('ClusterRole', `system:controller:${name}`),
    subjects: [account(name)],
  })),
]

export const defaultRoles: readonly (Draft<Role> & Named)[] = namespaceRoles.map(({ namespace, name, rules }) => ({
  metadata: meta(name, {}, namespace),
  rules,
}))

export const defaultRoleBindings: readonly (Draft<RoleBinding> & Named)[] = [
  {
    metadata: meta('system::extension-apiserver-authentication-reader', {}, 'kube-system'),
    roleRef: ref('Role', 'extension-apiserver-authentication-reader'),
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
  ...Object.entries(namespaceSubjects).map(([place, subjects]) => {
    const [namespace = '', name = ''] = place.split('/')
    return { metadata: meta(name, {}, namespace), roleRef: ref('Role', name), subjects }
  }),
]
