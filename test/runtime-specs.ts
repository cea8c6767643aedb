// Pods and containers for tests of runtimes, with nothing special about them, and looking at what became of them.
import { setTimeout as sleep } from 'node:timers/promises'
import { realClock } from '../src/drivers/clock.ts'
import { realLog } from '../src/drivers/log.ts'
import { realRandom } from '../src/drivers/random.ts'
import type { RuntimeWorld } from '../src/drivers/runtime/common.ts'
import { type Bytes, concat, text, utf8 } from '../src/lib/bytes.ts'
import type {
  ContainerRuntime,
  ContainerSpec,
  LogOptions,
  ObservedContainer,
  Resources,
  SandboxSpec,
  Security,
  Stdio,
} from '../src/world/runtime.ts'

export const world: RuntimeWorld = {
  clock: realClock(),
  random: realRandom(),
  log: realLog({ level: 'warn', format: 'text' }),
}

export const plainSecurity: Security = {
  supplementalGroups: [],
  privileged: false,
  readOnlyRoot: false,
  noNewPrivileges: false,
  addCapabilities: [],
  dropCapabilities: [],
  unmaskedProc: false,
  seccomp: 'default',
}
export const plainResources: Resources = { oomScoreAdj: 0 }

/** The `number`th pod of a test. */
export function sandboxSpec(number: number, more: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    uid: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    namespace: 'default',
    name: `pod-${number}`,
    attempt: 0,
    hostname: `host-${number}`,
    hostNetwork: false,
    hostPid: false,
    hostIpc: false,
    sharePid: false,
    dns: { servers: ['10.213.0.2'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] },
    sysctls: {},
    cgroupParent: '',
    annotations: { note: `of pod ${number}` },
    ...more,
  }
}

export function containerSpec(
  sandbox: SandboxSpec,
  image: string,
  command: readonly string[],
  more: Partial<ContainerSpec> = {},
): ContainerSpec {
  return {
    uid: sandbox.uid,
    namespace: sandbox.namespace,
    pod: sandbox.name,
    name: 'main',
    kind: 'app',
    attempt: 0,
    specHash: 'hash',
    image,
    command,
    args: [],
    env: [],
    mounts: [],
    tty: false,
    stdin: false,
    stdinOnce: false,
    resources: plainResources,
    security: plainSecurity,
    cgroupParent: sandbox.cgroupParent,
    annotations: {},
    ...more,
  }
}

/** Waits until the container is in that state. */
export async function untilState(
  runtime: ContainerRuntime,
  uid: string,
  name: string,
  kind: ObservedContainer['state']['kind'],
  attempt = 0,
): Promise<ObservedContainer> {
  const { signal } = new AbortController()
  for (let round = 0; round < 1_200; round++) {
    const pod = (await runtime.observe(signal)).find(each => each.uid === uid)
    const found = pod?.containers.find(each => each.name === name && each.attempt === attempt)
    if (found?.state.kind === kind) return found
    await sleep(25)
  }
  throw new Error(`container ${name} never was ${kind}: ${JSON.stringify(await runtime.observe(signal))}`)
}

/** Makes the pod and starts one container in it. */
export async function runPod(
  runtime: ContainerRuntime,
  sandbox: SandboxSpec,
  container: ContainerSpec,
  kind: 'running' | 'exited',
): Promise<{ found: ObservedContainer; id: string; sandboxId: string }> {
  const { signal } = new AbortController()
  await runtime.perform({ kind: 'createSandbox', sandbox }, signal)
  const made = (await runtime.observe(signal)).find(pod => pod.uid === sandbox.uid)?.sandbox
  if (made === undefined) throw new Error('no sandbox')
  await runtime.perform({ kind: 'startContainer', container, sandboxId: made.id }, signal)
  const found = await untilState(runtime, sandbox.uid, container.name, kind, container.attempt)
  return { found, id: found.id, sandboxId: made.id }
}

export async function removePods(runtime: ContainerRuntime): Promise<void> {
  const { signal } = new AbortController()
  for (const pod of await runtime.observe(signal)) {
    for (const { id } of pod.containers) await runtime.perform({ kind: 'removeContainer', id }, signal)
    if (pod.sandbox !== undefined)
      await runtime.perform({ kind: 'removeSandbox', uid: pod.uid, id: pod.sandbox.id }, signal)
  }
}

export async function readLogs(
  runtime: ContainerRuntime,
  id: string,
  options: Partial<LogOptions> = {},
): Promise<string> {
  const { signal } = new AbortController()
  const parts: Bytes[] = []
  for await (const bytes of runtime.logs(id, { follow: false, timestamps: false, ...options }, signal))
    parts.push(bytes)
  return text(concat(parts))
}

export type Size = { readonly width: number; readonly height: number }

/** A client's side of exec and attach, with what it was told. */
export function client(
  input?: string,
  sizes: readonly Size[] = [],
  source?: () => AsyncGenerator<Bytes>,
): { stdio: Stdio; said: () => { stdout: string; stderr: string } } {
  const out: Bytes[] = []
  const err: Bytes[] = []
  return {
    stdio: {
      input:
        source?.() ??
        (async function* () {
          if (input !== undefined && input !== '') yield utf8(input)
        })(),
      resizes: (async function* () {
        yield* sizes
      })(),
      async stdout(bytes) {
        out.push(bytes.slice())
      },
      async stderr(bytes) {
        err.push(bytes.slice())
      },
    },
    said: () => ({ stdout: text(concat(out)), stderr: text(concat(err)) }),
  }
}
