// How long to wait before trying again. Pure: the caller counts the failures and gives the randomness.

export type Backoff = { readonly firstMs: number; readonly mostMs: number }

/**
 * Doubles from `firstMs` up to `mostMs`; `jitter` in [0, 1) takes away up to a half, so that those who failed together
 * do not come back together. `failures` is 1 after the first.
 */
export function backoffMs(failures: number, { firstMs, mostMs }: Backoff, jitter: number): number {
  const full = Math.min(mostMs, firstMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30))
  return Math.round(full * (1 - jitter / 2))
}
