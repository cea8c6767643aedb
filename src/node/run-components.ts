// Introduces the components of one peer to one another: the API server on the store, everything else on the API.
import * as fs from 'node:fs/promises'
import { addressesAnnotation, apiAnnotation, peerAnnotation } from '../api/annotations.ts'
import { ApiError } from '../api/error.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import { openApiserver } from '../apiserver/run.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { runDns } from '../dns/run.ts'
import { podMtu } from '../drivers/dataplane/nftables.ts'
import { serveHttps } from '../drivers/http/serve.ts'
import type { MeshNetwork } from '../drivers/network/libp2p.ts'
import { certificateHash } from '../drivers/pki.ts'
import { openRuntime } from '../drivers/runtime/open.ts'
import { gossipConfig, runGossip } from '../gossip/run.ts'
import { nodePodIp } from '../kubelet/address.ts'
import { allocatableOf } from '../kubelet/node.ts'
import { type Kubelet, openKubelet } from '../kubelet/run.ts'
import { readMachine, runNode as runNodeObject } from '../kubelet/run-node.ts'
import type { NodeFacts } from '../kubelet/spec.ts'
import { aborted, onAbort } from '../lib/abort.ts'
import { runOverlay } from '../overlay/run.ts'
import { runProxy } from '../proxy/run.ts'
import type { RunningStore } from '../store/run.ts'
import type { DnsConfig } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import { apiServiceIp, type ClusterRecord, type NodeConfig } from './config.ts'
import { openAdmission } from './run-admission.ts'
import { type ControlHandler, serveControl } from './run-control.ts'
import { chooseDataplane } from './run-dataplane.ts'
import * as files from './run-files.ts'
import { runLeaderTasks } from './run-leader.ts'
import { followMembers, type Members } from './run-members.ts'
import { pipe } from './run-pipe.ts'
import { adminCertificate, clusterKeys, servingCertificate } from './run-pki.ts'
import type { Scope } from './scope.ts'
import { peerOf, peersOf, type StatusReport } from './status.ts'

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
const controlMs = 25_000

/** Brings every component up, in the order in which they need one another; what it starts ends with the scope. */
export async function start(
  world: World,
  network: MeshNetwork,
  config: NodeConfig,
  cluster: ClusterRecord,
  store: RunningStore,
  scope: Scope,
  say: (line: string) => void,
): Promise<void> {
  const { signal } = scope
  const { dataDir } = config
  const { clusterCidr, serviceCidr, nodeName } = cluster
  const keys = await clusterKeys(world, dataDir, store, cluster.clusterId, cluster.founded, signal)
  const caPem = keys.authority.certificatePem
  const names = { nodeName, hosts: [config.nodeIp, ...config.apiNames], serviceIp: apiServiceIp(serviceCidr) }
  const serving = await servingCertificate(world, dataDir, keys, names)

  // The kubelet and the members stand on the API, which asks them back: they are filled in below.
  let kubelet: Kubelet | undefined
  let members: Members | undefined
  const nodes = () => members?.nodes.view.list() ?? []
  const nodeNamed = (name: string) => nodes().find(one => one.metadata.name === name)
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
      kubeletOf: async (peer, until) => {
        if (peer !== network.self) return await network.open(peer, 'kubelet', until)
        const [near, far] = pipe(network.self)
        kubelet?.serve(far, until).catch(error => world.log.debug('a kubelet stream broke', { error: String(error) }))
        return near
      },
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
  members = followMembers(world, client, dataDir, signal)
  const gossip = openGossip(world, client, members, scope)

  const opened = await openRuntime(
    config.runtime,
    world,
    {
      stateDir: files.runtimeDir(dataDir),
      dockerSocket: config.dockerSocket,
      owner: `${cluster.clusterId}/${nodeName}`,
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
  if (cluster.founded) scope.start('own node', inner => makeOwnNode(world, client, nodeName, network, inner))
  const annotations = {
    [peerAnnotation]: network.self,
    [addressesAnnotation]: network.addresses().join(','),
    [apiAnnotation]: `${config.nodeIp}:${server.port}`,
  }
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
  const own = openKubelet(world, kubeletConfig, client, runtime, gossip, signal)
  kubelet = own
  scope.start('kubelet', () => own.done)
  scope.start('kubelet streams', async inner => {
    using _ = network.onStream('kubelet', (stream, until) => own.serve(stream, until))
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
  const parts = { world, store, apiserver, gossip, members, caPem, cluster, config }
  scope.start('leader', inner => runLeaderTasks(parts, inner))

  const kubeconfig = files.kubeconfigFile(dataDir)
  const context = { name: nodeName, server: `https://${bracketed(config.nodeIp)}:${server.port}` }
  const admin = await adminCertificate(world, dataDir, keys)
  await files.writeKubeconfig(kubeconfig, files.kubeconfigText([context], caPem, admin))

  const report = (): StatusReport => {
    const { term, leader, revision, appliedIndex, commitIndex } = store.status()
    return {
      clusterId: cluster.clusterId,
      self: network.self,
      node: nodeName,
      version: versionInfo.gitVersion,
      term,
      leader,
      revision,
      appliedIndex,
      commitIndex,
      runtime: runtime.capabilities.name,
      dataplane: dataplane.name,
      peers: peersOf(network.self, nodes(), store.status(), gossip.view()),
    }
  }
  scope.start('admission', async inner => {
    const caHash = certificateHash(caPem)
    const administrator = apiserver.client({ user: 'flotilla:admission', groups: ['system:masters'] })
    using admission = openAdmission({ world, client: administrator, store, cluster, caPem, caHash }, inner)
    const handle: ControlHandler = async (method, path, body) => {
      using deadline = world.clock.deadline(controlMs, inner)
      if (method === 'GET' && path === '/status') return report()
      if (method === 'GET' && path === '/tokens') return await admission.listTokens(deadline.signal)
      if (method === 'POST' && path === '/tokens') {
        const { ttlMs } = body as { ttlMs?: unknown }
        if (typeof ttlMs !== 'number' || !(ttlMs > 0)) throw new Error('ttlMs must be a number of milliseconds')
        return await admission.createToken(ttlMs, deadline.signal)
      }
      if (method === 'DELETE' && path.startsWith('/tokens/')) {
        await admission.revokeToken(decodeURIComponent(path.slice('/tokens/'.length)), deadline.signal)
        return {}
      }
      return undefined
    }
    await serveControl(files.controlSocket(dataDir), world.log, handle, inner)
  })
  say(welcome(network, nodeName, kubeconfig))
}

/** Gossip believes a peer of itself and of the pods that the store has bound to its node, and of nothing else. */
function openGossip(world: World, client: Client, members: Members, scope: Scope) {
  const pods = follow(world, client, podKind, {}, { uid: pod => [pod.metadata.uid] }, scope.signal)
  const allowed = (peer: string, uid: string) => {
    const nodeName = pods.view.by('uid', uid)[0]?.spec.nodeName
    const node = nodeName === undefined ? undefined : members.nodes.view.get(undefined, nodeName)
    return node !== undefined && peerOf(node) === peer
  }
  // The network ends after the scope, so the farewell still finds it. A stopping agent leaves its pods running: it goes quietly.
  const gossip = runGossip(world, gossipConfig, allowed, scope.signal)
  onAbort(scope.signal, () => gossip.stayQuiet())
  members.nodes.onChange(() => gossip.expect(members.nodes.view.list().flatMap(node => peerOf(node) ?? [])))
  pods.onChange(() => gossip.recheck())
  scope.start('gossip', () => gossip.done)
  return gossip
}

/** The founder admits itself; the others are admitted by the cluster. */
async function makeOwnNode(
  world: World,
  client: Client,
  name: string,
  network: MeshNetwork,
  signal: AbortSignal,
): Promise<void> {
  const annotations = { [peerAnnotation]: network.self, [addressesAnnotation]: network.addresses().join(',') }
  while (!signal.aborted) {
    try {
      await client.create(nodeKind, { metadata: { name, annotations } }, signal)
      return
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'AlreadyExists') return
      world.log.debug('the own Node was not made yet', { error: String(error) })
    }
    await world.clock.sleep(200, signal)
  }
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
