// Networks that are cut, lose packets, or are slow. Cuts and loss are the bridge's (lab.ts); delay and bandwidth come from a
// proxy on each member's host that everything it sends to other members goes through for a while (link.ts).
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { runWith, sleep } from './command.ts'
import {
  addressOf,
  bothWays,
  cut,
  droppedByCuts,
  droppedByLoss,
  lose,
  onHost,
  peerPort,
  type Way,
  waysBetween,
} from './lab.ts'
import { linkPortOf, sourcePorts } from './link.ts'
import { between, type Effect, hasTime, type Nemesis, type Scene } from './nemesis.ts'
import { memberCount } from './systems.ts'

type Cut = (scene: Scene) => Promise<readonly Way[]>

/** A fault counts when its rules have dropped something. */
async function cutSome(scene: Scene, ways: Cut): Promise<Effect> {
  let faults = 0
  let packets = 0
  while (hasTime(scene)) {
    const before = await droppedByCuts()
    await cut(await ways(scene))
    await sleep(between(scene, 1_500, 4_500))
    const dropped = (await droppedByCuts()) - before
    await cut([])
    packets += dropped
    if (dropped > 0) faults++
    await sleep(between(scene, 500, 1_500))
  }
  return { faults, note: `${packets} packets dropped` }
}

async function flap(scene: Scene): Promise<Effect> {
  let faults = 0
  while (hasTime(scene)) {
    const before = await droppedByCuts()
    const away = (await order(scene)).slice(0, 1 + scene.random.below(2))
    const ways = bothWays(waysBetween(away, others(away)))
    for (let i = 0; i < 10; i++) {
      await cut(ways)
      await sleep(between(scene, 50, 400))
      await cut([])
      await sleep(between(scene, 50, 400))
    }
    if ((await droppedByCuts()) > before) faults++
  }
  return { faults }
}

async function losePackets(scene: Scene): Promise<Effect> {
  let faults = 0
  const shares = [1, 10, 30, 50]
  const start = await droppedByLoss()
  for (let i = 0; hasTime(scene); i++) {
    await lose(shares[i % shares.length] ?? 0)
    await sleep(between(scene, 2_000, 3_000))
    if ((await droppedByLoss()) > start) faults++
    await lose(0)
    await sleep(300)
  }
  return { faults }
}

/** All members, the leader first, the rest by chance. */
async function order(scene: Scene): Promise<readonly number[]> {
  const leader = await scene.cluster.requireLeader()
  const followers = await scene.cluster.followers(scene.random.below(1e6))
  const first = [leader, ...followers].map(({ index }) => index)
  return [...first, ...others(first)]
}

const others = (of: readonly number[]) =>
  Array.from({ length: memberCount }, (_, index) => index).filter(index => !of.includes(index))

const isolate: Cut = async scene => {
  const all = await order(scene)
  const one = all.slice(0, 1)
  return bothWays(waysBetween(one, others(one)))
}
/** The leader with one other, so that it is on the smaller side. */
const minority: Cut = async scene => {
  const small = (await order(scene)).slice(0, 2)
  return bothWays(waysBetween(small, others(small)))
}
/** The leader with two others: those who are cut off are followers. */
const majority: Cut = async scene => {
  const large = (await order(scene)).slice(0, 3)
  return bothWays(waysBetween(large, others(large)))
}
/** Each sees its two neighbours: everybody sees a majority, and no two the same. */
const ring: Cut = async scene => {
  const all = await order(scene)
  return all.flatMap((one, i) => bothWays(waysBetween([one], [all[(i + 2) % memberCount] ?? one])))
}
/** Two halves that only one member sees both of. */
const bridge: Cut = async scene => {
  const [leader = 0, ...rest] = await order(scene)
  const [left, right] = scene.random.chance(0.5)
    ? [[leader, rest[0] ?? 0], rest.slice(1, 3)]
    : [rest.slice(0, 2), rest.slice(2)]
  return bothWays(waysBetween(left, right))
}
/** The leader hears nobody, and is heard. */
const oneWayIn: Cut = async scene => {
  const all = await order(scene)
  return waysBetween(all.slice(1), all.slice(0, 1))
}
/** The leader is heard by nobody, and hears. */
const oneWayOut: Cut = async scene => {
  const all = await order(scene)
  return waysBetween(all.slice(0, 1), all.slice(1))
}

type Link = { readonly delayMs: number; readonly jitterMs: number; readonly bytesPerSecond: number }

/** Sends what members say to one another through proxies that hold it back. */
async function slow(scene: Scene, link: Link): Promise<Effect> {
  const proxies = others([]).map(index => startProxy(index, link))
  const proxyIds = proxies.map(({ child }) => child)
  try {
    await Promise.all(proxies.map(({ ready }) => ready))
    await Promise.all(others([]).map(redirect))
    await sleep(scene.untilMs - performance.now())
    const forwarded = await Promise.all(proxies.map(({ report }) => report()))
    const bytes = forwarded.reduce((sum, one) => sum + one, 0)
    return { faults: forwarded.filter(one => one > 0).length, note: `${bytes} bytes went through the proxies` }
  } finally {
    await Promise.all(others([]).map(direct))
    for (const child of proxyIds) child.kill('SIGKILL')
  }
}

function startProxy(
  index: number,
  link: Link,
): { child: ChildProcess; ready: Promise<void>; report: () => Promise<number> } {
  const file = join(import.meta.dirname, 'link.ts')
  const options = [index, link.delayMs, link.jitterMs, link.bytesPerSecond].map(String)
  const [program, ...args] = onHost(index, [process.execPath, file, ...options])
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  let wake = () => {}
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.split('\n').filter(line => line !== ''))
    wake()
  })
  const next = async (): Promise<string> => {
    while (lines.length === 0) await new Promise<void>(resolve => (wake = resolve))
    return lines.shift() ?? ''
  }
  const ready = next().then(() => {})
  const report = async () => {
    child.stdin.write('report\n')
    return Number(await next())
  }
  return { child, ready, report }
}

/** New connections to other members go to the proxy; those that are open are reset, so that there are new ones. */
async function redirect(index: number): Promise<void> {
  const isProxy = `tcp sport ${sourcePorts.first}-${sourcePorts.last}`
  const rules = others([index]).map(
    to => `${isProxy} accept\n    ip daddr ${addressOf(to)} tcp dport ${peerPort} redirect to :${linkPortOf(to)}`,
  )
  const nat = `table ip link {
  chain c_out {
    type nat hook output priority -100; policy accept;
    ${rules.join('\n    ')}
  }
  chain c_reset {
    type filter hook output priority 0; policy accept;
    ${isProxy} accept
    ip daddr 10.98.0.0/24 tcp dport ${peerPort} reject with tcp reset
  }
}
`
  await onHostNft(index, nat)
  await sleep(500)
  await onHostNft(index, 'delete chain ip link c_reset\n')
}

const direct = (index: number) => onHostNft(index, 'table ip link\ndelete table ip link\n')

async function onHostNft(index: number, text: string): Promise<void> {
  const [program, ...args] = onHost(index, ['nft', '-f', '-'])
  await runWith(text, program, ...args)
}

const fast = 1e9

export const networkFaults: readonly Nemesis[] = [
  { name: 'isolate the leader', weight: 1, run: scene => cutSome(scene, isolate) },
  { name: 'cut, leader with the minority', weight: 1, run: scene => cutSome(scene, minority) },
  { name: 'cut, leader with the majority', weight: 1, run: scene => cutSome(scene, majority) },
  { name: 'ring', weight: 1, run: scene => cutSome(scene, ring) },
  { name: 'bridge', weight: 1, run: scene => cutSome(scene, bridge) },
  { name: 'one way, to the leader', weight: 1, run: scene => cutSome(scene, oneWayIn) },
  { name: 'one way, from the leader', weight: 1, run: scene => cutSome(scene, oneWayOut) },
  { name: 'flapping', weight: 1, run: flap },
  { name: 'loss', weight: 1, run: losePackets },
  {
    name: 'delay of 75 ± 50 ms',
    weight: 1,
    run: scene => slow(scene, { delayMs: 75, jitterMs: 50, bytesPerSecond: fast }),
  },
  {
    name: '1 Mbit/s',
    weight: 1,
    run: scene => slow(scene, { delayMs: 2, jitterMs: 1, bytesPerSecond: 125_000 }),
  },
]
