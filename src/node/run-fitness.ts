// What a peer sees of the others' fitness to vote, for the leader's choice and for `kubectl get quorum`: gossiped vitals, and
// the way to each as its own greetings measured it.

import type { Quorum } from '../apiserver/quorum.ts'
import { defaultControllerConfig, type PeerVitals } from '../controllers/inputs.ts'
import { type Surroundings, surroundings } from '../controllers/membership.ts'
import type { Gossip } from '../gossip/gossip.ts'
import type { Node } from '../kubelet/node.ts'
import { aborted } from '../lib/abort.ts'
import type { PeerId } from '../world/network.ts'
import { partInEtcd, partInRaft, quorumOf } from './quorum.ts'
import { roundTripMs } from './run-greeting.ts'
import type { Member, Peer } from './run-member.ts'
import type { Members } from './run-members.ts'
import { openVitals } from './run-vitals.ts'
import type { Scope } from './scope.ts'
import { peerOf } from './status.ts'

const askMs = 3_000

export interface Fitness {
  vitalsOf(peer: PeerId): PeerVitals | undefined
  /** As the leader sees it; where no leader answers, as this peer does, without what only a leader knows. */
  quorum(signal: AbortSignal): Promise<readonly Quorum[]>
  /** For how long no vote has moved, as far as `moved` was called: by the leader, and when it begins to lead. */
  readonly votes: { restMs(): number; moved(): void }
}

export function openFitness(peer: Peer, member: Member, members: Members, gossip: Gossip, scope: Scope): Fitness {
  const { world, store, embedded, cluster, greeter, syncs } = member
  const { network, questions } = peer
  const vitals = openVitals(world, `vitals/${cluster.clusterId}`, syncs, scope.signal)
  let movedMs = world.clock.monotonicMs()

  const fitness: Fitness = {
    vitalsOf(who) {
      const told = vitals.of(who)
      const link = greeter.links().get(who)
      const way = who === network.self ? 0 : link === undefined ? undefined : roundTripMs(link)
      return {
        ...(told?.syncP99Ms !== undefined && { syncMs: told.syncP99Ms }),
        ...(told !== undefined && { upMs: told.upMs }),
        ...(way !== undefined && { roundTripMs: way }),
        ...(link !== undefined && { failures: link.failures }),
      }
    },
    async quorum(signal) {
      const { leader } = store.status()
      if (leader === undefined || leader === network.self) return own()
      try {
        using deadline = world.clock.deadline(askMs, signal)
        return await questions.ask<readonly Quorum[]>(leader, 'quorum', {}, deadline.signal)
      } catch (error) {
        world.log.debug('the leader did not tell of the quorum', { error: String(error) })
        return own()
      }
    },
    votes: {
      restMs: () => world.clock.monotonicMs() - movedMs,
      moved() {
        movedMs = world.clock.monotonicMs()
      },
    },
  }

  function own(): readonly Quorum[] {
    const nodes = members.nodes.view.list()
    const status = store.status()
    const partOf = embedded === undefined ? partInEtcd(status) : partInRaft(status, around(nodes))
    return quorumOf(status, nodes, gossip.view(), fitness.vitalsOf, partOf)
  }

  function around(nodes: readonly Node[]): Surroundings {
    const inputs = {
      gossip,
      peerOf,
      config: defaultControllerConfig,
      vitalsOf: fitness.vitalsOf,
      votesRestMs: fitness.votes.restMs,
      apiAddresses: () => [],
      caPem: '',
      startedAtMs: 0,
    }
    return surroundings(nodes, { monotonicMs: world.clock.monotonicMs(), inputs })
  }

  const answering = questions.on('quorum', () => own())
  scope.start('vitals', async inner => {
    await aborted(inner)
    answering[Symbol.dispose]()
    vitals[Symbol.dispose]()
  })
  return fitness
}
