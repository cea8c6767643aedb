// The volumes of a pod: where the files come from that containers mount, with the claim that a template may make.
// Storage outside the cluster stands in volumesource.ts.
// https://kubernetes.io/docs/concepts/storage/volumes/

import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from './meta.ts'
import { localObjectReference, typedLocalObjectReference, typedObjectReference } from './reference.ts'
import {
  awsElasticBlockStoreVolumeSource,
  azureDiskVolumeSource,
  azureFileVolumeSource,
  cephFSVolumeSource,
  cinderVolumeSource,
  fcVolumeSource,
  flexVolumeSource,
  flockerVolumeSource,
  gcePersistentDiskVolumeSource,
  gitRepoVolumeSource,
  glusterfsVolumeSource,
  iscsiVolumeSource,
  nfsVolumeSource,
  photonPersistentDiskVolumeSource,
  portworxVolumeSource,
  quobyteVolumeSource,
  rbdVolumeSource,
  scaleIOVolumeSource,
  storageOSVolumeSource,
  vsphereVirtualDiskVolumeSource,
} from './volumesource.ts'

const defaultModeText =
  'Mode of files that name none, 0 to 0777: octal in YAML, decimal in JSON, where 420 is 0644. fsGroup may add to it.'
const modeText = 'Mode of this file, 0 to 0777 (octal in YAML, decimal in JSON); defaultMode of the volume when absent.'
const itemsText = 'Which keys become files, and where; when empty each key is a file of its name.'

export const keyToPath = s.object(
  'io.k8s.api.core.v1.KeyToPath',
  {
    key: s.string(1, { required: true, description: 'Key whose value is the content.' }),
    path: s.string(2, {
      required: true,
      description: "File within the volume; folders may stand before it, '..' may not.",
    }),
    mode: s.int32(3, { pointer: true, description: modeText }),
  },
  { description: 'One key of a ConfigMap or Secret as a file.' },
)
export type KeyToPath = TypeOf<typeof keyToPath>

const configMap = {
  items: s.list(2, keyToPath, itemsText),
  optional: s.boolean(4, {
    pointer: true,
    description: 'When true, a missing ConfigMap or key leaves its files out; else the pod waits for it.',
  }),
  name: s.string(1, { within: [1], description: 'ConfigMap of the namespace of the pod; required.' }),
}
export const configMapVolumeSource = s.object(
  'io.k8s.api.core.v1.ConfigMapVolumeSource',
  {
    items: configMap.items,
    defaultMode: s.int32(3, { pointer: true, default: 420, description: defaultModeText }),
    optional: configMap.optional,
    name: configMap.name,
  },
  { description: 'A folder with the values of a ConfigMap as files, which follow its changes.' },
)
export type ConfigMapVolumeSource = TypeOf<typeof configMapVolumeSource>
export const configMapProjection = s.object('io.k8s.api.core.v1.ConfigMapProjection', configMap, {
  description: 'Values of a ConfigMap as files of a projected volume.',
})
export type ConfigMapProjection = TypeOf<typeof configMapProjection>

const secret = {
  items: s.list(2, keyToPath, itemsText),
  optional: s.boolean(4, {
    pointer: true,
    description: 'When true, a missing Secret or key leaves its files out; else the pod waits for it.',
  }),
}
export const secretVolumeSource = s.object(
  'io.k8s.api.core.v1.SecretVolumeSource',
  {
    secretName: s.string(1, 'Secret of the namespace of the pod; required.'),
    items: secret.items,
    defaultMode: s.int32(3, { pointer: true, default: 420, description: defaultModeText }),
    optional: secret.optional,
  },
  { description: 'A folder with the decoded values of a Secret as files, which follow its changes.' },
)
export type SecretVolumeSource = TypeOf<typeof secretVolumeSource>
export const secretProjection = s.object(
  'io.k8s.api.core.v1.SecretProjection',
  { ...secret, name: s.string(1, { within: [1], description: 'Secret of the namespace of the pod; required.' }) },
  { description: 'Decoded values of a Secret as files of a projected volume.' },
)
export type SecretProjection = TypeOf<typeof secretProjection>

export const csiVolumeSource = s.object(
  'io.k8s.api.core.v1.CSIVolumeSource',
  {
    driver: s.string(1, {
      required: true,
      description: 'Name of the driver, of at most 63 characters; its CSIDriver must allow the mode Ephemeral.',
    }),
    readOnly: s.boolean(2, { pointer: true, description: 'Whether it is mounted read-only; false when absent.' }),
    fsType: s.string(3, {
      pointer: true,
      description: 'Filesystem to make and mount; the driver decides when absent.',
    }),
    volumeAttributes: s.map(4, scalars.string, "The driver's own parameters for the volume."),
    nodePublishSecretRef: s.of(
      5,
      localObjectReference,
      'Secret whose values the driver is handed when it mounts the volume.',
    ),
  },
  { description: 'A volume that a CSI driver makes for this pod and takes away with it.' },
)
export type CSIVolumeSource = TypeOf<typeof csiVolumeSource>

export const objectFieldSelector = s.object(
  'io.k8s.api.core.v1.ObjectFieldSelector',
  {
    apiVersion: s.string(1, { default: 'v1', description: 'Version of the API whose spelling fieldPath has.' }),
    fieldPath: s.string(2, {
      required: true,
      description:
        "Path in the pod: metadata.name, metadata.labels['app'], status.podIP. Files and variables allow different ones.",
    }),
  },
  { atomic: true, description: 'A field of the pod itself.' },
)
export type ObjectFieldSelector = TypeOf<typeof objectFieldSelector>
export const resourceFieldSelector = s.object(
  'io.k8s.api.core.v1.ResourceFieldSelector',
  {
    containerName: s.string(1, 'Container that is meant; in a variable its own when empty, in a file required.'),
    resource: s.string(2, {
      required: true,
      description: 'limits or requests, a dot, and cpu, memory, ephemeral-storage or hugepages-<size>: limits.cpu.',
    }),
    divisor: s.quantity(3, {
      default: '0',
      description: 'Unit of the number, which is rounded up: 1m or 1 for cpu, such as 1Mi for bytes; 0 counts as 1.',
    }),
  },
  {
    atomic: true,
    description: "A container's limit or request; cpu and memory without a limit are what the node can give.",
  },
)
export type ResourceFieldSelector = TypeOf<typeof resourceFieldSelector>
export const downwardAPIVolumeFile = s.object(
  'io.k8s.api.core.v1.DownwardAPIVolumeFile',
  {
    path: s.string(1, {
      required: true,
      description: "File within the volume; folders may stand before it, '..' may not.",
    }),
    fieldRef: s.of(
      2,
      objectFieldSelector,
      'Name, namespace, uid, labels or annotations of the pod; excludes resourceFieldRef.',
    ),
    resourceFieldRef: s.of(3, resourceFieldSelector, 'Limit or request of a container; excludes fieldRef.'),
    mode: s.int32(4, { pointer: true, description: modeText }),
  },
  { description: 'A file with one thing that the pod may know of itself.' },
)
export type DownwardAPIVolumeFile = TypeOf<typeof downwardAPIVolumeFile>
const downwardItemsText = 'The files; those with labels or annotations follow their changes.'
export const downwardAPIVolumeSource = s.object(
  'io.k8s.api.core.v1.DownwardAPIVolumeSource',
  {
    items: s.list(1, downwardAPIVolumeFile, downwardItemsText),
    defaultMode: s.int32(2, { pointer: true, default: 420, description: defaultModeText }),
  },
  { description: 'A folder with what the pod may know of itself, a file each.' },
)
export type DownwardAPIVolumeSource = TypeOf<typeof downwardAPIVolumeSource>
export const downwardAPIProjection = s.object(
  'io.k8s.api.core.v1.DownwardAPIProjection',
  { items: s.list(1, downwardAPIVolumeFile, downwardItemsText) },
  { description: 'What the pod may know of itself, as files of a projected volume.' },
)
export type DownwardAPIProjection = TypeOf<typeof downwardAPIProjection>

export const emptyDirVolumeSource = s.object(
  'io.k8s.api.core.v1.EmptyDirVolumeSource',
  {
    medium: s.string(1, "Empty for the node's disk, Memory for a tmpfs. Nodes here refuse HugePages."),
    sizeLimit: s.quantity(2, 'Bytes that fit into a tmpfs. Without effect here on a disk.'),
  },
  {
    description: 'A folder that begins empty, outlives restarts of containers and is deleted with the pod.',
  },
)
export type EmptyDirVolumeSource = TypeOf<typeof emptyDirVolumeSource>

export const volumeResourceRequirements = s.object(
  'io.k8s.api.core.v1.VolumeResourceRequirements',
  {
    limits: s.map(1, scalars.quantity, 'The most that a volume may have, under the key storage, in bytes.'),
    requests: s.map(2, scalars.quantity, 'What a volume must have at least, under the key storage, in bytes.'),
  },
  { description: 'How large the volume shall be.' },
)
export type VolumeResourceRequirements = TypeOf<typeof volumeResourceRequirements>
export const persistentVolumeClaimSpec = s.object(
  'io.k8s.api.core.v1.PersistentVolumeClaimSpec',
  {
    accessModes: s.list(
      1,
      scalars.string,
      'One or more of ReadWriteOnce (one node), ReadOnlyMany, ReadWriteMany; or ReadWriteOncePod (one pod) alone.',
    ),
    resources: s.of(
      2,
      volumeResourceRequirements,
      'Size; requests.storage is required. It may grow once the claim is bound, if the StorageClass allows it.',
    ),
    volumeName: s.string(3, 'PersistentVolume that the claim is bound to or wants; cannot be changed once it is set.'),
    selector: s.of(4, labelSelector, 'Labels that the PersistentVolume must have; with it none is made for the claim.'),
    storageClassName: s.string(5, {
      pointer: true,
      description: "StorageClass of the volume; the default one when absent, '' asks for a volume without class.",
    }),
    volumeMode: s.string(6, {
      pointer: true,
      description: 'Filesystem, to be mounted, or Block, a raw device; Filesystem when absent.',
    }),
    dataSource: s.of(
      7,
      typedLocalObjectReference,
      'VolumeSnapshot or claim of the namespace whose data the volume begins with; copied to dataSourceRef.',
    ),
    dataSourceRef: s.of(
      8,
      typedObjectReference,
      'What the volume begins with, of any kind that a provisioner knows; copied to dataSource unless it names a namespace.',
    ),
    volumeAttributesClassName: s.string(9, {
      pointer: true,
      description: 'VolumeAttributesClass whose parameters the driver applies. Dropped from claims that had none.',
    }),
  },
  { description: 'What a claim asks for. But for what is said below it cannot be changed.' },
)
export type PersistentVolumeClaimSpec = TypeOf<typeof persistentVolumeClaimSpec>
export const persistentVolumeClaimTemplate = s.object(
  'io.k8s.api.core.v1.PersistentVolumeClaimTemplate',
  {
    metadata: s.of(1, objectMeta, 'Labels and annotations of the claim; a name is not taken from here.'),
    spec: s.of(2, persistentVolumeClaimSpec, { required: true, description: 'The spec of the claim, as it is.' }),
  },
  { description: 'The claim to make for a volume of a pod.' },
)
export type PersistentVolumeClaimTemplate = TypeOf<typeof persistentVolumeClaimTemplate>
export const ephemeralVolumeSource = s.object(
  'io.k8s.api.core.v1.EphemeralVolumeSource',
  {
    volumeClaimTemplate: s.of(
      1,
      persistentVolumeClaimTemplate,
      'The claim, which the pod owns and which is called <pod>-<volume>; required.',
    ),
  },
  { description: 'A volume by a claim that is made for the pod and goes with it. No controller here makes the claim.' },
)
export type EphemeralVolumeSource = TypeOf<typeof ephemeralVolumeSource>
export const persistentVolumeClaimVolumeSource = s.object(
  'io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource',
  {
    claimName: s.string(1, {
      required: true,
      description: 'Claim of the namespace of the pod; it is not deleted while a pod uses it.',
    }),
    readOnly: s.boolean(2, 'Mounted read-only for every container, whatever their own mounts say.'),
  },
  { description: 'The volume that a PersistentVolumeClaim is bound to.' },
)
export type PersistentVolumeClaimVolumeSource = TypeOf<typeof persistentVolumeClaimVolumeSource>

export const hostPathVolumeSource = s.object(
  'io.k8s.api.core.v1.HostPathVolumeSource',
  {
    path: s.string(1, { required: true, description: "Absolute path on the node, without '..'; links are followed." }),
    type: s.string(2, {
      pointer: true,
      default: '',
      description:
        'What must be there: Directory, File, Socket, CharDevice, BlockDevice; DirectoryOrCreate and FileOrCreate make it. When empty nothing is checked, and a missing folder is made.',
    }),
  },
  { description: "A file or folder of the node's own filesystem. A pod that may write to it can take over the node." },
)
export type HostPathVolumeSource = TypeOf<typeof hostPathVolumeSource>

export const imageVolumeSource = s.object(
  'io.k8s.api.core.v1.ImageVolumeSource',
  {
    reference: s.string(1, 'Image or OCI artifact, as a container names its image.'),
    pullPolicy: s.string(2, 'Always, IfNotPresent or Never; Always for the tag latest or none, else IfNotPresent.'),
  },
  { description: 'The files of an image or OCI artifact, read-only.' },
)
export type ImageVolumeSource = TypeOf<typeof imageVolumeSource>

export const clusterTrustBundleProjection = s.object(
  'io.k8s.api.core.v1.ClusterTrustBundleProjection',
  {
    name: s.string(1, { pointer: true, description: 'One bundle by its name; excludes signerName and labelSelector.' }),
    signerName: s.string(2, { pointer: true, description: 'All bundles of this signer that labelSelector selects.' }),
    labelSelector: s.of(3, labelSelector, 'Which bundles of the signer: none when absent, all when empty.'),
    path: s.string(4, { required: true, description: 'File within the volume that gets the certificates, as PEM.' }),
    optional: s.boolean(5, {
      pointer: true,
      description: 'When true, the pod starts without the bundle, or with an empty file where nothing is selected.',
    }),
  },
  { description: 'Certificates of ClusterTrustBundles in one file, without duplicates and in no order.' },
)
export type ClusterTrustBundleProjection = TypeOf<typeof clusterTrustBundleProjection>
export const serviceAccountTokenProjection = s.object(
  'io.k8s.api.core.v1.ServiceAccountTokenProjection',
  {
    audience: s.string(1, 'For whom the token is, who shall refuse others; the API server when empty.'),
    expirationSeconds: s.int64(2, {
      pointer: true,
      default: 3600,
      description: 'Life of the token, at least 600 seconds; it is renewed after four fifths of it.',
    }),
    path: s.string(3, { required: true, description: 'File within the volume that gets the token.' }),
  },
  { description: "A token of the pod's service account, which ends with the pod." },
)
export type ServiceAccountTokenProjection = TypeOf<typeof serviceAccountTokenProjection>
export const volumeProjection = s.object(
  'io.k8s.api.core.v1.VolumeProjection',
  {
    secret: s.of(1, secretProjection, 'Values of a Secret.'),
    downwardAPI: s.of(2, downwardAPIProjection, 'What the pod may know of itself.'),
    configMap: s.of(3, configMapProjection, 'Values of a ConfigMap.'),
    serviceAccountToken: s.of(4, serviceAccountTokenProjection, 'A token to log in somewhere as the service account.'),
    clusterTrustBundle: s.of(
      5,
      clusterTrustBundleProjection,
      'Certificates to trust. Nodes here do not mount it: the pod waits.',
    ),
  },
  { description: 'One source of a projected volume: exactly one of the fields.' },
)
export type VolumeProjection = TypeOf<typeof volumeProjection>
export const projectedVolumeSource = s.object(
  'io.k8s.api.core.v1.ProjectedVolumeSource',
  {
    sources: s.list(1, volumeProjection, 'Where the files come from; no two may make the same path.'),
    defaultMode: s.int32(2, { pointer: true, default: 420, description: defaultModeText }),
  },
  { description: 'Files from several sources in one folder, which change all at once.' },
)
export type ProjectedVolumeSource = TypeOf<typeof projectedVolumeSource>

const source = (description: string) => ({ within: [2], description })
/** The node finds no way to mount it, says so in an event, and tries again. */
const unmounted = (description: string) => source(`${description} Nodes here do not mount it: the pod waits.`)
export const volume = s.object(
  'io.k8s.api.core.v1.Volume',
  {
    name: s.string(1, {
      required: true,
      description: 'Unique in the pod, a DNS label; volumeMounts of containers name it.',
    }),
    hostPath: s.of(1, hostPathVolumeSource, source('A file or folder of the node.')),
    emptyDir: s.of(2, emptyDirVolumeSource, source('An empty folder that lives as long as the pod on its node.')),
    gcePersistentDisk: s.of(3, gcePersistentDiskVolumeSource, unmounted('A disk of Google.')),
    awsElasticBlockStore: s.of(4, awsElasticBlockStoreVolumeSource, unmounted('A disk of Amazon EBS.')),
    gitRepo: s.of(5, gitRepoVolumeSource, unmounted('A clone of a git repository.')),
    secret: s.of(6, secretVolumeSource, source('Values of a Secret as files.')),
    nfs: s.of(7, nfsVolumeSource, unmounted('A folder of an NFS server.')),
    iscsi: s.of(8, iscsiVolumeSource, unmounted('A disk behind iSCSI.')),
    glusterfs: s.of(9, glusterfsVolumeSource, unmounted('A volume of Gluster.')),
    persistentVolumeClaim: s.of(10, persistentVolumeClaimVolumeSource, unmounted('The volume of a claim.')),
    rbd: s.of(11, rbdVolumeSource, unmounted('A block device of Ceph.')),
    flexVolume: s.of(12, flexVolumeSource, unmounted('What an executable on the node mounts.')),
    cinder: s.of(13, cinderVolumeSource, unmounted('A disk of OpenStack.')),
    cephfs: s.of(14, cephFSVolumeSource, unmounted('A folder of CephFS.')),
    flocker: s.of(15, flockerVolumeSource, unmounted('A dataset of Flocker.')),
    downwardAPI: s.of(16, downwardAPIVolumeSource, source('What the pod may know of itself, as files.')),
    fc: s.of(17, fcVolumeSource, unmounted('A device on a Fibre Channel network.')),
    azureFile: s.of(18, azureFileVolumeSource, unmounted('A share of Azure Files.')),
    configMap: s.of(19, configMapVolumeSource, source('Values of a ConfigMap as files.')),
    vsphereVolume: s.of(20, vsphereVirtualDiskVolumeSource, unmounted('A virtual disk of vSphere.')),
    quobyte: s.of(21, quobyteVolumeSource, unmounted('A volume of Quobyte.')),
    azureDisk: s.of(22, azureDiskVolumeSource, unmounted('A data disk of Azure.')),
    photonPersistentDisk: s.of(23, photonPersistentDiskVolumeSource, unmounted('A disk of a Photon controller.')),
    portworxVolume: s.of(24, portworxVolumeSource, unmounted('A volume of Portworx.')),
    scaleIO: s.of(25, scaleIOVolumeSource, unmounted('A volume of ScaleIO.')),
    projected: s.of(26, projectedVolumeSource, source('Files from several sources in one folder.')),
    storageos: s.of(27, storageOSVolumeSource, unmounted('A volume of StorageOS.')),
    csi: s.of(28, csiVolumeSource, unmounted('What a CSI driver makes for this pod alone.')),
    ephemeral: s.of(29, ephemeralVolumeSource, unmounted('The volume of a claim made for this pod alone.')),
    image: s.of(30, imageVolumeSource, unmounted('The files of an image.')),
  },
  {
    description:
      'Files that containers of the pod may mount: a name and one source; without a source it is an emptyDir.',
  },
)
export type Volume = TypeOf<typeof volume>
