// Frames on a mesh stream: u32 big-endian length, then that many bytes. A reader names the largest it takes; a larger
// one ends the stream before its bytes are kept, so a stranger cannot make us allocate.
import { type Bytes, concat } from '../lib/bytes.ts'

export const frameBytesMax = 8 * 1024 * 1024

export class FrameError extends Error {
  override readonly name = 'FrameError'
}

export function encodeFrame(payload: Bytes): Bytes {
  const frame = new Uint8Array(4 + payload.length)
  new DataView(frame.buffer).setUint32(0, payload.length)
  frame.set(payload, 4)
  return frame
}

/** A frame whose payload starts with a channel byte; see proto/flotilla/v1/kubelet.proto. */
export function encodeChannel(channel: number, payload: Bytes): Bytes {
  const frame = new Uint8Array(5 + payload.length)
  new DataView(frame.buffer).setUint32(0, payload.length + 1)
  frame[4] = channel
  frame.set(payload, 5)
  return frame
}

export type FrameDecoder = {
  /** Takes the next bytes; gives the payloads that are whole now. Throws FrameError on one over the limit. */
  push(bytes: Bytes): readonly Bytes[]
  /** Bytes of a frame that is not whole yet. */
  readonly pendingBytes: number
}

/** Pure but for its own buffer; one per stream. */
export function frameDecoder(bytesMax = frameBytesMax): FrameDecoder {
  let parts: Bytes[] = []
  let pending = 0
  let wanted: number | undefined
  return {
    get pendingBytes() {
      return pending
    },
    push(bytes) {
      parts.push(bytes)
      pending += bytes.length
      if (wanted !== undefined && pending < wanted) return []
      const all = parts.length === 1 ? bytes : concat(parts)
      const view = new DataView(all.buffer, all.byteOffset, all.byteLength)
      const payloads: Bytes[] = []
      let at = 0
      wanted = undefined
      while (all.length - at >= 4) {
        const length = view.getUint32(at)
        if (length > bytesMax) throw new FrameError(`frame of ${length} bytes is over the limit of ${bytesMax}`)
        if (all.length - at - 4 < length) {
          wanted = 4 + length
          break
        }
        payloads.push(all.subarray(at + 4, at + 4 + length))
        at += 4 + length
      }
      const rest = all.subarray(at)
      parts = rest.length > 0 ? [rest] : []
      pending = rest.length
      return payloads
    },
  }
}
