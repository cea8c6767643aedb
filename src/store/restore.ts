// What a log and an applied state say together: whether they fit, and what Raft begins with. Pure.
import type { Membership, Restored } from '../raft/types.ts'
import { type LogState, StoreDamage } from './log.ts'

/** What the applied state on disk says of itself. */
export type Applied = {
  readonly image: { readonly index: number; readonly term: number }
  readonly membership: Membership
}

/** Throws StoreDamage when one of the two lacks what the other proves. */
export function restore({ hard, base, entries }: LogState, applied: Applied | undefined): Restored {
  const index = applied?.image.index ?? 0
  const last = entries.at(-1)?.index ?? base.index
  if (index < base.index) {
    throw new StoreDamage('missing', `the applied state reaches index ${index}, the log begins after ${base.index}`)
  }
  if (index > last) {
    throw new StoreDamage('missing', `the applied state reaches index ${index}, the log ends at ${last}`)
  }
  const term = index === base.index ? base.term : (entries[index - base.index - 1]?.term ?? 0)
  if (applied !== undefined && applied.image.term !== term) {
    throw new StoreDamage(
      'corrupt',
      `index ${index} has term ${term} in the log, ${applied.image.term} in the applied state`,
    )
  }
  const membership = applied?.membership ?? { voters: [], learners: [], removed: [] }
  return { hard, base: { index, term, membership }, entries: entries.slice(index - base.index) }
}
