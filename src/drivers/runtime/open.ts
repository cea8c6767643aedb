// Chooses the container runtime of this machine: Docker where a daemon answers, else runc where root and runc really work, else
// plain processes. Called by node/run-components.ts.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContainerRuntime, RuntimeError } from '../../world/runtime.ts'
import type { RuntimeWorld } from './common.ts'
import { openDocker } from './docker.ts'
import { openProcess } from './process.ts'
import { openRunc } from './runc.ts'

export type RuntimeChoice = 'auto' | 'docker' | 'runc' | 'process'

export type RuntimeOptions = {
  /** A folder of the runtimes' own; each has its part of it. */
  readonly stateDir: string
  readonly dockerSocket: string
  /** Cluster and node: two agents may share one Docker daemon. */
  readonly owner: string
  readonly mtu: number
  readonly nodePodIp: () => string | undefined
  /** With `auto`: how long a Docker that was here the last time is waited for. */
  readonly patienceMs?: number
}

export type OpenedRuntime = {
  readonly runtime: ContainerRuntime
  /** One line for people: why this one. */
  readonly why: string
}

const retryMs = 500

/** Rejects with RuntimeError Unavailable when the one that was asked for does not work here. */
export async function openRuntime(
  choice: RuntimeChoice,
  world: RuntimeWorld,
  options: RuntimeOptions,
  signal: AbortSignal,
): Promise<OpenedRuntime> {
  const opened = await choose(choice, world, options, signal)
  await mkdir(options.stateDir, { recursive: true })
  await writeFile(join(options.stateDir, chosenFile), opened.runtime.capabilities.name)
  return opened
}

const chosenFile = 'chosen'

async function remembered(stateDir: string): Promise<string | undefined> {
  return await readFile(join(stateDir, chosenFile), 'utf8').catch(() => undefined)
}

async function choose(
  choice: RuntimeChoice,
  world: RuntimeWorld,
  options: RuntimeOptions,
  signal: AbortSignal,
): Promise<OpenedRuntime> {
  const { dockerSocket, owner, mtu, nodePodIp } = options
  const stateOf = (name: string) => join(options.stateDir, name)
  const asked = choice !== 'auto'
  const refusals: string[] = []

  if (choice === 'docker' || choice === 'auto') {
    const docker = { socketPath: dockerSocket, stateDir: stateOf('docker'), owner, mtu, nodePodIp }
    // At boot the daemon may come up after us; to choose another runtime then would leave its pods to nobody.
    const patienceMs = !asked && (await remembered(options.stateDir)) === 'docker' ? (options.patienceMs ?? 60_000) : 0
    const untilMs = world.clock.monotonicMs() + patienceMs
    let runtime = await openDocker(world, docker, signal)
    while (runtime === undefined && world.clock.monotonicMs() < untilMs && !signal.aborted) {
      await world.clock.sleep(retryMs, signal)
      runtime = await openDocker(world, docker, signal)
    }
    if (runtime !== undefined) return { runtime, why: asked ? 'as asked' : `a daemon answers at ${dockerSocket}` }
    refusals.push(`no Docker daemon answers at ${dockerSocket}`)
  }
  if (choice === 'runc' || choice === 'auto')
    try {
      const runtime = await openRunc(world, { stateDir: stateOf('runc'), mtu, nodePodIp }, signal)
      return { runtime, why: asked ? 'as asked' : `${refusals.join('; ')}; runc works` }
    } catch (error) {
      if (signal.aborted) throw error
      refusals.push((error as Error).message)
    }
  if (choice === 'process' || choice === 'auto') {
    const runtime = await openProcess(world, { stateDir: stateOf('process') }, signal)
    return { runtime, why: asked ? 'as asked' : refusals.join('; ') }
  }
  throw new RuntimeError('Unavailable', refusals.join('; '))
}
