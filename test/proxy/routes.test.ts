import { expect, test } from 'vitest'
import { peerAnnotation } from '../../src/api/annotations.ts'
import type { Endpoint, EndpointSlice } from '../../src/api/kinds/endpointslice.ts'
import type { Pod } from '../../src/api/kinds/pod.ts'
import type { Service } from '../../src/api/kinds/service.ts'
import type { GossipView, MemberState } from '../../src/gossip/gossip.ts'
import { hostPorts, type ProxyInput, routes } from '../../src/proxy/routes.ts'
import { peerId } from '../../src/world/network.ts'

const metadata = (name: string, more: object = {}) => ({
  name,
  namespace: 'default',
  uid: `uid-${name}`,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
  ...more,
})

function service(spec: Partial<Service['spec']> = {}, more: Partial<Service> = {}): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata('web'),
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.50',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 'web' }],
      ...spec,
    },
    status: {},
    ...more,
  }
}

/** `a1`: the pod a on node 1, with the address 10.42.1.<code of a>. */
function endpoint(name: string, conditions: Endpoint['conditions'] = { ready: true }): Endpoint {
  const node = name.slice(1)
  return {
    addresses: [`10.42.${node}.${name.charCodeAt(0) - 87}`],
    nodeName: `node${node}`,
    targetRef: { kind: 'Pod', name, namespace: 'default', uid: name },
    ...(conditions === undefined ? {} : { conditions }),
  }
}

function slice(endpoints: readonly Endpoint[], more: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: metadata('web-1', { labels: { 'kubernetes.io/service-name': 'web' } }),
    addressType: 'IPv4',
    endpoints,
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    ...more,
  }
}

type Word = Readonly<
  Record<
    string,
    { readonly state: MemberState; readonly ready?: readonly string[]; readonly unready?: readonly string[] }
  >
>

/** What gossip says by node: its state, the pods it calls ready, those it calls not ready. */
function gossip(words: Word): GossipView {
  const live = (name: string, ready: boolean) => ({ uid: name, namespace: 'default', name, ip: '', ready })
  return {
    members: new Map(
      Object.entries(words).map(([node, { state }]) => [
        peerId(`peer-${node}`),
        { peer: peerId(`peer-${node}`), state, sinceMs: 0, heardAtMs: 0 },
      ]),
    ),
    endpoints: new Map(
      Object.entries(words)
        .filter(([, { state }]) => state === 'alive' || state === 'suspect')
        .map(([node, { ready = [], unready = [] }]) => [
          peerId(`peer-${node}`),
          [...ready.map(name => live(name, true)), ...unready.map(name => live(name, false))],
        ]),
    ),
  }
}

const input = (more: Partial<ProxyInput>): ProxyInput => ({
  services: [service()],
  slices: [],
  nodes: ['1', '2', '3'].map(n => ({
    metadata: metadata(`node${n}`, { annotations: { [peerAnnotation]: `peer-${n}` } }),
  })),
  pods: [],
  gossip: gossip({}),
  node: 'node1',
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.96.0.0/16',
  ...more,
})

const one = (more: Partial<ProxyInput>) => {
  const { services } = routes(input(more))
  expect(services).toHaveLength(1)
  const [only] = services
  if (only === undefined) throw new Error('no route')
  return only
}
const ips = (backends: readonly { readonly ip: string }[] | undefined) => backends?.map(backend => backend.ip)

test('a cluster IP leads to the ready endpoints at the port that the slice carries', () => {
  const route = one({ slices: [slice([endpoint('a1'), endpoint('b2'), endpoint('c3', { ready: false })])] })
  expect(route).toEqual({
    id: 'default/web:http',
    protocol: 'tcp',
    vips: ['10.96.0.50'],
    port: 80,
    backends: [
      { ip: '10.42.1.10', port: 8080, local: true },
      { ip: '10.42.2.11', port: 8080, local: false },
    ],
  })
})

test('headless and ExternalName services, other protocols and slices of other services have no routes', () => {
  const services = [
    service({ clusterIP: 'None' }),
    service({ type: 'ExternalName', externalName: 'example.org', clusterIP: '' }),
    service({ ports: [{ protocol: 'SCTP', port: 80 }] }),
  ]
  expect(routes(input({ services, slices: [slice([endpoint('a1')])] })).services).toEqual([])
  const foreign = slice([endpoint('a1')], {
    metadata: metadata('x', { labels: { 'kubernetes.io/service-name': 'other' } }),
  })
  expect(one({ slices: [foreign, slice([endpoint('b1')], { addressType: 'IPv6' })] }).backends).toEqual([])
})

test('ports are matched by name and protocol, and a pod in two slices counts once', () => {
  const ports = [
    { name: 'dns', protocol: 'UDP' as const, port: 53 },
    { name: 'dns-tcp', protocol: 'TCP' as const, port: 53 },
  ]
  const carried = [
    { name: 'dns', protocol: 'UDP', port: 5353 },
    { name: 'dns-tcp', protocol: 'TCP', port: 5354 },
  ]
  const { services } = routes(
    input({
      services: [service({ ports })],
      slices: [
        slice([endpoint('a1', { ready: false })], { ports: carried }),
        slice([endpoint('a1')], { ports: carried }),
      ],
    }),
  )
  expect(services.map(s => [s.id, s.protocol, s.backends])).toEqual([
    ['default/web:dns', 'udp', [{ ip: '10.42.1.10', port: 5353, local: true }]],
    ['default/web:dns-tcp', 'tcp', [{ ip: '10.42.1.10', port: 5354, local: true }]],
  ])
})

test('an unknown condition counts as ready', () => {
  expect(ips(one({ slices: [slice([endpoint('a1', undefined), endpoint('b1', {})])] }).backends)).toHaveLength(2)
})

test('without a ready endpoint those that end but still serve are used', () => {
  const ending = endpoint('a1', { ready: false, serving: true, terminating: true })
  const ended = endpoint('b1', { ready: false, serving: false, terminating: true })
  expect(ips(one({ slices: [slice([ending, ended])] }).backends)).toEqual(['10.42.1.10'])
  expect(ips(one({ slices: [slice([ending, ended, endpoint('c2')])] }).backends)).toEqual(['10.42.2.12'])
})

test('gossip withdraws a pod that is not ready, and all pods of a dead node, before the slice does', () => {
  const slices = [slice([endpoint('a1'), endpoint('b2'), endpoint('c3')])]
  expect(ips(one({ slices, gossip: gossip({ 2: { state: 'alive', unready: ['b2'] } }) }).backends)).toEqual([
    '10.42.1.10',
    '10.42.3.12',
  ])
  expect(ips(one({ slices, gossip: gossip({ 2: { state: 'dead' }, 3: { state: 'left' } }) }).backends)).toEqual([
    '10.42.1.10',
  ])
  expect(ips(one({ slices, gossip: gossip({ 2: { state: 'suspect', ready: ['b2'] } }) }).backends)).toHaveLength(3)
})

test('gossip hurries a pod that the slice knows but does not yet call ready, and invents none', () => {
  const slices = [slice([endpoint('b2', { ready: false })])]
  expect(ips(one({ slices, gossip: gossip({ 2: { state: 'alive', ready: ['b2', 'z2'] } }) }).backends)).toEqual([
    '10.42.2.11',
  ])
  const ending = [slice([endpoint('a1'), endpoint('b2', { ready: false, serving: true, terminating: true })])]
  expect(ips(one({ slices: ending, gossip: gossip({ 2: { state: 'alive', ready: ['b2'] } }) }).backends)).toEqual([
    '10.42.1.10',
  ])
})

test('a peer is believed about pods of its own node only', () => {
  const slices = [slice([endpoint('a1'), endpoint('b2')])]
  expect(ips(one({ slices, gossip: gossip({ 3: { state: 'alive', unready: ['b2', 'a1'] } }) }).backends)).toHaveLength(
    2,
  )
})

test('endpoints on nodes that gossip knows nothing of stay, whatever happens to the others', () => {
  const slices = [slice([endpoint('a2'), endpoint('b3')])]
  expect(ips(one({ slices, gossip: gossip({ 2: { state: 'dead' } }) }).backends)).toEqual(['10.42.3.11'])
  const outside: Endpoint = { addresses: ['192.0.2.9'], conditions: { ready: true } }
  expect(ips(one({ slices: [slice([outside])], gossip: gossip({ 1: { state: 'alive' } }) }).backends)).toEqual([
    '192.0.2.9',
  ])
})

test('this node is alive to itself, whatever it hears', () => {
  expect(
    ips(one({ slices: [slice([endpoint('a1')])], gossip: gossip({ 1: { state: 'dead' } }) }).backends),
  ).toHaveLength(1)
})

test('with publishNotReadyAddresses the word of gossip about readiness does not count, death does', () => {
  const services = [service({ publishNotReadyAddresses: true })]
  const slices = [slice([endpoint('b2'), endpoint('c3')])]
  const words = gossip({ 2: { state: 'alive', unready: ['b2'] }, 3: { state: 'dead' } })
  expect(ips(one({ services, slices, gossip: words }).backends)).toEqual(['10.42.2.11'])
})

test('addresses and ports that no endpoint can have are left out, and do not spoil the rest', () => {
  const at = (ip: string): Endpoint => ({ addresses: [ip], conditions: { ready: true } })
  const odd = ['0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', 'fd00::1', '10.42.1.9; flush ruleset'].map(
    at,
  )
  expect(ips(one({ slices: [slice([...odd, endpoint('a1')])] }).backends)).toEqual(['10.42.1.10'])
  const ports = [{ name: 'http', protocol: 'TCP', port: 70_000 }]
  expect(one({ slices: [slice([endpoint('a1')], { ports })] }).backends).toEqual([])
  const externalIPs = ['127.0.0.1', '169.254.20.10', '192.0.2.1']
  expect(one({ services: [service({ externalIPs })] }).externalVips).toEqual(['192.0.2.1'])
})

test('session affinity carries its time, three hours when none is given', () => {
  expect(one({ services: [service({ sessionAffinity: 'ClientIP' })] }).affinitySeconds).toBe(10_800)
  const config = { clientIP: { timeoutSeconds: 30 } }
  expect(
    one({ services: [service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: config })] }).affinitySeconds,
  ).toBe(30)
})

test('internal policy Local keeps the cluster IP on this node and leaves the node port alone', () => {
  const slices = [slice([endpoint('a1'), endpoint('b2')])]
  const ports = [{ name: 'http', protocol: 'TCP' as const, port: 80, nodePort: 30_080 }]
  const route = one({ slices, services: [service({ type: 'NodePort', ports, internalTrafficPolicy: 'Local' })] })
  expect(ips(route.backends)).toEqual(['10.42.1.10'])
  expect(route.externalPolicy).toBe('Cluster')
  expect(ips(route.externalBackends)).toEqual(['10.42.1.10', '10.42.2.11'])
})

test('external policy Local gives node port and external addresses the endpoints of this node', () => {
  const slices = [slice([endpoint('b2'), endpoint('a1', { ready: false, serving: true, terminating: true })])]
  const ports = [{ name: 'http', protocol: 'TCP' as const, port: 80, nodePort: 30_080 }]
  const route = one({
    slices,
    services: [
      service(
        { type: 'LoadBalancer', ports, externalTrafficPolicy: 'Local', externalIPs: ['192.0.2.1'] },
        {
          status: {
            loadBalancer: { ingress: [{ ip: '192.0.2.2' }, { ip: '192.0.2.3', ipMode: 'Proxy' }, { hostname: 'x' }] },
          },
        },
      ),
    ],
  })
  expect(route.nodePort).toBe(30_080)
  expect(route.externalVips).toEqual(['192.0.2.1', '192.0.2.2'])
  expect(route.externalPolicy).toBe('Local')
  expect(ips(route.externalBackends)).toEqual(['10.42.1.10'])
  expect(ips(route.backends)).toEqual(['10.42.2.11'])
})

test('source ranges guard the addresses of the load balancer and those alone', () => {
  const { services } = routes(
    input({
      services: [
        service(
          {
            type: 'LoadBalancer',
            externalIPs: ['192.0.2.1'],
            loadBalancerSourceRanges: ['203.0.113.0/24', 'fd00::/8'],
          },
          { status: { loadBalancer: { ingress: [{ ip: '192.0.2.2' }] } } },
        ),
      ],
      slices: [slice([endpoint('a1')])],
    }),
  )
  expect(services.map(s => [s.vips, s.externalVips, s.sourceRanges])).toEqual([
    [['10.96.0.50'], ['192.0.2.1'], undefined],
    [[], ['192.0.2.2'], ['203.0.113.0/24']],
  ])
})

test('host ports come from running pods with an address of their own', () => {
  const pod = (spec: object, status: object): Pod => ({
    ...({ apiVersion: 'v1', kind: 'Pod', metadata: metadata('p') } as Pod),
    spec: spec as Pod['spec'],
    status: status as Pod['status'],
  })
  const containers = [
    {
      name: 'c',
      ports: [{ containerPort: 80, hostPort: 8080, protocol: 'TCP', hostIP: '0.0.0.0' }, { containerPort: 81 }],
    },
  ]
  const found = { protocol: 'tcp', hostIp: '', hostPort: 8080, podIp: '10.42.1.9', podPort: 80 }
  expect(hostPorts([pod({ containers }, { podIP: '10.42.1.9', phase: 'Running' })])).toEqual([found])
  expect(hostPorts([pod({ containers }, { podIP: '10.42.1.9', phase: 'Succeeded' })])).toEqual([])
  expect(hostPorts([pod({ containers }, { phase: 'Pending' })])).toEqual([])
  expect(hostPorts([pod({ containers, hostNetwork: true }, { podIP: '192.0.2.1', phase: 'Running' })])).toEqual([])
})
