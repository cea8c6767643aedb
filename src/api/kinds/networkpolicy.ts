// NetworkPolicy (networking.k8s.io/v1): which traffic the pods that it selects may have.
// https://kubernetes.io/docs/concepts/services-networking/network-policies/
import { parsePrefix, prefixContains } from '../../lib/ip.ts'
import { selectorText } from '../cells.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { portName, portNumber } from '../names.ts'
import { validateSelector } from '../pod/selector.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { anyCidr, ruled } from '../types/network.ts'

export const ipBlock = s.object(
  'io.k8s.api.networking.v1.IPBlock',
  {
    cidr: s.string(1, { required: true, description: 'The range, as in 192.0.2.0/24 or 2001:db8::/64.' }),
    except: s.list(2, scalars.string, 'Smaller ranges inside it that are not allowed.'),
  },
  { description: 'Addresses that are allowed, by range; meant for those outside of the cluster.' },
)
export type IpBlock = TypeOf<typeof ipBlock>
export const networkPolicyPeer = s.object(
  'io.k8s.api.networking.v1.NetworkPolicyPeer',
  {
    podSelector: s.of(
      1,
      labelSelector,
      'Pods by their labels, in the namespaces that namespaceSelector chooses; without that, in the namespace of the policy.',
    ),
    namespaceSelector: s.of(
      2,
      labelSelector,
      'Namespaces by their labels; without podSelector all pods there. Empty: every namespace.',
    ),
    ipBlock: s.of(3, ipBlock, 'Range of addresses; not beside the selectors.'),
  },
  { description: 'Whom the traffic may come from or go to: pods by selectors, or addresses by range, not both.' },
)
export type NetworkPolicyPeer = TypeOf<typeof networkPolicyPeer>
export const networkPolicyPort = s.object(
  'io.k8s.api.networking.v1.NetworkPolicyPort',
  {
    protocol: s.oneOf(1, ['TCP', 'UDP', 'SCTP'], {
      pointer: true,
      default: 'TCP',
      description: 'TCP unless said otherwise.',
    }),
    port: s.intOrString(2, 'Number, or name out of the ports of the pod; absent: all ports of the protocol.'),
    endPort: s.int32(3, {
      pointer: true,
      description: 'Last port of a range that begins with port, which is a number then.',
    }),
  },
  { description: 'Ports that are allowed, at the side that takes the connection.' },
)
export type NetworkPolicyPort = TypeOf<typeof networkPolicyPort>
export const networkPolicyIngressRule = s.object(
  'io.k8s.api.networking.v1.NetworkPolicyIngressRule',
  {
    ports: s.list(1, networkPolicyPort, 'Ports that may be reached; empty: all.'),
    from: s.list(2, networkPolicyPeer, 'Who may send, any one of these; empty: everybody.'),
  },
  { description: 'Traffic that may come in: it has to fit both ports and from.' },
)
export const networkPolicyEgressRule = s.object(
  'io.k8s.api.networking.v1.NetworkPolicyEgressRule',
  {
    ports: s.list(1, networkPolicyPort, 'Ports that may be reached; empty: all.'),
    to: s.list(2, networkPolicyPeer, 'Who may be reached, any one of these; empty: everybody.'),
  },
  { description: 'Traffic that may go out: it has to fit both ports and to.' },
)
export const networkPolicySpec = s.object(
  'io.k8s.api.networking.v1.NetworkPolicySpec',
  {
    podSelector: s.of(1, labelSelector, {
      required: true,
      default: {},
      description: 'Pods of the namespace that it is about; empty: all of them.',
    }),
    ingress: s.list(
      2,
      networkPolicyIngressRule,
      'What may come in, of this and all policies on the pod together; empty: nothing, when policyTypes has Ingress.',
    ),
    egress: s.list(
      3,
      networkPolicyEgressRule,
      'What may go out, of this and all policies on the pod together; empty: nothing, when policyTypes has Egress.',
    ),
    policyTypes: s.list(
      4,
      scalars.string,
      'Directions that are limited: Ingress, Egress. When empty: Ingress, and Egress if there are egress rules.',
    ),
  },
  { description: 'Which pods a policy is about, and the traffic they may have.' },
)
export type NetworkPolicySpec = TypeOf<typeof networkPolicySpec>
export const networkPolicySchema = s.object(
  'io.k8s.api.networking.v1.NetworkPolicy',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Its namespace is that of the pods it is about.' }),
    spec: s.of(2, networkPolicySpec, { default: {}, description: 'Which pods, and which traffic.' }),
  },
  { description: 'Limits the traffic of pods. Stored and not enforced by this version: pods keep all traffic.' },
)
export type NetworkPolicy = TypeOf<typeof networkPolicySchema>

const policyTypes = ['Ingress', 'Egress']

/** A policy is always one of ingress; one of egress only when it says something of it. */
function withTypes(spec: NetworkPolicySpec): NetworkPolicySpec {
  if ((spec.policyTypes ?? []).length > 0) return spec
  return { ...spec, policyTypes: (spec.egress ?? []).length > 0 ? policyTypes : ['Ingress'] }
}

/** Blocks that stood there before are not looked at again: an update may not fail for what it leaves alone. */
function cidrsOf(spec: NetworkPolicySpec | undefined): ReadonlySet<string> {
  const peers = [
    ...(spec?.ingress ?? []).flatMap(({ from = [] }) => from),
    ...(spec?.egress ?? []).flatMap(({ to = [] }) => to),
  ]
  return new Set(peers.flatMap(({ ipBlock: block }) => (block ? [block.cidr, ...(block.except ?? [])] : [])))
}

function validateSpec(spec: NetworkPolicySpec, old: NetworkPolicySpec | undefined): readonly FieldError[] {
  const known = cidrsOf(old)
  const { ingress = [], egress = [], policyTypes: types = [] } = spec
  const rules = [
    ...ingress.map(({ ports, from }, i) => ({ at: `spec.ingress[${i}]`, ports, peers: from, side: 'from' })),
    ...egress.map(({ ports, to }, i) => ({ at: `spec.egress[${i}]`, ports, peers: to, side: 'to' })),
  ]
  const errors = [
    ...validateSelector(spec.podSelector, 'spec.podSelector'),
    ...rules.flatMap(({ at, ports = [], peers = [], side }) => [
      ...ports.flatMap((port, i) => validatePort(port, `${at}.ports[${i}]`)),
      ...peers.flatMap((peer, i) => validatePeer(peer, `${at}.${side}[${i}]`, known)),
    ]),
  ]
  if (types.length > policyTypes.length) {
    return [...errors, invalidValue('spec.policyTypes', types, 'may not specify more than two policyTypes')]
  }
  return [
    ...errors,
    ...types.flatMap((type, i) =>
      policyTypes.includes(type) ? [] : [notSupported(`spec.policyTypes[${i}]`, type, policyTypes)],
    ),
  ]
}

function validatePort({ port, endPort }: NetworkPolicyPort, path: string): readonly FieldError[] {
  const end = `${path}.endPort`
  if (port === undefined) {
    if (endPort === undefined) return []
    return [invalidValue(end, endPort, 'may not be specified when `port` is not specified')]
  }
  if (typeof port === 'string') {
    return [
      ...(endPort === undefined ? [] : [invalidValue(end, endPort, 'may not be specified when `port` is non-numeric')]),
      ...ruled(`${path}.port`, port, portName),
    ]
  }
  const wrong = { port: portNumber(port), end: endPort === undefined ? undefined : portNumber(endPort) }
  return [
    ...(wrong.port === undefined ? [] : [invalidValue(`${path}.port`, port, wrong.port)]),
    ...(endPort !== undefined && endPort < port
      ? [invalidValue(end, endPort, 'must be greater than or equal to `port`')]
      : []),
    ...(wrong.end === undefined ? [] : [invalidValue(end, endPort, wrong.end)]),
  ]
}

function validatePeer(peer: NetworkPolicyPeer, path: string, known: ReadonlySet<string>): readonly FieldError[] {
  const { podSelector, namespaceSelector, ipBlock: block } = peer
  const isSelected = podSelector !== undefined || namespaceSelector !== undefined
  if (!isSelected && !block) return [requiredValue(path, 'must specify a peer')]
  return [
    ...validateSelector(podSelector, `${path}.podSelector`),
    ...validateSelector(namespaceSelector, `${path}.namespaceSelector`),
    ...(block ? validateBlock(block, `${path}.ipBlock`, known) : []),
    ...(isSelected && block ? [forbidden(path, 'may not specify both ipBlock and another peer')] : []),
  ]
}

function validateBlock({ cidr, except = [] }: IpBlock, path: string, known: ReadonlySet<string>) {
  const readable = (at: string, text: string) => (known.has(text) ? [] : ruled(at, text, anyCidr))
  const whole = parsePrefix(cidr)
  const errors = [...readable(`${path}.cidr`, cidr)]
  if (whole === undefined) return errors
  for (const [i, text] of except.entries()) {
    const at = `${path}.except[${i}]`
    const part = parsePrefix(text)
    errors.push(...readable(at, text))
    if (part !== undefined && (!prefixContains(whole, part.ip) || whole.length >= part.length)) {
      errors.push(invalidValue(at, text, 'must be a strict subset of `cidr`'))
    }
  }
  return errors
}

export const networkPolicy = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  shortNames: ['netpol'],
  scope: 'Namespaced',
  caution: 'NetworkPolicies are stored, and not enforced by this version: pods keep all the traffic they had',
  schema: networkPolicySchema,
  columns: () => [{ name: 'Pod-Selector', type: 'string', cell: ({ spec }) => selectorText(spec.podSelector) }],
  defaults: object => ({ ...object, spec: withTypes(object.spec) }),
  validate: ({ spec }, old) => validateSpec(spec, old?.spec),
})
