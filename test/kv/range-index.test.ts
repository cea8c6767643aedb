import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RangeIndex } from '../../src/kv/range-index.ts'
import { isIn } from '../../src/kv/versions.ts'
import { anyRange } from './arbitrary.ts'

test('the index finds every range that holds a key, whatever came and went', () => {
  const wide = fc.record({ from: fc.nat(300).map(String), to: fc.nat(300).map(String) })
  const step = fc.record({ range: fc.oneof(anyRange, wide), removes: fc.option(fc.nat()) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const index = new RangeIndex<{ id: number }>()
      const twin: { range: { from: string; to: string | undefined }; item: { id: number } }[] = []
      for (const [id, { range, removes }] of steps.entries()) {
        const item = { id }
        index.add(range, item)
        twin.push({ range, item })
        if (removes !== null) {
          const [gone] = twin.splice(removes % twin.length, 1)
          if (gone !== undefined) index.remove(gone.range, gone.item)
        }
        if (id % 7 !== 0) continue
        for (const key of ['', 'a', 'b', 'c', '\xff', '17', '299', '3']) {
          const found: number[] = []
          index.find(key, ({ id: each }) => found.push(each))
          const wanted = twin.filter(one => isIn(key, one.range)).map(one => one.item.id)
          expect(found.sort()).toEqual(wanted.sort())
        }
      }
    }),
    { seed: 5, numRuns: 100 },
  )
})
