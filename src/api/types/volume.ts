// The sources of a pod's volumes.

import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from './meta.ts'
import { localObjectReference, typedLocalObjectReference, typedObjectReference } from './reference.ts'

export const awsElasticBlockStoreVolumeSource = s.object('io.k8s.api.core.v1.AWSElasticBlockStoreVolumeSource', {
  volumeID: s.string(1, { required: true }),
  fsType: s.string(2),
  partition: s.int32(3),
  readOnly: s.boolean(4),
})
export type AWSElasticBlockStoreVolumeSource = TypeOf<typeof awsElasticBlockStoreVolumeSource>
export const azureDiskVolumeSource = s.object('io.k8s.api.core.v1.AzureDiskVolumeSource', {
  kind: s.string(6, { pointer: true }),
  diskName: s.string(1, { required: true }),
  diskURI: s.string(2, { required: true }),
  cachingMode: s.string(3, { pointer: true }),
  fsType: s.string(4, { pointer: true }),
  readOnly: s.boolean(5, { pointer: true }),
})
export type AzureDiskVolumeSource = TypeOf<typeof azureDiskVolumeSource>
export const azureFileVolumeSource = s.object('io.k8s.api.core.v1.AzureFileVolumeSource', {
  secretName: s.string(1, { required: true }),
  shareName: s.string(2, { required: true }),
  readOnly: s.boolean(3),
})
export type AzureFileVolumeSource = TypeOf<typeof azureFileVolumeSource>
export const cephFSVolumeSource = s.object('io.k8s.api.core.v1.CephFSVolumeSource', {
  monitors: s.list(1, scalars.string, { required: true }),
  path: s.string(2),
  user: s.string(3),
  secretFile: s.string(4),
  secretRef: s.of(5, localObjectReference),
  readOnly: s.boolean(6),
})
export type CephFSVolumeSource = TypeOf<typeof cephFSVolumeSource>
export const cinderVolumeSource = s.object('io.k8s.api.core.v1.CinderVolumeSource', {
  volumeID: s.string(1, { required: true }),
  fsType: s.string(2),
  readOnly: s.boolean(3),
  secretRef: s.of(4, localObjectReference),
})
export type CinderVolumeSource = TypeOf<typeof cinderVolumeSource>
export const keyToPath = s.object('io.k8s.api.core.v1.KeyToPath', {
  key: s.string(1, { required: true }),
  path: s.string(2, { required: true }),
  mode: s.int32(3, { pointer: true }),
})
export type KeyToPath = TypeOf<typeof keyToPath>
export const configMapVolumeSource = s.object('io.k8s.api.core.v1.ConfigMapVolumeSource', {
  items: s.list(2, keyToPath),
  defaultMode: s.int32(3, { pointer: true, default: 420 }),
  optional: s.boolean(4, { pointer: true }),
  name: s.string(1, { within: [1] }),
})
export type ConfigMapVolumeSource = TypeOf<typeof configMapVolumeSource>
export const csiVolumeSource = s.object('io.k8s.api.core.v1.CSIVolumeSource', {
  driver: s.string(1, { required: true }),
  readOnly: s.boolean(2, { pointer: true }),
  fsType: s.string(3, { pointer: true }),
  volumeAttributes: s.map(4, scalars.string),
  nodePublishSecretRef: s.of(5, localObjectReference),
})
export type CSIVolumeSource = TypeOf<typeof csiVolumeSource>
export const objectFieldSelector = s.object(
  'io.k8s.api.core.v1.ObjectFieldSelector',
  {
    apiVersion: s.string(1, { default: 'v1' }),
    fieldPath: s.string(2, { required: true }),
  },
  { atomic: true },
)
export type ObjectFieldSelector = TypeOf<typeof objectFieldSelector>
export const resourceFieldSelector = s.object(
  'io.k8s.api.core.v1.ResourceFieldSelector',
  {
    containerName: s.string(1),
    resource: s.string(2, { required: true }),
    divisor: s.quantity(3, { default: '0' }),
  },
  { atomic: true },
)
export type ResourceFieldSelector = TypeOf<typeof resourceFieldSelector>
export const downwardAPIVolumeFile = s.object('io.k8s.api.core.v1.DownwardAPIVolumeFile', {
  path: s.string(1, { required: true }),
  fieldRef: s.of(2, objectFieldSelector),
  resourceFieldRef: s.of(3, resourceFieldSelector),
  mode: s.int32(4, { pointer: true }),
})
export type DownwardAPIVolumeFile = TypeOf<typeof downwardAPIVolumeFile>
export const downwardAPIVolumeSource = s.object('io.k8s.api.core.v1.DownwardAPIVolumeSource', {
  items: s.list(1, downwardAPIVolumeFile),
  defaultMode: s.int32(2, { pointer: true, default: 420 }),
})
export type DownwardAPIVolumeSource = TypeOf<typeof downwardAPIVolumeSource>
export const emptyDirVolumeSource = s.object('io.k8s.api.core.v1.EmptyDirVolumeSource', {
  medium: s.string(1),
  sizeLimit: s.quantity(2),
})
export type EmptyDirVolumeSource = TypeOf<typeof emptyDirVolumeSource>
export const volumeResourceRequirements = s.object('io.k8s.api.core.v1.VolumeResourceRequirements', {
  limits: s.map(1, scalars.quantity),
  requests: s.map(2, scalars.quantity),
})
export type VolumeResourceRequirements = TypeOf<typeof volumeResourceRequirements>
export const persistentVolumeClaimSpec = s.object('io.k8s.api.core.v1.PersistentVolumeClaimSpec', {
  accessModes: s.list(1, scalars.string),
  resources: s.of(2, volumeResourceRequirements),
  volumeName: s.string(3),
  selector: s.of(4, labelSelector),
  storageClassName: s.string(5, { pointer: true }),
  volumeMode: s.string(6, { pointer: true }),
  dataSource: s.of(7, typedLocalObjectReference),
  dataSourceRef: s.of(8, typedObjectReference),
  volumeAttributesClassName: s.string(9, { pointer: true }),
})
export type PersistentVolumeClaimSpec = TypeOf<typeof persistentVolumeClaimSpec>
export const persistentVolumeClaimTemplate = s.object('io.k8s.api.core.v1.PersistentVolumeClaimTemplate', {
  metadata: s.of(1, objectMeta),
  spec: s.of(2, persistentVolumeClaimSpec, { required: true }),
})
export type PersistentVolumeClaimTemplate = TypeOf<typeof persistentVolumeClaimTemplate>
export const ephemeralVolumeSource = s.object('io.k8s.api.core.v1.EphemeralVolumeSource', {
  volumeClaimTemplate: s.of(1, persistentVolumeClaimTemplate),
})
export type EphemeralVolumeSource = TypeOf<typeof ephemeralVolumeSource>
export const fcVolumeSource = s.object('io.k8s.api.core.v1.FCVolumeSource', {
  targetWWNs: s.list(1, scalars.string),
  lun: s.int32(2, { pointer: true }),
  fsType: s.string(3),
  readOnly: s.boolean(4),
  wwids: s.list(5, scalars.string),
})
export type FCVolumeSource = TypeOf<typeof fcVolumeSource>
export const flexVolumeSource = s.object('io.k8s.api.core.v1.FlexVolumeSource', {
  driver: s.string(1, { required: true }),
  fsType: s.string(2),
  secretRef: s.of(3, localObjectReference),
  readOnly: s.boolean(4),
  options: s.map(5, scalars.string),
})
export type FlexVolumeSource = TypeOf<typeof flexVolumeSource>
export const flockerVolumeSource = s.object('io.k8s.api.core.v1.FlockerVolumeSource', {
  datasetName: s.string(1),
  datasetUUID: s.string(2),
})
export type FlockerVolumeSource = TypeOf<typeof flockerVolumeSource>
export const gcePersistentDiskVolumeSource = s.object('io.k8s.api.core.v1.GCEPersistentDiskVolumeSource', {
  pdName: s.string(1, { required: true }),
  fsType: s.string(2),
  partition: s.int32(3),
  readOnly: s.boolean(4),
})
export type GCEPersistentDiskVolumeSource = TypeOf<typeof gcePersistentDiskVolumeSource>
export const gitRepoVolumeSource = s.object('io.k8s.api.core.v1.GitRepoVolumeSource', {
  repository: s.string(1, { required: true }),
  revision: s.string(2),
  directory: s.string(3),
})
export type GitRepoVolumeSource = TypeOf<typeof gitRepoVolumeSource>
export const glusterfsVolumeSource = s.object('io.k8s.api.core.v1.GlusterfsVolumeSource', {
  endpoints: s.string(1, { required: true }),
  path: s.string(2, { required: true }),
  readOnly: s.boolean(3),
})
export type GlusterfsVolumeSource = TypeOf<typeof glusterfsVolumeSource>
export const hostPathVolumeSource = s.object('io.k8s.api.core.v1.HostPathVolumeSource', {
  path: s.string(1, { required: true }),
  type: s.string(2, { pointer: true, default: '' }),
})
export type HostPathVolumeSource = TypeOf<typeof hostPathVolumeSource>
export const imageVolumeSource = s.object('io.k8s.api.core.v1.ImageVolumeSource', {
  reference: s.string(1),
  pullPolicy: s.string(2),
})
export type ImageVolumeSource = TypeOf<typeof imageVolumeSource>
export const iscsiVolumeSource = s.object('io.k8s.api.core.v1.ISCSIVolumeSource', {
  targetPortal: s.string(1, { required: true }),
  iqn: s.string(2, { required: true }),
  lun: s.int32(3, { required: true }),
  iscsiInterface: s.string(4),
  fsType: s.string(5),
  readOnly: s.boolean(6),
  portals: s.list(7, scalars.string),
  chapAuthDiscovery: s.boolean(8),
  secretRef: s.of(10, localObjectReference),
  chapAuthSession: s.boolean(11),
  initiatorName: s.string(12, { pointer: true }),
})
export type ISCSIVolumeSource = TypeOf<typeof iscsiVolumeSource>
export const nfsVolumeSource = s.object('io.k8s.api.core.v1.NFSVolumeSource', {
  server: s.string(1, { required: true }),
  path: s.string(2, { required: true }),
  readOnly: s.boolean(3),
})
export type NFSVolumeSource = TypeOf<typeof nfsVolumeSource>
export const persistentVolumeClaimVolumeSource = s.object('io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource', {
  claimName: s.string(1, { required: true }),
  readOnly: s.boolean(2),
})
export type PersistentVolumeClaimVolumeSource = TypeOf<typeof persistentVolumeClaimVolumeSource>
export const photonPersistentDiskVolumeSource = s.object('io.k8s.api.core.v1.PhotonPersistentDiskVolumeSource', {
  pdID: s.string(1, { required: true }),
  fsType: s.string(2),
})
export type PhotonPersistentDiskVolumeSource = TypeOf<typeof photonPersistentDiskVolumeSource>
export const portworxVolumeSource = s.object('io.k8s.api.core.v1.PortworxVolumeSource', {
  volumeID: s.string(1, { required: true }),
  fsType: s.string(2),
  readOnly: s.boolean(3),
})
export type PortworxVolumeSource = TypeOf<typeof portworxVolumeSource>
export const clusterTrustBundleProjection = s.object('io.k8s.api.core.v1.ClusterTrustBundleProjection', {
  name: s.string(1, { pointer: true }),
  signerName: s.string(2, { pointer: true }),
  labelSelector: s.of(3, labelSelector),
  path: s.string(4, { required: true }),
  optional: s.boolean(5, { pointer: true }),
})
export type ClusterTrustBundleProjection = TypeOf<typeof clusterTrustBundleProjection>
export const configMapProjection = s.object('io.k8s.api.core.v1.ConfigMapProjection', {
  items: s.list(2, keyToPath),
  optional: s.boolean(4, { pointer: true }),
  name: s.string(1, { within: [1] }),
})
export type ConfigMapProjection = TypeOf<typeof configMapProjection>
export const downwardAPIProjection = s.object('io.k8s.api.core.v1.DownwardAPIProjection', {
  items: s.list(1, downwardAPIVolumeFile),
})
export type DownwardAPIProjection = TypeOf<typeof downwardAPIProjection>
export const secretProjection = s.object('io.k8s.api.core.v1.SecretProjection', {
  items: s.list(2, keyToPath),
  optional: s.boolean(4, { pointer: true }),
  name: s.string(1, { within: [1] }),
})
export type SecretProjection = TypeOf<typeof secretProjection>
export const serviceAccountTokenProjection = s.object('io.k8s.api.core.v1.ServiceAccountTokenProjection', {
  audience: s.string(1),
  expirationSeconds: s.int64(2, { pointer: true, default: 3600 }),
  path: s.string(3, { required: true }),
})
export type ServiceAccountTokenProjection = TypeOf<typeof serviceAccountTokenProjection>
export const volumeProjection = s.object('io.k8s.api.core.v1.VolumeProjection', {
  secret: s.of(1, secretProjection),
  downwardAPI: s.of(2, downwardAPIProjection),
  configMap: s.of(3, configMapProjection),
  serviceAccountToken: s.of(4, serviceAccountTokenProjection),
  clusterTrustBundle: s.of(5, clusterTrustBundleProjection),
})
export type VolumeProjection = TypeOf<typeof volumeProjection>
export const projectedVolumeSource = s.object('io.k8s.api.core.v1.ProjectedVolumeSource', {
  sources: s.list(1, volumeProjection),
  defaultMode: s.int32(2, { pointer: true, default: 420 }),
})
export type ProjectedVolumeSource = TypeOf<typeof projectedVolumeSource>
export const quobyteVolumeSource = s.object('io.k8s.api.core.v1.QuobyteVolumeSource', {
  registry: s.string(1, { required: true }),
  volume: s.string(2, { required: true }),
  readOnly: s.boolean(3),
  user: s.string(4),
  group: s.string(5),
  tenant: s.string(6),
})
export type QuobyteVolumeSource = TypeOf<typeof quobyteVolumeSource>
export const rbdVolumeSource = s.object('io.k8s.api.core.v1.RBDVolumeSource', {
  monitors: s.list(1, scalars.string, { required: true }),
  image: s.string(2, { required: true }),
  fsType: s.string(3),
  pool: s.string(4),
  user: s.string(5),
  keyring: s.string(6),
  secretRef: s.of(7, localObjectReference),
  readOnly: s.boolean(8),
})
export type RBDVolumeSource = TypeOf<typeof rbdVolumeSource>
export const scaleIOVolumeSource = s.object('io.k8s.api.core.v1.ScaleIOVolumeSource', {
  gateway: s.string(1, { required: true }),
  system: s.string(2, { required: true }),
  secretRef: s.of(3, localObjectReference, { required: true }),
  sslEnabled: s.boolean(4),
  protectionDomain: s.string(5),
  storagePool: s.string(6),
  storageMode: s.string(7),
  volumeName: s.string(8),
  fsType: s.string(9),
  readOnly: s.boolean(10),
})
export type ScaleIOVolumeSource = TypeOf<typeof scaleIOVolumeSource>
export const secretVolumeSource = s.object('io.k8s.api.core.v1.SecretVolumeSource', {
  secretName: s.string(1),
  items: s.list(2, keyToPath),
  defaultMode: s.int32(3, { pointer: true, default: 420 }),
  optional: s.boolean(4, { pointer: true }),
})
export type SecretVolumeSource = TypeOf<typeof secretVolumeSource>
export const storageOSVolumeSource = s.object('io.k8s.api.core.v1.StorageOSVolumeSource', {
  volumeName: s.string(1),
  volumeNamespace: s.string(2),
  fsType: s.string(3),
  readOnly: s.boolean(4),
  secretRef: s.of(5, localObjectReference),
})
export type StorageOSVolumeSource = TypeOf<typeof storageOSVolumeSource>
export const vsphereVirtualDiskVolumeSource = s.object('io.k8s.api.core.v1.VsphereVirtualDiskVolumeSource', {
  volumePath: s.string(1, { required: true }),
  fsType: s.string(2),
  storagePolicyName: s.string(3),
  storagePolicyID: s.string(4),
})
export type VsphereVirtualDiskVolumeSource = TypeOf<typeof vsphereVirtualDiskVolumeSource>
export const volume = s.object('io.k8s.api.core.v1.Volume', {
  name: s.string(1, { required: true }),
  hostPath: s.of(1, hostPathVolumeSource, { within: [2] }),
  emptyDir: s.of(2, emptyDirVolumeSource, { within: [2] }),
  gcePersistentDisk: s.of(3, gcePersistentDiskVolumeSource, { within: [2] }),
  awsElasticBlockStore: s.of(4, awsElasticBlockStoreVolumeSource, { within: [2] }),
  gitRepo: s.of(5, gitRepoVolumeSource, { within: [2] }),
  secret: s.of(6, secretVolumeSource, { within: [2] }),
  nfs: s.of(7, nfsVolumeSource, { within: [2] }),
  iscsi: s.of(8, iscsiVolumeSource, { within: [2] }),
  glusterfs: s.of(9, glusterfsVolumeSource, { within: [2] }),
  persistentVolumeClaim: s.of(10, persistentVolumeClaimVolumeSource, { within: [2] }),
  rbd: s.of(11, rbdVolumeSource, { within: [2] }),
  flexVolume: s.of(12, flexVolumeSource, { within: [2] }),
  cinder: s.of(13, cinderVolumeSource, { within: [2] }),
  cephfs: s.of(14, cephFSVolumeSource, { within: [2] }),
  flocker: s.of(15, flockerVolumeSource, { within: [2] }),
  downwardAPI: s.of(16, downwardAPIVolumeSource, { within: [2] }),
  fc: s.of(17, fcVolumeSource, { within: [2] }),
  azureFile: s.of(18, azureFileVolumeSource, { within: [2] }),
  configMap: s.of(19, configMapVolumeSource, { within: [2] }),
  vsphereVolume: s.of(20, vsphereVirtualDiskVolumeSource, { within: [2] }),
  quobyte: s.of(21, quobyteVolumeSource, { within: [2] }),
  azureDisk: s.of(22, azureDiskVolumeSource, { within: [2] }),
  photonPersistentDisk: s.of(23, photonPersistentDiskVolumeSource, { within: [2] }),
  portworxVolume: s.of(24, portworxVolumeSource, { within: [2] }),
  scaleIO: s.of(25, scaleIOVolumeSource, { within: [2] }),
  projected: s.of(26, projectedVolumeSource, { within: [2] }),
  storageos: s.of(27, storageOSVolumeSource, { within: [2] }),
  csi: s.of(28, csiVolumeSource, { within: [2] }),
  ephemeral: s.of(29, ephemeralVolumeSource, { within: [2] }),
  image: s.of(30, imageVolumeSource, { within: [2] }),
})
export type Volume = TypeOf<typeof volume>
