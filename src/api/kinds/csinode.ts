// CSINode (storage.k8s.io/v1): which drivers for volumes a node has, and under which name they know it.
// https://kubernetes-csi.github.io/docs/csi-node-object.html

import { ageColumn } from '../cells.ts'
import { equalJson } from '../equal.ts'
import { duplicateValue, immutable, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { validateDriverName } from '../storage.ts'
import { objectMeta } from '../types/meta.ts'
import { validateCounts } from '../workload.ts'

export const volumeNodeResources = s.object(
  'io.k8s.api.storage.v1.VolumeNodeResources',
  {
    count: s.int32(1, { pointer: true, description: 'Volumes of the driver at a time; any number when absent.' }),
  },
  { description: 'How much of a driver a node can take.' },
)
export type VolumeNodeResources = TypeOf<typeof volumeNodeResources>
export const csiNodeDriver = s.object(
  'io.k8s.api.storage.v1.CSINodeDriver',
  {
    name: s.string(1, { required: true, description: 'Name of the driver, as its CSIDriver has it; each once.' }),
    nodeID: s.string(2, { required: true, description: 'What the driver calls this node, in at most 256 characters.' }),
    topologyKeys: s.list(
      3,
      scalars.string,
      "Labels of the node by which the driver tells where a volume can be reached; the node has the driver's values.",
    ),
    allocatable: s.of(4, volumeNodeResources, 'How many volumes of the driver fit on the node; no bound when absent.'),
  },
  { description: 'A driver on the node. It comes and goes, and does not change in between.' },
)
export type CSINodeDriver = TypeOf<typeof csiNodeDriver>
export const csiNodeSpec = s.object(
  'io.k8s.api.storage.v1.CSINodeSpec',
  {
    drivers: s.list(1, csiNodeDriver, {
      required: true,
      default: [],
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Drivers that have registered on the node; may be empty.',
    }),
  },
  { description: 'The drivers of a node.' },
)
export type CSINodeSpec = TypeOf<typeof csiNodeSpec>
export const csiNodeSchema = s.object(
  'io.k8s.api.storage.v1.CSINode',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'The name is that of the node.' }),
    spec: s.of(2, csiNodeSpec, { required: true, default: {}, description: 'The drivers of the node.' }),
  },
  {
    description:
      'Which CSI drivers a node has. Stored for other programs: nodes here neither write it nor call drivers.',
  },
)
export type CSINode = TypeOf<typeof csiNodeSchema>

const nodeIdLengthMax = 256

function validateDriver(driver: CSINodeDriver, path: string): readonly FieldError[] {
  const { name, nodeID, topologyKeys = [], allocatable } = driver
  const errors: FieldError[] = name ? [...validateDriverName(name, `${path}.name`)] : []
  if ((nodeID ?? '').length > nodeIdLengthMax) {
    errors.push(invalidValue(`${path}.nodeID`, nodeID, `must be ${nodeIdLengthMax} characters or less`))
  }
  errors.push(...validateCounts({ [`${path}.allocatable.count`]: allocatable?.count }))
  for (const [i, key] of topologyKeys.entries()) {
    if (key === '') errors.push(requiredValue(path))
    if (topologyKeys.indexOf(key) < i) errors.push(duplicateValue(path, key))
    const wrong = qualifiedName(key)
    if (wrong !== undefined) errors.push(invalidValue(path, key, wrong))
  }
  return errors
}

function validateDrivers({ drivers }: CSINodeSpec): readonly FieldError[] {
  return drivers.flatMap((driver, i) => {
    const path = `spec.drivers[${i}]`
    const isSecond = drivers.slice(0, i).some(({ name }) => name === driver.name)
    return [...validateDriver(driver, path), ...(isSecond ? [duplicateValue(`${path}.name`, driver.name)] : [])]
  })
}

/** A driver comes and goes, and does not change. */
function validateChange({ drivers }: CSINodeSpec, old: CSINodeSpec): readonly FieldError[] {
  return drivers
    .filter(driver => old.drivers.some(before => before.name === driver.name && !equalJson(before, driver)))
    .map(driver => immutable('CSINodeDriver', driver))
}

export const csiNode = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSINode',
  plural: 'csinodes',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  updateNeedsVersion: true,
  stored: true,
  subresources: [],
  schema: csiNodeSchema,
  generation: false,
  columns: () => [
    {
      name: 'Drivers',
      type: 'integer',
      description: 'Drivers indicates the number of CSI drivers registered on the node',
      cell: ({ spec }) => spec.drivers?.length ?? 0,
    },
    ageColumn,
  ],
  validate: ({ spec }, old) => [...validateDrivers(spec), ...(old ? validateChange(spec, old.spec) : [])],
})
