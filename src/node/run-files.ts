// The small files of a peer in its data directory: cluster.json, peers.json, certificates, the kubeconfig. Each is replaced
// whole or not at all.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { stringify } from 'yaml'
import type { Authority } from '../drivers/pki.ts'
import type { AdmittedPeer } from '../world/network.ts'
import { type ClusterRecord, isStoreFolder, parseClusterRecord } from './config.ts'

export const clusterFile = (dataDir: string) => path.join(dataDir, 'cluster.json')
export const identityFile = (dataDir: string) => path.join(dataDir, 'identity.key')
export const kubeconfigFile = (dataDir: string) => path.join(dataDir, 'kubeconfig')
export const controlSocket = (dataDir: string) => path.join(dataDir, 'agent.sock')
export const storeDir = (dataDir: string, record: Pick<ClusterRecord, 'store'>) => path.join(dataDir, record.store)
export const backupsDir = (dataDir: string) => path.join(dataDir, 'backups')
/** What was replaced and is kept: a folder per time and reason. */
export const asideDir = (dataDir: string) => path.join(dataDir, 'aside')
export const runtimeDir = (dataDir: string) => path.join(dataDir, 'runtime')
const peersFile = (dataDir: string) => path.join(dataDir, 'peers.json')

/** Written aside, synced, renamed, and the name synced too. */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const aside = `${file}.new`
  const handle = await fs.open(aside, 'w', mode)
  try {
    await handle.chmod(mode)
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await fs.rename(aside, file)
  await syncDir(path.dirname(file))
}

export async function syncDir(dir: string): Promise<void> {
  const handle = await fs.open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** '20260131T235959Z': sorts as time does, and may stand in a file name. */
export function timeStamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
}

/**
 * Moves what there is of `names` out of the way, into a dated folder or into `into`; gives that folder, undefined when there
 * was nothing to move.
 */
export async function setAside(
  dataDir: string,
  names: readonly string[],
  why: string,
  nowMs: number,
  into?: string,
): Promise<string | undefined> {
  const there = await fs.readdir(dataDir)
  const found = names.filter(name => there.includes(name))
  if (found.length === 0) return undefined
  const dir = into ?? (await datedDir(asideDir(dataDir), `${timeStamp(nowMs)}-${why}`))
  for (const name of found) await fs.rename(path.join(dataDir, name), path.join(dir, name))
  await syncDir(dir)
  await syncDir(dataDir)
  return dir
}

/** A new folder; a second one of the same name gets a number. */
async function datedDir(parent: string, name: string): Promise<string> {
  await fs.mkdir(parent, { recursive: true, mode: 0o700 })
  for (let i = 1; ; i++) {
    const dir = path.join(parent, i === 1 ? name : `${name}-${i}`)
    try {
      await fs.mkdir(dir, { mode: 0o700 })
      return dir
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** The names of all store folders in the data directory. */
export async function storeFolders(dataDir: string): Promise<readonly string[]> {
  return (await fs.readdir(dataDir)).filter(isStoreFolder)
}

/** What shows that this machine was a peer of some cluster, although there is no cluster.json. */
export async function tracesOfCluster(dataDir: string): Promise<readonly string[]> {
  const names = await fs.readdir(dataDir)
  return names.filter(name => name === 'pki' || name === 'peers.json' || isStoreFolder(name))
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await fs.readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function readCluster(dataDir: string): Promise<ClusterRecord | undefined> {
  const text = await readOptional(clusterFile(dataDir))
  return text === undefined ? undefined : parseClusterRecord(text, clusterFile(dataDir))
}

export async function writeCluster(dataDir: string, record: ClusterRecord): Promise<void> {
  await replaceFile(clusterFile(dataDir), `${JSON.stringify(record, null, 2)}\n`, 0o600)
}

/** What is kept of another peer. `node` and `member` are for people who look at a stopped one. */
export type KnownPeer = AdmittedPeer & { readonly node?: string; readonly member?: string; readonly role?: string }

/** The peers to find the cluster by after a restart, before the store says more. */
export async function readPeers(dataDir: string): Promise<readonly KnownPeer[]> {
  const text = await readOptional(peersFile(dataDir))
  return text === undefined ? [] : (JSON.parse(text) as readonly KnownPeer[])
}

export async function writePeers(dataDir: string, peers: readonly KnownPeer[]): Promise<void> {
  await replaceFile(peersFile(dataDir), `${JSON.stringify(peers, null, 2)}\n`, 0o600)
}

/** In pki/: the cluster's keys as its store has them. */
export const clusterKeysFile = 'cluster.json'

export type Certificate = { readonly certificatePem: string; readonly keyPem: string }

export async function readCertificate(dataDir: string, name: string): Promise<Certificate | undefined> {
  const [certificatePem, keyPem] = await Promise.all([
    readOptional(path.join(dataDir, 'pki', `${name}.crt`)),
    readOptional(path.join(dataDir, 'pki', `${name}.key`)),
  ])
  return certificatePem === undefined || keyPem === undefined ? undefined : { certificatePem, keyPem }
}

export async function writeCertificate(dataDir: string, name: string, one: Certificate): Promise<void> {
  await fs.mkdir(path.join(dataDir, 'pki'), { recursive: true, mode: 0o700 })
  await replaceFile(path.join(dataDir, 'pki', `${name}.key`), one.keyPem, 0o600)
  await replaceFile(path.join(dataDir, 'pki', `${name}.crt`), one.certificatePem, 0o644)
}

/** A secret of this peer's own replica, kept where it can be read before the store has found its quorum. */
export async function readSecret(dataDir: string, name: string): Promise<string | undefined> {
  return await readOptional(path.join(dataDir, 'pki', name))
}

export async function writeSecret(dataDir: string, name: string, text: string): Promise<void> {
  await fs.mkdir(path.join(dataDir, 'pki'), { recursive: true, mode: 0o700 })
  await replaceFile(path.join(dataDir, 'pki', name), text, 0o600)
}

/** The certificate authority as far as this peer's own files know it; `keyPem` is empty where they hold only its certificate. */
export async function readAuthority(dataDir: string): Promise<Authority | undefined> {
  const keys = await readSecret(dataDir, clusterKeysFile)
  if (keys !== undefined) return (JSON.parse(keys) as { authority: Authority }).authority
  const pem = await readOptional(path.join(dataDir, 'pki', 'ca.crt'))
  return pem === undefined ? undefined : { certificatePem: pem, keyPem: '' }
}

export type Context = { readonly name: string; readonly server: string }

/** A kubeconfig with one context per API server, all with the same client certificate; the first is current. */
export function kubeconfigText(contexts: readonly Context[], caPem: string, admin: Certificate): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': contexts[0]?.name ?? '',
    clusters: contexts.map(({ name, server }) => ({
      name,
      cluster: { server, 'certificate-authority-data': base64(caPem) },
    })),
    contexts: contexts.map(({ name }) => ({ name, context: { cluster: name, user: 'admin' } })),
    users: [
      {
        name: 'admin',
        user: {
          'client-certificate-data': base64(admin.certificatePem),
          'client-key-data': base64(admin.keyPem),
        },
      },
    ],
  })
}

export async function writeKubeconfig(file: string, text: string): Promise<void> {
  await replaceFile(file, text, 0o600)
}
