// Leases as all replicas know them: which there are, how long each lives when it is granted or renewed, and which keys
// live by it. How much of the time is left is not here: only the leader counts it (store/run-leases.ts), and a lease
// ends by a command of the log.
import type { LeaseId } from './txn.ts'

/** As etcd's with our election time-out: a shorter one could not outlive a change of leader. */
export const leaseSecondsMin = 2
/** etcd's MaxLeaseTTL. */
export const leaseSecondsMax = 9_000_000_000

export type Lease = { readonly ttlSeconds: number; readonly keys: Set<string> }

export type Leases = Map<LeaseId, Lease>

export function grantedSeconds(asked: number): number {
  return Math.min(Math.max(Math.ceil(asked), leaseSecondsMin), leaseSecondsMax)
}

/** Above what people choose, so that those do not meet these. */
const chosenMin = 2 ** 52

/** An unused ID for the lease that entry `index` grants: the same on every replica. */
export function freeLease(leases: Leases, index: number): LeaseId {
  let lease = chosenMin + (index % chosenMin)
  while (leases.has(lease)) lease = lease === Number.MAX_SAFE_INTEGER ? chosenMin : lease + 1
  return lease
}

/** A key lives by one lease at most; 0 stands for none. */
export function moveKey(leases: Leases, key: string, from: LeaseId, to: LeaseId): void {
  if (from === to) return
  leases.get(from)?.keys.delete(key)
  leases.get(to)?.keys.add(key)
}
