// What happened, by revision: every replica tells what it applies within the turn that applied it. All of them must tell
// the same, without a gap; watches must show just this, and at the end every replica must hold what comes of it.
import type { ChangeEvent, KeyValue, Revision, WatchBatch } from '../../src/kv/store.ts'
import type { AppliedChange } from '../../src/kv/txn.ts'
import { eventKey, eventRevision } from '../../src/kv/versions.ts'
import type { Log, Seen } from '../check/resolve.ts'
import { type Invariant, must } from './safety.ts'

export type Range = { readonly from: string; readonly to: string }
export type Truth = ReturnType<typeof createTruth>

/** An empty store is at 1. */
const firstRevision = 1

const itemLine = ({ key, value, createRevision, modRevision, version, lease }: KeyValue) =>
  `${key}=${value} ${createRevision}/${modRevision}/${version}/${lease}`

function line(event: ChangeEvent): string {
  const previous = event.previous === undefined ? '' : ` was ${itemLine(event.previous)}`
  return event.kind === 'put'
    ? `put ${itemLine(event.current)}${previous}`
    : `delete ${event.key} ${event.revision}${previous}`
}

export function createTruth() {
  const lines = new Map<Revision, readonly string[]>()
  const events = new Map<Revision, readonly ChangeEvent[]>()
  const items = new Map<string, KeyValue>()
  const listeners: ((revision: Revision, events: readonly ChangeEvent[]) => void)[] = []
  let newest: Revision = firstRevision

  function byRevision(list: readonly ChangeEvent[]): Map<Revision, ChangeEvent[]> {
    const groups = new Map<Revision, ChangeEvent[]>()
    for (const event of list) {
      const group = groups.get(eventRevision(event))
      if (group === undefined) groups.set(eventRevision(event), [event])
      else group.push(event)
    }
    return groups
  }

  function happens(who: string, revision: Revision, list: readonly ChangeEvent[]): void {
    const told = list.map(line)
    const known = lines.get(revision)
    if (known !== undefined) {
      same('revisions', `${who} at revision ${revision}`, told, known)
      return
    }
    must(revision === newest + 1, 'revisions', () => `${who} applies revision ${revision} after ${newest}`)
    lines.set(revision, told)
    events.set(revision, [...list])
    newest = revision
    for (const event of list) {
      if (event.kind === 'put') items.set(event.current.key, event.current)
      else items.delete(event.key)
    }
    for (const listener of listeners) listener(revision, list)
  }

  return {
    newest: () => newest,
    has: (key: string) => items.has(key),
    /** All that was ever put under a prefix. */
    puts: (prefix: string): readonly KeyValue[] =>
      [...events.values()].flatMap(list =>
        list.flatMap(event => (event.kind === 'put' && event.current.key.startsWith(prefix) ? [event.current] : [])),
      ),
    /** Called once for each revision, when the first replica applies it. What it throws is a failure of the run. */
    listen(listener: (revision: Revision, events: readonly ChangeEvent[]) => void): void {
      listeners.push(listener)
    },

    /** One replica's turn. */
    applies(who: string, change: AppliedChange): void {
      if (change.kind === 'break') return
      for (const [revision, list] of byRevision(change.events)) happens(who, revision, list)
    },

    /** A batch is all that happened in the range after `after`, up to its revision, and nothing else. */
    watched(who: string, range: Range, after: Revision, batch: WatchBatch): void {
      must(batch.revision >= after, 'watches', () => `${who} goes back from ${after} to ${batch.revision}`)
      const isKnown = batch.revision <= newest || batch.events.length === 0
      must(isKnown, 'watches', () => `${who} shows revision ${batch.revision} before anybody has applied it`)
      const isIn = (event: ChangeEvent) => eventKey(event) >= range.from && eventKey(event) < range.to
      const expected: string[] = []
      for (let revision = after + 1; revision <= Math.min(newest, batch.revision); revision++) {
        for (const event of events.get(revision) ?? []) if (isIn(event)) expected.push(line(event))
      }
      same('watches', `${who} after ${after} up to ${batch.revision}`, batch.events.map(line), expected)
    },

    /** `held` are all keys of a replica that has applied everything. */
    holds(who: string, held: readonly KeyValue[]): void {
      const expected = [...items.values()].map(itemLine).sort()
      same('no acknowledged write is lost', `${who} at ${newest}`, held.map(itemLine).sort(), expected)
    },

    /** For the checkers of histories. */
    log(): Log {
      const revisions = new Map<number, readonly Seen[]>()
      for (const [revision, list] of events) revisions.set(revision, list.map(seenOf))
      return { revisions, isComplete: true }
    },
  }
}

const seenOf = (event: ChangeEvent): Seen =>
  event.kind === 'put'
    ? { kind: 'put', key: event.current.key, value: event.current.value }
    : { kind: 'delete', key: event.key }

function same(invariant: Invariant, who: string, found: readonly string[], expected: readonly string[]): void {
  const at = expected.findIndex((one, i) => found[i] !== one)
  const i = at < 0 && found.length > expected.length ? expected.length : at
  must(i < 0, invariant, () => `${who} has “${found[i] ?? 'nothing'}” where others have “${expected[i] ?? 'nothing'}”`)
}
