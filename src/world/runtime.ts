// A container runtime: Docker, runc or plain child processes (drivers/runtime/*). The kubelet decides, a runtime
// carries out. It remembers nothing of its own that the labels on its containers do not say, so a restarted agent
// adopts what runs. Every action is idempotent: doing it twice is doing it once.
import type { Bytes } from '../lib/bytes.ts'

export type PodUid = string

/** What a runtime cannot do is said before it is asked, so that the kubelet can refuse a pod honestly. */
export type Capabilities = {
  readonly name: 'docker' | 'runc' | 'process'
  readonly version: string
  /** Pods get an address and a network namespace of their own; without it they share the host's. */
  readonly podNetwork: boolean
  readonly images: boolean
  readonly limits: boolean
  readonly users: boolean
  readonly mounts: boolean
}

export type DnsConfig = {
  readonly servers: readonly string[]
  readonly searches: readonly string[]
  readonly options: readonly string[]
}

/** The pod's shared namespaces: one pause process that holds network, IPC and hostname. */
export type SandboxSpec = {
  readonly uid: PodUid
  readonly namespace: string
  readonly name: string
  /** Counts up each time the sandbox has to be made again. */
  readonly attempt: number
  readonly hostname: string
  readonly hostNetwork: boolean
  readonly hostPid: boolean
  readonly hostIpc: boolean
  readonly sharePid: boolean
  /** The pod's IPv4 address, without a prefix length; absent with hostNetwork or without podNetwork. */
  readonly ip?: string
  readonly dns: DnsConfig
  readonly sysctls: Readonly<Record<string, string>>
  readonly cgroupParent: string
  /** Opaque to the runtime; comes back in `Observed`. */
  readonly annotations: Readonly<Record<string, string>>
}

export type Mount = {
  /** An absolute path on the host, already resolved and checked. */
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
  readonly propagation: 'private' | 'rslave' | 'rshared'
}

export type Resources = {
  /** Thousandths of a core. */
  readonly cpuRequestMilli?: number
  readonly cpuLimitMilli?: number
  readonly memoryLimitBytes?: number
  readonly oomScoreAdj: number
  readonly pidsLimit?: number
}

export type Security = {
  readonly uid?: number
  readonly gid?: number
  readonly supplementalGroups: readonly number[]
  readonly privileged: boolean
  readonly readOnlyRoot: boolean
  readonly noNewPrivileges: boolean
  readonly addCapabilities: readonly string[]
  readonly dropCapabilities: readonly string[]
  readonly unmaskedProc: boolean
  readonly seccomp: 'default' | 'unconfined'
}

export type ContainerSpec = {
  readonly uid: PodUid
  readonly namespace: string
  readonly pod: string
  readonly name: string
  readonly kind: 'init' | 'app' | 'ephemeral'
  /** The restart count: each attempt is a new container. */
  readonly attempt: number
  /** Hash of the container's part of the pod spec: a container with another hash is replaced. */
  readonly specHash: string
  readonly image: string
  /** Empty: the image's own. */
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly workingDir?: string
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly mounts: readonly Mount[]
  /** A file on the host that becomes the container's termination message path. */
  readonly terminationMessage?: { readonly source: string; readonly target: string }
  readonly tty: boolean
  readonly stdin: boolean
  readonly stdinOnce: boolean
  readonly resources: Resources
  readonly security: Security
  readonly stopSignal?: string
  readonly cgroupParent: string
  readonly annotations: Readonly<Record<string, string>>
}

export type Action =
  | { readonly kind: 'pull'; readonly image: string; readonly auths: readonly RegistryAuth[] }
  | { readonly kind: 'createSandbox'; readonly sandbox: SandboxSpec }
  | { readonly kind: 'removeSandbox'; readonly uid: PodUid; readonly id: string }
  | { readonly kind: 'startContainer'; readonly container: ContainerSpec; readonly sandboxId: string }
  /** Signal, wait up to `graceMs`, then kill. Resolves when it has stopped. */
  | { readonly kind: 'stopContainer'; readonly id: string; readonly graceMs: number }
  | { readonly kind: 'removeContainer'; readonly id: string }
  | { readonly kind: 'removeImage'; readonly image: string }

export type RegistryAuth = {
  readonly server: string
  readonly username: string
  readonly password: string
}

/** Why an action failed, in the words that a pod status shows. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly reason:
    | 'ErrImagePull'
    | 'ErrImageNeverPull'
    | 'InvalidImageName'
    | 'CreateContainerError'
    | 'RunContainerError'
    | 'CreateContainerConfigError'
    | 'FailedCreatePodSandBox'
    | 'Unsupported'
    | 'Unavailable'
    | 'NotFound'
  constructor(reason: RuntimeError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export type ObservedContainer = {
  readonly id: string
  /** As it stands in a pod status: docker://<id>. */
  readonly statusId: string
  readonly name: string
  readonly kind: ContainerSpec['kind']
  readonly attempt: number
  readonly specHash: string
  readonly image: string
  readonly imageId: string
  readonly annotations: Readonly<Record<string, string>>
  readonly createdMs: number
  readonly state:
    | { readonly kind: 'created' }
    | { readonly kind: 'running'; readonly startedMs: number; readonly pid: number }
    | {
        readonly kind: 'exited'
        readonly startedMs: number
        readonly finishedMs: number
        readonly exitCode: number
        readonly signal?: number
        readonly oomKilled: boolean
        readonly error?: string
      }
}

/** One pod as the runtime has it. A pod without a live sandbox has `sandbox.running` false, or no sandbox at all. */
export type Observed = {
  readonly uid: PodUid
  readonly namespace: string
  readonly name: string
  readonly sandbox?: {
    readonly id: string
    readonly attempt: number
    readonly running: boolean
    readonly createdMs: number
    readonly ip?: string
    readonly annotations: Readonly<Record<string, string>>
  }
  readonly containers: readonly ObservedContainer[]
}

export type LogOptions = {
  readonly follow: boolean
  readonly timestamps: boolean
  readonly tailLines?: number
  readonly sinceMs?: number
  readonly limitBytes?: number
  readonly stream?: 'stdout' | 'stderr'
}

export type ExecOptions = {
  readonly command: readonly string[]
  readonly tty: boolean
  readonly stdin: boolean
}

/** The container's side of exec and attach. `input` ends when the client closes its stdin. */
export type Stdio = {
  readonly input: AsyncIterable<Bytes>
  readonly resizes: AsyncIterable<{ readonly width: number; readonly height: number }>
  stdout(bytes: Bytes): Promise<void>
  stderr(bytes: Bytes): Promise<void>
}

export type ImageInfo = {
  readonly id: string
  readonly names: readonly string[]
  readonly bytes: number
  /** The user that the image names, '' when it names none. Needed for runAsNonRoot. */
  readonly user: string
}

export type Usage = {
  readonly cpuNanoseconds: number
  readonly memoryWorkingSetBytes: number
  readonly memoryUsageBytes: number
}

export interface ContainerRuntime {
  readonly capabilities: Capabilities
  /** All that carries our label. */
  observe(signal: AbortSignal): Promise<readonly Observed[]>
  /** Hints that something of this pod changed; a missed one costs only delay. Ends with the signal. */
  changed(signal: AbortSignal): AsyncIterable<PodUid>
  /** Idempotent. Rejects with RuntimeError. */
  perform(action: Action, signal: AbortSignal): Promise<void>
  image(name: string, signal: AbortSignal): Promise<ImageInfo | undefined>
  images(signal: AbortSignal): Promise<readonly ImageInfo[]>
  /** Log bytes as the client shall see them (lines, with RFC 3339 stamps when asked). */
  logs(containerId: string, options: LogOptions, signal: AbortSignal): AsyncIterable<Bytes>
  /** Resolves with the exit code; kills the process when the signal aborts. */
  exec(containerId: string, options: ExecOptions, stdio: Stdio, signal: AbortSignal): Promise<number>
  /** Joins the running container's own stdio; resolves when it ends or the signal aborts. */
  attach(containerId: string, options: Omit<ExecOptions, 'command'>, stdio: Stdio, signal: AbortSignal): Promise<void>
  /** A TCP connection to a port inside the pod, also one that listens on 127.0.0.1 only. */
  dial(uid: PodUid, port: number, signal: AbortSignal): Promise<PodConnection>
  /** Usage of each running container by its id. */
  usage(signal: AbortSignal): Promise<ReadonlyMap<string, Usage>>
}

export type PodConnection = {
  read(): AsyncIterable<Bytes>
  write(bytes: Bytes): Promise<void>
  closeWrite(): Promise<void>
  abort(): void
}
