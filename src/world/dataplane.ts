// Where packets are routed: nftables in the kernel, or userspace sockets where there is no nft or no root.
// The proxy computes the whole table, a dataplane makes the world equal to it, atomically where it can.

export type TransportProtocol = 'tcp' | 'udp'

export type Backend = {
  readonly ip: string
  readonly port: number
  /** Runs on this node: needed for externalTrafficPolicy Local and for the hairpin set. */
  readonly local: boolean
}

export type ServiceRoute = {
  /** `<namespace>/<name>:<port name>`, for messages and for stable order. */
  readonly id: string
  readonly protocol: TransportProtocol
  /** The cluster IP. */
  readonly vips: readonly string[]
  /** External IPs and load balancer IPs: addresses that clients outside of the cluster use, like the nodePort. */
  readonly externalVips?: readonly string[]
  readonly port: number
  readonly nodePort?: number
  /** For the cluster IP. Empty: refuse at once. */
  readonly backends: readonly Backend[]
  /** For nodePort and external addresses, when they are others than `backends`. */
  readonly externalBackends?: readonly Backend[]
  /**
   * Local: `externalBackends` are on this node, the client's address is kept, and without any the packet is dropped;
   * the cluster's own pods and nodes get `backends`. Cluster, the default: the node's address takes the client's place.
   */
  readonly externalPolicy?: 'Cluster' | 'Local'
  /** Who may use `externalVips` (loadBalancerSourceRanges), as CIDR blocks; absent: everybody. */
  readonly sourceRanges?: readonly string[]
  /** ClientIP affinity: how long a client keeps its backend. */
  readonly affinitySeconds?: number
}

export type HostPort = {
  readonly protocol: TransportProtocol
  /** '' means every address of the node. */
  readonly hostIp: string
  readonly hostPort: number
  readonly podIp: string
  readonly podPort: number
}

export type RouteTable = {
  readonly services: readonly ServiceRoute[]
  readonly hostPorts: readonly HostPort[]
  readonly clusterCidr: string
  readonly serviceCidr: string
}

/** How packets to another node's pods leave this one. */
export type OverlayRoute =
  | { readonly kind: 'direct'; readonly podCidr: string; readonly via: string }
  | {
      readonly kind: 'vxlan'
      readonly podCidr: string
      readonly via: string
      readonly mac: string
      readonly vtep: string
    }

export type OverlayPlan = {
  readonly podCidr: string
  /** The first address of podCidr, the node's own address in the pod network. */
  readonly nodePodIp: string
  readonly nodeIp: string
  readonly mac: string
  readonly serviceCidr: string
  readonly clusterCidr: string
  /** Where the cluster's DNS listens on each node, '' when it does not. */
  readonly dnsIp: string
  readonly routes: readonly OverlayRoute[]
}

export interface Dataplane {
  readonly name: 'nftables' | 'userspace'
  /** Makes the service routing equal to `table`. Idempotent. */
  apply(table: RouteTable, signal: AbortSignal): Promise<void>
  /** Makes routes and tunnels equal to `plan`. Idempotent. A userspace dataplane has none and says so once. */
  connect(plan: OverlayPlan, signal: AbortSignal): Promise<void>
  /** Takes everything of ours away again. */
  clear(): Promise<void>
}
