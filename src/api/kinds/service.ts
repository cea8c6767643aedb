// Service (v1).

import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { condition, objectMeta } from '../types/meta.ts'

export const servicePort = s.object('io.k8s.api.core.v1.ServicePort', {
  name: s.string(1),
  protocol: s.oneOf(2, ['TCP', 'UDP', 'SCTP'], { default: 'TCP' }),
  port: s.int32(3, { required: true }),
  targetPort: s.intOrString(4),
  nodePort: s.int32(5),
  appProtocol: s.string(6),
})
export type ServicePort = TypeOf<typeof servicePort>
export const clientIPConfig = s.object('io.k8s.api.core.v1.ClientIPConfig', {
  timeoutSeconds: s.int32(1),
})
export type ClientIPConfig = TypeOf<typeof clientIPConfig>
export const sessionAffinityConfig = s.object('io.k8s.api.core.v1.SessionAffinityConfig', {
  clientIP: s.of(1, clientIPConfig),
})
export type SessionAffinityConfig = TypeOf<typeof sessionAffinityConfig>
export const serviceSpec = s.object('io.k8s.api.core.v1.ServiceSpec', {
  ports: s.list(1, servicePort, { listType: 'map', mapKeys: ['port', 'protocol'], mergeKey: 'port' }),
  selector: s.map(2, scalars.string, { atomic: true }),
  clusterIP: s.string(3),
  type: s.oneOf(4, ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'], { default: 'ClusterIP' }),
  externalIPs: s.list(5, scalars.string),
  sessionAffinity: s.oneOf(7, ['None', 'ClientIP'], { default: 'None' }),
  loadBalancerIP: s.string(8),
  loadBalancerSourceRanges: s.list(9, scalars.string),
  externalName: s.string(10),
  externalTrafficPolicy: s.oneOf(11, ['Cluster', 'Local']),
  healthCheckNodePort: s.int32(12),
  publishNotReadyAddresses: s.boolean(13),
  sessionAffinityConfig: s.of(14, sessionAffinityConfig),
  ipFamilyPolicy: s.oneOf(17, ['SingleStack', 'PreferDualStack', 'RequireDualStack']),
  clusterIPs: s.list(18, scalars.string),
  ipFamilies: s.list(19, scalars.string),
  allocateLoadBalancerNodePorts: s.boolean(20),
  loadBalancerClass: s.string(21),
  internalTrafficPolicy: s.oneOf(22, ['Cluster', 'Local'], { default: 'Cluster' }),
  trafficDistribution: s.string(23),
})
export type ServiceSpec = TypeOf<typeof serviceSpec>
export const portStatus = s.object('io.k8s.api.core.v1.PortStatus', {
  port: s.int32(1, { required: true }),
  protocol: s.string(2, { required: true }),
  error: s.string(3),
})
export type PortStatus = TypeOf<typeof portStatus>
export const loadBalancerIngress = s.object('io.k8s.api.core.v1.LoadBalancerIngress', {
  ip: s.string(1),
  hostname: s.string(2),
  ipMode: s.string(3),
  ports: s.list(4, portStatus),
})
export type LoadBalancerIngress = TypeOf<typeof loadBalancerIngress>
export const loadBalancerStatus = s.object('io.k8s.api.core.v1.LoadBalancerStatus', {
  ingress: s.list(1, loadBalancerIngress),
})
export type LoadBalancerStatus = TypeOf<typeof loadBalancerStatus>
export const serviceStatus = s.object('io.k8s.api.core.v1.ServiceStatus', {
  loadBalancer: s.of(1, loadBalancerStatus),
  conditions: s.list(2, condition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
})
export type ServiceStatus = TypeOf<typeof serviceStatus>
export const serviceSchema = s.object('io.k8s.api.core.v1.Service', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, serviceSpec, { default: {} }),
  status: s.of(3, serviceStatus, { default: {} }),
})
export type Service = TypeOf<typeof serviceSchema>

export const service = defineKind({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status'],
  schema: serviceSchema,
})
