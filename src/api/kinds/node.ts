// Node (v1).

import { sortedBy } from '../../lib/sorted.ts'
import { ageColumn } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { validateNode, validateNodeStatus } from '../nodes.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { taint } from '../types/affinity.ts'
import { objectMeta } from '../types/meta.ts'

export const configMapNodeConfigSource = s.object('io.k8s.api.core.v1.ConfigMapNodeConfigSource', {
  namespace: s.string(1, { required: true }),
  name: s.string(2, { required: true }),
  uid: s.string(3),
  resourceVersion: s.string(4),
  kubeletConfigKey: s.string(5, { required: true }),
})
export type ConfigMapNodeConfigSource = TypeOf<typeof configMapNodeConfigSource>
export const nodeConfigSource = s.object('io.k8s.api.core.v1.NodeConfigSource', {
  configMap: s.of(2, configMapNodeConfigSource),
})
export type NodeConfigSource = TypeOf<typeof nodeConfigSource>
export const nodeSpec = s.object('io.k8s.api.core.v1.NodeSpec', {
  podCIDR: s.string(1),
  externalID: s.string(2),
  providerID: s.string(3),
  unschedulable: s.boolean(4),
  taints: s.list(5, taint),
  configSource: s.of(6, nodeConfigSource),
  podCIDRs: s.list(7, scalars.string, { listType: 'set', mergeKey: '' }),
})
export type NodeSpec = TypeOf<typeof nodeSpec>
export const nodeAddress = s.object('io.k8s.api.core.v1.NodeAddress', {
  type: s.string(1, { required: true }),
  address: s.string(2, { required: true }),
})
export type NodeAddress = TypeOf<typeof nodeAddress>
export const nodeCondition = s.object('io.k8s.api.core.v1.NodeCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  lastHeartbeatTime: s.time(3),
  lastTransitionTime: s.time(4),
  reason: s.string(5),
  message: s.string(6),
})
export type NodeCondition = TypeOf<typeof nodeCondition>
export const nodeConfigStatus = s.object('io.k8s.api.core.v1.NodeConfigStatus', {
  assigned: s.of(1, nodeConfigSource),
  active: s.of(2, nodeConfigSource),
  lastKnownGood: s.of(3, nodeConfigSource),
  error: s.string(4),
})
export type NodeConfigStatus = TypeOf<typeof nodeConfigStatus>
export const daemonEndpoint = s.object('io.k8s.api.core.v1.DaemonEndpoint', {
  Port: s.int32(1, { required: true }),
})
export type DaemonEndpoint = TypeOf<typeof daemonEndpoint>
export const nodeDaemonEndpoints = s.object('io.k8s.api.core.v1.NodeDaemonEndpoints', {
  kubeletEndpoint: s.of(1, daemonEndpoint),
})
export type NodeDaemonEndpoints = TypeOf<typeof nodeDaemonEndpoints>
export const nodeFeatures = s.object('io.k8s.api.core.v1.NodeFeatures', {
  supplementalGroupsPolicy: s.boolean(1, { pointer: true }),
})
export type NodeFeatures = TypeOf<typeof nodeFeatures>
export const containerImage = s.object('io.k8s.api.core.v1.ContainerImage', {
  names: s.list(1, scalars.string),
  sizeBytes: s.int64(2),
})
export type ContainerImage = TypeOf<typeof containerImage>
export const nodeSwapStatus = s.object('io.k8s.api.core.v1.NodeSwapStatus', {
  capacity: s.int64(1, { pointer: true }),
})
export type NodeSwapStatus = TypeOf<typeof nodeSwapStatus>
export const nodeSystemInfo = s.object('io.k8s.api.core.v1.NodeSystemInfo', {
  machineID: s.string(1, { required: true }),
  systemUUID: s.string(2, { required: true }),
  bootID: s.string(3, { required: true }),
  kernelVersion: s.string(4, { required: true }),
  osImage: s.string(5, { required: true }),
  containerRuntimeVersion: s.string(6, { required: true }),
  kubeletVersion: s.string(7, { required: true }),
  kubeProxyVersion: s.string(8, { required: true }),
  operatingSystem: s.string(9, { required: true }),
  architecture: s.string(10, { required: true }),
  swap: s.of(11, nodeSwapStatus),
})
export type NodeSystemInfo = TypeOf<typeof nodeSystemInfo>
export const nodeRuntimeHandlerFeatures = s.object('io.k8s.api.core.v1.NodeRuntimeHandlerFeatures', {
  recursiveReadOnlyMounts: s.boolean(1, { pointer: true }),
  userNamespaces: s.boolean(2, { pointer: true }),
})
export type NodeRuntimeHandlerFeatures = TypeOf<typeof nodeRuntimeHandlerFeatures>
export const nodeRuntimeHandler = s.object('io.k8s.api.core.v1.NodeRuntimeHandler', {
  name: s.string(1),
  features: s.of(2, nodeRuntimeHandlerFeatures),
})
export type NodeRuntimeHandler = TypeOf<typeof nodeRuntimeHandler>
export const attachedVolume = s.object('io.k8s.api.core.v1.AttachedVolume', {
  name: s.string(1, { required: true }),
  devicePath: s.string(2, { required: true }),
})
export type AttachedVolume = TypeOf<typeof attachedVolume>
export const nodeStatus = s.object('io.k8s.api.core.v1.NodeStatus', {
  capacity: s.map(1, scalars.quantity),
  allocatable: s.map(2, scalars.quantity),
  phase: s.string(3),
  conditions: s.list(4, nodeCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
  addresses: s.list(5, nodeAddress, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
  daemonEndpoints: s.of(6, nodeDaemonEndpoints),
  nodeInfo: s.of(7, nodeSystemInfo),
  images: s.list(8, containerImage),
  volumesInUse: s.list(9, scalars.string),
  volumesAttached: s.list(10, attachedVolume),
  config: s.of(11, nodeConfigStatus),
  runtimeHandlers: s.list(12, nodeRuntimeHandler),
  features: s.of(13, nodeFeatures),
})
export type NodeStatus = TypeOf<typeof nodeStatus>
export const nodeSchema = s.object('io.k8s.api.core.v1.Node', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, nodeSpec, { default: {} }),
  status: s.of(3, nodeStatus, { default: {} }),
})
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
