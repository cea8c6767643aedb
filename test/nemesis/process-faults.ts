// Processes that are killed, and processes that stand still.
import { sleep } from './command.ts'
import { untilWritten } from './load.ts'
import type { Member } from './member.ts'
import { between, type Effect, hasTime, type Nemesis, pick, type Scene } from './nemesis.ts'

const resumeMsMax = 15_000

async function killSome(scene: Scene, victims: (scene: Scene) => Promise<readonly Member[]>): Promise<Effect> {
  let faults = 0
  while (hasTime(scene)) {
    const killed = await Promise.all(
      (await victims(scene)).map(async member => ((await member.kill()) ? [member] : [])),
    )
    faults += killed.flat().length
    await sleep(between(scene, 100, 1_000))
    for (const member of killed.flat()) await member.start()
    // Now and then before all is well again, but not each time: a cluster that never comes up has nothing to lose.
    if (scene.random.chance(0.7)) await scene.cluster.heal(resumeMsMax)
    await sleep(between(scene, 100, 1_000))
  }
  return { faults }
}

/** Each time it is measured how long nothing could be written. The killed member stays away until then. */
async function killLeaders(scene: Scene): Promise<Effect> {
  const { cluster, recorder, resumedMs } = scene
  let faults = 0
  const tookMs: number[] = []
  while (hasTime(scene)) {
    const leader = await cluster.requireLeader()
    if (!(await leader.kill())) continue
    faults++
    const others = cluster.members.filter(member => member !== leader)
    const took = await untilWritten(recorder, others, resumeMsMax)
    tookMs.push(Math.round(took ?? Infinity))
    resumedMs.push(took ?? Infinity)
    await leader.start()
    // The next kill is to meet a cluster of five again.
    await cluster.heal(resumeMsMax)
    await sleep(between(scene, 200, 800))
  }
  return { faults, note: `writes were back after ${tookMs.join(', ')} ms` }
}

async function stopSome(scene: Scene, victims: (scene: Scene) => Promise<readonly Member[]>): Promise<Effect> {
  let faults = 0
  while (hasTime(scene)) {
    const stopped = (await victims(scene)).filter(member => member.pause())
    // A process that waits for its disk stops only when that has answered.
    for (let i = 0; i < 50 && !stopped.every(member => member.isPaused()); i++) await sleep(20)
    faults += stopped.filter(member => member.isPaused()).length
    // Longer than an election takes, so that whoever stood still wakes up in a world that went on.
    await sleep(between(scene, 1_500, 4_000))
    for (const member of stopped) member.resume()
    await sleep(between(scene, 500, 1_500))
  }
  return { faults }
}

const anyone = async (scene: Scene) => [pick(scene, scene.cluster.members)]
const all = async ({ cluster }: Scene) => cluster.members
const leader = async ({ cluster }: Scene) => [await cluster.requireLeader()]
const follower = async (scene: Scene) => (await scene.cluster.followers(scene.random.below(1e6))).slice(0, 1)

async function majority(scene: Scene): Promise<readonly Member[]> {
  const followers = await scene.cluster.followers(scene.random.below(1e6))
  const withLeader = scene.random.chance(0.5)
  return withLeader ? [await scene.cluster.requireLeader(), ...followers.slice(0, 2)] : followers.slice(0, 3)
}

export const processFaults: readonly Nemesis[] = [
  { name: 'kill one', weight: 1, run: scene => killSome(scene, anyone) },
  { name: 'kill the leader', weight: 3, run: killLeaders },
  { name: 'kill all', weight: 1, run: scene => killSome(scene, all) },
  { name: 'stop the leader', weight: 1, run: scene => stopSome(scene, leader) },
  { name: 'stop a follower', weight: 1, run: scene => stopSome(scene, follower) },
  { name: 'stop a majority', weight: 1, run: scene => stopSome(scene, majority) },
]
