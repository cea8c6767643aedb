// The nftables dataplane with real packets: two hosts and their pods as network namespaces, the real nft and ip.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend, RouteTable, ServiceRoute } from '../../src/world/dataplane.ts'
import {
  type Actor,
  cannotRun,
  clusterCidr,
  dnsIp,
  type Host,
  openHosts,
  routesBetween,
  serviceCidr,
} from './netns-hosts.ts'

type Pod = Actor & { readonly ip: string; readonly netns: string }

describe.skipIf(cannotRun())('nftables', { timeout: 120_000 }, () => {
  let close: () => Promise<void> = async () => {}
  let hosts: readonly Host[] = []
  let h1: Host
  let h2: Host
  let p1: Pod
  let p2: Pod
  let p3: Pod

  const backend = (pod: Pod, host: Host): Backend => ({
    ip: pod.ip,
    port: 8080,
    local: pod.ip.startsWith(host.podCidr.slice(0, 8)),
  })
  const route = (host: Host, pods: readonly Pod[], more: Partial<ServiceRoute> = {}): ServiceRoute => ({
    id: 'default/web:http',
    protocol: 'tcp',
    vips: ['10.96.0.50'],
    port: 80,
    backends: pods.map(pod => backend(pod, host)),
    ...more,
  })
  const table = (services: readonly ServiceRoute[], hostPorts: RouteTable['hostPorts'] = []): RouteTable => ({
    services,
    hostPorts,
    clusterCidr,
    serviceCidr,
  })
  const apply = (host: Host, ...services: readonly ServiceRoute[]) =>
    host.ask({ kind: 'apply', table: table(services) })
  /** The names that answer, in order, over `times` connections. */
  async function answers(client: Actor, ip: string, port: number, times = 40): Promise<readonly string[]> {
    const names = new Set<string>()
    for (let i = 0; i < times; i++) names.add((await client.ask({ kind: 'tcp', ip, port })).split(' ')[0] ?? '')
    return [...names].sort()
  }

  beforeAll(async () => {
    const opened = await openHosts(2)
    close = opened.close
    hosts = opened.hosts
    ;[h1, h2] = hosts as [Host, Host]
    for (const host of hosts) await host.ask({ kind: 'connect', plan: host.plan(routesBetween(host, hosts, 'direct')) })
    p1 = await h1.pod('p1', '10.42.1.10')
    p2 = await h1.pod('p2', '10.42.1.11')
    p3 = await h2.pod('p3', '10.42.2.10')
  }, 120_000)
  afterAll(async () => await close())

  test('pods reach pods on their node and on others, and are seen with their own address', async () => {
    expect(await p1.ask({ kind: 'tcp', ip: p2.ip, port: 8080 })).toBe(`p2 ${p1.ip}`)
    expect(await p1.ask({ kind: 'tcp', ip: p3.ip, port: 8080 })).toBe(`p3 ${p1.ip}`)
    expect(await h1.ask({ kind: 'tcp', ip: p3.ip, port: 8080 })).toBe(`p3 ${h1.podIp}`)
    expect(await h1.ask({ kind: 'tcp', ip: p1.ip, port: 8080 })).toBe(`p1 ${h1.podIp}`)
  })

  test('a cluster IP leads from pods and from the host to each endpoint', async () => {
    await apply(h1, route(h1, [p1, p2, p3]))
    expect(await answers(p1, '10.96.0.50', 80)).toEqual(['p1', 'p2', 'p3'])
    expect(await answers(h1, '10.96.0.50', 80)).toEqual(['p1', 'p2', 'p3'])
  })

  test('a pod reaches itself through its own service', async () => {
    await apply(h1, route(h1, [p1]))
    expect(await p1.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe(`p1 ${h1.podIp}`)
    expect(await p2.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe(`p1 ${p2.ip}`)
  })

  test('a service without endpoints, and an address of the service range without a service, refuse at once', async () => {
    await apply(h1, route(h1, [], { nodePort: 30_080 }))
    for (const client of [p1, h1]) {
      expect(await client.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe('refused')
      expect(await client.ask({ kind: 'tcp', ip: '10.96.7.7', port: 80 })).toBe('refused')
      expect(await client.ask({ kind: 'tcp', ip: h1.ip, port: 30_080 })).toBe('refused')
    }
  })

  test('a node port answers on the node from everywhere, also when the endpoint is on another node', async () => {
    await apply(h1, route(h1, [p3], { nodePort: 30_080 }))
    await apply(h2, route(h2, [p3], { nodePort: 30_080 }))
    expect(await h2.ask({ kind: 'tcp', ip: h1.ip, port: 30_080 })).toMatch(/^p3 /)
    expect(await p3.ask({ kind: 'tcp', ip: h1.ip, port: 30_080 })).toMatch(/^p3 /)
    expect(await p1.ask({ kind: 'tcp', ip: h1.ip, port: 30_080 })).toMatch(/^p3 /)
    expect(await p1.ask({ kind: 'tcp', ip: h2.ip, port: 30_080 })).toMatch(/^p3 /)
    expect(await h1.ask({ kind: 'tcp', ip: h1.ip, port: 30_080 })).toMatch(/^p3 /)
    expect(await h1.ask({ kind: 'tcp', ip: '127.0.0.1', port: 30_080 })).toBe('refused')
  })

  test('external policy Local keeps the address of the client, and drops where no endpoint is', async () => {
    const local = (host: Host, external: readonly Pod[]) =>
      route(host, [p1, p3], {
        nodePort: 30_081,
        externalVips: ['10.99.0.200'],
        externalPolicy: 'Local',
        externalBackends: external.map(pod => backend(pod, host)),
      })
    await apply(h1, local(h1, [p1]))
    expect(await h2.ask({ kind: 'tcp', ip: h1.ip, port: 30_081 })).toBe(`p1 ${h2.ip}`)
    // From inside, the address stands for the service: any endpoint will do.
    expect(await answers(p2, '10.99.0.200', 80)).toEqual(['p1', 'p3'])
    expect(await answers(h1, h1.ip, 30_081)).toEqual(['p1', 'p3'])
    await apply(h1, local(h1, []))
    expect(await h2.ask({ kind: 'tcp', ip: h1.ip, port: 30_081 })).toBe('timeout')
    expect(await answers(p2, '10.99.0.200', 80)).toEqual(['p1', 'p3'])
  })

  test('ClientIP affinity keeps a client with its endpoint, through changes and replacements of the table, while the endpoint lives', async () => {
    const sticky = (pods: readonly Pod[]) => route(h1, pods, { affinitySeconds: 600, nodePort: 30_082 })
    await apply(h1, sticky([p1, p2, p3]))
    const [first] = await answers(p1, '10.96.0.50', 80, 1)
    expect(await answers(p1, '10.96.0.50', 80)).toEqual([first])
    const pods = [p1, p2, p3]
    const chosen = pods.filter((_, i) => `p${i + 1}` === first)
    const others = pods.filter(pod => !chosen.includes(pod))
    await apply(h1, sticky([...chosen, ...others.slice(0, 1)]))
    expect(await answers(p1, '10.96.0.50', 80)).toEqual([first])
    // Another frame (a host port adds the guard) makes the driver replace the whole table.
    const hostPort = { protocol: 'tcp', hostIp: '', hostPort: 9_999, podIp: p1.ip, podPort: 8080 } as const
    await h1.ask({ kind: 'apply', table: table([sticky(pods)], [hostPort]) })
    expect(await answers(p1, '10.96.0.50', 80)).toEqual([first])
    await apply(h1, sticky(others))
    const [second] = await answers(p1, '10.96.0.50', 80)
    expect(second).not.toBe(first)
    expect(await answers(h2, h1.ip, 30_082)).toHaveLength(1)
  })

  test('affinity ends with its time', async () => {
    await apply(h1, route(h1, [p1, p2, p3], { affinitySeconds: 1 }))
    const seen = new Set<string>()
    for (let i = 0; i < 30 && seen.size < 2; i++) {
      for (const name of await answers(p1, '10.96.0.50', 80, 1)) seen.add(name)
      await new Promise(resolve => setTimeout(resolve, 1_300))
    }
    expect(seen.size).toBeGreaterThan(1)
  })

  test('a UDP client with a fixed port follows when the endpoint changes', async () => {
    const udp = (pods: readonly Pod[]) => route(h1, pods, { protocol: 'udp', port: 53, nodePort: 30_053 })
    await apply(h1, udp([p1]))
    const cluster = { kind: 'udp', ip: '10.96.0.50', port: 53, fromPort: 40_001 } as const
    const node = { kind: 'udp', ip: h1.ip, port: 30_053, fromPort: 40_002 } as const
    expect(await p2.ask(cluster)).toMatch(/^p1 /)
    expect(await h2.ask(node)).toMatch(/^p1 /)
    await apply(h1, udp([p3]))
    expect(await p2.ask(cluster)).toMatch(/^p3 /)
    expect(await h2.ask(node)).toMatch(/^p3 /)
    await apply(h1, udp([]))
    expect(await p2.ask(cluster)).toBe('timeout')
    await apply(h1, udp([p1]))
    expect(await p2.ask(cluster)).toMatch(/^p1 /)
  })

  test('a host port leads to its pod from outside, from the host and from 127.0.0.1, TCP and UDP apart', async () => {
    const port = (protocol: 'tcp' | 'udp', hostIp: string, pod: Pod) =>
      ({ protocol, hostIp, hostPort: 54_323, podIp: pod.ip, podPort: 8080 }) as const
    await h1.ask({
      kind: 'apply',
      table: table([], [port('tcp', '127.0.0.1', p1), port('tcp', h1.ip, p2), port('udp', h1.ip, p1)]),
    })
    expect(await h2.ask({ kind: 'tcp', ip: h1.ip, port: 54_323 })).toBe(`p2 ${h2.ip}`)
    expect(await h2.ask({ kind: 'udp', ip: h1.ip, port: 54_323 })).toBe(`p1 ${h2.ip}`)
    expect(await h1.ask({ kind: 'tcp', ip: h1.ip, port: 54_323 })).toMatch(/^p2 /)
    expect(await h1.ask({ kind: 'tcp', ip: '127.0.0.1', port: 54_323 })).toMatch(/^p1 /)
    expect(await h1.ask({ kind: 'tcp', ip: '127.0.0.1', port: 54_323, from: h1.ip })).toMatch(/^p1 /)
    expect(await p2.ask({ kind: 'tcp', ip: h1.ip, port: 54_323 })).toMatch(/^p2 /)
    await h1.ask({ kind: 'apply', table: table([], [port('tcp', '', p1)]) })
    expect(await h2.ask({ kind: 'tcp', ip: h1.ip, port: 54_323 })).toBe(`p1 ${h2.ip}`)
    await h1.ask({ kind: 'apply', table: table([]) })
    expect(await h2.ask({ kind: 'tcp', ip: h1.ip, port: 54_323 })).toBe('refused')
  })

  test('a service can lead to a node itself, but never a pod to the loopback of its node', async () => {
    await h1.ask({ kind: 'serve', name: 'host', port: 9_090 })
    const node = { ip: h1.ip, port: 9_090 }
    await apply(h1, route(h1, [], { backends: [{ ...node, local: true }] }))
    await apply(h2, route(h2, [], { backends: [{ ...node, local: false }] }))
    expect(await p1.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe(`host ${p1.ip}`)
    expect(await h1.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe(`host ${h1.podIp}`)
    expect(await p3.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe(`host ${h2.ip}`)
    const loopback = route(h1, [], { backends: [{ ip: '127.0.0.1', port: 9_090, local: true }] })
    const hostPort = { protocol: 'tcp', hostIp: '', hostPort: 9_999, podIp: p1.ip, podPort: 8080 } as const
    await h1.ask({ kind: 'apply', table: table([loopback], [hostPort]) })
    expect(await h1.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toMatch(/^host /)
    // With a host port the pod's veth has route_localnet: only our own rule stands between it and the node.
    expect(await p1.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe('timeout')
  })

  test('a flushed ruleset is made anew by the next apply of the same table', async () => {
    await apply(h1, route(h1, [p1]))
    h1.sh('nft', 'flush', 'ruleset')
    expect(await p2.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).not.toMatch(/^p1 /)
    await apply(h1, route(h1, [p1]))
    expect(await p2.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toMatch(/^p1 /)
    // A change to a table that is not what the driver remembers falls back to a replacement.
    h1.sh('nft', 'flush', 'ruleset')
    await apply(h1, route(h1, [p2]))
    expect(await p1.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toMatch(/^p2 /)
  })

  test('VXLAN and direct routes take each other’s place, and pods do not notice', async () => {
    for (const kind of ['vxlan', 'direct', 'vxlan'] as const) {
      for (const host of hosts) await host.ask({ kind: 'connect', plan: host.plan(routesBetween(host, hosts, kind)) })
      await apply(h1, route(h1, [p3]))
      expect(h1.sh('ip', 'route', 'get', p3.ip)).toContain(kind === 'vxlan' ? 'flotilla.1' : 'eth0')
      expect(await p1.ask({ kind: 'tcp', ip: p3.ip, port: 8080 })).toBe(`p3 ${p1.ip}`)
      expect(await h1.ask({ kind: 'tcp', ip: p3.ip, port: 8080 })).toBe(`p3 ${h1.podIp}`)
      expect(await h1.ask({ kind: 'tcp', ip: '10.96.0.50', port: 80 })).toBe(`p3 ${h1.podIp}`)
    }
  })

  test('large transfers pass the tunnel whole, from pods and from the host, to pods and through services', async () => {
    const echo = route(h1, [p3], { backends: [{ ip: p3.ip, port: 8081, local: false }] })
    await apply(h1, echo)
    for (const client of [p1, h1])
      for (const [ip, port] of [
        [p3.ip, 8081],
        ['10.96.0.50', 80],
      ] as const)
        expect(await client.ask({ kind: 'bulk', ip, port, bytes: 5_000_000 })).toBe('5000000')
  })

  test('connect is idempotent, and forgets what the plan does not name any more', async () => {
    const plan = h1.plan(routesBetween(h1, hosts, 'vxlan'))
    await h1.ask({ kind: 'connect', plan })
    const state = () =>
      ['route', 'neigh show nud permanent', 'addr'].map(what => h1.sh('ip', ...what.split(' '))).join('\n')
    const before = state()
    await h1.ask({ kind: 'connect', plan })
    expect(state()).toBe(before)
    await h1.ask({ kind: 'connect', plan: h1.plan([]) })
    expect(state()).not.toContain(h2.podCidr)
    expect(h1.sh('bridge', 'fdb', 'show', 'dev', 'flotilla.1')).not.toContain(h2.mac)
    await h1.ask({ kind: 'connect', plan })
    expect(state()).toBe(before)
  })

  test('a route to a peer that cannot be reached does not keep the others from being made', async () => {
    const bad = { kind: 'direct', podCidr: '10.42.77.0/24', via: '203.0.113.1' } as const
    const plan = h1.plan([bad, ...routesBetween(h1, hosts, 'vxlan')])
    await expect(h1.ask({ kind: 'connect', plan })).rejects.toThrow(/Network is unreachable|invalid gateway/)
    expect(await p1.ask({ kind: 'tcp', ip: p3.ip, port: 8080 })).toBe(`p3 ${p1.ip}`)
  })

  test('the tunnel is as wide as the interface below it allows', async () => {
    h1.sh('ip', 'link', 'set', 'eth0', 'mtu', '1400')
    await h1.ask({ kind: 'connect', plan: h1.plan(routesBetween(h1, hosts, 'vxlan')) })
    expect(h1.sh('ip', 'link', 'show', 'flotilla.1')).toContain('mtu 1350')
    expect(h1.sh('ip', 'route', 'show', serviceCidr)).toContain('mtu 1350')
    h1.sh('ip', 'link', 'set', 'eth0', 'mtu', '1500')
    await h1.ask({ kind: 'connect', plan: h1.plan(routesBetween(h1, hosts, 'vxlan')) })
    expect(h1.sh('ip', 'link', 'show', 'flotilla.1')).toContain('mtu 1450')
  })

  test('the policy DROP that Docker sets on FORWARD does not hold up pods', async () => {
    h1.sh('iptables', '-P', 'FORWARD', 'DROP')
    const plan = h1.plan(routesBetween(h1, hosts, 'vxlan'))
    await h1.ask({ kind: 'connect', plan })
    await h1.ask({ kind: 'connect', plan })
    expect(await p1.ask({ kind: 'tcp', ip: p2.ip, port: 8080 })).toBe(`p2 ${p1.ip}`)
    expect(h1.sh('iptables', '-S', 'FORWARD').match(/flotilla:pods/g)).toHaveLength(2)
  })

  test('the DNS address is there for pods and for the host', async () => {
    await h1.ask({ kind: 'serve', name: 'dns', port: 53, host: dnsIp })
    expect(await p1.ask({ kind: 'udp', ip: dnsIp, port: 53 })).toBe(`dns ${p1.ip}`)
    expect(await h1.ask({ kind: 'tcp', ip: dnsIp, port: 53 })).toMatch(/^dns /)
  })

  test('clear takes away all that was made, and nothing else', async () => {
    await apply(h2, route(h2, [p3]))
    h2.sh('nft', 'add', 'table', 'ip', 'somebody')
    h2.sh('ip', 'route', 'add', '10.77.0.0/24', 'via', h1.ip)
    await h2.ask({ kind: 'clear' })
    expect(h2.sh('nft', 'list', 'tables').trim()).toBe('table ip somebody')
    expect(h2.sh('ip', 'addr', 'show', 'lo')).not.toMatch(/10\.42|169\.254/)
    expect(h2.sh('ip', 'route')).toContain('10.77.0.0/24')
    expect(h2.sh('ip', 'route')).not.toMatch(/10\.96|proto 157/)
    expect(h2.sh('ip', 'link')).not.toContain('flotilla.1')
    await h1.ask({ kind: 'clear' })
    expect(h1.sh('iptables', '-S', 'FORWARD')).not.toContain('flotilla')
  })
})
