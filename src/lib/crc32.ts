// CRC-32 (IEEE 802.3, as in zlib), eight bytes at a time, so that pure code can check what it reads. Finds accidents,
// not attacks. `seed` chains: crc32(b, crc32(a)) is the checksum of a followed by b.
//
// The platform has one that is ten times as fast, and costs a call out of JavaScript: who may import it lends it to this one.
import type { Bytes } from './bytes.ts'

const tables: readonly Uint32Array[] = makeTables()

function makeTables(): Uint32Array[] {
  const all = Array.from({ length: 8 }, () => new Uint32Array(256))
  const first = all[0] ?? new Uint32Array(256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
    first[n] = c >>> 0
  }
  for (let t = 1; t < 8; t++) {
    const previous = all[t - 1] ?? first
    const table = all[t] ?? first
    for (let n = 0; n < 256; n++) {
      const c = previous[n] ?? 0
      table[n] = ((first[c & 0xff] ?? 0) ^ (c >>> 8)) >>> 0
    }
  }
  return all
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

type Checksum = (bytes: Bytes, seed: number) => number

/** From here on a call costs less than the bytes do. */
const manyBytes = 128
let ofMany: Checksum = ofFew

/** For long input, from now on and in the whole process: it must give the same. */
export function lendCrc32(platforms: Checksum): void {
  ofMany = platforms
}

/** The checksum as an unsigned 32-bit number. */
export function crc32(bytes: Bytes, seed = 0): number {
  return bytes.length < manyBytes ? ofFew(bytes, seed) : ofMany(bytes, seed)
}

function ofFew(bytes: Bytes, seed: number): number {
  let c = ~seed
  let i = 0
  const whole = bytes.length - (bytes.length & 7)
  while (i < whole) {
    const low =
      c ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24))
    c =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[i + 4] as number] as number) ^
      (t2[bytes[i + 5] as number] as number) ^
      (t1[bytes[i + 6] as number] as number) ^
      (t0[bytes[i + 7] as number] as number)
    i += 8
  }
  while (i < bytes.length) c = (t0[(c ^ (bytes[i++] as number)) & 0xff] as number) ^ (c >>> 8)
  return ~c >>> 0
}
