// What the containers of a pod use. Made when it is asked for, from what the kubelet of its node measured; nothing of it is
// stored. A pod is there only when every running container of it could be measured.
// https://kubernetes.io/docs/reference/external-api/metrics.v1beta1/#metrics-k8s-io-v1beta1-PodMetrics
import { addQuantity } from '../../lib/quantity.ts'
import { defineKind, type ObjectOf } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { metricsGroup } from './nodemetrics.ts'

const containerMetrics = s.object(
  'io.k8s.metrics.pkg.apis.metrics.v1beta1.ContainerMetrics',
  {
    name: s.string(1, { stored: true, description: 'As in the pod spec.' }),
    usage: s.map(2, scalars.quantity, {
      stored: true,
      description: 'cpu in cores, a mean over the window; memory as the working set at its end, in bytes.',
    }),
  },
  { description: 'What one container uses.' },
)

const podMetricsSchema = s.object(
  'io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace and labels of the pod; created at the time of the question.',
    }),
    timestamp: s.time(2, { stored: true, description: 'The end of the window in which the use was measured.' }),
    window: s.duration(3, { stored: true, description: 'For how long it was measured: 10.02s.' }),
    containers: s.list(4, containerMetrics, { stored: true, description: 'Every running container of the pod.' }),
  },
  {
    description:
      'What the containers of a running pod use of cpu and memory, as the kubelet has measured it. Made when it is asked for.',
  },
)

export const podMetrics = defineKind({
  group: metricsGroup,
  version: 'v1beta1',
  kind: 'PodMetrics',
  plural: 'pods',
  singular: '',
  scope: 'Namespaced',
  stored: false,
  readOnly: true,
  schema: podMetricsSchema,
  ageColumn: false,
  columns: () => [
    { name: 'cpu', type: 'string', cell: pod => sum(pod, 'cpu') },
    { name: 'memory', type: 'string', cell: pod => sum(pod, 'memory') },
    { name: 'Window', type: 'string', cell: ({ window }) => window },
  ],
})
export type PodMetrics = ObjectOf<typeof podMetrics>

function sum({ containers }: TypeOf<typeof podMetricsSchema>, resource: string): string {
  return containers.reduce((total, { usage }) => addQuantity(total, usage[resource] ?? '0'), '0')
}
