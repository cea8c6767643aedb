// A ContainerRuntime made of folders and shims, without a daemon: what `runc` and `process` have in common. Each container is
// a folder that says what it is (container.json), how it goes (started.json, exit.json) and what it said (log); so an agent
// that was killed finds everything again. The two differ in their Backend.
import { createHash } from 'node:crypto'
import { watch } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { onAbort } from '../../lib/abort.ts'
import { utf8 } from '../../lib/bytes.ts'
import { compareText } from '../../lib/sorted.ts'
import {
  type Action,
  type Capabilities,
  type ContainerRuntime,
  type ContainerSpec,
  type ExecOptions,
  type ImageInfo,
  type Observed,
  type ObservedContainer,
  RuntimeError,
  type SandboxSpec,
  type Usage,
} from '../../world/runtime.ts'
import { hints, type RuntimeWorld } from './common.ts'
import { type DialTarget, dialPod } from './connect.ts'
import { makeWritableFile, readJson, writeJson } from './files.ts'
import { containerLabels, type Identity, identityOf, type Labels, sandboxLabels } from './labels.ts'
import {
  attachShim,
  type ExecCommand,
  execBeside,
  type Launch,
  type ShimCommand,
  type ShimState,
  type Started,
  shimState,
  signalProcess,
  startShim,
} from './shim.ts'
import { readLog } from './shim-log.ts'
import { signalNumber } from './signals.ts'

export type SandboxRecord<S> = {
  readonly id: string
  readonly folder: string
  readonly labels: Labels
  readonly createdMs: number
  readonly boot: string
  readonly spec: SandboxSpec
  readonly state: S
}
export type ContainerRecord<C> = {
  readonly id: string
  readonly folder: string
  readonly labels: Labels
  readonly createdMs: number
  readonly boot: string
  readonly imageId: string
  readonly stopSignal: number
  readonly stdin: boolean
  readonly tty: boolean
  readonly state: C
}

/** `S` and `C` are what a backend wants to remember of a sandbox and of a container: JSON. */
export interface Backend<S, C> {
  readonly capabilities: Capabilities
  readonly shim: ShimCommand
  image(name: string, signal: AbortSignal): Promise<ImageInfo | undefined>
  images(signal: AbortSignal): Promise<readonly ImageInfo[]>
  pull(name: string, signal: AbortSignal): Promise<void>
  removeImage(name: string, signal: AbortSignal): Promise<void>
  /** Makes the pod's namespaces, or finds them again by `before`. Rejects with what goes into a pod status. */
  openSandbox(spec: SandboxSpec, folder: string, before: S | undefined, signal: AbortSignal): Promise<S>
  sandboxRuns(record: SandboxRecord<S>): Promise<boolean>
  /** Idempotent, also for one that was never quite made. The folder is removed after it. */
  closeSandbox(record: Omit<SandboxRecord<S>, 'state'>, signal: AbortSignal): Promise<void>
  /** All that comes before the start. Idempotent: a crash may have left it half done. */
  prepare(
    spec: ContainerSpec,
    sandbox: SandboxRecord<S>,
    container: { readonly id: string; readonly folder: string },
    signal: AbortSignal,
  ): Promise<{ readonly launch: Launch; readonly state: C; readonly imageId: string; readonly stopSignal?: string }>
  /** Undoes a `prepare` that failed or was cut off. Idempotent. The folder is removed after it. */
  abandon(container: { readonly id: string; readonly folder: string }, signal: AbortSignal): Promise<void>
  /** Why a start failed, in better words than the shim has. */
  failure(record: ContainerRecord<C>, what: string, code: number): Promise<string>
  /** Ends what still runs of it and undoes `prepare`. Idempotent. The folder is removed after it. */
  discard(record: ContainerRecord<C>, started: Started | undefined, signal: AbortSignal): Promise<void>
  /** Kills at once and for all, its children too. */
  kill(record: ContainerRecord<C>, started: Started): Promise<void>
  exec(record: ContainerRecord<C>, options: ExecOptions, started: Started): Promise<ExecCommand>
  dialTarget(record: SandboxRecord<S>, port: number): DialTarget
  usage(record: ContainerRecord<C>, started: Started): Promise<Usage | undefined>
}

/** A shim that is just ending may still put a file there. */
const whole = { recursive: true, force: true, maxRetries: 5, retryDelay: 20 }

export async function shimmedRuntime<S, C>(
  world: RuntimeWorld,
  stateDir: string,
  backend: Backend<S, C>,
  signal: AbortSignal,
): Promise<ContainerRuntime> {
  const podsFolder = join(stateDir, 'pods')
  const containersFolder = join(stateDir, 'containers')
  const endedFolder = join(stateDir, 'ended')
  for (const folder of [podsFolder, containersFolder, endedFolder])
    await mkdir(folder, { recursive: true, mode: 0o711 })
  const boot = await bootId()
  const { capabilities } = backend
  const told = new Set<(uid: string) => void>()
  const tell = (uid: string) => {
    for (const add of told) add(uid)
  }
  /** One action per pod or container at a time: doing the same twice at once would not be doing it once. */
  const locks = new Map<string, Promise<unknown>>()
  async function alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = locks.get(key)
    const mine = (async () => {
      await before?.catch(() => {})
      return await work()
    })()
    locks.set(key, mine)
    try {
      return await mine
    } finally {
      if (locks.get(key) === mine) locks.delete(key)
    }
  }

  async function sandboxes(): Promise<SandboxRecord<S>[]> {
    return await recordsIn<SandboxRecord<S>>(podsFolder, 'sandbox.json')
  }
  const sandboxOf = (id: string) => recordAt<SandboxRecord<S>>(podsFolder, id, 'sandbox.json')
  const containerOf = (id: string) => recordAt<ContainerRecord<C>>(containersFolder, id, 'container.json')
  const stateOf = (record: ContainerRecord<C>): Promise<ShimState> =>
    shimState(world, record.folder, record.boot === boot)

  async function running(id: string): Promise<{ record: ContainerRecord<C>; started: Started }> {
    const record = await containerOf(id)
    const state = record === undefined ? undefined : await stateOf(record)
    if (record === undefined || state?.kind !== 'running')
      throw new RuntimeError('NotFound', `container ${id} does not run`)
    return { record, started: state.started }
  }

  async function observe(): Promise<readonly Observed[]> {
    const pods = new Map<string, Observed>()
    const podOf = ({ uid, namespace, pod: name }: Identity): Observed =>
      pods.get(uid) ?? { uid, namespace, name, containers: [] }
    for (const record of await sandboxes()) {
      const identity = identityOf(record.labels)
      if (identity?.type !== 'sandbox') continue
      const { attempt, annotations, ip } = identity
      const lives = record.boot === boot && (await backend.sandboxRuns(record))
      const before = podOf(identity)
      const sandbox = {
        ...{ id: record.id, attempt, running: lives, createdMs: record.createdMs, annotations },
        ...(ip === undefined ? {} : { ip }),
      }
      const worse = before.sandbox !== undefined && before.sandbox.attempt > attempt
      pods.set(identity.uid, worse ? before : { ...before, sandbox })
    }
    for (const record of await recordsIn<ContainerRecord<C>>(containersFolder, 'container.json')) {
      const identity = identityOf(record.labels)
      if (identity?.type !== 'container') continue
      const pod = podOf(identity)
      const seen = await observedContainer(record, identity)
      pods.set(identity.uid, { ...pod, containers: [...pod.containers, seen] })
    }
    const order = (a: ObservedContainer, b: ObservedContainer) => compareText(a.name, b.name) || a.attempt - b.attempt
    return [...pods.values()].map(pod => ({ ...pod, containers: pod.containers.toSorted(order) }))
  }

  async function observedContainer(
    record: ContainerRecord<C>,
    identity: Identity & { type: 'container' },
  ): Promise<ObservedContainer> {
    const { name, kind, attempt, specHash, image, annotations } = identity
    const { id, imageId, createdMs } = record
    const common = { name, kind, attempt, specHash, image, imageId, annotations, createdMs }
    return { id, statusId: `${capabilities.name}://${id}`, ...common, state: await observedState(record) }
  }

  async function observedState(record: ContainerRecord<C>): Promise<ObservedContainer['state']> {
    const state = await stateOf(record)
    switch (state.kind) {
      case 'created':
        return { kind: 'created' }
      case 'failed':
        return {
          kind: 'exited',
          startedMs: record.createdMs,
          finishedMs: record.createdMs,
          exitCode: failureCode(state.code),
          oomKilled: false,
          error: await backend.failure(record, state.what, state.code),
        }
      case 'running':
        return { kind: 'running', startedMs: state.started.startedMs, pid: state.started.pid }
      case 'ended': {
        const { code, signal, oom, finishedMs, error } = state.ended
        return {
          kind: 'exited',
          startedMs: state.started.startedMs,
          // Two clocks stamped them, the shim's and ours.
          finishedMs: Math.max(finishedMs, state.started.startedMs),
          exitCode: code,
          ...(signal === 0 ? {} : { signal }),
          oomKilled: oom && code === 137,
          ...(error === undefined ? {} : { error }),
        }
      }
    }
  }

  async function createSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<void> {
    for (const other of await sandboxes())
      if (other.spec.uid === spec.uid && other.spec.attempt < spec.attempt) await removeSandbox(other.id, signal)
    const id = shortHash(`${spec.uid}/${spec.attempt}`)
    const folder = join(podsFolder, id)
    const before = await sandboxOf(id)
    const old = before?.boot === boot ? before : undefined
    if (old !== undefined && (await backend.sandboxRuns(old))) {
      // It may lack its network still, when the agent was killed in between.
      await backend.openSandbox(spec, folder, old.state, signal)
      return
    }
    if (before !== undefined) await backend.closeSandbox(before, signal)
    await mkdir(folder, { recursive: true, mode: 0o711 })
    const plan = { id, folder, labels: sandboxLabels('', spec), createdMs: world.clock.nowMs(), boot, spec }
    // So that one that is cut off halfway is known at the next start.
    await writeJson(join(folder, 'plan.json'), plan)
    try {
      const state = await backend.openSandbox(spec, folder, undefined, signal)
      await writeJson(join(folder, 'sandbox.json'), { ...plan, state } satisfies SandboxRecord<S>)
    } catch (error) {
      await dropSandbox(plan, new AbortController().signal)
      throw error
    }
    tell(spec.uid)
  }

  async function removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    const record = await sandboxOf(id)
    if (record === undefined) return
    await dropSandbox(record, signal)
    tell(record.spec.uid)
  }

  async function dropSandbox(record: Omit<SandboxRecord<S>, 'state'>, signal: AbortSignal): Promise<void> {
    await backend.closeSandbox(record, signal)
    await rm(record.folder, whole)
  }

  async function dropContainer(id: string, folder: string, signal: AbortSignal): Promise<void> {
    await backend.abandon({ id, folder }, signal)
    await rm(folder, whole)
  }

  /** What an agent that was killed left half made, and nobody can see. */
  async function sweep(signal: AbortSignal): Promise<void> {
    for (const id of await readdir(podsFolder)) {
      const plan = await recordAt<SandboxRecord<S>>(podsFolder, id, 'plan.json')
      if ((await sandboxOf(id)) !== undefined) continue
      if (plan !== undefined) await dropSandbox(plan, signal)
      else await rm(join(podsFolder, id), whole)
    }
    for (const id of await readdir(containersFolder))
      if ((await containerOf(id)) === undefined) await dropContainer(id, join(containersFolder, id), signal)
    for (const id of await readdir(endedFolder)) await rm(join(endedFolder, id), { force: true })
  }

  async function startContainer(spec: ContainerSpec, sandboxId: string, signal: AbortSignal): Promise<void> {
    const id = shortHash(`${spec.uid}/${spec.name}/${spec.attempt}`)
    const folder = join(containersFolder, id)
    const before = await containerOf(id)
    if (before !== undefined) {
      const state = await stateOf(before)
      if (state.kind === 'failed')
        throw new RuntimeError('RunContainerError', await backend.failure(before, state.what, state.code))
      if (state.kind !== 'created') return
    }
    const sandbox = await sandboxOf(sandboxId)
    if (sandbox === undefined || sandbox.boot !== boot || !(await backend.sandboxRuns(sandbox)))
      throw new RuntimeError('CreateContainerError', `the pod's sandbox ${sandboxId} does not run`)
    if (spec.terminationMessage !== undefined) await makeWritableFile(spec.terminationMessage.source)
    await mkdir(folder, { recursive: true, mode: 0o711 })
    const prepared = await backend.prepare(spec, sandbox, { id, folder }, signal).catch(async error => {
      await dropContainer(id, folder, new AbortController().signal)
      throw error
    })
    const { launch, state, imageId, stopSignal } = prepared
    const record: ContainerRecord<C> = {
      ...{ id, folder, labels: containerLabels('', spec, sandboxId), boot, imageId, state },
      createdMs: world.clock.nowMs(),
      stopSignal: signalNumber(spec.stopSignal ?? stopSignal) ?? signalNumber('SIGTERM') ?? 15,
      stdin: spec.stdin,
      tty: spec.tty,
    }
    // From here on `observe` shows it, as created.
    await writeJson(join(folder, 'container.json'), record)
    const flags = [...launch.flags]
    if (spec.tty) flags.push('-t')
    if (spec.stdin) flags.push('-i')
    if (spec.stdin && spec.stdinOnce) flags.push('-1')
    await startShim(world, backend.shim, folder, { ...launch, flags }, signal)
    tell(spec.uid)
    const after = await startedState(record, signal)
    if (after.kind === 'failed')
      throw new RuntimeError('RunContainerError', await backend.failure(record, after.what, after.code))
    if (after.kind === 'created') throw new RuntimeError('RunContainerError', 'the shim ended and did not say why')
  }

  /** A second shim for the same container ends at once; the first may still be on its way. */
  async function startedState(record: ContainerRecord<C>, signal: AbortSignal): Promise<ShimState> {
    for (let round = 0; ; round++) {
      const state = await stateOf(record)
      if (state.kind !== 'created' || round >= 40 || signal.aborted) return state
      await world.clock.sleep(50, signal)
    }
  }

  async function stopContainer(id: string, graceMs: number, signal: AbortSignal): Promise<void> {
    const record = await containerOf(id)
    if (record === undefined) return
    const state = await stateOf(record)
    if (state.kind !== 'running') return
    const until = world.clock.monotonicMs() + Math.max(0, graceMs)
    if (graceMs > 0) await signalProcess(state.started, record.stopSignal)
    while (world.clock.monotonicMs() < until && !signal.aborted) {
      if ((await stateOf(record)).kind !== 'running') return
      await world.clock.sleep(25, signal)
    }
    if (signal.aborted) throw signal.reason
    await backend.kill(record, state.started)
    while ((await stateOf(record)).kind === 'running') {
      await world.clock.sleep(10, signal)
      if (signal.aborted) throw signal.reason
    }
  }

  async function removeContainer(id: string, signal: AbortSignal): Promise<void> {
    const record = await containerOf(id)
    if (record === undefined) return
    const state = await stateOf(record)
    if (state.kind === 'running') await stopContainer(id, 0, signal)
    await backend.discard(record, 'started' in state ? state.started : undefined, signal)
    await rm(record.folder, whole)
    await rm(join(endedFolder, id), { force: true })
    const identity = identityOf(record.labels)
    if (identity !== undefined) tell(identity.uid)
  }

  async function removeImage(name: string, signal: AbortSignal): Promise<void> {
    const image = await backend.image(name, signal)
    const users = await recordsIn<ContainerRecord<C>>(containersFolder, 'container.json')
    const user = users.find(({ imageId }) => imageId === image?.id)
    if (user !== undefined) throw new RuntimeError('Unavailable', `image ${name} is used by container ${user.id}`)
    await backend.removeImage(name, signal)
  }

  async function carryOut(action: Action, signal: AbortSignal): Promise<void> {
    switch (action.kind) {
      case 'pull':
        return await backend.pull(action.image, signal)
      case 'createSandbox':
        return await alone(action.sandbox.uid, () => createSandbox(action.sandbox, signal))
      case 'removeSandbox':
        return await alone(action.uid, () => removeSandbox(action.id, signal))
      case 'startContainer': {
        const { container, sandboxId } = action
        return await alone(`${container.uid}/${container.name}`, () => startContainer(container, sandboxId, signal))
      }
      case 'stopContainer':
        return await stopContainer(action.id, action.graceMs, signal)
      case 'removeContainer':
        return await alone(action.id, () => removeContainer(action.id, signal))
      case 'removeImage':
        return await removeImage(action.image, signal)
    }
  }

  async function* changed(signal: AbortSignal): AsyncGenerator<string> {
    const { add, read } = hints()
    told.add(add)
    // The shim of a container that ended leaves a file of its name here.
    const ended = async (id: string | null) => {
      if (id === null) return
      const identity = identityOf((await containerOf(id))?.labels ?? {})
      if (identity !== undefined) tell(identity.uid)
      await rm(join(endedFolder, id), { force: true })
    }
    const watcher = watch(endedFolder, (_, name) => void ended(name).catch(() => {}))
    watcher.on('error', error => world.log.warn('changes of containers are not told', { why: error.message }))
    using _ = onAbort(signal, () => watcher.close())
    try {
      for (const { uid } of await observe()) add(uid)
      yield* read(signal)
    } finally {
      told.delete(add)
      watcher.close()
    }
  }

  await sweep(signal)
  return {
    capabilities,
    observe,
    changed,
    async perform(action, signal) {
      try {
        await carryOut(action, signal)
      } catch (error) {
        if (error instanceof RuntimeError || signal.aborted) throw error
        throw new RuntimeError(reasonOf(action), (error as Error).message, { cause: error })
      }
    },
    image: backend.image,
    images: backend.images,
    async *logs(id, options, signal) {
      const record = await containerOf(id)
      if (record === undefined) throw new RuntimeError('NotFound', `no container ${id}`)
      const ended = async () => {
        const state = await stateOf(record)
        return state.kind === 'ended' || state.kind === 'failed'
      }
      yield* readLog(world, record.folder, options, ended, signal)
    },
    async exec(id, options, stdio, signal) {
      const { record, started } = await running(id)
      return await execBeside(backend.shim, await backend.exec(record, options, started), options, stdio, signal)
    },
    async attach(id, options, stdio, signal) {
      const { record } = await running(id)
      await attachShim(record.folder, { ...options, stdin: options.stdin && record.stdin }, stdio, signal)
    },
    async dial(uid, port, signal) {
      for (const record of await sandboxes())
        if (record.spec.uid === uid && record.boot === boot && (await backend.sandboxRuns(record)))
          return await dialPod(world, backend.dialTarget(record, port), signal)
      throw new RuntimeError('NotFound', `pod ${uid} does not run here`)
    },
    async usage() {
      const all = new Map<string, Usage>()
      for (const record of await recordsIn<ContainerRecord<C>>(containersFolder, 'container.json')) {
        const state = await stateOf(record)
        const usage = state.kind === 'running' ? await backend.usage(record, state.started) : undefined
        if (usage !== undefined) all.set(record.id, usage)
      }
      return all
    },
  }
}

function reasonOf(action: Action): RuntimeError['reason'] {
  if (action.kind === 'createSandbox') return 'FailedCreatePodSandBox'
  if (action.kind === 'startContainer') return 'CreateContainerError'
  return action.kind === 'pull' ? 'ErrImagePull' : 'Unavailable'
}

/** As shells have it: 127 for a program that is not there, 126 for one that cannot be run. */
function failureCode(code: number): number {
  return code === 2 ? 127 : code === 13 || code === 8 ? 126 : 128
}

async function recordAt<T extends { readonly id: string }>(
  folder: string,
  id: string,
  file: string,
): Promise<T | undefined> {
  // An ID comes from clients too (logs, exec): it must not leave the folder.
  return /^[0-9a-f]{1,64}$/.test(id) ? await readJson<T>(join(folder, id, file)) : undefined
}

async function recordsIn<T extends { readonly id: string }>(folder: string, file: string): Promise<T[]> {
  const names = (await readdir(folder)).sort()
  const all = await Promise.all(names.map(name => recordAt<T>(folder, name, file)))
  return all.filter(record => record !== undefined)
}

function shortHash(of: string): string {
  return createHash('sha256').update(utf8(of)).digest('hex').slice(0, 32)
}

async function bootId(): Promise<string> {
  // Elsewhere a process number alone must do.
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown')).trim()
}
