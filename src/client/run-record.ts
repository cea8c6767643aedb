// Writes the Events that a component tells, one after another and in the background: an Event never holds up the work it
// tells of. What cannot be written is logged and lost, as Events may be.

import { ApiError } from '../api/error.ts'
import { event } from '../api/kinds/event.ts'
import type { Clock } from '../world/clock.ts'
import type { Log } from '../world/log.ts'
import type { Client } from './client.ts'
import { type EventWrite, eventLog, type Told } from './events.ts'

/** Told faster than written: those beyond are left out. */
export const recordQueueMax = 1_000

/** As often client-go asks again when it is told to wait. */
const tryCountMax = 10

export interface Recorder {
  tell(told: Told): void
  /** Resolves when all that was told so far is written or lost. */
  readonly idle: () => Promise<void>
}

export function recorder(
  world: { readonly clock: Clock; readonly log: Log },
  client: Client,
  component: string,
  signal: AbortSignal,
  host?: string,
): Recorder {
  const log = eventLog(component, host)
  let waiting = 0
  let last = Promise.resolve()

  async function write(what: EventWrite): Promise<void> {
    for (let left = tryCountMax; !signal.aborted; ) {
      try {
        if (what.kind === 'create') {
          await client.create(event, what.event, signal)
        } else {
          const { namespace, name, body } = what
          await client.patch(event, { namespace, name }, { type: 'merge', body }, signal)
        }
        return
      } catch (error) {
        const waitSeconds = pause(error)
        left -= 1
        if (waitSeconds !== undefined && left > 0) {
          await world.clock.sleep(waitSeconds * 1_000, signal)
          continue
        }
        log.forget(what.key)
        if (signal.aborted || (error instanceof ApiError && error.reason === 'NotFound')) return
        world.log.debug('an Event was not written', { error: String(error) })
        return
      }
    }
  }

  return {
    tell(told) {
      if (waiting >= recordQueueMax) return
      const what = log.tell(told, world.clock.nowMs())
      if (what === undefined) return
      waiting += 1
      last = last.then(async () => {
        await write(what)
        waiting -= 1
      })
    },
    idle: () => last,
  }
}

/** Seconds to wait when the rate of events is full; undefined for any other error. */
function pause(error: unknown): number | undefined {
  return error instanceof ApiError && error.reason === 'TooManyRequests' ? error.details?.retryAfterSeconds : undefined
}
