// Storage outside the cluster as it is named in a pod's volume and in a PersistentVolume: disks of clouds, network
// filesystems, block devices of a storage network. Where the two forms differ, it is in the secret: a pod names one of
// its own namespace, a PersistentVolume one of any.
// https://kubernetes.io/docs/concepts/storage/volumes/#volume-types

import { type Schema, s, scalars, type TypeOf } from '../schema.ts'
import { localObjectReference, objectReference, secretReference } from './reference.ts'

const fsTypeText = 'Filesystem on the device: ext4, xfs or another that the node can mount; ext4 when empty.'
const partitionText = 'Number of the partition to mount; 0 is the whole disk.'
const readOnlyText = 'Mounted read-only for every container, whatever their own mounts say.'

export const awsElasticBlockStoreVolumeSource = s.object(
  'io.k8s.api.core.v1.AWSElasticBlockStoreVolumeSource',
  {
    volumeID: s.string(1, { required: true, description: 'ID of the EBS volume, in the zone of the node.' }),
    fsType: s.string(2, fsTypeText),
    partition: s.int32(3, partitionText),
    readOnly: s.boolean(4, readOnlyText),
  },
  { description: 'A disk of Amazon EBS that exists already. Successor: the CSI driver ebs.csi.aws.com.' },
)
export type AWSElasticBlockStoreVolumeSource = TypeOf<typeof awsElasticBlockStoreVolumeSource>

export const azureDiskVolumeSource = s.object(
  'io.k8s.api.core.v1.AzureDiskVolumeSource',
  {
    kind: s.string(6, {
      pointer: true,
      description:
        'Shared or Dedicated: a blob in a storage account of that sort; Managed: a managed disk. Shared when absent.',
    }),
    diskName: s.string(1, { required: true, description: 'Name of the disk in its blob store or resource group.' }),
    diskURI: s.string(2, {
      required: true,
      description: 'Where the disk is: the URL of a blob, or the resource ID of a managed disk.',
    }),
    cachingMode: s.string(3, {
      pointer: true,
      description: 'What the host caches: None, ReadOnly or ReadWrite; ReadWrite when absent.',
    }),
    fsType: s.string(4, { pointer: true, description: fsTypeText }),
    readOnly: s.boolean(5, { pointer: true, description: readOnlyText }),
  },
  { description: 'A data disk of Azure that exists already. Successor: the CSI driver disk.csi.azure.com.' },
)
export type AzureDiskVolumeSource = TypeOf<typeof azureDiskVolumeSource>

const azureFileAbout = { description: 'An SMB share of Azure Files. Successor: the CSI driver file.csi.azure.com.' }
const azureFile = {
  secretName: s.string(1, {
    required: true,
    description: 'Secret with the keys azurestorageaccountname and azurestorageaccountkey.',
  }),
  shareName: s.string(2, { required: true, description: 'Share to mount, within the storage account.' }),
  readOnly: s.boolean(3, readOnlyText),
}
export const azureFileVolumeSource = s.object('io.k8s.api.core.v1.AzureFileVolumeSource', azureFile, azureFileAbout)
export type AzureFileVolumeSource = TypeOf<typeof azureFileVolumeSource>
export const azureFilePersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.AzureFilePersistentVolumeSource',
  {
    ...azureFile,
    secretNamespace: s.string(4, {
      pointer: true,
      description: 'Namespace of the secret; that of the bound claim when absent.',
    }),
  },
  azureFileAbout,
)
export type AzureFilePersistentVolumeSource = TypeOf<typeof azureFilePersistentVolumeSource>

const cephFSAbout = {
  description: 'A CephFS folder that pods share. Kubernetes took its support out: use the CSI driver of Ceph.',
}
const cephFS = <T>(secret: Schema<T>) => ({
  monitors: s.list(1, scalars.string, { required: true, description: 'Ceph monitors, each as host:port.' }),
  path: s.string(2, 'Folder of the filesystem to mount as its root; / when empty.'),
  user: s.string(3, 'Ceph user to mount as; admin when empty.'),
  secretFile: s.string(4, "File on the node with the user's key; /etc/ceph/user.secret when empty."),
  secretRef: s.of(5, secret, "Secret with the user's key; goes before secretFile."),
  readOnly: s.boolean(6, readOnlyText),
})
export const cephFSVolumeSource = s.object(
  'io.k8s.api.core.v1.CephFSVolumeSource',
  cephFS(localObjectReference),
  cephFSAbout,
)
export type CephFSVolumeSource = TypeOf<typeof cephFSVolumeSource>
export const cephFSPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.CephFSPersistentVolumeSource',
  cephFS(secretReference),
  cephFSAbout,
)
export type CephFSPersistentVolumeSource = TypeOf<typeof cephFSPersistentVolumeSource>

const cinderAbout = { description: 'A disk of OpenStack Cinder. Successor: the CSI driver cinder.csi.openstack.org.' }
const cinder = <T>(secret: Schema<T>) => ({
  volumeID: s.string(1, { required: true, description: 'ID of the volume in Cinder.' }),
  fsType: s.string(2, fsTypeText),
  readOnly: s.boolean(3, readOnlyText),
  secretRef: s.of(4, secret, 'Secret with what is needed to log in to OpenStack.'),
})
export const cinderVolumeSource = s.object(
  'io.k8s.api.core.v1.CinderVolumeSource',
  cinder(localObjectReference),
  cinderAbout,
)
export type CinderVolumeSource = TypeOf<typeof cinderVolumeSource>
export const cinderPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.CinderPersistentVolumeSource',
  cinder(secretReference),
  cinderAbout,
)
export type CinderPersistentVolumeSource = TypeOf<typeof cinderPersistentVolumeSource>

export const fcVolumeSource = s.object(
  'io.k8s.api.core.v1.FCVolumeSource',
  {
    targetWWNs: s.list(1, scalars.string, 'World wide names of the target ports; needs lun, and excludes wwids.'),
    lun: s.int32(2, { pointer: true, description: 'Number of the logical unit behind targetWWNs.' }),
    fsType: s.string(3, fsTypeText),
    readOnly: s.boolean(4, readOnlyText),
    wwids: s.list(5, scalars.string, 'World wide identifiers of the device, instead of targetWWNs and lun.'),
  },
  { description: 'A device on a Fibre Channel network, for one node that writes or many that read.' },
)
export type FCVolumeSource = TypeOf<typeof fcVolumeSource>

const flexAbout = { description: 'A volume that an executable on the node mounts, the way before CSI.' }
const flex = <T>(secret: Schema<T>) => ({
  driver: s.string(1, { required: true, description: 'Driver to call, as vendor/name.' }),
  fsType: s.string(2, 'Filesystem on the device; what the driver takes by itself when empty.'),
  secretRef: s.of(3, secret, 'Secret whose values the driver is handed along with the options.'),
  readOnly: s.boolean(4, readOnlyText),
  options: s.map(5, scalars.string, "The driver's own parameters."),
})
export const flexVolumeSource = s.object('io.k8s.api.core.v1.FlexVolumeSource', flex(localObjectReference), flexAbout)
export type FlexVolumeSource = TypeOf<typeof flexVolumeSource>
export const flexPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.FlexPersistentVolumeSource',
  flex(secretReference),
  flexAbout,
)
export type FlexPersistentVolumeSource = TypeOf<typeof flexPersistentVolumeSource>

export const flockerVolumeSource = s.object(
  'io.k8s.api.core.v1.FlockerVolumeSource',
  {
    datasetName: s.string(1, 'Dataset by the name in its metadata; excludes datasetUUID.'),
    datasetUUID: s.string(2, 'Dataset by its UUID; excludes datasetName.'),
  },
  { description: 'A dataset of Flocker, whose support Kubernetes took out.' },
)
export type FlockerVolumeSource = TypeOf<typeof flockerVolumeSource>

export const gcePersistentDiskVolumeSource = s.object(
  'io.k8s.api.core.v1.GCEPersistentDiskVolumeSource',
  {
    pdName: s.string(1, { required: true, description: 'Name of the disk, in project and zone of the node.' }),
    fsType: s.string(2, fsTypeText),
    partition: s.int32(3, partitionText),
    readOnly: s.boolean(4, 'Mounted read-only for every container; several nodes may then share the disk.'),
  },
  { description: 'A persistent disk of Google that exists already. Successor: the CSI driver pd.csi.storage.gke.io.' },
)
export type GCEPersistentDiskVolumeSource = TypeOf<typeof gcePersistentDiskVolumeSource>

export const gitRepoVolumeSource = s.object(
  'io.k8s.api.core.v1.GitRepoVolumeSource',
  {
    repository: s.string(1, { required: true, description: 'URL to clone from.' }),
    revision: s.string(2, 'Commit to check out; the head of the default branch when empty.'),
    directory: s.string(
      3,
      "Folder to clone into: . is the volume itself, empty one named after the repository; no '..'.",
    ),
  },
  { description: 'A clone of a git repository. Obsolete: let an init container clone into an emptyDir.' },
)
export type GitRepoVolumeSource = TypeOf<typeof gitRepoVolumeSource>

const glusterfsAbout = { description: 'A volume of Gluster, whose support Kubernetes took out.' }
const glusterfs = {
  endpoints: s.string(1, {
    required: true,
    description: 'Name of the Endpoints object that lists the Gluster servers.',
  }),
  path: s.string(2, { required: true, description: 'Name of the Gluster volume.' }),
  readOnly: s.boolean(3, readOnlyText),
}
export const glusterfsVolumeSource = s.object('io.k8s.api.core.v1.GlusterfsVolumeSource', glusterfs, glusterfsAbout)
export type GlusterfsVolumeSource = TypeOf<typeof glusterfsVolumeSource>
export const glusterfsPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.GlusterfsPersistentVolumeSource',
  {
    ...glusterfs,
    endpointsNamespace: s.string(4, {
      pointer: true,
      description: 'Namespace of the Endpoints object; that of the bound claim when absent.',
    }),
  },
  glusterfsAbout,
)
export type GlusterfsPersistentVolumeSource = TypeOf<typeof glusterfsPersistentVolumeSource>

const iscsiAbout = { description: 'A disk behind iSCSI, for one node that writes or many that read.' }
const iscsiInterfaceText = 'Interface of the initiator that the session uses; default means plain TCP.'
const iscsi = <T>(secret: Schema<T>) => ({
  targetPortal: s.string(1, {
    required: true,
    description: 'Portal of the target, as IP or IP:port; port 3260 if none.',
  }),
  iqn: s.string(2, { required: true, description: 'Qualified name of the target.' }),
  lun: s.int32(3, { required: true, description: 'Number of the logical unit, 0 to 255.' }),
  iscsiInterface: s.string(4, iscsiInterfaceText),
  fsType: s.string(5, fsTypeText),
  readOnly: s.boolean(6, readOnlyText),
  portals: s.list(7, scalars.string, 'More portals of the same target, for several paths to it; each IP or IP:port.'),
  chapAuthDiscovery: s.boolean(8, 'Whether discovery of the target logs in by CHAP.'),
  secretRef: s.of(10, secret, 'Secret with names and passwords for CHAP.'),
  chapAuthSession: s.boolean(11, 'Whether the session logs in by CHAP.'),
  initiatorName: s.string(12, {
    pointer: true,
    description: "Name of the initiator in place of the node's own; an interface is made for it.",
  }),
})
export const iscsiVolumeSource = s.object(
  'io.k8s.api.core.v1.ISCSIVolumeSource',
  iscsi(localObjectReference),
  iscsiAbout,
)
export type ISCSIVolumeSource = TypeOf<typeof iscsiVolumeSource>
export const iscsiPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.ISCSIPersistentVolumeSource',
  { ...iscsi(secretReference), iscsiInterface: s.string(4, { default: 'default', description: iscsiInterfaceText }) },
  iscsiAbout,
)
export type ISCSIPersistentVolumeSource = TypeOf<typeof iscsiPersistentVolumeSource>

export const nfsVolumeSource = s.object(
  'io.k8s.api.core.v1.NFSVolumeSource',
  {
    server: s.string(1, { required: true, description: 'Host name or IP of the NFS server.' }),
    path: s.string(2, { required: true, description: 'What the server exports; an absolute path.' }),
    readOnly: s.boolean(3, readOnlyText),
  },
  { description: 'A folder that an NFS server exports; any number of nodes may write.' },
)
export type NFSVolumeSource = TypeOf<typeof nfsVolumeSource>

export const photonPersistentDiskVolumeSource = s.object(
  'io.k8s.api.core.v1.PhotonPersistentDiskVolumeSource',
  {
    pdID: s.string(1, { required: true, description: 'ID of the disk in the Photon controller.' }),
    fsType: s.string(2, fsTypeText),
  },
  { description: 'A disk of a Photon controller, whose support Kubernetes took out.' },
)
export type PhotonPersistentDiskVolumeSource = TypeOf<typeof photonPersistentDiskVolumeSource>

export const portworxVolumeSource = s.object(
  'io.k8s.api.core.v1.PortworxVolumeSource',
  {
    volumeID: s.string(1, { required: true, description: 'Name or ID of the volume in Portworx.' }),
    fsType: s.string(2, fsTypeText),
    readOnly: s.boolean(3, readOnlyText),
  },
  { description: 'A volume of Portworx. Successor: the CSI driver pxd.portworx.com.' },
)
export type PortworxVolumeSource = TypeOf<typeof portworxVolumeSource>

export const quobyteVolumeSource = s.object(
  'io.k8s.api.core.v1.QuobyteVolumeSource',
  {
    registry: s.string(1, { required: true, description: 'Registries of Quobyte, as host:port with commas between.' }),
    volume: s.string(2, { required: true, description: 'Volume to mount, by its name in Quobyte.' }),
    readOnly: s.boolean(3, readOnlyText),
    user: s.string(4, 'User that all access counts as.'),
    group: s.string(5, 'Group that all access counts as; none when empty.'),
    tenant: s.string(6, 'Tenant that owns the volume; set by the provisioner where there is one.'),
  },
  { description: 'A volume of Quobyte, whose support Kubernetes took out.' },
)
export type QuobyteVolumeSource = TypeOf<typeof quobyteVolumeSource>

const rbdAbout = { description: 'A block device of Ceph. Kubernetes took its support out: use the CSI driver of Ceph.' }
const rbdText = {
  pool: 'Pool of the image; rbd when empty.',
  user: 'Ceph user to map the image as; admin when empty.',
  keyring: "File on the node with the user's keys; /etc/ceph/keyring when empty.",
} as const
const rbd = <T>(secret: Schema<T>) => ({
  monitors: s.list(1, scalars.string, { required: true, description: 'Ceph monitors, each as host:port.' }),
  image: s.string(2, { required: true, description: 'Image to map, by its name in the pool.' }),
  fsType: s.string(3, fsTypeText),
  pool: s.string(4, rbdText.pool),
  user: s.string(5, rbdText.user),
  keyring: s.string(6, rbdText.keyring),
  secretRef: s.of(7, secret, "Secret with the user's key; goes before keyring."),
  readOnly: s.boolean(8, readOnlyText),
})
export const rbdVolumeSource = s.object('io.k8s.api.core.v1.RBDVolumeSource', rbd(localObjectReference), rbdAbout)
export type RBDVolumeSource = TypeOf<typeof rbdVolumeSource>
export const rbdPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.RBDPersistentVolumeSource',
  {
    ...rbd(secretReference),
    pool: s.string(4, { default: 'rbd', description: rbdText.pool }),
    user: s.string(5, { default: 'admin', description: rbdText.user }),
    keyring: s.string(6, { default: '/etc/ceph/keyring', description: rbdText.keyring }),
  },
  rbdAbout,
)
export type RBDPersistentVolumeSource = TypeOf<typeof rbdPersistentVolumeSource>

const scaleIOAbout = { description: 'A volume of ScaleIO, whose support Kubernetes took out.' }
const scaleIOFsTypeText = 'Filesystem on the device: xfs, ext4 or another that the node can mount; xfs when empty.'
const scaleIO = <T>(secret: Schema<T>) => ({
  gateway: s.string(1, { required: true, description: 'URL of the API of the ScaleIO gateway.' }),
  system: s.string(2, { required: true, description: 'Name of the storage system, as ScaleIO is configured.' }),
  secretRef: s.of(3, secret, {
    required: true,
    description: 'Secret with name and password to log in to the gateway.',
  }),
  sslEnabled: s.boolean(4, 'Whether the gateway is spoken to by TLS.'),
  protectionDomain: s.string(5, 'Protection domain that the storage is in.'),
  storagePool: s.string(6, 'Pool of the protection domain.'),
  storageMode: s.string(7, 'ThickProvisioned takes all space at once, ThinProvisioned as it is written.'),
  volumeName: s.string(8, 'Volume of the system, made beforehand.'),
  fsType: s.string(9, scaleIOFsTypeText),
  readOnly: s.boolean(10, readOnlyText),
})
export const scaleIOVolumeSource = s.object(
  'io.k8s.api.core.v1.ScaleIOVolumeSource',
  scaleIO(localObjectReference),
  scaleIOAbout,
)
export type ScaleIOVolumeSource = TypeOf<typeof scaleIOVolumeSource>
export const scaleIOPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.ScaleIOPersistentVolumeSource',
  { ...scaleIO(secretReference), fsType: s.string(9, { default: 'xfs', description: scaleIOFsTypeText }) },
  scaleIOAbout,
)
export type ScaleIOPersistentVolumeSource = TypeOf<typeof scaleIOPersistentVolumeSource>

const storageOSAbout = { description: 'A volume of StorageOS, whose support Kubernetes took out.' }
const storageOS = <T>(secret: Schema<T>) => ({
  volumeName: s.string(1, 'Name of the volume, unique in its namespace of StorageOS.'),
  volumeNamespace: s.string(2, 'Namespace in StorageOS; that of the pod when empty.'),
  fsType: s.string(3, fsTypeText),
  readOnly: s.boolean(4, readOnlyText),
  secretRef: s.of(5, secret, 'Secret to log in to the API of StorageOS; its defaults when absent.'),
})
export const storageOSVolumeSource = s.object(
  'io.k8s.api.core.v1.StorageOSVolumeSource',
  storageOS(localObjectReference),
  storageOSAbout,
)
export type StorageOSVolumeSource = TypeOf<typeof storageOSVolumeSource>
export const storageOSPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.StorageOSPersistentVolumeSource',
  storageOS(objectReference),
  storageOSAbout,
)
export type StorageOSPersistentVolumeSource = TypeOf<typeof storageOSPersistentVolumeSource>

export const vsphereVirtualDiskVolumeSource = s.object(
  'io.k8s.api.core.v1.VsphereVirtualDiskVolumeSource',
  {
    volumePath: s.string(1, { required: true, description: 'Path of the VMDK file, with its datastore in front.' }),
    fsType: s.string(2, fsTypeText),
    storagePolicyName: s.string(3, 'Storage policy that the disk was made by.'),
    storagePolicyID: s.string(4, 'ID of the policy that storagePolicyName names.'),
  },
  { description: 'A virtual disk of vSphere. Successor: the CSI driver csi.vsphere.vmware.com.' },
)
export type VsphereVirtualDiskVolumeSource = TypeOf<typeof vsphereVirtualDiskVolumeSource>
