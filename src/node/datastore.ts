// A cluster whose state is in an etcd that somebody else runs: what is said of it on the command line, what a peer knows of
// it by its record, and whether what lies in an etcd is its own cluster. Pure; run-datastore.ts asks and opens it.
import { namesOf } from '../store/external/names.ts'
import type { EtcdItem } from '../world/etcd.ts'
import { type ClusterRecord, ConfigError } from './config.ts'

/** The command line's: a peer's record has neither addresses nor credentials. */
export type Datastore = {
  /** `https://host:port` or `http://host:port`, all of one etcd. */
  readonly endpoints: readonly string[]
  /** PEM files. */
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  /** What all keys of the cluster begin with. Absent: what the cluster's own record says, or the default. */
  readonly prefix?: string
}

export const defaultPrefix = '/flotilla'

export type DatastoreFlags = {
  readonly datastore?: readonly string[]
  readonly datastoreCa?: string
  readonly datastoreCert?: string
  readonly datastoreKey?: string
  readonly datastorePrefix?: string
  readonly witness?: boolean
  readonly etcdListen?: string | true
}

/** Undefined: the peers keep the state themselves. Throws ConfigError. */
export function datastoreOf(flags: DatastoreFlags): Datastore | undefined {
  const { datastore, datastoreCa: ca, datastoreCert: certificate, datastoreKey: key, datastorePrefix: prefix } = flags
  if (datastore === undefined) {
    const said = Object.entries({ ca, cert: certificate, key, prefix }).find(([, value]) => value !== undefined)
    if (said !== undefined) throw new ConfigError(`--datastore-${said[0]} says how, --datastore says where: give both`)
    return undefined
  }
  const endpoints = datastore.flatMap(text => text.split(',')).filter(text => text !== '')
  if (endpoints.length === 0) throw new ConfigError('--datastore wants the URLs of an etcd: https://10.0.0.5:2379')
  if (flags.witness === true) {
    throw new ConfigError('a witness is a vote, and with --datastore etcd does the voting: leave one of the two out')
  }
  if (flags.etcdListen !== undefined) {
    throw new ConfigError(
      "--etcd-listen serves etcd's API from the peers' own store: with --datastore ask the etcd itself",
    )
  }
  if (certificate !== undefined && key === undefined) {
    throw new ConfigError('--datastore-cert is a client certificate: --datastore-key must name its key')
  }
  if (key !== undefined && certificate === undefined) {
    throw new ConfigError('--datastore-key is the key of a client certificate: --datastore-cert must name that')
  }
  if (certificate !== undefined && ca === undefined) {
    throw new ConfigError('--datastore-cert also needs --datastore-ca, the authority of the servers')
  }
  if (prefix !== undefined) checkPrefix(prefix)
  return {
    endpoints,
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(prefix !== undefined && { prefix }),
  }
}

function checkPrefix(prefix: string): void {
  try {
    namesOf(prefix)
  } catch (error) {
    throw new ConfigError(`--datastore-prefix: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Why a peer of this cluster cannot be run with what was said of an etcd; undefined: it can. */
export function whyNotStartWith(
  { clusterName, datastore: own }: Pick<ClusterRecord, 'clusterName' | 'datastore'>,
  said: Datastore | undefined,
): string | undefined {
  if (own === undefined) {
    if (said === undefined) return undefined
    return (
      `the peers of ${clusterName} keep its state themselves, and it cannot move into an etcd: leave --datastore out. ` +
      'For a cluster in the etcd, found one in another --data-dir'
    )
  }
  if (said === undefined) return `${clusterName} keeps its state in an external etcd: say ${flagsFor(own.prefix)}`
  if (said.prefix === undefined || said.prefix === own.prefix) return undefined
  return `${clusterName} is under ${own.prefix} in its etcd, not under ${said.prefix}: leave --datastore-prefix out`
}

/** Why a machine that says so cannot join; undefined: it can. */
export function whyNotJoinWith(
  cluster: Pick<ClusterRecord, 'clusterName' | 'datastore'>,
  saysExternal: boolean,
): string | undefined {
  if (cluster.datastore !== undefined && !saysExternal) {
    return `this cluster keeps its state in an external etcd: join with ${flagsFor(cluster.datastore.prefix)}`
  }
  if (cluster.datastore === undefined && saysExternal) {
    return 'the peers of this cluster keep its state themselves: join without --datastore'
  }
  return undefined
}

function flagsFor(prefix: string): string {
  return `--datastore <the URLs of that etcd>${prefix === defaultPrefix ? '' : ` --datastore-prefix ${prefix}`}`
}

/** For commands about the peers' own log. */
export const externalWords =
  'the state of this cluster is in an external etcd, and this command is for the store that peers keep themselves. Back it ' +
  'up with `etcdctl snapshot save`, bring it back with `etcdctl snapshot restore`, and mend a lost majority there'

/** Which cluster lies under a prefix. The founder writes it before anything else, and nothing changes it. */
export const markKey = '/flotilla/cluster'

export type Mark = { readonly clusterId: string; readonly clusterName: string }

export function markText({ clusterId, clusterName }: Mark): string {
  return JSON.stringify({ clusterId, clusterName } satisfies Mark)
}

/** Undefined when the value is none of ours. */
export function readMark(item: EtcdItem | undefined): Mark | undefined {
  try {
    const { clusterId, clusterName } = JSON.parse(item?.value ?? '') as Partial<Mark>
    return clusterId === undefined || clusterName === undefined ? undefined : { clusterId, clusterName }
  } catch {
    return undefined
  }
}

/** Why no cluster can be founded where something is already. */
export function occupiedWords(where: string, prefix: string, mark: Mark | undefined): string {
  const found = mark === undefined ? 'something already' : `a cluster already: ${mark.clusterName} (${mark.clusterId})`
  return (
    `the etcd at ${where} holds ${found}, under ${prefix}. To join a cluster: \`flotilla token create\` on one of its peers, and ` +
    'here `flotilla join --datastore … --token …`. To found another beside it: --datastore-prefix with another prefix'
  )
}

/** Why the etcd that was named cannot be that of this cluster; undefined: it is. */
export function whyNotTheEtcdOf(
  record: Mark,
  where: string,
  prefix: string,
  mark: Mark | undefined,
): string | undefined {
  if (mark?.clusterId === record.clusterId) return undefined
  const found = mark === undefined ? 'no cluster' : `${mark.clusterName} (${mark.clusterId})`
  return (
    `the etcd at ${where} holds ${found} under ${prefix}, not ${record.clusterName} (${record.clusterId}): is it another etcd, ` +
    'or was it emptied? Name the right one with --datastore, or restore its snapshot. Nothing was changed'
  )
}
