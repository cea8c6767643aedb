// The state of the links between members, the same for both simulations: what is cut, what is clogged, and who has healed.
import { addCounts, type Counts } from './outcome.ts'
import type { Partition } from './partition.ts'

export type Links<T extends string> = ReturnType<typeof createLinks<T>>

export function createLinks<T extends string>() {
  const parts = new Set<{ readonly partition: Partition<T>; readonly keys: ReadonlySet<string> }>()
  const clogs = new Map<string, number>()
  const bitten = new WeakSet<Partition<T>>()
  const bites: Record<string, number> = {}
  let healthy = (_member: T): boolean => false

  const isHealthy = (a: T, b: T) => healthy(a) && healthy(b)

  return {
    isHealthy,
    isCut(from: T, to: T): boolean {
      if (parts.size === 0 || isHealthy(from, to)) return false
      const key = `${from}>${to}`
      for (const { keys } of parts) if (keys.has(key)) return true
      return false
    },
    /** A message did not get through: whose work that was. */
    bites(from: T, to: T): void {
      const key = `${from}>${to}`
      for (const { partition, keys } of parts) {
        if (!keys.has(key) || bitten.has(partition)) continue
        addCounts(bites, { [`partition ${partition.kind}`]: 1 })
        bitten.add(partition)
      }
    },
    /** Disposing heals it. */
    part(partition: Partition<T>): Disposable {
      const part = { partition, keys: new Set(partition.pairs.map(([from, to]) => `${from}>${to}`)) }
      parts.add(part)
      return { [Symbol.dispose]: () => void parts.delete(part) }
    },
    /** What is on its way waits until then. */
    clog(from: T, to: T, untilMs: number): void {
      clogs.set(`${from}>${to}`, untilMs)
    },
    cloggedUntilMs: (from: T, to: T): number => (isHealthy(from, to) ? 0 : (clogs.get(`${from}>${to}`) ?? 0)),
    /** Nothing fails any more between those that `isHealed` names; what is between others stays as it is. */
    heal(isHealed: (member: T) => boolean): void {
      healthy = isHealed
    },
    /** Partitions that kept a message back, by kind. */
    counts: (): Counts => bites,
  }
}
