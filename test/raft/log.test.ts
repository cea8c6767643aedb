// The log against a naive twin: a plain list of all entries that there ever were, and an index where it begins.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  append,
  batchFrom,
  between,
  compact,
  createLog,
  entryBytes,
  lastIndex,
  lastNotAfterTerm,
  lastTerm,
  markDurable,
  takeUnsaved,
  termAt,
  truncateFrom,
} from '../../src/raft/log.ts'
import type { Entry } from '../../src/raft/types.ts'

const action = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), newTerm: fc.boolean() }),
  fc.record({ kind: fc.constant('truncate' as const), at: fc.nat(30) }),
  fc.record({ kind: fc.constant('compact' as const), at: fc.nat(30) }),
  fc.record({ kind: fc.constant('save' as const) }),
  fc.record({ kind: fc.constant('durable' as const), at: fc.nat(30), term: fc.nat(5) }),
)

test('the log agrees with a plain list through appends, truncations, compactions and saves', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), actions => {
      const log = createLog({ index: 0, term: 0 }, [])
      let twin: Entry[] = []
      let disk: Entry[] = []
      let base = 0
      let term = 1
      for (const one of actions) {
        if (one.kind === 'append') {
          if (one.newTerm) term++
          const entry: Entry = { index: twin.length + 1, term, kind: 'empty' }
          append(log, entry)
          twin.push(entry)
        } else if (one.kind === 'truncate' && one.at > base && one.at <= twin.length) {
          truncateFrom(log, one.at, term + 1)
          twin = twin.slice(0, one.at - 1)
          // What replaces it is of a later term.
          term++
        } else if (one.kind === 'compact' && one.at <= disk.length && one.at < log.unsaved) {
          compact(log, one.at)
          base = Math.max(base, one.at)
        } else if (one.kind === 'save') {
          const taken = takeUnsaved(log)
          const [first] = taken
          if (first !== undefined) disk = [...disk.slice(0, first.index - 1), ...taken]
          expect(disk.slice(0, twin.length)).toEqual(twin)
        } else if (one.kind === 'durable') markDurable(log, one.at, one.term)

        expect(lastIndex(log)).toBe(twin.length)
        expect(lastTerm(log)).toBe(twin.at(-1)?.term ?? 0)
        for (let index = 0; index <= twin.length + 1; index++) {
          const expected = index < base ? undefined : index === 0 ? 0 : twin[index - 1]?.term
          expect(termAt(log, index)).toBe(expected)
        }
        expect(between(log, base + 1, twin.length)).toEqual(twin.slice(base))
        expect(log.durable).toBeLessThan(log.unsaved)
        expect(log.unsaved).toBeGreaterThan(base)
      }
    }),
  )
})

test('whatever leaders replace and bring back, what is called durable stands on the disk', () => {
  const act = fc.oneof(
    fc.record({
      kind: fc.constant('leader' as const),
      of: fc.nat(9),
      kept: fc.nat(3),
      own: fc.integer({ min: 1, max: 2 }),
      heard: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ kind: fc.constant('done' as const), saves: fc.integer({ min: 1, max: 3 }) }),
  )
  fc.assert(
    fc.property(fc.array(act, { maxLength: 30 }), acts => {
      const log = createLog({ index: 0, term: 0 }, [])
      /** The logs of all leaders, as lists of terms. Each takes over a part of an earlier one and adds entries of its term. */
      const leaders: number[][] = [[]]
      let disk: Entry[] = []
      let saves: (readonly Entry[])[] = []
      for (const one of acts) {
        if (one.kind === 'leader') {
          const term = leaders.length
          const own = Array.from({ length: one.own }, () => term)
          const terms = [...(leaders[one.of % term] ?? []).slice(0, one.kept), ...own]
          leaders.push(terms)
          for (let index = 1; index <= Math.min(one.heard, terms.length); index++) {
            const entry: Entry = { index, term: terms[index - 1] ?? 0, kind: 'empty' }
            if (termAt(log, index) === entry.term) continue
            if (index <= lastIndex(log)) truncateFrom(log, index, term)
            append(log, entry)
          }
          saves.push(takeUnsaved(log))
        } else {
          // Several saves may become one write, while later ones wait.
          const written = saves.slice(0, one.saves).flat()
          saves = saves.slice(one.saves)
          for (const entry of written) disk = [...disk.slice(0, entry.index - 1), entry]
          const last = written.at(-1)
          if (last !== undefined) markDurable(log, last.index, last.term)
        }
        for (let index = 1; index <= log.durable; index++) {
          expect(disk[index - 1]?.term).toBe(termAt(log, index))
        }
      }
    }),
    { numRuns: 3_000 },
  )
})

test('a batch is bounded in bytes but never empty', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200), { minLength: 1, maxLength: 20 }), fc.nat(500), (sizes, bytesMax) => {
      const entries = sizes.map(
        (size, i): Entry => ({ index: i + 1, term: 1, kind: 'command', command: new Uint8Array(size) }),
      )
      const log = createLog({ index: 0, term: 0 }, entries)
      const { entries: batch, bytes } = batchFrom(log, 1, bytesMax)
      expect(bytes).toBe(batch.reduce((sum, entry) => sum + entryBytes(entry), 0))
      expect(batch.length).toBeGreaterThan(0)
      expect(batch).toEqual(entries.slice(0, batch.length))
      if (batch.length > 1) expect(bytes).toBeLessThanOrEqual(bytesMax)
      const next = entries[batch.length]
      if (next !== undefined) expect(bytes + entryBytes(next)).toBeGreaterThan(bytesMax)
    }),
  )
})

test('the place where logs may still agree is the last that is not after the term', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(4), { maxLength: 20 }), fc.nat(22), fc.nat(6), (steps, from, term) => {
      const entries: Entry[] = []
      for (const more of steps) {
        entries.push({ index: entries.length + 1, term: (entries.at(-1)?.term ?? 1) + more, kind: 'empty' })
      }
      const log = createLog({ index: 0, term: 0 }, entries)
      const naive = [{ index: 0, term: 0 }, ...entries].findLast(one => one.index <= from && one.term <= term)
      expect(lastNotAfterTerm(log, from, term)).toBe(naive?.index)
    }),
  )
})

test('a restored log with a gap is refused', () => {
  expect(() => createLog({ index: 3, term: 1 }, [{ index: 5, term: 1, kind: 'empty' }])).toThrow('gap')
})
