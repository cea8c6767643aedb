// How frames and messages are written into a buffer that has room for them. Each gives where the next may begin.
import type { Bytes } from '../../lib/bytes.ts'
import { frameHeadBytes, frameType, writeFrameHead, writeU32 } from './frame.ts'

/** Before each message: whether it is compressed, and its length. */
export const prefixBytes = 5

export function writeBlock(buffer: Buffer, at: number, id: number, flags: number, block: Buffer): number {
  writeFrameHead(buffer, at, block.length, frameType.headers, flags, id)
  at += frameHeadBytes
  for (let i = 0; i < block.length; i++) buffer[at + i] = block[i] ?? 0
  return at + block.length
}

export function writeMessage(buffer: Buffer, at: number, bytes: Bytes, start: number, end: number): number {
  buffer[at] = 0
  writeU32(buffer, at + 1, end - start)
  return copy(buffer, at + prefixBytes, bytes, start, end)
}

export function writeTwo(buffer: Buffer, at: number, head: Bytes, headLength: number, tail: Bytes | undefined): number {
  buffer[at] = 0
  writeU32(buffer, at + 1, headLength + (tail?.length ?? 0))
  at = copy(buffer, at + prefixBytes, head, 0, headLength)
  if (tail === undefined) return at
  buffer.set(tail, at)
  return at + tail.length
}

export function message(head: Bytes, start: number, end: number, tail: Bytes | undefined): Buffer {
  const whole = Buffer.allocUnsafe(prefixBytes + end - start + (tail?.length ?? 0))
  writeTwo(whole, 0, start === 0 ? head : head.subarray(start, end), end - start, tail)
  return whole
}

/** Below this, a loop beats a call into C++. */
const loopBytesMax = 64

function copy(buffer: Buffer, at: number, bytes: Bytes, start: number, end: number): number {
  if (end - start > loopBytesMax) buffer.set(bytes.subarray(start, end), at)
  else for (let i = start; i < end; i++) buffer[at++] = bytes[i] ?? 0
  return end - start > loopBytesMax ? at + end - start : at
}
