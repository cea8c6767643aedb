// Containers, their probes, environment and limits.

import { s, scalars, type TypeOf } from '../schema.ts'
import { objectFieldSelector, resourceFieldSelector } from './volume.ts'

export const configMapKeySelector = s.object(
  'io.k8s.api.core.v1.ConfigMapKeySelector',
  {
    key: s.string(2, { required: true }),
    optional: s.boolean(3, { pointer: true }),
    name: s.string(1, { within: [1] }),
  },
  { atomic: true },
)
export type ConfigMapKeySelector = TypeOf<typeof configMapKeySelector>
export const secretKeySelector = s.object(
  'io.k8s.api.core.v1.SecretKeySelector',
  {
    key: s.string(2, { required: true }),
    optional: s.boolean(3, { pointer: true }),
    name: s.string(1, { within: [1] }),
  },
  { atomic: true },
)
export type SecretKeySelector = TypeOf<typeof secretKeySelector>
export const envVarSource = s.object('io.k8s.api.core.v1.EnvVarSource', {
  fieldRef: s.of(1, objectFieldSelector),
  resourceFieldRef: s.of(2, resourceFieldSelector),
  configMapKeyRef: s.of(3, configMapKeySelector),
  secretKeyRef: s.of(4, secretKeySelector),
})
export type EnvVarSource = TypeOf<typeof envVarSource>
export const envVar = s.object('io.k8s.api.core.v1.EnvVar', {
  name: s.string(1, { required: true }),
  value: s.string(2),
  valueFrom: s.of(3, envVarSource),
})
export type EnvVar = TypeOf<typeof envVar>
export const configMapEnvSource = s.object('io.k8s.api.core.v1.ConfigMapEnvSource', {
  optional: s.boolean(2, { pointer: true }),
  name: s.string(1, { within: [1] }),
})
export type ConfigMapEnvSource = TypeOf<typeof configMapEnvSource>
export const secretEnvSource = s.object('io.k8s.api.core.v1.SecretEnvSource', {
  optional: s.boolean(2, { pointer: true }),
  name: s.string(1, { within: [1] }),
})
export type SecretEnvSource = TypeOf<typeof secretEnvSource>
export const envFromSource = s.object('io.k8s.api.core.v1.EnvFromSource', {
  prefix: s.string(1),
  configMapRef: s.of(2, configMapEnvSource),
  secretRef: s.of(3, secretEnvSource),
})
export type EnvFromSource = TypeOf<typeof envFromSource>
export const execAction = s.object('io.k8s.api.core.v1.ExecAction', {
  command: s.list(1, scalars.string),
})
export type ExecAction = TypeOf<typeof execAction>
export const httpHeader = s.object('io.k8s.api.core.v1.HTTPHeader', {
  name: s.string(1, { required: true }),
  value: s.string(2, { required: true, default: '' }),
})
export type HTTPHeader = TypeOf<typeof httpHeader>
export const httpGetAction = s.object('io.k8s.api.core.v1.HTTPGetAction', {
  path: s.string(1, { default: '/' }),
  port: s.intOrString(2, { required: true }),
  host: s.string(3),
  scheme: s.oneOf(4, ['HTTP', 'HTTPS'], { default: 'HTTP' }),
  httpHeaders: s.list(5, httpHeader),
})
export type HTTPGetAction = TypeOf<typeof httpGetAction>
export const sleepAction = s.object('io.k8s.api.core.v1.SleepAction', {
  seconds: s.int64(1, { required: true }),
})
export type SleepAction = TypeOf<typeof sleepAction>
export const tcpSocketAction = s.object('io.k8s.api.core.v1.TCPSocketAction', {
  port: s.intOrString(1, { required: true }),
  host: s.string(2),
})
export type TCPSocketAction = TypeOf<typeof tcpSocketAction>
export const lifecycleHandler = s.object('io.k8s.api.core.v1.LifecycleHandler', {
  exec: s.of(1, execAction),
  httpGet: s.of(2, httpGetAction),
  tcpSocket: s.of(3, tcpSocketAction),
  sleep: s.of(4, sleepAction),
})
export type LifecycleHandler = TypeOf<typeof lifecycleHandler>
export const lifecycle = s.object('io.k8s.api.core.v1.Lifecycle', {
  postStart: s.of(1, lifecycleHandler),
  preStop: s.of(2, lifecycleHandler),
  stopSignal: s.string(3, { pointer: true }),
})
export type Lifecycle = TypeOf<typeof lifecycle>
export const grpcAction = s.object('io.k8s.api.core.v1.GRPCAction', {
  port: s.int32(1, { required: true }),
  service: s.string(2, { pointer: true, default: '' }),
})
export type GRPCAction = TypeOf<typeof grpcAction>
export const probe = s.object('io.k8s.api.core.v1.Probe', {
  initialDelaySeconds: s.int32(2),
  timeoutSeconds: s.int32(3, { default: 1 }),
  periodSeconds: s.int32(4, { default: 10 }),
  successThreshold: s.int32(5, { default: 1 }),
  failureThreshold: s.int32(6, { default: 3 }),
  terminationGracePeriodSeconds: s.int64(7, { pointer: true }),
  exec: s.of(1, execAction, { within: [1] }),
  httpGet: s.of(2, httpGetAction, { within: [1] }),
  tcpSocket: s.of(3, tcpSocketAction, { within: [1] }),
  grpc: s.of(4, grpcAction, { within: [1] }),
})
export type Probe = TypeOf<typeof probe>
export const containerPort = s.object('io.k8s.api.core.v1.ContainerPort', {
  name: s.string(1),
  hostPort: s.int32(2),
  containerPort: s.int32(3, { required: true }),
  protocol: s.oneOf(4, ['TCP', 'UDP', 'SCTP'], { default: 'TCP' }),
  hostIP: s.string(5),
})
export type ContainerPort = TypeOf<typeof containerPort>
export const containerResizePolicy = s.object('io.k8s.api.core.v1.ContainerResizePolicy', {
  resourceName: s.string(1, { required: true }),
  restartPolicy: s.string(2, { required: true }),
})
export type ContainerResizePolicy = TypeOf<typeof containerResizePolicy>
export const resourceClaim = s.object('io.k8s.api.core.v1.ResourceClaim', {
  name: s.string(1, { required: true }),
  request: s.string(2),
})
export type ResourceClaim = TypeOf<typeof resourceClaim>
export const resourceRequirements = s.object('io.k8s.api.core.v1.ResourceRequirements', {
  limits: s.map(1, scalars.quantity),
  requests: s.map(2, scalars.quantity),
  claims: s.list(3, resourceClaim, { listType: 'map', mapKeys: ['name'] }),
})
export type ResourceRequirements = TypeOf<typeof resourceRequirements>
export const appArmorProfile = s.object('io.k8s.api.core.v1.AppArmorProfile', {
  type: s.string(1, { required: true }),
  localhostProfile: s.string(2, { pointer: true }),
})
export type AppArmorProfile = TypeOf<typeof appArmorProfile>
export const capabilities = s.object('io.k8s.api.core.v1.Capabilities', {
  add: s.list(1, scalars.string),
  drop: s.list(2, scalars.string),
})
export type Capabilities = TypeOf<typeof capabilities>
export const seLinuxOptions = s.object('io.k8s.api.core.v1.SELinuxOptions', {
  user: s.string(1),
  role: s.string(2),
  type: s.string(3),
  level: s.string(4),
})
export type SELinuxOptions = TypeOf<typeof seLinuxOptions>
export const seccompProfile = s.object('io.k8s.api.core.v1.SeccompProfile', {
  type: s.string(1, { required: true }),
  localhostProfile: s.string(2, { pointer: true }),
})
export type SeccompProfile = TypeOf<typeof seccompProfile>
export const windowsSecurityContextOptions = s.object('io.k8s.api.core.v1.WindowsSecurityContextOptions', {
  gmsaCredentialSpecName: s.string(1, { pointer: true }),
  gmsaCredentialSpec: s.string(2, { pointer: true }),
  runAsUserName: s.string(3, { pointer: true }),
  hostProcess: s.boolean(4, { pointer: true }),
})
export type WindowsSecurityContextOptions = TypeOf<typeof windowsSecurityContextOptions>
export const securityContext = s.object('io.k8s.api.core.v1.SecurityContext', {
  capabilities: s.of(1, capabilities),
  privileged: s.boolean(2, { pointer: true }),
  seLinuxOptions: s.of(3, seLinuxOptions),
  runAsUser: s.int64(4, { pointer: true }),
  runAsNonRoot: s.boolean(5, { pointer: true }),
  readOnlyRootFilesystem: s.boolean(6, { pointer: true }),
  allowPrivilegeEscalation: s.boolean(7, { pointer: true }),
  runAsGroup: s.int64(8, { pointer: true }),
  procMount: s.string(9, { pointer: true }),
  windowsOptions: s.of(10, windowsSecurityContextOptions),
  seccompProfile: s.of(11, seccompProfile),
  appArmorProfile: s.of(12, appArmorProfile),
})
export type SecurityContext = TypeOf<typeof securityContext>
export const volumeDevice = s.object('io.k8s.api.core.v1.VolumeDevice', {
  name: s.string(1, { required: true }),
  devicePath: s.string(2, { required: true }),
})
export type VolumeDevice = TypeOf<typeof volumeDevice>
export const volumeMount = s.object('io.k8s.api.core.v1.VolumeMount', {
  name: s.string(1, { required: true }),
  readOnly: s.boolean(2),
  mountPath: s.string(3, { required: true }),
  subPath: s.string(4),
  mountPropagation: s.oneOf(5, ['None', 'HostToContainer', 'Bidirectional'], { pointer: true }),
  subPathExpr: s.string(6),
  recursiveReadOnly: s.string(7, { pointer: true }),
})
export type VolumeMount = TypeOf<typeof volumeMount>
export const container = s.object('io.k8s.api.core.v1.Container', {
  name: s.string(1, { required: true }),
  image: s.string(2),
  command: s.list(3, scalars.string),
  args: s.list(4, scalars.string),
  workingDir: s.string(5),
  ports: s.list(6, containerPort, {
    listType: 'map',
    mapKeys: ['containerPort', 'protocol'],
    mergeKey: 'containerPort',
  }),
  env: s.list(7, envVar, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  resources: s.of(8, resourceRequirements, { default: {} }),
  volumeMounts: s.list(9, volumeMount, { listType: 'map', mapKeys: ['mountPath'], mergeKey: 'mountPath' }),
  livenessProbe: s.of(10, probe),
  readinessProbe: s.of(11, probe),
  lifecycle: s.of(12, lifecycle),
  terminationMessagePath: s.string(13, { default: '/dev/termination-log' }),
  imagePullPolicy: s.oneOf(14, ['Always', 'IfNotPresent', 'Never']),
  securityContext: s.of(15, securityContext),
  stdin: s.boolean(16),
  stdinOnce: s.boolean(17),
  tty: s.boolean(18),
  envFrom: s.list(19, envFromSource),
  terminationMessagePolicy: s.oneOf(20, ['File', 'FallbackToLogsOnError'], { default: 'File' }),
  volumeDevices: s.list(21, volumeDevice, { listType: 'map', mapKeys: ['devicePath'], mergeKey: 'devicePath' }),
  startupProbe: s.of(22, probe),
  resizePolicy: s.list(23, containerResizePolicy),
  restartPolicy: s.oneOf(24, ['Always'], { pointer: true }),
})
export type Container = TypeOf<typeof container>
export const ephemeralContainer = s.object('io.k8s.api.core.v1.EphemeralContainer', {
  targetContainerName: s.string(2),
  name: s.string(1, { required: true, within: [1] }),
  image: s.string(2, { within: [1] }),
  command: s.list(3, scalars.string, { within: [1] }),
  args: s.list(4, scalars.string, { within: [1] }),
  workingDir: s.string(5, { within: [1] }),
  ports: s.list(6, containerPort, {
    within: [1],
    listType: 'map',
    mapKeys: ['containerPort', 'protocol'],
    mergeKey: 'containerPort',
  }),
  env: s.list(7, envVar, { within: [1], listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  resources: s.of(8, resourceRequirements, { default: {}, within: [1] }),
  volumeMounts: s.list(9, volumeMount, { within: [1], listType: 'map', mapKeys: ['mountPath'], mergeKey: 'mountPath' }),
  livenessProbe: s.of(10, probe, { within: [1] }),
  readinessProbe: s.of(11, probe, { within: [1] }),
  lifecycle: s.of(12, lifecycle, { within: [1] }),
  terminationMessagePath: s.string(13, { default: '/dev/termination-log', within: [1] }),
  imagePullPolicy: s.oneOf(14, ['Always', 'IfNotPresent', 'Never'], { within: [1] }),
  securityContext: s.of(15, securityContext, { within: [1] }),
  stdin: s.boolean(16, { within: [1] }),
  stdinOnce: s.boolean(17, { within: [1] }),
  tty: s.boolean(18, { within: [1] }),
  envFrom: s.list(19, envFromSource, { within: [1] }),
  terminationMessagePolicy: s.oneOf(20, ['File', 'FallbackToLogsOnError'], { default: 'File', within: [1] }),
  volumeDevices: s.list(21, volumeDevice, {
    within: [1],
    listType: 'map',
    mapKeys: ['devicePath'],
    mergeKey: 'devicePath',
  }),
  startupProbe: s.of(22, probe, { within: [1] }),
  resizePolicy: s.list(23, containerResizePolicy, { within: [1] }),
  restartPolicy: s.string(24, { pointer: true, within: [1] }),
})
export type EphemeralContainer = TypeOf<typeof ephemeralContainer>
