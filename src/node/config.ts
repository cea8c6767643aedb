// What one peer is told when it starts, and what it keeps about the cluster it belongs to. Pure; run-files.ts reads and
// writes it.
import type { LogLevel } from '../drivers/log.ts'
import type { Datastore } from './datastore.ts'
import type { OidcFiles } from './oidc.ts'
import type { SignedSuccession, Succession } from './succession.ts'

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
  /** This peer votes, never leads, and runs no pods. */
  readonly witness: boolean
  /** Founds a cluster although this peer's key shows that it was in one before. */
  readonly newCluster: boolean
  /** For a cluster that is founded here; a joiner takes over what stands. Undefined: made from its ID. */
  readonly clusterName: string | undefined
  readonly clusterCidr: string
  readonly serviceCidr: string
  /** DNS is served here for pods; undefined: no cluster DNS on this peer. */
  readonly dnsAddress: string | undefined
  /** A service's NodePort listens here in userspace mode. */
  readonly cgroupRoot: string
  /** Where etcd's API is served; undefined: nowhere. */
  readonly etcd: EtcdListen | undefined
  /** The etcd that the cluster's state is in; undefined: the peers keep it themselves. */
  readonly datastore: Datastore | undefined
  /** Where this peer writes down who did what by it; absent: nowhere. */
  readonly audit?: AuditFiles
  /** Where people log in; undefined: nowhere. */
  readonly oidc?: OidcFiles | undefined
}

export type AuditFiles = {
  readonly log: string
  /** An audit.k8s.io/v1 Policy as YAML or JSON; undefined: changes by people and workloads, without their bodies. */
  readonly policy: string | undefined
}

export type EtcdListen = {
  readonly host: string
  readonly port: number
  /** Without TLS: whoever reaches the port may do all. */
  readonly insecure: boolean
}

export const defaultClusterCidr = '10.42.0.0/16'
export const defaultServiceCidr = '10.43.0.0/16'
export const defaultMeshPort = 4001
export const defaultApiPort = 6443
export const defaultEtcdPort = 2379
export const defaultDnsAddress = '169.254.20.10'

/** What a peer keeps of its cluster, in <data-dir>/cluster.json: replaced whole, so it is the one word on which store counts. */
export type ClusterRecord = {
  /** A cluster that began again after a lost majority, or from a backup, has another. */
  readonly clusterId: string
  /** What people call it: shown, and typed before anything that cannot be taken back. Stays. */
  readonly clusterName: string
  /** The first cluster ID it ever had. Stays: containers are known by it, so that they are adopted by what began again. */
  readonly origin: string
  /** All IDs that the cluster had before, oldest first. */
  readonly past: readonly string[]
  /** This admission's raft member; a peer that was wiped and joins again gets another. */
  readonly memberId: string
  readonly nodeName: string
  readonly clusterCidr: string
  readonly serviceCidr: string
  /** The folder in the data directory that the store lies in. Another copy gets another folder, and counts once it is named here. */
  readonly store: string
  /** Founded here: the first start with an empty store makes it. */
  readonly founded: boolean
  /** The store has run: from now on an empty one is a loss and never a new beginning. */
  readonly ran: boolean
  /** Votes, never leads, runs no pods. */
  readonly witness: boolean
  /** Present where this peer began the cluster again: what it tells those who hold the old one. */
  readonly succession?: Succession
  /** Present once this peer knows that its cluster went on without it: its store never opens again, it asks to be admitted anew. */
  readonly abandoned?: SignedSuccession
  /** Present where an external etcd holds the cluster's state, under this prefix. For good: it cannot move. */
  readonly datastore?: { readonly prefix: string }
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const needed = ['clusterId', 'memberId', 'nodeName', 'clusterCidr', 'serviceCidr'] as const

/** The record in `text`; throws ConfigError for a file that is not one. */
export function parseClusterRecord(text: string, file: string): ClusterRecord {
  const advice = 'restore it from a backup, or take it away and ask to be admitted again: flotilla join --token …'
  let value: Partial<ClusterRecord>
  try {
    value = JSON.parse(text) as Partial<ClusterRecord>
  } catch {
    throw new ConfigError(`${file} is not JSON: ${advice}`)
  }
  const lacking = needed.filter(name => typeof value[name] !== 'string' || value[name] === '')
  if (lacking.length > 0) throw new ConfigError(`${file} lacks ${lacking.join(', ')}: ${advice}`)
  const { clusterId = '', memberId = '', nodeName = '', clusterCidr = '', serviceCidr = '' } = value
  const store = value.store ?? firstStore
  // The name becomes part of a path.
  if (!isStoreFolder(store)) throw new ConfigError(`${file} names ${store} as the store's folder: ${advice}`)
  return {
    clusterId,
    clusterName: value.clusterName ?? defaultClusterName(clusterId),
    origin: value.origin ?? clusterId,
    past: value.past ?? [],
    memberId,
    nodeName,
    clusterCidr,
    serviceCidr,
    store,
    founded: value.founded === true,
    ran: value.ran === true,
    witness: value.witness === true,
    ...(value.succession !== undefined && { succession: value.succession }),
    ...(value.abandoned !== undefined && { abandoned: value.abandoned }),
    ...(value.datastore !== undefined && { datastore: value.datastore }),
  }
}

/** Where the store of a cluster's founder, and of whoever joins for the first time, lies. */
export const firstStore = 'store'

export function isStoreFolder(name: string): boolean {
  return /^store(-[a-z0-9]{1,32})?$/.test(name)
}

/** A folder of its own for each member: what an older one left behind is never taken for it. */
export function storeFolderOf(memberId: string): string {
  return `store-${memberId.replace(/[^a-z0-9]/g, '').slice(0, 12)}`
}

export function defaultClusterName(clusterId: string): string {
  return `flotilla-${clusterId.slice(0, 8)}`
}

/** Short enough to be typed, plain enough to be part of a file name. */
export function isClusterName(name: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)
}

const loopback = /^(?:localhost|127(?:\.\d+){3}|::1)$/

/** 'host:port', 'host', ':port', 'port' or '': what is not said is loopback and etcd's own port. Throws ConfigError. */
export function etcdListen(text: string, insecure: boolean): EtcdListen {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*?))(?::(\d{1,5}))?$/.exec(/^\d{1,5}$/.test(text) ? `:${text}` : text)
  const host = match?.[1] || match?.[2] || '127.0.0.1'
  const port = Number(match?.[3] ?? defaultEtcdPort)
  if (match === null || port > 65_535) throw new ConfigError(`--etcd-listen ${text}: say <host>:<port>`)
  if (insecure && !loopback.test(host)) {
    throw new ConfigError('--etcd-insecure is for loopback alone: whoever reaches that port may do all')
  }
  return { host, port, insecure }
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
