// How bad a seed of the store simulation is: drawn once, so that some runs are calm in one way and wild in another (swarm
// testing, Groce and others 2012). Times are virtual milliseconds; Infinity is never.
import type { Prng } from '../../src/lib/prng.ts'

export type Swarm = ReturnType<typeof drawSwarm>

export function drawSwarm(random: Prng) {
  const some = (chance: number, most: number) => (random.chance(chance) ? random.float() * most : 0)
  const every = (chance: number, least: number, spread: number) =>
    random.chance(chance) ? least + random.below(spread) : Number.POSITIVE_INFINITY
  const isSmall = random.chance(0.5)
  return {
    voterCount: 1 + random.below(random.chance(0.2) ? 7 : 5),
    learnerCount: random.below(3),
    /** Of each member that joins: it votes and never leads. */
    witnessChance: random.chance(0.2) ? 0.4 : 0,
    network: {
      loss: some(0.6, 0.3),
      duplicate: some(0.5, 0.5),
      delayMsMin: 0.5 + random.float() * 10,
      delayMsMax: 12 + random.below(random.chance(0.2) ? 488 : 40),
      noticeMsMax: random.chance(0.7) ? 100 : 10_000,
    },
    disk: {
      errorChance: some(0.4, 0.002),
      syncMsMax: 1 + random.below(random.chance(0.2) ? 60 : 8),
      stallChance: random.chance(0.3) ? 0.002 : 0,
      stallMsMax: random.chance(0.2) ? 30_000 : 3_000,
      crashChance: some(0.7, 0.01),
      tearsSectors: random.chance(0.5),
    },
    /** Of each machine's clock against true time. */
    driftMax: random.chance(0.5) ? 0.05 : 0,
    crashEveryMs: random.chance(0.8) ? 1_000 + random.below(6_000) : 5_000 + random.below(10_000),
    crashAllChance: random.chance(0.2) ? 0.15 : 0,
    longDownChance: random.chance(0.3) ? 0.15 : 0.02,
    /** Of a machine that went down: something that was synced is not there when it comes up. */
    damageChance: random.chance(0.4) ? 0.25 : 0,
    fullEveryMs: every(0.15, 3_000, 15_000),
    cutEveryMs: every(0.8, 1_000, 6_000),
    flapChance: random.chance(0.3) ? 0.3 : 0,
    clogEveryMs: every(0.3, 1_000, 5_000),
    pauseEveryMs: every(0.4, 2_000, 8_000),
    jumpEveryMs: every(0.3, 500, 3_000),
    changeEveryMs: every(0.8, 700, random.chance(0.5) ? 4_000 : 15_000),
    transferEveryMs: every(0.4, 2_000, 8_000),
    clients: { clientCount: 3 + random.below(5), keyCount: 3 + random.below(4), gapMsMax: 60 + random.below(300) },
    leaseClientCount: random.below(4),
    config: {
      flushCountMax: isSmall ? 5 + random.below(30) : 20 + random.below(300),
      logCountMax: isSmall ? 5 + random.below(30) : 10 + random.below(990),
      segmentBytesMax: 1_000 + random.below(50_000),
      zeroBytesAhead: random.below(random.chance(0.5) ? 1 : 5_000),
      historyCountMax: 50 + random.below(random.chance(0.5) ? 100 : 1_000),
      auditMs: 500 + random.below(5_000),
      historyAgeMs: 3_000 + random.below(20_000),
    },
  }
}
