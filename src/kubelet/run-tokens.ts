// The service account tokens of one pod: asked of the API, renewed when four fifths of their life are over.
import { serviceAccount as serviceAccountKind } from '../api/kinds/serviceaccount.ts'
import { parseRfc3339 } from '../lib/duration.ts'
import type { Context } from './context.ts'
import type { Pod } from './plan.ts'
import type { TokenSource } from './volume.ts'

export const renewRetryMs = 10_000
const requestTimeoutMs = 10_000

type Token = { readonly text: string; readonly renewAtMs: number; readonly expiresMs: number }

export interface Tokens {
  readonly source: TokenSource
  /** Asks for those that are missing or due. Rejects only when one is missing, not when a renewal has to wait. */
  fetch(pod: Pod): Promise<void>
  /** When the next one is due, on the wall clock. */
  dueAtMs(): number | undefined
}

export function openTokens(context: Context, uid: string, signal: AbortSignal): Tokens {
  const { world, client } = context
  const held = new Map<string, Token>()

  async function request(pod: Pod, audience: string, expirationSeconds: number): Promise<Token> {
    const nowMs = world.clock.nowMs()
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: audience === '' ? [] : [audience],
        expirationSeconds,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid },
      },
    }
    const account = { namespace: pod.metadata.namespace ?? 'default', name: pod.spec.serviceAccountName ?? 'default' }
    using deadline = world.clock.deadline(requestTimeoutMs, signal)
    const issued = await client.post(serviceAccountKind, account, 'token', body, deadline.signal)
    const { status } = issued as { status?: { token?: string; expirationTimestamp?: string } }
    if (status?.token === undefined) throw new Error('the API issued no service account token')
    const expiresMs = parseRfc3339(status.expirationTimestamp ?? '') ?? nowMs + expirationSeconds * 1_000
    return { text: status.token, renewAtMs: nowMs + (expiresMs - nowMs) * 0.8, expiresMs }
  }

  return {
    source: (audience, seconds) => held.get(`${audience}/${seconds}`)?.text,
    dueAtMs: () => (held.size === 0 ? undefined : Math.min(...[...held.values()].map(token => token.renewAtMs))),
    async fetch(pod) {
      const wishes = (pod.spec.volumes ?? []).flatMap(volume => volume.projected?.sources ?? [])
      for (const { serviceAccountToken: wish } of wishes) {
        if (wish === undefined) continue
        const { audience = '', expirationSeconds } = wish
        const key = `${audience}/${expirationSeconds}`
        const before = held.get(key)
        const nowMs = world.clock.nowMs()
        if (before !== undefined && before.renewAtMs > nowMs) continue
        try {
          held.set(key, await request(pod, audience, expirationSeconds))
        } catch (error) {
          if (signal.aborted || before === undefined || before.expiresMs <= nowMs) throw error
          // What stands is good for a while yet; the API may be out of reach.
          held.set(key, { ...before, renewAtMs: nowMs + renewRetryMs })
          world.log.warn('a service account token could not be renewed yet', { uid, error: String(error) })
        }
      }
    },
  }
}
