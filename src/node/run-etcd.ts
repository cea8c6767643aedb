// etcd's API on this peer, for those who asked for it: etcdctl, etcd's clients, and benchmarks see the cluster's own store.
// Whoever may use it may do all, past every rule of the Kubernetes API, so it asks for a client certificate of the cluster's
// authority with the group system:masters, the same that the kubeconfig in the data directory holds.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { serveGrpc } from '../drivers/grpc/serve.ts'
import { issueServing } from '../drivers/pki.ts'
import { openEtcd } from '../etcd/run.ts'
import type { CommandStore } from '../kv/txn.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { ClusterRecord, EtcdListen } from './config.ts'
import * as files from './run-files.ts'
import type { ClusterKeys } from './run-pki.ts'

const mayDoAll = 'system:masters'

export type EtcdParts = {
  readonly world: Pick<World, 'clock' | 'network' | 'log'>
  readonly store: CommandStore
  readonly cluster: ClusterRecord
  readonly dataDir: string
  readonly keys: ClusterKeys
  /** Names and addresses of this peer, for the certificate. */
  readonly names: { readonly nodeName: string; readonly hosts: readonly string[]; readonly serviceIp: string }
  readonly nameOf: (peer: PeerId) => string
  readonly say: (line: string) => void
}

/** Resolves once it listens, and rejects when it cannot; what it serves ends with the signal, which `done` waits for. */
export async function startEtcd(parts: EtcdParts, listen: EtcdListen, signal: AbortSignal) {
  const { world, store, cluster, dataDir, keys, names } = parts
  const scheme = listen.insecure ? 'http' : 'https'
  const ownUrl = (port: number) => `${scheme}://${bracketed(listen.host)}:${port}`
  let { port } = listen
  const service = openEtcd(
    world.clock,
    store,
    {
      clusterId: cluster.clusterId,
      member: cluster.memberId,
      // Whether others serve this API too, and where, is each peer's own affair.
      clientUrlsOf: peer => (peer === world.network.self ? [ownUrl(port)] : []),
      nameOf: parts.nameOf,
      dbBytes: () => folderBytes(files.storeDir(dataDir, cluster)),
    },
    signal,
  )
  const serving = { ...names, hosts: [...names.hosts, listen.host] }
  const issued = listen.insecure ? undefined : await issueServing(keys.authority, serving, world.clock.nowMs())
  const tls = issued && {
    key: issued.keyPem,
    cert: issued.certificatePem,
    ca: keys.authority.certificatePem,
    allow: (_user: string, groups: readonly string[]) => groups.includes(mayDoAll),
  }
  const { host } = listen
  const server = await serveGrpc({ host, port, tls, service, log: world.log.with({ component: 'etcd' }) }, signal)
  port = server.port
  parts.say(`etcd's API is on ${host} port ${port}. ${invitation(dataDir, ownUrl(port), listen.insecure)}`)
  return server
}

function invitation(dataDir: string, url: string, insecure: boolean): string {
  const pki = join(dataDir, 'pki')
  const certificates = ['--cacert', `${pki}/ca.crt`, '--cert', `${pki}/admin.crt`, '--key', `${pki}/admin.key`]
  const flags = insecure ? [] : certificates
  return `For example:\n\n  ETCDCTL_API=3 etcdctl ${['--endpoints', url, ...flags, 'endpoint', 'status'].join(' ')}\n`
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries.map(async entry => {
    if (!entry.isFile()) return 0
    // A file may go while we look.
    return await stat(join(entry.parentPath, entry.name)).then(
      found => found.size,
      () => 0,
    )
  })
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
