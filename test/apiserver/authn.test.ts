// Ways in, and what does not get in: service accounts' tokens, bootstrap tokens, and people of an OpenID Connect provider.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { calculateJwkThumbprint, exportJWK, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pod as podKind } from '../../src/api/kinds/pod.ts'
import { secret as secretKind } from '../../src/api/kinds/secret.ts'
import { serviceAccount } from '../../src/api/kinds/serviceaccount.ts'
import type { OidcConfig } from '../../src/apiserver/run-oidc.ts'
import { oidcTokens } from '../../src/apiserver/run-oidc.ts'
import { openCaller } from '../../src/drivers/http/call.ts'
import type { Asking } from './ask.ts'
import { auditedApiserver } from './audited.ts'
import { certificates } from './certificates.ts'
import { testConfig } from './setup.ts'

const whoPath = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const reviewPath = '/apis/authentication.k8s.io/v1/tokenreviews'
const { issuer, privateKeys } = testConfig.serviceAccountKeys
type Claims = Readonly<Record<string, unknown>>
type Api = Awaited<ReturnType<typeof auditedApiserver>>

/** Who the server takes the bearer of a token for; undefined when for nobody. */
async function who(ask: Asking, token: string) {
  const headers = { authorization: `Bearer ${token}` }
  const { code, body } = await ask(whoPath, { identity: null, headers, body: {} })
  if (code === 401) return undefined
  expect(code).toBe(201)
  return body.status.userInfo as { username: string; groups: readonly string[]; extra?: object }
}

async function review(ask: Asking, token: string, audiences?: readonly string[]) {
  const { body } = await ask(reviewPath, { body: { spec: { token, ...(audiences && { audiences }) } } })
  return body.status
}

const seconds = (ms: number) => Math.floor(ms / 1_000)
const subject = 'system:serviceaccount:default:me'

describe('tokens of service accounts (A8)', () => {
  let api: Api
  let ask: Asking
  let uid: string
  const own = createPrivateKey(privateKeys[0] ?? '')
  beforeEach(async () => {
    api = await auditedApiserver()
    ask = api.ask
    const account = { metadata: { name: 'me', namespace: 'default' } }
    uid = (await api.client.create(serviceAccount, account, api.signal)).metadata.uid
    return () => api.stop()
  })

  async function idOf(key: KeyObject): Promise<string> {
    return calculateJwkThumbprint(await exportJWK(createPublicKey(key)))
  }

  /** As the server would make it, but for what is said otherwise. */
  async function token(claims: Claims = {}, key: KeyObject = own, kid?: string): Promise<string> {
    const now = seconds(api.world.clock.nowMs())
    const bound = { namespace: 'default', serviceaccount: { name: 'me', uid } }
    const base = {
      iss: issuer,
      aud: [issuer],
      sub: subject,
      iat: now,
      nbf: now,
      exp: now + 600,
      'kubernetes.io': bound,
    }
    const header = { alg: 'ES256', kid: kid ?? (await idOf(own)) }
    return new SignJWT({ ...base, ...claims }).setProtectedHeader(header).sign(key)
  }
  const issued = async (spec: object = {}) => {
    const { body } = await ask('/api/v1/namespaces/default/serviceaccounts/me/token', { body: { spec } })
    return String(body.status.token)
  }

  test('one that the server made is good, and so is one made the same way', async () => {
    for (const good of [await issued(), await token()]) {
      expect(await who(ask, good)).toMatchObject({
        username: subject,
        groups: expect.arrayContaining(['system:authenticated']),
      })
    }
  })

  test.each<[string, (nowSeconds: number) => Claims]>([
    ['has expired', now => ({ exp: now - 1 })],
    ['never expires', () => ({ exp: undefined })],
    ['is not good yet', now => ({ nbf: now + 60 })],
    ['is for another audience', () => ({ aud: ['vault'] })],
    ['is of another issuer', () => ({ iss: 'https://elsewhere' })],
    ['names another than it is bound to', () => ({ sub: 'system:serviceaccount:kube-system:me' })],
    [
      'is bound to an account of another uid',
      () => ({ 'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'me', uid: 'x' } } }),
    ],
    [
      'is bound to a node that is not there',
      () => ({
        'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'me', uid }, node: { name: 'n', uid: 'x' } },
      }),
    ],
  ])('one that %s is nobody’s', async (_, claims) => {
    expect(await who(ask, await token(claims(seconds(api.world.clock.nowMs()))))).toBeUndefined()
  })

  test('a key of somebody else under a known name, an unknown key and no key at all are nobody’s', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    expect(await who(ask, await token({}, privateKey))).toBeUndefined()
    expect(await who(ask, await token({}, privateKey, await idOf(privateKey)))).toBeUndefined()
    const now = seconds(api.world.clock.nowMs())
    const unsigned = new UnsecuredJWT({
      sub: subject,
      'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'me', uid } },
    })
    expect(
      await who(
        ask,
        unsigned
          .setIssuer(issuer)
          .setAudience(issuer)
          .setExpirationTime(now + 60)
          .encode(),
      ),
    ).toBeUndefined()
    const [, payload] = (await token()).split('.')
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: await idOf(own) })).toString('base64url')
    expect(await who(ask, `${none}.${payload}.`)).toBeUndefined()
    const secret = Buffer.from(createPublicKey(own).export({ type: 'spki', format: 'pem' }))
    const header = { alg: 'HS256', kid: await idOf(own) }
    const confused = await new SignJWT({ iss: issuer, aud: issuer, sub: subject, exp: now + 60 })
      .setProtectedHeader(header)
      .sign(secret)
    expect(await who(ask, confused)).toBeUndefined()
  })

  test('it ends with its account, and a namesake made later is another', async () => {
    const good = await issued()
    await api.client.delete(serviceAccount, { namespace: 'default', name: 'me' }, {}, api.signal)
    expect(await who(ask, good)).toBeUndefined()
    await api.client.create(serviceAccount, { metadata: { name: 'me', namespace: 'default' } }, api.signal)
    expect(await who(ask, good)).toBeUndefined()
  })

  test('it ends with the pod that it is bound to', async () => {
    const draft = {
      metadata: { name: 'p', namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'i' }], serviceAccountName: 'me' },
    }
    const { metadata } = await api.client.create(podKind, draft, api.signal)
    const bound = await issued({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: metadata.uid } })
    expect((await who(ask, bound))?.extra).toMatchObject({ 'authentication.kubernetes.io/pod-name': ['p'] })
    await api.client.delete(podKind, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 0 }, api.signal)
    expect(await who(ask, bound)).toBeUndefined()
    await api.client.create(podKind, draft, api.signal)
    expect(await who(ask, bound)).toBeUndefined()
  })

  test('a review tells for which of the audiences that were asked it is good', async () => {
    const other = await issued({ audiences: ['vault', 'db'] })
    expect(await review(ask, other)).toMatchObject({ authenticated: false })
    expect(await review(ask, other, ['db', 'mail'])).toMatchObject({ authenticated: true, audiences: ['db'] })
    expect(await review(ask, await issued())).toMatchObject({ authenticated: true, audiences: [issuer] })
  })
})

describe('bootstrap tokens', () => {
  const good = 'abcdef.0123456789abcdef'
  const base64 = (fields: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(fields).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))
  const fields = { 'token-id': 'abcdef', 'token-secret': '0123456789abcdef', 'usage-bootstrap-authentication': 'true' }
  let api: Api
  let ask: Asking
  beforeEach(async () => {
    api = await auditedApiserver()
    ask = api.ask
    return () => api.stop()
  })
  const keep = (
    more: Readonly<Record<string, string>>,
    metadata: object = {},
    type = 'bootstrap.kubernetes.io/token',
  ) =>
    api.client.create(
      secretKind,
      {
        metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system', ...metadata },
        type,
        data: base64({ ...fields, ...more }),
      },
      api.signal,
    )

  test('one that is kept speaks for a bootstrapper', async () => {
    await keep({
      'auth-extra-groups': 'system:bootstrappers:workers,system:bootstrappers:a:b',
      expiration: '2999-01-01T00:00:00Z',
    })
    expect(await who(ask, good)).toEqual({
      username: 'system:bootstrap:abcdef',
      groups: [
        'system:bootstrappers',
        'system:bootstrappers:workers',
        'system:bootstrappers:a:b',
        'system:authenticated',
      ],
    })
    expect(await who(ask, 'abcdef.0123456789abcdee')).toBeUndefined()
    expect(await who(ask, 'abcdeg.0123456789abcdef')).toBeUndefined()
    expect(await who(ask, 'ABCDEF.0123456789abcdef')).toBeUndefined()
  })

  test.each<[string, Readonly<Record<string, string>>, object?, string?]>([
    ['has expired', { expiration: '2001-01-01T00:00:00Z' }],
    ['expires nobody knows when', { expiration: 'tomorrow' }],
    ['is not for this', { 'usage-bootstrap-authentication': 'false' }],
    ['says another id', { 'token-id': 'zzzzzz' }],
    ['wants to be a master', { 'auth-extra-groups': 'system:masters' }],
    ['wants to be anything', { 'auth-extra-groups': 'system:bootstrappers:' }],
    ['lies elsewhere', {}, { namespace: 'default' }],
    ['has another name', {}, { name: 'bootstrap-token-abcdeg' }],
    ['is another secret', {}, {}, 'Opaque'],
  ])('one that %s speaks for nobody', async (_, more, metadata, type) => {
    await keep(more, metadata, type)
    expect(await who(ask, good)).toBeUndefined()
  })

  test('it ends with its secret', async () => {
    await keep({}, { finalizers: ['example.com/held'] })
    expect(await who(ask, good)).toBeDefined()
    await api.client.delete(secretKind, { namespace: 'kube-system', name: 'bootstrap-token-abcdef' }, {}, api.signal)
    expect(await who(ask, good)).toBeUndefined()
  })

  test('a review knows it, for this API alone', async () => {
    await keep({})
    expect(await review(ask, good)).toMatchObject({
      authenticated: true,
      audiences: [issuer],
      user: { username: 'system:bootstrap:abcdef' },
    })
    expect(await review(ask, good, ['vault'])).toMatchObject({ authenticated: false })
    expect(await review(ask, good, ['vault', issuer])).toMatchObject({ audiences: [issuer] })
  })
})

describe('people of an OpenID Connect provider', () => {
  type Signer = { readonly kid: string; readonly alg: string; readonly key: KeyObject }
  const signers = new Map<string, Signer>()
  const controller = new AbortController()
  let certs: Awaited<ReturnType<typeof certificates>>
  let server: Server
  let url: string
  let asked: string[] = []
  let shown: Signer[] = []
  let claimed: string | undefined
  const caller = openCaller(controller.signal)

  beforeAll(async () => {
    certs = await certificates()
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const late = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    signers.set('rsa', { kid: 'rsa', alg: 'RS256', key: rsa })
    signers.set('ec', { kid: 'ec', alg: 'ES256', key: ec })
    signers.set('late', { kid: 'late', alg: 'ES256', key: late })
    server = createServer({ key: certs.server.key, cert: certs.server.cert }, (incoming, outgoing) => {
      asked.push(incoming.url ?? '')
      const answer = async () =>
        incoming.url === '/.well-known/openid-configuration'
          ? { issuer: claimed ?? url, jwks_uri: `${url}/keys` }
          : {
              keys: await Promise.all(
                shown.map(async ({ kid, alg, key }) => ({
                  ...(await exportJWK(createPublicKey(key))),
                  kid,
                  alg,
                  use: 'sig',
                })),
              ),
            }
      answer().then(value => outgoing.end(JSON.stringify(value)))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `https://localhost:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => {
    controller.abort()
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => {
    asked = []
    claimed = undefined
    shown = ['rsa', 'ec'].map(signer)
  })
  function signer(name: string): Signer {
    const found = signers.get(name)
    if (!found) throw new Error(`no key ${name}`)
    return found
  }

  async function login(config: Partial<OidcConfig> = {}) {
    const oidc = {
      issuerUrl: url,
      clientId: 'kubernetes',
      caPem: certs.ca,
      signingAlgorithms: ['RS256', 'ES256'] as const,
      ...config,
      caller,
    }
    const api = await auditedApiserver({ oidc })
    controller.signal.addEventListener('abort', api.stop)
    return { api, ask: api.ask }
  }

  async function idToken(api: Api, by: string, claims: Claims = {}): Promise<string> {
    const now = seconds(api.world.clock.nowMs())
    const { kid, alg, key } = signer(by)
    const base = { iss: url, aud: 'kubernetes', sub: 'jane', iat: now, exp: now + 600 }
    return new SignJWT({ ...base, ...claims }).setProtectedHeader({ alg, kid }).sign(key)
  }

  test.each(['rsa', 'ec'])(
    'a token signed with the key %s speaks for its subject; the keys are asked for once',
    async by => {
      const { api, ask } = await login()
      for (let i = 0; i < 3; i++) {
        expect(await who(ask, await idToken(api, by))).toEqual({
          username: `${url}#jane`,
          groups: ['system:authenticated'],
        })
      }
      expect(asked).toEqual(['/.well-known/openid-configuration', '/keys'])
    },
  )

  test('names and groups come from the claims and with the prefixes that are configured', async () => {
    const config = {
      usernameClaim: 'email',
      groupsClaim: 'teams',
      groupsPrefix: 'oidc:',
      requiredClaims: { hd: 'home' },
    }
    const { api, ask } = await login(config)
    const claims = { email: 'jane@home', teams: ['a', 'b'], hd: 'home', jti: 'one' }
    expect(await who(ask, await idToken(api, 'ec', claims))).toEqual({
      username: 'jane@home',
      groups: ['oidc:a', 'oidc:b', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': ['JTI=one'] },
    })
    expect((await who(ask, await idToken(api, 'ec', { ...claims, teams: 'a' })))?.groups).toContain('oidc:a')
    for (const wrong of [
      { ...claims, email_verified: false },
      { ...claims, email: undefined },
      { ...claims, hd: 'away' },
      { ...claims, teams: [1] },
    ]) {
      expect(await who(ask, await idToken(api, 'ec', wrong))).toBeUndefined()
    }
  })

  test('nobody becomes a part of the system', async () => {
    const { api, ask } = await login({ usernamePrefix: '-', groupsClaim: 'groups' })
    expect((await who(ask, await idToken(api, 'ec', { groups: ['system:masters', 'a'] })))?.groups).toEqual([
      'a',
      'system:authenticated',
    ])
    expect(await who(ask, await idToken(api, 'ec', { sub: 'system:admin' }))).toBeUndefined()
  })

  test.each<[string, (now: number) => Claims]>([
    ['has expired', now => ({ exp: now - 1 })],
    ['never expires', () => ({ exp: undefined })],
    ['is not good yet', now => ({ nbf: now + 60 })],
    ['is for another client', () => ({ aud: 'dashboard' })],
    ['is of another issuer', () => ({ iss: 'https://elsewhere' })],
  ])('one that %s speaks for nobody', async (_, claims) => {
    const { api, ask } = await login()
    expect(await who(ask, await idToken(api, 'rsa', claims(seconds(api.world.clock.nowMs()))))).toBeUndefined()
  })

  test('an unsigned token, one of another key, and one of an algorithm that is not wanted speak for nobody', async () => {
    const { api, ask } = await login({ signingAlgorithms: ['RS256'] })
    expect(await who(ask, await idToken(api, 'ec'))).toBeUndefined()
    const [, payload = ''] = (await idToken(api, 'rsa')).split('.')
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: 'rsa' })).toString('base64url')
    expect(await who(ask, `${none}.${payload}.`)).toBeUndefined()
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    signers.set('forged', { kid: 'rsa', alg: 'RS256', key: privateKey })
    expect(await who(ask, await idToken(api, 'forged'))).toBeUndefined()
    expect(await who(ask, await idToken(api, 'rsa'))).toBeDefined()
  })

  test('a token that does not say which key signed it is tried with each that fits', async () => {
    shown = ['ec', 'late'].map(signer)
    const { api, ask } = await login()
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const now = seconds(api.world.clock.nowMs())
    const claims = { iss: url, aud: 'kubernetes', sub: 'jane', exp: now + 600 }
    const unnamed = (key: KeyObject) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(key)
    for (const name of ['ec', 'late']) expect(await who(ask, await unnamed(signer(name).key))).toBeDefined()
    expect(await who(ask, await unnamed(privateKey))).toBeUndefined()
  })

  test('a key that came later is fetched, but not for each token that names one', async () => {
    const { api, ask } = await login()
    expect(await who(ask, await idToken(api, 'ec'))).toBeDefined()
    const before = asked.length
    for (let i = 0; i < 5; i++) expect(await who(ask, await idToken(api, 'late'))).toBeUndefined()
    expect(asked.length).toBe(before)
    // A reader whose clock can be moved past the pause between two questions.
    let nowMs = api.world.clock.nowMs()
    const world = {
      ...api.world,
      clock: { ...api.world.clock, nowMs: () => nowMs, deadline: api.world.clock.deadline.bind(api.world.clock) },
    }
    shown = [signer('ec')]
    const reader = oidcTokens(
      world,
      { issuerUrl: url, clientId: 'kubernetes', caPem: certs.ca, signingAlgorithms: ['ES256'] },
      caller,
      api.signal,
    )
    expect(await reader(await idToken(api, 'ec'))).toBeDefined()
    shown = ['ec', 'late'].map(signer)
    expect(await reader(await idToken(api, 'late'))).toBeUndefined()
    nowMs += 10_001
    expect(await reader(await idToken(api, 'late'))).toBeDefined()
  })

  test('a provider that nobody vouches for, or that says it is another, is not believed', async () => {
    const { ca } = await certificates()
    const stranger = await login({ caPem: ca })
    expect(await who(stranger.ask, await idToken(stranger.api, 'ec'))).toBeUndefined()
    expect(stranger.api.lines.some(({ message }) => message.includes('cannot be had'))).toBe(true)
    claimed = 'https://elsewhere'
    const liar = await login()
    expect(await who(liar.ask, await idToken(liar.api, 'ec'))).toBeUndefined()
  })

  test('a review knows them, for this API alone', async () => {
    const { api, ask } = await login()
    const token = await idToken(api, 'ec')
    expect(await review(ask, token)).toMatchObject({
      authenticated: true,
      audiences: [issuer],
      user: { username: `${url}#jane` },
    })
    expect(await review(ask, token, ['vault'])).toMatchObject({ authenticated: false })
  })

  test('a configuration that can never work is refused at once', async () => {
    for (const wrong of [
      { issuerUrl: 'http://a' },
      { issuerUrl: 'https://a?b' },
      { clientId: '' },
      { signingAlgorithms: ['none' as never] },
    ]) {
      await expect(login(wrong)).rejects.toThrow(RangeError)
    }
  })
})

test('who says nothing is nobody, and who says nonsense is not let in', async () => {
  const api = await auditedApiserver()
  const { ask } = api
  for (const headers of [
    {},
    { authorization: 'Basic YTpi' },
    { authorization: 'Bearer x' },
    { authorization: `Bearer ${'a'.repeat(20_000)}` },
  ]) {
    expect((await ask('/api/v1/pods', { identity: null, headers })).code).toBe(401)
  }
  expect(await review(ask, 'a'.repeat(20_000))).toMatchObject({ authenticated: false })
  api.stop()
})
