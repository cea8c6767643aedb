// Introduces the components of one peer to one another: the API server on the store, everything else on the API.
import * as fs from 'node:fs/promises'
import { addressesAnnotation, apiAnnotation, peerAnnotation } from '../api/annotations.ts'
import { ApiError } from '../api/error.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import { type Apiserver, openApiserver } from '../apiserver/run.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { runDns } from '../dns/run.ts'
import { podMtu } from '../drivers/dataplane/nftables.ts'
import { openCaller } from '../drivers/http/call.ts'
import { serveHttps } from '../drivers/http/serve.ts'
import type { MeshNetwork } from '../drivers/network/libp2p.ts'
import { openRuntime } from '../drivers/runtime/open.ts'
import { openYamlThread } from '../drivers/yaml.ts'
import { gossipConfig, type RunningGossip, runGossip } from '../gossip/run.ts'
import { nodePodIp } from '../kubelet/address.ts'
import { allocatableOf, type Node } from '../kubelet/node.ts'
import { openKubelet } from '../kubelet/run.ts'
import { readMachine, runNode as runNodeObject } from '../kubelet/run-node.ts'
import type { NodeFacts } from '../kubelet/spec.ts'
import { aborted, onAbort } from '../lib/abort.ts'
import { runOverlay } from '../overlay/run.ts'
import { runProxy } from '../proxy/run.ts'
import type { PeerId } from '../world/network.ts'
import type { DnsConfig } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import { apiServiceIp, type ClusterRecord } from './config.ts'
import { runAdmin } from './run-admin.ts'
import { openAudit } from './run-audit.ts'
import { chooseDataplane } from './run-dataplane.ts'
import { removedWords, whereOf } from './run-datastore.ts'
import { startEtcd } from './run-etcd.ts'
import * as files from './run-files.ts'
import { type Fitness, openFitness } from './run-fitness.ts'
import type { Member, Peer } from './run-member.ts'
import { followMembers, type Members } from './run-members.ts'
import { readOidc } from './run-oidc.ts'
import { ownKubelet } from './run-pipe.ts'
import { adminCertificate, clusterKeys, frontProxyCertificates, servingCertificate } from './run-pki.ts'
import type { Scope } from './scope.ts'
import { isLeaving, ownerOf, peerOf, peersOf, type StatusReport } from './status.ts'

const versionInfo = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+flotilla-0.1.0',
  gitCommit: '',
  buildDate: '1970-01-01T00:00:00Z',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
}
const clusterDomain = 'cluster.local'
const dnsTtlSeconds = 5
const issuer = 'https://kubernetes.default.svc'

/** Brings every component up, in the order in which they need one another; what it starts ends with the scope. */
export async function start(peer: Peer, member: Member, scope: Scope): Promise<void> {
  const { network, config, say } = peer
  const { world, cluster, store, embedded } = member
  const { signal } = scope
  const { dataDir } = config
  const { serviceCidr, nodeName } = cluster
  const keys = await clusterKeys(world, dataDir, store, cluster.clusterId, cluster.founded, signal)
  member.setKeys(keys)
  const caPem = keys.authority.certificatePem
  const names = { nodeName, hosts: [config.nodeIp, ...config.apiNames], serviceIp: apiServiceIp(serviceCidr) }
  const serving = await servingCertificate(world, dataDir, keys, names)

  // The kubelet, the members and the quorum stand on the API, which asks them back: they are filled in below.
  const kubelet = ownKubelet(network.self, world.log)
  let members: Members | undefined
  let fitness: Fitness | undefined
  const nodes = () => members?.nodes.view.list() ?? []
  const nodeNamed = (name: string) => nodes().find(one => one.metadata.name === name)
  const audit = config.audit && (await openAudit(world, config.audit))
  const oidc = config.oidc && (await readOidc(config.oidc))
  const caller = openCaller(signal)
  const yaml = openYamlThread(signal)
  const apiserver = openApiserver(
    world,
    store,
    {
      serviceCidr,
      nodePortRange: { from: 30_000, to: 32_767 },
      version: versionInfo,
      serviceAccountKeys: { privateKeys: [keys.signing.privatePem], issuer, audiences: [issuer] },
      peerOfNode: name => {
        const node = nodeNamed(name)
        return node === undefined ? undefined : peerOf(node)
      },
      kubeletOf: (to, until) => (to === network.self ? kubelet.open(until) : network.open(to, 'kubelet', until)),
      caller,
      readYaml: yaml.read,
      ...(oidc && { oidc: { ...oidc, caller } }),
      quorum: async until => (await fitness?.quorum(until)) ?? [],
      ...(audit && { audit }),
      aggregate: { clientCaPem: caPem, frontProxy: frontProxyCertificates(world, store, cluster.clusterId) },
    },
    signal,
  )
  const server = await serveHttps(
    {
      port: config.apiPort,
      hosts: config.apiHosts,
      key: serving.keyPem,
      cert: serving.certificatePem,
      ca: caPem,
      handle: request => apiserver.handle(request),
      log: world.log,
    },
    signal,
  )
  const client = apiserver.client({ user: `system:node:${nodeName}`, groups: ['system:nodes'] })
  members = followMembers(world, client, store, dataDir, signal)
  const gossip = openGossip(world, cluster, client, members, scope)
  const seen = openFitness(peer, member, members, gossip, scope)
  fitness = seen

  const annotations = {
    [peerAnnotation]: network.self,
    [addressesAnnotation]: network.addresses().join(','),
    [apiAnnotation]: `${config.nodeIp}:${server.port}`,
  }
  const parts: Parts = { world, peer, member, client, apiserver, gossip, members, annotations, nodeNamed }
  scope.start('own node', inner => makeOwnNode(parts, inner))
  if (embedded === undefined) scope.start('admission', inner => endWhenRemoved(parts, inner))
  let plays = { runtime: 'none', dataplane: 'none' }
  if (cluster.witness) await startWitness(parts, scope)
  else {
    const workload = await startWorkload(parts, scope)
    kubelet.is(workload.kubelet)
    plays = { runtime: workload.runtime, dataplane: workload.dataplane }
  }

  const kubeconfig = files.kubeconfigFile(dataDir)
  const context = { name: nodeName, server: `https://${bracketed(config.nodeIp)}:${server.port}` }
  const admin = await adminCertificate(world, dataDir, keys)
  await files.writeKubeconfig(kubeconfig, files.kubeconfigText([context], caPem, admin))

  const report = (): StatusReport => {
    const { term, leader, revision, appliedIndex, commitIndex } = store.status()
    const notice = member.greeter.conflict()
    return {
      clusterId: cluster.clusterId,
      clusterName: cluster.clusterName,
      ...(notice !== undefined && { notice }),
      ...(config.datastore !== undefined && { datastore: whereOf(config.datastore) }),
      self: network.self,
      node: nodeName,
      version: versionInfo.gitVersion,
      term,
      leader,
      revision,
      appliedIndex,
      commitIndex,
      ...plays,
      peers: peersOf(network.self, nodes(), store.status(), gossip.view(), embedded === undefined),
    }
  }
  const program = versionInfo.gitVersion
  const { authority } = keys
  const adminParts = { peer, member, apiserver, members, gossip, fitness: seen, authority, program, report }
  scope.start('admin', inner => runAdmin(adminParts, inner))
  say(welcome(network, nodeName, kubeconfig))
  if (config.etcd !== undefined && embedded !== undefined) {
    const nameOf = (id: PeerId) => nodes().find(one => peerOf(one) === id)?.metadata.name ?? id
    const { done } = await startEtcd(
      { world, store: embedded, cluster, dataDir, keys, names, nameOf, say },
      config.etcd,
      signal,
    )
    scope.start('etcd', () => done)
  }
}

/** What the parts of a peer that come last stand on. */
type Parts = {
  readonly world: World
  readonly peer: Peer
  readonly member: Member
  readonly client: Client
  readonly apiserver: Apiserver
  readonly gossip: RunningGossip
  readonly members: Members
  readonly annotations: Readonly<Record<string, string>>
  readonly nodeNamed: (name: string) => Node | undefined
}

/** All that runs pods and routes their packets. */
async function startWorkload(parts: Parts, scope: Scope) {
  const { world, peer, member, client, gossip, annotations, nodeNamed } = parts
  const { network, config, say } = peer
  const { cluster } = member
  const { clusterCidr, serviceCidr, nodeName } = cluster
  const { dataDir } = config
  const { signal } = scope
  const opened = await openRuntime(
    config.runtime,
    world,
    {
      stateDir: files.runtimeDir(dataDir),
      dockerSocket: config.dockerSocket,
      owner: ownerOf(cluster),
      mtu: await podMtu(config.nodeIp, signal),
      nodePodIp: () => {
        const cidr = nodeNamed(nodeName)?.spec.podCIDR
        return cidr === undefined ? undefined : nodePodIp(cidr)
      },
    },
    signal,
  )
  const { runtime } = opened
  const chosen = await chooseDataplane(world, config.dataplane, signal)
  const { dataplane } = chosen
  say(`runtime: ${runtime.capabilities.name} (${opened.why}); dataplane: ${dataplane.name} (${chosen.why})`)

  const machine = await readMachine(nodeName, config.nodeIp, dataDir, runtime, versionInfo.gitVersion)
  scope.start('node object', inner =>
    runNodeObject(world, machine, { stateDir: dataDir, annotations }, client, runtime, inner),
  )
  const facts: NodeFacts = {
    name: nodeName,
    ip: config.nodeIp,
    clusterDns: config.dnsAddress ?? '127.0.0.1',
    clusterDomain,
    hostDns: await hostDns(),
    cgroupRoot: config.cgroupRoot,
    memoryBytes: machine.memoryBytes,
  }
  const kubeletConfig = { node: facts, stateDir: dataDir, allocatable: allocatableOf(machine) }
  const kubelet = openKubelet(world, kubeletConfig, client, runtime, gossip, signal)
  scope.start('kubelet', () => kubelet.done)
  scope.start('kubelet streams', async inner => {
    using _ = network.onStream('kubelet', (stream, until) => kubelet.serve(stream, until))
    await aborted(inner)
  })
  const cidrs = { node: nodeName, clusterCidr, serviceCidr }
  const dnsIp = config.dnsAddress ?? ''
  scope.start('proxy', inner => runProxy(world, cidrs, client, gossip, dataplane, inner))
  if (dataplane.name === 'nftables') {
    scope.start('overlay', inner => runOverlay(world, { ...cidrs, dnsIp, mode: 'auto' }, client, dataplane, inner))
  }
  if (config.dnsAddress !== undefined) {
    const zone = { domain: clusterDomain, ttlSeconds: dnsTtlSeconds, clusterCidr, serviceCidr, dnsIp }
    const dns = { ...zone, listen: [{ ip: config.dnsAddress, port: 53 }], resolvConf: '/etc/resolv.conf' }
    scope.start('dns', inner => runDns(world, dns, client, inner))
  }
  return { kubelet, runtime: runtime.capabilities.name, dataplane: dataplane.name }
}

/** A witness has no runtime: its Node says that no pod fits there, and is Ready as long as its agent runs. */
async function startWitness({ world, peer, member, client, annotations }: Parts, scope: Scope): Promise<void> {
  const { dataDir, nodeIp } = peer.config
  const runtime = { capabilities: { name: 'none', version: '0' }, observe: async () => [] }
  const machine = await readMachine(member.cluster.nodeName, nodeIp, dataDir, runtime, versionInfo.gitVersion)
  scope.start('node object', inner =>
    runNodeObject(world, { ...machine, podsMax: 0 }, { stateDir: dataDir, annotations }, client, runtime, inner),
  )
  peer.say('a witness: it votes, never leads, and runs no pods')
}

/** Gossip believes a peer of itself and of the pods that the store has bound to its node, and of nothing else. */
function openGossip(
  world: World,
  cluster: ClusterRecord,
  client: Client,
  members: Members,
  scope: Scope,
): RunningGossip {
  const pods = follow(world, client, podKind, {}, { uid: pod => [pod.metadata.uid] }, scope.signal)
  const allowed = (peer: string, uid: string) => {
    const nodeName = pods.view.by('uid', uid)[0]?.spec.nodeName
    const node = nodeName === undefined ? undefined : members.nodes.view.get(undefined, nodeName)
    return node !== undefined && peerOf(node) === peer
  }
  // The network ends after the scope, so the farewell still finds it. A stopping agent leaves its pods running: it goes quietly.
  // A cluster that began again hears nothing of the one before it.
  const topic = `${gossipConfig.topic}/${cluster.clusterId}`
  const gossip = runGossip(world, { ...gossipConfig, topic }, allowed, scope.signal)
  onAbort(scope.signal, () => gossip.stayQuiet())
  members.nodes.onChange(() => gossip.expect(members.nodes.view.list().flatMap(node => peerOf(node) ?? [])))
  pods.onChange(() => gossip.recheck())
  scope.start('gossip', () => gossip.done)
  return gossip
}

/**
 * The founder admits itself; the others are admitted by the cluster. Only while it is alone: one that was removed must not come
 * back by its own word. Whoever restored a backup onto another machine takes the Node that it is to be.
 */
async function makeOwnNode(parts: Parts, signal: AbortSignal): Promise<void> {
  const { world, member, apiserver, annotations } = parts
  const { cluster } = member
  const { nodeName: name } = cluster
  // A Node's peer is who belongs to the cluster: no agent may write it, but for one that is alone.
  const client = apiserver.client({ user: 'flotilla:admission', groups: ['system:masters'] })
  if (!cluster.founded && cluster.succession?.to !== cluster.clusterId) return
  while (!signal.aborted) {
    try {
      if (!(await isAlone(parts, signal))) return
      const body = { metadata: { annotations } }
      await client.patch(nodeKind, { name }, { type: 'merge', body }, signal)
      return
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'NotFound') {
        await client.create(nodeKind, { metadata: { name, annotations } }, signal).catch(failed)
      } else failed(error)
    }
    await world.clock.sleep(200, signal)
  }

  function failed(error: unknown): void {
    world.log.debug('the own Node was not made yet', { error: String(error) })
  }
}

/** Whose agent is down is no member in an external etcd: there the Nodes say whether anybody else belongs to the cluster. */
async function isAlone({ peer, member, client }: Parts, signal: AbortSignal): Promise<boolean> {
  const { embedded } = member
  if (embedded !== undefined) return embedded.status().members.length <= 1
  const { items } = await client.list(nodeKind, {}, signal)
  return items.length === 0 || items.some(node => peerOf(node) === peer.network.self)
}

/**
 * The peers' own store takes a removed peer out of its members. An external etcd lets in whoever has its credentials, so a peer
 * whose Node is gone, or stands for another peer, has to end by itself: it would lead one day, past all who removed it.
 */
async function endWhenRemoved({ peer, member, members }: Parts, signal: AbortSignal): Promise<void> {
  const { founded, clusterName, nodeName } = member.cluster
  const { promise: removed, resolve } = Promise.withResolvers<void>()
  // Who was admitted has had its Node since before it came; the founder makes its own.
  let hasBeen = !founded
  let leaves = false
  function look(): void {
    const own = members.nodes.view.list().find(node => peerOf(node) === peer.network.self)
    // One that leaves ends by itself.
    if (own === undefined && hasBeen && !leaves) resolve()
    if (own === undefined) return
    hasBeen = true
    leaves = isLeaving(own)
  }
  await Promise.race([members.nodes.synced, aborted(signal)])
  look()
  using _changes = members.nodes.onChange(look)
  await Promise.race([removed, aborted(signal)])
  if (!signal.aborted) throw new Error(removedWords(clusterName, nodeName))
}

/** The machine's own resolver settings, for pods with dnsPolicy Default and as the tail of every search path. */
async function hostDns(): Promise<DnsConfig> {
  const text = await fs.readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  const words = (name: string) =>
    text
      .split('\n')
      .filter(line => line.startsWith(`${name} `) || line.startsWith(`${name}\t`))
      .flatMap(line => line.trim().split(/\s+/).slice(1))
  return { servers: words('nameserver').slice(0, 3), searches: words('search'), options: words('options') }
}

function bracketed(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip
}

function welcome(network: MeshNetwork, nodeName: string, kubeconfig: string): string {
  return [
    '',
    `${nodeName} is up. Its peer ID is ${network.self}.`,
    '',
    `  kubectl --kubeconfig ${kubeconfig} get nodes`,
    '',
    'To add a machine, say here:          flotilla token create',
    'and on the other what it prints:     flotilla join --token …',
    '',
  ].join('\n')
}
