// Gossip that says what the test tells it to.
import type { Gossip, Member, MemberState } from '../../src/gossip/gossip.ts'
import { onAbort } from '../../src/lib/abort.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'
import type { World } from '../../src/world/world.ts'

export type ToldGossip = Gossip & { say(node: string, state: MemberState | undefined): void }

export function toldGossip(world: () => Pick<World, 'clock'>): ToldGossip {
  const members = new Map<PeerId, Member>()
  const listeners = new Set<() => void>()
  return {
    view: () => ({ members, endpoints: new Map() }),
    async *follow(signal) {
      while (!signal.aborted) {
        yield { members, endpoints: new Map() }
        const { promise, resolve } = Promise.withResolvers<void>()
        listeners.add(resolve)
        using _ = onAbort(signal, resolve)
        await promise
        listeners.delete(resolve)
      }
    },
    announce() {},
    say(node, state) {
      const peer = peerId(`peer-${node}`)
      const { clock } = world()
      const heardAtMs = state === 'alive' ? clock.nowMs() : (members.get(peer)?.heardAtMs ?? 0)
      if (state === undefined) members.delete(peer)
      else members.set(peer, { peer, state, sinceMs: clock.monotonicMs(), heardAtMs } as Member)
      for (const wake of [...listeners]) wake()
    },
  }
}
