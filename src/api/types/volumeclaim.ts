// Claims to storage, as StatefulSets make them from templates.

import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from './meta.ts'
import { persistentVolumeClaimSpec } from './volume.ts'

export const persistentVolumeClaimCondition = s.object('io.k8s.api.core.v1.PersistentVolumeClaimCondition', {
  status: s.string(2, { required: true }),
  type: s.string(1, { required: true }),
  lastProbeTime: s.time(3),
  lastTransitionTime: s.time(4),
  reason: s.string(5),
  message: s.string(6),
})
export type PersistentVolumeClaimCondition = TypeOf<typeof persistentVolumeClaimCondition>
export const modifyVolumeStatus = s.object('io.k8s.api.core.v1.ModifyVolumeStatus', {
  status: s.string(2, { required: true }),
  targetVolumeAttributesClassName: s.string(1),
})
export type ModifyVolumeStatus = TypeOf<typeof modifyVolumeStatus>
export const persistentVolumeClaimStatus = s.object('io.k8s.api.core.v1.PersistentVolumeClaimStatus', {
  phase: s.string(1),
  accessModes: s.list(2, scalars.string),
  capacity: s.map(3, scalars.quantity),
  conditions: s.list(4, persistentVolumeClaimCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
  allocatedResources: s.map(5, scalars.quantity),
  allocatedResourceStatuses: s.map(7, scalars.string),
  currentVolumeAttributesClassName: s.string(8),
  modifyVolumeStatus: s.of(9, modifyVolumeStatus),
})
export type PersistentVolumeClaimStatus = TypeOf<typeof persistentVolumeClaimStatus>
export const persistentVolumeClaim = s.object('io.k8s.api.core.v1.PersistentVolumeClaim', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, objectMeta),
  spec: s.of(2, persistentVolumeClaimSpec),
  status: s.of(3, persistentVolumeClaimStatus),
})
export type PersistentVolumeClaim = TypeOf<typeof persistentVolumeClaim>
