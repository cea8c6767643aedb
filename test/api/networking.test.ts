// What Ingress, IngressClass, NetworkPolicy, IPAddress, ServiceCIDR and the kinds of flow control refuse, and where.
import { describe, expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import type { Kind } from '../../src/api/kind.ts'
import { flowSchema } from '../../src/api/kinds/flowschema.ts'
import { ingress } from '../../src/api/kinds/ingress.ts'
import { ingressClass } from '../../src/api/kinds/ingressclass.ts'
import { ipAddress } from '../../src/api/kinds/ipaddress.ts'
import { networkPolicy } from '../../src/api/kinds/networkpolicy.ts'
import { priorityLevelConfiguration } from '../../src/api/kinds/prioritylevelconfiguration.ts'
import { serviceCidr } from '../../src/api/kinds/servicecidr.ts'
import { created, updated } from './make.ts'

const body = (kind: Kind, name: string, spec: object, metadata: object = {}) => ({
  apiVersion: `${kind.group}/${kind.version}`,
  kind: kind.kind,
  metadata: { name, ...metadata },
  spec,
})

/** 'field: message' of each cause. */
function wrongs(act: () => unknown): readonly string[] {
  try {
    act()
  } catch (error) {
    if (error instanceof ApiError) {
      return (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`)
    }
    throw error
  }
  return []
}

function refuses(kind: Kind, spec: object, ...expected: readonly string[]): void {
  const found = wrongs(() => created(kind, body(kind, 'x', spec)))
  expect(found).toEqual(expected.map(text => expect.stringContaining(text)))
}

const service = { name: 'web', port: { number: 80 } }
const rule = (path: object, host = 'a.test') => ({ rules: [{ host, http: { paths: [path] } }] })
const path = (more: object) => ({ path: '/', pathType: 'Prefix', backend: { service }, ...more })
const at = 'spec.rules[0].http.paths[0]'

describe('ingress', () => {
  test.each<[string, object, readonly string[]]>([
    ['is well', rule(path({})), []],
    ['is well with any path of its own kind', rule(path({ path: '', pathType: 'ImplementationSpecific' })), []],
    ['is well with a wildcard host', rule(path({}), '*.a.test'), []],
    ['says nothing', {}, ['spec: Invalid value: []: either `defaultBackend` or `rules` must be specified']],
    [
      'has an address for a host',
      rule(path({}), '10.0.0.1'),
      ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
    ],
    [
      'has a star in the middle',
      rule(path({}), 'a.*.test'),
      ['spec.rules[0].host: Invalid value: "a.*.test": a wildcard DNS-1123 subdomain must start with \'*.\''],
    ],
    ['has no paths', { rules: [{ http: { paths: [] } }] }, ['spec.rules[0].http.paths: Required value']],
    ['has no type of path', rule({ path: '/', backend: { service } }), [`${at}.pathType: Required value`]],
    ['has another type of path', rule(path({ pathType: 'Regex' })), [`${at}.pathType: Unsupported value: "Regex"`]],
    ['has a relative path', rule(path({ path: 'a' })), [`${at}.path: Invalid value: "a": must be an absolute path`]],
    [
      'has an odd path',
      rule(path({ path: '/a//b/..' })),
      [`${at}.path: Invalid value: "/a//b/..": must not contain '//'`, "cannot end with '/..'"],
    ],
    [
      'has no backend',
      rule(path({ backend: {} })),
      [`${at}.backend: Invalid value: "": resource or service backend is required`],
    ],
    [
      'has two backends',
      { defaultBackend: { service, resource: { kind: 'A', name: 'b' } } },
      ['spec.defaultBackend: Invalid value: "": cannot set both resource and service backends'],
    ],
    [
      'has no port',
      { defaultBackend: { service: { name: 'web' } } },
      ['spec.defaultBackend: Required value: port name or number is required'],
    ],
    [
      'has two ports',
      { defaultBackend: { service: { name: 'web', port: { name: 'http', number: 1 } } } },
      ['cannot set both port name & port number'],
    ],
    [
      'has a port too many',
      { defaultBackend: { service: { name: 'web', port: { number: 70_000 } } } },
      ['spec.defaultBackend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive'],
    ],
    [
      'has a service that can be none',
      { defaultBackend: { service: { ...service, name: '1web' } } },
      ['spec.defaultBackend.service.name: Invalid value: "1web": a DNS-1035 label'],
    ],
    ['has a wrong class', { ...rule(path({})), ingressClassName: 'A' }, ['spec.ingressClassName: Invalid value: "A"']],
    [
      'has a wrong secret',
      { ...rule(path({})), tls: [{ hosts: ['A'], secretName: 'B' }] },
      ['spec.tls[0].hosts[0]: Invalid value: "A"', 'spec.tls[0].secretName: Invalid value: "B"'],
    ],
  ])('%s', (_, spec, expected) => refuses(ingress, spec, ...expected))

  test('the old way to name a class must agree, on create', () => {
    const annotations = { 'kubernetes.io/ingress.class': 'b' }
    const draft = body(ingress, 'x', { ...rule(path({})), ingressClassName: 'a' }, { annotations })
    expect(wrongs(() => created(ingress, draft))).toEqual([
      'annotations.kubernetes.io/ingress.class: Invalid value: "b": must match `ingressClassName` when both are specified',
    ])
    const old = created(ingress, body(ingress, 'x', rule(path({}))))
    expect(wrongs(() => updated(ingress, old, draft))).toEqual([])
  })

  test.each([
    [[], '*'],
    [['a', 'b', 'c'], 'a,b,c'],
    [['a', 'a', 'a'], 'a,a,a'],
    [['a', '', 'b', 'c'], 'a,b,c'],
    [['a', 'b', 'c', ''], 'a,b,c + 1 more...'],
    [['a', 'b', 'c', 'd', 'e'], 'a,b,c + 2 more...'],
  ])('the hosts %j are shown as %s', (hosts, shown) => {
    const object = created(ingress, body(ingress, 'x', rule(path({}))))
    const spec = { ...object.spec, rules: hosts.map(host => ({ host })) }
    expect(ingress.columns()[1]?.cell({ ...object, spec }, 0)).toBe(shown)
  })

  test('the status has addresses and names', () => {
    const old = created(ingress, body(ingress, 'x', rule(path({}))))
    const status = { loadBalancer: { ingress: [{ ip: '1.2.3' }, { hostname: '10.0.0.1' }] } }
    const act = () => updated(ingress, old, { ...old, status }, { subresource: 'status' })
    expect(wrongs(act)).toEqual([
      'status.loadBalancer.ingress[0].ip: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'status.loadBalancer.ingress[1].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
    ])
  })
})

describe('ingressclass', () => {
  const parameters = { kind: 'P', name: 'p' }
  test.each<[string, object, readonly string[]]>([
    ['is well', { controller: 'a.io/b' }, []],
    ['has no controller', {}, ['spec.controller: Required value']],
    ['has a controller of nobody', { controller: 'b' }, ['must be a domain-prefixed path (such as "acme.io/foo")']],
    [
      'has a strange controller',
      { controller: 'A.io/b c' },
      ['spec.controller: Invalid value: "A.io"', 'spec.controller: Invalid value: "b c": Invalid path'],
    ],
    ['has a long controller', { controller: `a.io/${'b'.repeat(250)}` }, ['spec.controller: Too long']],
    [
      'wants a namespace',
      { controller: 'a.io/b', parameters: { ...parameters, scope: 'Namespace' } },
      ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
    ],
    [
      'wants none',
      { controller: 'a.io/b', parameters: { ...parameters, namespace: 'a' } },
      ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
    ],
    [
      'has another scope',
      { controller: 'a.io/b', parameters: { ...parameters, scope: 'World' } },
      ['spec.parameters.scope: Unsupported value: "World": supported values: "Cluster", "Namespace"'],
    ],
    [
      'names nothing',
      { controller: 'a.io/b', parameters: {} },
      ['spec.parameters.kind: Required value', 'spec.parameters.name: Required value'],
    ],
  ])('%s', (_, spec, expected) => refuses(ingressClass, spec, ...expected))

  test('keeps its controller', () => {
    const old = created(ingressClass, body(ingressClass, 'x', { controller: 'a.io/b' }))
    expect(wrongs(() => updated(ingressClass, old, body(ingressClass, 'x', { controller: 'a.io/c' })))).toEqual([
      'spec.controller: Invalid value: "a.io/c": field is immutable',
    ])
  })
})

describe('networkpolicy', () => {
  const from = (peer: object) => ({ podSelector: {}, ingress: [{ from: [peer] }] })
  const to = (port: object) => ({ podSelector: {}, egress: [{ ports: [port] }] })
  test.each<[string, object, readonly string[]]>([
    ['is well with nothing', {}, []],
    ['has an empty peer', from({}), ['spec.ingress[0].from[0]: Required value: must specify a peer']],
    [
      'has two kinds of peer',
      from({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }),
      ['may not specify both ipBlock and another peer'],
    ],
    [
      'has no block',
      from({ ipBlock: { cidr: '10.0.0.0' } }),
      ['spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR value'],
    ],
    [
      'excepts more than all',
      from({ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/8', 'fd00::/64', '10.1.0.0/16'] } }),
      ['except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`', 'except[1]'],
    ],
    [
      'has an end without a port',
      to({ endPort: 5 }),
      ['spec.egress[0].ports[0].endPort: Invalid value: 5: may not be specified when `port` is not specified'],
    ],
    ['has an end before the port', to({ port: 10, endPort: 5 }), ['must be greater than or equal to `port`']],
    ['has an end of a name', to({ port: 'http', endPort: 5 }), ['may not be specified when `port` is non-numeric']],
    ['has a port too many', to({ port: 0 }), ['spec.egress[0].ports[0].port: Invalid value: 0']],
    [
      'has another protocol',
      to({ port: 1, protocol: 'ICMP' }),
      ['spec.egress[0].ports[0].protocol: Unsupported value: "ICMP"'],
    ],
    ['has another type', { policyTypes: ['Sideways'] }, ['spec.policyTypes[0]: Unsupported value: "Sideways"']],
    [
      'has three types',
      { policyTypes: ['Ingress', 'Egress', 'Ingress'] },
      ['may not specify more than two policyTypes'],
    ],
  ])('%s', (_, spec, expected) => refuses(networkPolicy, spec, ...expected))

  test('is of ingress, and of egress when it says something of it', () => {
    expect(created(networkPolicy, body(networkPolicy, 'x', {})).spec.policyTypes).toEqual(['Ingress'])
    const made = created(networkPolicy, body(networkPolicy, 'x', to({ port: 1 })))
    expect(made.spec.policyTypes).toEqual(['Ingress', 'Egress'])
    expect(made.spec.egress).toEqual([{ ports: [{ port: 1, protocol: 'TCP' }] }])
  })
})

describe('ipaddress', () => {
  const parent = { parentRef: { resource: 'services', namespace: 'a', name: 'b' } }
  test.each([
    ['10.0.0.1', ''],
    ['2001:db8::1', ''],
    ['010.0.0.1', 'must not have leading 0s'],
    ['2001:DB8::1', 'must be in canonical form ("2001:db8::1")'],
    ['::ffff:10.0.0.1', 'must not be an IPv4-mapped IPv6 address'],
    ['web', 'must be a valid IP address'],
  ])('the name %s', (name, why) => {
    const found = wrongs(() => created(ipAddress, body(ipAddress, name, parent)))
    expect(found).toEqual(
      why === '' ? [] : [expect.stringContaining(`metadata.name: Invalid value: "${name}": ${why}`)],
    )
  })
  test('belongs to something, for ever', () => {
    expect(wrongs(() => created(ipAddress, body(ipAddress, '10.0.0.1', {})))).toEqual([
      'spec.parentRef: Required value',
    ])
    const old = created(ipAddress, body(ipAddress, '10.0.0.1', parent))
    const other = { parentRef: { ...parent.parentRef, name: 'c' } }
    expect(wrongs(() => updated(ipAddress, old, body(ipAddress, '10.0.0.1', other)))).toEqual([
      expect.stringMatching(/^spec\.parentRef: Invalid value: .*field is immutable/),
    ])
  })
})

describe('servicecidr', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['is well', ['10.0.0.0/16', 'fd00::/112'], []],
    ['has none', [], ['spec.cidrs: Required value: at least one CIDR required']],
    ['has three', ['10.0.0.0/16', 'fd00::/112', '10.1.0.0/16'], ['may only hold up to 2 values']],
    ['has two of a family', ['10.0.0.0/16', '10.1.0.0/16'], ['may specify no more than one IP for each IP family']],
    [
      'has bits set',
      ['10.0.0.1/16'],
      ['spec.cidrs[0]: Invalid value: "10.0.0.1/16": must not have bits set beyond the prefix length'],
    ],
    [
      'has none that can be read',
      ['10.0.0.0/33'],
      ['spec.cidrs[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value'],
    ],
  ])('%s', (_, cidrs, expected) => refuses(serviceCidr, { cidrs }, ...expected))

  test('may only grow by the other family', () => {
    const old = created(serviceCidr, body(serviceCidr, 'x', { cidrs: ['10.0.0.0/16'] }))
    const change = (...cidrs: readonly string[]) =>
      wrongs(() => updated(serviceCidr, old, body(serviceCidr, 'x', { cidrs })))
    expect(change('10.0.0.0/16', 'fd00::/112')).toEqual([])
    expect(change('10.1.0.0/16')).toEqual(['spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable'])
    expect(change()).toEqual(['spec.cidrs: Invalid value: []: field is immutable'])
  })
})

describe('flowschema', () => {
  const subjects = [{ kind: 'User', user: { name: 'u' } }]
  const verbs = ['get']
  const resourceRules = [{ verbs, apiGroups: ['*'], resources: ['*'], clusterScope: true }]
  const level = { priorityLevelConfiguration: { name: 'l' } }
  const ruled = (rules: object) => ({ ...level, rules: [{ subjects, ...rules }] })
  test.each<[string, object, readonly string[]]>([
    ['is well', ruled({ resourceRules }), []],
    ['names no level', {}, ['spec.priorityLevelConfiguration.name: Required value']],
    [
      'comes before all',
      { ...level, matchingPrecedence: 1 },
      ["only the schema named 'exempt' may have matchingPrecedence 1"],
    ],
    ['comes too late', { ...level, matchingPrecedence: 10_001 }, ['must not be greater than 10000']],
    [
      'tells apart by something else',
      { ...level, distinguisherMethod: { type: 'ByMood' } },
      ['spec.distinguisherMethod.type: Unsupported value: "ByMood"'],
    ],
    [
      'is of nobody',
      { ...level, rules: [{ subjects: [], resourceRules }] },
      ['spec.rules[0].subjects: Required value'],
    ],
    ['has no rule', ruled({}), ['spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules']],
    [
      'has another verb',
      ruled({ resourceRules: [{ ...resourceRules[0], verbs: ['dance'] }] }),
      ['spec.rules[0].resourceRules[0].verbs: Unsupported value: ["dance"]'],
    ],
    [
      'has all verbs and one',
      ruled({ resourceRules: [{ ...resourceRules[0], verbs: ['*', 'get'] }] }),
      ["if '*' is present, must not specify other verbs"],
    ],
    [
      'has no namespace',
      ruled({ resourceRules: [{ ...resourceRules[0], clusterScope: false }] }),
      ['resourceRules[0].namespaces: Required value'],
    ],
    [
      'has a wrong namespace',
      ruled({ resourceRules: [{ ...resourceRules[0], namespaces: ['A'] }] }),
      ['namespaces[0]: Invalid value: "A": each member of this list must be'],
    ],
    [
      'has a relative path',
      ruled({ nonResourceRules: [{ verbs, nonResourceURLs: ['a', '/a b', '/a//b', '/a*', '/a/*'] }] }),
      [
        'must start with slash',
        'must not contain white-space',
        'must not contain double slash',
        'wildcard can only do suffix matching',
      ],
    ],
    [
      'mixes kinds',
      { ...level, rules: [{ subjects: [{ kind: 'Group', user: { name: 'u' } }], resourceRules }] },
      ['subjects[0].user: Forbidden', 'subjects[0].group: Required value'],
    ],
  ])('%s', (_, spec, expected) => refuses(flowSchema, spec, ...expected))
})

describe('prioritylevelconfiguration', () => {
  const queued = (queuing: object) => ({ type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing } } })
  test.each<[string, object, readonly string[]]>([
    ['is well', queued({}), []],
    ['is exempt under another name', { type: 'Exempt' }, ["type must be 'Exempt' if and only if name is 'exempt'"]],
    [
      'limits by nothing',
      { type: 'Limited' },
      ['spec.limited: Required value: must not be empty when type is Limited'],
    ],
    [
      'queues in nothing',
      { type: 'Limited', limited: { limitResponse: { type: 'Queue' } } },
      ['spec.limited.limitResponse.queuing: Required value'],
    ],
    [
      'rejects into queues',
      { type: 'Limited', limited: { limitResponse: { type: 'Reject', queuing: {} } } },
      ['spec.limited.limitResponse.queuing: Forbidden'],
    ],
    ['has a hand larger than the deck', queued({ queues: 4, handSize: 5 }), ['should not be greater than queues (4)']],
    [
      'wants more bits than a hash has',
      queued({ queues: 1_000_000, handSize: 8 }),
      ['required entropy bits of deckSize 1000000 and handSize 8 should not be greater than 60'],
    ],
    [
      'lends more than all',
      { type: 'Limited', limited: { lendablePercent: 101, limitResponse: { type: 'Reject' } } },
      ['spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive'],
    ],
  ])('%s', (_, spec, expected) => refuses(priorityLevelConfiguration, spec, ...expected))

  test('has the defaults of Kubernetes', () => {
    const made = created(priorityLevelConfiguration, body(priorityLevelConfiguration, 'x', queued({})))
    expect(made.spec.limited).toEqual({
      nominalConcurrencyShares: 30,
      lendablePercent: 0,
      limitResponse: { type: 'Queue', queuing: { queues: 64, handSize: 8, queueLengthLimit: 50 } },
    })
  })
})

test('only what upstream counts has a generation', () => {
  const parent = { parentRef: { resource: 'services', name: 'b' } }
  const made = [
    created(ipAddress, body(ipAddress, '10.0.0.1', parent)),
    created(serviceCidr, body(serviceCidr, 'x', { cidrs: ['10.0.0.0/16'] })),
    created(networkPolicy, body(networkPolicy, 'x', {})),
    created(ingressClass, body(ingressClass, 'x', { controller: 'a.io/b' })),
  ]
  expect(made.map(({ metadata }) => metadata.generation)).toEqual([undefined, undefined, 1, 1])
})
