// PersistentVolumeClaim (v1): a request for storage, bound to one PersistentVolume.
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#persistentvolumeclaims

import { compareQuantity } from '../../lib/quantity.ts'
import { ageColumn } from '../cells.ts'
import { claimDefaults, validateClaimSpec } from '../claims.ts'
import { equalJson } from '../equal.ts'
import { forbidden, invalidValue, notSupported } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import {
  accessModesText,
  classAnnotation,
  storageClassOf,
  validateNotNegative,
  withoutAttributesClass,
} from '../storage.ts'
import { objectMeta } from '../types/meta.ts'
import { type PersistentVolumeClaimSpec, persistentVolumeClaimSpec } from '../types/volume.ts'
import { claimText, type PersistentVolumeClaimStatus, persistentVolumeClaimStatus } from '../types/volumeclaim.ts'
import { fixed } from '../workload.ts'

export const persistentVolumeClaimSchema = s.object(
  'io.k8s.api.core.v1.PersistentVolumeClaim',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: claimText.metadata }),
    spec: s.of(2, persistentVolumeClaimSpec, { default: {}, description: claimText.spec }),
    status: s.of(3, persistentVolumeClaimStatus, { default: {}, description: claimText.status }),
  },
  { description: claimText.claim },
)
export type PersistentVolumeClaim = TypeOf<typeof persistentVolumeClaimSchema>

/** dataSource and dataSourceRef say the same, whichever was given; only the second may name another namespace. */
function withBothSources(spec: PersistentVolumeClaimSpec): PersistentVolumeClaimSpec {
  const { dataSource, dataSourceRef } = spec
  if (dataSource && !dataSourceRef) return { ...spec, dataSourceRef: { ...dataSource } }
  if (!dataSourceRef || dataSource || (dataSourceRef.namespace ?? '') !== '') return spec
  const { namespace: _, ...local } = dataSourceRef
  return { ...spec, dataSource: local }
}

type Claim = Pick<PersistentVolumeClaim, 'metadata' | 'spec'>

/** The class may be named once, where none was, in the words of the annotation if that is there. */
function mayTakeClass(claim: Claim, old: Claim): boolean {
  const annotated = old.metadata.annotations?.[classAnnotation]
  const { storageClassName } = claim.spec
  if (storageClassName === undefined || old.spec.storageClassName !== undefined) return false
  return annotated === undefined || annotated === storageClassName
}

function validateChange(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): readonly FieldError[] {
  const errors: FieldError[] = []
  const isBound = claim.status.phase === 'Bound'
  /** What may not change: the volume is named once, and a bound claim may ask for another size. */
  const settled = ({ volumeName, storageClassName, resources, ...rest }: PersistentVolumeClaimSpec): unknown => {
    const { storage, ...requests } = resources?.requests ?? {}
    return {
      ...rest,
      volumeName: old.spec.volumeName ? volumeName : undefined,
      storageClassName: mayTakeClass(claim, old) ? undefined : storageClassName,
      resources: { ...resources, requests: { ...requests, storage: isBound ? undefined : storage } },
    }
  }
  if (!equalJson(settled(claim.spec), settled(old.spec))) {
    const why =
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'
    errors.push(forbidden('spec', why))
  }
  const sizeOf = ({ spec }: Claim) => spec.resources?.requests?.['storage'] ?? '0'
  const given = old.status.capacity?.['storage'] ?? '0'
  // Back to a size between what there is and what was asked for: the way out of an expansion that failed.
  if (compareQuantity(sizeOf(claim), sizeOf(old)) < 0 && compareQuantity(sizeOf(claim), given) <= 0) {
    errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'))
  }
  errors.push(...fixed('volumeMode', claim.spec.volumeMode, old, old.spec.volumeMode))
  return errors
}

const resizeStates = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizePending',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
]

/** Kubernetes itself knows no resource of a claim but its storage. */
function validateResourceKey(name: string, path: string): readonly FieldError[] {
  const wrong = qualifiedName(name)
  if (wrong !== undefined) return [invalidValue(path, name, wrong)]
  const isNative = !name.includes('/') || name.includes('kubernetes.io/')
  return isNative && name !== 'storage' ? [notSupported(path, name, ['storage'])] : []
}

function validateStatus({ capacity, allocatedResources, allocatedResourceStatuses }: PersistentVolumeClaimStatus) {
  // The path is upstream's, without the last letters of the field.
  const path = 'status.allocatedResourceStatus'
  return [
    ...Object.entries(capacity ?? {}).flatMap(([name, amount]) =>
      validateNotNegative(amount, `status.capacity[${name}]`),
    ),
    ...Object.entries(allocatedResourceStatuses ?? {}).flatMap(([name, state]) => [
      ...validateResourceKey(name, path),
      ...(resizeStates.includes(state) ? [] : [notSupported(path, name, resizeStates)]),
    ]),
    ...Object.entries(allocatedResources ?? {}).flatMap(([name, amount]) => {
      const errors = validateResourceKey(name, 'status.allocatedResources')
      return errors.length > 0 ? errors : validateNotNegative(amount, `status.allocatedResources[${name}]`)
    }),
  ]
}

function capacityText({ spec, status }: PersistentVolumeClaim): string {
  return spec.volumeName ? (status?.capacity?.['storage'] ?? '0') : ''
}

export const persistentVolumeClaim = defineKind({
  group: '',
  version: 'v1',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  shortNames: ['pvc'],
  categories: [],
  scope: 'Namespaced',
  caution: 'PersistentVolumeClaims are stored, but no controller of this version binds them to PersistentVolumes',
  stored: true,
  subresources: ['status'],
  schema: persistentVolumeClaimSchema,
  generation: false,
  columns: () => [
    {
      name: 'Status',
      type: 'string',
      cell: ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined ? (status?.phase ?? '') : 'Terminating',
    },
    { name: 'Volume', type: 'string', cell: ({ spec }) => spec.volumeName ?? '' },
    { name: 'Capacity', type: 'string', cell: capacityText },
    {
      name: 'Access Modes',
      type: 'string',
      cell: ({ spec, status }) => (spec.volumeName ? accessModesText(status?.accessModes) : ''),
    },
    { name: 'StorageClass', type: 'string', description: 'StorageClass of the pvc', cell: storageClassOf },
    {
      name: 'VolumeAttributesClass',
      type: 'string',
      description: 'VolumeAttributesClass of the pvc',
      cell: ({ spec }) => spec.volumeAttributesClassName ?? '<unset>',
    },
    ageColumn,
    { name: 'VolumeMode', type: 'string', priority: 1, cell: ({ spec }) => spec.volumeMode ?? '<unset>' },
  ],
  prepare: (object, old) => ({
    ...object,
    spec: withBothSources(withoutAttributesClass(object.spec ?? {}, old?.spec)),
    ...(!old && { status: { phase: 'Pending' } }),
  }),
  defaults: object => ({
    ...object,
    spec: claimDefaults(object.spec),
    status: { ...object.status, phase: object.status.phase || 'Pending' },
  }),
  validateStatus: ({ status }) => validateStatus(status),
  validate: (object, old) => [...validateClaimSpec(object.spec, 'spec'), ...(old ? validateChange(object, old) : [])],
})
