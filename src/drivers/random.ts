// Randomness from the operating system, fit for secrets.
import { randomBytes, randomUUID } from 'node:crypto'
import type { Random } from '../world/random.ts'

export function realRandom(): Random {
  return {
    bytes: count => new Uint8Array(randomBytes(count)),
    float: () => {
      const bytes = randomBytes(7)
      // 53 bits, all that a number holds below 1.
      return (bytes.readUIntBE(0, 6) * 32 + ((bytes[6] ?? 0) & 31)) / 2 ** 53
    },
    uuid: () => randomUUID(),
  }
}
