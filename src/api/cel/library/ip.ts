// IP addresses and CIDRs: cidr('10.0.0.0/8').containsIP(ip('10.1.2.3'))
// (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library).
import { type Argument, type Library, method, type Overload, overload } from '../../../lib/cel/env.ts'
import { fixed, plus, scaled, traversal, traversed } from '../../../lib/cel/estimates.ts'
import { bool, int, opaque, string, type Type } from '../../../lib/cel/types.ts'
import { Failure, Opaque, type Result, type Value } from '../../../lib/cel/values.ts'
import {
  type Address,
  bitsOf,
  formatAddress,
  formatPrefix,
  masked,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixContains,
} from './address.ts'

const ipType = opaque('net.IP')
const cidrType = opaque('net.CIDR')

class IpValue extends Opaque {
  override readonly typeName = 'net.IP'
  readonly address: Address
  constructor(address: Address) {
    super()
    this.address = address
  }
  override get size(): number {
    return bitsOf(this.address.family) / 8
  }
  override equals(other: Opaque): boolean {
    return (
      other instanceof IpValue &&
      other.address.family === this.address.family &&
      other.address.value === this.address.value
    )
  }
}

class CidrValue extends Opaque {
  override readonly typeName = 'net.CIDR'
  readonly prefix: Prefix
  constructor(prefix: Prefix) {
    super()
    this.prefix = prefix
  }
  override get size(): number {
    return Math.ceil(this.prefix.length / 8)
  }
  override equals(other: Opaque): boolean {
    return other instanceof CidrValue && formatPrefix(other.prefix) === formatPrefix(this.prefix)
  }
}

function ip(text: string): Result {
  const address = parseAddress(text)
  if (typeof address !== 'string') return new IpValue(address)
  return new Failure(`IP Address ${JSON.stringify(text)} parse error during conversion from string: ${address}`)
}

function cidr(text: string): Result {
  const prefix = parsePrefix(text)
  return typeof prefix === 'string' ? new Failure(prefix) : new CidrValue(prefix)
}

function isCanonical(text: string): Result {
  const address = parseAddress(text)
  if (typeof address !== 'string') return formatAddress(address) === text
  return new Failure(`IP Address ${JSON.stringify(text)} parse error during conversion from string: ${address}`)
}

const within = (address: Address, prefix: string): boolean => {
  const parsed = parsePrefix(prefix)
  return typeof parsed !== 'string' && prefixContains(parsed, address)
}

const isUnspecified = ({ value }: Address): boolean => value === 0n
const isLoopback = (address: Address): boolean => within(address, '127.0.0.0/8') || within(address, '::1/128')
const isLinkLocalMulticast = (address: Address): boolean =>
  within(address, '224.0.0.0/24') ||
  (address.family === 6 && address.value >> 120n === 0xffn && ((address.value >> 112n) & 0xfn) === 2n)
const isLinkLocalUnicast = (address: Address): boolean =>
  within(address, '169.254.0.0/16') || within(address, 'fe80::/10')
const isMulticast = (address: Address): boolean => within(address, '224.0.0.0/4') || within(address, 'ff00::/8')
const isGlobalUnicast = (address: Address): boolean =>
  !isUnspecified(address) &&
  !within(address, '255.255.255.255/32') &&
  !isLoopback(address) &&
  !isMulticast(address) &&
  !isLinkLocalUnicast(address)

function containsCidr(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && prefixContains(outer, masked(inner))
}

const onIp = (id: string, result: Type, call: (address: Address) => Result): Overload =>
  method(id, [ipType], result, (value: IpValue) => call(value.address))
const onCidr = (id: string, result: Type, call: (prefix: Prefix) => Result): Overload =>
  method(id, [cidrType], result, (value: CidrValue) => call(value.prefix))

const parsing = { cost: (text: Value) => traversal(text) }
/** Two byte strings of at most 16 bytes are compared, and a text is read first. */
const containing = (more: number, reads: boolean): Pick<Overload, 'cost' | 'estimate'> => ({
  cost: (value, other) =>
    traversal(value, 2) + (more > 0 ? traversal(value) + 1 : 0) + (reads && other !== undefined ? traversal(other) : 0),
  estimate: (_value: Argument, other: Argument) => {
    const sizes = { min: 4, max: 16 }
    const base = scaled(plus(sizes, sizes), 0.1)
    const widened = more > 0 ? plus(plus(base, scaled(sizes, 0.1)), fixed(1)) : base
    return { cost: reads ? plus(widened, traversed(other)) : widened }
  },
})

export const ipLibrary: Library = {
  ip: [
    overload('string_to_ip', [string], ipType, ip, parsing),
    onCidr('cidr_ip', ipType, prefix => new IpValue(prefix.address)),
  ],
  isIP: [overload('is_ip', [string], bool, (text: string) => typeof parseAddress(text) !== 'string', parsing)],
  'ip.isCanonical': [
    overload('ip_is_canonical', [string], bool, isCanonical, { cost: (text: Value) => traversal(text, 2) }),
  ],
  family: [onIp('ip_family', int, address => address.family)],
  isUnspecified: [onIp('ip_is_unspecified', bool, isUnspecified)],
  isLoopback: [onIp('ip_is_loopback', bool, isLoopback)],
  isLinkLocalMulticast: [onIp('ip_is_link_local_multicast', bool, isLinkLocalMulticast)],
  isLinkLocalUnicast: [onIp('ip_is_link_local_unicast', bool, isLinkLocalUnicast)],
  isGlobalUnicast: [onIp('ip_is_global_unicast', bool, isGlobalUnicast)],
  string: [
    overload('ip_to_string', [ipType], string, (value: IpValue) => formatAddress(value.address)),
    overload('cidr_to_string', [cidrType], string, (value: CidrValue) => formatPrefix(value.prefix)),
  ],
  cidr: [overload('string_to_cidr', [string], cidrType, cidr, parsing)],
  isCIDR: [overload('is_cidr', [string], bool, (text: string) => typeof parsePrefix(text) !== 'string', parsing)],
  containsIP: [
    method(
      'cidr_contains_ip_string',
      [cidrType, string],
      bool,
      ({ prefix }: CidrValue, text: string) => {
        const address = parseAddress(text)
        return typeof address === 'string' ? ip(text) : prefixContains(prefix, address)
      },
      containing(0, true),
    ),
    method(
      'cidr_contains_ip_ip',
      [cidrType, ipType],
      bool,
      ({ prefix }: CidrValue, { address }: IpValue) => prefixContains(prefix, address),
      containing(0, false),
    ),
  ],
  containsCIDR: [
    method(
      'cidr_contains_cidr_string',
      [cidrType, string],
      bool,
      ({ prefix }: CidrValue, text: string) => {
        const inner = parsePrefix(text)
        return typeof inner === 'string' ? new Failure(inner) : containsCidr(prefix, inner)
      },
      containing(1, true),
    ),
    method(
      'cidr_contains_cidr',
      [cidrType, cidrType],
      bool,
      (outer: CidrValue, inner: CidrValue) => containsCidr(outer.prefix, inner.prefix),
      containing(1, false),
    ),
  ],
  masked: [
    onCidr('cidr_masked', cidrType, prefix => new CidrValue({ address: masked(prefix), length: prefix.length })),
  ],
  prefixLength: [onCidr('cidr_prefix_length', int, prefix => prefix.length)],
}
