// The small files of a peer in its data directory: cluster.json, peers.json, certificates, the kubeconfig. Each is replaced
// whole or not at all.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { stringify } from 'yaml'
import type { AdmittedPeer } from '../world/network.ts'
import { type ClusterRecord, parseClusterRecord } from './config.ts'

export const clusterFile = (dataDir: string) => path.join(dataDir, 'cluster.json')
export const identityFile = (dataDir: string) => path.join(dataDir, 'identity.key')
export const kubeconfigFile = (dataDir: string) => path.join(dataDir, 'kubeconfig')
export const controlSocket = (dataDir: string) => path.join(dataDir, 'agent.sock')
export const storeDir = (dataDir: string) => path.join(dataDir, 'store')
export const runtimeDir = (dataDir: string) => path.join(dataDir, 'runtime')
const peersFile = (dataDir: string) => path.join(dataDir, 'peers.json')

/** Written aside, synced, renamed. */
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

/** The peers to find the cluster by after a restart, before the store says more. */
export async function readPeers(dataDir: string): Promise<readonly AdmittedPeer[]> {
  const text = await readOptional(peersFile(dataDir))
  return text === undefined ? [] : (JSON.parse(text) as readonly AdmittedPeer[])
}

export async function writePeers(dataDir: string, peers: readonly AdmittedPeer[]): Promise<void> {
  await replaceFile(peersFile(dataDir), `${JSON.stringify(peers, null, 2)}\n`, 0o600)
}

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
