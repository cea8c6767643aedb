// Turns at what many writes change along with their own object: a quota that all pods of a namespace are charged to. Who lost
// against another waits for its turn, and so does who comes while others wait, or one after the other would lose for ever.
import { onAbort } from '../lib/abort.ts'

export interface Turns {
  isAwaited(keys: readonly string[]): boolean
  /** Resolves when it is the caller's turn at all of them, in the order of the calls; disposing gives it to the next. */
  take(keys: readonly string[], signal: AbortSignal): Promise<Disposable>
}

export function openTurns(): Turns {
  const last = new Map<string, Promise<void>>()

  /** Gives what ends the turn at `key`. */
  async function one(key: string, signal: AbortSignal): Promise<() => void> {
    const before = last.get(key)
    const { promise, resolve } = Promise.withResolvers<void>()
    last.set(key, promise)
    const end = () => {
      if (last.get(key) === promise) last.delete(key)
      resolve()
    }
    if (before === undefined) return end
    const gone = Promise.withResolvers<void>()
    using _ = onAbort(signal, () => gone.resolve())
    await Promise.race([before, gone.promise])
    if (!signal.aborted) return end
    // Whoever waits behind waits for those before as well.
    void before.then(end)
    throw signal.reason
  }

  return {
    isAwaited: keys => keys.some(key => last.has(key)),
    async take(keys, signal) {
      const ends: (() => void)[] = []
      const dispose = () => {
        for (const end of ends.splice(0)) end()
      }
      try {
        // All take them in one order, so that no two wait for each other.
        for (const key of [...new Set(keys)].toSorted()) ends.push(await one(key, signal))
      } catch (error) {
        dispose()
        throw error
      }
      return { [Symbol.dispose]: dispose }
    },
  }
}
