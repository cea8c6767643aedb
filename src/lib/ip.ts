// IP addresses and prefixes of both families as numbers (RFC 4291, RFC 5952). Total: what is no address gives undefined.
// For IPv4 alone, as the overlay and the service range use it, cidr.ts is enough.

export type Ip = { readonly family: 4 | 6; readonly value: bigint }
export type Prefix = { readonly ip: Ip; readonly length: number }

const ipv4Mapped = 0xffffn << 32n

/** Decimal parts may have leading zeros, as very old manifests write them: whoever minds looks with `formatIp`. */
export function parseIp(text: string): Ip | undefined {
  if (!text.includes(':')) {
    const value = ipv4Of(text)
    return value === undefined ? undefined : { family: 4, value }
  }
  const value = ipv6Of(text)
  return value === undefined ? undefined : { family: 6, value }
}

/** '10.0.0.0/8' or 'fd00::/8'; bits beyond the prefix may be set. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address = '', length = '', ...rest] = text.split('/')
  const ip = parseIp(address)
  if (ip === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length)) return undefined
  return Number(length) <= bitsOf(ip) ? { ip, length: Number(length) } : undefined
}

/** The one way to write it: no leading zeros, and the longest run of zero groups as '::'. */
export function formatIp({ family, value }: Ip): string {
  if (family === 4) return formatIpv4(value)
  if (isIpv4Mapped({ family, value })) return `::ffff:${formatIpv4(value & 0xffffffffn)}`
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(16 * (7 - i))) & 0xffffn).toString(16))
  const zeros = [...groups.join(':').matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)]
  const longest = zeros.reduce((best, [run]) => (run.length > best.length ? run : best), '')
  if (longest === '') return groups.join(':')
  const [head = '', ...tail] = groups.join(':').split(new RegExp(`(?<![0-9a-f])${longest}(?![0-9a-f])`))
  return `${head.replace(/:$/, '')}::${tail.join(longest).replace(/^:/, '')}`
}

/** The first address that a prefix covers. */
export function networkOf({ ip, length }: Prefix): Ip {
  const host = BigInt(bitsOf(ip) - length)
  return { family: ip.family, value: (ip.value >> host) << host }
}

export function prefixContains(prefix: Prefix, ip: Ip): boolean {
  return prefix.ip.family === ip.family && networkOf({ ip, length: prefix.length }).value === networkOf(prefix).value
}

/** An IPv4 address in the clothes of IPv6: '::ffff:10.0.0.1'. */
export function isIpv4Mapped({ family, value }: Ip): boolean {
  return family === 6 && value >> 32n === ipv4Mapped >> 32n
}

function bitsOf(ip: Ip): number {
  return ip.family === 4 ? 32 : 128
}

function formatIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map(shift => String((value >> shift) & 255n)).join('.')
}

function ipv4Of(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n)
}

function ipv6Of(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const lists = halves.map(half => (half === '' ? [] : groupsOf(half.split(':'))))
  const [head, tail] = lists
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
  const missing = 8 - head.length - (tail?.length ?? 0)
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...(tail ?? [])]
  return groups.reduce((sum, group) => (sum << 16n) + group, 0n)
}

/** The last part may be an IPv4 address: it is worth two groups. */
function groupsOf(parts: readonly string[]): readonly bigint[] | undefined {
  const groups: bigint[] = []
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(BigInt(`0x${part}`))
      continue
    }
    const value = i === parts.length - 1 ? ipv4Of(part) : undefined
    if (value === undefined) return undefined
    groups.push(value >> 16n, value & 0xffffn)
  }
  return groups
}
