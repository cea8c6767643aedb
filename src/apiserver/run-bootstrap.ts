// What every cluster has from its first moment on. Idempotent: made again whenever somebody leads.
import { ApiError } from '../api/error.ts'
import { namespace } from '../api/kinds/namespace.ts'
import type { Client } from '../client/client.ts'
import { defaultNamespaces } from './write.ts'

export async function makeDefaults(client: Client, signal: AbortSignal): Promise<void> {
  for (const name of defaultNamespaces) {
    try {
      await client.get(namespace, { name }, signal)
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'NotFound') throw error
      await client.create(namespace, { metadata: { name } }, signal)
    }
  }
}
