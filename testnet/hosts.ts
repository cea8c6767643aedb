// Hosts on one machine: each a network namespace (with mount and UTS namespaces of its own), joined by a bridge that lives
// in a namespace of its own, so that nothing of the machine's own network is touched and no Docker rule is in the way.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { run } from './command.ts'

export type Net = {
  /** At most six characters: interface names are short. */
  readonly name: string
  readonly dir: string
  readonly hosts: number
}

export const hostOf = (net: Net, i: number) => `${net.name}-h${i}`
export const addressOf = (i: number) => `10.99.0.${i}`
const underlay = (net: Net) => `${net.name}-ul`
const port = (net: Net, i: number) => `${net.name}p${i}`

export async function makeNet(net: Net): Promise<void> {
  await fs.mkdir(path.join(net.dir, 'ns'), { recursive: true })
  const ns = path.join(net.dir, 'ns')
  // Namespace files can only be pinned below a private mount.
  await run(['mount', '--bind', ns, ns])
  await run(['mount', '--make-private', ns])
  await run(['ip', 'netns', 'add', underlay(net)])
  await run(['ip', '-n', underlay(net), 'link', 'add', 'ul0', 'type', 'bridge'])
  await run(['ip', '-n', underlay(net), 'link', 'set', 'ul0', 'up'])
  for (let i = 1; i <= net.hosts; i++) await makeHost(net, i)
  await run(['ip', 'netns', 'exec', underlay(net), 'nft', '-f', '-'], { input: chaosTable })
}

// Cuts, one-sided cuts and loss are rules of the bridge, so that the carrier stays: a silent fault, the worst kind.
const chaosTable = `table bridge chaos {
  set cut { type ifname; }
  set pairs { type ifname . ifname; }
  chain c_fwd {
    type filter hook forward priority 0; policy accept;
    iifname @cut drop
    oifname @cut drop
    iifname . oifname @pairs drop
  }
  chain c_loss {
    type filter hook forward priority 1; policy accept;
  }
}
`

async function makeHost(net: Net, i: number): Promise<void> {
  const host = hostOf(net, i)
  await run(['ip', 'netns', 'add', host])
  await run(['ip', '-n', host, 'link', 'set', 'lo', 'up'])
  await run([
    'ip',
    '-n',
    host,
    'link',
    'add',
    'eth0',
    'type',
    'veth',
    'peer',
    'name',
    port(net, i),
    'netns',
    underlay(net),
  ])
  await run(['ip', '-n', host, 'addr', 'add', `${addressOf(i)}/24`, 'dev', 'eth0'])
  await run(['ip', '-n', host, 'link', 'set', 'eth0', 'up'])
  await run(['ip', '-n', underlay(net), 'link', 'set', port(net, i), 'master', 'ul0', 'up'])
  const netns = `/run/netns/${host}`
  await run(['nsenter', `--net=${netns}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  const [mnt, uts] = [path.join(net.dir, 'ns', `h${i}.mnt`), path.join(net.dir, 'ns', `h${i}.uts`)]
  await fs.writeFile(mnt, '')
  await fs.writeFile(uts, '')
  const unshare = ['unshare', `--uts=${uts}`, `--mount=${mnt}`, '--propagation', 'shared', 'hostname', `host${i}`]
  await run(['nsenter', `--net=${netns}`, ...unshare])
}

/** The command line that runs `command` on host `i`. */
export function onHost(net: Net, i: number, command: readonly string[]): readonly string[] {
  const ns = path.join(net.dir, 'ns')
  return [
    'nsenter',
    `--net=/run/netns/${hostOf(net, i)}`,
    `--mount=${path.join(ns, `h${i}.mnt`)}`,
    `--uts=${path.join(ns, `h${i}.uts`)}`,
    // Entering a mount namespace forgets the working directory.
    `--wd=${process.cwd()}`,
    ...command,
  ]
}

/** Takes everything away; what is already gone is no error. */
export async function removeNet(net: Net): Promise<void> {
  const ns = path.join(net.dir, 'ns')
  const quiet = async (command: readonly string[]) => {
    await run(command).catch(error => {
      if (!/No such file|not mounted|Cannot find|no mount point/.test(String(error))) throw error
    })
  }
  for (let i = 1; i <= net.hosts; i++) {
    await quiet(['umount', path.join(ns, `h${i}.mnt`)])
    await quiet(['umount', path.join(ns, `h${i}.uts`)])
    await quiet(['ip', 'netns', 'del', hostOf(net, i)])
  }
  await quiet(['ip', 'netns', 'del', underlay(net)])
  await quiet(['umount', ns])
}

const nft = (net: Net, text: string) => run(['ip', 'netns', 'exec', underlay(net), 'nft', text])

/** Nothing passes to or from the host; its carrier stays. */
export async function cut(net: Net, i: number): Promise<void> {
  await nft(net, `add element bridge chaos cut { "${port(net, i)}" }`)
}

/** Nothing passes between these two; both reach the others. */
export async function cutPair(net: Net, a: number, b: number): Promise<void> {
  await nft(
    net,
    `add element bridge chaos pairs { "${port(net, a)}" . "${port(net, b)}", "${port(net, b)}" . "${port(net, a)}" }`,
  )
}

/** Drops this share of the packets to the host. */
export async function lossy(net: Net, i: number, percent: number): Promise<void> {
  await nft(net, `add rule bridge chaos c_loss oifname "${port(net, i)}" numgen random mod 100 < ${percent} drop`)
}

/** Holds packets to the host back; needs the kernel's netem. */
export async function delay(net: Net, i: number, ms: number): Promise<void> {
  const netem = ['qdisc', 'replace', 'dev', port(net, i), 'root', 'netem', 'delay', `${ms}ms`]
  await run(['tc', '-n', underlay(net), ...netem]).catch(error => {
    throw new Error(`delay needs the netem scheduler, which this kernel does not offer: ${String(error)}`)
  })
}

/** Ends all cuts, loss and delays. */
export async function heal(net: Net): Promise<void> {
  await nft(net, 'flush set bridge chaos cut')
  await nft(net, 'flush set bridge chaos pairs')
  await nft(net, 'flush chain bridge chaos c_loss')
  for (let i = 1; i <= net.hosts; i++) {
    const { stdout } = await run(['tc', '-n', underlay(net), 'qdisc', 'show', 'dev', port(net, i)])
    if (stdout.includes('netem')) await run(['tc', '-n', underlay(net), 'qdisc', 'del', 'dev', port(net, i), 'root'])
  }
}
