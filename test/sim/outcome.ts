// What one seed came to.
import type { Failure } from './safety.ts'

export type Counts = Readonly<Record<string, number>>

export type Outcome = {
  readonly seed: number
  /** Of every event: the same for the same seed on the same commit. */
  readonly digest: string
  readonly events: number
  readonly counts: Counts
  /** Faults that changed what happened, by kind. */
  readonly bites: Counts
  readonly simulatedMs: number
  readonly failure: Failure | undefined
  readonly trace: readonly string[]
}

/** A seed in which too little happened proves little: it is counted, and its share is printed. */
export function isDull({ counts }: Outcome): boolean {
  return (counts['leaders'] ?? 0) < 3 || (counts['crashes'] ?? 0) < 2
}

export function addCounts(into: Record<string, number>, more: Counts): void {
  for (const [name, count] of Object.entries(more)) into[name] = (into[name] ?? 0) + count
}
