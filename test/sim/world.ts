// The World of one life of one simulated peer.
import type { Prng } from '../../src/lib/prng.ts'
import type { Log, LogFields } from '../../src/world/log.ts'
import type { PeerId } from '../../src/world/network.ts'
import type { World } from '../../src/world/world.ts'
import { simClock } from './clock.ts'
import type { SimDisk } from './disk.ts'
import type { Life } from './life.ts'
import type { SimNetwork } from './network.ts'
import { simRandom } from './random.ts'

export type Outside = {
  readonly network: SimNetwork
  readonly disk: SimDisk
  readonly random: Prng
  readonly wallSkewMs: () => number
  readonly clockRate: number
  readonly note: (line: string) => void
}

export function simWorld(self: PeerId, life: Life, outside: Outside): World {
  return {
    clock: simClock(life, outside.wallSkewMs, outside.clockRate),
    random: simRandom(outside.random),
    network: outside.network.join(self, life),
    disk: outside.disk.attach(life),
    log: simLog(life, outside.note, {}),
  }
}

function simLog(life: Life, note: (line: string) => void, fixed: LogFields): Log {
  const say = (level: string) => (message: string, fields?: LogFields) => {
    if (!life.alive) return
    const all = Object.entries({ ...fixed, ...fields }).map(([key, value]) => ` ${key}=${value}`)
    note(`${life.name} ${level} ${message}${all.join('')}`)
  }
  return {
    debug() {},
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    with: fields => simLog(life, note, { ...fixed, ...fields }),
  }
}
