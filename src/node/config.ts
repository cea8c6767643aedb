// What one peer is told when it starts, and what it keeps about the cluster it belongs to. Pure; run-files.ts reads and
// writes it.
import type { LogLevel } from '../drivers/log.ts'

export type RuntimeChoice = 'auto' | 'docker' | 'runc' | 'process'
export type DataplaneChoice = 'auto' | 'nftables' | 'userspace'

/** The command line, resolved: nothing here is optional that a peer needs. */
export type NodeConfig = {
  readonly dataDir: string
  /** The node's name in the cluster: a DNS label. */
  readonly name: string
  /** Reported as InternalIP, and where other nodes send this node's pod traffic. */
  readonly nodeIp: string
  /** Multiaddrs for the mesh. */
  readonly listen: readonly string[]
  readonly mdns: boolean
  /** Addresses that the API server listens on. */
  readonly apiHosts: readonly string[]
  readonly apiPort: number
  /** Names and addresses beside the node's own under which people reach the API. */
  readonly apiNames: readonly string[]
  readonly runtime: RuntimeChoice
  readonly dockerSocket: string
  readonly dataplane: DataplaneChoice
  readonly logLevel: LogLevel
  /** A node is NotReady when its peer has been silent for about this long. */
  readonly nodeGraceMs: number
  /** For a cluster that is founded here; a joiner takes over what stands. */
  readonly clusterCidr: string
  readonly serviceCidr: string
  /** DNS is served here for pods; undefined: no cluster DNS on this peer. */
  readonly dnsAddress: string | undefined
  /** A service's NodePort listens here in userspace mode. */
  readonly cgroupRoot: string
}

export const defaultClusterCidr = '10.42.0.0/16'
export const defaultServiceCidr = '10.43.0.0/16'
export const defaultMeshPort = 4001
export const defaultApiPort = 6443
export const defaultDnsAddress = '169.254.20.10'

/** What a peer keeps of its cluster, in <data-dir>/cluster.json. Written once, when it founded or joined. */
export type ClusterRecord = {
  readonly clusterId: string
  /** This admission's raft member; a peer that was wiped and joins again gets another. */
  readonly memberId: string
  readonly nodeName: string
  readonly clusterCidr: string
  readonly serviceCidr: string
  /** Founded here: the first start with an empty store makes it. */
  readonly founded: boolean
  /** The store has run: from now on an empty one is a loss and never a new beginning. */
  readonly ran: boolean
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** The record in `text`; throws ConfigError for a file that is not one. */
export function parseClusterRecord(text: string, file: string): ClusterRecord {
  let value: Partial<ClusterRecord>
  try {
    value = JSON.parse(text) as Partial<ClusterRecord>
  } catch {
    throw new ConfigError(`${file} is not JSON: restore it from a backup, or remove this peer and join it again`)
  }
  const { clusterId, memberId, nodeName, clusterCidr, serviceCidr, founded, ran } = value
  if (
    clusterId === undefined ||
    memberId === undefined ||
    nodeName === undefined ||
    clusterCidr === undefined ||
    serviceCidr === undefined
  ) {
    throw new ConfigError(`${file} lacks fields: restore it from a backup, or remove this peer and join it again`)
  }
  return { clusterId, memberId, nodeName, clusterCidr, serviceCidr, founded: founded === true, ran: ran === true }
}

/** The first address of the service range is the API's own. */
export function apiServiceIp(serviceCidr: string): string {
  const [base = ''] = serviceCidr.split('/')
  const parts = base.split('.').map(Number)
  return [...parts.slice(0, 3), (parts[3] ?? 0) + 1].join('.')
}

/** A name that Kubernetes takes for a node, made from the machine's. */
export function nodeNameFrom(hostname: string): string {
  const name = hostname
    .toLowerCase()
    .split('.')[0]
    ?.replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
  return name === undefined || name === '' ? 'node' : name
}
