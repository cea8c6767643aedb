// Keeps connections to all wanted peers up: dials who is not connected, backs off with jitter while it fails, starts afresh
// when something new is known about a peer (an address, a lost connection, an admission).
import { onAbort } from '../../lib/abort.ts'
import type { Clock } from '../../world/clock.ts'
import type { PeerId } from '../../world/network.ts'
import type { Random } from '../../world/random.ts'

export type DiallerConfig = {
  readonly firstRetryMs: number
  readonly retryMsMax: number
  /** A dial that has neither succeeded nor failed by then is given up. */
  readonly dialMs: number
}

export const diallerDefaults: DiallerConfig = { firstRetryMs: 200, retryMsMax: 10_000, dialMs: 12_000 }

/**
 * Of two peers that both want the connection, the one with the greater name leaves the other this much time to dial first,
 * so that a cluster that starts at once does not connect each pair twice.
 */
const politenessMs = 800

export type Dialler = {
  /** The set of wanted or connected peers changed. */
  wake(): void
  /** Dial this peer now, whatever its back-off says. */
  hurry(peer: PeerId): void
  readonly done: Promise<void>
}

type Attempt = { failures: number; nextMs: number; dialling: boolean }

export function dialler(
  { clock, random }: { clock: Clock; random: Random },
  config: DiallerConfig,
  self: PeerId,
  wanted: () => Iterable<PeerId>,
  connected: (peer: PeerId) => boolean,
  dial: (peer: PeerId, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Dialler {
  const attempts = new Map<PeerId, Attempt>()
  const running = new Set<Promise<void>>()
  let wakeUp = new AbortController()

  async function tryOnce(peer: PeerId, attempt: Attempt): Promise<void> {
    attempt.dialling = true
    try {
      using deadline = clock.deadline(config.dialMs, signal)
      await dial(peer, deadline.signal)
      attempt.failures = 0
    } catch {
      attempt.failures++
      const backoffMs = Math.min(config.firstRetryMs * 2 ** (attempt.failures - 1), config.retryMsMax)
      attempt.nextMs = clock.monotonicMs() + backoffMs * (0.5 + random.float())
    } finally {
      attempt.dialling = false
      wakeUp.abort()
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      wakeUp = new AbortController()
      const nowMs = clock.monotonicMs()
      let nextMs = nowMs + config.retryMsMax
      const missing = new Set<PeerId>()
      for (const peer of wanted()) {
        if (peer === self || connected(peer)) continue
        missing.add(peer)
        let attempt = attempts.get(peer)
        if (attempt === undefined) {
          attempt = { failures: 0, nextMs: self < peer ? nowMs : nowMs + politenessMs, dialling: false }
          attempts.set(peer, attempt)
        }
        if (attempt.dialling) continue
        if (attempt.nextMs <= nowMs) {
          const task = tryOnce(peer, attempt)
          running.add(task)
          void task.finally(() => running.delete(task))
        } else nextMs = Math.min(nextMs, attempt.nextMs)
      }
      for (const [peer, attempt] of attempts) if (!missing.has(peer) && !attempt.dialling) attempts.delete(peer)
      using _ended = onAbort(signal, () => wakeUp.abort())
      await clock.sleep(Math.max(nextMs - nowMs, 1), wakeUp.signal)
    }
    await Promise.all(running)
  }

  return {
    wake: () => wakeUp.abort(),
    hurry(peer) {
      const attempt = attempts.get(peer)
      if (attempt !== undefined && !attempt.dialling) attempt.nextMs = clock.monotonicMs()
      wakeUp.abort()
    },
    done: run(),
  }
}
