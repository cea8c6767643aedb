// PersistentVolume (v1): a piece of storage in the cluster, made by an administrator or by a provisioner.
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/

import { rfc3339 } from '../../lib/duration.ts'
import { ageColumn } from '../cells.ts'
import { equalJson } from '../equal.ts'
import { forbidden } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { accessModesText, sourceOf, storageClassOf, validateVolumeSpec, withoutAttributesClass } from '../storage.ts'
import { objectMeta } from '../types/meta.ts'
import {
  type PersistentVolumeSpec,
  type PersistentVolumeStatus,
  persistentVolumeSpec,
  persistentVolumeStatus,
} from '../types/persistentvolume.ts'
import { fixed } from '../workload.ts'

export const persistentVolumeSchema = s.object(
  'io.k8s.api.core.v1.PersistentVolume',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, labels and what else every object has; no namespace.',
    }),
    spec: s.of(2, persistentVolumeSpec, { default: {}, description: 'What the volume is and who may have it.' }),
    status: s.of(3, persistentVolumeStatus, { default: {}, description: 'How far the volume is.' }),
  },
  { description: 'A piece of storage that claims can be bound to, and that outlives the pods which use it.' },
)
export type PersistentVolume = TypeOf<typeof persistentVolumeSchema>

function specDefaults(spec: PersistentVolumeSpec): PersistentVolumeSpec {
  const { azureDisk } = spec
  return {
    ...spec,
    persistentVolumeReclaimPolicy: spec.persistentVolumeReclaimPolicy ?? 'Retain',
    volumeMode: spec.volumeMode ?? 'Filesystem',
    ...(azureDisk && {
      azureDisk: { cachingMode: 'ReadWrite', kind: 'Shared', fsType: 'ext4', readOnly: false, ...azureDisk },
    }),
  }
}

/** The source with what may still be added to it taken from `old`: the secret for expansion, once. */
function fixedSource(spec: PersistentVolumeSpec, old: PersistentVolumeSpec): Partial<PersistentVolumeSpec> {
  const { csi } = spec
  if (!csi?.controllerExpandSecretRef || !old.csi || old.csi.controllerExpandSecretRef) return sourceOf(spec)
  const { controllerExpandSecretRef: _, ...rest } = csi
  return sourceOf({ ...spec, csi: rest })
}

function validateChange(spec: PersistentVolumeSpec, old: PersistentVolumeSpec): readonly FieldError[] {
  const errors: FieldError[] = []
  if (!equalJson(fixedSource(spec, old), sourceOf(old))) {
    const why = 'spec.persistentvolumesource is immutable after creation'
    errors.push(forbidden('spec.persistentvolumesource', why))
  }
  errors.push(...fixed('volumeMode', spec.volumeMode, old, old.volumeMode))
  if (old.nodeAffinity) errors.push(...fixed('nodeAffinity', spec.nodeAffinity, old, old.nodeAffinity))
  return errors
}

/** The status says since when the phase is what it is, unless whoever changed it said so. */
function moved(
  status: PersistentVolumeStatus | undefined,
  old: PersistentVolumeStatus,
  nowMs: number,
): PersistentVolumeStatus {
  const { phase, lastPhaseTransitionTime: since } = status ?? {}
  if (phase === old.phase || (since !== undefined && since !== old.lastPhaseTransitionTime)) return status ?? {}
  return { ...status, lastPhaseTransitionTime: rfc3339(nowMs) }
}

function claimText({ claimRef }: PersistentVolumeSpec): string {
  return claimRef ? `${claimRef.namespace ?? ''}/${claimRef.name ?? ''}` : ''
}

export const persistentVolume = defineKind({
  group: '',
  version: 'v1',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  shortNames: ['pv'],
  categories: [],
  scope: 'Cluster',
  stored: true,
  subresources: ['status'],
  schema: persistentVolumeSchema,
  generation: false,
  columns: () => [
    { name: 'Capacity', type: 'string', cell: ({ spec }) => spec.capacity?.['storage'] ?? '0' },
    { name: 'Access Modes', type: 'string', cell: ({ spec }) => accessModesText(spec.accessModes) },
    { name: 'Reclaim Policy', type: 'string', cell: ({ spec }) => spec.persistentVolumeReclaimPolicy ?? '' },
    {
      name: 'Status',
      type: 'string',
      cell: ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined ? (status?.phase ?? '') : 'Terminating',
    },
    { name: 'Claim', type: 'string', cell: ({ spec }) => claimText(spec) },
    { name: 'StorageClass', type: 'string', description: 'StorageClass of the pv', cell: storageClassOf },
    {
      name: 'VolumeAttributesClass',
      type: 'string',
      description: 'VolumeAttributesClass of the pv',
      cell: ({ spec }) => spec.volumeAttributesClassName ?? '<unset>',
    },
    { name: 'Reason', type: 'string', cell: ({ status }) => status?.reason ?? '' },
    ageColumn,
    { name: 'VolumeMode', type: 'string', priority: 1, cell: ({ spec }) => spec.volumeMode ?? '<unset>' },
  ],
  prepare: (object, old, _, nowMs) => ({
    ...object,
    spec: withoutAttributesClass(object.spec ?? {}, old?.spec),
    status: old
      ? moved(object.status, old.status, nowMs)
      : { phase: 'Pending', lastPhaseTransitionTime: rfc3339(nowMs) },
  }),
  defaults: object => ({
    ...object,
    spec: specDefaults(object.spec),
    status: { ...object.status, phase: object.status.phase || 'Pending' },
  }),
  validate: ({ spec }, old) => [...validateVolumeSpec(spec, 'spec'), ...(old ? validateChange(spec, old.spec) : [])],
})
