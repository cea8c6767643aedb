// etcd names clusters and members by 64-bit numbers, we by text: the same text always gives the same number.
const offsetBasis = 0xcbf29ce484222325n
const prime = 0x100000001b3n

/** FNV-1a over the text's octets. Never 0, which etcd takes for none. */
export function numberOf(text: string): bigint {
  let hash = offsetBasis
  for (const octet of Buffer.from(text, 'utf8')) hash = BigInt.asUintN(64, (hash ^ BigInt(octet)) * prime)
  return hash === 0n ? 1n : hash
}
