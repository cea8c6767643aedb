// The flow schemas and priority levels that every cluster has: what keeps the cluster alive comes before what people and
// workloads ask. Facts of Kubernetes 1.33 (upstream: staging/src/k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap).
// https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults
import type { FlowSchema, FlowSubject } from '../../api/kinds/flowschema.ts'
import type { PriorityLevelConfiguration } from '../../api/kinds/prioritylevelconfiguration.ts'
import type { Draft } from '../../api/schema.ts'

type Named = { readonly metadata: { readonly name: string } }
type DefaultSchema = Draft<FlowSchema> & Named
type DefaultLevel = Draft<PriorityLevelConfiguration> & Named

const metadata = (name: string) => ({ name, annotations: { 'apf.kubernetes.io/autoupdate-spec': 'true' } })

function queued(name: string, shares: number, lendablePercent: number, queues: number, handSize: number): DefaultLevel {
  const queuing = { queues, handSize, queueLengthLimit: 50 }
  return {
    metadata: metadata(name),
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: shares, lendablePercent, limitResponse: { type: 'Queue', queuing } },
    },
  }
}

export const defaultLevels: readonly DefaultLevel[] = [
  {
    metadata: metadata('exempt'),
    spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  },
  {
    metadata: metadata('catch-all'),
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
    },
  },
  queued('system', 30, 33, 64, 6),
  queued('node-high', 40, 25, 64, 6),
  queued('leader-election', 10, 0, 16, 4),
  queued('workload-high', 40, 50, 128, 6),
  queued('workload-low', 100, 90, 128, 6),
  queued('global-default', 20, 50, 128, 6),
]

const group = (name: string): FlowSubject => ({ kind: 'Group', group: { name } })
const user = (name: string): FlowSubject => ({ kind: 'User', user: { name } })
const systemAccount = (name: string): FlowSubject => ({
  kind: 'ServiceAccount',
  serviceAccount: { namespace: 'kube-system', name },
})
const everybody = [group('system:unauthenticated'), group('system:authenticated')]

const everyResource = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] }
const everyPath = { verbs: ['*'], nonResourceURLs: ['*'] }
const all = { resourceRules: [everyResource], nonResourceRules: [everyPath] }
const leases = (namespace: string) => ({
  verbs: ['get', 'create', 'update'],
  apiGroups: ['coordination.k8s.io'],
  resources: ['leases'],
  namespaces: [namespace],
})
const writing = ['get', 'create', 'update', 'patch', 'delete']

type Rule = NonNullable<NonNullable<DefaultSchema['spec']>['rules']>[number]

function schema(
  name: string,
  precedence: number,
  level: string,
  by: 'ByUser' | 'ByNamespace' | undefined,
  rules: readonly Rule[],
): DefaultSchema {
  return {
    metadata: metadata(name),
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence: precedence,
      ...(by !== undefined && { distinguisherMethod: { type: by } }),
      rules,
    },
  }
}

export const defaultSchemas: readonly DefaultSchema[] = [
  schema('exempt', 1, 'exempt', undefined, [{ subjects: [group('system:masters')], ...all }]),
  schema('probes', 2, 'exempt', undefined, [
    {
      subjects: everybody,
      nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
    },
  ]),
  schema('system-leader-election', 100, 'leader-election', 'ByUser', [
    {
      subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler'), systemAccount('*')],
      resourceRules: [leases('kube-system')],
    },
  ]),
  schema('endpoint-controller', 150, 'workload-high', 'ByUser', [
    {
      subjects: [
        user('system:kube-controller-manager'),
        systemAccount('endpoint-controller'),
        systemAccount('endpointslicemirroring-controller'),
      ],
      resourceRules: [
        { verbs: writing, apiGroups: [''], resources: ['endpoints'], namespaces: ['*'] },
        { verbs: writing, apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], namespaces: ['*'] },
      ],
    },
  ]),
  schema('workload-leader-election', 200, 'leader-election', 'ByUser', [
    { subjects: [systemAccount('*')], resourceRules: [leases('*')] },
  ]),
  schema('system-node-high', 400, 'node-high', 'ByUser', [
    {
      subjects: [group('system:nodes')],
      resourceRules: [
        { verbs: ['*'], apiGroups: [''], resources: ['nodes', 'nodes/status'], clusterScope: true, namespaces: ['*'] },
        { verbs: ['*'], apiGroups: ['coordination.k8s.io'], resources: ['leases'], namespaces: ['*'] },
      ],
    },
  ]),
  schema('system-nodes', 500, 'system', 'ByUser', [{ subjects: [group('system:nodes')], ...all }]),
  schema('kube-controller-manager', 800, 'workload-high', 'ByNamespace', [
    { subjects: [user('system:kube-controller-manager')], ...all },
  ]),
  schema('kube-scheduler', 800, 'workload-high', 'ByNamespace', [
    { subjects: [user('system:kube-scheduler')], ...all },
  ]),
  schema('kube-system-service-accounts', 900, 'workload-high', 'ByNamespace', [
    { subjects: [systemAccount('*')], ...all },
  ]),
  schema('service-accounts', 9_000, 'workload-low', 'ByUser', [
    { subjects: [group('system:serviceaccounts')], ...all },
  ]),
  schema('global-default', 9_900, 'global-default', 'ByUser', [{ subjects: everybody, ...all }]),
  schema('catch-all', 10_000, 'catch-all', 'ByUser', [{ subjects: everybody, ...all }]),
]
