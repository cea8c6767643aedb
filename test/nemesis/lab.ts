// The network of the run: a namespace for each member, joined by a bridge that stands in the harness's own namespace, which
// main.ts has made for it. Cuts and loss are rules of the bridge between two of its ports, so they are silent, may be one-way,
// and never touch the harness's own way to a member: clients can ask a member that is cut off.
import { mkdir } from 'node:fs/promises'
import { run, runWith } from './command.ts'

export const peerPort = 2380
export const clientPort = 2379
export const addressOf = (index: number) => `10.98.0.${index + 1}`
export const clientUrlOf = (index: number) => `http://${addressOf(index)}:${clientPort}`
const namespaceOf = (index: number) => `n${index}`
const portOf = (index: number) => `p${index}`
const harnessAddress = '10.98.0.254'

/** To be called once, in network and mount namespaces of our own. */
export async function makeLab(count: number): Promise<void> {
  await mkdir('/run/netns', { recursive: true })
  // In our mount namespace alone, so that names of namespaces are ours too.
  await run('mount', '-t', 'tmpfs', 'tmpfs', '/run/netns')
  await run('ip', 'link', 'set', 'lo', 'up')
  await run('ip', 'link', 'add', 'bridge0', 'type', 'bridge')
  await run('ip', 'addr', 'add', `${harnessAddress}/24`, 'dev', 'bridge0')
  await run('ip', 'link', 'set', 'bridge0', 'up')
  for (let index = 0; index < count; index++) await makeHost(index)
  await runWith(table, 'nft', '-f', '-')
}

async function makeHost(index: number): Promise<void> {
  const [name, port] = [namespaceOf(index), portOf(index)]
  await run('ip', 'netns', 'add', name)
  await run('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  await run('ip', 'link', 'set', port, 'master', 'bridge0', 'up')
  await run('ip', '-n', name, 'addr', 'add', `${addressOf(index)}/24`, 'dev', 'eth0')
  await run('ip', '-n', name, 'link', 'set', 'eth0', 'up')
  await run('ip', '-n', name, 'link', 'set', 'lo', 'up')
}

const table = `table bridge chaos {
  set cuts { type ifname . ifname; }
  chain c_cut {
    type filter hook forward priority 0; policy accept;
    iifname . oifname @cuts counter drop
  }
  chain c_loss {
    type filter hook forward priority 1; policy accept;
  }
}
`

/** The command that runs `command` on the member's host. It becomes the command: the process ID stays. */
export const onHost = (index: number, command: readonly string[]): readonly [string, ...string[]] => [
  'nsenter',
  `--net=/run/netns/${namespaceOf(index)}`,
  '--',
  ...command,
]

/** An ordered pair: what the first sends to the second. */
export type Way = readonly [from: number, to: number]

export const bothWays = (ways: readonly Way[]): Way[] =>
  ways.flatMap(([a, b]): Way[] => [
    [a, b],
    [b, a],
  ])

/** Everything from the one group to the other. */
export const waysBetween = (from: readonly number[], to: readonly number[]): Way[] =>
  from.flatMap(a => to.filter(b => b !== a).map((b): Way => [a, b]))

/** From now on these ways are cut, and no others. */
export async function cut(ways: readonly Way[]): Promise<void> {
  const elements = ways.map(([from, to]) => `"${portOf(from)}" . "${portOf(to)}"`).join(', ')
  const add = ways.length === 0 ? '' : `add element bridge chaos cuts { ${elements} }\n`
  // One transaction: there is no moment between the old cuts and the new ones.
  await runWith(`flush set bridge chaos cuts\n${add}`, 'nft', '-f', '-')
}

/** How many packets the cuts have dropped so far. */
export const droppedByCuts = () => counted('c_cut')
export const droppedByLoss = () => counted('c_loss')

async function counted(chain: string): Promise<number> {
  const listed = await run('nft', 'list', 'chain', 'bridge', 'chaos', chain)
  return [...listed.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0)
}

/** Drops this share of the packets between members; 0 ends it. */
export async function lose(percent: number): Promise<void> {
  const rule = `add rule bridge chaos c_loss numgen random mod 100 < ${percent} counter drop\n`
  await runWith(`flush chain bridge chaos c_loss\n${percent > 0 ? rule : ''}`, 'nft', '-f', '-')
}
