// IP addresses and CIDRs of both families as numbers, read and written as Go's net/netip does.

export type Address = { readonly family: 4 | 6; readonly value: bigint }
export type Prefix = { readonly address: Address; readonly length: number }

export const bitsOf = (family: 4 | 6): number => (family === 4 ? 32 : 128)

/** Otherwise why it is none. An IPv4 address in an IPv6 one and a zone are refused, because they hide what is meant. */
export function parseAddress(text: string): Address | string {
  const quoted = JSON.stringify(text)
  if (text.includes('%')) return `IP address ${quoted} with zone value is not allowed`
  const value = text.includes(':') ? parseV6(text) : undefined
  if (value !== undefined) {
    if (value >> 32n === 0xffffn) return `IPv4-mapped IPv6 address ${quoted} is not allowed`
    return { family: 6, value }
  }
  const v4 = parseV4(text)
  return v4 === undefined ? `ParseAddr(${quoted}): unable to parse IP` : { family: 4, value: v4 }
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n)
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [before, after] = halves.map(groupsOf)
  if (before === undefined || (halves.length === 2 && after === undefined)) return undefined
  const missing = 8 - before.length - (after?.length ?? 0)
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...(after ?? [])]
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n)
}

/** Groups of 16 bits; the last two may be written as an IPv4 address. */
function groupsOf(text: string): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const last = parts.at(-1) ?? ''
  const v4 = last.includes('.') ? parseV4(last) : undefined
  if (last.includes('.') && v4 === undefined) return undefined
  const plain = v4 === undefined ? parts : parts.slice(0, -1)
  if (!plain.every(part => /^[0-9A-Fa-f]{1,4}$/.test(part))) return undefined
  const groups = plain.map(part => Number.parseInt(part, 16))
  return v4 === undefined ? groups : [...groups, Number(v4 >> 16n), Number(v4 & 0xffffn)]
}

/** The canonical text: RFC 5952 for IPv6. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 0xffn).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))
  const { start, length } = longestZeros(groups)
  const hex = (part: readonly number[]): string => part.map(group => group.toString(16)).join(':')
  if (length < 2) return hex(groups)
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  return best
}

export function parsePrefix(text: string): Prefix | string {
  const wrong = `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)})`
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text)
  if (match === null)
    return match === null && !text.includes('/') ? `${wrong}: no '/'` : `${wrong}: bad bits after slash`
  const address = parseAddress(match[1] ?? '')
  if (typeof address === 'string') return `${wrong}: ${address}`
  const length = Number(match[2])
  return length > bitsOf(address.family) ? `${wrong}: prefix length out of range` : { address, length }
}

/** The address with all but the prefix's bits zero. */
export function masked({ address, length }: Prefix): Address {
  const rest = BigInt(bitsOf(address.family) - length)
  return { family: address.family, value: (address.value >> rest) << rest }
}

export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (prefix.address.family !== address.family) return false
  return masked(prefix).value === masked({ address, length: prefix.length }).value
}

export const formatPrefix = ({ address, length }: Prefix): string => `${formatAddress(address)}/${length}`
