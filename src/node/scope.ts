// Tasks that end together: what is started in a scope is over when the scope is. The first task that fails ends the others.
import { onAbort } from '../lib/abort.ts'
import type { Log } from '../world/log.ts'

export interface Scope extends AsyncDisposable {
  readonly signal: AbortSignal
  /** A task lives until the scope's signal; ending earlier is allowed, failing ends the scope. */
  start(name: string, task: (signal: AbortSignal) => Promise<void>): void
  /** Ends it without a failure. */
  end(): void
  /** Rejects with the first failure; resolves when the scope has ended without one. */
  readonly ended: Promise<void>
}

export function openScope(log: Log, parent: AbortSignal): Scope {
  const controller = new AbortController()
  const running = new Set<Promise<void>>()
  const ended = Promise.withResolvers<void>()
  ended.promise.catch(() => undefined)
  const linked = onAbort(parent, () => controller.abort())
  const { signal } = controller
  onAbort(signal, () => {
    Promise.all(running).then(() => ended.resolve(), ended.reject)
  })

  return {
    signal,
    ended: ended.promise,
    end: () => controller.abort(),
    start(name, task) {
      const run = (async () => {
        try {
          await task(signal)
        } catch (error) {
          if (signal.aborted && !(error instanceof Error && error.name === 'AssertionError')) {
            log.debug('a task ended with its scope', { task: name, error: String(error) })
            return
          }
          log.error('a task failed', {
            task: name,
            error: error instanceof Error ? (error.stack ?? '') : String(error),
          })
          ended.reject(error)
          controller.abort()
        }
      })()
      running.add(run)
      run.finally(() => running.delete(run))
    },
    async [Symbol.asyncDispose]() {
      controller.abort()
      linked[Symbol.dispose]()
      await Promise.all(running)
    },
  }
}
