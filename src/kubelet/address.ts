// Pod addresses: the node's podCIDR, handed out in a circle so that an address rests before it is used again.
import { formatIpv4, nodePodIpOf, nth, parseCidr, parseIpv4, sizeOf } from '../lib/cidr.ts'

/** The next free address after `last`; the first of the range is the node's own. undefined: none is free. */
export function nextAddress(podCidr: string, used: ReadonlySet<string>, last: string | undefined): string | undefined {
  const block = parseCidr(podCidr)
  if (block === undefined) return undefined
  const size = sizeOf(block)
  const lastOffset = (parseIpv4(last ?? '') ?? block.base) - block.base
  // One from another range, before the node was given this one, says nothing.
  const from = lastOffset > 0 && lastOffset < size ? lastOffset : 1
  for (let step = 1; step <= size; step++) {
    const offset = (from + step) % size
    // Leave out the network's own address, the node's, and the broadcast address.
    if (offset < 2 || offset === size - 1) continue
    const address = nth(block, offset)
    if (address !== undefined && !used.has(formatIpv4(address))) return formatIpv4(address)
  }
  return undefined
}

/** The node's own address in the pod network. Throws for what is no CIDR. */
export function nodePodIp(podCidr: string): string {
  const address = nodePodIpOf(podCidr)
  if (address === undefined) throw new Error(`"${podCidr}" is no IPv4 CIDR with room for a node`)
  return address
}
