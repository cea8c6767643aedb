// Ways in which a network falls apart, after the nemeses of Jepsen: each is a set of directed pairs that hear nothing.
// Several may hold at a time, and one may flap.
import type { Prng } from '../../src/lib/prng.ts'

export const partitionKinds = ['isolate', 'halves', 'one way halves', 'deaf', 'mute', 'ring', 'bridge', 'some'] as const
export type PartitionKind = (typeof partitionKinds)[number]

/** `from` is not heard by `to`. */
export type Pair<T> = readonly [from: T, to: T]

export type Partition<T> = { readonly kind: PartitionKind; readonly pairs: readonly Pair<T>[] }

/** Of one member, when the kind has one, it is `victim`. */
export function partition<T>(kind: PartitionKind, members: readonly T[], victim: T, random: Prng): Partition<T> {
  const order = shuffled(members, random)
  const place = new Map(order.map((member, i) => [member, i]))
  const at = (member: T) => place.get(member) ?? 0
  const half = order.length / 2
  const middle = Math.floor(half)
  const cuts = (a: T, b: T): boolean => {
    switch (kind) {
      case 'isolate':
        return a === victim || b === victim
      case 'halves':
        return at(a) < half !== at(b) < half
      case 'one way halves':
        return at(a) < half && at(b) >= half
      case 'deaf':
        return b === victim
      case 'mute':
        return a === victim
      case 'ring': {
        // Everyone hears two neighbours: a majority of five, and each member another one.
        const distance = Math.abs(at(a) - at(b))
        return distance > 1 && distance < order.length - 1
      }
      case 'bridge':
        // Two sides that only the one in the middle hears both of.
        return at(a) < middle !== at(b) < middle && at(a) !== middle && at(b) !== middle
      case 'some':
        return random.chance(0.3)
    }
  }
  const pairs: Pair<T>[] = []
  for (const a of members) for (const b of members) if (a !== b && cuts(a, b)) pairs.push([a, b])
  return { kind, pairs }
}

export function shuffled<T>(list: readonly T[], random: Prng): T[] {
  const all = [...list]
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const [a, b] = [all[i], all[j]]
    if (a === undefined || b === undefined) continue
    all[i] = b
    all[j] = a
  }
  return all
}
