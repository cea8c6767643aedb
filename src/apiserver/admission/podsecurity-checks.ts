// What the levels baseline and restricted forbid of a pod, in the words in which it is refused. Pure.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/ and k8s.io/pod-security-admission/policy
import type { Container, EphemeralContainer } from '../../api/types/container.ts'
import type { PodSpec } from '../../api/types/podspec.ts'
import { sortedBy } from '../../lib/sorted.ts'

/** Of version 1.x of the standards the x; `latest` is newer than any. */
export const latest = Number.POSITIVE_INFINITY

export type Violation = { readonly reason: string; readonly detail: string }

type Subject = { readonly annotations: Readonly<Record<string, string>>; readonly spec: PodSpec }
type AnyContainer = Container | EphemeralContainer
type Check = (subject: Subject, minor: number) => Violation | undefined
type Security = NonNullable<Container['securityContext']>

function containersOf({ initContainers = [], containers = [], ephemeralContainers = [] }: PodSpec) {
  return [...initContainers, ...containers, ...ephemeralContainers] as readonly AnyContainer[]
}

const quoted = (names: readonly string[]): string => names.map(name => JSON.stringify(name)).join(', ')
const plural = (one: string, many: string, count: number): string => (count === 1 ? one : many)
const named = (names: readonly string[]): string =>
  `${plural('container', 'containers', names.length)} ${quoted(names)}`
const sorted = (texts: Iterable<string>): readonly string[] => sortedBy([...new Set(texts)], text => text)

/** 'pod and container "a"': whoever sets something. */
function setters(pod: boolean, containers: readonly string[]): string {
  return [...(pod ? ['pod'] : []), ...(containers.length > 0 ? [named(containers)] : [])].join(' and ')
}

function namesWhere(
  { spec }: Subject,
  is: (security: Security, container: AnyContainer) => boolean,
): readonly string[] {
  return containersOf(spec)
    .filter(container => is(container.securityContext ?? {}, container))
    .map(({ name }) => name)
}

/** What a field of the pod's and of the containers' security contexts holds that it may not. */
function badValues(subject: Subject, read: (security: Security) => string | undefined, isFine: (v: string) => boolean) {
  const isBad = (security: Security): boolean => {
    const value = read(security)
    return value !== undefined && !isFine(value)
  }
  const pod = (subject.spec.securityContext ?? {}) as Security
  const containers = namesWhere(subject, isBad)
  const all = [pod, ...containersOf(subject.spec).map(({ securityContext }) => securityContext ?? {})]
  const values = sorted(all.filter(isBad).map(security => read(security) ?? ''))
  return { pod: isBad(pod), containers, values }
}

const isWindows = ({ spec }: Subject): boolean => spec.os?.name === 'windows'

// Baseline.

const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'

const appArmorProfile: Check = subject => {
  const profiles = ['RuntimeDefault', 'Localhost']
  const bad = badValues(
    subject,
    ({ appArmorProfile: profile }) => profile?.type,
    type => profiles.includes(type),
  )
  const isFine = (value: string) => value === '' || value === 'runtime/default' || value.startsWith('localhost/')
  const annotations = sorted(
    Object.entries(subject.annotations)
      .filter(([key, value]) => key.startsWith(appArmorPrefix) && !isFine(value))
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`),
  )
  const values = [...bad.values, ...annotations]
  if (values.length === 0) return undefined
  const who = [
    setters(bad.pod, bad.containers),
    annotations.length > 0 ? plural('annotation', 'annotations', annotations.length) : '',
  ]
  return {
    reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', values.length),
    detail: `${who.filter(text => text !== '').join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
  }
}

const baselineCapabilities = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
])

function addedBeyond(subject: Subject, allowed: ReadonlySet<string>) {
  const beyond = (security: Security) => (security.capabilities?.add ?? []).filter(name => !allowed.has(name))
  const containers = namesWhere(subject, security => beyond(security).length > 0)
  const names = sorted(containersOf(subject.spec).flatMap(({ securityContext }) => beyond(securityContext ?? {})))
  return { containers, names }
}

const capabilitiesBaseline: Check = subject => {
  const { containers, names } = addedBeyond(subject, baselineCapabilities)
  if (containers.length === 0) return undefined
  const detail = `${named(containers)} must not include ${quoted(names)} in securityContext.capabilities.add`
  return { reason: 'non-default capabilities', detail }
}

const hostNamespaces: Check = ({ spec }) => {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter(field => spec[field] === true)
  if (used.length === 0) return undefined
  return { reason: 'host namespaces', detail: used.map(field => `${field}=true`).join(', ') }
}

const hostPathVolumes: Check = ({ spec }) => {
  const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name)
  if (names.length === 0) return undefined
  return { reason: 'hostPath volumes', detail: `${plural('volume', 'volumes', names.length)} ${quoted(names)}` }
}

const hostPorts: Check = ({ spec }) => {
  const portsOf = ({ ports = [] }: AnyContainer) =>
    ports.flatMap(({ hostPort }) => (hostPort !== undefined && hostPort !== 0 ? [String(hostPort)] : []))
  const containers = containersOf(spec).filter(container => portsOf(container).length > 0)
  if (containers.length === 0) return undefined
  const ports = sorted(containers.flatMap(portsOf))
  const who = named(containers.map(({ name }) => name))
  const verb = plural('uses', 'use', containers.length)
  const what = plural('hostPort', 'hostPorts', ports.length)
  return { reason: 'hostPort', detail: `${who} ${verb} ${what} ${ports.join(', ')}` }
}

const privileged: Check = subject => {
  const containers = namesWhere(subject, security => security.privileged === true)
  if (containers.length === 0) return undefined
  return { reason: 'privileged', detail: `${named(containers)} must not set securityContext.privileged=true` }
}

const procMount: Check = subject => {
  const isBad = (security: Security) => (security.procMount ?? 'Default') !== 'Default'
  const containers = namesWhere(subject, isBad)
  if (containers.length === 0) return undefined
  const values = sorted(
    containersOf(subject.spec).flatMap(({ securityContext = {} }) =>
      isBad(securityContext) ? [securityContext.procMount ?? ''] : [],
    ),
  )
  const detail = `${named(containers)} must not set securityContext.procMount to ${quoted(values)}`
  return { reason: 'procMount', detail }
}

const seLinuxOptions: Check = (subject, minor) => {
  const types = [
    '',
    'container_t',
    'container_init_t',
    'container_kvm_t',
    ...(minor >= 31 ? ['container_engine_t'] : []),
  ]
  const badTypes = new Set<string>()
  let user = false
  let role = false
  const isBad = ({ seLinuxOptions: options }: Pick<Security, 'seLinuxOptions'>): boolean => {
    const { type = '' } = options ?? {}
    const isOther = !types.includes(type)
    if (isOther) badTypes.add(type)
    if (options?.user) user = true
    if (options?.role) role = true
    return isOther || Boolean(options?.user) || Boolean(options?.role)
  }
  const pod = isBad(subject.spec.securityContext ?? {})
  const containers = namesWhere(subject, isBad)
  if (!pod && containers.length === 0) return undefined
  const what = [
    ...(badTypes.size > 0 ? [`${plural('type', 'types', badTypes.size)} ${quoted(sorted(badTypes))}`] : []),
    ...(user ? ['user may not be set'] : []),
    ...(role ? ['role may not be set'] : []),
  ]
  const detail = `${setters(pod, containers)} set forbidden securityContext.seLinuxOptions: ${what.join('; ')}`
  return { reason: 'seLinuxOptions', detail }
}

const seccompTypes = ['RuntimeDefault', 'Localhost']

function badSeccomp(subject: Subject): Violation | undefined {
  const { pod, containers, values } = badValues(
    subject,
    ({ seccompProfile }) => seccompProfile?.type,
    type => seccompTypes.includes(type),
  )
  if (!pod && containers.length === 0) return undefined
  const detail = `${setters(pod, containers)} must not set securityContext.seccompProfile.type to ${quoted(values)}`
  return { reason: 'seccompProfile', detail }
}

const seccompBaseline: Check = (subject, minor) => {
  if (minor >= 19) return badSeccomp(subject)
  const isFine = (value: string) =>
    ['runtime/default', 'docker/default'].includes(value) || value.startsWith('localhost/')
  const keys = [
    'seccomp.security.alpha.kubernetes.io/pod',
    ...containersOf(subject.spec).map(({ name }) => `container.seccomp.security.alpha.kubernetes.io/${name}`),
  ]
  const found = sorted(
    keys.flatMap(key => {
      const value = subject.annotations[key]
      return value === undefined || isFine(value) ? [] : [`${key}=${JSON.stringify(value)}`]
    }),
  )
  if (found.length === 0) return undefined
  const detail = `forbidden ${plural('annotation', 'annotations', found.length)} ${found.join(', ')}`
  return { reason: 'seccompProfile', detail }
}

/** The first version of the standards that allows each. */
const safeSysctls: Readonly<Record<string, number>> = {
  'kernel.shm_rmid_forced': 0,
  'net.ipv4.ip_local_port_range': 0,
  'net.ipv4.tcp_syncookies': 0,
  'net.ipv4.ping_group_range': 0,
  'net.ipv4.ip_unprivileged_port_start': 0,
  'net.ipv4.ip_local_reserved_ports': 27,
  'net.ipv4.tcp_keepalive_time': 29,
  'net.ipv4.tcp_fin_timeout': 29,
  'net.ipv4.tcp_keepalive_intvl': 29,
  'net.ipv4.tcp_keepalive_probes': 29,
  'net.ipv4.tcp_rmem': 32,
  'net.ipv4.tcp_wmem': 32,
}

const sysctls: Check = ({ spec }, minor) => {
  const names = (spec.securityContext?.sysctls ?? []).map(({ name }) => name)
  const bad = names.filter(name => minor < (safeSysctls[name] ?? Number.MAX_VALUE) || safeSysctls[name] === undefined)
  return bad.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: bad.join(', ') }
}

const windowsHostProcess: Check = subject => {
  const isHost = ({ windowsOptions }: Pick<Security, 'windowsOptions'>) => windowsOptions?.hostProcess === true
  const pod = isHost(subject.spec.securityContext ?? {})
  const containers = namesWhere(subject, isHost)
  if (!pod && containers.length === 0) return undefined
  const detail = `${setters(pod, containers)} must not set securityContext.windowsOptions.hostProcess=true`
  return { reason: 'hostProcess', detail }
}

// Restricted.

const allowPrivilegeEscalation: Check = (subject, minor) => {
  if (minor < 8 || (minor >= 25 && isWindows(subject))) return undefined
  const containers = namesWhere(subject, security => security.allowPrivilegeEscalation !== false)
  if (containers.length === 0) return undefined
  const detail = `${named(containers)} must set securityContext.allowPrivilegeEscalation=false`
  return { reason: 'allowPrivilegeEscalation != false', detail }
}

const capabilitiesRestricted: Check = (subject, minor) => {
  if (minor < 22 || (minor >= 25 && isWindows(subject))) return undefined
  const keeping = namesWhere(subject, ({ capabilities }) => !(capabilities?.drop ?? []).includes('ALL'))
  const { containers, names } = addedBeyond(subject, new Set(['NET_BIND_SERVICE']))
  const details = [
    ...(keeping.length > 0 ? [`${named(keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(containers.length > 0
      ? [`${named(containers)} must not include ${quoted(names)} in securityContext.capabilities.add`]
      : []),
  ]
  return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') }
}

const harmlessVolumes = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
])

const restrictedVolumes: Check = ({ spec }) => {
  const found = (spec.volumes ?? []).flatMap(({ name, ...source }) => {
    const type = Object.keys(source)[0]
    return type === undefined || harmlessVolumes.has(type) ? [] : [{ name, type }]
  })
  if (found.length === 0) return undefined
  const types = sorted(found.map(({ type }) => type))
  const who = `${plural('volume', 'volumes', found.length)} ${quoted(found.map(({ name }) => name))}`
  const verb = plural('uses', 'use', found.length)
  const what = plural('restricted volume type', 'restricted volume types', types.length)
  return { reason: 'restricted volume types', detail: `${who} ${verb} ${what} ${quoted(types)}` }
}

const runAsNonRoot: Check = subject => {
  const reason = 'runAsNonRoot != true'
  const ofPod = subject.spec.securityContext?.runAsNonRoot
  const saying = namesWhere(subject, security => security.runAsNonRoot === false)
  if (ofPod === false || saying.length > 0) {
    return { reason, detail: `${setters(ofPod === false, saying)} must not set securityContext.runAsNonRoot=false` }
  }
  if (ofPod === true) return undefined
  const silent = namesWhere(subject, security => security.runAsNonRoot === undefined)
  if (silent.length === 0) return undefined
  return { reason, detail: `pod or ${named(silent)} must set securityContext.runAsNonRoot=true` }
}

const runAsUser: Check = (subject, minor) => {
  if (minor < 23) return undefined
  const pod = subject.spec.securityContext?.runAsUser === 0
  const containers = namesWhere(subject, security => security.runAsUser === 0)
  if (!pod && containers.length === 0) return undefined
  return { reason: 'runAsUser=0', detail: `${setters(pod, containers)} must not set runAsUser=0` }
}

const seccompRestricted: Check = (subject, minor) => {
  if (minor < 19 || (minor >= 25 && isWindows(subject))) return undefined
  const bad = badSeccomp(subject)
  if (bad !== undefined || subject.spec.securityContext?.seccompProfile !== undefined) return bad
  const silent = namesWhere(subject, security => security.seccompProfile === undefined)
  if (silent.length === 0) return undefined
  const detail = `pod or ${named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`
  return { reason: 'seccompProfile', detail }
}

/** In the order of their names upstream, which is the order in which they are told. */
const baseline: readonly { readonly check: Check; readonly overriddenFrom?: number }[] = [
  { check: appArmorProfile },
  // A check of restricted says the same, and more.
  { check: capabilitiesBaseline, overriddenFrom: 22 },
  { check: hostNamespaces },
  { check: hostPathVolumes, overriddenFrom: 0 },
  { check: hostPorts },
  { check: privileged },
  { check: procMount },
  { check: seLinuxOptions },
  { check: seccompBaseline, overriddenFrom: 19 },
  { check: sysctls },
  { check: windowsHostProcess },
]
const restricted: readonly Check[] = [
  allowPrivilegeEscalation,
  capabilitiesRestricted,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
]

export function violations(
  level: 'privileged' | 'baseline' | 'restricted',
  minor: number,
  annotations: Readonly<Record<string, string>>,
  spec: PodSpec,
): readonly Violation[] {
  if (level === 'privileged') return []
  const subject = { annotations, spec }
  const strict = level === 'restricted'
  const checks = [
    ...baseline.filter(({ overriddenFrom = latest }) => !strict || minor < overriddenFrom).map(({ check }) => check),
    ...(strict ? restricted : []),
  ]
  return checks.flatMap(check => check(subject, minor) ?? [])
}
