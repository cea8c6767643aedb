// Streams of containers: Docker's framing, which our own shim speaks too, and feeding input.
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Bytes } from '../../lib/bytes.ts'

export type Frame = { readonly stream: 'stdout' | 'stderr'; readonly bytes: Bytes }

/** Takes Docker's multiplexed stream apart: 8 bytes of header (stream, 3 zeros, length), then the payload. Pure. */
export function demultiplexer(): (chunk: Bytes) => Frame[] {
  let rest: Buffer = Buffer.alloc(0)
  return chunk => {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    const frames: Frame[] = []
    while (rest.length >= 8) {
      const end = 8 + rest.readUInt32BE(4)
      if (rest.length < end) break
      frames.push({ stream: rest[0] === 2 ? 'stderr' : 'stdout', bytes: rest.subarray(8, end) })
      rest = rest.subarray(end)
    }
    return frames
  }
}

/** With `close` the writing half ends when the input ends: that is how a process sees the end of its stdin. */
export async function feed(input: AsyncIterable<Bytes>, to: Writable, close: boolean): Promise<void> {
  for await (const bytes of input) {
    if (to.destroyed || to.writableEnded) return
    if (!to.write(bytes)) await Promise.race([once(to, 'drain'), once(to, 'close')])
  }
  if (close && !to.destroyed) to.end()
}
