// What a pod is.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/

import { s, scalars, type TypeOf } from '../schema.ts'
import { resourceRequirements } from './container.ts'

export const podCondition = s.object(
  'io.k8s.api.core.v1.PodCondition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it holds.' }),
    type: s.string(1, {
      required: true,
      description:
        'PodScheduled, PodReadyToStartContainers, Initialized, ContainersReady, Ready, DisruptionTarget, or one of a readiness gate.',
    }),
    lastProbeTime: s.time(3, 'When it was looked at last; for who writes conditions of their own.'),
    lastTransitionTime: s.time(4, 'When its status changed last.'),
    reason: s.string(5, 'Why, as one word for programs: Unschedulable, ContainersNotReady.'),
    message: s.string(6, 'Why, in words for people.'),
    observedGeneration: s.int64(7, 'metadata.generation of the pod that was looked at; nobody writes it here.'),
  },
  { description: 'A point in the life of a pod, and whether it is reached.' },
)
export type PodCondition = TypeOf<typeof podCondition>
export const resourceHealth = s.object(
  'io.k8s.api.core.v1.ResourceHealth',
  {
    resourceID: s.string(1, { required: true, description: 'Which device, as its driver calls it.' }),
    health: s.string(2, 'Healthy, Unhealthy or Unknown.'),
  },
  { description: 'How a device is.' },
)
export type ResourceHealth = TypeOf<typeof resourceHealth>
export const resourceStatus = s.object(
  'io.k8s.api.core.v1.ResourceStatus',
  {
    name: s.string(1, {
      required: true,
      description: 'Resource as in resources: example.com/gpu, or claim:<claim>/<request>.',
    }),
    resources: s.list(2, resourceHealth, {
      listType: 'map',
      mapKeys: ['resourceID'],
      description: 'The devices of that resource that the container got.',
    }),
  },
  { description: 'Health of the devices of one resource; nobody writes it here.' },
)
export type ResourceStatus = TypeOf<typeof resourceStatus>
export const containerStateRunning = s.object(
  'io.k8s.api.core.v1.ContainerStateRunning',
  {
    startedAt: s.time(1, 'When it was started, or started again.'),
  },
  { description: 'Of a container that runs.' },
)
export type ContainerStateRunning = TypeOf<typeof containerStateRunning>
export const containerStateTerminated = s.object(
  'io.k8s.api.core.v1.ContainerStateTerminated',
  {
    exitCode: s.int32(1, {
      required: true,
      description: '0 is success; 128 and a signal number after a signal: 137 is SIGKILL, 143 SIGTERM.',
    }),
    signal: s.int32(2, 'Number of the signal that ended it, where the runtime tells.'),
    reason: s.string(3, 'Completed, Error, OOMKilled (over its memory limit) or ContainerStatusUnknown.'),
    message: s.string(4, 'Its last words from terminationMessagePath, else what the runtime says.'),
    startedAt: s.time(5, 'When it was started.'),
    finishedAt: s.time(6, 'When it ended.'),
    containerID: s.string(7, 'Runtime and ID there: docker://<id>.'),
  },
  { description: 'Of a container that has ended.' },
)
export type ContainerStateTerminated = TypeOf<typeof containerStateTerminated>
export const containerStateWaiting = s.object(
  'io.k8s.api.core.v1.ContainerStateWaiting',
  {
    reason: s.string(
      1,
      'ContainerCreating, PodInitializing, ImagePullBackOff, CrashLoopBackOff, CreateContainerConfigError and others.',
    ),
    message: s.string(2, 'What went wrong, in words for people.'),
  },
  { description: 'Of a container that is not started yet, or not again.' },
)
export type ContainerStateWaiting = TypeOf<typeof containerStateWaiting>
export const containerState = s.object(
  'io.k8s.api.core.v1.ContainerState',
  {
    waiting: s.of(1, containerStateWaiting, 'It is yet to start: why it has not.'),
    running: s.of(2, containerStateRunning, 'It runs: since when.'),
    terminated: s.of(3, containerStateTerminated, 'It has ended: how, and when.'),
  },
  { description: 'What a container is doing; one of these, and none is the same as waiting.' },
)
export type ContainerState = TypeOf<typeof containerState>
export const linuxContainerUser = s.object(
  'io.k8s.api.core.v1.LinuxContainerUser',
  {
    uid: s.int64(1, { required: true, description: 'User ID; 0 is root.' }),
    gid: s.int64(2, { required: true, description: 'Primary group ID.' }),
    supplementalGroups: s.list(3, scalars.int64, 'Other group IDs, those of the image with them.'),
  },
  { description: 'User and groups that the first process of a container was started with.' },
)
export type LinuxContainerUser = TypeOf<typeof linuxContainerUser>
export const containerUser = s.object(
  'io.k8s.api.core.v1.ContainerUser',
  {
    linux: s.of(1, linuxContainerUser, 'On Linux nodes.'),
  },
  { description: 'As whom a container runs; nobody writes it here.' },
)
export type ContainerUser = TypeOf<typeof containerUser>
export const volumeMountStatus = s.object(
  'io.k8s.api.core.v1.VolumeMountStatus',
  {
    name: s.string(1, { required: true, description: 'Volume of the pod.' }),
    mountPath: s.string(2, { required: true, description: 'Path in the container, as in the spec.' }),
    readOnly: s.boolean(3, 'Whether it was mounted read-only.'),
    recursiveReadOnly: s.string(4, {
      pointer: true,
      description: 'Whether mounts below are read-only too: Enabled or Disabled, IfPossible being decided.',
    }),
  },
  { description: 'How a volume was mounted; nobody writes it here.' },
)
export type VolumeMountStatus = TypeOf<typeof volumeMountStatus>
export const containerStatus = s.object(
  'io.k8s.api.core.v1.ContainerStatus',
  {
    name: s.string(1, { required: true, description: 'As in the spec.' }),
    state: s.of(2, containerState, 'What it is doing now.'),
    lastState: s.of(3, containerState, 'How it ended before the last restart, whose log logs --previous shows.'),
    ready: s.boolean(4, {
      required: true,
      description: 'Runs and holds its readinessProbe; of an init container: has succeeded.',
    }),
    restartCount: s.int32(5, { required: true, description: 'How often it was started again. Never falls.' }),
    image: s.string(6, { required: true, description: 'Image as the spec calls it.' }),
    imageID: s.string(7, { required: true, description: 'Image that runs, exactly; empty before the first start.' }),
    containerID: s.string(8, 'Runtime and ID there: docker://<id>. Empty before the first start.'),
    started: s.boolean(9, {
      pointer: true,
      description: 'Runs and has passed its startupProbe, or has none.',
    }),
    allocatedResources: s.map(10, scalars.quantity, 'What the node has set aside for it; nobody writes it here.'),
    resources: s.of(11, resourceRequirements, 'Requests and limits in force while it runs; nobody writes it here.'),
    volumeMounts: s.list(12, volumeMountStatus, {
      listType: 'map',
      mapKeys: ['mountPath'],
      mergeKey: 'mountPath',
      description: 'How its volumes were mounted; nobody writes it here.',
    }),
    user: s.of(13, containerUser, 'As whom it runs; nobody writes it here.'),
    allocatedResourcesStatus: s.list(14, resourceStatus, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Health of its devices; nobody writes it here.',
    }),
    stopSignal: s.string(15, {
      pointer: true,
      description: 'Signal that asks it to end, as far as known; nobody writes it here.',
    }),
  },
  { description: 'How a container of a pod is, written by the kubelet.' },
)
export type ContainerStatus = TypeOf<typeof containerStatus>
export const hostIP = s.object(
  'io.k8s.api.core.v1.HostIP',
  {
    ip: s.string(1, { required: true, description: 'IPv4 or IPv6; here always IPv4.' }),
  },
  { description: 'An address of a node.' },
)
export type HostIP = TypeOf<typeof hostIP>
export const podIP = s.object(
  'io.k8s.api.core.v1.PodIP',
  {
    ip: s.string(1, { required: true, description: 'IPv4 or IPv6; here always IPv4.' }),
  },
  { description: 'An address of a pod.' },
)
export type PodIP = TypeOf<typeof podIP>
export const podResourceClaimStatus = s.object(
  'io.k8s.api.core.v1.PodResourceClaimStatus',
  {
    name: s.string(1, { required: true, description: 'Entry of spec.resourceClaims.' }),
    resourceClaimName: s.string(2, {
      pointer: true,
      description: 'ResourceClaim that was made for it. Absent: none was needed.',
    }),
  },
  { description: 'Which ResourceClaim a template has led to; nobody writes it here.' },
)
export type PodResourceClaimStatus = TypeOf<typeof podResourceClaimStatus>
export const podStatus = s.object(
  'io.k8s.api.core.v1.PodStatus',
  {
    phase: s.oneOf(1, ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'], {
      description:
        'Pending: some container never ran; Running: all did, some still do or will; Succeeded, Failed: over, the latter if one failed.',
    }),
    conditions: s.list(2, podCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'How far it has come: scheduled, initialized, ready.',
    }),
    message: s.string(3, 'reason in words for people.'),
    reason: s.string(4, 'Why it failed as a whole, as one word: DeadlineExceeded, OutOfcpu, NodePorts.'),
    hostIP: s.string(5, 'Address of its node.'),
    podIP: s.string(6, 'Address of the pod, with hostNetwork that of its node. Absent until there is one.'),
    startTime: s.time(
      7,
      'When the kubelet took it, before any image was pulled; activeDeadlineSeconds counts from here.',
    ),
    containerStatuses: s.list(8, containerStatus, 'One for each of spec.containers.'),
    qosClass: s.oneOf(9, ['Guaranteed', 'Burstable', 'BestEffort'], {
      description:
        'Guaranteed: cpu and memory have limits equal to requests; BestEffort: neither at all, killed first when memory is short.',
    }),
    initContainerStatuses: s.list(10, containerStatus, 'One for each of spec.initContainers.'),
    nominatedNodeName: s.string(11, 'Node where pods of lower priority make room for it. It may still go elsewhere.'),
    podIPs: s.list(12, podIP, {
      listType: 'map',
      mapKeys: ['ip'],
      mergeKey: 'ip',
      description: 'podIP as a list; one address, for there is only IPv4 here.',
    }),
    ephemeralContainerStatuses: s.list(13, containerStatus, 'One for each of spec.ephemeralContainers.'),
    resize: s.string(14, 'Proposed, InProgress, Deferred or Infeasible, of a resize; nobody writes it here.'),
    resourceClaimStatuses: s.list(15, podResourceClaimStatus, {
      retainKeys: true,
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Which ResourceClaims its templates have led to; nobody writes it here.',
    }),
    hostIPs: s.list(16, hostIP, { mergeKey: 'ip', description: 'hostIP as a list.' }),
    observedGeneration: s.int64(17, 'metadata.generation of the pod this status is of; nobody writes it here.'),
  },
  { description: 'How a pod is. The kubelet of its node writes it, and before that the scheduler.' },
)
export type PodStatus = TypeOf<typeof podStatus>
