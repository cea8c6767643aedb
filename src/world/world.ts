// All that is not deterministic enters through this value. One peer has one World.
import type { Clock } from './clock.ts'
import type { Disk } from './disk.ts'
import type { Log } from './log.ts'
import type { Network } from './network.ts'
import type { Random } from './random.ts'

export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  readonly disk: Disk
  readonly log: Log
}
