// What the workers of all pods share, as run.ts gives it to them.
import type { ObjectOf } from '../api/kind.ts'
import type { node as nodeKind } from '../api/kinds/node.ts'
import type { Client } from '../client/client.ts'
import type { ContainerRuntime, Observed } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import type { Allocatable, Refusal } from './admission.ts'
import type { ConfigMap, Secret, Service } from './env.ts'
import type { Pod } from './plan.ts'
import type { NodeFacts } from './spec.ts'

export type Node = ObjectOf<typeof nodeKind>

export type KubeletConfig = {
  readonly node: NodeFacts
  readonly stateDir: string
  readonly allocatable: Allocatable
}

export type Context = {
  readonly world: World
  readonly config: KubeletConfig
  readonly client: Client
  readonly runtime: ContainerRuntime
  readonly signal: AbortSignal
  record(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string): void
  refresh(): Promise<void>
  announce(): void
  podOf(uid: string): Pod | undefined
  observedOf(uid: string): Observed | undefined
  refusalOf(uid: string): Refusal | undefined
  node(): Node | undefined
  /** A free address of the range, kept for this pod until its sandbox shows it; undefined: none is free. */
  takeAddress(uid: string, podCidr: string): string | undefined
  reached(revision: number, until: AbortSignal): Promise<void>
  configMap(namespace: string, name: string): ConfigMap | undefined
  secret(namespace: string, name: string): Secret | undefined
  services(namespace: string): readonly Service[]
  apiService(): Service | undefined
  forget(uid: string): Promise<void>
}

/** A volume that cannot be made: the pod waits, and its containers with it. */
export class MountError extends Error {
  override readonly name = 'MountError'
}
