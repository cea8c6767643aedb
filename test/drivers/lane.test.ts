import fc from 'fast-check'
import { expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { laneAsks } from '../../src/drivers/network/asks.ts'
import { laneHead, laneParser, type SecureConnection } from '../../src/drivers/network/secure.ts'
import { laneSink, sender } from '../../src/drivers/network/sender.ts'
import { type Bytes, concat, equalBytes } from '../../src/lib/bytes.ts'

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

/** A connection that takes one write, and the next when it has drained. */
class NarrowConnection extends EventTarget {
  readonly status = 'open'
  writableNeedsDrain = false
  readonly written: { readonly number: number; readonly bytes: number }[] = []
  sendLane(frames: Bytes, sent: () => void): boolean {
    laneParser(
      () => {},
      (number, payload) => void this.written.push({ number, bytes: payload.length }),
    ).push(frames.slice())
    sent()
    this.writableNeedsDrain = true
    return false
  }
  async drain(): Promise<void> {
    this.writableNeedsDrain = false
    this.dispatchEvent(new Event('drain'))
    await new Promise(resolve => setImmediate(resolve))
  }
}

test('a message waits for one part of a large question, and not for all of it', async () => {
  const narrow = new NarrowConnection()
  const connection = narrow as unknown as SecureConnection
  const asks = laneAsks({
    connection,
    remote: 'b',
    bytesMax: 2 ** 24,
    countMax: 8,
    admits: () => true,
    refusal: () => new Uint8Array(0),
    serve: async () => new Uint8Array(0),
  })
  const enough = new AbortController()
  const asking = asks.ask(2, new Uint8Array(1_000_000), enough.signal).catch(error => error.reason)
  const messages = sender(
    realClock(),
    async () => laneSink(connection, 0),
    () => {},
  )
  await narrow.drain()
  await narrow.drain()
  for (let i = 0; i < 3; i++) {
    const before = narrow.written.length
    messages.push(Uint8Array.of(i))
    await narrow.drain()
    await narrow.drain()
    expect(narrow.written.slice(before).map(({ number }) => number)).toContain(0)
  }
  // What nobody waits for any more is sent no further.
  enough.abort()
  expect(await asking).toBe('aborted')
  for (let i = 0; i < 4; i++) await narrow.drain()
  const sum = narrow.written.filter(({ number }) => number === 64 + 2).reduce((all, { bytes }) => all + bytes, 0)
  expect(sum).toBeLessThan(900_000)
  // That it is not wanted is all that follows.
  expect(narrow.written.at(-1)).toEqual({ number: 64, bytes: 5 })
  messages.stop()
})

test('a question is whole when its parts are, and an answer of nothing is one', async () => {
  const links = [new EventTarget(), new EventTarget()].map((events, i, both) =>
    Object.assign(events, {
      status: 'open',
      writableNeedsDrain: false,
      index: i,
      sendLane: (frames: Bytes): boolean => {
        const copy = frames.slice()
        queueMicrotask(() => sides[(i + 1) % both.length]?.parser.push(copy))
        return true
      },
    }),
  )
  const sides = links.map(link => {
    const asks = laneAsks({
      connection: link as unknown as SecureConnection,
      remote: 'other',
      bytesMax: 500_000,
      countMax: 3,
      admits: () => true,
      refusal: () => Uint8Array.of(1),
      serve: async (_protocol, body) => (body.length === 1 ? new Uint8Array(0) : body),
    })
    const parser = laneParser(
      () => {},
      (number, payload) => void asks.take(number, payload),
    )
    return { asks, parser }
  })
  const [one] = sides
  const { signal } = new AbortController()
  for (const size of [0, 2, 65_535, 65_536, 65_537, 131_072, 500_000]) {
    const body = new Uint8Array(size).fill(size % 251)
    expect(equalBytes((await one?.asks.ask(1, body, signal)) ?? Uint8Array.of(9), body), String(size)).toBe(true)
  }
  expect(await one?.asks.ask(1, Uint8Array.of(1), signal)).toHaveLength(0)
  const four = Array.from({ length: 4 }, (_, i) => one?.asks.ask(1, new Uint8Array(i + 2), signal))
  expect((await Promise.allSettled(four)).map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
  ])
})
