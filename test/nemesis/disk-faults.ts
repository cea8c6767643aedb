// Disks that are full, slow, broken, or have forgotten some bits.
import { spawn } from 'node:child_process'
import { appendFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Request } from '../check/history.ts'
import { run, sleep } from './command.ts'
import { keyPrefix, perform } from './load.ts'
import type { Member } from './member.ts'
import { between, type Effect, hasTime, type Nemesis, pick, type Scene } from './nemesis.ts'

/** The member whose data lie on a file system that can be made full. The others' are on a real disk. */
export const smallDiskIndex = 4
const roomyBytes = 1024 * 1024 * 1024
const startMs = 20_000
/** Less than that may come and go by itself. */
const reserveBytesMin = 16 * 1024 * 1024

export async function mountSmallDisk(folder: string): Promise<void> {
  await run('mkdir', '-p', folder)
  await run('mount', '-t', 'tmpfs', '-o', `size=${roomyBytes}`, 'tmpfs', folder)
}

/**
 * The file system shrinks to what is in it, as often as something is freed, and grows again. It counts when the member has
 * noticed: it ended, complained, or gave up something that it held in reserve.
 */
async function fillDisk(scene: Scene): Promise<Effect> {
  const member = scene.cluster.members[smallDiskIndex]
  if (member === undefined) throw new Error('no member with a small disk')
  let [full, ends, complaints, reserves] = [0, 0, 0, 0]
  while (hasTime(scene)) {
    const logged = statSync(join(member.dir, 'log')).size
    member.mayEnd = true
    const before = await usedBytes(member)
    const [hasEnded, hasComplained, hasFreed] = [
      () => !member.isRunning,
      () => /no space|ENOSPC|disk.*full/i.test(readFileSync(join(member.dir, 'log'), 'latin1').slice(logged)),
      async () => before - (await usedBytes(member)) > reserveBytesMin,
    ]
    const noticedBefore = ends + complaints + reserves
    const ballast = sendBallast(scene)
    for (let wasFull = false; hasTime(scene) && ends + complaints + reserves === noticedBefore; await sleep(500)) {
      if (hasEnded()) ends++
      else if (hasComplained()) complaints++
      else if (await hasFreed()) reserves++
      await shrink(member)
      if (!wasFull && isFull(member)) {
        wasFull = true
        full++
      }
    }
    await sleep(1_000)
    await ballast.stop()
    await resize(member, roomyBytes)
    member.mayEnd = false
    if (!member.isRunning) await member.start()
    await sleep(between(scene, 500, 1_000))
  }
  return {
    faults: ends + complaints + reserves,
    note: `full ${full} times; the member ended ${ends} times, complained ${complaints} times, gave up a reserve ${reserves} times`,
  }
}

const ballastValue = 'x'.repeat(64 * 1024)
const ballastClient = 400
const ballastPauseMs = 50

/** Fills logs fast and changes nothing: transactions under a long condition that is never met. */
function sendBallast({ cluster, recorder }: Scene): { stop(): Promise<void> } {
  let isStopping = false
  const key = `${keyPrefix}k0`
  const request: Request = {
    kind: 'txn',
    compare: [{ target: 'value', key, is: '=', than: ballastValue }],
    success: [{ kind: 'put', key, value: 'never' }],
    failure: [],
  }
  const loop = async () => {
    for (let i = 0; !isStopping; i++) {
      const member = cluster.members[i % smallDiskIndex]
      if (member?.isRunning) await perform(recorder, ballastClient, member.channel, member.label, request)
      await sleep(ballastPauseMs)
    }
  }
  const running = loop()
  return {
    stop: () => {
      isStopping = true
      return running
    },
  }
}

const resize = (member: Member, bytes: number) => run('mount', '-o', `remount,size=${bytes}`, member.dataDir)

/** To what is in use. That may grow until the mount looks again, and then the mount refuses. */
async function shrink(member: Member): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      await resize(member, await usedBytes(member))
      return
    } catch (error) {
      if (attempt === 20) throw error
      await sleep(20)
    }
}

async function usedBytes(member: Member): Promise<number> {
  const [, used] = (await run('df', '--block-size=1', '--output=used', member.dataDir)).trim().split('\n')
  return Number(used)
}

/** The member may free a page at any time, so a few are tried. */
function isFull(member: Member): boolean {
  const file = join(member.dataDir, 'filler')
  try {
    writeFileSync(file, Buffer.alloc(1024 * 1024))
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOSPC'
  } finally {
    rmSync(file, { force: true })
  }
}

/** A tracer that stands in the way of the member's system calls. */
class Tracer {
  private readonly child
  private readonly file: string
  constructor(pid: number, inject: string, file: string) {
    this.file = file
    const calls = 'fsync,fdatasync,sync_file_range,msync'
    const options = ['-f', '-p', String(pid), '-o', file, '-e', `trace=${calls}`, '-e', `inject=${calls}:${inject}`]
    this.child = spawn('strace', options, { stdio: 'ignore' })
  }

  /** How many calls it has bent. */
  count(): number {
    try {
      return readFileSync(this.file, 'latin1').split(/\((?:INJECTED|DELAYED)\)/).length - 1
    } catch {
      // It has written nothing yet.
      return 0
    }
  }

  /** Lets the member go on undisturbed. */
  async detach(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = new Promise(resolve => this.child.once('exit', resolve))
    this.child.kill('SIGINT')
    await Promise.race([gone, sleep(2_000)])
    this.child.kill('SIGKILL')
  }
}

async function slowSyncs(scene: Scene): Promise<Effect> {
  let faults = 0
  let calls = 0
  const delaysMs = [100, 30, 1_000]
  for (let i = 0; hasTime(scene); i++) {
    const leader = await scene.cluster.requireLeader()
    const victim = i % 2 === 0 ? leader : (await scene.cluster.followers(i))[0]
    if (victim?.pid === undefined) continue
    const delayUs = (delaysMs[i % delaysMs.length] ?? 0) * 1000
    const tracer = new Tracer(victim.pid, `delay_enter=${delayUs}`, join(scene.dir, `strace-slow-${performance.now()}`))
    await sleep(between(scene, 2_500, 3_500))
    await tracer.detach()
    if (tracer.count() > 0) faults++
    calls += tracer.count()
    await sleep(500)
  }
  return { faults, note: `${calls} syncs were held back` }
}

/** After a sync that failed nobody knows what is on the disk: the process has to end, with a code that is not 0. */
async function failSyncs(scene: Scene): Promise<Effect> {
  let faults = 0
  const wrong: string[] = []
  const tookMs: number[] = []
  while (hasTime(scene)) {
    const victim = scene.random.chance(0.5) ? await scene.cluster.requireLeader() : pick(scene, scene.cluster.members)
    if (victim.pid === undefined) continue
    victim.mayEnd = true
    const tracer = new Tracer(victim.pid, 'error=EIO', join(scene.dir, `strace-fail-${performance.now()}`))
    const startMs = performance.now()
    while (tracer.count() === 0 && victim.isRunning && performance.now() - startMs < 3_000) await sleep(20)
    const failedMs = performance.now()
    const exit = await victim.exitWithin(2_000)
    if (tracer.count() > 0) faults++
    if (tracer.count() > 0 && exit === undefined) wrong.push(`${victim.label} went on after a failed sync`)
    if (exit !== undefined) tookMs.push(Math.round(performance.now() - failedMs))
    if (exit?.code === 0) wrong.push(`${victim.label} ended with 0 after a failed sync`)
    await tracer.detach()
    // What it has in memory is not what is on its disk.
    if (victim.isRunning) await victim.kill()
    victim.mayEnd = false
    await victim.start()
    await scene.cluster.heal(10_000)
  }
  return { faults, note: `processes ended after ${tookMs.join(', ')} ms`, wrong }
}

/**
 * Bits of files of one member that is down. Either it refuses to start, and its folder as it was is put back, or it starts,
 * and whatever it then says or stores is held against it.
 */
async function flipBits(scene: Scene): Promise<Effect> {
  let [faults, refused, started] = [0, 0, 0]
  while (hasTime(scene)) {
    const victim = pick(scene, scene.cluster.members.slice(0, smallDiskIndex))
    if (!(await victim.kill())) continue
    const copy = `${victim.dataDir}.copy`
    await rm(copy, { recursive: true, force: true })
    await cp(victim.dataDir, copy, { recursive: true })
    const flipped = flip(scene, victim)
    faults += flipped.length
    appendFileSync(join(victim.dir, 'log'), `--- flipped ${flipped.join(', ')}\n`)
    victim.mayEnd = true
    await victim.start()
    // It reads its files before it answers.
    const endMs = performance.now() + startMs
    while (victim.isRunning && (await victim.status()) === undefined && performance.now() < endMs) await sleep(50)
    if (victim.isRunning) started++
    else {
      refused++
      await rm(victim.dataDir, { recursive: true, force: true })
      await cp(copy, victim.dataDir, { recursive: true })
      await victim.start()
    }
    await rm(copy, { recursive: true, force: true })
    await scene.cluster.heal(10_000)
    victim.mayEnd = false
  }
  return { faults, note: `bits flipped in files; members refused ${refused} times and started ${started} times` }
}

/** A few bits of one file, where it has content. Says which. */
function flip(scene: Scene, member: Member): readonly string[] {
  const files = readdirSync(member.dataDir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(file => scene.cluster.system.isChecksummed(relative(member.dataDir, file)) && statSync(file).size > 0)
  if (files.length === 0) return []
  const file = pick(scene, files)
  const content = readFileSync(file)
  const used = content.findLastIndex(byte => byte !== 0) + 1
  if (used === 0) return []
  const places = Array.from({ length: 1 + scene.random.below(3) }, () => scene.random.below(used))
  for (const at of places) content[at] = (content[at] ?? 0) ^ (1 << scene.random.below(8))
  writeFileSync(file, content)
  return places.map(at => `${relative(member.dataDir, file)}:${at}`)
}

export const diskFaults: readonly Nemesis[] = [
  { name: 'full disk', weight: 1, run: fillDisk },
  { name: 'slow sync', weight: 1, run: slowSyncs },
  { name: 'failing sync', weight: 1, run: failSyncs },
  { name: 'bit flips', weight: 1, run: flipBits },
]
