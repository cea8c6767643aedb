// What a PersistentVolume can be made of, and its spec; a VolumeAttachment may carry one inline.
import { s, scalars, type TypeOf } from '../schema.ts'
import { nodeSelector } from './affinity.ts'
import { objectReference, secretReference } from './reference.ts'
import { hostPathVolumeSource } from './volume.ts'
import {
  awsElasticBlockStoreVolumeSource,
  azureDiskVolumeSource,
  azureFilePersistentVolumeSource,
  cephFSPersistentVolumeSource,
  cinderPersistentVolumeSource,
  fcVolumeSource,
  flexPersistentVolumeSource,
  flockerVolumeSource,
  gcePersistentDiskVolumeSource,
  glusterfsPersistentVolumeSource,
  iscsiPersistentVolumeSource,
  nfsVolumeSource,
  photonPersistentDiskVolumeSource,
  portworxVolumeSource,
  quobyteVolumeSource,
  rbdPersistentVolumeSource,
  scaleIOPersistentVolumeSource,
  storageOSPersistentVolumeSource,
  vsphereVirtualDiskVolumeSource,
} from './volumesource.ts'

export const volumeNodeAffinity = s.object(
  'io.k8s.api.core.v1.VolumeNodeAffinity',
  { required: s.of(1, nodeSelector, 'Rules for the labels of a node, which must hold; required itself.') },
  { description: 'From which nodes a volume can be reached.' },
)
export type VolumeNodeAffinity = TypeOf<typeof volumeNodeAffinity>

export const csiPersistentVolumeSource = s.object(
  'io.k8s.api.core.v1.CSIPersistentVolumeSource',
  {
    driver: s.string(1, { required: true, description: 'Name of the driver, of at most 63 characters.' }),
    volumeHandle: s.string(2, {
      required: true,
      description: 'What the driver calls the volume, as it said when it made it.',
    }),
    readOnly: s.boolean(3, 'Whether the driver is asked to publish the volume for reading alone.'),
    fsType: s.string(4, 'Filesystem to make and mount, such as ext4 or xfs; the driver decides when empty.'),
    volumeAttributes: s.map(5, scalars.string, "The driver's own parameters, as it gave them when it made the volume."),
    controllerPublishSecretRef: s.of(
      6,
      secretReference,
      'Secret for the driver when the volume is attached to a node or detached.',
    ),
    nodeStageSecretRef: s.of(
      7,
      secretReference,
      'Secret for the driver when a node prepares the volume, once for all pods.',
    ),
    nodePublishSecretRef: s.of(8, secretReference, 'Secret for the driver when a node mounts the volume for a pod.'),
    controllerExpandSecretRef: s.of(
      9,
      secretReference,
      'Secret for the driver when the volume grows in its storage. The one part of a source that may be added later.',
    ),
    nodeExpandSecretRef: s.of(10, secretReference, 'Secret for the driver when the filesystem grows on a node.'),
  },
  { description: 'A volume of a CSI driver.' },
)
export type CSIPersistentVolumeSource = TypeOf<typeof csiPersistentVolumeSource>

export const localVolumeSource = s.object(
  'io.k8s.api.core.v1.LocalVolumeSource',
  {
    path: s.string(1, { required: true, description: "Folder or block device on the node, without '..'." }),
    fsType: s.string(2, {
      pointer: true,
      description: 'Filesystem to make on a block device before it is mounted; chosen for it when absent.',
    }),
  },
  { description: 'A disk or folder of one node, which nodeAffinity must name.' },
)
export type LocalVolumeSource = TypeOf<typeof localVolumeSource>

const source = (description: string) => ({ within: [2], description })
export const persistentVolumeSpec = s.object(
  'io.k8s.api.core.v1.PersistentVolumeSpec',
  {
    capacity: s.map(1, scalars.quantity, 'Size in bytes, under the key storage and no other; above zero.'),
    gcePersistentDisk: s.of(1, gcePersistentDiskVolumeSource, source('A disk of Google.')),
    awsElasticBlockStore: s.of(2, awsElasticBlockStoreVolumeSource, source('A disk of Amazon EBS.')),
    hostPath: s.of(3, hostPathVolumeSource, source('A folder of a node: for trials on a single machine.')),
    glusterfs: s.of(4, glusterfsPersistentVolumeSource, source('A volume of Gluster.')),
    nfs: s.of(5, nfsVolumeSource, source('A folder of an NFS server.')),
    rbd: s.of(6, rbdPersistentVolumeSource, source('A block device of Ceph.')),
    iscsi: s.of(7, iscsiPersistentVolumeSource, source('A disk behind iSCSI.')),
    cinder: s.of(8, cinderPersistentVolumeSource, source('A disk of OpenStack.')),
    cephfs: s.of(9, cephFSPersistentVolumeSource, source('A folder of CephFS.')),
    fc: s.of(10, fcVolumeSource, source('A device on a Fibre Channel network.')),
    flocker: s.of(11, flockerVolumeSource, source('A dataset of Flocker.')),
    flexVolume: s.of(12, flexPersistentVolumeSource, source('What an executable on the node mounts.')),
    azureFile: s.of(13, azureFilePersistentVolumeSource, source('A share of Azure Files.')),
    vsphereVolume: s.of(14, vsphereVirtualDiskVolumeSource, source('A virtual disk of vSphere.')),
    quobyte: s.of(15, quobyteVolumeSource, source('A volume of Quobyte.')),
    azureDisk: s.of(16, azureDiskVolumeSource, source('A data disk of Azure.')),
    photonPersistentDisk: s.of(17, photonPersistentDiskVolumeSource, source('A disk of a Photon controller.')),
    portworxVolume: s.of(18, portworxVolumeSource, source('A volume of Portworx.')),
    scaleIO: s.of(19, scaleIOPersistentVolumeSource, source('A volume of ScaleIO.')),
    local: s.of(20, localVolumeSource, source('A disk or folder of one node; nodeAffinity is required with it.')),
    storageos: s.of(21, storageOSPersistentVolumeSource, source('A volume of StorageOS.')),
    csi: s.of(22, csiPersistentVolumeSource, source('A volume of a CSI driver.')),
    accessModes: s.list(
      3,
      scalars.string,
      'What it can do: ReadWriteOnce (one node), ReadOnlyMany, ReadWriteMany; or ReadWriteOncePod (one pod) alone. At least one.',
    ),
    claimRef: s.of(
      4,
      objectReference,
      'Claim that the volume is bound to, or kept for where whoever makes it writes it.',
    ),
    persistentVolumeReclaimPolicy: s.string(
      5,
      'When the claim is gone: Retain keeps the volume for an administrator, Delete removes it with its data, Recycle (obsolete) empties it. Retain when absent.',
    ),
    storageClassName: s.string(6, 'StorageClass whose claims may have it; when empty those that ask for no class.'),
    mountOptions: s.list(
      7,
      scalars.string,
      'Options for mount, such as ro or soft; what is wrong shows when it is mounted.',
    ),
    volumeMode: s.string(8, {
      pointer: true,
      description: 'Filesystem, to be mounted, or Block, a raw device; Filesystem when absent. Immutable.',
    }),
    nodeAffinity: s.of(9, volumeNodeAffinity, 'From which nodes it can be reached, from all when absent; set once.'),
    volumeAttributesClassName: s.string(10, {
      pointer: true,
      description: 'VolumeAttributesClass whose parameters the volume has. Dropped from volumes that had none.',
    }),
  },
  { description: 'What the volume is, one source exactly, and who may have it. The source is immutable.' },
)
export type PersistentVolumeSpec = TypeOf<typeof persistentVolumeSpec>

export const persistentVolumeStatus = s.object(
  'io.k8s.api.core.v1.PersistentVolumeStatus',
  {
    phase: s.string(
      1,
      'Pending, Available (no claim), Bound, Released (its claim is gone) or Failed. While Bound it is not deleted.',
    ),
    message: s.string(2, 'Why the phase is what it is, for people.'),
    reason: s.string(3, 'Why it failed, in one word for machines, shown by kubectl get.'),
    lastPhaseTransitionTime: s.time(4, 'When the phase last changed; the server writes it unless the writer does.'),
  },
  { description: 'How far a volume is. Whoever binds volumes writes it; nothing in this cluster does by itself.' },
)
export type PersistentVolumeStatus = TypeOf<typeof persistentVolumeStatus>
