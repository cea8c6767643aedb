// What a pod wants, and the template that controllers copy it from.

import { s, scalars, type TypeOf } from '../schema.ts'
import { affinity, toleration, topologySpreadConstraint } from './affinity.ts'
import {
  appArmorProfile,
  container,
  ephemeralContainer,
  resourceRequirements,
  seccompProfile,
  seLinuxOptions,
  windowsSecurityContextOptions,
} from './container.ts'
import { objectMeta } from './meta.ts'
import { localObjectReference } from './reference.ts'
import { volume } from './volume.ts'

export const podDNSConfigOption = s.object('io.k8s.api.core.v1.PodDNSConfigOption', {
  name: s.string(1),
  value: s.string(2, { pointer: true }),
})
export type PodDNSConfigOption = TypeOf<typeof podDNSConfigOption>
export const podDNSConfig = s.object('io.k8s.api.core.v1.PodDNSConfig', {
  nameservers: s.list(1, scalars.string),
  searches: s.list(2, scalars.string),
  options: s.list(3, podDNSConfigOption),
})
export type PodDNSConfig = TypeOf<typeof podDNSConfig>
export const hostAlias = s.object('io.k8s.api.core.v1.HostAlias', {
  ip: s.string(1, { required: true }),
  hostnames: s.list(2, scalars.string),
})
export type HostAlias = TypeOf<typeof hostAlias>
export const podOS = s.object('io.k8s.api.core.v1.PodOS', {
  name: s.string(1, { required: true }),
})
export type PodOS = TypeOf<typeof podOS>
export const podReadinessGate = s.object('io.k8s.api.core.v1.PodReadinessGate', {
  conditionType: s.string(1, { required: true }),
})
export type PodReadinessGate = TypeOf<typeof podReadinessGate>
export const podResourceClaim = s.object('io.k8s.api.core.v1.PodResourceClaim', {
  name: s.string(1, { required: true }),
  resourceClaimName: s.string(3, { pointer: true }),
  resourceClaimTemplateName: s.string(4, { pointer: true }),
})
export type PodResourceClaim = TypeOf<typeof podResourceClaim>
export const podSchedulingGate = s.object('io.k8s.api.core.v1.PodSchedulingGate', {
  name: s.string(1, { required: true }),
})
export type PodSchedulingGate = TypeOf<typeof podSchedulingGate>
export const sysctl = s.object('io.k8s.api.core.v1.Sysctl', {
  name: s.string(1, { required: true }),
  value: s.string(2, { required: true, default: '' }),
})
export type Sysctl = TypeOf<typeof sysctl>
export const podSecurityContext = s.object('io.k8s.api.core.v1.PodSecurityContext', {
  seLinuxOptions: s.of(1, seLinuxOptions),
  runAsUser: s.int64(2, { pointer: true }),
  runAsNonRoot: s.boolean(3, { pointer: true }),
  supplementalGroups: s.list(4, scalars.int64),
  fsGroup: s.int64(5, { pointer: true }),
  runAsGroup: s.int64(6, { pointer: true }),
  sysctls: s.list(7, sysctl),
  windowsOptions: s.of(8, windowsSecurityContextOptions),
  fsGroupChangePolicy: s.string(9, { pointer: true }),
  seccompProfile: s.of(10, seccompProfile),
  appArmorProfile: s.of(11, appArmorProfile),
  supplementalGroupsPolicy: s.string(12, { pointer: true }),
  seLinuxChangePolicy: s.string(13, { pointer: true }),
})
export type PodSecurityContext = TypeOf<typeof podSecurityContext>
export const podSpec = s.object('io.k8s.api.core.v1.PodSpec', {
  volumes: s.list(1, volume, { retainKeys: true, listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  containers: s.list(2, container, { required: true, listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  restartPolicy: s.oneOf(3, ['Always', 'OnFailure', 'Never'], { default: 'Always' }),
  terminationGracePeriodSeconds: s.int64(4, { pointer: true, default: 30 }),
  activeDeadlineSeconds: s.int64(5, { pointer: true }),
  dnsPolicy: s.oneOf(6, ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'], { default: 'ClusterFirst' }),
  nodeSelector: s.map(7, scalars.string, { atomic: true }),
  serviceAccountName: s.string(8),
  serviceAccount: s.string(9),
  nodeName: s.string(10),
  hostNetwork: s.boolean(11),
  hostPID: s.boolean(12),
  hostIPC: s.boolean(13),
  securityContext: s.of(14, podSecurityContext, { default: {} }),
  imagePullSecrets: s.list(15, localObjectReference, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  hostname: s.string(16),
  subdomain: s.string(17),
  affinity: s.of(18, affinity),
  schedulerName: s.string(19, { default: 'default-scheduler' }),
  initContainers: s.list(20, container, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  automountServiceAccountToken: s.boolean(21, { pointer: true }),
  tolerations: s.list(22, toleration),
  hostAliases: s.list(23, hostAlias, { listType: 'map', mapKeys: ['ip'], mergeKey: 'ip' }),
  priorityClassName: s.string(24),
  priority: s.int32(25, { pointer: true }),
  dnsConfig: s.of(26, podDNSConfig),
  shareProcessNamespace: s.boolean(27, { pointer: true }),
  readinessGates: s.list(28, podReadinessGate),
  runtimeClassName: s.string(29, { pointer: true }),
  enableServiceLinks: s.boolean(30, { pointer: true }),
  preemptionPolicy: s.oneOf(31, ['PreemptLowerPriority', 'Never'], { pointer: true }),
  overhead: s.map(32, scalars.quantity),
  topologySpreadConstraints: s.list(33, topologySpreadConstraint, {
    listType: 'map',
    mapKeys: ['topologyKey', 'whenUnsatisfiable'],
    mergeKey: 'topologyKey',
  }),
  ephemeralContainers: s.list(34, ephemeralContainer, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  setHostnameAsFQDN: s.boolean(35, { pointer: true }),
  os: s.of(36, podOS),
  hostUsers: s.boolean(37, { pointer: true }),
  schedulingGates: s.list(38, podSchedulingGate, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  resourceClaims: s.list(39, podResourceClaim, {
    retainKeys: true,
    listType: 'map',
    mapKeys: ['name'],
    mergeKey: 'name',
  }),
  resources: s.of(40, resourceRequirements),
})
export type PodSpec = TypeOf<typeof podSpec>
export const podTemplateSpec = s.object('io.k8s.api.core.v1.PodTemplateSpec', {
  metadata: s.of(1, objectMeta, { default: {} }),
  spec: s.of(2, podSpec, { default: {} }),
})
export type PodTemplateSpec = TypeOf<typeof podTemplateSpec>
