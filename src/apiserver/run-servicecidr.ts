// The ServiceCIDR `kubernetes`: the range that the cluster was made with, as every cluster shows it.
// After kubernetes pkg/controlplane/controller/defaultservicecidr.
import { ApiError } from '../api/error.ts'
import { serviceCidr } from '../api/kinds/servicecidr.ts'
import type { Client } from '../client/client.ts'
import { rfc3339 } from '../lib/duration.ts'

export const defaultServiceCidr = 'kubernetes'
/** It stays while there are Services with addresses of it, and of this one there always are. */
const held = 'networking.k8s.io/service-cidr-finalizer'

/** Idempotent. Rejects with ApiError when the store cannot be written. */
export async function makeServiceCidr(client: Client, cidr: string, nowMs: number, signal: AbortSignal): Promise<void> {
  const key = { name: defaultServiceCidr }
  const found = await client.get(serviceCidr, key, signal).catch(absent)
  const object =
    found ??
    (await client.create(serviceCidr, { metadata: { ...key, finalizers: [held] }, spec: { cidrs: [cidr] } }, signal))
  if ((object.status.conditions ?? []).some(({ type }) => type === 'Ready')) return
  const ready = {
    type: 'Ready',
    status: 'True' as const,
    lastTransitionTime: rfc3339(nowMs),
    reason: '',
    message: 'Kubernetes default Service CIDR is ready',
  }
  await client.updateStatus(serviceCidr, { ...object, status: { conditions: [ready] } }, signal)
}

function absent(error: unknown): undefined {
  if (error instanceof ApiError && error.reason === 'NotFound') return undefined
  throw error
}
