import fc from 'fast-check'
import { expect, test } from 'vitest'
import { laneHead, laneParser } from '../../src/drivers/network/secure.ts'
import { type Bytes, concat } from '../../src/lib/bytes.ts'

const yamuxFrame = (type: number, body: Bytes): Bytes => {
  const head = new Uint8Array(12)
  head[1] = type
  // Of a window update or a ping the length is a number and not a body.
  new DataView(head.buffer).setUint32(8, type === 0 ? body.length : 0xf1f1f1)
  return type === 0 ? concat([head, body]) : head
}
const laneFrame = (protocol: number, body: Bytes): Bytes => {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, body.length)
  return concat([laneHead(protocol), length, body])
}
const frame = fc.record({
  lane: fc.boolean(),
  type: fc.constantFrom(0, 1, 2, 3),
  protocol: fc.nat(255),
  body: fc.uint8Array({ maxLength: 40 }),
})

test('however the bytes are cut, the multiplexer gets its own in order and each message comes whole', () => {
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.nat(30)), (frames, cuts) => {
      const rest: Bytes[] = []
      const messages: { protocol: number; body: number[] }[] = []
      const parser = laneParser(
        bytes => void rest.push(bytes.slice()),
        (protocol, body) => void messages.push({ protocol, body: [...body] }),
      )
      const encoded = frames.map(({ lane, type, protocol, body }) =>
        lane ? laneFrame(protocol, body) : yamuxFrame(type, body),
      )
      const all = concat(encoded)
      for (let at = 0, i = 0; at < all.length; i++) {
        const size = (cuts[i % Math.max(1, cuts.length)] ?? 7) + 1
        parser.push(all.slice(at, at + size))
        at += size
      }
      expect(messages).toEqual(
        frames.filter(({ lane }) => lane).map(({ protocol, body }) => ({ protocol, body: [...body] })),
      )
      expect(concat(rest)).toEqual(concat(encoded.filter((_, i) => frames[i]?.lane === false)))
    }),
  )
})

test('a message over the limit is refused before it has come', () => {
  const parser = laneParser(
    () => {},
    () => {},
  )
  expect(() => parser.push(Uint8Array.of(0xf1, 0, 0x7f, 0, 0, 0))).toThrow(/limit/)
})
