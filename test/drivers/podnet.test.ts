// The pod's veth on real network namespaces. Traffic over it is tested with the dataplane (test/conformance).
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, type Host, openHosts } from '../conformance/netns-hosts.ts'

describe.skipIf(cannotRun())('podnet', { timeout: 120_000 }, () => {
  let close: () => Promise<void> = async () => {}
  let host: Host
  let pod: Awaited<ReturnType<Host['pod']>>
  let wanted: { netnsPath: string; ip: string; nodePodIp: string; mtu: number; name: string }
  const attach = (more: Partial<typeof wanted> = {}) => host.ask({ kind: 'attach', pod: { ...wanted, ...more } })
  const inPod = (...words: readonly string[]) => host.sh('ip', '-n', pod.netns, ...words)
  const linkIndex = () =>
    (JSON.parse(host.sh('ip', '-j', 'link', 'show', 'flpod')) as { ifindex: number }[])[0]?.ifindex

  beforeAll(async () => {
    const opened = await openHosts(1)
    close = opened.close
    const [first] = opened.hosts
    if (first === undefined) throw new Error('no host')
    host = first
    pod = await host.pod('pod', '10.42.1.20', 1400)
    wanted = { netnsPath: `/run/netns/${pod.netns}`, ip: '10.42.1.20', nodePodIp: host.podIp, mtu: 1400, name: 'flpod' }
  }, 120_000)
  afterAll(async () => await close())

  test('a pod has its address, the gateway and the MTU, and the node reaches it under its own pod address', async () => {
    expect(inPod('addr', 'show', 'eth0')).toMatch(/mtu 1400[\s\S]*10\.42\.1\.20\/32/)
    expect(inPod('route')).toContain('default via 169.254.1.1 dev eth0')
    expect(host.sh('ip', 'route')).toContain('10.42.1.20 dev flpod scope link src 10.42.1.1')
    expect(await host.ask({ kind: 'tcp', ip: pod.ip, port: 8080 })).toBe('pod 10.42.1.1')
  })

  test('attaching again leaves all as it is', async () => {
    const before = linkIndex()
    await attach()
    expect(linkIndex()).toBe(before)
  })

  test('what is half made is made anew', async () => {
    inPod('route', 'del', 'default')
    await attach()
    expect(inPod('route')).toContain('default via 169.254.1.1')
    host.sh('ip', 'route', 'del', '10.42.1.20')
    await attach()
    expect(await host.ask({ kind: 'tcp', ip: pod.ip, port: 8080 })).toBe('pod 10.42.1.1')
  })

  test('an interface or an address that belongs to another is left alone', async () => {
    await expect(attach({ name: 'eth0' })).rejects.toThrow(/10\.42\.1\.20 is already routed to flpod \(another pod\)/)
    await expect(attach({ name: 'eth0', ip: '10.42.1.99' })).rejects.toThrow(/eth0 exists and is not ours/)
    await expect(host.ask({ kind: 'detach', name: 'eth0' })).rejects.toThrow(/not ours/)
    host.sh('ip', 'route', 'add', '10.42.1.77', 'dev', 'eth0')
    await expect(attach({ name: 'flother', ip: '10.42.1.77' })).rejects.toThrow(/already routed to eth0 \(not ours\)/)
  })

  test("the host's own namespace and words that are no addresses are refused", async () => {
    await expect(attach({ netnsPath: '/proc/self/ns/net' })).rejects.toThrow(/of this agent itself/)
    await expect(attach({ netnsPath: `/run/netns/${host.netns}` })).rejects.toThrow(/of this agent itself/)
    await expect(attach({ ip: '10.42.1.20/24' })).rejects.toThrow(/not an IPv4 address/)
    await expect(attach({ name: 'a name' })).rejects.toThrow(/not an interface name/)
    await expect(attach({ netnsPath: '/run/netns/nobody' })).rejects.toThrow(/nobody/)
  })

  test('detaching takes interface and route away, twice too', async () => {
    await host.ask({ kind: 'detach', name: 'flpod' })
    await host.ask({ kind: 'detach', name: 'flpod' })
    expect(host.sh('ip', 'link')).not.toContain('flpod')
    expect(host.sh('ip', 'route')).not.toContain('10.42.1.20')
  })
})
