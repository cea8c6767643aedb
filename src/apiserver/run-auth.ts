// Who asks: a client certificate, or a service account's token. Tokens are JWTs as Kubernetes makes them, bound to an audience, a time, the service account and, if wanted, a pod or another object.
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, decodeProtectedHeader, exportJWK, jwtVerify, SignJWT } from 'jose'
import { ApiError, notFound } from '../api/error.ts'
import type { KubeObject } from '../api/kind.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import { serviceAccount as serviceAccountKind } from '../api/kinds/serviceaccount.ts'
import { type TokenRequest, tokenRequest as tokenRequestKind } from '../api/kinds/tokenrequest.ts'
import { kinds } from '../api/kinds.ts'
import { parseObject } from '../api/parse.ts'
import { noDuplicates } from '../api/reader.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import type { Store } from '../kv/store.ts'
import { rfc3339 } from '../lib/duration.ts'
import type { HttpRequest, Identity } from '../world/http.ts'
import type { World } from '../world/world.ts'
import { authenticated } from './authorize.ts'
import type { TokenReader } from './run-bootstraptoken.ts'
import { keyOf, objectOf } from './stored.ts'

export type ServiceAccountKeys = {
  /** PKCS #8 PEM; RSA, P-256 or Ed25519. The first signs; all verify, so that a key can be replaced without a break. */
  readonly privateKeys: readonly string[]
  readonly issuer: string
  /** Audiences by which this API server lets itself be called, the issuer included. The first is the default. */
  readonly audiences: readonly string[]
}

export type Tokens = {
  /** undefined: not a token of ours, or no longer good. `audiences`: at least one must be the token's. */
  verify(token: string, audiences?: readonly string[]): Promise<Verified | undefined>
  issue(namespace: string, name: string, body: Json): Promise<JsonObject>
  /** The public keys, as /openid/v1/jwks gives them. */
  jwks(): Promise<Jwks>
  readonly issuer: string
}

export type Verified = { readonly identity: Identity; readonly audiences: readonly string[] }

const expirationSecondsMin = 600
const expirationSecondsMax = 365 * 24 * 3_600

type Claims = {
  readonly 'kubernetes.io'?: {
    readonly namespace?: string
    readonly serviceaccount?: { readonly name?: string; readonly uid?: string }
    readonly pod?: { readonly name?: string; readonly uid?: string }
    readonly secret?: { readonly name?: string; readonly uid?: string }
    readonly node?: { readonly name?: string; readonly uid?: string }
  }
}

/** RFC 7517; `alg` as in 'ES256'. */
export type Jwks = { readonly keys: readonly (JsonObject & { readonly alg: string })[] }

type Key = { readonly id: string; readonly algorithm: string; readonly secret: KeyObject; readonly open: KeyObject }

async function keyOfPem(pem: string): Promise<Key> {
  const secret = createPrivateKey(pem)
  const open = createPublicKey(secret)
  const algorithms: Record<string, string> = { rsa: 'RS256', ec: 'ES256', ed25519: 'EdDSA' }
  const algorithm = algorithms[secret.asymmetricKeyType ?? '']
  if (algorithm === undefined)
    throw new Error(`a service account key is ${secret.asymmetricKeyType}, not RSA, P-256 or Ed25519`)
  return { id: await calculateJwkThumbprint(await exportJWK(open)), algorithm, secret, open }
}

export function openTokens(world: Pick<World, 'clock' | 'random'>, store: Store, config: ServiceAccountKeys): Tokens {
  const keys = Promise.all(config.privateKeys.map(keyOfPem))
  keys.catch(() => undefined)

  async function verify(token: string, audiences = config.audiences): Promise<Verified | undefined> {
    try {
      const { kid, alg } = decodeProtectedHeader(token)
      const key = (await keys).find(({ id }) => id === kid)
      if (key === undefined || key.algorithm !== alg) return undefined
      const { payload } = await jwtVerify<Claims>(token, key.open, {
        issuer: config.issuer,
        audience: [...audiences],
        algorithms: [key.algorithm],
        currentDate: new Date(world.clock.nowMs()),
        requiredClaims: ['exp', 'sub'],
      })
      const bound = payload['kubernetes.io']
      const { namespace = '', serviceaccount, pod, secret, node } = bound ?? {}
      const name = serviceaccount?.name ?? ''
      if (payload.sub !== `system:serviceaccount:${namespace}:${name}`) return undefined
      const owner = await living(serviceAccountKind.kind, namespace, { name, uid: serviceaccount?.uid ?? '' })
      if (!owner) return undefined
      if (pod && !(await living('Pod', namespace, pod))) return undefined
      if (secret && !(await living('Secret', namespace, secret))) return undefined
      // With a pod, the node is only told; alone, it is what the token is bound to.
      if (!pod && node && !(await living('Node', '', node))) return undefined
      const given = typeof payload.aud === 'string' ? [payload.aud] : (payload.aud ?? [])
      return {
        identity: {
          user: payload.sub,
          uid: serviceaccount?.uid ?? '',
          groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, authenticated],
          extra: {
            ...(pod?.name !== undefined && { 'authentication.kubernetes.io/pod-name': [pod.name] }),
            ...(pod?.uid !== undefined && { 'authentication.kubernetes.io/pod-uid': [pod.uid] }),
            ...(node?.name !== undefined && { 'authentication.kubernetes.io/node-name': [node.name] }),
            ...(payload.jti !== undefined && { 'authentication.kubernetes.io/credential-id': [`JTI=${payload.jti}`] }),
          },
        },
        audiences: audiences.filter(audience => given.includes(audience)),
      }
    } catch (error) {
      // Malformed, forged and expired tokens are all the same to who brings them. Our own faults are not hidden.
      if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_J')) return undefined
      if (error instanceof TypeError) return undefined
      throw error
    }
  }

  /** Still there, and still the same one: a namesake that was made later is another. */
  async function living(kindName: string, namespace: string, what: { readonly name?: string; readonly uid?: string }) {
    const kind = kinds.find(each => each.kind === kindName)
    if (kind === undefined || what.name === undefined) return false
    const found = await store.get(keyOf(kind, namespace, what.name))
    if (found === undefined) return false
    const { uid, deletionTimestamp } = objectOf(found).metadata
    const ended = deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + 60_000 < world.clock.nowMs()
    return uid === what.uid && !ended
  }

  async function bound(kindName: string, namespace: string, name: string, uid: string): Promise<KubeObject> {
    const kind = kinds.find(each => each.kind === kindName)
    if (kind === undefined || !['Pod', 'Secret', 'Node'].includes(kindName)) {
      throw new ApiError('BadRequest', `spec.boundObjectRef: cannot bind a token to a ${kindName}`)
    }
    const found = await store.get(keyOf(kind, namespace, name))
    if (found === undefined) throw notFound(kind, name)
    const object = objectOf(found)
    if (uid !== '' && uid !== object.metadata.uid) {
      throw new ApiError(
        'Conflict',
        `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      )
    }
    return object
  }

  async function issue(namespace: string, name: string, body: Json): Promise<JsonObject> {
    const { object: request } = parseObject<TokenRequest>(tokenRequestKind, body, 'Ignore', noDuplicates)
    const found = await store.get(keyOf(serviceAccountKind, namespace, name))
    if (found === undefined) throw notFound(serviceAccountKind, name)
    const account = objectOf(found)
    const asked = Number(request.spec?.expirationSeconds ?? 3_600)
    if (asked < expirationSecondsMin || asked > 2 ** 32) {
      const bound = asked < expirationSecondsMin ? 'less than 10 minutes' : 'larger than 2^32 seconds'
      const message = `Invalid value: ${asked}: may not specify a duration ${bound}`
      throw new ApiError(
        'Invalid',
        `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: ${message}`,
        {
          group: 'authentication.k8s.io',
          kind: 'TokenRequest',
          causes: [{ reason: 'FieldValueInvalid', message, field: 'spec.expirationSeconds' }],
        },
      )
    }
    const seconds = Math.min(asked, expirationSecondsMax)
    const audiences = request.spec?.audiences ?? []
    const given = audiences.length > 0 ? audiences : config.audiences.slice(0, 1)
    const reference = request.spec?.boundObjectRef
    const to = reference && (await bound(reference.kind ?? '', namespace, reference.name ?? '', reference.uid ?? ''))
    const nodeName = to?.kind === podKind.kind ? ((to as { spec?: { nodeName?: string } }).spec?.nodeName ?? '') : ''

    const [key] = await keys
    if (key === undefined) throw new ApiError('ServiceUnavailable', 'this cluster has no key to sign tokens')
    const now = Math.floor(world.clock.nowMs() / 1_000)
    const claims = {
      'kubernetes.io': {
        namespace,
        ...(nodeName !== '' && { node: { name: nodeName } }),
        ...(to && { [to.kind.toLowerCase()]: { name: to.metadata.name, uid: to.metadata.uid } }),
        serviceaccount: { name, uid: account.metadata.uid },
      },
    }
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: key.algorithm, kid: key.id })
      .setIssuer(config.issuer)
      .setSubject(`system:serviceaccount:${namespace}:${name}`)
      .setAudience([...given])
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + seconds)
      .setJti(world.random.uuid())
      .sign(key.secret)
    return {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, creationTimestamp: rfc3339(now * 1_000) },
      spec: {
        audiences: given,
        expirationSeconds: seconds,
        boundObjectRef: (reference ?? null) as unknown as Json,
      },
      status: { token, expirationTimestamp: rfc3339((now + seconds) * 1_000) },
    }
  }

  async function jwks(): Promise<Jwks> {
    const list = (await keys).map(async ({ id, algorithm, open }) => ({
      ...((await exportJWK(open)) as JsonObject),
      kid: id,
      alg: algorithm,
      use: 'sig',
    }))
    return { keys: await Promise.all(list) }
  }

  return { verify, issue, jwks, issuer: config.issuer }
}

const tokenLengthMax = 16_384

/** The same tokens, and besides them those that others can read. They say nothing of audiences: they are for this API. */
export function withReaders(tokens: Tokens, own: readonly string[], readers: readonly TokenReader[]): Tokens {
  return {
    ...tokens,
    async verify(token, audiences = own) {
      if (token.length > tokenLengthMax) return undefined
      const verified = await tokens.verify(token, audiences)
      if (verified !== undefined) return verified
      const shared = audiences.filter(audience => own.includes(audience))
      if (shared.length === 0) return undefined
      for (const reader of readers) {
        const identity = await reader(token)
        if (identity !== undefined) return { identity, audiences: shared }
      }
      return undefined
    },
  }
}

/** A connection shows the same one with each request. */
const certified = new WeakMap<Identity, Identity>()

/** undefined: nobody said who they are. Throws Unauthorized on credentials that are not good. */
export function authenticate(
  { certificate, headers }: HttpRequest,
  tokens: Tokens,
): Identity | Promise<Identity | undefined> {
  return certificate === undefined ? byToken(headers, tokens) : byCertificate(certificate)
}

function byCertificate(certificate: Identity): Identity {
  const known = certified.get(certificate)
  if (known !== undefined) return known
  const identity = { ...certificate, groups: [...new Set([...certificate.groups, authenticated])] }
  certified.set(certificate, identity)
  return identity
}

async function byToken(headers: HttpRequest['headers'], tokens: Tokens): Promise<Identity | undefined> {
  const bearer = /^Bearer +(\S+)$/i.exec(headers['authorization'] ?? '')?.[1]
  if (bearer === undefined) {
    if (headers['authorization'] === undefined) return undefined
    throw unauthorized()
  }
  const verified = await tokens.verify(bearer)
  if (verified === undefined) throw unauthorized()
  return verified.identity
}

export function unauthorized(): ApiError {
  return new ApiError('Unauthorized', 'Unauthorized')
}
