// What `etcdctl snapshot save` gets: our own backup, in the shape in which etcdctl takes it for whole. It wants a multiple
// of 512 bytes and a SHA-256 of them behind (clientv3/snapshot), so the backup is followed by zeros, its length and a mark.
// Only this program can restore it: etcd's own files are of another kind.
import { type Bytes, text, utf8 } from '../lib/bytes.ts'

const blockBytes = 512
const checksumBytes = 32
const mark = utf8('FLOTILLA')
const tailBytesMin = 8 + mark.length

/** What follows a backup of `length` bytes, before the checksum of both. */
export function snapshotTail(length: number): Bytes {
  const whole = Math.ceil((length + tailBytesMin) / blockBytes) * blockBytes
  const tail = new Uint8Array(whole - length)
  new DataView(tail.buffer).setBigUint64(tail.length - tailBytesMin, BigInt(length))
  tail.set(mark, tail.length - mark.length)
  return tail
}

/** The backup inside of a saved snapshot; undefined when it is none. The checksum is for the caller to check. */
export function openSnapshot(file: Bytes): { readonly backup: Bytes; readonly checksum: Bytes } | undefined {
  const end = file.length - checksumBytes
  if (end < blockBytes || end % blockBytes !== 0) return undefined
  if (text(file.subarray(end - mark.length, end)) !== text(mark)) return undefined
  const view = new DataView(file.buffer, file.byteOffset, end)
  const length = Number(view.getBigUint64(end - tailBytesMin))
  if (length > end - tailBytesMin) return undefined
  return { backup: file.subarray(0, length), checksum: file.subarray(end) }
}
