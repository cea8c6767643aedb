// Bootstrap tokens, with which a machine that has nothing yet makes its first request: 'abcdef.0123456789abcdef', kept as a
// Secret that anybody who may write Secrets in kube-system can make and take away.
// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
import { timingSafeEqual } from 'node:crypto'
import { type Secret, secret as secretKind } from '../api/kinds/secret.ts'
import type { Store } from '../kv/store.ts'
import { parseRfc3339 } from '../lib/duration.ts'
import type { Identity } from '../world/http.ts'
import type { World } from '../world/world.ts'
import { authenticated } from './authorize.ts'
import { keyOf, objectOf } from './stored.ts'

export const bootstrapTokenType = 'bootstrap.kubernetes.io/token'
const bootstrappers = 'system:bootstrappers'
const tokenPattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/

/** Who brings this token; undefined when it is none, or no longer good. */
export type TokenReader = (token: string) => Promise<Identity | undefined>

export function bootstrapTokens(world: Pick<World, 'clock' | 'log'>, store: Store): TokenReader {
  return async token => {
    const [, id = '', given = ''] = tokenPattern.exec(token) ?? []
    if (id === '') return undefined
    const name = `bootstrap-token-${id}`
    const found = await store.get(keyOf(secretKind, 'kube-system', name))
    if (found === undefined) return undefined
    const secret = objectOf<Secret>(found)
    const wrong = wrongSecret(secret, id, given, world.clock.nowMs())
    if (wrong === undefined) return identityOf(secret, id)
    world.log.info('a bootstrap token was refused', { secret: name, why: wrong })
    return undefined
  }
}

const field = ({ data }: Secret, key: string): string => Buffer.from(data?.[key] ?? '', 'base64').toString('utf8')

function wrongSecret(secret: Secret, id: string, given: string, nowMs: number): string | undefined {
  if (secret.type !== bootstrapTokenType) return `its secret is of type ${secret.type}`
  if (secret.metadata.deletionTimestamp !== undefined) return 'its secret is being deleted'
  if (!isSame(field(secret, 'token-secret'), given)) return 'the secret part is another'
  if (field(secret, 'token-id') !== id) return 'its secret is of another token-id'
  if (isExpired(field(secret, 'expiration'), nowMs)) return 'it has expired'
  if (field(secret, 'usage-bootstrap-authentication') !== 'true') {
    return 'usage-bootstrap-authentication is not "true"'
  }
  const odd = extraGroups(secret).find(group => !groupPattern.test(group))
  return odd === undefined
    ? undefined
    : `auth-extra-groups names ${JSON.stringify(odd)}, which is no ${bootstrappers}:*`
}

/** In a time that tells only whether they are of one length. */
export function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** A time that cannot be read is over. */
function isExpired(expiration: string, nowMs: number): boolean {
  if (expiration === '') return false
  const atMs = parseRfc3339(expiration)
  return atMs === undefined || atMs <= nowMs
}

function extraGroups(secret: Secret): readonly string[] {
  const text = field(secret, 'auth-extra-groups')
  return text === '' ? [] : [...new Set(text.split(','))]
}

function identityOf(secret: Secret, id: string): Identity {
  return { user: `system:bootstrap:${id}`, groups: [bootstrappers, ...extraGroups(secret), authenticated] }
}
