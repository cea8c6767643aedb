// Service accounts as the official suite uses them: what every namespace has, tokens and who believes them, and where the
// keys of the issuer are found.
import { importJWK, type JWK, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { rootCaController, serviceAccountController } from '../../../src/controllers/serviceaccount.ts'
import { podNamed } from '../../apiserver/ask.ts'
import { beside, patience } from './beside.ts'
import { type Answer, ask, oneApi, patch, post, put, remove } from './wire.ts'

const core = '/api/v1/namespaces/default'
const accounts = `${core}/serviceaccounts`
const reviews = '/apis/authentication.k8s.io/v1/tokenreviews'

describe('serviceaccounts', () => {
  const one = oneApi()
  const tokenOf = ({ body }: Answer) => (body['status'] as { token: string }).token
  const issue = (name: string, spec: object = {}) => post(one.api, `${accounts}/${name}/token`, { spec })
  const review = async (token: string, audiences: readonly string[] = []) =>
    (await post(one.api, reviews, { spec: { token, audiences } })).body['status'] as Record<string, unknown>

  test('a namespace has an account and the root certificate, which come again and are put right', async () => {
    await using running = await beside([serviceAccountController, rootCaController])
    const { api } = running
    await post(api, '/api/v1/namespaces', { metadata: { name: 'fresh' } })
    const fresh = '/api/v1/namespaces/fresh'
    const data = async () => (await ask(api, `${fresh}/configmaps/kube-root-ca.crt`)).body['data']
    await expect.poll(data, patience).toEqual({ 'ca.crt': 'PEM' })
    await expect.poll(async () => (await ask(api, `${fresh}/serviceaccounts/default`)).code, patience).toBe(200)
    await remove(api, `${fresh}/configmaps/kube-root-ca.crt`)
    await expect.poll(data, patience).toEqual({ 'ca.crt': 'PEM' })
    await patch(api, `${fresh}/configmaps/kube-root-ca.crt`, 'merge', { data: { 'ca.crt': '' } })
    await expect.poll(data, patience).toEqual({ 'ca.crt': 'PEM' })
    await remove(api, `${fresh}/serviceaccounts/default`)
    await expect.poll(async () => (await ask(api, `${fresh}/serviceaccounts/default`)).code, patience).toBe(200)
  })

  test('an account is created, patched, updated, found everywhere, and deleted by its label', async () => {
    const metadata = { name: 'robot', labels: { 'test-serviceaccount-static': 'true' } }
    await post(one.api, accounts, { metadata })
    const patched = await patch(one.api, `${accounts}/robot`, 'strategic', { automountServiceAccountToken: false })
    const next = { ...patched.body, automountServiceAccountToken: true }
    const updated = await put(one.api, `${accounts}/robot`, next)
    expect(updated.body['automountServiceAccountToken']).toBe(true)
    const byName = await ask(one.api, '/api/v1/serviceaccounts?fieldSelector=metadata.name%3Drobot')
    expect(byName.body.items).toHaveLength(1)
    const chosen = 'labelSelector=test-serviceaccount-static%3Dtrue'
    expect((await remove(one.api, `${accounts}?${chosen}`)).code).toBe(200)
    expect((await ask(one.api, `/api/v1/serviceaccounts?${chosen}`)).body.items).toEqual([])
  })

  test.each<[string, boolean | undefined, boolean | undefined, boolean]>([
    ['nothing', undefined, undefined, true],
    ['the account yes', true, undefined, true],
    ['the account no', false, undefined, false],
    ['the pod yes over the account’s no', false, true, true],
    ['the pod no over the account’s yes', true, false, false],
  ])('a token is mounted where %s is said', async (_, account, pod, expected) => {
    const metadata = { generateName: 'mount-' }
    const { body } = await post(one.api, accounts, { metadata, automountServiceAccountToken: account })
    const spec = { serviceAccountName: body.metadata.name, automountServiceAccountToken: pod }
    const made = await post(one.api, `${core}/pods`, podNamed(body.metadata.name, spec))
    const { containers } = made.body['spec'] as {
      containers: readonly { volumeMounts?: readonly { mountPath: string }[] }[]
    }
    const paths = (containers[0]?.volumeMounts ?? []).map(({ mountPath }) => mountPath)
    expect(paths).toEqual(expected ? ['/var/run/secrets/kubernetes.io/serviceaccount'] : [])
  })

  test('a token is for its account, its audiences and its time, and a review says whose it is', async () => {
    const { body: account } = await post(one.api, accounts, { metadata: { name: 'bearer' } })
    const issued = await issue('bearer', { audiences: ['vault'], expirationSeconds: 3_600 })
    expect([issued.code, issued.body['spec']]).toEqual([
      201,
      expect.objectContaining({ audiences: ['vault'], expirationSeconds: 3_600 }),
    ])
    expect(await review(tokenOf(issued), ['vault', 'other'])).toMatchObject({
      authenticated: true,
      audiences: ['vault'],
      user: {
        username: 'system:serviceaccount:default:bearer',
        uid: account.metadata.uid,
        groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      },
    })
    expect(await review(tokenOf(issued))).not.toMatchObject({ authenticated: true })
    const [head, body, signature = ''] = tokenOf(issued).split('.')
    const forged = `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    expect(await review(forged, ['vault'])).not.toMatchObject({ authenticated: true })
    await remove(one.api, `${accounts}/bearer`)
    expect(await review(tokenOf(issued), ['vault'])).not.toMatchObject({ authenticated: true })
  })

  test('a token that is bound to a pod names it, and ends with it', async () => {
    await post(one.api, accounts, { metadata: { name: 'bound' } })
    const { body: pod } = await post(one.api, `${core}/pods`, podNamed('holder', { serviceAccountName: 'bound' }))
    const { name, uid } = pod.metadata
    const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid }
    const token = tokenOf(await issue('bound', { boundObjectRef }))
    expect(await review(token)).toMatchObject({
      user: {
        extra: {
          'authentication.kubernetes.io/pod-name': ['holder'],
          'authentication.kubernetes.io/pod-uid': [uid],
        },
      },
    })
    await remove(one.api, `${core}/pods/holder`)
    expect(await review(token)).not.toMatchObject({ authenticated: true })
    expect((await issue('bound', { boundObjectRef })).code).toBe(404)
  })

  test('a token is not for less than ten minutes nor for more than 2^32 seconds, and is only asked for', async () => {
    await post(one.api, accounts, { metadata: { name: 'times' } })
    for (const [expirationSeconds, why] of [
      [599, 'may not specify a duration less than 10 minutes'],
      [2 ** 32 + 1, 'may not specify a duration larger than 2^32 seconds'],
    ] as const) {
      const { code, body } = await issue('times', { expirationSeconds })
      expect([code, body.details?.causes?.[0]]).toEqual([
        422,
        {
          reason: 'FieldValueInvalid',
          field: 'spec.expirationSeconds',
          message: `Invalid value: ${expirationSeconds}: ${why}`,
        },
      ])
    }
    const { code, body } = await ask(one.api, `${accounts}/times/token`)
    expect([code, body.reason, body.message]).toEqual([
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
    ])
  })

  test('the issuer says where its keys are, and they are those of its tokens', async () => {
    await post(one.api, accounts, { metadata: { name: 'known' } })
    const { body: found } = await ask(one.api, '/.well-known/openid-configuration')
    const about = found as unknown as Record<string, unknown>
    expect(about).toEqual({
      issuer: 'https://kubernetes.default.svc.cluster.local',
      jwks_uri: 'https://kubernetes.default.svc.cluster.local/openid/v1/jwks',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    })
    const answer = await ask(one.api, '/openid/v1/jwks')
    expect(answer.headers['content-type']).toBe('application/jwk-set+json')
    const { keys } = JSON.parse(answer.text) as { keys: readonly JWK[] }
    expect(keys).toMatchObject([{ use: 'sig', alg: 'ES256' }])
    expect(Object.keys(keys[0] ?? {})).not.toContain('d')
    const key = await importJWK(keys[0] as JWK)
    const { payload, protectedHeader } = await jwtVerify(tokenOf(await issue('known')), key, {
      issuer: String(about['issuer']),
    })
    expect([payload.sub, protectedHeader.kid]).toEqual(['system:serviceaccount:default:known', keys[0]?.kid])
  })
})
