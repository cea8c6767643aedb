// What this server registers of itself: an APIService for each group and version that it answers, and the ConfigMap by which
// the servers behind it know whom to believe who asks. Idempotent; for the leader.
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { type ApiService, apiService } from '../api/kinds/apiservice.ts'
import { type ConfigMap, configMap } from '../api/kinds/configmap.ts'
import type { Client } from '../client/client.ts'
import { sameJson } from '../lib/canonical.ts'
import { autoManaged, localServices } from './aggregate.ts'
import type { FrontProxy } from './run-upstream.ts'

/** Makes those that are missing and takes away those that we made and that nothing stands behind any more. */
export async function registerLocal(client: Client, kinds: readonly Kind[], signal: AbortSignal): Promise<void> {
  const { items } = await client.list(apiService, {}, signal)
  const known = new Set(items.map(({ metadata }) => metadata.name))
  const wanted = localServices(kinds)
  const names = new Set(wanted.map(({ metadata }) => metadata.name))
  const isStray = ({ metadata, spec }: ApiService) =>
    metadata.labels?.[autoManaged] !== undefined && spec.service === undefined && !names.has(metadata.name)
  await Promise.all([
    ...wanted
      .filter(({ metadata }) => !known.has(metadata.name))
      .map(one => unless('AlreadyExists', client.create(apiService, one, signal))),
    ...items
      .filter(isStray)
      .map(({ metadata: { name, uid } }) => unless('NotFound', client.delete(apiService, { name }, { uid }, signal))),
  ])
}

async function unless(reason: ApiError['reason'], done: Promise<unknown>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== reason) throw error
  }
}

const trustKey = { namespace: 'kube-system', name: 'extension-apiserver-authentication' }

/** https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#extension-apiserver-authenticates-the-request */
export async function publishTrust(
  client: Client,
  clientCaPem: string | undefined,
  frontProxy: FrontProxy | undefined,
  signal: AbortSignal,
): Promise<void> {
  const data = {
    ...(clientCaPem !== undefined && { 'client-ca-file': clientCaPem }),
    ...(frontProxy && {
      'requestheader-allowed-names': JSON.stringify([frontProxyUser]),
      'requestheader-client-ca-file': frontProxy.caPem,
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-uid-headers': '["X-Remote-Uid"]',
      'requestheader-username-headers': '["X-Remote-User"]',
    }),
  }
  if (Object.keys(data).length === 0) return
  let old: ConfigMap
  try {
    old = await client.get(configMap, trustKey, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'NotFound') throw error
    await unless('AlreadyExists', client.create(configMap, { metadata: trustKey, data }, signal))
    return
  }
  // What others have put there stays: they may trust more than we do.
  const next = { ...old.data, ...data }
  if (!sameJson(old.data ?? {}, next)) await client.update(configMap, { ...old, data: next }, signal)
}

/** The name in the certificate that our API servers show to those behind them. */
export const frontProxyUser = 'front-proxy-client'
