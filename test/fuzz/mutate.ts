// Ways to spoil bytes that once made sense. The names are features: each target must see all of them.
import type { Prng } from '../../src/lib/prng.ts'

export const spoils = [
  'bit flipped',
  'byte set',
  'number set',
  'range zeroed',
  'range lost',
  'range doubled',
  'bytes put in',
  'cut short',
  'made longer',
] as const

export type Spoil = (typeof spoils)[number]

const bytesOfInterest = [0, 1, 0x0f, 0x7f, 0x80, 0xf1, 0xff]
const numbersOfInterest = [0, 1, 0x7f, 0x80, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff]

/** A copy with something wrong in it, and what. */
export function spoil(bytes: Uint8Array, random: Prng): { bytes: Uint8Array; how: Spoil } {
  const how = pick(spoils, random)
  return { bytes: change(bytes, how, random), how }
}

function change(bytes: Uint8Array, how: Spoil, random: Prng): Uint8Array {
  const at = random.below(bytes.length + 1)
  const length = random.below(Math.min(64, bytes.length - at) + 1)
  const copy = bytes.slice()
  switch (how) {
    case 'bit flipped':
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
      return copy
    case 'byte set':
      if (at < copy.length) copy[at] = pick(bytesOfInterest, random)
      return copy
    case 'number set':
      if (at + 4 <= copy.length) {
        const isNear = random.chance(0.3)
        const number = isNear
          ? Math.max(0, bytes.length - at - 4 + random.below(5) - 2)
          : pick(numbersOfInterest, random)
        new DataView(copy.buffer).setUint32(at, number, random.chance(0.5))
      }
      return copy
    case 'range zeroed':
      return copy.fill(0, at, at + length)
    case 'range lost':
      return join(bytes.subarray(0, at), bytes.subarray(at + length))
    case 'range doubled':
      return join(bytes.subarray(0, at + length), bytes.subarray(at))
    case 'bytes put in':
      return join(bytes.subarray(0, at), random.bytes(1 + random.below(16)), bytes.subarray(at))
    case 'cut short':
      return copy.subarray(0, at)
    case 'made longer':
      return join(bytes, random.chance(0.5) ? random.bytes(1 + random.below(64)) : new Uint8Array(random.below(600)))
  }
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

export function pick<T>(list: readonly T[], random: Prng): T {
  const item = list[random.below(list.length)]
  if (item === undefined) throw new Error('there is nothing to pick from')
  return item
}

export const some = <T>(countMax: number, random: Prng, make: (i: number) => T): T[] =>
  Array.from({ length: random.below(countMax + 1) }, (_, i) => make(i))

/** Numbers of every size up to 2^53 - 1, the borders often. */
export function wholeNumber(random: Prng): number {
  if (random.chance(0.1)) return pick([0, 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER], random)
  return Math.floor(2 ** (random.float() * 52))
}

/** As keys and values are: characters up to U+00FF. */
export function chars(lengthMax: number, random: Prng): string {
  return String.fromCharCode(...random.bytes(random.below(lengthMax + 1)))
}

/**
 * What a target makes of something valid: left alone, spoiled once or more, or rubbish from the start. `seal` puts the
 * checksums right again, so that what is behind them is reached too.
 */
export function inputs(
  random: Prng,
  valid: Uint8Array,
  seal?: (bytes: Uint8Array) => Uint8Array,
  leftAloneChance = 0.15,
) {
  const features = new Set<string>()
  if (random.chance(leftAloneChance)) {
    features.add('left alone')
    return { bytes: valid, features }
  }
  if (random.chance(0.06)) {
    features.add('rubbish')
    return { bytes: random.bytes(random.below(400)), features }
  }
  let bytes = valid
  for (let i = 1 + random.below(3); i > 0; i--) {
    const spoiled = spoil(bytes, random)
    bytes = spoiled.bytes
    features.add(spoiled.how)
  }
  if (seal !== undefined && random.chance(0.5)) {
    features.add('sealed again')
    bytes = seal(bytes)
  }
  return { bytes, features }
}

export const inputFeatures = [...spoils, 'left alone', 'rubbish'] as const
