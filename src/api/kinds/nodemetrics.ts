// What a node uses. Made when it is asked for, from what the node's kubelet measured; nothing of it is stored.
// https://kubernetes.io/docs/reference/external-api/metrics.v1beta1/#metrics-k8s-io-v1beta1-NodeMetrics
import { defineKind, type ObjectOf } from '../kind.ts'
import { s, scalars } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const metricsGroup = 'metrics.k8s.io'

const nodeMetricsSchema = s.object(
  'io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name and labels of the node; created at the time of the question.',
    }),
    timestamp: s.time(2, { stored: true, description: 'The end of the window in which the use was measured.' }),
    window: s.duration(3, { stored: true, description: 'For how long it was measured: 10.02s.' }),
    usage: s.map(4, scalars.quantity, {
      stored: true,
      description: 'cpu in cores, a mean over the window; memory as the working set at its end, in bytes.',
    }),
  },
  { description: 'What a node uses of cpu and memory, as its kubelet has measured it. Made when it is asked for.' },
)

export const nodeMetrics = defineKind({
  group: metricsGroup,
  version: 'v1beta1',
  kind: 'NodeMetrics',
  plural: 'nodes',
  singular: '',
  scope: 'Cluster',
  stored: false,
  readOnly: true,
  schema: nodeMetricsSchema,
  ageColumn: false,
  columns: () => [
    { name: 'cpu', type: 'string', cell: ({ usage }) => usage['cpu'] ?? '0' },
    { name: 'memory', type: 'string', cell: ({ usage }) => usage['memory'] ?? '0' },
    { name: 'Window', type: 'string', cell: ({ window }) => window },
  ],
})
export type NodeMetrics = ObjectOf<typeof nodeMetrics>
