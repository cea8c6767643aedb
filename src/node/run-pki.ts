// The cluster's certificates. The authority and the signing key of service accounts stand in the store, so that every
// control peer can serve; each peer issues its own serving certificate with them and renews it.
import { frontProxyUser } from '../apiserver/run-register.ts'
import type { FrontProxy } from '../apiserver/run-upstream.ts'
import {
  type Authority,
  adminIdentity,
  issueClient,
  issueServing,
  makeAuthority,
  makeSigningKey,
  needsRenewal,
  type SigningKey,
  verifyClient,
} from '../drivers/pki.ts'
import type { Store } from '../kv/store.ts'
import type { World } from '../world/world.ts'
import {
  type Certificate,
  clusterKeysFile,
  readCertificate,
  readSecret,
  writeCertificate,
  writeSecret,
} from './run-files.ts'

export const pkiKey = '/flotilla/pki'

export type ClusterKeys = { readonly authority: Authority; readonly signing: SigningKey }

/**
 * The keys, from this peer's own file or else from the store, which is waited for; the founder, once it leads, makes them. The
 * file lets a peer that restarts without a quorum come up: its log may hold them, but what of it is committed only a leader
 * knows. Rejects when the signal aborts.
 */
export async function clusterKeys(
  world: World,
  dataDir: string,
  store: Store,
  clusterId: string,
  founder: boolean,
  signal: AbortSignal,
): Promise<ClusterKeys> {
  const kept = await readSecret(dataDir, clusterKeysFile)
  if (kept !== undefined) return JSON.parse(kept) as ClusterKeys
  while (!signal.aborted) {
    const found = await store.get(pkiKey)
    if (found !== undefined) {
      await writeSecret(dataDir, clusterKeysFile, found.value)
      return JSON.parse(found.value) as ClusterKeys
    }
    if (founder && store.status().role === 'leader') {
      const authority = await makeAuthority(`flotilla-${clusterId.slice(0, 8)}`, world.clock.nowMs())
      const value = JSON.stringify({ authority, signing: makeSigningKey() } satisfies ClusterKeys)
      const write = { compare: [{ key: pkiKey, modRevision: 0 }], operations: [{ key: pkiKey, value }] }
      // Whatever comes of it, the next round reads what stands.
      await store.write(write, signal).catch(error => {
        world.log.debug('the cluster keys were not written yet', { error: String(error) })
      })
    }
    await world.clock.sleep(50, signal)
  }
  throw new Error('stopped before the cluster keys were there')
}

export const frontProxyKey = '/flotilla/front-proxy'

/**
 * Gives the certificate that this peer shows to API servers behind it, issued anew before it runs out. Its authority stands in the
 * store, made by whoever leads when it is first wanted, and signs nothing else, so nobody else can pass for a front proxy.
 * Waits until it is there; rejects when the signal aborts.
 */
export function frontProxyCertificates(
  world: World,
  store: Store,
  clusterId: string,
): (signal: AbortSignal) => Promise<FrontProxy> {
  let held: FrontProxy | undefined
  return async signal => {
    const nowMs = world.clock.nowMs()
    if (held !== undefined && !needsRenewal(held.certPem, nowMs)) return held
    const authority = await frontProxyAuthority(world, store, clusterId, signal)
    const issued = await issueClient(authority, { user: frontProxyUser, groups: [] }, nowMs)
    held = { caPem: authority.certificatePem, certPem: issued.certificatePem, keyPem: issued.keyPem }
    return held
  }
}

async function frontProxyAuthority(
  world: World,
  store: Store,
  clusterId: string,
  signal: AbortSignal,
): Promise<Authority> {
  while (!signal.aborted) {
    const found = await store.get(frontProxyKey)
    if (found !== undefined) return JSON.parse(found.value) as Authority
    if (store.status().role === 'leader') {
      const value = JSON.stringify(await makeAuthority(`front-proxy-${clusterId.slice(0, 8)}`, world.clock.nowMs()))
      const write = {
        compare: [{ key: frontProxyKey, modRevision: 0 }],
        operations: [{ key: frontProxyKey, value }],
      }
      // Whatever comes of it, the next round reads what stands.
      await store.write(write, signal).catch(error => {
        world.log.debug('the front proxy key was not written yet', { error: String(error) })
      })
    }
    await world.clock.sleep(50, signal)
  }
  throw new Error('stopped before the front proxy key was there')
}

/** The serving certificate of this peer: kept on disk, issued anew when it runs out or its names changed. */
export async function servingCertificate(
  world: World,
  dataDir: string,
  keys: ClusterKeys,
  names: { readonly nodeName: string; readonly hosts: readonly string[]; readonly serviceIp: string },
): Promise<Certificate> {
  const nowMs = world.clock.nowMs()
  const held = await readCertificate(dataDir, 'serving')
  const kept =
    held !== undefined && (await readCertificate(dataDir, 'ca'))?.certificatePem === keys.authority.certificatePem
  if (held !== undefined && kept && !needsRenewal(held.certificatePem, nowMs, names.hosts)) return held
  const issued = await issueServing(keys.authority, names, nowMs)
  await writeCertificate(dataDir, 'serving', issued)
  // Beside it, which authority it is of; the key file stays empty, the authority's key is the store's alone.
  await writeCertificate(dataDir, 'ca', { certificatePem: keys.authority.certificatePem, keyPem: '' })
  return issued
}

/** The administrator's client certificate, for the kubeconfig in the data directory. */
export async function adminCertificate(world: World, dataDir: string, keys: ClusterKeys): Promise<Certificate> {
  const nowMs = world.clock.nowMs()
  const held = await readCertificate(dataDir, 'admin')
  if (held !== undefined && !needsRenewal(held.certificatePem, nowMs)) {
    const verdict = await verifyClient(keys.authority.certificatePem, held.certificatePem, nowMs)
    if (verdict.kind === 'valid') return held
  }
  const issued = await issueClient(keys.authority, adminIdentity, nowMs)
  await writeCertificate(dataDir, 'admin', issued)
  return issued
}
