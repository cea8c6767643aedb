// The changes of the last revisions, for watches and for reads at an older revision. Bounded by count and by size.
// It is a cache of this replica, begun where its memory began: no answer to a write depends on it, so replicas agree
// even when one has just restarted and remembers less.
import type { ChangeEvent, KeyValue, Revision } from './store.ts'

export const historyCountMax = 10_000
export const historyBytesMax = 32 * 1024 * 1024

type Change = { readonly revision: Revision; readonly events: readonly ChangeEvent[]; readonly bytes: number }

export class History {
  readonly #countMax: number
  readonly #bytesMax: number
  /** `#changes[#head]` is the oldest; the space before it is given back now and then. */
  #changes: Change[] = []
  #head = 0
  #bytes = 0
  #compacted: Revision

  constructor(start: Revision, countMax = historyCountMax, bytesMax = historyBytesMax) {
    this.#compacted = start
    this.#countMax = countMax
    this.#bytesMax = bytesMax
  }

  /** The newest revision whose change is forgotten: what is asked must not be older. */
  get compacted(): Revision {
    return this.#compacted
  }

  get count(): number {
    return this.#changes.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  push(revision: Revision, events: readonly ChangeEvent[]): void {
    let bytes = 64
    for (const event of events) bytes += eventBytes(event)
    this.#changes.push({ revision, events, bytes })
    this.#bytes += bytes
    while (this.count > this.#countMax || (this.#bytes > this.#bytesMax && this.count > 1)) this.#dropOldest()
  }

  /** Forgets all changes up to and with `revision`. */
  compact(revision: Revision): void {
    for (;;) {
      const oldest = this.#changes[this.#head]
      if (oldest === undefined || oldest.revision > revision) break
      this.#dropOldest()
    }
    if (revision > this.#compacted) this.#compacted = revision
  }

  #dropOldest(): void {
    const oldest = this.#changes[this.#head]
    if (oldest === undefined) return
    this.#compacted = oldest.revision
    this.#bytes -= oldest.bytes
    this.#head += 1
    if (this.#head >= 1024 && this.#head * 2 >= this.#changes.length) {
      this.#changes = this.#changes.slice(this.#head)
      this.#head = 0
    }
  }

  /** The place of the first change newer than `revision`. */
  #after(revision: Revision): number {
    let low = this.#head
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#changes[middle]?.revision ?? 0) <= revision) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * The events of [from, to) after `after`, whole revisions, until about `countMax` are collected. `revision` is how
   * far the look went: nothing else happened in the range up to it. `newest` is the store's revision.
   */
  since(
    range: { readonly from: string; readonly to: string },
    after: Revision,
    newest: Revision,
    countMax: number,
  ): { readonly revision: Revision; readonly events: readonly ChangeEvent[] } {
    const events: ChangeEvent[] = []
    for (let i = this.#after(after); i < this.#changes.length; i++) {
      const change = this.#changes[i]
      if (change === undefined) break
      for (const event of change.events) if (inRange(event, range)) events.push(event)
      if (events.length >= countMax) return { revision: change.revision, events }
    }
    return { revision: Math.max(newest, after), events }
  }

  /** What the keys that changed after `revision` were at it: undefined for one that did not exist. */
  undo(revision: Revision): Map<string, KeyValue | undefined> {
    const were = new Map<string, KeyValue | undefined>()
    // Newest first, so that the oldest change after `revision` has the last word.
    for (let i = this.#changes.length - 1; i >= this.#head; i--) {
      const change = this.#changes[i]
      if (change === undefined || change.revision <= revision) break
      for (const event of change.events) were.set(eventKey(event), event.previous)
    }
    return were
  }
}

export function eventKey(event: ChangeEvent): string {
  return event.kind === 'put' ? event.current.key : event.key
}

export function inRange(event: ChangeEvent, range: { readonly from: string; readonly to: string }): boolean {
  const key = eventKey(event)
  return key >= range.from && key < range.to
}

/** What an event keeps alive: the new value is usually shared with the table, the old one is not. */
function eventBytes(event: ChangeEvent): number {
  const current = event.kind === 'put' ? event.current.value.length : 0
  return 128 + eventKey(event).length + current + (event.previous?.value.length ?? 0)
}
