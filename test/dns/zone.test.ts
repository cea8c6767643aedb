import { expect, test } from 'vitest'
import type { Endpoint, EndpointSlice } from '../../src/api/kinds/endpointslice.ts'
import type { Service } from '../../src/api/kinds/service.ts'
import { type TypeName, typeCodes } from '../../src/dns/packet.ts'
import { answer, type ZoneView } from '../../src/dns/zone.ts'

const config = {
  domain: 'cluster.local',
  ttlSeconds: 5,
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.96.0.0/16',
  dnsIp: '169.254.20.10',
}
const stamp = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }
const service = (name: string, spec: Partial<Service['spec']>): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { ...stamp, name, namespace: 'default' },
  spec: { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster', ...spec },
  status: {},
})
const ports = [
  { name: 'http', protocol: 'TCP' as const, port: 80 },
  { name: 'dns', protocol: 'UDP' as const, port: 53 },
]
const slice = (of: string, endpoints: readonly Endpoint[]): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { ...stamp, name: `${of}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  endpoints,
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
})
const services = [
  service('web', { clusterIP: '10.96.0.50', clusterIPs: ['10.96.0.50'], ports }),
  service('db', { clusterIP: 'None', ports: [{ name: 'http', protocol: 'TCP', port: 80 }] }),
  service('idle', { clusterIP: 'None' }),
  service('out', { type: 'ExternalName', externalName: 'Example.org.' }),
]
const slices = [
  slice('db', [
    { addresses: ['10.42.1.10'], hostname: 'db-0', conditions: { ready: true } },
    { addresses: ['10.42.2.11'], conditions: { ready: true } },
    { addresses: ['10.42.2.12'], hostname: 'db-2', conditions: { ready: false } },
  ]),
  slice('web', [{ addresses: ['10.42.1.20'], conditions: { ready: true } }]),
]
const view: ZoneView = {
  service: (namespace, name) => services.find(s => s.metadata.namespace === namespace && s.metadata.name === name),
  slices: (_, name) => slices.filter(s => s.metadata.labels?.['kubernetes.io/service-name'] === name),
  servicesByIp: ip => services.filter(s => s.spec.clusterIP === ip),
  slicesByIp: ip => slices.filter(s => s.endpoints.some(e => e.addresses.includes(ip))),
  hasNamespace: namespace => namespace === 'default',
}

/** What stands in the answer, in short: the data of its records, or the code, or '-' for an empty answer. */
function ask(name: string, type: TypeName = 'A'): readonly string[] | string {
  const found = answer(name, typeCodes[type], view, config)
  if (found.kind === 'forward') return 'forward'
  if (found.kind === 'alias') return `alias ${found.target}`
  const { rcode, answers, authorities } = found.response
  if (answers.length === 0) expect(authorities[0]?.type).toBe('SOA')
  if (rcode !== 'NOERROR') return rcode
  if (answers.length === 0) return '-'
  return answers.map(r => {
    switch (r.type) {
      case 'A':
        return r.address
      case 'SRV':
        return `${r.port} ${r.target}`
      case 'TXT':
        return r.text
      case 'SOA':
        return 'soa'
      case 'raw':
        return 'raw'
      default:
        return r.target
    }
  })
}

test('a service is its cluster IP, and has no IPv6 address rather than no name', () => {
  expect(ask('web.default.svc.cluster.local')).toEqual(['10.96.0.50'])
  expect(ask('web.default.svc.cluster.local', 'AAAA')).toBe('-')
  expect(ask('nobody.default.svc.cluster.local')).toBe('NXDOMAIN')
})

test('a headless service is its ready endpoints, by hostname and by address', () => {
  expect(ask('db.default.svc.cluster.local')).toEqual(['10.42.1.10', '10.42.2.11'])
  expect(ask('db-0.db.default.svc.cluster.local')).toEqual(['10.42.1.10'])
  expect(ask('10-42-2-11.db.default.svc.cluster.local')).toEqual(['10.42.2.11'])
  expect(ask('db-2.db.default.svc.cluster.local')).toBe('NXDOMAIN')
  expect(ask('idle.default.svc.cluster.local')).toBe('-')
})

test('SRV names the port of the service, or of each endpoint of a headless one, with addresses beside it', () => {
  expect(ask('_http._tcp.web.default.svc.cluster.local', 'SRV')).toEqual(['80 web.default.svc.cluster.local'])
  expect(ask('_dns._udp.web.default.svc.cluster.local', 'SRV')).toEqual(['53 web.default.svc.cluster.local'])
  expect(ask('_dns._tcp.web.default.svc.cluster.local', 'SRV')).toBe('NXDOMAIN')
  expect(ask('_tcp.web.default.svc.cluster.local', 'SRV')).toBe('-')
  expect(ask('_http._tcp.db.default.svc.cluster.local', 'SRV')).toEqual([
    '8080 db-0.db.default.svc.cluster.local',
    '8080 10-42-2-11.db.default.svc.cluster.local',
  ])
  const found = answer('_http._tcp.db.default.svc.cluster.local', typeCodes.SRV, view, config)
  expect(found.kind === 'response' && found.response.additionals.map(r => r.name)).toEqual([
    'db-0.db.default.svc.cluster.local',
    '10-42-2-11.db.default.svc.cluster.local',
  ])
})

test('ExternalName is an alias for every type', () => {
  expect(ask('out.default.svc.cluster.local')).toBe('alias example.org')
  expect(ask('out.default.svc.cluster.local', 'AAAA')).toBe('alias example.org')
  expect(ask('out.default.svc.cluster.local', 'CNAME')).toEqual(['example.org'])
})

test('addresses lead back to names; those of the cluster without one do not leave it', () => {
  expect(ask('50.0.96.10.in-addr.arpa', 'PTR')).toEqual(['web.default.svc.cluster.local'])
  expect(ask('10.1.42.10.in-addr.arpa', 'PTR')).toEqual(['db-0.db.default.svc.cluster.local'])
  expect(ask('20.1.42.10.in-addr.arpa', 'PTR')).toBe('NXDOMAIN')
  expect(ask('9.9.9.9.in-addr.arpa', 'PTR')).toBe('forward')
})

test('pod names carry their address', () => {
  expect(ask('10-42-1-10.default.pod.cluster.local')).toEqual(['10.42.1.10'])
  expect(ask('10-42-1.default.pod.cluster.local')).toBe('NXDOMAIN')
  expect(ask('a.10-42-1-10.default.pod.cluster.local')).toBe('NXDOMAIN')
})

test('the domain, its version and the names between exist', () => {
  expect(ask('dns-version.cluster.local', 'TXT')).toEqual(['1.1.0'])
  expect(ask('cluster.local', 'SOA')).toEqual(['soa'])
  expect(ask('cluster.local', 'NS')).toEqual(['ns.dns.cluster.local'])
  expect(ask('ns.dns.cluster.local')).toEqual(['169.254.20.10'])
  for (const name of ['cluster.local', 'svc.cluster.local', 'default.svc.cluster.local', 'pod.cluster.local'])
    expect(ask(name)).toBe('-')
  expect(ask('nowhere.svc.cluster.local')).toBe('NXDOMAIN')
})

test('search misses end here, other names are asked elsewhere', () => {
  expect(ask('example.org.default.svc.cluster.local')).toBe('NXDOMAIN')
  expect(ask('example.org.svc.cluster.local')).toBe('NXDOMAIN')
  expect(ask('example.org.cluster.local')).toBe('NXDOMAIN')
  expect(ask('example.org')).toBe('forward')
  expect(ask('notcluster.local')).toBe('forward')
})
