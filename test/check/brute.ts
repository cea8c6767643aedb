// The slowest and plainest checker: every order of every subset of the optional operations. What the others are held against.
import type { Model, Timed } from './wgl.ts'

/** True when some order of all required and any optional operations keeps real time and is allowed by the model. */
export function linearizableByBruteForce<State, T extends Timed>(
  model: Model<State, T>,
  operations: readonly T[],
): boolean {
  const from = (state: State, left: readonly T[]): boolean => {
    if (left.every(operation => model.isOptional(operation))) return true
    return left.some(operation => {
      if (left.some(other => !model.isOptional(other) && other.return < operation.call)) return false
      const next = model.step(state, operation)
      return (
        next !== undefined &&
        from(
          next,
          left.filter(other => other !== operation),
        )
      )
    })
  }
  return from(model.start, operations)
}
