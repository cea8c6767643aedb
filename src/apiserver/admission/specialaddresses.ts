// Who writes endpoints, or external addresses of a Service, sends the traffic of others somewhere: never to a machine's own
// loopback, nor to its link, where a cloud keeps its secrets (CVE-2020-8555, CVE-2020-8558). Upstream's
// ValidateNonSpecialIP (pkg/apis/core/validation), but that our own controllers may tell of peers that know each other by
// loopback addresses alone, as those of a try-out on one machine do.
import { invalid } from '../../api/error.ts'
import { invalidValue } from '../../api/field.ts'
import type { FieldError, KubeObject } from '../../api/kind.ts'
import { type Endpoints, endpoints } from '../../api/kinds/endpoints.ts'
import { type EndpointSlice, endpointSlice } from '../../api/kinds/endpointslice.ts'
import { type Service, service } from '../../api/kinds/service.ts'
import { type Ip, isIpv4Mapped, parseIp, parsePrefix, prefixContains } from '../../lib/ip.ts'
import { isMaster } from '../authorize.ts'
import type { Plugin } from './admission.ts'

const prefixes = (...texts: readonly string[]) => texts.flatMap(text => parsePrefix(text) ?? [])
const loopback = 'may not be in the loopback range (127.0.0.0/8, ::1/128)'
const special = [
  { why: 'may not be unspecified (0.0.0.0 or ::)', covers: prefixes('0.0.0.0/32', '::/128') },
  { why: loopback, covers: prefixes('127.0.0.0/8', '::1/128') },
  {
    why: 'may not be in the link-local range (169.254.0.0/16, fe80::/10)',
    covers: prefixes('169.254.0.0/16', 'fe80::/10'),
  },
  {
    why: 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
    covers: prefixes('224.0.0.0/24', 'ff02::/16'),
  },
]

function wrong(address: string): string | undefined {
  const ip = parseIp(address)
  if (ip === undefined) return undefined
  const plain: Ip = isIpv4Mapped(ip) ? { family: 4, value: ip.value & 0xffffffffn } : ip
  return special.find(({ covers }) => covers.some(prefix => prefixContains(prefix, plain)))?.why
}

type Named = readonly [path: string, address: string]

function addressesOf(object: KubeObject): readonly Named[] {
  if (object.kind === service.kind) {
    return ((object as Service).spec.externalIPs ?? []).map((ip, i) => [`spec.externalIPs[${i}]`, ip])
  }
  if (object.kind === endpointSlice.kind) {
    const { addressType, endpoints: all = [] } = object as EndpointSlice
    if (addressType === 'FQDN') return []
    return all.flatMap(({ addresses = [] }, i) =>
      addresses.map((address, j): Named => [`endpoints[${i}].addresses[${j}]`, address]),
    )
  }
  return ((object as Endpoints).subsets ?? []).flatMap(({ addresses = [], notReadyAddresses = [] }, i) =>
    Object.entries({ addresses, notReadyAddresses }).flatMap(([list, items]) =>
      items.map(({ ip }, j): Named => [`subsets[${i}].${list}[${j}].ip`, ip]),
    ),
  )
}

export const specialAddresses: Plugin = {
  name: 'SpecialAddresses',
  handles: ({ kind, verb, subresource }) =>
    [service, endpoints, endpointSlice].some(each => each === kind) &&
    subresource === undefined &&
    (verb === 'CREATE' || verb === 'UPDATE'),
  validate: ({ kind, object, old, name, identity }) => {
    // What was let in before stays changeable, so that it can be mended.
    const before = new Set(old === undefined ? [] : addressesOf(old).map(([, address]) => address))
    const isOwn = identity.user === 'system:kube-controller-manager' && isMaster(identity)
    const errors = addressesOf(object as KubeObject).flatMap(([path, address]): readonly FieldError[] => {
      const why = before.has(address) ? undefined : wrong(address)
      return why === undefined || (isOwn && why === loopback) ? [] : [invalidValue(path, address, why)]
    })
    if (errors.length > 0) throw invalid(kind, name, errors)
    return undefined
  },
}
