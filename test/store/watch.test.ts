// The promises of a watch (etcd's api_guarantees and its robustness tests): ordered, unique, reliable, atomic, resumable,
// bookmarkable, with the right previous values and creations, and nothing that was not asked for; `compacted` exactly when
// the start is compacted. Watchers pull when it suits them, changes come in turns, snapshots replace the state.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeCommand } from '../../src/kv/codec.ts'
import { apply, captureKv, createKv, type Kv, restoreKv } from '../../src/kv/kv.ts'
import { encodeSnapshot, snapshotReader } from '../../src/kv/snapshot.ts'
import type { ChangeEvent, KeyValue } from '../../src/kv/store.ts'
import { keysEnd } from '../../src/kv/txn.ts'
import { eventKey, eventRevision, isIn, versionOf } from '../../src/kv/versions.ts'
import { createWatches, type Group, join, leave, next, publish, restart } from '../../src/store/watch.ts'
import { anyCommand } from '../kv/arbitrary.ts'

const ranges = [
  { from: '', to: keysEnd },
  { from: 'a', to: 'c' },
  { from: 'b', to: 'b\0' },
  { from: 'x', to: 'y' },
]

type Watcher = {
  readonly range: { readonly from: string; readonly to: string }
  readonly group: Group
  readonly start: number
  cursor: number
  readonly seen: ChangeEvent[]
  failed: boolean
}

function throughSnapshot(kv: Kv): Kv {
  const reader = snapshotReader()
  for (const chunk of encodeSnapshot(captureKv(kv), new Uint8Array(0))) reader.push(chunk)
  const result = reader.finish()
  if (result === undefined) throw new Error('the snapshot does not end')
  return restoreKv(result.image)
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('turn' as const), commands: fc.array(anyCommand, { maxLength: 4 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('pull' as const), who: fc.nat(), times: fc.integer({ min: 1, max: 80 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      range: fc.nat(3),
      offset: fc.integer({ min: -12, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop' as const), who: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.nat(12) }) },
  // Another replica goes on without this one, and sends it a snapshot.
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('snapshot' as const), commands: fc.array(anyCommand, { maxLength: 6 }) }),
  },
)

test('whatever happens, a watch keeps its promises', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      let kv = createKv()
      const watches = createWatches()
      const truth: ChangeEvent[] = []
      const watchers: Watcher[] = []
      const run = (bytes: Uint8Array) => {
        const { events } = apply(kv, { index: kv.index + 1, term: 1, command: bytes }, false)
        truth.push(...events)
        return events
      }
      const pull = (watcher: Watcher) => {
        const found = next(watcher.group, kv, watcher.cursor)
        if (found.kind === 'failed') {
          expect(found.error.reason).toBe('compacted')
          expect(watcher.cursor).toBeLessThan(kv.versions.start)
          watcher.failed = true
        } else if (found.kind === 'wait') {
          // Nothing of the range is missing: all that is left is after a start in the future.
          const missing = truth.filter(
            event => eventRevision(event) > watcher.cursor && isIn(eventKey(event), watcher.range),
          )
          expect(missing).toEqual([])
          return false
        } else {
          const { revision } = found.kind === 'batch' ? found.batch : found
          expect(revision).toBeGreaterThan(watcher.cursor)
          expect(revision).toBeLessThanOrEqual(kv.revision)
          if (found.kind === 'batch') {
            expect(found.batch.events.length).toBeGreaterThan(0)
            for (const event of found.batch.events) {
              expect(eventRevision(event)).toBeGreaterThan(watcher.cursor)
              expect(eventRevision(event)).toBeLessThanOrEqual(revision)
              watcher.seen.push(event)
            }
          }
          watcher.cursor = revision
        }
        // Ordered, unique, reliable, atomic and filtered at once: up to the cursor it is the truth.
        const wanted = truth.filter(event => {
          const at = eventRevision(event)
          return at > watcher.start && at <= watcher.cursor && isIn(eventKey(event), watcher.range)
        })
        expect(watcher.seen).toEqual(wanted)
        return !watcher.failed
      }

      for (const each of steps) {
        if (each.kind === 'turn') {
          const events = each.commands.flatMap(command => run(encodeCommand(command)))
          publish(watches, events, kv.revision)
        } else if (each.kind === 'snapshot') {
          for (const command of each.commands) run(encodeCommand(command))
          kv = throughSnapshot(kv)
          restart(watches, kv.revision)
        } else if (each.kind === 'compact') {
          run(encodeCommand({ kind: 'compact', revision: Math.max(1, kv.revision - each.back) }))
        } else if (each.kind === 'open') {
          const range = ranges[each.range] ?? { from: '', to: keysEnd }
          const start = Math.max(0, kv.revision + each.offset)
          const group = join(watches, range, kv)
          watchers.push({ range, group, start, cursor: start, seen: [], failed: false })
        } else {
          const active = watchers.filter(watcher => !watcher.failed)
          const watcher = active[each.who % Math.max(1, active.length)]
          if (watcher === undefined) continue
          if (each.kind === 'pull') for (let i = 0; i < each.times && pull(watcher); i++);
          else {
            leave(watches, watcher.group)
            watcher.failed = true
          }
        }
      }
      for (const watcher of watchers) while (!watcher.failed && pull(watcher));
      expectLinked(truth)
    }),
    { seed: 21, numRuns: 200 },
  )
})

/** Every event says what its key was before, so a client can tell a creation and fold a cache. */
function expectLinked(truth: readonly ChangeEvent[]): void {
  const state = new Map<string, KeyValue>()
  for (const event of truth) {
    const item = versionOf(event)
    expect(event.previous).toEqual(state.get(item.key))
    if (event.kind === 'put') {
      // The other way round it need not be: a command may delete a key and put it again, which etcd's API refuses.
      if (event.previous === undefined) expect(item.createRevision).toBe(item.modRevision)
      state.set(item.key, item)
    } else state.delete(item.key)
  }
}
