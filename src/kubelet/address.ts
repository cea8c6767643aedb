// Pod addresses: the node's podCIDR, handed out in a circle so that an address rests before it is used again.

/** The next free address after `last`; the first of the range is the node's own. undefined: none is free. */
export function nextAddress(podCidr: string, used: ReadonlySet<string>, last: string | undefined): string | undefined {
  const [base = '', length = '32'] = podCidr.split('/')
  const size = 2 ** (32 - Number(length))
  const first = numberOf(base)
  const from = last === undefined ? 1 : Math.max(numberOf(last) - first, 1)
  // Leave out the network's own address, the node's, and the broadcast address.
  for (let step = 1; step <= size; step++) {
    const offset = (from + step) % size
    if (offset < 2 || offset === size - 1) continue
    const address = textOf(first + offset)
    if (!used.has(address)) return address
  }
  return undefined
}

/** The node's own address in the pod network. */
export function nodePodIp(podCidr: string): string {
  return textOf(numberOf(podCidr.split('/')[0] ?? '') + 1)
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(number / 2 ** shift) % 256).join('.')
}
