import { crc32 as zlib } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteReader, ByteWriter } from '../../src/lib/binary.ts'
import { crc32 } from '../../src/lib/crc32.ts'

test('the checksum is that of zlib, in one piece or chained', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (a, b) => {
      expect(crc32(a)).toBe(zlib(a))
      expect(crc32(b, crc32(a))).toBe(zlib(Uint8Array.of(...a, ...b)))
    }),
    { seed: 1, numRuns: 1_000 },
  )
})

test('what was written is what is read, and a cut anywhere is noticed', () => {
  const numbers = fc.oneof(fc.nat(), fc.maxSafeNat())
  fc.assert(
    fc.property(numbers, fc.nat(0xffffffff), fc.string({ unit: 'grapheme' }), fc.uint8Array(), (n, u, text, bytes) => {
      const out = new ByteWriter(1)
      out.varint(n)
      out.u32(u)
      out.text(text)
      out.bytes(bytes)
      out.u8(7)
      const whole = out.finish()
      const read = (given: Uint8Array) => {
        const input = new ByteReader(given)
        const values = [input.varint(), input.u32(), input.text(), [...input.bytes()], input.u8()]
        return { values, done: input.done }
      }
      expect(read(whole)).toEqual({ values: [n, u, text, [...bytes], 7], done: true })
      for (let cut = 0; cut < whole.length; cut++) expect(read(whole.subarray(0, cut)).done).toBe(false)
    }),
    { seed: 2, numRuns: 300 },
  )
})
