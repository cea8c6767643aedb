// Clocks that jump: by an hour to and fro, or so fast that no two readings agree. The shim of clock-shim.c is preloaded into
// every member; a file says by how much it moves the time.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clockFileOf, shimOf } from './clock-files.ts'
import { run, sleep } from './command.ts'
import type { Member } from './member.ts'
import { between, type Effect, hasTime, type Nemesis, pick, type Scene } from './nemesis.ts'

const compiler = ['/usr/bin/cc', '/usr/bin/gcc'].find(existsSync)
const hourNs = 3_600_000_000_000

/** Makes the shim for the run, when there is a compiler. */
export async function compileShim(dir: string): Promise<void> {
  if (compiler === undefined) return
  await run(compiler, '-O2', '-shared', '-fPIC', '-o', shimOf(dir), join(import.meta.dirname, 'clock-shim.c'), '-ldl')
}

/** To be there before the member starts: the shim maps it once. */
export function writeClock(member: Member, offsetNs: number): void {
  const file = clockFileOf(member.dir)
  const content = existsSync(file) ? readFileSync(file) : Buffer.alloc(16)
  content.writeBigInt64LE(BigInt(offsetNs), 0)
  // In place: a new file would not be the one that is mapped.
  writeFileSync(file, content, { flag: existsSync(file) ? 'r+' : 'w' })
}

const movedReadings = (member: Member) => Number(readFileSync(clockFileOf(member.dir)).readBigInt64LE(8))

async function jump(scene: Scene): Promise<Effect> {
  let faults = 0
  const { members } = scene.cluster
  while (hasTime(scene)) {
    const victim = pick(scene, members)
    const before = movedReadings(victim)
    if (scene.random.chance(0.5)) {
      writeClock(victim, scene.random.chance(0.5) ? hourNs : -hourNs)
      await sleep(between(scene, 800, 2_000))
    } else
      for (let i = 0; i < 40; i++) {
        writeClock(victim, between(scene, -200, 200) * 1_000_000)
        await sleep(25)
      }
    if (movedReadings(victim) > before) faults++
    writeClock(victim, 0)
    await sleep(between(scene, 100, 500))
  }
  return { faults }
}

export const clockFaults: readonly Nemesis[] = [
  {
    name: 'clock jumps',
    weight: 1,
    run: jump,
    missing: ({ system }) =>
      compiler === undefined
        ? 'there is no C compiler to make the shim with'
        : system.hasLibraryClock
          ? undefined
          : `${system.name} reads the clock without the C library`,
  },
]
