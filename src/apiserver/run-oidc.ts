// People who log in elsewhere: ID tokens of an OpenID Connect provider. The provider's keys are fetched when the first
// token of it comes, kept, and fetched again for a key that is not among them.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#openid-connect-tokens
import {
  createLocalJWKSet,
  decodeJwt,
  type JSONWebKeySet,
  type JWTPayload,
  errors as joseErrors,
  jwtVerify,
} from 'jose'
import { utf8 } from '../lib/bytes.ts'
import type { HttpsCaller, Identity } from '../world/http.ts'
import type { World } from '../world/world.ts'
import { authenticated } from './authorize.ts'
import type { TokenReader } from './run-bootstraptoken.ts'

/** What upstream's flags --oidc-* say. */
export type OidcConfig = {
  /** An https URL without query and fragment; the `iss` of the tokens, letter by letter. */
  readonly issuerUrl: string
  /** The `aud` of the tokens. */
  readonly clientId: string
  /** Default: 'sub'. 'email' counts only where `email_verified` does not deny it. */
  readonly usernameClaim?: string
  /** Default: none for 'email', '<issuer>#' for any other claim; '-' is none at all. */
  readonly usernamePrefix?: string
  /** A claim that holds a text or a list of them; absent: nobody is in a group. */
  readonly groupsClaim?: string
  readonly groupsPrefix?: string
  /** Claims that must be there with just this value. */
  readonly requiredClaims?: Readonly<Record<string, string>>
  /** PEM of those who may vouch for the provider; absent: whom the system trusts. */
  readonly caPem?: string
  /** Default: RS256. */
  readonly signingAlgorithms?: readonly OidcAlgorithm[]
}

const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'] as const
export type OidcAlgorithm = (typeof algorithms)[number]

const fetchTimeoutMs = 10_000
const answerBytesMax = 1 << 20
/** So often at most are keys fetched for the sake of a key that is unknown: anybody can name one. */
const fetchPauseMs = 10_000
/** A key that the provider has withdrawn is forgotten after this. */
const keysKeptMs = 3_600_000

type Keys = { readonly set: ReturnType<typeof createLocalJWKSet>; readonly atMs: number }

/** Throws RangeError when the configuration can never work. */
export function oidcTokens(
  world: Pick<World, 'clock' | 'log'>,
  config: OidcConfig,
  caller: HttpsCaller,
  signal: AbortSignal,
): TokenReader {
  checkOidc(config)
  const log = world.log.with({ component: 'oidc' })
  const allowed = [...(config.signingAlgorithms ?? ['RS256'])]
  let kept: Keys | undefined
  let triedMs = Number.NEGATIVE_INFINITY
  let underWay: Promise<Keys | undefined> | undefined

  function fetched(): Promise<Keys | undefined> {
    underWay ??= fetchKeys().finally(() => {
      underWay = undefined
    })
    return underWay
  }

  async function fetchKeys(): Promise<Keys | undefined> {
    triedMs = world.clock.nowMs()
    try {
      using deadline = world.clock.deadline(fetchTimeoutMs, signal)
      const set = createLocalJWKSet(await providerKeys(config, caller, deadline.signal))
      kept = { set, atMs: world.clock.nowMs() }
    } catch (error) {
      log.warn('the keys of the identity provider cannot be had', { issuer: config.issuerUrl, error: String(error) })
    }
    return kept
  }

  async function keys(): Promise<Keys | undefined> {
    const nowMs = world.clock.nowMs()
    if (kept !== undefined && kept.atMs + keysKeptMs > nowMs) return kept
    return triedMs + fetchPauseMs > nowMs && underWay === undefined ? kept : fetched()
  }

  async function payloadOf(token: string, { set }: Keys): Promise<JWTPayload> {
    const options = {
      issuer: config.issuerUrl,
      audience: config.clientId,
      algorithms: allowed,
      currentDate: new Date(world.clock.nowMs()),
      requiredClaims: ['exp'],
    }
    try {
      return (await jwtVerify(token, set, options)).payload
    } catch (error) {
      if (!(error instanceof joseErrors.JWKSMultipleMatchingKeys)) throw error
      // The token does not say which key signed it: any that fits will do.
      for await (const key of error) {
        try {
          return (await jwtVerify(token, key, options)).payload
        } catch (wrong) {
          if (!(wrong instanceof joseErrors.JWSSignatureVerificationFailed)) throw wrong
        }
      }
      throw error
    }
  }

  async function verified(token: string): Promise<JWTPayload | undefined> {
    const known = await keys()
    if (known === undefined) return undefined
    try {
      return await payloadOf(token, known)
    } catch (error) {
      const isUnknown = error instanceof joseErrors.JWKSNoMatchingKey
      if (!isUnknown || triedMs + fetchPauseMs > world.clock.nowMs()) throw error
    }
    const newer = await fetched()
    return newer && (await payloadOf(token, newer))
  }

  return async token => {
    try {
      // Cheap, and no more than a hint: a token of somebody else is not ours to judge.
      if (decodeJwt(token).iss !== config.issuerUrl) return undefined
      const payload = await verified(token)
      if (payload === undefined) return undefined
      const identity = identityOf(config, payload)
      if (typeof identity !== 'string') return identity
      log.info('a token of the identity provider was refused', { why: identity })
      return undefined
    } catch (error) {
      if (!(error instanceof joseErrors.JOSEError)) throw error
      log.debug('a token of the identity provider was refused', { why: error.code })
      return undefined
    }
  }
}

/** Throws RangeError. */
export function checkOidc(config: Pick<OidcConfig, 'issuerUrl' | 'clientId' | 'signingAlgorithms'>): void {
  const { issuerUrl, clientId, signingAlgorithms = [] } = config
  const url = URL.parse(issuerUrl)
  if (url?.protocol !== 'https:' || url.search !== '' || url.hash !== '') {
    throw new RangeError(`the issuer ${issuerUrl} must be an https URL without query and fragment`)
  }
  if (clientId === '') throw new RangeError('OpenID Connect needs the client ID that tokens are made out to')
  const odd = signingAlgorithms.find(each => !algorithms.includes(each))
  if (odd !== undefined) throw new RangeError(`${odd} is none of the algorithms ${algorithms.join(', ')}`)
}

/** Asks the provider where its keys are, and for them (OpenID Connect Discovery 1.0, section 4). */
async function providerKeys(config: OidcConfig, caller: HttpsCaller, signal: AbortSignal): Promise<JSONWebKeySet> {
  const where = `${config.issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`
  const about = await getJson(where, config, caller, signal)
  if (about['issuer'] !== config.issuerUrl) {
    throw new Error(`${where} is of the issuer ${String(about['issuer'])}, not of ${config.issuerUrl}`)
  }
  const { keys } = await getJson(String(about['jwks_uri']), config, caller, signal)
  if (!Array.isArray(keys)) throw new Error(`${String(about['jwks_uri'])} holds no keys`)
  return { keys }
}

async function getJson(
  text: string,
  { caPem }: OidcConfig,
  caller: HttpsCaller,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:') throw new Error(`${text} is no https URL`)
  const answer = await caller.call(
    {
      method: 'GET',
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 443),
      path: url.pathname + url.search,
      headers: { accept: 'application/json' },
      body: utf8(''),
      ca: caPem,
      bytesMax: answerBytesMax,
    },
    signal,
  )
  if (answer.code !== 200) throw new Error(`${text} answered ${answer.code}`)
  const value: unknown = JSON.parse(Buffer.from(answer.body).toString('utf8'))
  if (typeof value !== 'object' || value === null) throw new Error(`${text} holds no object`)
  return value as Record<string, unknown>
}

const reserved = 'system:'

/** Who a token speaks for, or why for nobody. What begins with 'system:' no provider may say. */
function identityOf(config: OidcConfig, payload: JWTPayload): Identity | string {
  for (const [claim, value] of Object.entries(config.requiredClaims ?? {})) {
    if (payload[claim] !== value) return `the claim ${claim} is not ${JSON.stringify(value)}`
  }
  const claim = config.usernameClaim ?? 'sub'
  const name = payload[claim]
  if (typeof name !== 'string' || name === '') return `the claim ${claim} holds no name`
  if (claim === 'email' && (payload['email_verified'] ?? true) !== true) return 'the email is not verified'
  const user = prefixOf(config, claim) + name
  if (user.startsWith(reserved)) return `the name ${user} is reserved`
  const groups = groupsOf(config, payload)
  if (groups === undefined) return `the claim ${config.groupsClaim} is neither a text nor a list of texts`
  const id = payload.jti
  return {
    user,
    groups: [...new Set([...groups.filter(group => !group.startsWith(reserved)), authenticated])],
    ...(id !== undefined && { extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${id}`] } }),
  }
}

function prefixOf({ usernamePrefix, issuerUrl }: OidcConfig, claim: string): string {
  if (usernamePrefix === '-') return ''
  return usernamePrefix ?? (claim === 'email' ? '' : `${issuerUrl}#`)
}

function groupsOf({ groupsClaim, groupsPrefix = '' }: OidcConfig, payload: JWTPayload): readonly string[] | undefined {
  const claimed = groupsClaim === undefined ? undefined : payload[groupsClaim]
  if (claimed === undefined || claimed === null) return []
  const list: readonly unknown[] = Array.isArray(claimed) ? claimed : [claimed]
  if (!list.every(each => typeof each === 'string')) return undefined
  return list.map(group => groupsPrefix + group)
}
