// What a nemesis is: something that breaks the cluster for a while, counts how often that took effect, and mends it again.
import type { Prng } from '../../src/lib/prng.ts'
import type { Cluster } from './cluster.ts'
import type { Recorder } from './load.ts'

export type Scene = {
  readonly cluster: Cluster
  readonly recorder: Recorder
  readonly random: Prng
  /** Of the run: for scratch files. */
  readonly dir: string
  /** When to begin no further fault. By `performance.now`. */
  readonly untilMs: number
  /** How long writes were away after each kill of a leader, in milliseconds; Infinity when they did not come back. */
  readonly resumedMs: number[]
}

export type Effect = {
  /** How many faults did what they were meant to do. */
  readonly faults: number
  /** What people want to know beside the number. */
  readonly note?: string
  /** What must not have happened. */
  readonly wrong?: readonly string[]
}

export type Nemesis = {
  readonly name: string
  /** Share of the time that it gets, against others. */
  readonly weight: number
  /** Why it cannot be had here; undefined when it can. */
  missing?(cluster: Cluster): string | undefined
  run(scene: Scene): Promise<Effect>
}

export const hasTime = (scene: Scene) => performance.now() < scene.untilMs

/** A number of milliseconds between the two, by chance. */
export const between = (scene: Scene, low: number, high: number) => low + scene.random.below(high - low)

export function pick<T>(scene: Scene, from: readonly T[]): T {
  const one = from[scene.random.below(from.length)]
  if (one === undefined) throw new Error('nothing to pick from')
  return one
}
