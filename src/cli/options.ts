// The flags that `up` and `join` share, and how they become a NodeConfig.
import * as os from 'node:os'
import * as path from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { logLevels } from '../drivers/log.ts'
import {
  ConfigError,
  type DataplaneChoice,
  defaultApiPort,
  defaultClusterCidr,
  defaultDnsAddress,
  defaultMeshPort,
  defaultServiceCidr,
  etcdListen,
  isClusterName,
  type NodeConfig,
  nodeNameFrom,
  type RuntimeChoice,
} from '../node/config.ts'
import { datastoreOf, defaultPrefix } from '../node/datastore.ts'
import { type OidcFlags, oidcOf } from '../node/oidc.ts'

export function defaultDataDir(): string {
  const fromEnvironment = process.env['FLOTILLA_DATA_DIR']
  if (fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment
  return process.getuid?.() === 0 ? '/var/lib/flotilla' : path.join(os.homedir(), '.flotilla')
}

export function dataDirOption(): Option {
  return new Option('--data-dir <folder>', 'where this peer keeps its key, store and pods').default(defaultDataDir())
}

export type NodeFlags = {
  dataDir: string
  name?: string
  nodeIp?: string
  listen?: string[]
  mdns: boolean
  apiHost?: string[]
  apiPort: number
  apiName?: string[]
  runtime: RuntimeChoice
  dockerSocket: string
  dataplane: DataplaneChoice
  logLevel: NodeConfig['logLevel']
  nodeGrace?: number
  clusterCidr: string
  serviceCidr: string
  dnsAddress: string
  cgroupRoot: string
  endWithStdin?: true
  witness?: true
  newCluster?: true
  clusterName?: string
  etcdListen?: string | true
  etcdInsecure?: true
  datastore?: string[]
  datastoreCa?: string
  datastoreCert?: string
  datastoreKey?: string
  datastorePrefix?: string
  auditLog?: string
  auditPolicy?: string
} & OidcFlags

export function addNodeOptions(command: Command): Command {
  return command
    .addOption(dataDirOption())
    .option('--name <name>', "the node's name in the cluster (default: this machine's host name)")
    .option('--node-ip <address>', 'the IPv4 address that other machines reach this one at (default: found)')
    .option('--listen <multiaddr...>', `where the mesh listens (default: /ip4/0.0.0.0/tcp/${defaultMeshPort})`)
    .option('--no-mdns', 'do not look for peers on the local network')
    .option('--api-host <address...>', 'addresses that the API server listens on (default: all)')
    .option('--api-port <port>', 'the port of the API server; 0: a free one', integer, defaultApiPort)
    .option('--api-name <name...>', 'more names and addresses for the API server’s certificate')
    .addOption(
      new Option('--runtime <runtime>', 'what runs containers')
        .choices(['auto', 'docker', 'runc', 'process'])
        .default('auto'),
    )
    .option('--docker-socket <path>', "Docker's socket", '/var/run/docker.sock')
    .addOption(
      new Option('--dataplane <dataplane>', 'what routes service traffic')
        .choices(['auto', 'nftables', 'userspace'])
        .default('auto'),
    )
    .addOption(new Option('--log-level <level>', 'how much to say').choices([...logLevels]).default('info'))
    .option('--node-grace <seconds>', 'silence after which a node counts as lost (default: 5s)', seconds)
    .option('--witness', 'this peer votes, never leads, and runs no pods: the third voter of two machines')
    .option('--cluster-name <name>', 'what the cluster is called, when it is founded (default: made up)')
    .option('--new-cluster', 'found a cluster although this data directory shows another')
    .option('--cluster-cidr <cidr>', 'addresses of pods, when a cluster is founded', defaultClusterCidr)
    .option('--service-cidr <cidr>', 'addresses of services, when a cluster is founded', defaultServiceCidr)
    .option(
      '--dns-address <address>',
      'where pods reach the cluster DNS on every node; none: serve no DNS',
      defaultDnsAddress,
    )
    .option('--cgroup-root <path>', "above the pods' cgroups", '')
    .option('--etcd-listen [host:port]', "serve etcd's v3 API of the cluster's store (default: 127.0.0.1:2379)")
    .option('--etcd-insecure', "etcd's API without TLS and certificates, on loopback only")
    .option(
      '--datastore <url...>',
      'keep the state of the cluster in this etcd, not in the peers: https://10.0.0.5:2379 …',
    )
    .option('--datastore-ca <file>', 'the authority of that etcd (PEM)')
    .option('--datastore-cert <file>', 'a client certificate for it (PEM)')
    .option('--datastore-key <file>', 'the key of that certificate (PEM)')
    .option('--datastore-prefix <prefix>', `what the cluster's keys begin with there (default: ${defaultPrefix})`)
    .option('--audit-log <file>', 'write down here who changed what by this API server (default: nowhere)')
    .option('--audit-policy <file>', 'what is written there: an audit.k8s.io/v1 Policy')
    .option('--oidc-issuer-url <url>', 'people log in at this OpenID Connect provider (default: nowhere)')
    .option('--oidc-client-id <id>', 'the client that its tokens must be made out to')
    .option('--oidc-username-claim <claim>', "the claim that names the user (default: 'sub')")
    .option('--oidc-username-prefix <prefix>', "put before it; '-' is nothing (default: '<issuer>#', none for email)")
    .option('--oidc-groups-claim <claim>', 'the claim that names the groups (default: nobody is in one)')
    .option('--oidc-groups-prefix <prefix>', 'put before each of them')
    .option('--oidc-required-claim <claim=value...>', 'what must stand in the tokens too')
    .option('--oidc-ca-file <file>', 'the authority of the provider (PEM; default: whom this machine trusts)')
    .option('--oidc-signing-algs <list>', 'RS256, ES256 and their kin, with commas (default: RS256)')
    .addOption(new Option('--end-with-stdin', 'end when standard input does').hideHelp())
}

function integer(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 65_535) throw new InvalidArgumentError('not a port')
  return value
}

/** '5' or '5s' in milliseconds. */
function seconds(text: string): number {
  const value = Number(text.replace(/s$/, ''))
  if (!(value > 0)) throw new InvalidArgumentError('say a number of seconds, for example 5s')
  return value * 1_000
}

export function nodeConfigOf(flags: NodeFlags): NodeConfig {
  const nodeIp = flags.nodeIp ?? firstAddress()
  return {
    dataDir: path.resolve(flags.dataDir),
    name: flags.name ?? nodeNameFrom(os.hostname()),
    nodeIp,
    listen: flags.listen ?? [`/ip4/0.0.0.0/tcp/${defaultMeshPort}`],
    mdns: flags.mdns,
    apiHosts: flags.apiHost ?? [everywhere()],
    apiPort: flags.apiPort,
    apiNames: flags.apiName ?? [],
    runtime: flags.runtime,
    dockerSocket: flags.dockerSocket,
    dataplane: flags.dataplane,
    logLevel: flags.logLevel,
    nodeGraceMs: flags.nodeGrace ?? 5_000,
    witness: flags.witness === true,
    newCluster: flags.newCluster === true,
    clusterName: clusterNameOf(flags.clusterName),
    clusterCidr: flags.clusterCidr,
    serviceCidr: flags.serviceCidr,
    dnsAddress: flags.dnsAddress === 'none' ? undefined : flags.dnsAddress,
    cgroupRoot: flags.cgroupRoot,
    etcd: etcdOf(flags),
    datastore: datastoreOf(flags),
    ...auditOf(flags),
    oidc: oidcOf(flags),
  }
}

function auditOf({ auditLog, auditPolicy }: NodeFlags): Pick<NodeConfig, 'audit'> {
  if (auditLog === undefined) {
    if (auditPolicy === undefined) return {}
    throw new ConfigError('--audit-policy says what is written; --audit-log <file> must say where')
  }
  const policy = auditPolicy === undefined ? undefined : path.resolve(auditPolicy)
  return { audit: { log: path.resolve(auditLog), policy } }
}

function etcdOf({ etcdListen: listen, etcdInsecure }: NodeFlags): NodeConfig['etcd'] {
  const insecure = etcdInsecure === true
  if (listen !== undefined) return etcdListen(listen === true ? '' : listen, insecure)
  if (insecure) throw new ConfigError('--etcd-insecure says how, --etcd-listen says that: give both')
  return undefined
}

function clusterNameOf(name: string | undefined): string | undefined {
  if (name === undefined || isClusterName(name)) return name
  throw new Error(`--cluster-name ${name}: lower-case letters, digits and "-", at most 63`)
}

/** All addresses of both families; a kernel without IPv6 knows no '::'. */
function everywhere(): string {
  const six = Object.values(os.networkInterfaces()).some(list => list?.some(one => one.family === 'IPv6'))
  return six ? '::' : '0.0.0.0'
}

/** The first IPv4 address of this machine that others may reach; loopback when it has no other. */
function firstAddress(): string {
  const virtual = /^(lo|docker|br-|veth|cni|flannel|flotilla|virbr)/
  for (const [name, addresses] of Object.entries(os.networkInterfaces())) {
    if (virtual.test(name)) continue
    for (const one of addresses ?? []) if (one.family === 'IPv4' && !one.internal) return one.address
  }
  return '127.0.0.1'
}
