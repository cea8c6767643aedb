// From our specs to the bodies of Docker's create call. Pure. Docker ignores fields that it does not know without a word,
// so each field here has a test that looks at its effect (test/conformance/runtime-docker.test.ts).
import type { ContainerSpec, SandboxSpec } from '../../world/runtime.ts'
import type { Labels } from './labels.ts'
import { pauseImageName } from './pause/image.ts'

/** What the daemon says of itself in /info, as far as it matters here. */
export type DaemonTraits = {
  readonly cgroupDriver: 'cgroupfs' | 'systemd'
  /** Without CAP_SYS_RESOURCE no oom_score_adj below the daemon's own can be set, and the start would fail. */
  readonly lowersOomScore: boolean
  /** False where pods hang on Docker's own bridge: no root, or the daemon is in a virtual machine. */
  readonly podNetwork: boolean
}

/** Sequences that end an attach and swallow keys while they may be beginning: one that nobody types. */
export const detachKeys = 'ctrl-@,ctrl-^,ctrl-@'

const logConfig = { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } }

export function sandboxBody(spec: SandboxSpec, labels: Labels, traits: DaemonTraits): object {
  const network = spec.hostNetwork ? 'host' : traits.podNetwork ? 'none' : 'bridge'
  return {
    Image: pauseImageName,
    Labels: labels,
    // With the host's UTS namespace the name is the host's, and Docker refuses another.
    ...(spec.hostNetwork ? {} : { Hostname: spec.hostname }),
    HostConfig: {
      NetworkMode: network,
      IpcMode: spec.hostIpc ? 'host' : 'shareable',
      ...(spec.hostPid ? { PidMode: 'host' } : {}),
      ...(spec.hostNetwork ? { UTSMode: 'host' } : {}),
      Dns: spec.dns.servers,
      DnsSearch: spec.dns.searches,
      DnsOptions: spec.dns.options,
      Sysctls: spec.sysctls,
      ...cgroup(spec.cgroupParent, traits),
      ReadonlyRootfs: true,
      SecurityOpt: ['no-new-privileges'],
      CapDrop: ['ALL'],
      OomScoreAdj: oomScore(-998, traits),
      CpuShares: 2,
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'none' },
    },
  }
}

/** What a container takes from its pod's sandbox. */
export type Sandbox = {
  readonly id: string
  readonly hostNetwork: boolean
  readonly hostPid: boolean
  readonly hostIpc: boolean
  readonly sharePid: boolean
}

/** `imageUser` is the user that the image names: it keeps its part where the spec gives a group alone. */
export function containerBody(
  spec: ContainerSpec,
  sandbox: Sandbox,
  labels: Labels,
  imageUser: string,
  traits: DaemonTraits,
): object {
  const { resources, security } = spec
  const options = security.noNewPrivileges ? ['no-new-privileges'] : []
  if (security.seccomp === 'unconfined') options.push('seccomp=unconfined')
  const user = userOf(spec, imageUser)
  const mounts = spec.mounts.map(mount => ({
    Type: 'bind',
    Source: mount.source,
    Target: mount.target,
    ReadOnly: mount.readOnly,
    BindOptions: { Propagation: mount.propagation === 'private' ? 'rprivate' : mount.propagation },
  }))
  if (spec.terminationMessage !== undefined) {
    const { source, target } = spec.terminationMessage
    mounts.push({
      Type: 'bind',
      Source: source,
      Target: target,
      ReadOnly: false,
      BindOptions: { Propagation: 'rprivate' },
    })
  }
  return {
    Image: spec.image,
    Labels: labels,
    ...(spec.command.length === 0 ? {} : { Entrypoint: spec.command }),
    ...(spec.args.length === 0 ? {} : { Cmd: spec.args }),
    ...(spec.workingDir === undefined ? {} : { WorkingDir: spec.workingDir }),
    ...(user === undefined ? {} : { User: user }),
    ...(spec.stopSignal === undefined ? {} : { StopSignal: spec.stopSignal }),
    Env: spec.env.map(({ name, value }) => `${name}=${value}`),
    Tty: spec.tty,
    OpenStdin: spec.stdin,
    StdinOnce: spec.stdin && spec.stdinOnce,
    // An image's own health check is not Kubernetes' business, and each run of it costs 50 ms.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: sandbox.hostNetwork ? 'host' : `container:${sandbox.id}`,
      ...(sandbox.hostNetwork ? { UTSMode: 'host' } : {}),
      IpcMode: sandbox.hostIpc ? 'host' : `container:${sandbox.id}`,
      ...(sandbox.hostPid ? { PidMode: 'host' } : sandbox.sharePid ? { PidMode: `container:${sandbox.id}` } : {}),
      Mounts: mounts,
      ...cgroup(spec.cgroupParent, traits),
      CpuShares: cpuShares(resources.cpuRequestMilli ?? 0),
      ...(resources.cpuLimitMilli === undefined
        ? {}
        : { CpuPeriod: cpuPeriodUs, CpuQuota: Math.max(1_000, (resources.cpuLimitMilli * cpuPeriodUs) / 1_000) }),
      // No swap on top of the limit: a pod that is over it shall be killed, not slow.
      ...(resources.memoryLimitBytes === undefined
        ? {}
        : { Memory: resources.memoryLimitBytes, MemorySwap: resources.memoryLimitBytes }),
      ...(resources.pidsLimit === undefined ? {} : { PidsLimit: resources.pidsLimit }),
      OomScoreAdj: oomScore(resources.oomScoreAdj, traits),
      Privileged: security.privileged,
      ReadonlyRootfs: security.readOnlyRoot,
      CapAdd: security.addCapabilities,
      CapDrop: security.dropCapabilities,
      GroupAdd: security.supplementalGroups.map(String),
      SecurityOpt: options,
      ...(security.unmaskedProc ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
      RestartPolicy: { Name: 'no' },
      LogConfig: logConfig,
    },
  }
}

export const cpuPeriodUs = 100_000

/** As Kubernetes counts: 1024 for a core, never under 2 (the kernel's least). */
export function cpuShares(milli: number): number {
  return Math.min(262_144, Math.max(2, Math.floor((milli * 1_024) / 1_000)))
}

function oomScore(wanted: number, traits: DaemonTraits): number {
  return traits.lowersOomScore ? wanted : Math.max(0, wanted)
}

function userOf(spec: ContainerSpec, imageUser: string): string | undefined {
  const { uid, gid } = spec.security
  if (uid === undefined && gid === undefined) return undefined
  const user = uid === undefined ? imageUser.split(':')[0] || '0' : String(uid)
  return gid === undefined ? user : `${user}:${gid}`
}

function cgroup(path: string, traits: DaemonTraits): object {
  if (path === '') return {}
  return { CgroupParent: traits.cgroupDriver === 'systemd' ? sliceName(path) : path }
}

/** /kubepods/burstable/pod1-2 → kubepods-burstable-pod1_2.slice: systemd reads the dashes as the path. */
export function sliceName(path: string): string {
  const parts = path.split('/').filter(part => part !== '')
  return `${parts.map(part => part.replaceAll('-', '_')).join('-')}.slice`
}
