// A peer's randomness, drawn from the seed of the run.
import type { Prng } from '../../src/lib/prng.ts'
import type { Random } from '../../src/world/random.ts'

export function simRandom(random: Prng): Random {
  const hex = (count: number) => Array.from(random.bytes(count), byte => byte.toString(16).padStart(2, '0')).join('')
  return {
    bytes: count => random.bytes(count),
    float: () => random.float(),
    uuid: () => `${hex(4)}-${hex(2)}-4${hex(2).slice(1)}-a${hex(2).slice(1)}-${hex(6)}`,
  }
}
