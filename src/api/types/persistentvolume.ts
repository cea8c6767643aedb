// What a PersistentVolume can be made of, and its spec; a VolumeAttachment may carry one inline.
import { s, scalars, type TypeOf } from '../schema.ts'
import { nodeSelector } from './affinity.ts'
import { objectReference, secretReference } from './reference.ts'
import {
  awsElasticBlockStoreVolumeSource,
  azureDiskVolumeSource,
  fcVolumeSource,
  flockerVolumeSource,
  gcePersistentDiskVolumeSource,
  hostPathVolumeSource,
  nfsVolumeSource,
  photonPersistentDiskVolumeSource,
  portworxVolumeSource,
  quobyteVolumeSource,
  vsphereVirtualDiskVolumeSource,
} from './volume.ts'
export const volumeNodeAffinity = s.object('io.k8s.api.core.v1.VolumeNodeAffinity', {
  required: s.of(1, nodeSelector),
})
export type VolumeNodeAffinity = TypeOf<typeof volumeNodeAffinity>
export const azureFilePersistentVolumeSource = s.object('io.k8s.api.core.v1.AzureFilePersistentVolumeSource', {
  secretName: s.string(1, { required: true }),
  shareName: s.string(2, { required: true }),
  readOnly: s.boolean(3),
  secretNamespace: s.string(4, { pointer: true }),
})
export type AzureFilePersistentVolumeSource = TypeOf<typeof azureFilePersistentVolumeSource>
export const cephFSPersistentVolumeSource = s.object('io.k8s.api.core.v1.CephFSPersistentVolumeSource', {
  monitors: s.list(1, scalars.string, { required: true }),
  path: s.string(2),
  user: s.string(3),
  secretFile: s.string(4),
  secretRef: s.of(5, secretReference),
  readOnly: s.boolean(6),
})
export type CephFSPersistentVolumeSource = TypeOf<typeof cephFSPersistentVolumeSource>
export const cinderPersistentVolumeSource = s.object('io.k8s.api.core.v1.CinderPersistentVolumeSource', {
  volumeID: s.string(1, { required: true }),
  fsType: s.string(2),
  readOnly: s.boolean(3),
  secretRef: s.of(4, secretReference),
})
export type CinderPersistentVolumeSource = TypeOf<typeof cinderPersistentVolumeSource>
export const csiPersistentVolumeSource = s.object('io.k8s.api.core.v1.CSIPersistentVolumeSource', {
  driver: s.string(1, { required: true }),
  volumeHandle: s.string(2, { required: true }),
  readOnly: s.boolean(3),
  fsType: s.string(4),
  volumeAttributes: s.map(5, scalars.string),
  controllerPublishSecretRef: s.of(6, secretReference),
  nodeStageSecretRef: s.of(7, secretReference),
  nodePublishSecretRef: s.of(8, secretReference),
  controllerExpandSecretRef: s.of(9, secretReference),
  nodeExpandSecretRef: s.of(10, secretReference),
})
export type CSIPersistentVolumeSource = TypeOf<typeof csiPersistentVolumeSource>
export const flexPersistentVolumeSource = s.object('io.k8s.api.core.v1.FlexPersistentVolumeSource', {
  driver: s.string(1, { required: true }),
  fsType: s.string(2),
  secretRef: s.of(3, secretReference),
  readOnly: s.boolean(4),
  options: s.map(5, scalars.string),
})
export type FlexPersistentVolumeSource = TypeOf<typeof flexPersistentVolumeSource>
export const glusterfsPersistentVolumeSource = s.object('io.k8s.api.core.v1.GlusterfsPersistentVolumeSource', {
  endpoints: s.string(1, { required: true }),
  path: s.string(2, { required: true }),
  readOnly: s.boolean(3),
  endpointsNamespace: s.string(4, { pointer: true }),
})
export type GlusterfsPersistentVolumeSource = TypeOf<typeof glusterfsPersistentVolumeSource>
export const iscsiPersistentVolumeSource = s.object('io.k8s.api.core.v1.ISCSIPersistentVolumeSource', {
  targetPortal: s.string(1, { required: true }),
  iqn: s.string(2, { required: true }),
  lun: s.int32(3, { required: true }),
  iscsiInterface: s.string(4, { default: 'default' }),
  fsType: s.string(5),
  readOnly: s.boolean(6),
  portals: s.list(7, scalars.string),
  chapAuthDiscovery: s.boolean(8),
  secretRef: s.of(10, secretReference),
  chapAuthSession: s.boolean(11),
  initiatorName: s.string(12, { pointer: true }),
})
export type ISCSIPersistentVolumeSource = TypeOf<typeof iscsiPersistentVolumeSource>
export const localVolumeSource = s.object('io.k8s.api.core.v1.LocalVolumeSource', {
  path: s.string(1, { required: true }),
  fsType: s.string(2, { pointer: true }),
})
export type LocalVolumeSource = TypeOf<typeof localVolumeSource>
export const rbdPersistentVolumeSource = s.object('io.k8s.api.core.v1.RBDPersistentVolumeSource', {
  monitors: s.list(1, scalars.string, { required: true }),
  image: s.string(2, { required: true }),
  fsType: s.string(3),
  pool: s.string(4, { default: 'rbd' }),
  user: s.string(5, { default: 'admin' }),
  keyring: s.string(6, { default: '/etc/ceph/keyring' }),
  secretRef: s.of(7, secretReference),
  readOnly: s.boolean(8),
})
export type RBDPersistentVolumeSource = TypeOf<typeof rbdPersistentVolumeSource>
export const scaleIOPersistentVolumeSource = s.object('io.k8s.api.core.v1.ScaleIOPersistentVolumeSource', {
  gateway: s.string(1, { required: true }),
  system: s.string(2, { required: true }),
  secretRef: s.of(3, secretReference, { required: true }),
  sslEnabled: s.boolean(4),
  protectionDomain: s.string(5),
  storagePool: s.string(6),
  storageMode: s.string(7),
  volumeName: s.string(8),
  fsType: s.string(9, { default: 'xfs' }),
  readOnly: s.boolean(10),
})
export type ScaleIOPersistentVolumeSource = TypeOf<typeof scaleIOPersistentVolumeSource>
export const storageOSPersistentVolumeSource = s.object('io.k8s.api.core.v1.StorageOSPersistentVolumeSource', {
  volumeName: s.string(1),
  volumeNamespace: s.string(2),
  fsType: s.string(3),
  readOnly: s.boolean(4),
  secretRef: s.of(5, objectReference),
})
export type StorageOSPersistentVolumeSource = TypeOf<typeof storageOSPersistentVolumeSource>
export const persistentVolumeSpec = s.object('io.k8s.api.core.v1.PersistentVolumeSpec', {
  capacity: s.map(1, scalars.quantity),
  gcePersistentDisk: s.of(1, gcePersistentDiskVolumeSource, { within: [2] }),
  awsElasticBlockStore: s.of(2, awsElasticBlockStoreVolumeSource, { within: [2] }),
  hostPath: s.of(3, hostPathVolumeSource, { within: [2] }),
  glusterfs: s.of(4, glusterfsPersistentVolumeSource, { within: [2] }),
  nfs: s.of(5, nfsVolumeSource, { within: [2] }),
  rbd: s.of(6, rbdPersistentVolumeSource, { within: [2] }),
  iscsi: s.of(7, iscsiPersistentVolumeSource, { within: [2] }),
  cinder: s.of(8, cinderPersistentVolumeSource, { within: [2] }),
  cephfs: s.of(9, cephFSPersistentVolumeSource, { within: [2] }),
  fc: s.of(10, fcVolumeSource, { within: [2] }),
  flocker: s.of(11, flockerVolumeSource, { within: [2] }),
  flexVolume: s.of(12, flexPersistentVolumeSource, { within: [2] }),
  azureFile: s.of(13, azureFilePersistentVolumeSource, { within: [2] }),
  vsphereVolume: s.of(14, vsphereVirtualDiskVolumeSource, { within: [2] }),
  quobyte: s.of(15, quobyteVolumeSource, { within: [2] }),
  azureDisk: s.of(16, azureDiskVolumeSource, { within: [2] }),
  photonPersistentDisk: s.of(17, photonPersistentDiskVolumeSource, { within: [2] }),
  portworxVolume: s.of(18, portworxVolumeSource, { within: [2] }),
  scaleIO: s.of(19, scaleIOPersistentVolumeSource, { within: [2] }),
  local: s.of(20, localVolumeSource, { within: [2] }),
  storageos: s.of(21, storageOSPersistentVolumeSource, { within: [2] }),
  csi: s.of(22, csiPersistentVolumeSource, { within: [2] }),
  accessModes: s.list(3, scalars.string),
  claimRef: s.of(4, objectReference),
  persistentVolumeReclaimPolicy: s.string(5),
  storageClassName: s.string(6),
  mountOptions: s.list(7, scalars.string),
  volumeMode: s.string(8, { pointer: true }),
  nodeAffinity: s.of(9, volumeNodeAffinity),
  volumeAttributesClassName: s.string(10, { pointer: true }),
})
export type PersistentVolumeSpec = TypeOf<typeof persistentVolumeSpec>
export const persistentVolumeStatus = s.object('io.k8s.api.core.v1.PersistentVolumeStatus', {
  phase: s.string(1),
  message: s.string(2),
  reason: s.string(3),
  lastPhaseTransitionTime: s.time(4),
})
export type PersistentVolumeStatus = TypeOf<typeof persistentVolumeStatus>
