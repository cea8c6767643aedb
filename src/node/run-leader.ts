// What only the leader does: the scheduler and the controllers, opened with the term and closed with it. A deposed leader's
// writes carry the old term and the store refuses them.
import { apiAnnotation } from '../api/annotations.ts'
import type { Apiserver } from '../apiserver/run.ts'
import { controllers } from '../controllers/all.ts'
import type { Controller } from '../controllers/controller.ts'
import { type ApiAddress, defaultControllerConfig, type Inputs } from '../controllers/inputs.ts'
import { membershipController } from '../controllers/membership.ts'
import { runControllers } from '../controllers/run.ts'
import type { Authority } from '../drivers/pki.ts'
import type { Gossip } from '../gossip/gossip.ts'
import type { Store } from '../kv/store.ts'
import { runScheduler } from '../scheduler/run.ts'
import type { World } from '../world/world.ts'
import { apiServiceIp, type ClusterRecord, type NodeConfig } from './config.ts'
import type { Fitness } from './run-fitness.ts'
import type { Members } from './run-members.ts'
import { runSigner } from './run-signer.ts'
import { openScope } from './scope.ts'
import { peerOf } from './status.ts'

export type LeaderParts = {
  readonly world: World
  readonly store: Store
  readonly apiserver: Apiserver
  readonly gossip: Gossip
  readonly members: Members
  readonly fitness: Fitness
  readonly authority: Authority
  readonly cluster: ClusterRecord
  readonly config: NodeConfig
  /** Makes the scheduled backups, where the peers keep the state. */
  readonly schedule?: (signal: AbortSignal) => Promise<void>
}

const controllerManager = { user: 'system:kube-controller-manager', groups: ['system:masters'] }

/** Follows leadership until the signal; rejects when a leader task fails. */
export async function runLeaderTasks(parts: LeaderParts, signal: AbortSignal): Promise<void> {
  const { world, store } = parts
  for await (const leadership of store.leadership(signal)) {
    if (!leadership.mine) {
      world.log.info('following', { term: leadership.term, leader: leadership.leader })
      continue
    }
    world.log.info('leading', { term: leadership.term })
    await using scope = openScope(world.log, AbortSignal.any([signal, leadership.ended]))
    const { term } = leadership
    // What moved before was another leader's to see.
    parts.fitness.votes.moved()
    const { schedule } = parts
    if (schedule !== undefined) scope.start('backups', inner => schedule(inner))
    scope.start('controllers', async inner => {
      await bootstrap(parts, term, inner)
      await runControllers(
        world,
        parts.apiserver.client(controllerManager, { term }),
        inputsOf(parts),
        controllersFor(parts),
        inner,
      )
    })
    scope.start('signer', inner => {
      const client = parts.apiserver.client(controllerManager, { term })
      const asked = { kind: 'resource', verb: 'create', group: 'certificates.k8s.io', namespace: '', name: '' } as const
      const resource = 'certificatesigningrequests'
      return runSigner(
        {
          world,
          client,
          authority: parts.authority,
          may: (identity, right) => parts.apiserver.may(identity, { ...asked, resource, subresource: right }),
        },
        inner,
      )
    })
    scope.start('scheduler', inner => {
      const identity = { user: 'system:kube-scheduler', groups: ['system:masters'] }
      return runScheduler(world, parts.apiserver.client(identity, { term }), inner)
    })
    await scope.ended
  }
}

/** Votes are moved only where the peers have them. */
function controllersFor({ cluster }: LeaderParts): readonly Controller[] {
  return cluster.datastore === undefined ? controllers : controllers.filter(one => one !== membershipController)
}

/** Tried until it holds: a new leader may lose its quorum for a moment at any time. */
async function bootstrap(parts: LeaderParts, term: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await parts.apiserver.bootstrap(term, signal)
      return
    } catch (error) {
      if (!signal.aborted) parts.world.log.warn('the first namespaces were not made yet', { error: String(error) })
      await parts.world.clock.sleep(500, signal)
    }
  }
}

function inputsOf(parts: LeaderParts): Inputs {
  const { world, store, gossip, members, fitness, cluster, config, authority } = parts
  return {
    gossip,
    store: {
      status: () => store.status(),
      async changeMembership(change, signal) {
        const member = await store.changeMembership(change, signal)
        if (change.kind === 'promote' || change.kind === 'demote') fitness.votes.moved()
        return member
      },
    },
    vitalsOf: fitness.vitalsOf,
    votesRestMs: fitness.votes.restMs,
    peerOf,
    apiAddresses: () =>
      members.nodes.view.list().flatMap((node): ApiAddress[] => {
        const [ip = '', port = ''] = (node.metadata.annotations?.[apiAnnotation] ?? '').split(':')
        return ip === '' || port === '' ? [] : [{ ip, port: Number(port), nodeName: node.metadata.name }]
      }),
    caPem: authority.certificatePem,
    config: {
      ...defaultControllerConfig,
      clusterCidr: cluster.clusterCidr,
      kubernetesServiceIp: apiServiceIp(cluster.serviceCidr),
      nodeGraceMs: config.nodeGraceMs,
    },
    startedAtMs: world.clock.nowMs(),
  }
}
