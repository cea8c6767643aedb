// What the three runtimes share and what has no file of its own.
import { createHash } from 'node:crypto'
import { onAbort } from '../../lib/abort.ts'
import { utf8 } from '../../lib/bytes.ts'
import type { DnsConfig } from '../../world/runtime.ts'
import type { World } from '../../world/world.ts'

/** The part of the world that a runtime uses. */
export type RuntimeWorld = Pick<World, 'clock' | 'log' | 'random'>

/** A set of pods that something happened to, emptied by a reader; bounded by the number of pods. */
export type Hints = {
  add(uid: string): void
  /** Ends when the signal aborts. */
  read(signal: AbortSignal): AsyncGenerator<string>
}

export function hints(): Hints {
  const waiting = new Set<string>()
  let wake: (() => void) | undefined
  return {
    add(uid) {
      waiting.add(uid)
      wake?.()
    },
    async *read(signal) {
      using _ = onAbort(signal, () => wake?.())
      while (!signal.aborted) {
        for (const uid of waiting) {
          waiting.delete(uid)
          yield uid
        }
        if (signal.aborted) return
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
    },
  }
}

/** The host's end of a pod's veth: 14 characters of the 15 that the kernel allows. */
export function interfaceName(uid: string): string {
  return `fl${createHash('sha256').update(utf8(uid)).digest('hex').slice(0, 12)}`
}

/** /etc/resolv.conf */
export function resolverText({ servers, searches, options }: DnsConfig): string {
  const lines = servers.map(server => `nameserver ${server}`)
  if (searches.length > 0) lines.push(`search ${searches.join(' ')}`)
  if (options.length > 0) lines.push(`options ${options.join(' ')}`)
  return `${lines.join('\n')}\n`
}
