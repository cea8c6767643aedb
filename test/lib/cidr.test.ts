import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  cidrContains,
  contains,
  formatCidr,
  formatIpv4,
  freeSubnet,
  nodePodIpOf,
  nth,
  overlaps,
  parseCidr,
  parseIpv4,
  sizeOf,
  subnet,
  subnetCount,
} from '../../src/lib/cidr.ts'

const address = fc.nat({ max: 2 ** 32 - 1 })
const block = fc.record({ address, prefix: fc.nat({ max: 32 }) }).map(({ address, prefix }) => {
  const parsed = parseCidr(`${formatIpv4(address)}/${prefix}`)
  if (parsed === undefined) throw new Error('unparsed')
  return parsed
})
/** The naive twin: bits as text. */
const bits = (ip: number, prefix: number) => ip.toString(2).padStart(32, '0').slice(0, prefix)

test('an address survives text and back', () => {
  fc.assert(fc.property(address, ip => parseIpv4(formatIpv4(ip)) === ip))
})

test('a block holds exactly the addresses that share its first bits', () => {
  fc.assert(
    fc.property(block, address, (cidr, ip) => {
      expect(contains(cidr, ip)).toBe(bits(cidr.base, cidr.prefix) === bits(ip, cidr.prefix))
    }),
  )
})

test('the nth address is in the block, one past the last is not there', () => {
  fc.assert(
    fc.property(block, fc.nat({ max: 2 ** 32 }), (cidr, index) => {
      const ip = nth(cidr, index)
      expect(ip !== undefined).toBe(index < sizeOf(cidr))
      if (ip !== undefined) expect(contains(cidr, ip)).toBe(true)
      expect(nth(cidr, -1)).toBe(cidr.base + sizeOf(cidr) - 1)
    }),
  )
})

test('the subnets of a block are disjoint, and together as large as it', () => {
  fc.assert(
    fc.property(fc.nat({ max: 24 }), fc.nat({ max: 5 }), address, (prefix, more, ip) => {
      const cidr = parseCidr(`${formatIpv4(ip)}/${prefix}`)
      if (cidr === undefined) throw new Error('unparsed')
      const count = subnetCount(cidr, prefix + more)
      const parts = Array.from({ length: count }, (_, i) => subnet(cidr, prefix + more, i))
      expect(parts.reduce((sum, part) => sum + (part === undefined ? 0 : sizeOf(part)), 0)).toBe(sizeOf(cidr))
      parts.forEach((a, i) => {
        if (a === undefined) throw new Error('a subnet is missing')
        expect(overlaps(cidr, a)).toBe(true)
        const b = parts[i + 1]
        if (b !== undefined) expect(overlaps(a, b)).toBe(false)
      })
      expect(subnet(cidr, prefix + more, count)).toBeUndefined()
    }),
  )
})

test('two blocks overlap exactly when the shorter prefix agrees', () => {
  fc.assert(
    fc.property(block, block, (a, b) => {
      const shorter = Math.min(a.prefix, b.prefix)
      expect(overlaps(a, b)).toBe(bits(a.base, shorter) === bits(b.base, shorter))
    }),
  )
})

test('parsing takes anything, and gives only what it can write again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9./]{0,20}$/)), text => {
      const ip = parseIpv4(text)
      if (ip !== undefined) expect(formatIpv4(ip)).toBe(text)
      const cidr = parseCidr(text)
      if (cidr !== undefined) expect(parseCidr(formatCidr(cidr))).toEqual(cidr)
    }),
  )
  for (const text of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.4 ', '::1'])
    expect(parseIpv4(text)).toBeUndefined()
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/8/8', '/8'])
    expect(parseCidr(text)).toBeUndefined()
})

test('a free subnet is the first that touches none of those taken', () => {
  const cluster = parseCidr('10.42.0.0/16')
  const taken = ['10.42.0.0/24', '10.42.1.128/25', '10.42.3.0/24']
    .map(text => parseCidr(text))
    .filter(cidr => cidr !== undefined)
  if (cluster === undefined) throw new Error('unparsed')
  const free = freeSubnet(cluster, 24, taken)
  expect(free && formatCidr(free)).toBe('10.42.2.0/24')
  expect(freeSubnet(cluster, 24, [cluster])).toBeUndefined()
  expect(nodePodIpOf('10.42.2.0/24')).toBe('10.42.2.1')
  expect(cidrContains('10.42.0.0/16', '10.42.200.1')).toBe(true)
  expect(cidrContains('10.42.0.0/16', '10.43.0.1')).toBe(false)
})
