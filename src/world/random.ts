// Randomness as a parameter. The real one is drivers/random.ts (fit for secrets), the simulated one is seeded.
import type { Bytes } from '../lib/bytes.ts'

export interface Random {
  bytes(count: number): Bytes
  /** In [0, 1). */
  float(): number
  /** A random RFC 4122 version 4 UUID, lower case. */
  uuid(): string
}
