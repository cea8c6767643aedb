// Rules for addresses and hosts that the kinds of networking.k8s.io share (upstream: IsValidIP, IsValidCIDR and their kin in
// apimachinery/pkg/util/validation). Fields of old took anything that can be read; newer ones want the canonical form.
import { formatIp, isIpv4Mapped, networkOf, parseIp, parsePrefix } from '../../lib/ip.ts'
import { invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { dnsSubdomain, type NameRule } from '../names.ts'

const ipSentence = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
const cidrSentence = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'

/** Anything that can be read as an address. */
export const anyIp: NameRule = text => (parseIp(text) === undefined ? ipSentence : undefined)

/** Only the canonical form: it is compared as text. */
export const strictIp: NameRule = text => {
  const ip = parseIp(text)
  if (ip === undefined) return ipSentence
  if (hasLeadingZeros(text)) return 'must not have leading 0s'
  if (isIpv4Mapped(ip)) return 'must not be an IPv4-mapped IPv6 address'
  return formatIp(ip) === text ? undefined : `must be in canonical form (${JSON.stringify(formatIp(ip))})`
}

export const anyCidr: NameRule = text => (parsePrefix(text) === undefined ? cidrSentence : undefined)

export const strictCidr: NameRule = text => {
  const prefix = parsePrefix(text)
  if (prefix === undefined) return cidrSentence
  const [address = '', length = ''] = text.split('/')
  if (hasLeadingZeros(address)) return 'must not have leading 0s in IP'
  if (/^0\d/.test(length)) return 'must not have leading 0s in prefix length'
  if (isIpv4Mapped(prefix.ip)) return 'must not have an IPv4-mapped IPv6 address'
  const canonical = `${formatIp(networkOf(prefix))}/${prefix.length}`
  if (networkOf(prefix).value !== prefix.ip.value) {
    return `must not have bits set beyond the prefix length`
  }
  return canonical === text ? undefined : `must be in canonical form (${JSON.stringify(canonical)})`
}

function hasLeadingZeros(address: string): boolean {
  return !address.includes(':') && /(^|\.)0\d/.test(address)
}

const labelFormat = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const wildcardFormat = `\\*\\.${labelFormat}(\\.${labelFormat})*`
const wildcardPattern = new RegExp(`^${wildcardFormat}$`)

/** '*.example.com'. */
const wildcardSubdomain: NameRule = text =>
  text.length > 253
    ? 'must be no more than 253 bytes'
    : wildcardPattern.test(text)
      ? undefined
      : `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '${wildcardFormat}')`

/** A host as certificates and HTTP know it: a DNS name, perhaps with '*' as its first label. */
export const hostName: NameRule = text => (text.includes('*') ? wildcardSubdomain(text) : dnsSubdomain(text))

/** Says what is wrong with a text that is there. */
export function ruled(path: string, text: string | undefined, rule: NameRule): readonly FieldError[] {
  const wrong = text === undefined || text === '' ? undefined : rule(text)
  return wrong === undefined ? [] : [invalidValue(path, text, wrong)]
}
