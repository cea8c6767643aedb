// EndpointSlice (discovery.k8s.io/v1): a part of the addresses behind a Service, which proxies and DNS go by.

import { shortList } from '../cells.ts'
import { addAll, duplicateValue, invalidValue, notSupported, tooMany } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsLabel, dnsSubdomain, labelValue, type NameRule, portNumber, qualifiedName } from '../names.ts'
import { isAddress } from '../pod/containers.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'
import { validateLabels } from '../validate.ts'
import { fixed } from '../workload.ts'

export const endpointConditions = s.object(
  'io.k8s.api.discovery.v1.EndpointConditions',
  {
    ready: s.boolean(1, { pointer: true, description: 'Whether it takes new traffic; absent counts as true.' }),
    serving: s.boolean(2, {
      pointer: true,
      description: 'As ready, but also true while a ready pod ends; absent: as ready.',
    }),
    terminating: s.boolean(3, {
      pointer: true,
      description: 'Whether it is ending; such endpoints are used when no other is ready. Absent: no.',
    }),
  },
  { description: 'Whether an endpoint takes traffic now.' },
)
export type EndpointConditions = TypeOf<typeof endpointConditions>
export const forNode = s.object(
  'io.k8s.api.discovery.v1.ForNode',
  {
    name: s.string(1, { required: true, description: 'What the Node is called.' }),
  },
  { description: 'A node that an endpoint is meant for.' },
)
export type ForNode = TypeOf<typeof forNode>
export const forZone = s.object(
  'io.k8s.api.discovery.v1.ForZone',
  {
    name: s.string(1, { required: true, description: 'Zone, as in the label topology.kubernetes.io/zone.' }),
  },
  { description: 'A zone that an endpoint is meant for.' },
)
export type ForZone = TypeOf<typeof forZone>
export const endpointHints = s.object(
  'io.k8s.api.discovery.v1.EndpointHints',
  {
    forZones: s.list(1, forZone, 'Zones whose clients should use it, at most 8.'),
    forNodes: s.list(2, forNode, 'Nodes whose clients should use it, at most 8.'),
  },
  { description: 'Who should use the endpoint. Stored, without effect here.' },
)
export type EndpointHints = TypeOf<typeof endpointHints>
export const endpoint = s.object(
  'io.k8s.api.discovery.v1.Endpoint',
  {
    addresses: s.list(1, scalars.string, {
      required: true,
      listType: 'set',
      description: "Its addresses, of the slice's type, at most 100. Only the first is routed to.",
    }),
    conditions: s.of(2, endpointConditions, 'Whether it takes traffic.'),
    hostname: s.string(3, {
      pointer: true,
      description: 'Name of this one below that of the Service in DNS: a label in lower case.',
    }),
    targetRef: s.of(4, objectReference, 'The object behind it, mostly a Pod.'),
    deprecatedTopology: s.map(5, scalars.string, 'Left from an older version of the API; not used.'),
    nodeName: s.string(6, { pointer: true, description: 'Node that it runs on, for traffic that must stay there.' }),
    zone: s.string(7, { pointer: true, description: 'Zone in which that node is.' }),
    hints: s.of(8, endpointHints, 'Who should use it, when near ones are preferred.'),
  },
  { description: 'A backend of the Service.' },
)
export type Endpoint = TypeOf<typeof endpoint>
export const endpointPort = s.object(
  'io.k8s.api.discovery.v1.EndpointPort',
  {
    name: s.string(1, {
      pointer: true,
      description: 'As the port of the Service is named, unique in the slice; empty for its only one.',
    }),
    protocol: s.string(2, { pointer: true, description: 'TCP (default), UDP or SCTP.' }),
    port: s.int32(3, {
      pointer: true,
      description: 'Port of the endpoints, 1 to 65535; absent: not limited to one, and not routed here.',
    }),
    appProtocol: s.string(4, { pointer: true, description: 'What is spoken above it, as the Service says.' }),
  },
  { atomic: true, description: 'A port of all endpoints in the slice.' },
)
export type EndpointPort = TypeOf<typeof endpointPort>
export const endpointSliceSchema = s.object(
  'io.k8s.api.discovery.v1.EndpointSlice',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'The label kubernetes.io/service-name says which Service it belongs to.',
    }),
    endpoints: s.list(2, endpoint, {
      required: true,
      default: [],
      description: 'The backends, at most 1000; the controller puts up to 100 into a slice.',
    }),
    ports: s.list(3, endpointPort, 'Ports of each endpoint; no entry: no port at all.'),
    addressType: s.oneOf(4, ['IPv4', 'IPv6', 'FQDN'], {
      required: true,
      description: 'What all addresses are: IPv4, IPv6 or FQDN (DNS names); only IPv4 is routed here. Immutable.',
    }),
  },
  { description: 'A part of what is behind a Service; all slices together are the whole.' },
)
export type EndpointSlice = TypeOf<typeof endpointSliceSchema>

const endpointCountMax = 1_000
const addressCountMax = 100
const portCountMax = 20_000
const topologyCountMax = 16
const hintCountMax = 8
const protocols = ['SCTP', 'TCP', 'UDP']

function validateSlice(slice: EndpointSlice): readonly FieldError[] {
  const { endpoints = [], ports = [] } = slice
  if (endpoints.length > endpointCountMax) return [tooMany('endpoints', endpoints.length, endpointCountMax)]
  const errors = endpoints.flatMap((each, i) => validateEndpoint(each, slice.addressType, `endpoints[${i}]`))
  if (ports.length > portCountMax) return [...errors, tooMany('ports', ports.length, portCountMax)]
  addAll(errors, validatePorts(ports))
  return errors
}

function validateEndpoint(endpoint: Endpoint, type: EndpointSlice['addressType'], path: string): readonly FieldError[] {
  const { addresses = [], nodeName, hostname, deprecatedTopology = {}, hints } = endpoint
  const errors: FieldError[] = []
  const at = `${path}.addresses`
  if (addresses.length > addressCountMax) errors.push(tooMany(at, addresses.length, addressCountMax))
  for (const [i, address] of addresses.entries())
    addAll(
      errors,
      named(`${at}[${i}]`, address, one => wrongAddress(one, type)),
    )
  if (nodeName !== undefined) addAll(errors, named(`${path}.nodeName`, nodeName, dnsSubdomain))
  const topologyCount = Object.keys(deprecatedTopology).length
  if (topologyCount > topologyCountMax) {
    errors.push(tooMany(`${path}.deprecatedTopology`, topologyCount, topologyCountMax))
  }
  addAll(errors, validateLabels(deprecatedTopology, `${path}.deprecatedTopology`))
  if (hostname !== undefined) addAll(errors, named(`${path}.hostname`, hostname, dnsLabel))
  addAll(errors, validateHints(hints?.forZones ?? [], `${path}.hints.forZones`, labelValue))
  addAll(errors, validateHints(hints?.forNodes ?? [], `${path}.hints.forNodes`, dnsSubdomain))
  return errors
}

function validateHints(
  hints: readonly { readonly name: string }[],
  path: string,
  rule: NameRule,
): readonly FieldError[] {
  if (hints.length > hintCountMax) return [tooMany(path, hints.length, hintCountMax)]
  const seen = new Set<string>()
  return hints.flatMap(({ name = '' }, i) => {
    const isDouble = seen.has(name)
    seen.add(name)
    if (isDouble) return [duplicateValue(`${path}[${i}].name`, name)]
    return name === '' ? [] : named(`${path}[${i}].name`, name, rule)
  })
}

function validatePorts(ports: readonly EndpointPort[]): readonly FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, { name = '', port, protocol, appProtocol }] of ports.entries()) {
    const at = `ports[${i}]`
    if (name !== '') addAll(errors, named(`${at}.name`, name, dnsLabel))
    if (names.has(name)) errors.push(duplicateValue(`${at}.name`, name))
    names.add(name)
    const wrong = port === undefined ? undefined : portNumber(port)
    if (wrong !== undefined) errors.push(invalidValue(`${at}.port`, port, wrong))
    if (protocol !== undefined && !protocols.includes(protocol)) {
      errors.push(notSupported(`${at}.protocol`, protocol, protocols))
    }
    if (appProtocol !== undefined) addAll(errors, named(`${at}.appProtocol`, appProtocol, qualifiedName))
  }
  return errors
}

function named(path: string, text: string, rule: NameRule): readonly FieldError[] {
  const wrong = rule(text)
  return wrong === undefined ? [] : [invalidValue(path, text, wrong)]
}

function wrongAddress(address: string, type: EndpointSlice['addressType']): string | undefined {
  if (type === 'FQDN') return dnsSubdomain(address)
  if (type === 'IPv4') return isAddress(address) && !address.includes(':') ? undefined : 'must be a valid IPv4 address'
  return isAddress(address) && address.includes(':') ? undefined : 'must be a valid IPv6 address'
}

export const endpointSlice = defineKind({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: endpointSliceSchema,
  columns: () => [
    { name: 'AddressType', type: 'string', cell: ({ addressType }) => addressType },
    {
      name: 'Ports',
      type: 'string',
      cell: ({ ports }) =>
        shortList(
          (ports ?? []).map(({ port, name }) => (port === undefined ? name || '*' : String(port))),
          '<unset>',
        ),
    },
    {
      name: 'Endpoints',
      type: 'string',
      cell: ({ endpoints }) =>
        shortList(
          (endpoints ?? []).flatMap(({ addresses }) => addresses ?? []),
          '<unset>',
        ),
    },
  ],
  defaults: object =>
    object.ports === undefined
      ? object
      : {
          ...object,
          ports: object.ports.map(port => ({ ...port, name: port.name ?? '', protocol: port.protocol ?? 'TCP' })),
        },
  validate: (object, old) => [
    ...validateSlice(object),
    ...fixed('addressType', object.addressType, old, old?.addressType),
  ],
})
