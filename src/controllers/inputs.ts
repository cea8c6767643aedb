// What the controllers know beside the API: who is alive, who holds a replica, and what the cluster was set up with.
// node/run.ts gives it. All functions are synchronous looks at the present.
import type { Node } from '../api/kinds/node.ts'
import type { Gossip } from '../gossip/gossip.ts'
import type { Store } from '../kv/store.ts'
import type { PeerId } from '../world/network.ts'

export type ApiAddress = { readonly ip: string; readonly port: number; readonly nodeName?: string }

/** What was measured of a peer; what is absent is not known yet. */
export type PeerVitals = {
  /** The 99th percentile of its disk's syncs. */
  readonly syncMs?: number
  /** The 90th percentile of the way there and back; 0 for this peer itself. */
  readonly roundTripMs?: number
  /** Of the last minutes: greetings that it left unanswered, and connections that broke. */
  readonly failures?: number
  /** For how long its agent runs. */
  readonly upMs?: number
}

export type Inputs = {
  /** Absent in a test without peers: node health and membership then do nothing. */
  readonly gossip?: Gossip
  readonly store?: Pick<Store, 'status' | 'changeMembership'>
  /** What the choice of voters goes by; absent: all are alike, and votes stay where they are. */
  readonly vitalsOf?: (peer: PeerId) => PeerVitals | undefined
  /** For how long no vote has moved, at most since this leader began. */
  readonly votesRestMs?: () => number
  /** The peer that a Node stands for; undefined for a Node that nobody admitted. */
  readonly peerOf: (node: Node) => PeerId | undefined
  /** Where pods reach the API servers; the addresses behind the `kubernetes` service. */
  readonly apiAddresses: () => readonly ApiAddress[]
  /** PEM of the certificate authority, for the config map kube-root-ca.crt. */
  readonly caPem: string
  readonly config: ControllerConfig
  /** Wall clock when this leader's controllers began: nobody is called silent for time before that. */
  readonly startedAtMs: number
}

export type ControllerConfig = {
  /** '10.42.0.0/16': cut into one range per node. */
  readonly clusterCidr: string
  readonly nodeCidrBits: number
  /** The address of the `kubernetes` service, the first of the service range. */
  readonly kubernetesServiceIp: string
  /** A node is NotReady when gossip calls its peer dead and nothing was heard from it for this long. */
  readonly nodeGraceMs: number
  /** The same for a peer that gossip has never heard of, counted from the start of the controllers. */
  readonly nodeUnknownGraceMs: number
  /** A peer that is back gets its node back after this long, if its kubelet has not said so before. */
  readonly nodeReturnMs: number
  /** Eviction stops when this share of nodes is unhealthy, and at least `unhealthyCountMin` of them. */
  readonly unhealthyShareMax: number
  readonly unhealthyCountMin: number
  /** Terminated pods beyond this many are removed, oldest first. */
  readonly terminatedPodsMax: number
  /** A voter that was dead for this long is replaced. */
  readonly replaceVoterMs: number
  /** A living voter makes room for a better one only when no vote has moved for so long. */
  readonly settleVotesMs: number
  /** A learner within this many entries of the leader's commit is promoted. */
  readonly caughtUpEntries: number
  /** Events are removed when they were last told this long ago. */
  readonly eventTtlMs: number
}

export const defaultControllerConfig: ControllerConfig = {
  clusterCidr: '10.42.0.0/16',
  nodeCidrBits: 24,
  kubernetesServiceIp: '10.43.0.1',
  nodeGraceMs: 5_000,
  nodeUnknownGraceMs: 20_000,
  nodeReturnMs: 5_000,
  unhealthyShareMax: 0.55,
  unhealthyCountMin: 3,
  terminatedPodsMax: 1_000,
  replaceVoterMs: 600_000,
  settleVotesMs: 600_000,
  caughtUpEntries: 64,
  eventTtlMs: 3_600_000,
}
