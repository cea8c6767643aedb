// IPv4 addresses and CIDR blocks as numbers. Total: what is not an address gives undefined, never a wrong number.

/** An address as an unsigned 32-bit integer. */
export type Ipv4 = number

export type Cidr = {
  /** The first address; the bits below the prefix are 0. */
  readonly base: Ipv4
  /** 0 to 32. */
  readonly prefix: number
}

const octet = '(0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])'
const addressPattern = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}$`)

/** Dotted decimal without leading zeros, as Kubernetes writes it; anything else is undefined. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const match = addressPattern.exec(text)
  if (match === null) return undefined
  return match.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0)
}

export function formatIpv4(address: Ipv4): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 255).join('.')
}

/** How many addresses a block of this prefix has. */
export function sizeOf(cidr: Cidr): number {
  return 2 ** (32 - cidr.prefix)
}

function baseOf(address: Ipv4, prefix: number): Ipv4 {
  return prefix === 0 ? 0 : ((address >>> (32 - prefix)) << (32 - prefix)) >>> 0
}

/** `10.42.1.7/24` is the block that holds the address: its base is 10.42.1.0. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefixText = '', ...rest] = text.split('/')
  const parsed = parseIpv4(address)
  if (parsed === undefined || rest.length > 0 || !/^(\d|[12]\d|3[0-2])$/.test(prefixText)) return undefined
  const prefix = Number(prefixText)
  return { base: baseOf(parsed, prefix), prefix }
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIpv4(cidr.base)}/${cidr.prefix}`
}

export function contains(cidr: Cidr, address: Ipv4): boolean {
  return baseOf(address, cidr.prefix) === cidr.base
}

/** Two blocks share addresses exactly when one holds the other's base. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, b.base) || contains(b, a.base)
}

/** The address `index` places after the base, or undefined when that is outside. Index -1 is the last one. */
export function nth(cidr: Cidr, index: number): Ipv4 | undefined {
  const at = index < 0 ? sizeOf(cidr) + index : index
  return Number.isInteger(at) && at >= 0 && at < sizeOf(cidr) ? cidr.base + at : undefined
}

/** How many blocks of `prefix` fit into `cidr`; 0 when it is smaller than one. */
export function subnetCount(cidr: Cidr, prefix: number): number {
  return prefix < cidr.prefix || prefix > 32 ? 0 : 2 ** (prefix - cidr.prefix)
}

/** The block of `prefix` at `index`, or undefined when there is none. `subnet(10.42.0.0/16, 24, 1)` is 10.42.1.0/24. */
export function subnet(cidr: Cidr, prefix: number, index: number): Cidr | undefined {
  if (!Number.isInteger(index) || index < 0 || index >= subnetCount(cidr, prefix)) return undefined
  return { base: cidr.base + index * 2 ** (32 - prefix), prefix }
}

/** The first block of `prefix` within `cidr` that overlaps none of `taken`; undefined when it is full. */
export function freeSubnet(cidr: Cidr, prefix: number, taken: readonly Cidr[]): Cidr | undefined {
  const count = subnetCount(cidr, prefix)
  for (let index = 0; index < count; index++) {
    const candidate = subnet(cidr, prefix, index)
    if (candidate !== undefined && !taken.some(block => overlaps(block, candidate))) return candidate
  }
  return undefined
}

/** Text to text, for the many places that hold addresses as Kubernetes does: as strings. */
export function cidrContains(cidr: string, address: string): boolean {
  const block = parseCidr(cidr)
  const parsed = parseIpv4(address)
  return block !== undefined && parsed !== undefined && contains(block, parsed)
}

/** The node's own address in the pod network: the one after the block's base. Pods begin with the next. */
export function nodePodIpOf(podCidr: string): string | undefined {
  const block = parseCidr(podCidr)
  const address = block === undefined ? undefined : nth(block, 1)
  return address === undefined ? undefined : formatIpv4(address)
}
