// What a pod is.

import { s, scalars, type TypeOf } from '../schema.ts'
import { resourceRequirements } from './container.ts'

export const podCondition = s.object('io.k8s.api.core.v1.PodCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  lastProbeTime: s.time(3),
  lastTransitionTime: s.time(4),
  reason: s.string(5),
  message: s.string(6),
  observedGeneration: s.int64(7),
})
export type PodCondition = TypeOf<typeof podCondition>
export const resourceHealth = s.object('io.k8s.api.core.v1.ResourceHealth', {
  resourceID: s.string(1, { required: true }),
  health: s.string(2),
})
export type ResourceHealth = TypeOf<typeof resourceHealth>
export const resourceStatus = s.object('io.k8s.api.core.v1.ResourceStatus', {
  name: s.string(1, { required: true }),
  resources: s.list(2, resourceHealth, { listType: 'map', mapKeys: ['resourceID'] }),
})
export type ResourceStatus = TypeOf<typeof resourceStatus>
export const containerStateRunning = s.object('io.k8s.api.core.v1.ContainerStateRunning', {
  startedAt: s.time(1),
})
export type ContainerStateRunning = TypeOf<typeof containerStateRunning>
export const containerStateTerminated = s.object('io.k8s.api.core.v1.ContainerStateTerminated', {
  exitCode: s.int32(1, { required: true }),
  signal: s.int32(2),
  reason: s.string(3),
  message: s.string(4),
  startedAt: s.time(5),
  finishedAt: s.time(6),
  containerID: s.string(7),
})
export type ContainerStateTerminated = TypeOf<typeof containerStateTerminated>
export const containerStateWaiting = s.object('io.k8s.api.core.v1.ContainerStateWaiting', {
  reason: s.string(1),
  message: s.string(2),
})
export type ContainerStateWaiting = TypeOf<typeof containerStateWaiting>
export const containerState = s.object('io.k8s.api.core.v1.ContainerState', {
  waiting: s.of(1, containerStateWaiting),
  running: s.of(2, containerStateRunning),
  terminated: s.of(3, containerStateTerminated),
})
export type ContainerState = TypeOf<typeof containerState>
export const linuxContainerUser = s.object('io.k8s.api.core.v1.LinuxContainerUser', {
  uid: s.int64(1, { required: true }),
  gid: s.int64(2, { required: true }),
  supplementalGroups: s.list(3, scalars.int64),
})
export type LinuxContainerUser = TypeOf<typeof linuxContainerUser>
export const containerUser = s.object('io.k8s.api.core.v1.ContainerUser', {
  linux: s.of(1, linuxContainerUser),
})
export type ContainerUser = TypeOf<typeof containerUser>
export const volumeMountStatus = s.object('io.k8s.api.core.v1.VolumeMountStatus', {
  name: s.string(1, { required: true }),
  mountPath: s.string(2, { required: true }),
  readOnly: s.boolean(3),
  recursiveReadOnly: s.string(4, { pointer: true }),
})
export type VolumeMountStatus = TypeOf<typeof volumeMountStatus>
export const containerStatus = s.object('io.k8s.api.core.v1.ContainerStatus', {
  name: s.string(1, { required: true }),
  state: s.of(2, containerState),
  lastState: s.of(3, containerState),
  ready: s.boolean(4, { required: true }),
  restartCount: s.int32(5, { required: true }),
  image: s.string(6, { required: true }),
  imageID: s.string(7, { required: true }),
  containerID: s.string(8),
  started: s.boolean(9, { pointer: true }),
  allocatedResources: s.map(10, scalars.quantity),
  resources: s.of(11, resourceRequirements),
  volumeMounts: s.list(12, volumeMountStatus, { listType: 'map', mapKeys: ['mountPath'], mergeKey: 'mountPath' }),
  user: s.of(13, containerUser),
  allocatedResourcesStatus: s.list(14, resourceStatus, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  stopSignal: s.string(15, { pointer: true }),
})
export type ContainerStatus = TypeOf<typeof containerStatus>
export const hostIP = s.object('io.k8s.api.core.v1.HostIP', {
  ip: s.string(1, { required: true }),
})
export type HostIP = TypeOf<typeof hostIP>
export const podIP = s.object('io.k8s.api.core.v1.PodIP', {
  ip: s.string(1, { required: true }),
})
export type PodIP = TypeOf<typeof podIP>
export const podResourceClaimStatus = s.object('io.k8s.api.core.v1.PodResourceClaimStatus', {
  name: s.string(1, { required: true }),
  resourceClaimName: s.string(2, { pointer: true }),
})
export type PodResourceClaimStatus = TypeOf<typeof podResourceClaimStatus>
export const podStatus = s.object('io.k8s.api.core.v1.PodStatus', {
  phase: s.oneOf(1, ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']),
  conditions: s.list(2, podCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
  message: s.string(3),
  reason: s.string(4),
  hostIP: s.string(5),
  podIP: s.string(6),
  startTime: s.time(7),
  containerStatuses: s.list(8, containerStatus),
  qosClass: s.oneOf(9, ['Guaranteed', 'Burstable', 'BestEffort']),
  initContainerStatuses: s.list(10, containerStatus),
  nominatedNodeName: s.string(11),
  podIPs: s.list(12, podIP, { listType: 'map', mapKeys: ['ip'], mergeKey: 'ip' }),
  ephemeralContainerStatuses: s.list(13, containerStatus),
  resize: s.string(14),
  resourceClaimStatuses: s.list(15, podResourceClaimStatus, {
    retainKeys: true,
    listType: 'map',
    mapKeys: ['name'],
    mergeKey: 'name',
  }),
  hostIPs: s.list(16, hostIP, { mergeKey: 'ip' }),
  observedGeneration: s.int64(17),
})
export type PodStatus = TypeOf<typeof podStatus>
