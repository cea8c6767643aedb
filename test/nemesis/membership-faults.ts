// Members that are removed under load and come back as new ones, with an empty folder, first as learners.
import { rm } from 'node:fs/promises'
import { decodeMembers, encodeAddLearner, encodeMemberId, paths } from './api.ts'
import type { Reply } from './channel.ts'
import { sleep } from './command.ts'
import { smallDiskIndex } from './disk-faults.ts'
import type { Member } from './member.ts'
import { between, type Effect, hasTime, type Nemesis, type Scene } from './nemesis.ts'
import { peerUrlOf } from './systems.ts'

const askMs = 3_000
const promoteMs = 20_000

async function replaceMembers(scene: Scene): Promise<Effect> {
  let faults = 0
  const wrong: string[] = []
  while (hasTime(scene)) {
    const leader = await scene.cluster.requireLeader()
    const followers = await scene.cluster.followers(scene.random.below(1e6))
    // The leader too: the others have to go on without it. The small disk is a mount, which cannot be taken away.
    const victim = [...(scene.random.chance(0.3) ? [leader] : []), ...followers].find(m => m.index !== smallDiskIndex)
    if (victim === undefined) throw new Error('nobody can be replaced')
    const complaint = await replaceOne(scene, victim)
    if (complaint === undefined) faults++
    else wrong.push(complaint)
    await scene.cluster.heal(20_000)
    await sleep(between(scene, 300, 1_000))
  }
  return { faults, wrong }
}

/** What went wrong, if anything. */
async function replaceOne(scene: Scene, victim: Member): Promise<string | undefined> {
  const others = scene.cluster.members.filter(member => member !== victim)
  const status = await victim.status()
  if (status === undefined) return `${victim.name} does not answer`
  victim.mayEnd = true
  const removed = await askUntilAnswered(others, paths.removeMember, encodeMemberId(status.member), 5_000)
  if (removed.kind !== 'answer') return `${victim.name} was not removed: ${describe(removed)}`
  await victim.exitWithin(1_000)
  await victim.kill()
  await rm(victim.dataDir, { recursive: true, force: true })
  scene.cluster.system.joins(victim.index)
  const complaint =
    scene.cluster.system.comesBack === 'added' ? await addAndStart(victim, others) : await victim.start()
  victim.mayEnd = false
  if (typeof complaint === 'string') return complaint
  return await untilMember(victim, status.member)
}

async function addAndStart(victim: Member, others: readonly Member[]): Promise<string | undefined> {
  const added = await askUntilAnswered(others, paths.addMember, encodeAddLearner(peerUrlOf(victim.index)), 5_000)
  if (added.kind !== 'answer') return `${victim.name} was not added again: ${describe(added)}`
  const [fresh] = decodeMembers(added.bytes, 2)
  if (fresh === undefined) return 'the answer to MemberAdd names no member'
  await victim.start()
  const promoted = await askUntilAnswered(others, paths.promoteMember, encodeMemberId(fresh.member), promoteMs)
  return promoted.kind === 'answer' ? undefined : `${victim.name} was not promoted: ${describe(promoted)}`
}

/** Until it is a voter, and under another ID than before. */
async function untilMember(victim: Member, before: string): Promise<string | undefined> {
  const endMs = performance.now() + promoteMs
  while (performance.now() < endMs) {
    const status = await victim.status()
    if (status?.member === before) return `${victim.name} came back under its old ID`
    if (status !== undefined && !status.isLearner && status.leader !== '0') return undefined
    await sleep(50)
  }
  return `${victim.name} is no voter ${promoteMs} ms after it came back`
}

const describe = (reply: Reply) => (reply.kind === 'status' ? reply.text : reply.kind)

/** Asks one after the other until one says yes, or the time is up. Asking again is harmless: what is done is refused. */
async function askUntilAnswered(
  members: readonly Member[],
  path: string,
  request: Buffer,
  withinMs: number,
): Promise<Reply> {
  const endMs = performance.now() + withinMs
  let reply: Reply = { kind: 'refused', why: 'nobody was asked' }
  for (let i = 0; performance.now() < endMs; i++) {
    const member = members[i % members.length]
    if (member?.isRunning) reply = await member.channel.unary(path, request, askMs)
    if (reply.kind === 'answer') return reply
    await sleep(200)
  }
  return reply
}

export const membershipFaults: readonly Nemesis[] = [{ name: 'replace members', weight: 1, run: replaceMembers }]
