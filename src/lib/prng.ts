// A small seeded generator (xoshiro128**, Blackman and Vigna 2018) for simulations and jitter. Not for secrets.

export type Prng = {
  /** In [0, 1). */
  float(): number
  /** An integer in [0, below). */
  below(below: number): number
  /** True with the given probability. */
  chance(probability: number): boolean
  bytes(count: number): Uint8Array
}

export function prng(seed: number): Prng {
  const state = new Uint32Array(4)
  let mix = seed >>> 0
  for (let i = 0; i < 4; i++) {
    // splitmix32 spreads a small seed over the whole state.
    mix = (mix + 0x9e3779b9) >>> 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    state[i] = (z ^ (z >>> 16)) >>> 0
  }
  const rotate = (x: number, k: number) => ((x << k) | (x >>> (32 - k))) >>> 0
  function next(): number {
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = state
    const result = Math.imul(rotate(Math.imul(s1, 5) >>> 0, 7), 9) >>> 0
    state[2] = s2 ^ s0
    state[3] = s3 ^ s1
    state[1] = s1 ^ (state[2] ?? 0)
    state[0] = s0 ^ (state[3] ?? 0)
    state[2] = (state[2] ?? 0) ^ (s1 << 9)
    state[3] = rotate(state[3] ?? 0, 11)
    return result
  }
  const float = () => next() / 2 ** 32
  return {
    float,
    below: below => Math.floor(float() * below),
    chance: probability => float() < probability,
    bytes: count => Uint8Array.from({ length: count }, () => next() & 0xff),
  }
}
