import { expect, test } from 'vitest'
import { parseFlows, staleFlows, udpFronts } from '../../../src/drivers/dataplane/conntrack.ts'
import type { RouteTable, ServiceRoute } from '../../../src/world/dataplane.ts'

const listed = `udp      17 29 src=10.42.1.9 dst=10.96.0.10 sport=40001 dport=53 src=10.42.1.5 dst=10.42.1.9 sport=5353 dport=40001 [ASSURED] mark=4096 use=1
udp      17 12 src=10.99.0.2 dst=10.99.0.1 sport=40002 dport=30053 [UNREPLIED] src=10.42.1.6 dst=10.99.0.1 sport=5353 dport=40002 mark=8192 use=1
udp      17 5 src=10.42.1.9 dst=8.8.8.8 sport=1 dport=53 src=8.8.8.8 dst=10.99.0.1 sport=53 dport=1 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.`
const table = (backends: readonly string[], more: Partial<ServiceRoute> = {}): RouteTable => ({
  services: [
    {
      id: 'kube-system/dns:dns',
      protocol: 'udp',
      vips: ['10.96.0.10'],
      port: 53,
      nodePort: 30_053,
      backends: backends.map(ip => ({ ip, port: 5353, local: true })),
      ...more,
    },
  ],
  hostPorts: [],
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.96.0.0/16',
})
const stale = (before: RouteTable | undefined, after: RouteTable) =>
  staleFlows(parseFlows(listed), udpFronts(before), udpFronts(after)).map(flow => flow.sourcePort)

test('flows to endpoints that are gone are stale, others and those of strangers are not', () => {
  expect(stale(undefined, table(['10.42.1.5', '10.42.1.6']))).toEqual([])
  expect(stale(undefined, table(['10.42.1.5']))).toEqual([40_002])
  expect(stale(undefined, table([]))).toEqual([40_001, 40_002])
})

test('flows of a service that is gone are stale too', () => {
  expect(stale(table(['10.42.1.5', '10.42.1.6']), { ...table([]), services: [] })).toEqual([40_001, 40_002])
  expect(stale(undefined, { ...table([]), services: [] })).toEqual([])
})

test('a UDP host port is a front like any other', () => {
  const hostPort = { protocol: 'udp', hostIp: '', hostPort: 30_053, podIp: '10.42.1.6', podPort: 5353 } as const
  expect(stale(undefined, { ...table([]), services: [], hostPorts: [hostPort] })).toEqual([])
  expect(stale(undefined, { ...table([]), services: [], hostPorts: [{ ...hostPort, podIp: '10.42.1.7' }] })).toEqual([
    40_002,
  ])
})

test('lines of another form are left out', () => {
  expect(parseFlows('')).toEqual([])
  expect(parseFlows('icmp 1 29 src=1.1.1.1 dst=2.2.2.2 type=8')).toEqual([])
})
