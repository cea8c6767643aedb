import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteReader, ByteWriter } from '../../src/lib/binary.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { isPacked, packText, unpackText } from '../../src/lib/packed.ts'

test('packed text is its UTF-8 bytes, one character each, and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), text => {
      const packed = packText(text)
      expect([...packed].map(char => char.codePointAt(0))).toEqual([...utf8(text)])
      expect(isPacked(packed)).toBe(true)
      expect(unpackText(packed)).toBe(text.toWellFormed())
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('ASCII is the same in both forms, and what is wider is told apart', () => {
  const ascii = Array.from({ length: 128 }, (_, i) => String.fromCharCode(i)).join('')
  expect(packText(ascii)).toBe(ascii)
  expect(unpackText(ascii)).toBe(ascii)
  expect(isPacked('\xff')).toBe(true)
  expect(isPacked(`${'x'.repeat(1_000)}\u0100`)).toBe(false)
  // A byte order mark is content, and bytes that are no UTF-8 do no harm.
  expect(unpackText(packText('\ufeffx'))).toBe('\ufeffx')
  expect(unpackText('\xffa')).toBe('\ufffda')
})

test('byte strings of any length go through writer and reader as they are', () => {
  const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('')
  const strings = ['', 'k', '\xff', all.slice(0, 16), all.slice(0, 17), all, all.repeat(10_000)]
  const out = new ByteWriter(1)
  for (const chars of strings) out.chars(chars)
  const bytes = out.finish()
  const input = new ByteReader(bytes)
  for (const chars of strings) expect(input.chars()).toBe(chars)
  expect(input.done).toBe(true)
  expect(new ByteReader(bytes.subarray(0, bytes.length - 1), bytes.length - 256).chars()).toBe('')
})
