// From a pod's spec to what a runtime is asked for: the sandbox, and each container with everything resolved.
import type { Container, EphemeralContainer, VolumeMount } from '../api/types/container.ts'
import type { ContainerSpec, DnsConfig, Mount, SandboxSpec, Security } from '../world/runtime.ts'
import { ConfigError, environmentOf, expand, type References } from './env.ts'
import { backoffAnnotation, sandboxAnnotation } from './history.ts'
import type { Pod } from './plan.ts'
import { cgroupParentOf, qosOf, resourcesOf } from './qos.ts'

export const sandboxAttemptAnnotation = 'flotilla.dev/sandbox-attempt'

export type NodeFacts = {
  readonly name: string
  readonly ip: string
  readonly clusterDns: string
  readonly clusterDomain: string
  /** The node's own resolv.conf, for dnsPolicy Default and as the tail of the search path. */
  readonly hostDns: DnsConfig
  readonly cgroupRoot: string
  readonly memoryBytes: number
}

export function hostnameOf(pod: Pod, node: NodeFacts): string {
  if (pod.spec.hostNetwork === true) return node.name
  // A host name has at most 63 characters; upstream cuts the pod's name there.
  const name = (pod.spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, '')
  const { subdomain, setHostnameAsFQDN } = pod.spec
  if (setHostnameAsFQDN !== true || subdomain === undefined || subdomain === '') return name
  const whole = `${name}.${subdomain}.${pod.metadata.namespace ?? 'default'}.svc.${node.clusterDomain}`
  // The kernel has no room for more than 64 characters.
  if (whole.length > 64) throw new ConfigError(`the host name ${whole} is longer than 64 characters`)
  return whole
}

/** https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy */
export function dnsOf(pod: Pod, node: NodeFacts): DnsConfig {
  const { dnsPolicy, dnsConfig, hostNetwork } = pod.spec
  const cluster: DnsConfig = {
    servers: [node.clusterDns],
    searches: [
      `${pod.metadata.namespace ?? 'default'}.svc.${node.clusterDomain}`,
      `svc.${node.clusterDomain}`,
      node.clusterDomain,
      ...node.hostDns.searches,
    ],
    options: ['ndots:5'],
  }
  const own: DnsConfig = { servers: [], searches: [], options: [] }
  const clustered = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && hostNetwork !== true)
  const base = dnsPolicy === 'None' ? own : clustered ? cluster : node.hostDns
  const more = (dnsConfig?.options ?? []).map(({ name = '', value }) =>
    value === undefined ? name : `${name}:${value}`,
  )
  const replaced = new Set(more.map(option => option.split(':')[0]))
  return {
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]).slice(0, 3),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]),
    options: [...base.options.filter(option => !replaced.has(option.split(':')[0])), ...more],
  }
}

function unique(list: readonly string[]): readonly string[] {
  return [...new Set(list)]
}

export function sandboxOf(pod: Pod, node: NodeFacts, attempt: number, ip: string | undefined): SandboxSpec {
  return {
    uid: pod.metadata.uid,
    namespace: pod.metadata.namespace ?? 'default',
    name: pod.metadata.name,
    attempt,
    hostname: hostnameOf(pod, node),
    hostNetwork: pod.spec.hostNetwork === true,
    hostPid: pod.spec.hostPID === true,
    hostIpc: pod.spec.hostIPC === true,
    sharePid: pod.spec.shareProcessNamespace === true,
    ...(ip !== undefined && pod.spec.hostNetwork !== true && { ip }),
    dns: dnsOf(pod, node),
    sysctls: Object.fromEntries((pod.spec.securityContext.sysctls ?? []).map(({ name, value }) => [name, value])),
    cgroupParent: cgroupParentOf(node.cgroupRoot, qosOf(pod.spec), pod.metadata.uid),
    annotations: {},
  }
}

export type ContainerInput = {
  readonly type: ContainerSpec['kind']
  readonly attempt: number
  readonly backoffMs: number | undefined
  readonly specHash: string
  readonly sandboxId: string
  readonly sandboxAttempt: number
  readonly references: References
  /** The host path of a volume by its name; undefined: no such volume. */
  source(volume: string): string | undefined
  /** Resolves a subPath below a volume's folder and proves that it stays inside, links followed; made when missing. */
  subPath(source: string, path: string): string
  /** A file of the kubelet's for /etc/hosts; undefined with hostNetwork or without mounts. */
  readonly hostsFile: string | undefined
  readonly terminationFile: string | undefined
  /** The user that the image names. */
  readonly imageUser: string
}

/** Throws ConfigError when a reference is missing or a wish contradicts itself. */
export function containerSpecOf(
  pod: Pod,
  container: Container | EphemeralContainer,
  node: NodeFacts,
  input: ContainerInput,
): ContainerSpec {
  const env = environmentOf(pod, container, input.references)
  const qos = qosOf(pod.spec)
  const stopSignal = container.lifecycle?.stopSignal
  return {
    uid: pod.metadata.uid,
    namespace: pod.metadata.namespace ?? 'default',
    pod: pod.metadata.name,
    name: container.name,
    kind: input.type,
    attempt: input.attempt,
    specHash: input.specHash,
    image: container.image ?? '',
    command: (container.command ?? []).map(word => expand(word, env)),
    args: (container.args ?? []).map(word => expand(word, env)),
    ...(container.workingDir !== undefined && container.workingDir !== '' && { workingDir: container.workingDir }),
    env: [...env].map(([name, value]) => ({ name, value })),
    mounts: mountsOf(container, env, input),
    ...(input.terminationFile !== undefined && {
      terminationMessage: { source: input.terminationFile, target: container.terminationMessagePath },
    }),
    tty: container.tty === true,
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    resources: resourcesOf(container, qos, node.memoryBytes),
    security: securityOf(pod, container, input.imageUser),
    ...(stopSignal !== undefined && { stopSignal }),
    cgroupParent: cgroupParentOf(node.cgroupRoot, qos, pod.metadata.uid),
    annotations: {
      ...(input.backoffMs !== undefined && { [backoffAnnotation]: String(input.backoffMs) }),
      [sandboxAnnotation]: input.sandboxId,
      [sandboxAttemptAnnotation]: String(input.sandboxAttempt),
    },
  }
}

/** The path below the volume that a mount shows, '' for all of it. Throws ConfigError for one that leaves the volume. */
export function subPathOf(mount: VolumeMount, env: ReadonlyMap<string, string>): string {
  const path = mount.subPathExpr ? expandStrict(mount.subPathExpr, env) : (mount.subPath ?? '')
  if (path.startsWith('/') || path.includes('`') || path.split('/').includes('..')) {
    throw new ConfigError(`subPath "${path}" is no path inside the volume`)
  }
  return path
}

function mountsOf(
  container: Container | EphemeralContainer,
  env: ReadonlyMap<string, string>,
  input: ContainerInput,
): readonly Mount[] {
  const mounts = (container.volumeMounts ?? []).map((mount): Mount => {
    const whole = input.source(mount.name)
    if (whole === undefined) throw new ConfigError(`volume mount ${mount.mountPath}: no volume "${mount.name}"`)
    const sub = subPathOf(mount, env)
    const propagations = { None: 'private', HostToContainer: 'rslave', Bidirectional: 'rshared' } as const
    return {
      source: sub === '' ? whole : input.subPath(whole, sub),
      target: mount.mountPath,
      readOnly: mount.readOnly === true,
      propagation: propagations[mount.mountPropagation ?? 'None'],
    }
  })
  const taken = mounts.some(mount => mount.target === '/etc/hosts')
  if (input.hostsFile === undefined || taken) return mounts
  return [...mounts, { source: input.hostsFile, target: '/etc/hosts', readOnly: false, propagation: 'private' }]
}

function expandStrict(text: string, env: ReadonlyMap<string, string>): string {
  // $$ is a dollar, so $$(NAME) names nothing.
  for (const [whole, name] of text.matchAll(/\$(?:\$|\(([^)]*)\))/g)) {
    if (name !== undefined && !env.has(name)) throw new ConfigError(`subPathExpr: ${whole} names no variable`)
  }
  return expand(text, env)
}

function securityOf(pod: Pod, container: Container | EphemeralContainer, imageUser: string): Security {
  const shared = pod.spec.securityContext
  const own = container.securityContext
  const uid = own?.runAsUser ?? shared.runAsUser
  const gid = own?.runAsGroup ?? shared.runAsGroup
  const nonRoot = own?.runAsNonRoot ?? shared.runAsNonRoot
  if (nonRoot === true && uid === 0) throw new ConfigError("container's runAsUser breaks non-root policy")
  if (nonRoot === true && uid === undefined) {
    const name = imageUser.split(':')[0] ?? ''
    if (name === '' || name === '0' || name === 'root') {
      throw new ConfigError('container has runAsNonRoot and image will run as root')
    }
    if (!/^\d+$/.test(name)) {
      throw new ConfigError(
        `container has runAsNonRoot and image has non-numeric user (${name}), cannot verify user is non-root`,
      )
    }
  }
  const profile = own?.seccompProfile ?? shared.seccompProfile
  const groups = [...(shared.supplementalGroups ?? []), ...(shared.fsGroup !== undefined ? [shared.fsGroup] : [])]
  return {
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    supplementalGroups: groups,
    privileged: own?.privileged === true,
    readOnlyRoot: own?.readOnlyRootFilesystem === true,
    noNewPrivileges: own?.allowPrivilegeEscalation === false,
    addCapabilities: own?.capabilities?.add ?? [],
    dropCapabilities: own?.capabilities?.drop ?? [],
    unmaskedProc: own?.procMount === 'Unmasked',
    // As with the kubelet's --seccomp-default: the runtime's profile unless the pod opts out.
    seccomp: profile?.type === 'Unconfined' ? 'unconfined' : 'default',
  }
}

/**
 * The file that the kubelet writes for a pod's /etc/hosts; `hostFile` is the node's own, which a pod with hostNetwork gets
 * with its aliases. The first line is upstream's: programs look for it.
 */
export function hostsFileOf(pod: Pod, node: NodeFacts, ip: string, hostFile: string): string {
  const hostname = hostnameOf(pod, node).split('.')[0] ?? ''
  const { subdomain } = pod.spec
  const domain = `${pod.metadata.namespace ?? 'default'}.svc.${node.clusterDomain}`
  const names = subdomain === undefined ? hostname : `${hostname}.${subdomain}.${domain}\t${hostname}`
  const lines = (pod.spec.hostAliases ?? []).map(alias => `${alias.ip}\t${(alias.hostnames ?? []).join('\t')}`)
  const aliases = lines.length > 0 ? ['', '# Entries added by HostAliases.', ...lines] : []
  if (pod.spec.hostNetwork === true) {
    return ['# Kubernetes-managed hosts file (host network).', hostFile.trimEnd(), ...aliases, ''].join('\n')
  }
  return [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    `${ip}\t${names}`,
    ...aliases,
    '',
  ].join('\n')
}
