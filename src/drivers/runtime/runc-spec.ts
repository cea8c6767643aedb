// From our specs to an OCI bundle's config.json (OCI runtime specification 1.0). Pure. The defaults (capabilities, masked
// paths, refused system calls) are Docker's, so that an image behaves the same under both.
import type { ContainerSpec, SandboxSpec } from '../../world/runtime.ts'
import { cpuPeriodUs, cpuShares } from './docker-spec.ts'

/** What an image says of how it wants to be run. */
export type ImageConfig = {
  readonly command: readonly string[]
  readonly entrypoint: readonly string[]
  readonly env: readonly string[]
  readonly user: string
  readonly workingDir: string
  readonly stopSignal: string
}

/** What this machine can do. */
export type MachineTraits = {
  /** The numbers of the capabilities that there are to give. */
  readonly capabilities: ReadonlySet<string>
  readonly lowersOomScore: boolean
  readonly unifiedCgroups: boolean
  /** Whether swap is counted: without it a limit of both cannot be set. */
  readonly swapLimit: boolean
}

export type User = {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  readonly home: string
}

export type Device = {
  readonly path: string
  readonly type: 'c' | 'b'
  readonly major: number
  readonly minor: number
  readonly fileMode: number
  readonly uid: number
  readonly gid: number
}

/** Where the pod's shared namespaces are; absent: the host's own. */
export type PodNamespaces = {
  readonly network?: string
  readonly ipc?: string
  readonly uts?: string
  readonly pid?: string
  readonly hostPid: boolean
}

export type BindMount = {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
  readonly propagation?: 'private' | 'rslave' | 'rshared'
}

const defaultCapabilities = [
  ...[
    'CHOWN',
    'DAC_OVERRIDE',
    'FOWNER',
    'FSETID',
    'KILL',
    'SETGID',
    'SETUID',
    'SETPCAP',
    'NET_BIND_SERVICE',
    'NET_RAW',
  ],
  ...['SYS_CHROOT', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'],
]

/** In the order of their numbers (include/uapi/linux/capability.h). */
export const capabilityNames = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER'],
  ...['SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE'],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP'],
  ...['MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF'],
  'CHECKPOINT_RESTORE',
]

const maskedPaths = [
  ...['/proc/asound', '/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list'],
  ...['/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware', '/sys/devices/virtual/powercap'],
]
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** What Docker's profile refuses (docs.docker.com, seccomp: significant syscalls blocked), and what gives it back. */
const refusedCalls: Readonly<Record<string, readonly string[]>> = {
  SYS_ADMIN: [
    ...['bpf', 'fanotify_init', 'fsconfig', 'fsmount', 'fsopen', 'fspick', 'lookup_dcookie', 'mount', 'mount_setattr'],
    ...[
      'move_mount',
      'open_tree',
      'perf_event_open',
      'quotactl',
      'quotactl_fd',
      'setdomainname',
      'sethostname',
      'setns',
    ],
    ...['umount', 'umount2', 'unshare', 'pivot_root', 'swapon', 'swapoff', 'clone3'],
  ],
  SYS_MODULE: ['create_module', 'delete_module', 'init_module', 'finit_module', 'query_module'],
  SYS_BOOT: ['reboot', 'kexec_load', 'kexec_file_load'],
  SYS_TIME: ['settimeofday', 'stime', 'clock_settime', 'clock_settime64'],
  SYS_PACCT: ['acct'],
  SYS_RAWIO: ['iopl', 'ioperm'],
  SYS_PTRACE: ['kcmp', 'process_madvise', 'pidfd_getfd'],
  SYS_TTY_CONFIG: ['vhangup'],
  SYS_NICE: ['get_mempolicy', 'mbind', 'set_mempolicy', 'move_pages', 'migrate_pages'],
  DAC_READ_SEARCH: ['open_by_handle_at'],
  '': [
    ...['add_key', 'keyctl', 'request_key', 'get_kernel_syms', 'nfsservctl', 'personality', 'sysfs', '_sysctl'],
    ...['uselib', 'userfaultfd', 'ustat', 'vm86', 'vm86old', 'io_uring_enter', 'io_uring_register', 'io_uring_setup'],
  ],
}

export function pauseConfig(spec: SandboxSpec, cgroupsPath: string, traits: MachineTraits): object {
  const namespaces = [{ type: 'mount' }, { type: 'pid' }]
  if (!spec.hostNetwork) namespaces.push({ type: 'network' }, { type: 'uts' })
  if (!spec.hostIpc) namespaces.push({ type: 'ipc' })
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 65_535, gid: 65_535 },
      args: ['/pause'],
      env: [],
      cwd: '/',
      capabilities: {},
      noNewPrivileges: true,
      oomScoreAdj: traits.lowersOomScore ? -998 : 0,
    },
    root: { path: 'rootfs', readonly: true },
    ...(spec.hostNetwork ? {} : { hostname: spec.hostname }),
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] }],
    linux: {
      namespaces,
      cgroupsPath,
      sysctl: spec.sysctls,
      resources: { cpu: { shares: 2 }, devices: [{ allow: false, access: 'rwm' }] },
      maskedPaths,
      readonlyPaths,
    },
  }
}

/** Throws nothing: whatever is missing is found by runc, with a message. */
export function containerConfig(
  spec: ContainerSpec,
  image: ImageConfig,
  user: User,
  pod: PodNamespaces,
  binds: readonly BindMount[],
  cgroupsPath: string,
  traits: MachineTraits,
  /** The host's, for a privileged container. */
  devices: readonly Device[],
): object {
  const { security, resources } = spec
  const capabilities = capabilitiesOf(spec, traits)
  const namespaces: { type: string; path?: string }[] = [{ type: 'mount' }]
  if (pod.network !== undefined) namespaces.push({ type: 'network', path: pod.network })
  if (pod.ipc !== undefined) namespaces.push({ type: 'ipc', path: pod.ipc })
  if (pod.uts !== undefined) namespaces.push({ type: 'uts', path: pod.uts })
  if (!pod.hostPid) namespaces.push(pod.pid === undefined ? { type: 'pid' } : { type: 'pid', path: pod.pid })
  if (traits.unifiedCgroups && !security.privileged) namespaces.push({ type: 'cgroup' })
  const masked = security.unmaskedProc || security.privileged ? {} : { maskedPaths, readonlyPaths }
  const seccomp = security.seccomp === 'default' && !security.privileged ? { seccomp: refusing(capabilities) } : {}
  const shared = binds.some(({ propagation }) => propagation === 'rshared')
  const slave = binds.some(({ propagation }) => propagation === 'rslave')
  const names = capabilities.map(name => `CAP_${name}`)
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: spec.tty,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
      args: commandOf(spec, image),
      env: environmentOf(spec, image, user),
      cwd: spec.workingDir || image.workingDir || '/',
      // No inheritable ones: they would come back to a program with file capabilities (CVE-2022-24769).
      capabilities: { bounding: names, effective: names, permitted: names },
      noNewPrivileges: security.noNewPrivileges,
      oomScoreAdj: traits.lowersOomScore ? resources.oomScoreAdj : Math.max(0, resources.oomScoreAdj),
    },
    root: { path: 'rootfs', readonly: security.readOnlyRoot },
    mounts: [...systemMounts(security.privileged), ...binds.map(bindOf)],
    linux: {
      namespaces,
      cgroupsPath,
      resources: resourcesOf(spec, traits),
      devices,
      ...masked,
      ...seccomp,
      ...(shared ? { rootfsPropagation: 'rshared' } : slave ? { rootfsPropagation: 'rslave' } : {}),
    },
  }
}

/** A command of the spec takes the place of both of the image's; arguments alone replace the image's command. */
export function commandOf(spec: ContainerSpec, image: ImageConfig): readonly string[] {
  if (spec.command.length > 0) return [...spec.command, ...spec.args]
  return [...image.entrypoint, ...(spec.args.length > 0 ? spec.args : image.command)]
}

function environmentOf(spec: ContainerSpec, image: ImageConfig, user: User): readonly string[] {
  const all = new Map<string, string>([
    ['PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    ['HOME', user.home],
    ...(spec.tty ? [['TERM', 'xterm'] as const] : []),
  ])
  for (const line of image.env) {
    const at = line.indexOf('=')
    if (at > 0) all.set(line.slice(0, at), line.slice(at + 1))
  }
  for (const { name, value } of spec.env) all.set(name, value)
  return [...all].map(([name, value]) => `${name}=${value}`)
}

function capabilitiesOf(spec: ContainerSpec, traits: MachineTraits): readonly string[] {
  const { privileged, addCapabilities, dropCapabilities } = spec.security
  const plain = (name: string) => name.toUpperCase().replace(/^CAP_/, '')
  const all = capabilityNames.filter(name => traits.capabilities.has(name))
  if (privileged) return all
  const added = addCapabilities.map(plain)
  const dropped = dropCapabilities.map(plain)
  const kept = added.includes('ALL') ? all : dropped.includes('ALL') ? [] : defaultCapabilities
  const wanted = new Set([...kept.filter(name => !dropped.includes(name)), ...added.filter(name => name !== 'ALL')])
  return [...wanted].filter(name => traits.capabilities.has(name))
}

function systemMounts(privileged: boolean): readonly object[] {
  const sys = privileged ? 'rw' : 'ro'
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', sys] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', sys],
    },
  ]
}

function bindOf({ source, target, readOnly, propagation = 'private' }: BindMount): object {
  const spread = propagation === 'private' ? 'rprivate' : propagation
  return { destination: target, type: 'bind', source, options: ['rbind', spread, readOnly ? 'ro' : 'rw'] }
}

function resourcesOf(spec: ContainerSpec, traits: MachineTraits): object {
  const { cpuRequestMilli, cpuLimitMilli, memoryLimitBytes, pidsLimit } = spec.resources
  return {
    cpu: {
      shares: cpuShares(cpuRequestMilli ?? 0),
      ...(cpuLimitMilli === undefined
        ? {}
        : { period: cpuPeriodUs, quota: Math.max(1_000, Math.round((cpuLimitMilli * cpuPeriodUs) / 1_000)) }),
    },
    ...(memoryLimitBytes === undefined
      ? {}
      : { memory: { limit: memoryLimitBytes, ...(traits.swapLimit ? { swap: memoryLimitBytes } : {}) } }),
    ...(pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } }),
    // runc itself allows the usual devices (null, zero, random, tty and so on) on top of this.
    devices: [{ allow: spec.security.privileged, access: 'rwm' }],
  }
}

function refusing(capabilities: readonly string[]): object {
  const names = Object.entries(refusedCalls).flatMap(([capability, calls]) =>
    capability !== '' && capabilities.includes(capability) ? [] : calls,
  )
  // clone3 hides its flags in memory: libraries fall back to clone when the kernel seems not to know it.
  const unknown = names.includes('clone3') ? [{ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }] : []
  // clone with any of the flags that make a namespace.
  const flags = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]
  const newNamespaces = capabilities.includes('SYS_ADMIN')
    ? []
    : flags.map(flag => ({
        names: ['clone'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 1,
        args: [{ index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }],
      }))
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      { names: names.filter(name => name !== 'clone3'), action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
      ...unknown,
      ...newNamespaces,
    ],
  }
}
