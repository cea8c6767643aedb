// Randomness from the operating system, fit for secrets.
import { randomBytes, randomUUID } from 'node:crypto'
import type { Random } from '../world/random.ts'

/** Of random bytes that wait to be used; 512 numbers. */
const poolBytes = 7 * 512

export function realRandom(): Random {
  let pool = Buffer.alloc(0)
  let at = 0
  return {
    bytes: count => new Uint8Array(randomBytes(count)),
    float() {
      // A call into the system for each number would cost more than what it is drawn for.
      if (at + 7 > pool.length) {
        pool = randomBytes(poolBytes)
        at = 0
      }
      // 53 bits, all that a number holds below 1.
      const value = (pool.readUIntBE(at, 6) * 32 + ((pool[at + 6] ?? 0) & 31)) / 2 ** 53
      at += 7
      return value
    },
    uuid: () => randomUUID(),
  }
}
