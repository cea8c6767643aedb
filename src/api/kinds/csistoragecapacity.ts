// CSIStorageCapacity (storage.k8s.io/v1): how much of a storage class is left where.
// https://kubernetes.io/docs/concepts/storage/storage-capacity/

import { defineKind } from '../kind.ts'
import { dnsSubdomain } from '../names.ts'
import { validateSelector } from '../pod/selector.ts'
import { s, type TypeOf } from '../schema.ts'
import { named, validateNotNegative } from '../storage.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { fixed } from '../workload.ts'

export const csiStorageCapacitySchema = s.object(
  'io.k8s.api.storage.v1.CSIStorageCapacity',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'The name says nothing; the driver makes one up.' }),
    nodeTopology: s.of(
      2,
      labelSelector,
      'Nodes that can reach the storage, by labels: none when absent, all when empty. Immutable.',
    ),
    storageClassName: s.string(3, {
      required: true,
      description: 'StorageClass that the numbers are about. Immutable.',
    }),
    capacity: s.quantity(4, 'Bytes that are left in all; unknown when absent.'),
    maximumVolumeSize: s.quantity(5, 'Bytes of the largest single volume that can be made; unknown when absent.'),
  },
  {
    description:
      'How much storage of a class is left for some nodes, told by its driver. The scheduler here does not look at it.',
  },
)
export type CSIStorageCapacity = TypeOf<typeof csiStorageCapacitySchema>

export const csiStorageCapacity = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIStorageCapacity',
  plural: 'csistoragecapacities',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  updateNeedsVersion: true,
  stored: true,
  subresources: [],
  schema: csiStorageCapacitySchema,
  generation: false,
  ageColumn: false,
  columns: () => [
    { name: 'StorageClassName', type: 'string', cell: ({ storageClassName }) => storageClassName },
    { name: 'Capacity', type: 'string', cell: ({ capacity }) => capacity ?? '<unset>' },
  ],
  validate: ({ nodeTopology, storageClassName, capacity }, old) => [
    ...validateSelector(nodeTopology, 'nodeTopology'),
    ...named('storageClassName', storageClassName, dnsSubdomain),
    ...(capacity === undefined ? [] : validateNotNegative(capacity, 'capacity')),
    ...fixed('nodeTopology', nodeTopology, old, old?.nodeTopology),
    ...fixed('storageClassName', storageClassName, old, old?.storageClassName),
  ],
})
