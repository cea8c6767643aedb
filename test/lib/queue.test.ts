import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs } from '../../src/lib/backoff.ts'
import { canonicalJson, fnv32a, sameJson } from '../../src/lib/canonical.ts'
import { createHeap } from '../../src/lib/heap.ts'
import { keyedQueue } from '../../src/lib/queue.ts'

test('keys come in the order of their time, and each once however often it was added', () => {
  const queue = keyedQueue()
  queue.add('b', 10)
  queue.add('a', 5)
  queue.add('b', 3)
  queue.add('a', 50)
  expect(queue.nextAtMs()).toBe(3)
  expect([queue.take(2), queue.take(3), queue.take(10), queue.take(100)]).toEqual([undefined, 'b', 'a', undefined])
})

test('a key is never worked on twice at once, and what was added meanwhile is not lost', () => {
  const queue = keyedQueue()
  queue.add('a', 0)
  expect(queue.take(0)).toBe('a')
  queue.add('a', 7)
  queue.add('a', 4)
  expect(queue.take(100)).toBeUndefined()
  queue.done('a')
  expect(queue.nextAtMs()).toBe(4)
  expect(queue.take(4)).toBe('a')
  queue.done('a')
  expect(queue.size + queue.working).toBe(0)
})

test('the queue does what a plain list of wishes does', () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), key: fc.constantFrom('a', 'b', 'c'), inMs: fc.nat(20) }),
    fc.record({ kind: fc.constant('take' as const) }),
    fc.record({ kind: fc.constant('done' as const), key: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(10) }),
  )
  fc.assert(
    fc.property(fc.array(act, { maxLength: 80 }), acts => {
      const queue = keyedQueue()
      const waiting = new Map<string, number>()
      const later = new Map<string, number>()
      const working = new Set<string>()
      let nowMs = 0
      for (const one of acts) {
        if (one.kind === 'wait') nowMs += one.ms
        else if (one.kind === 'add') {
          queue.add(one.key, nowMs + one.inMs)
          const to = working.has(one.key) ? later : waiting
          to.set(one.key, Math.min(to.get(one.key) ?? Number.POSITIVE_INFINITY, nowMs + one.inMs))
        } else if (one.kind === 'done') {
          if (!working.delete(one.key)) continue
          queue.done(one.key)
          const atMs = later.get(one.key)
          later.delete(one.key)
          if (atMs !== undefined) waiting.set(one.key, atMs)
        } else {
          const key = queue.take(nowMs)
          const firstMs = Math.min(...waiting.values())
          if (key === undefined) expect(firstMs).toBeGreaterThan(nowMs)
          else {
            expect(waiting.get(key)).toBe(firstMs)
            waiting.delete(key)
            working.add(key)
          }
        }
        expect(queue.nextAtMs()).toBe(waiting.size === 0 ? undefined : Math.min(...waiting.values()))
        expect(queue.working).toBe(working.size)
      }
    }),
  )
})

test('a heap gives its items in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), list => {
      const heap = createHeap<number>((a, b) => a < b)
      for (const item of list) heap.push(item)
      const out = list.map(() => heap.pop())
      expect(out).toEqual(list.toSorted((a, b) => a - b))
      expect(heap.pop()).toBeUndefined()
    }),
  )
})

test('the back-off doubles up to its limit, and jitter takes at most a half', () => {
  const backoff = { firstMs: 100, mostMs: 1_000 }
  expect([1, 2, 3, 4, 5, 50].map(count => backoffMs(count, backoff, 0))).toEqual([100, 200, 400, 800, 1_000, 1_000])
  expect(backoffMs(2, backoff, 0.999)).toBe(100)
})

test('canonical JSON knows no order of keys, and no difference between null and absent', () => {
  expect(canonicalJson({ b: 1, a: [1, null, { y: undefined, x: 'é' }], c: null })).toBe(
    '{"a":[1,null,{"x":"é"}],"b":1}',
  )
  expect(sameJson({ a: 1, b: { c: null } }, { b: {}, a: 1 })).toBe(true)
  expect(sameJson([1, 2], [2, 1])).toBe(false)
})

test('FNV-1a of the published vectors', () => {
  expect([fnv32a(''), fnv32a('a'), fnv32a('foobar')]).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968])
})
