// What a pod wants, and the template that controllers copy it from.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec

import { s, scalars, type TypeOf } from '../schema.ts'
import { affinity, toleration, topologySpreadConstraint } from './affinity.ts'
import { container, ephemeralContainer, resourceRequirements } from './container.ts'
import { objectMeta } from './meta.ts'
import { localObjectReference } from './reference.ts'
import { podSecurityContext } from './security.ts'
import { volume } from './volume.ts'

export const podDNSConfigOption = s.object(
  'io.k8s.api.core.v1.PodDNSConfigOption',
  {
    name: s.string(1, 'Such as ndots, timeout or edns0. Required.'),
    value: s.string(2, {
      pointer: true,
      description: 'What follows after a colon, as 2 in ndots:2. Default: nothing.',
    }),
  },
  { description: 'An option of resolv.conf.' },
)
export type PodDNSConfigOption = TypeOf<typeof podDNSConfigOption>
export const podDNSConfig = s.object(
  'io.k8s.api.core.v1.PodDNSConfig',
  {
    nameservers: s.list(
      1,
      scalars.string,
      'IP addresses after those of dnsPolicy; the first 3 of all count. With dnsPolicy None at least one is required.',
    ),
    searches: s.list(2, scalars.string, 'Domains that short names are tried in, after those of dnsPolicy; at most 32.'),
    options: s.list(3, podDNSConfigOption, 'Added to those of dnsPolicy; one of the same name takes its place.'),
  },
  { description: 'What resolv.conf of the containers has besides what dnsPolicy gives.' },
)
export type PodDNSConfig = TypeOf<typeof podDNSConfig>
export const hostAlias = s.object(
  'io.k8s.api.core.v1.HostAlias',
  {
    ip: s.string(1, { required: true, description: 'IPv4 or IPv6 address.' }),
    hostnames: s.list(2, scalars.string, 'Names that lead to the address.'),
  },
  { description: 'A line of /etc/hosts.' },
)
export type HostAlias = TypeOf<typeof hostAlias>
export const podOS = s.object(
  'io.k8s.api.core.v1.PodOS',
  {
    name: s.string(1, { required: true, description: 'linux or windows.' }),
  },
  { description: 'The operating system that a pod is written for.' },
)
export type PodOS = TypeOf<typeof podOS>
export const podReadinessGate = s.object(
  'io.k8s.api.core.v1.PodReadinessGate',
  {
    conditionType: s.string(1, {
      required: true,
      description: 'Type in status.conditions, written by a controller of yours: example.com/load-balancer.',
    }),
  },
  { description: 'A condition that must be True before the pod is Ready.' },
)
export type PodReadinessGate = TypeOf<typeof podReadinessGate>
export const podResourceClaim = s.object(
  'io.k8s.api.core.v1.PodResourceClaim',
  {
    name: s.string(1, { required: true, description: 'Unique in the pod; containers use it in resources.claims.' }),
    resourceClaimName: s.string(3, {
      pointer: true,
      description: 'A ResourceClaim of the same namespace, maybe shared; excludes resourceClaimTemplateName.',
    }),
    resourceClaimTemplateName: s.string(4, {
      pointer: true,
      description: 'Template for a ResourceClaim that lives and ends with the pod; excludes resourceClaimName.',
    }),
  },
  { description: 'Devices for a pod, by a ResourceClaim. Stored, without effect here.' },
)
export type PodResourceClaim = TypeOf<typeof podResourceClaim>
export const podSchedulingGate = s.object(
  'io.k8s.api.core.v1.PodSchedulingGate',
  {
    name: s.string(1, {
      required: true,
      description: 'Tells what is waited for: example.com/quota. Unique in the pod.',
    }),
  },
  { description: 'Keeps a pod from being scheduled until it is removed.' },
)
export type PodSchedulingGate = TypeOf<typeof podSchedulingGate>
export const podSpec = s.object(
  'io.k8s.api.core.v1.PodSpec',
  {
    volumes: s.list(1, volume, {
      retainKeys: true,
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Storage, configuration and folders that containers mount by volumeMounts.',
    }),
    containers: s.list(2, container, {
      required: true,
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'At least one; they start together once initContainers are done. None is added or removed later.',
    }),
    restartPolicy: s.oneOf(3, ['Always', 'OnFailure', 'Never'], {
      default: 'Always',
      description:
        'Whether containers that end start again, after a growing pause. Jobs need OnFailure or Never. Default: Always.',
    }),
    terminationGracePeriodSeconds: s.int64(4, {
      pointer: true,
      default: 30,
      description: 'Seconds that a container gets to end, its preStop hook included, before it is killed. Default: 30.',
    }),
    activeDeadlineSeconds: s.int64(5, {
      pointer: true,
      description: 'Seconds from status.startTime until the pod is ended as Failed. Can be set or lowered later.',
    }),
    dnsPolicy: s.oneOf(6, ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'], {
      default: 'ClusterFirst',
      description:
        'Who resolves names: cluster DNS (ClusterFirst; with hostNetwork it takes ClusterFirstWithHostNet), the resolvers of ' +
        'the node (Default), or dnsConfig alone (None). Absent: ClusterFirst.',
    }),
    nodeSelector: s.map(7, scalars.string, {
      atomic: true,
      description: 'Labels that a node must have, all of them, to get the pod.',
    }),
    serviceAccountName: s.string(
      8,
      'ServiceAccount of the same namespace, with whose rights the pod speaks to the API. Default: default.',
    ),
    serviceAccount: s.string(9, 'Old name of serviceAccountName; both always show the same.'),
    nodeName: s.string(10, 'Node that runs the pod, filled in by the scheduler. Set at creation, it bypasses that.'),
    hostNetwork: s.boolean(11, 'True: uses addresses and ports of the node, not a network of its own. Default: false.'),
    hostPID: s.boolean(12, 'True: sees the processes of the node; excludes shareProcessNamespace. Default: false.'),
    hostIPC: s.boolean(13, 'True: shares memory segments, semaphores and queues with the node. Default: false.'),
    securityContext: s.of(14, podSecurityContext, {
      default: {},
      description: 'As whom its containers run and what they may do, unless their own says otherwise.',
    }),
    imagePullSecrets: s.list(15, localObjectReference, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description:
        'Secrets of type kubernetes.io/dockerconfigjson for registries. Default: those of the ServiceAccount.',
    }),
    hostname: s.string(16, 'Name of the host inside the pod, a DNS label. Default: the name of the pod.'),
    subdomain: s.string(
      17,
      'Headless Service through which the pod is found as <hostname>.<subdomain>.<namespace>.svc.<domain of the cluster>.',
    ),
    affinity: s.of(18, affinity, 'Which nodes it needs or prefers, and which pods near or far from it.'),
    schedulerName: s.string(19, {
      default: 'default-scheduler',
      description:
        'Which scheduler chooses the node; any but the default is one that you run. Default: default-scheduler.',
    }),
    initContainers: s.list(20, container, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description:
        'Run before containers, one after the other, each until it succeeds. With restartPolicy Always they stay as sidecars.',
    }),
    automountServiceAccountToken: s.boolean(21, {
      pointer: true,
      description: 'False: no token in the containers. Default: what the ServiceAccount says, else true.',
    }),
    tolerations: s.list(
      22,
      toleration,
      'Taints of nodes that do not keep the pod away. Later more can be added, none taken away.',
    ),
    hostAliases: s.list(23, hostAlias, {
      listType: 'map',
      mapKeys: ['ip'],
      mergeKey: 'ip',
      description: 'Lines that are added to /etc/hosts of the containers.',
    }),
    priorityClassName: s.string(
      24,
      'PriorityClass that ranks the pod. Default: the one with globalDefault, else none and priority 0.',
    ),
    priority: s.int32(25, {
      pointer: true,
      description: 'Rank by which pods are scheduled and displaced; from the PriorityClass, any other is refused.',
    }),
    dnsConfig: s.of(26, podDNSConfig, 'Name servers, search domains and options besides those of dnsPolicy.'),
    shareProcessNamespace: s.boolean(27, {
      pointer: true,
      description:
        'True: containers see and can signal the processes of one another; excludes hostPID. Default: false.',
    }),
    readinessGates: s.list(28, podReadinessGate, 'Conditions besides ready containers without which it is not Ready.'),
    runtimeClassName: s.string(29, {
      pointer: true,
      description: 'RuntimeClass that gives overhead, node labels and tolerations; its handler has no effect here.',
    }),
    enableServiceLinks: s.boolean(30, {
      pointer: true,
      description:
        'Whether containers get variables such as WEB_SERVICE_HOST for Services of their namespace. Default: true.',
    }),
    preemptionPolicy: s.oneOf(31, ['PreemptLowerPriority', 'Never'], {
      pointer: true,
      description:
        'Whether pods of lower priority may be removed for it; from the PriorityClass, any other is refused.',
    }),
    overhead: s.map(
      32,
      scalars.quantity,
      'What the pod takes of the node besides its containers; from the RuntimeClass, any other is refused.',
    ),
    topologySpreadConstraints: s.list(33, topologySpreadConstraint, {
      listType: 'map',
      mapKeys: ['topologyKey', 'whenUnsatisfiable'],
      mergeKey: 'topologyKey',
      description: 'How evenly pods are laid over zones, nodes or other places; all of them hold.',
    }),
    ephemeralContainers: s.list(34, ephemeralContainer, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Added while the pod runs, by pods/ephemeralcontainers, to look into it; not at creation.',
    }),
    setHostnameAsFQDN: s.boolean(35, {
      pointer: true,
      description:
        'True: with subdomain, the host name is the full domain name, at most 64 characters. Default: false.',
    }),
    os: s.of(36, podOS, 'What it is written for, which Pod Security takes into account; the scheduler does not.'),
    hostUsers: s.boolean(37, {
      pointer: true,
      description: 'False: a user namespace of its own. Stored, without effect here: users are those of the node.',
    }),
    schedulingGates: s.list(38, podSchedulingGate, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'While there is one, the pod is not scheduled. After creation they can only be removed.',
    }),
    resourceClaims: s.list(39, podResourceClaim, {
      retainKeys: true,
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Devices that containers can use. Stored, without effect here.',
    }),
    resources: s.of(
      40,
      resourceRequirements,
      'Cpu and memory of the pod as a whole, for scheduler and quotas. On the node, limits of containers alone hold here.',
    ),
  },
  {
    description:
      'What runs together on one node, and how. Later little can change: images, activeDeadlineSeconds, tolerations (more), ' +
      'schedulingGates (fewer).',
  },
)
export type PodSpec = TypeOf<typeof podSpec>
export const podTemplateSpec = s.object(
  'io.k8s.api.core.v1.PodTemplateSpec',
  {
    metadata: s.of(1, objectMeta, {
      default: {},
      description: 'Labels and annotations of the pods; the selector of their controller must match the labels.',
    }),
    spec: s.of(2, podSpec, { default: {}, description: 'What the pods run; a change is for pods made after it.' }),
  },
  { description: 'What pods are made from.' },
)
export type PodTemplateSpec = TypeOf<typeof podTemplateSpec>
