// Who watches what, and who gets which events of what was just applied. Watchers that want the same (a range, and the same
// kinds of events with or without what was before) are one group: each event is encoded once, and a group's events of one
// turn are one piece of bytes that all its watchers share. Who reads too slowly leaves its group and is brought up to date
// from the history (run-watch.ts), as etcd parts synced watchers from unsynced.

import { RangeIndex } from '../kv/range-index.ts'
import type { ChangeEvent, Revision } from '../kv/store.ts'
import type { KeyRange } from '../kv/txn.ts'
import { revisionOf, writeEvent } from './watch-codec.ts'
import { WireWriter } from './wire.ts'

/** Events of whole revisions, encoded; a message of them is about this long at most, unless one revision is longer. */
export const pieceBytesMax = 1024 * 1024

export type Piece = {
  readonly bytes: Buffer
  readonly first: Revision
  readonly last: Revision
  /** Where in the bytes each event begins. */
  readonly starts: readonly number[]
}

export type Interest = {
  readonly range: KeyRange
  readonly previous: boolean
  readonly noPut: boolean
  readonly noDelete: boolean
}

/** What a watcher's client is, to the hub. */
export interface Receiver {
  /** It has more to read than it should: give it nothing until it has caught up. */
  readonly isSlow: boolean
  /** `revision` is the newest that is applied. */
  deliver(watcher: Watcher, revision: Revision, piece: Piece): void
  /** The watcher has been taken out of the hub, and knows in `next` from where on it misses events. */
  fellBehind(watcher: Watcher): void
}

export type Watcher = {
  readonly id: number
  readonly interest: Interest
  readonly receiver: Receiver
  /** Events before this revision are not wanted, or were delivered. Not kept up while the watcher is in the hub. */
  next: Revision
  group: Group | undefined
  /** In its group. */
  place: number
}

type Group = {
  readonly name: string
  readonly interest: Interest
  readonly watchers: Watcher[]
  /** Of the change at hand: the places of its events. */
  matches: number[]
}

export class Hub {
  readonly #groups = new Map<string, Group>()
  readonly #index = new RangeIndex<Group>()
  readonly #encoder = new Encoder()
  #touched: Group[] = []
  #watcherCount = 0
  /** All of its watchers have what happened up to and with this revision. */
  #revision: Revision

  constructor(revision: Revision) {
    this.#revision = revision
  }

  get revision(): Revision {
    return this.#revision
  }

  get watcherCount(): number {
    return this.#watcherCount
  }

  /** From now on it gets what is applied, from revision `watcher.next` on. */
  add(watcher: Watcher): void {
    const name = nameOf(watcher.interest)
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = { name, interest: watcher.interest, watchers: [], matches: [] }
      this.#groups.set(name, group)
      this.#index.add(group.interest.range, group)
    }
    watcher.group = group
    watcher.place = group.watchers.push(watcher) - 1
    this.#watcherCount += 1
  }

  remove(watcher: Watcher): void {
    const { group } = watcher
    if (group === undefined) return
    const last = group.watchers.pop()
    if (last !== undefined && last !== watcher) {
      group.watchers[watcher.place] = last
      last.place = watcher.place
    }
    watcher.group = undefined
    this.#watcherCount -= 1
    if (group.watchers.length > 0) return
    this.#groups.delete(group.name)
    this.#index.remove(group.interest.range, group)
  }

  /** Hands out what was applied, in order. */
  publish(events: readonly ChangeEvent[], revision: Revision): void {
    this.#revision = revision
    if (this.#watcherCount === 0 || events.length === 0) return
    const { length } = events
    for (let i = 0; i < length; i++) this.#match(events, i)
    const groups = this.#touched
    this.#touched = []
    this.#encoder.begin(events)
    for (const group of groups) {
      for (const piece of this.#encoder.pieces(group.matches, group.interest.previous))
        hand(this, group, piece, revision)
      group.matches = []
    }
  }

  #match(events: readonly ChangeEvent[], at: number): void {
    const event = events[at]
    if (event === undefined) return
    const isPut = event.kind === 'put'
    this.#index.find(isPut ? event.current.key : event.key, group => {
      if (isPut ? group.interest.noPut : group.interest.noDelete) return
      if (group.matches.length === 0) this.#touched.push(group)
      group.matches.push(at)
    })
  }

  /** Changes were skipped: whoever is here now misses those after the revision that it was told last. */
  interrupt(revision: Revision): void {
    const missing = this.#revision + 1
    this.#revision = revision
    for (const group of [...this.#groups.values()]) {
      for (const watcher of [...group.watchers]) this.expel(watcher, missing)
    }
  }

  /** This watcher cannot take what begins with revision `missing`. */
  expel(watcher: Watcher, missing: Revision): void {
    this.remove(watcher)
    watcher.next = Math.max(watcher.next, missing)
    watcher.receiver.fellBehind(watcher)
  }
}

function hand(hub: Hub, group: Group, piece: Piece, revision: Revision): void {
  const { watchers } = group
  // From behind: who leaves is replaced by the last, which had its turn.
  for (let i = watchers.length - 1; i >= 0; i--) {
    const watcher = watchers[i]
    if (watcher === undefined) continue
    if (watcher.receiver.isSlow) hub.expel(watcher, piece.first)
    else if (watcher.next <= piece.first) watcher.receiver.deliver(watcher, revision, piece)
    else if (watcher.next <= piece.last) hub.expel(watcher, piece.first)
  }
}

function nameOf({ range, previous, noPut, noDelete }: Interest): string {
  const flags = (previous ? 1 : 0) | (noPut ? 2 : 0) | (noDelete ? 4 : 0) | (range.to === undefined ? 8 : 0)
  // The length parts the two, since a key may hold any character.
  return `${flags} ${range.from.length} ${range.from}${range.to ?? ''}`
}

/** Encodes the events of one change, each once, however many groups want it. */
class Encoder {
  #events: readonly ChangeEvent[] = []
  /** By place of the event; with and without what was before. */
  #encoded: readonly [(Buffer | undefined)[], (Buffer | undefined)[]] = [[], []]

  begin(events: readonly ChangeEvent[]): void {
    this.#events = events
    this.#encoded = [[], []]
  }

  pieces(places: readonly number[], previous: boolean): readonly Piece[] {
    const events: ChangeEvent[] = []
    const parts: Buffer[] = []
    const encoded = this.#encoded[previous ? 1 : 0]
    for (const place of places) {
      const event = this.#events[place]
      if (event === undefined) continue
      let bytes = encoded[place]
      if (bytes === undefined) {
        bytes = encode(event, previous)
        encoded[place] = bytes
      }
      events.push(event)
      parts.push(bytes)
    }
    return joinPieces(events, parts)
  }
}

const out = new WireWriter()

function encode(event: ChangeEvent, previous: boolean): Buffer {
  out.reset()
  writeEvent(out, event, previous)
  return out.copy()
}

/** The same for events from the history. */
export function piecesOf(events: readonly ChangeEvent[], previous: boolean): readonly Piece[] {
  return joinPieces(
    events,
    events.map(event => encode(event, previous)),
  )
}

function joinPieces(events: readonly ChangeEvent[], parts: readonly Buffer[]): readonly Piece[] {
  const pieces: Piece[] = []
  let from = 0
  let size = 0
  for (let i = 0; i < events.length; i++) {
    size += parts[i]?.length ?? 0
    const event = events[i]
    const next = events[i + 1]
    const isLastOfRevision = next === undefined || event === undefined || revisionOf(next) !== revisionOf(event)
    if (next !== undefined && (size < pieceBytesMax || !isLastOfRevision)) continue
    pieces.push(pieceOf(events.slice(from, i + 1), parts.slice(from, i + 1)))
    from = i + 1
    size = 0
  }
  return pieces
}

function pieceOf(events: readonly ChangeEvent[], parts: readonly Buffer[]): Piece {
  const [first] = events
  const last = events.at(-1)
  const [only] = parts
  const starts: number[] = []
  let at = 0
  for (const part of parts) {
    starts.push(at)
    at += part.length
  }
  return {
    bytes: parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, at),
    first: first === undefined ? 0 : revisionOf(first),
    last: last === undefined ? 0 : revisionOf(last),
    starts,
  }
}
