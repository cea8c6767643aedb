// The library's errors in our words.
import { MeshError } from '../../world/network.ts'

export function dialError(what: string, error: unknown): MeshError {
  if (error instanceof MeshError) return error
  const message = errorText(error)
  if (/unexpected peer|payload identity key|peer id mismatch/i.test(message)) {
    return new MeshError('wrong-peer', `another peer than the one named answered at ${what}`, { cause: error })
  }
  return new MeshError('unreachable', `cannot reach ${what}: ${message}`, { cause: error })
}

export function errorText(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(errorText).join('; ')
  return error instanceof Error ? error.message : String(error)
}
