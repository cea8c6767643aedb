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

export const ipBlock = s.object('io.k8s.api.networking.v1.IPBlock', {
  cidr: s.string(1, { required: true }),
  except: s.list(2, scalars.string),
})
export type IpBlock = TypeOf<typeof ipBlock>
export const networkPolicyPeer = s.object('io.k8s.api.networking.v1.NetworkPolicyPeer', {
  podSelector: s.of(1, labelSelector),
  namespaceSelector: s.of(2, labelSelector),
  ipBlock: s.of(3, ipBlock),
})
export type NetworkPolicyPeer = TypeOf<typeof networkPolicyPeer>
export const networkPolicyPort = s.object('io.k8s.api.networking.v1.NetworkPolicyPort', {
  protocol: s.oneOf(1, ['TCP', 'UDP', 'SCTP'], { pointer: true, default: 'TCP' }),
  port: s.intOrString(2),
  endPort: s.int32(3, { pointer: true }),
})
export type NetworkPolicyPort = TypeOf<typeof networkPolicyPort>
export const networkPolicyIngressRule = s.object('io.k8s.api.networking.v1.NetworkPolicyIngressRule', {
  ports: s.list(1, networkPolicyPort),
  from: s.list(2, networkPolicyPeer),
})
export const networkPolicyEgressRule = s.object('io.k8s.api.networking.v1.NetworkPolicyEgressRule', {
  ports: s.list(1, networkPolicyPort),
  to: s.list(2, networkPolicyPeer),
})
export const networkPolicySpec = s.object('io.k8s.api.networking.v1.NetworkPolicySpec', {
  podSelector: s.of(1, labelSelector, { required: true, default: {} }),
  ingress: s.list(2, networkPolicyIngressRule),
  egress: s.list(3, networkPolicyEgressRule),
  policyTypes: s.list(4, scalars.string),
})
export type NetworkPolicySpec = TypeOf<typeof networkPolicySpec>
export const networkPolicySchema = s.object('io.k8s.api.networking.v1.NetworkPolicy', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, networkPolicySpec, { default: {} }),
})
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
