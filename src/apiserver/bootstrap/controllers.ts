// The default roles of the controllers, each bound to a service account of its own in kube-system. Ours run in the agents
// and need none of them; add-ons bind them, and tools compare them. Facts of Kubernetes 1.33.
// (upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go)
import type { PolicyRule } from '../../api/types/rbac.ts'
import { events, read, rule } from './rules.ts'

const apps = 'apps extensions'

/** By the name behind system:controller:. */
export const controllerRules: Readonly<Record<string, readonly PolicyRule[]>> = {
  'attachdetach-controller': [
    rule('list watch', '', 'persistentvolumes persistentvolumeclaims'),
    rule(read, '', 'nodes'),
    rule('patch update', '', 'nodes/status'),
    rule('list watch', '', 'pods'),
    events,
    rule('get create delete list watch', 'storage.k8s.io', 'volumeattachments'),
    rule(read, 'storage.k8s.io', 'csidrivers'),
    rule(read, 'storage.k8s.io', 'csinodes'),
  ],
  'certificate-controller': [
    rule(`${read} delete`, 'certificates.k8s.io', 'certificatesigningrequests'),
    rule('update', 'certificates.k8s.io', 'certificatesigningrequests/status certificatesigningrequests/approval'),
    rule('approve', 'certificates.k8s.io', 'signers', 'kubernetes.io/kube-apiserver-client-kubelet'),
    rule(
      'sign',
      'certificates.k8s.io',
      'signers',
      'kubernetes.io/legacy-unknown kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving',
    ),
    rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    events,
  ],
  'clusterrole-aggregation-controller': [
    rule(`escalate ${read} update patch`, 'rbac.authorization.k8s.io', 'clusterroles'),
  ],
  'cronjob-controller': [
    rule(`${read} update`, 'batch', 'cronjobs'),
    rule(`${read} create update delete patch`, 'batch', 'jobs'),
    rule('update', 'batch', 'cronjobs/status'),
    rule('update', 'batch', 'cronjobs/finalizers'),
    rule('list delete', '', 'pods'),
    events,
  ],
  'daemon-set-controller': [
    rule(read, apps, 'daemonsets'),
    rule('update', apps, 'daemonsets/status'),
    rule('update', apps, 'daemonsets/finalizers'),
    rule('list watch', '', 'nodes'),
    rule('list watch create delete patch', '', 'pods'),
    rule('create', '', 'pods/binding'),
    rule(`${read} create delete update patch`, 'apps', 'controllerrevisions'),
    events,
  ],
  'deployment-controller': [
    rule(`${read} update`, apps, 'deployments'),
    rule('update', apps, 'deployments/status'),
    rule('update', apps, 'deployments/finalizers'),
    rule(`${read} create update patch delete`, apps, 'replicasets'),
    rule(`${read} update`, '', 'pods'),
    events,
  ],
  'disruption-controller': [
    rule(read, apps, 'deployments'),
    rule(read, apps, 'replicasets'),
    rule(read, '', 'replicationcontrollers'),
    rule(read, 'policy', 'poddisruptionbudgets'),
    rule(read, 'apps', 'statefulsets'),
    rule('update', 'policy', 'poddisruptionbudgets/status'),
    rule('patch update', '', 'pods/status'),
    rule('get', '*', '*/scale'),
    events,
  ],
  'endpoint-controller': [
    rule(read, '', 'services pods'),
    rule('get list create update delete', '', 'endpoints'),
    rule('create', '', 'endpoints/restricted'),
    events,
  ],
  'endpointslice-controller': [
    rule(read, '', 'services pods nodes'),
    rule('update', '', 'services/finalizers'),
    rule('get list create update delete', 'discovery.k8s.io', 'endpointslices'),
    events,
  ],
  'endpointslicemirroring-controller': [
    rule(read, '', 'services endpoints'),
    rule('update', '', 'services/finalizers'),
    rule('update', '', 'endpoints/finalizers'),
    rule('get list create update delete', 'discovery.k8s.io', 'endpointslices'),
    events,
  ],
  'ephemeral-volume-controller': [
    rule(read, '', 'pods'),
    rule('update', '', 'pods/finalizers'),
    rule(`${read} create`, '', 'persistentvolumeclaims'),
    events,
  ],
  'expand-controller': [
    rule(`${read} update patch`, '', 'persistentvolumes'),
    rule('update patch', '', 'persistentvolumeclaims/status'),
    rule(read, '', 'persistentvolumeclaims'),
    rule(read, 'storage.k8s.io', 'storageclasses'),
    rule('get', '', 'services endpoints'),
    rule('get', '', 'secrets'),
    events,
  ],
  'generic-garbage-collector': [rule(`${read} patch update delete`, '*', '*'), events],
  'horizontal-pod-autoscaler': [
    rule(read, 'autoscaling', 'horizontalpodautoscalers'),
    rule('update', 'autoscaling', 'horizontalpodautoscalers/status'),
    rule('get update', '*', '*/scale'),
    rule('list', '', 'pods'),
    rule('list', 'metrics.k8s.io', 'pods'),
    rule('get list', 'custom.metrics.k8s.io', '*'),
    rule('get list', 'external.metrics.k8s.io', '*'),
    events,
  ],
  'job-controller': [
    rule(`${read} update patch`, 'batch', 'jobs'),
    rule('update', 'batch', 'jobs/status'),
    rule('update', 'batch', 'jobs/finalizers'),
    rule('list watch create delete patch', '', 'pods'),
    events,
  ],
  'legacy-service-account-token-cleaner': [
    rule('get', '', 'configmaps', 'kube-apiserver-legacy-service-account-token-tracking'),
    rule('patch delete', '', 'secrets'),
  ],
  'namespace-controller': [
    rule(`${read} delete`, '', 'namespaces'),
    rule('update', '', 'namespaces/finalize namespaces/status'),
    rule('get list delete deletecollection', '*', '*'),
  ],
  'node-controller': [
    rule('get list update delete patch', '', 'nodes'),
    rule('patch update', '', 'nodes/status'),
    rule('patch update', '', 'pods/status'),
    rule('list get delete', '', 'pods'),
    events,
  ],
  'persistent-volume-binder': [
    rule(`${read} update create delete`, '', 'persistentvolumes'),
    rule('update', '', 'persistentvolumes/status'),
    rule(`${read} update`, '', 'persistentvolumeclaims'),
    rule('update', '', 'persistentvolumeclaims/status'),
    rule(`${read} create delete`, '', 'pods'),
    rule(read, 'storage.k8s.io', 'storageclasses'),
    rule('get create update delete', '', 'endpoints'),
    rule('get create delete', '', 'services'),
    rule('get', '', 'secrets'),
    rule('get list', '', 'nodes'),
    rule('watch', '', 'events'),
    events,
  ],
  'pod-garbage-collector': [
    rule('list watch delete', '', 'pods'),
    rule('get list', '', 'nodes'),
    rule('patch', '', 'pods/status'),
  ],
  'pv-protection-controller': [rule(`${read} update`, '', 'persistentvolumes'), events],
  'pvc-protection-controller': [rule(`${read} update`, '', 'persistentvolumeclaims'), rule(read, '', 'pods'), events],
  'replicaset-controller': [
    rule(`${read} update`, apps, 'replicasets'),
    rule('update', apps, 'replicasets/status'),
    rule('update', apps, 'replicasets/finalizers'),
    rule('list watch patch create delete', '', 'pods'),
    events,
  ],
  'replication-controller': [
    rule(`${read} update`, '', 'replicationcontrollers'),
    rule('update', '', 'replicationcontrollers/status'),
    rule('update', '', 'replicationcontrollers/finalizers'),
    rule('list watch patch create delete', '', 'pods'),
    events,
  ],
  'resourcequota-controller': [rule('list watch', '*', '*'), rule('update', '', 'resourcequotas/status'), events],
  'root-ca-cert-publisher': [rule('create update', '', 'configmaps'), events],
  'route-controller': [rule('list watch', '', 'nodes'), rule('patch', '', 'nodes/status'), events],
  'service-account-controller': [rule('create', '', 'serviceaccounts'), events],
  'service-cidrs-controller': [
    rule(`${read} patch update`, 'networking.k8s.io', 'servicecidrs'),
    rule('patch update', 'networking.k8s.io', 'servicecidrs/finalizers'),
    rule('patch update', 'networking.k8s.io', 'servicecidrs/status'),
    rule(read, 'networking.k8s.io', 'ipaddresses'),
    events,
  ],
  'service-controller': [
    rule(read, '', 'services'),
    rule('patch update', '', 'services/status'),
    rule('list watch', '', 'nodes'),
    events,
  ],
  'statefulset-controller': [
    rule('list watch', '', 'pods'),
    rule(read, 'apps', 'statefulsets'),
    rule('update', 'apps', 'statefulsets/status'),
    rule('update', 'apps', 'statefulsets/finalizers'),
    rule('get create delete update patch', '', 'pods'),
    rule(`${read} create delete update patch`, 'apps', 'controllerrevisions'),
    rule('get create', '', 'persistentvolumeclaims'),
    events,
    rule('update delete', '', 'persistentvolumeclaims'),
  ],
  'ttl-after-finished-controller': [rule(`${read} delete`, 'batch', 'jobs'), events],
  'ttl-controller': [rule('update patch list watch', '', 'nodes'), events],
  'validatingadmissionpolicy-status-controller': [
    rule(read, 'admissionregistration.k8s.io', 'validatingadmissionpolicies'),
    rule('get patch update', 'admissionregistration.k8s.io', 'validatingadmissionpolicies/status'),
    events,
  ],
}

type Home = { readonly namespace: string; readonly name: string; readonly rules: readonly PolicyRule[] }

/** Roles in one namespace. */
export const namespaceRoles: readonly Home[] = [
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    rules: [rule(read, '', 'configmaps', 'extension-apiserver-authentication')],
  },
  {
    namespace: 'kube-system',
    name: 'system::leader-locking-kube-controller-manager',
    rules: [
      rule('watch', '', 'configmaps'),
      rule('get update', '', 'configmaps', 'kube-controller-manager'),
      rule(`${read} create update`, 'coordination.k8s.io', 'leases'),
    ],
  },
  {
    namespace: 'kube-system',
    name: 'system::leader-locking-kube-scheduler',
    rules: [rule('watch', '', 'configmaps'), rule('get update', '', 'configmaps', 'kube-scheduler')],
  },
  { namespace: 'kube-system', name: 'system:controller:bootstrap-signer', rules: [rule(read, '', 'secrets')] },
  {
    namespace: 'kube-system',
    name: 'system:controller:cloud-provider',
    rules: [rule(`${read} create`, '', 'configmaps')],
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:token-cleaner',
    rules: [rule(`${read} delete`, '', 'secrets'), events],
  },
  {
    namespace: 'kube-public',
    name: 'system:controller:bootstrap-signer',
    rules: [rule(read, '', 'configmaps'), rule('update', '', 'configmaps', 'cluster-info'), events],
  },
]
