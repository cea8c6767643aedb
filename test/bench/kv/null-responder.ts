// Answers every gRPC call at once with one fixed message and does nothing else: what the load generator reaches
// against it is the generator's ceiling. `node null-responder.ts` prints the port it listens on.
import { createServer, type Socket } from 'node:net'
import { flags, frameBytes, types, writeFrameHead } from './frames.ts'
import { Encoder } from './hpack.ts'
import { message, number } from './protobuf.ts'

/** As long as the answer of a real store, and right in the eyes of operations.ts. */
export function answerOf(kind: string, valueBytes: number): Buffer {
  const header = message(1, Buffer.alloc(20))
  if (kind === 'create') return Buffer.concat([header, number(2, 1), message(3, message(2, header))])
  return kind === 'range' ? Buffer.concat([header, message(2, Buffer.alloc(valueBytes + 30))]) : header
}

function serve(socket: Socket, answer: Buffer): void {
  const encoder = new Encoder()
  const headers = () =>
    encoder.encode('headers', [
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ])
  const trailers = () =>
    encoder.encode('trailers', [
      ['grpc-status', '0'],
      ['grpc-message', ''],
    ])
  const framed = Buffer.concat([Buffer.alloc(5), answer])
  framed.writeUInt32BE(answer.length, 1)

  let out = Buffer.alloc(256 * 1024)
  let at = 0
  let received = 0
  const frame = (type: number, flag: number, streamId: number, payload: Uint8Array) => {
    if (at + frameBytes + payload.length > out.length) out = Buffer.concat([out, Buffer.alloc(out.length)])
    at = writeFrameHead(out, at, payload.length, type, flag, streamId)
    out.set(payload, at)
    at += payload.length
  }
  const reply = (streamId: number) => {
    frame(types.headers, flags.endHeaders, streamId, headers())
    frame(types.data, 0, streamId, framed)
    frame(types.headers, flags.endHeaders | flags.endStream, streamId, trailers())
  }

  let rest = Buffer.alloc(0)
  let greeted = false
  socket.on('data', chunk => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    if (!greeted) {
      // The preface is 24 bytes long, and SETTINGS answer it.
      if (bytes.length < 24) {
        rest = Buffer.from(bytes)
        return
      }
      bytes = bytes.subarray(24)
      greeted = true
      frame(types.settings, 0, 0, Buffer.alloc(0))
    }
    let next = 0
    while (bytes.length - next >= frameBytes) {
      const end = next + frameBytes + bytes.readUIntBE(next, 3)
      if (end > bytes.length) break
      const [type, flag] = [bytes[next + 3], bytes[next + 4] ?? 0]
      if (type === types.data) {
        received += end - next - frameBytes
        if ((flag & flags.endStream) !== 0) reply(bytes.readUInt32BE(next + 5))
      } else if (type === types.settings && (flag & flags.ack) === 0)
        frame(types.settings, flags.ack, 0, Buffer.alloc(0))
      next = end
    }
    rest = next === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(next))
    if (received > 16_384) {
      const increment = Buffer.alloc(4)
      increment.writeUInt32BE(received)
      frame(types.windowUpdate, 0, 0, increment)
      received = 0
    }
    socket.write(Buffer.from(out.subarray(0, at)))
    at = 0
  })
  socket.on('error', () => socket.destroy())
}

if (import.meta.main) {
  const [kind = 'put', valueBytes = '256'] = process.argv.slice(2)
  const answer = answerOf(kind, Number(valueBytes))
  const server = createServer({ noDelay: true }, socket => serve(socket, answer))
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') process.send?.(address.port) ?? console.log(address.port)
  })
  process.on('disconnect', () => process.exit())
}
