// Which endpoint a connection gets, for the userspace dataplane: in turn, or the one that the client had (ClientIP
// affinity). Time is a parameter.
import type { Backend } from '../../world/dataplane.ts'

export type Balance = {
  readonly size: number
  /** Clients keep their endpoint over a change as long as it is still there. */
  set(backends: readonly Backend[], affinitySeconds: number | undefined): void
  has(ip: string, port: number): boolean
  /** Another endpoint than those that were `tried`; undefined when there is none left. */
  pick(client: string, nowMs: number, tried?: readonly Backend[]): Backend | undefined
}

/** Beyond this many remembered clients the one that was not seen for longest is forgotten. */
const clientsMax = 10_000

export function balance(): Balance {
  let backends: readonly Backend[] = []
  let affinityMs: number | undefined
  let turn = 0
  const clients = new Map<string, { readonly backend: Backend; readonly untilMs: number }>()

  const find = (ip: string, port: number) => backends.find(backend => backend.ip === ip && backend.port === port)

  function remember(client: string, backend: Backend, nowMs: number): void {
    if (affinityMs === undefined) return
    clients.delete(client)
    clients.set(client, { backend, untilMs: nowMs + affinityMs })
    const [oldest] = clients.keys()
    if (clients.size > clientsMax && oldest !== undefined) clients.delete(oldest)
  }

  return {
    get size() {
      return backends.length
    },
    set(next, affinitySeconds) {
      backends = next
      affinityMs = affinitySeconds === undefined ? undefined : affinitySeconds * 1_000
      if (affinityMs === undefined) clients.clear()
      for (const [client, { backend }] of clients)
        if (find(backend.ip, backend.port) === undefined) clients.delete(client)
    },
    has: (ip, port) => find(ip, port) !== undefined,
    pick(client, nowMs, tried = []) {
      const known = clients.get(client)
      const left = backends.filter(backend => !tried.includes(backend))
      const kept = known !== undefined && known.untilMs > nowMs ? find(known.backend.ip, known.backend.port) : undefined
      const chosen = kept !== undefined && left.includes(kept) ? kept : left[turn++ % Math.max(1, left.length)]
      if (chosen !== undefined) remember(client, chosen, nowMs)
      return chosen
    },
  }
}
