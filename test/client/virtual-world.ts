// Clock, randomness and log for tests of shells that need no network: time stands still until `pass` moves it, so a test
// never waits and never depends on the speed of the machine.
import { onAbort } from '../../src/lib/abort.ts'
import { prng } from '../../src/lib/prng.ts'
import type { Log, LogFields } from '../../src/world/log.ts'
import type { World } from '../../src/world/world.ts'
import { createAgenda } from '../sim/agenda.ts'

export type VirtualWorld = Pick<World, 'clock' | 'random' | 'log'> & {
  /** Lets `ms` go by, running all that becomes due, and all that follows from it. */
  pass(ms: number): Promise<void>
  /** Lets time go by in steps until `isDone`; throws after `mostMs`. */
  until(isDone: () => boolean, mostMs?: number, what?: string): Promise<void>
  readonly lines: readonly string[]
}

/** All promises that can go on without the clock have gone on. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve))
}

export function virtualWorld(seed = 1, startMs = Date.parse('2026-01-01T00:00:00Z')): VirtualWorld {
  const agenda = createAgenda()
  const random = prng(seed)
  const lines: string[] = []

  function log(fields: LogFields): Log {
    const write =
      (level: string) =>
      (message: string, more: LogFields = {}) =>
        void lines.push(`${level} ${message} ${JSON.stringify({ ...fields, ...more })}`)
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      with: more => log({ ...fields, ...more }),
    }
  }

  const clock: World['clock'] = {
    nowMs: () => startMs + agenda.nowMs(),
    monotonicMs: () => agenda.nowMs(),
    async sleep(ms, signal) {
      if (signal.aborted) return
      const { promise, resolve } = Promise.withResolvers<void>()
      agenda.after(Math.max(ms, 0), resolve)
      using _ = onAbort(signal, resolve)
      await promise
    },
    soon: act => queueMicrotask(act),
    deadline(ms, signal) {
      const controller = new AbortController()
      agenda.after(ms, () => controller.abort())
      const listening = onAbort(signal, () => controller.abort())
      return { signal: controller.signal, [Symbol.dispose]: () => listening[Symbol.dispose]() }
    },
  }

  const bytes = (count: number) => random.bytes(count)
  const uuid = () => {
    const hex = [...bytes(16)].map(byte => byte.toString(16).padStart(2, '0')).join('')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
  }

  async function pass(ms: number): Promise<void> {
    const endMs = agenda.nowMs() + ms
    await quiet()
    while (agenda.next(endMs)) await quiet()
    agenda.skipTo(endMs)
    await quiet()
  }

  return {
    clock,
    random: { bytes, float: random.float, uuid },
    log: log({}),
    lines,
    pass,
    async until(isDone, mostMs = 60_000, what = isDone.toString()) {
      const endMs = agenda.nowMs() + mostMs
      await quiet()
      while (!isDone()) {
        if (agenda.nowMs() >= endMs) throw new Error(`not within ${mostMs} ms: ${what}\n${lines.slice(-20).join('\n')}`)
        if (!agenda.next(endMs)) agenda.skipTo(endMs)
        await quiet()
      }
    },
  }
}
