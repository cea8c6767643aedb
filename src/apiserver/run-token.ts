// POST serviceaccounts/<name>/token: an agent gets tokens for the pods of its own node, others for what RBAC lets them.
import { decodeJwt } from 'jose'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import type { Store } from '../kv/store.ts'
import type { Identity } from '../world/http.ts'
import { type BoundTo, checkToken } from './admission/noderestriction.ts'
import { nodeOf } from './authorize.ts'
import type { Tokens } from './run-auth.ts'
import { keyOf, objectOf } from './stored.ts'

export const issuedCredentialKey = 'authentication.kubernetes.io/issued-credential-id'

/** By what a token is known in audit events, those of its making and those of its use. */
export function credentialIdOf(issued: JsonObject): string {
  const { token = '' } = (issued['status'] ?? {}) as { readonly token?: string }
  return `JTI=${decodeJwt(token).jti ?? ''}`
}

export async function issueToken(
  store: Store,
  tokens: Tokens,
  identity: Identity,
  account: { readonly namespace: string; readonly name: string },
  body: Json,
): Promise<JsonObject> {
  if (nodeOf(identity) !== undefined) {
    const { spec } = (body ?? {}) as { readonly spec?: { readonly boundObjectRef?: BoundTo } }
    const bound = spec?.boundObjectRef ?? {}
    const found = await store.get(keyOf(podKind, account.namespace, bound.name ?? ''))
    checkToken(identity, account.name, bound, found && objectOf<Pod>(found))
  }
  return await tokens.issue(account.namespace, account.name, body)
}
