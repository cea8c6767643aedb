// How bad a seed of the core simulation is: drawn once, so that some runs are calm in one way and wild in another
// (swarm testing, Groce and others 2012). Times are virtual milliseconds; Infinity is never.
import type { Prng } from '../../src/lib/prng.ts'

export type CoreSwarm = ReturnType<typeof drawCoreSwarm>

export function drawCoreSwarm(random: Prng) {
  const some = (chance: number, most: number) => (random.chance(chance) ? random.float() * most : 0)
  const every = (chance: number, least: number, spread: number) =>
    random.chance(chance) ? least + random.below(spread) : Number.POSITIVE_INFINITY
  const breaksOften = random.chance(0.8)
  return {
    voterCount: 1 + random.below(7),
    learnerCount: random.below(3),
    /** Of each member that joins: it votes and never leads. */
    witnessChance: random.chance(0.25) ? 0.4 : 0,
    loss: some(0.7, 0.3),
    duplicate: some(0.6, 0.5),
    /** A copy may come when everybody has forgotten the original. */
    replayMsMax: random.chance(0.3) ? 4_000 : 0,
    delayMsMin: 1 + random.below(20),
    delayMsMax: 25 + random.below(random.chance(0.25) ? 475 : 80),
    clogEveryMs: every(0.4, 500, 5_000),
    clogMsMax: 200 + random.below(4_800),
    /** Of each member's clock against true time. */
    driftMax: random.chance(0.5) ? 0.05 : 0,
    saveMsMax: 1 + random.below(random.chance(0.2) ? 300 : 25),
    stallChance: random.chance(0.2) ? 0.002 : 0,
    stallMsMax: random.chance(0.2) ? 30_000 : 3_000,
    crashInSaveChance: some(0.6, random.chance(0.3) ? 0.1 : 0.01),
    crashEveryMs: breaksOften ? 700 + random.below(8_000) : 5_000 + random.below(30_000),
    /** Of a crash: everybody at once, as when the power goes. */
    crashAllChance: random.chance(0.2) ? 0.1 : 0,
    longDownChance: random.chance(0.3) ? 0.15 : 0.02,
    cutEveryMs: every(0.85, 700, 6_000),
    flapChance: random.chance(0.3) ? 0.4 : 0,
    /** Every cut takes away a leader that has followers enough to replace it while it still believes. */
    cutsLeaders: random.chance(0.25),
    noticesCuts: random.chance(0.6),
    pauseEveryMs: every(0.5, 1_000, 8_000),
    changeEveryMs: every(0.8, 500, random.chance(0.5) ? 5_000 : 20_000),
    transferEveryMs: every(0.5, 1_000, 8_000),
    writeEveryMs: 5 + random.below(120),
    readEveryMs: 20 + random.below(300),
    keptEntries: random.chance(0.5) ? 1 + random.below(20) : 10 + random.below(990),
    pull: random.chance(0.5),
    pipelined: random.chance(0.6),
    snapshotFails: some(0.5, 0.5),
    inflightCountMax: 1 + random.below(8),
    appendBytesMax: 100 + random.below(2_000),
  }
}
