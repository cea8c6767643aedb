// Hosts and pods out of network namespaces, each with an actor inside (netns-actor.ts): an underlay bridge in a namespace
// of its own, one namespace per host, one per pod. Names carry this process's id; disposing takes all away.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { nodePodIpOf } from '../../src/lib/cidr.ts'
import type { OverlayPlan, OverlayRoute } from '../../src/world/dataplane.ts'
import type { Ask } from './netns-actor.ts'

export const clusterCidr = '10.42.0.0/16'
export const serviceCidr = '10.96.0.0/16'
export const dnsIp = '169.254.20.10'

/** Prints why and gives true where these tests cannot run; on CI they must. */
export function cannotRun(): boolean {
  const why = (() => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'they need root on Linux'
    try {
      execFileSync('ip', ['-V'])
      execFileSync('nft', ['-v'])
      execFileSync('nsenter', ['-V'])
      execFileSync('nft', ['-c', '-f', '-'], { input: 'table ip flotilla_probe { }\n', stdio: 'pipe' })
      return undefined
    } catch (error) {
      return String(error)
    }
  })()
  if (why === undefined) return false
  if (process.env['CI'] === 'true') throw new Error(`the dataplane tests cannot run on CI: ${why}`)
  console.warn(`the dataplane tests are left out: ${why}`)
  return true
}

export type Actor = { ask(ask: Ask): Promise<string>; readonly logged: () => string }
export type Host = Actor & {
  readonly netns: string
  readonly index: number
  readonly ip: string
  readonly podCidr: string
  readonly podIp: string
  readonly mac: string
  /** The host's overlay with `routes` to the others. */
  plan(routes: readonly OverlayRoute[]): OverlayPlan
  sh(...command: readonly string[]): string
  /** A pod with a server on TCP and UDP 8080 that answers with its name and whom it sees. */
  pod(name: string, ip: string, mtu?: number): Promise<Actor & { readonly ip: string; readonly netns: string }>
}

const macOf = (index: number) => `0a:58:0a:2a:0${index}:00`

export async function openHosts(
  count: number,
): Promise<{ readonly hosts: readonly Host[]; readonly underlay: string; close(): Promise<void> }> {
  const prefix = `fpx${process.pid}`
  const namespaces: string[] = []
  const children: ChildProcess[] = []
  const run = (...command: readonly string[]) => execFileSync(command[0] ?? '', command.slice(1), { encoding: 'utf8' })

  function namespace(name: string): string {
    const full = `${prefix}${name}`
    run('ip', 'netns', 'add', full)
    namespaces.push(full)
    run('ip', '-n', full, 'link', 'set', 'lo', 'up')
    return full
  }

  function actor(netns: string): Actor {
    const script = new URL('netns-actor.ts', import.meta.url).pathname
    const child = spawn('nsenter', [`--net=/run/netns/${netns}`, process.execPath, script], { stdio: 'pipe' })
    children.push(child)
    const waiting = new Map<number, { resolve(value: string): void; reject(error: Error): void }>()
    let logged = ''
    let next = 0
    child.stderr.on('data', chunk => {
      logged += String(chunk)
    })
    child.on('exit', () => {
      for (const { reject } of waiting.values()) reject(new Error(`the actor in ${netns} ended: ${logged}`))
    })
    createInterface({ input: child.stdout }).on('line', line => {
      const answer = JSON.parse(line) as { readonly id: number; readonly value?: string; readonly error?: string }
      const asked = waiting.get(answer.id)
      waiting.delete(answer.id)
      if (answer.error !== undefined) asked?.reject(new Error(answer.error))
      else asked?.resolve(answer.value ?? '')
    })
    return {
      logged: () => logged,
      ask: ask =>
        new Promise((resolve, reject) => {
          const id = next++
          waiting.set(id, { resolve, reject })
          child.stdin.write(`${JSON.stringify({ id, ask })}\n`)
        }),
    }
  }

  const underlay = namespace('ul')
  run('ip', '-n', underlay, 'link', 'add', 'ul0', 'type', 'bridge')
  run('ip', '-n', underlay, 'link', 'set', 'ul0', 'up')
  const hosts = Array.from({ length: count }, (_, i): Host => {
    const index = i + 1
    const netns = namespace(`h${index}`)
    run('ip', '-n', netns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `h${index}`, 'netns', underlay)
    run('ip', '-n', netns, 'addr', 'add', `10.99.0.${index}/24`, 'dev', 'eth0')
    run('ip', '-n', netns, 'link', 'set', 'eth0', 'up')
    run('ip', '-n', underlay, 'link', 'set', `h${index}`, 'master', 'ul0', 'up')
    const podCidr = `10.42.${index}.0/24`
    const podIp = nodePodIpOf(podCidr) ?? ''
    const agent = actor(netns)
    return {
      ...agent,
      netns,
      index,
      ip: `10.99.0.${index}`,
      podCidr,
      podIp,
      mac: macOf(index),
      plan: routes => ({
        podCidr,
        nodePodIp: podIp,
        nodeIp: `10.99.0.${index}`,
        mac: macOf(index),
        serviceCidr,
        clusterCidr,
        dnsIp,
        routes,
      }),
      sh: (...command) => run('nsenter', `--net=/run/netns/${netns}`, ...command),
      pod: async (name, ip, mtu = 1450) => {
        const podNetns = namespace(name)
        const pod = { netnsPath: `/run/netns/${podNetns}`, ip, nodePodIp: podIp, mtu, name: `fl${name}` }
        await agent.ask({ kind: 'attach', pod })
        const inside = actor(podNetns)
        await inside.ask({ kind: 'serve', name, port: 8080 })
        return { ...inside, ip, netns: podNetns }
      },
    }
  })
  return {
    hosts,
    underlay,
    close: async () => {
      for (const child of children) {
        const ended = new Promise(resolve => child.once('exit', resolve))
        child.stdin?.end()
        if (child.exitCode === null && child.signalCode === null) await ended
      }
      for (const name of namespaces) run('ip', 'netns', 'del', name)
    },
  }
}

/** Routes of `from` to the pods of the other hosts. */
export function routesBetween(from: Host, hosts: readonly Host[], kind: OverlayRoute['kind']): readonly OverlayRoute[] {
  return hosts
    .filter(host => host !== from)
    .map(host =>
      kind === 'direct'
        ? { kind, podCidr: host.podCidr, via: host.ip }
        : { kind, podCidr: host.podCidr, via: host.podIp, mac: host.mac, vtep: host.ip },
    )
}
