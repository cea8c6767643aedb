// Asks eventratelimit.ts about every event that is written, by the clock of this peer.
import { event } from '../../api/kinds/event.ts'
import { eventsEvent } from '../../api/kinds/eventsevent.ts'
import type { World } from '../../world/world.ts'
import type { Hook } from './admission.ts'
import { EventRates } from './eventratelimit.ts'

export function eventRateHook({ clock }: Pick<World, 'clock'>): Hook {
  const rates = new EventRates()
  return {
    name: 'EventRateLimit',
    // What is only tried reaches no disk.
    handles: ({ kind, verb, dryRun }) =>
      (kind === event || kind === eventsEvent) && (verb === 'CREATE' || verb === 'UPDATE') && !dryRun,
    async validate(change) {
      rates.accept(change, clock.monotonicMs())
      return undefined
    },
  }
}
