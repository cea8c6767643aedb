// Node (v1): a machine that runs pods. Its peer reports what it has and how it is; people cordon, label and taint it.

import { sortedBy } from '../../lib/sorted.ts'
import { ageColumn } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { validateNode, validateNodeStatus } from '../nodes.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { taint } from '../types/affinity.ts'
import { objectMeta } from '../types/meta.ts'

export const configMapNodeConfigSource = s.object(
  'io.k8s.api.core.v1.ConfigMapNodeConfigSource',
  {
    namespace: s.string(1, { required: true, description: 'Namespace in which the ConfigMap lies.' }),
    name: s.string(2, { required: true, description: 'Which ConfigMap of the namespace it is.' }),
    uid: s.string(3, 'For reports in status: UID that the ConfigMap had.'),
    resourceVersion: s.string(4, 'For reports in status: version of the ConfigMap that was read.'),
    kubeletConfigKey: s.string(5, {
      required: true,
      description: 'Key in the data of the ConfigMap that holds the settings.',
    }),
  },
  {
    description:
      'A key of a ConfigMap with settings for a node. Kubernetes gave it up, and the server drops what is written of it.',
  },
)
export type ConfigMapNodeConfigSource = TypeOf<typeof configMapNodeConfigSource>
export const nodeConfigSource = s.object(
  'io.k8s.api.core.v1.NodeConfigSource',
  {
    configMap: s.of(2, configMapNodeConfigSource, 'The ConfigMap that holds them.'),
  },
  { description: 'Where a node once found its settings; no longer taken.' },
)
export type NodeConfigSource = TypeOf<typeof nodeConfigSource>
export const nodeSpec = s.object(
  'io.k8s.api.core.v1.NodeSpec',
  {
    podCIDR: s.string(1, 'Range that its pods have their addresses from, as in 10.244.1.0/24: the first of podCIDRs.'),
    externalID: s.string(2, 'Number of the machine in older versions; not used, and immutable.'),
    providerID: s.string(3, 'ID of the machine in its cloud, for the controllers of that cloud. Once set it stays.'),
    unschedulable: s.boolean(4, 'true keeps new pods away, as kubectl cordon does; pods that are there stay.'),
    taints: s.list(5, taint, 'Marks that keep away, or drive away, pods that do not tolerate them.'),
    configSource: s.of(
      6,
      nodeConfigSource,
      'Settings out of a ConfigMap; given up by Kubernetes, and dropped when written.',
    ),
    podCIDRs: s.list(7, scalars.string, {
      listType: 'set',
      mergeKey: '',
      description:
        'Ranges for its pods, one of each address family, given by a controller when empty. Once set they stay.',
    }),
  },
  { description: 'What is wanted of a node.' },
)
export type NodeSpec = TypeOf<typeof nodeSpec>
export const nodeAddress = s.object(
  'io.k8s.api.core.v1.NodeAddress',
  {
    type: s.string(1, { required: true, description: 'Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.' }),
    address: s.string(2, { required: true, description: 'The IP address or the name, as type says.' }),
  },
  { description: 'An address or name of a node.' },
)
export type NodeAddress = TypeOf<typeof nodeAddress>
export const nodeCondition = s.object(
  'io.k8s.api.core.v1.NodeCondition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], {
      required: true,
      description: 'Whether it holds; Unknown when nothing is heard of the node.',
    }),
    type: s.string(1, {
      required: true,
      description: 'What is observed: Ready, MemoryPressure, DiskPressure, PIDPressure, and what others add.',
    }),
    lastHeartbeatTime: s.time(
      3,
      'When it was written last. Nodes write here only what has changed: an old time is no sign of a dead node.',
    ),
    lastTransitionTime: s.time(4, 'When status last went from one value to another.'),
    reason: s.string(5, 'One CamelCase word for programs that says why.'),
    message: s.string(6, 'A sentence for people.'),
  },
  { description: 'One thing that is observed of a node, and since when it is so.' },
)
export type NodeCondition = TypeOf<typeof nodeCondition>
export const nodeConfigStatus = s.object(
  'io.k8s.api.core.v1.NodeConfigStatus',
  {
    assigned: s.of(1, nodeConfigSource, 'Settings that it is to use.'),
    active: s.of(2, nodeConfigSource, 'Settings that it uses now.'),
    lastKnownGood: s.of(3, nodeConfigSource, 'Settings that it goes back to when the assigned ones fail.'),
    error: s.string(4, 'Why the assigned settings are not in use.'),
  },
  { description: 'What a node does with its configSource; no longer taken.' },
)
export type NodeConfigStatus = TypeOf<typeof nodeConfigStatus>
export const daemonEndpoint = s.object(
  'io.k8s.api.core.v1.DaemonEndpoint',
  {
    Port: s.int32(1, { required: true, description: 'Number of the port, written with a capital letter.' }),
  },
  { description: 'A port on which a program of the node listens.' },
)
export type DaemonEndpoint = TypeOf<typeof daemonEndpoint>
export const nodeDaemonEndpoints = s.object(
  'io.k8s.api.core.v1.NodeDaemonEndpoints',
  {
    kubeletEndpoint: s.of(1, daemonEndpoint, 'Where the kubelet listens.'),
  },
  { description: 'Ports of the programs that make a machine a node.' },
)
export type NodeDaemonEndpoints = TypeOf<typeof nodeDaemonEndpoints>
export const nodeFeatures = s.object(
  'io.k8s.api.core.v1.NodeFeatures',
  {
    supplementalGroupsPolicy: s.boolean(1, {
      pointer: true,
      description: 'Whether it knows supplementalGroupsPolicy of pods.',
    }),
  },
  { description: 'What the container runtime can do whatever the handler.' },
)
export type NodeFeatures = TypeOf<typeof nodeFeatures>
export const containerImage = s.object(
  'io.k8s.api.core.v1.ContainerImage',
  {
    names: s.list(1, scalars.string, 'Its names, by tag and by digest.'),
    sizeBytes: s.int64(2, 'What it takes on the disk, in bytes.'),
  },
  { description: 'An image that lies ready on a node.' },
)
export type ContainerImage = TypeOf<typeof containerImage>
export const nodeSwapStatus = s.object(
  'io.k8s.api.core.v1.NodeSwapStatus',
  {
    capacity: s.int64(1, { pointer: true, description: 'All of its swap space, in bytes.' }),
  },
  { description: 'Swap space of a node.' },
)
export type NodeSwapStatus = TypeOf<typeof nodeSwapStatus>
export const nodeSystemInfo = s.object(
  'io.k8s.api.core.v1.NodeSystemInfo',
  {
    machineID: s.string(1, {
      required: true,
      description: 'ID of the installed system, of /etc/machine-id; the name of the host where there is none.',
    }),
    systemUUID: s.string(2, {
      required: true,
      description: 'ID of the hardware, from its firmware; the name of the host where that has none.',
    }),
    bootID: s.string(3, { required: true, description: 'ID that each boot gets anew.' }),
    kernelVersion: s.string(4, { required: true, description: 'Release of the kernel, as in 6.8.0-45-generic.' }),
    osImage: s.string(5, {
      required: true,
      description: 'Name of the system, of /etc/os-release, as in Debian GNU/Linux 12 (bookworm).',
    }),
    containerRuntimeVersion: s.string(6, {
      required: true,
      description: 'Runtime of containers and its version, as in docker://27.3.1.',
    }),
    kubeletVersion: s.string(7, {
      required: true,
      description: "Version of the node's software, which kubectl get nodes shows.",
    }),
    kubeProxyVersion: s.string(8, { required: true, description: 'Deprecated, and empty here.' }),
    operatingSystem: s.string(9, { required: true, description: 'System as Go names it, as in linux.' }),
    architecture: s.string(10, { required: true, description: 'Processor as Go names it, as in amd64 or arm64.' }),
    swap: s.of(11, nodeSwapStatus, 'Swap space of the machine. Not filled in here.'),
  },
  { description: 'The machine, and the versions of what runs it.' },
)
export type NodeSystemInfo = TypeOf<typeof nodeSystemInfo>
export const nodeRuntimeHandlerFeatures = s.object(
  'io.k8s.api.core.v1.NodeRuntimeHandlerFeatures',
  {
    recursiveReadOnlyMounts: s.boolean(1, {
      pointer: true,
      description: 'Whether a read-only mount can include the mounts below it.',
    }),
    userNamespaces: s.boolean(2, {
      pointer: true,
      description: 'Whether pods can have users of their own (hostUsers: false).',
    }),
  },
  { description: 'What pods can ask for with a handler.' },
)
export type NodeRuntimeHandlerFeatures = TypeOf<typeof nodeRuntimeHandlerFeatures>
export const nodeRuntimeHandler = s.object(
  'io.k8s.api.core.v1.NodeRuntimeHandler',
  {
    name: s.string(1, 'Name that a RuntimeClass uses as its handler; empty: the default one.'),
    features: s.of(2, nodeRuntimeHandlerFeatures, 'What pods can ask for with it.'),
  },
  { description: 'A way in which the runtime of a node can run pods.' },
)
export type NodeRuntimeHandler = TypeOf<typeof nodeRuntimeHandler>
export const attachedVolume = s.object(
  'io.k8s.api.core.v1.AttachedVolume',
  {
    name: s.string(1, { required: true, description: 'Name that the plugin of the volume gave it.' }),
    devicePath: s.string(2, { required: true, description: 'Where the node sees the device.' }),
  },
  { description: 'A volume that is attached to a node.' },
)
export type AttachedVolume = TypeOf<typeof attachedVolume>
export const nodeStatus = s.object(
  'io.k8s.api.core.v1.NodeStatus',
  {
    capacity: s.map(
      1,
      scalars.quantity,
      'All that the machine has, by resource: cpu, memory, ephemeral-storage, pods.',
    ),
    allocatable: s.map(
      2,
      scalars.quantity,
      'What pods can have of it together: the capacity but for a reserve. The scheduler goes by this.',
    ),
    phase: s.string(3, 'Deprecated; conditions say more. Not filled in here.'),
    conditions: s.list(4, nodeCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'Whether the node is well: Ready, and what it may be short of.',
    }),
    addresses: s.list(5, nodeAddress, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'Where it is reached: InternalIP and Hostname are filled in here.',
    }),
    daemonEndpoints: s.of(6, nodeDaemonEndpoints, 'Ports of its programs. Not filled in here.'),
    nodeInfo: s.of(7, nodeSystemInfo, 'The machine and its software.'),
    images: s.list(
      8,
      containerImage,
      'Images on the node; the scheduler prefers it for pods that use them. Not filled in here.',
    ),
    volumesInUse: s.list(9, scalars.string, 'Volumes that pods have mounted. Not filled in here.'),
    volumesAttached: s.list(10, attachedVolume, 'Volumes that are attached. Not filled in here.'),
    config: s.of(11, nodeConfigStatus, 'What became of configSource; dropped when written.'),
    runtimeHandlers: s.list(12, nodeRuntimeHandler, 'Handlers for RuntimeClasses. Not filled in here.'),
    features: s.of(13, nodeFeatures, 'What the runtime can do. Not filled in here.'),
  },
  { description: 'What a node reports of itself.' },
)
export type NodeStatus = TypeOf<typeof nodeStatus>
export const nodeSchema = s.object(
  'io.k8s.api.core.v1.Node',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Its name is that of the machine; its labels are what nodeSelector and affinity go by.',
    }),
    spec: s.of(2, nodeSpec, { default: {}, description: 'What is wanted of the node.' }),
    status: s.of(3, nodeStatus, { default: {}, description: 'What the node reports of itself.' }),
  },
  { description: 'A machine that runs pods.' },
)
export type Node = TypeOf<typeof nodeSchema>

function statusText(object: Node): string {
  const ready = (object.status?.conditions ?? []).find(({ type }) => type === 'Ready')
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady']
  if (object.spec?.unschedulable) words.push('SchedulingDisabled')
  return words.join(',')
}

const rolePrefix = 'node-role.kubernetes.io/'

function rolesOf(labels: Readonly<Record<string, string>>): readonly string[] {
  const roles = Object.entries(labels).flatMap(([key, value]) => {
    if (key.startsWith(rolePrefix)) return key.length > rolePrefix.length ? [key.slice(rolePrefix.length)] : []
    return key === 'kubernetes.io/role' && value !== '' ? [value] : []
  })
  return sortedBy(new Set(roles), role => role)
}

function addressText(object: Node, type: string): string {
  return (object.status?.addresses ?? []).find(address => address.type === type)?.address ?? '<none>'
}

function infoText(object: Node, key: 'osImage' | 'kernelVersion' | 'containerRuntimeVersion'): string {
  return object.status?.nodeInfo?.[key] || '<unknown>'
}

/** How the kubelet once was told of its configuration: gone, and kept only where it still stands. */
function withoutConfig(object: Node, old: Node | undefined): Node {
  if (!object.spec?.configSource && !object.status?.config) return object
  const { configSource, ...spec } = object.spec ?? {}
  const { config, ...status } = object.status ?? {}
  return {
    ...object,
    spec: configSource && old?.spec?.configSource ? { ...spec, configSource } : spec,
    status: config && old?.status?.config ? { ...status, config } : status,
  }
}

/** Its first block of addresses stands in a field of its own, too. */
function withBlocks(object: Node): Node {
  const { podCIDR = '', podCIDRs = [] } = object.spec ?? {}
  if ((podCIDR === '') === (podCIDRs.length === 0)) return object
  const blocks = podCIDR === '' ? podCIDRs : [podCIDR]
  return { ...object, spec: { ...object.spec, podCIDR: blocks[0] ?? '', podCIDRs: blocks } }
}

export const node = defineKind({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  categories: [],
  scope: 'Cluster',
  stored: true,
  subresources: ['status'],
  schema: nodeSchema,
  generation: false,
  statusOnCreate: true,
  columns: () => [
    { name: 'Status', type: 'string', cell: statusText },
    { name: 'Roles', type: 'string', cell: ({ metadata }) => rolesOf(metadata.labels ?? {}).join(',') || '<none>' },
    ageColumn,
    { name: 'Version', type: 'string', cell: ({ status }) => status?.nodeInfo?.kubeletVersion ?? '' },
    { name: 'Internal-IP', type: 'string', priority: 1, cell: object => addressText(object, 'InternalIP') },
    { name: 'External-IP', type: 'string', priority: 1, cell: object => addressText(object, 'ExternalIP') },
    { name: 'OS-Image', type: 'string', priority: 1, cell: object => infoText(object, 'osImage') },
    { name: 'Kernel-Version', type: 'string', priority: 1, cell: object => infoText(object, 'kernelVersion') },
    {
      name: 'Container-Runtime',
      type: 'string',
      priority: 1,
      cell: object => infoText(object, 'containerRuntimeVersion'),
    },
  ],
  fieldLabels: ['spec.unschedulable'],
  fields: ({ spec }) => ({ 'spec.unschedulable': String(spec?.unschedulable ?? false) }),
  prepare: withoutConfig,
  defaults: withBlocks,
  validate: validateNode,
  validateStatus: validateNodeStatus,
})
