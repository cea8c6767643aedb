// Which state a get or a list shows, by resourceVersion and resourceVersionMatch; lists in parts.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
import { describe, expect, test } from 'vitest'
import { testApiserver } from '../../apiserver/setup.ts'
import { type Api, ask, oneApi, patch, post, put, remove } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const templates = '/api/v1/namespaces/default/podtemplates'
const map = (name: string, data = {}) => ({ metadata: { name, labels: { of: name.split('-')[0] } }, data })

async function two(api: Api, name: string) {
  const first = await post(api, maps, map(`${name}-a`))
  const second = await post(api, maps, map(`${name}-b`))
  return [first, second].map(({ body }) => body.metadata.resourceVersion) as [string, string]
}

describe('resourceVersion', () => {
  const one = oneApi()
  const listed = async (query: string) => {
    const { code, body } = await ask(one.api, `${maps}?${query}`)
    return code === 200 ? body.items.map(({ metadata }) => metadata.name) : [code, body.reason]
  }

  test('unset: the newest; 0: anything; a number: not older; Exact: that moment', async () => {
    const [first, second] = await two(one.api, 'moments')
    const both = ['moments-a', 'moments-b']
    expect(await listed('labelSelector=of%3Dmoments')).toEqual(both)
    expect(await listed('labelSelector=of%3Dmoments&resourceVersion=0')).toEqual(both)
    expect(await listed(`labelSelector=of%3Dmoments&resourceVersion=${first}`)).toEqual(both)
    expect(
      await listed(`labelSelector=of%3Dmoments&resourceVersion=${first}&resourceVersionMatch=NotOlderThan`),
    ).toEqual(both)
    expect(await listed(`labelSelector=of%3Dmoments&resourceVersion=0&resourceVersionMatch=NotOlderThan`)).toEqual(both)
    expect(await listed(`labelSelector=of%3Dmoments&resourceVersion=${first}&resourceVersionMatch=Exact`)).toEqual([
      'moments-a',
    ])
    expect(await listed(`labelSelector=of%3Dmoments&resourceVersion=${second}&resourceVersionMatch=Exact`)).toEqual(
      both,
    )
    // With a limit and no word on the match it means that moment, for old clients.
    expect(await listed(`labelSelector=of%3Dmoments&resourceVersion=${first}&limit=5`)).toEqual(['moments-a'])
  })

  test('a list says the moment that it shows', async () => {
    const [first] = await two(one.api, 'says')
    const exact = await ask(one.api, `${maps}?resourceVersion=${first}&resourceVersionMatch=Exact`)
    expect(exact.body.metadata.resourceVersion).toBe(first)
    const newest = await ask(one.api, maps)
    expect(Number(newest.body.metadata.resourceVersion)).toBeGreaterThan(Number(first))
  })

  test('of a get: unset, 0, or not older', async () => {
    const { body } = await post(one.api, maps, map('get'))
    for (const query of [
      '',
      '?resourceVersion=',
      '?resourceVersion=0',
      `?resourceVersion=${body.metadata.resourceVersion}`,
    ]) {
      expect((await ask(one.api, `${maps}/get${query}`)).body).toEqual(body)
    }
  })

  test('one that has not come yet is waited for, and then told so, to be tried again', async () => {
    for (const url of [`${maps}?resourceVersion=999999999`, `${maps}/x?resourceVersion=999999999`]) {
      const { code, headers, body } = await ask(one.api, url)
      expect([code, body.reason, headers['retry-after']]).toEqual([504, 'Timeout', '1'])
      expect(body.message).toMatch(/^Too large resource version: 999999999, current: \d+$/)
      expect(body.details).toEqual({
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      })
    }
  })

  test.each([
    ['resourceVersionMatch=Exact', 'resourceVersionMatch is forbidden unless resourceVersion is provided'],
    [
      'resourceVersionMatch=Exact&resourceVersion=0',
      'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    ['resourceVersionMatch=Newest&resourceVersion=1', 'Unsupported value: "Newest"'],
    [
      'resourceVersionMatch=Exact&resourceVersion=1&continue=x',
      'resourceVersionMatch is forbidden when continue is provided',
    ],
    ['sendInitialEvents=true', 'sendInitialEvents is forbidden for list'],
  ])('%s is Invalid (422)', async (query, why) => {
    const { code, body } = await ask(one.api, `${maps}?${query}`)
    expect([code, body.reason, body.details?.group]).toEqual([422, 'Invalid', 'meta.k8s.io'])
    expect(body.message).toContain(why)
  })

  test.each(['abc', '-1', '1.5', '0x10', '99999999999999999999'])('%s is no revision', async version => {
    expect((await ask(one.api, `${maps}?resourceVersion=${version}`)).code).toBe(400)
    expect((await ask(one.api, `${maps}?watch=1&resourceVersion=${version}`)).code).toBe(400)
  })

  test('a write on an older state is a conflict, in every way of writing; without a revision the last one wins', async () => {
    const { body } = await post(one.api, maps, map('race'))
    await patch(one.api, `${maps}/race`, 'merge', { data: { a: '1' } })
    const conflicts = [
      await put(one.api, `${maps}/race`, body),
      await patch(one.api, `${maps}/race`, 'merge', { metadata: { resourceVersion: body.metadata.resourceVersion } }),
      await patch(one.api, `${maps}/race`, 'json', [
        { op: 'replace', path: '/metadata/resourceVersion', value: body.metadata.resourceVersion },
      ]),
      await patch(one.api, `${maps}/race`, 'strategic', {
        metadata: { resourceVersion: body.metadata.resourceVersion },
      }),
      await patch(one.api, `${maps}/race?fieldManager=a`, 'apply', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'race', resourceVersion: body.metadata.resourceVersion },
      }),
      await remove(one.api, `${maps}/race`, { preconditions: { resourceVersion: body.metadata.resourceVersion } }),
    ]
    for (const { code, body: status } of conflicts) {
      expect([code, status.reason, status.details]).toEqual([409, 'Conflict', { name: 'race', kind: 'configmaps' }])
      expect(status.message).toMatch(/^Operation cannot be fulfilled on configmaps "race": /)
    }
    const { resourceVersion: _, ...metadata } = body.metadata
    expect((await put(one.api, `${maps}/race`, { ...body, metadata })).code).toBe(200)
  })

  test('a write that changes nothing leaves the revision as it is', async () => {
    const { body } = await post(one.api, maps, map('same', { a: '1' }))
    expect((await put(one.api, `${maps}/same`, body)).body).toEqual(body)
    expect((await patch(one.api, `${maps}/same`, 'merge', { data: { a: '1' } })).body).toEqual(body)
  })
})

describe('list-chunking', () => {
  const one = oneApi()
  const template = (i: number) => ({
    metadata: { name: `template-${String(i).padStart(4, '0')}` },
    template: { spec: { containers: [{ name: 'test', image: 'test2' }] } },
  })
  const fill = async (api: Api, count: number) => {
    for (let i = 0; i < count; i++) await post(api, templates, template(i))
  }

  test('all parts together are the list of one moment, and each says how many are left', async () => {
    await fill(one.api, 40)
    const names: string[] = []
    const versions = new Set<string>()
    let token: string | undefined = ''
    while (token !== undefined) {
      const url: string = `${templates}?limit=17${token === '' ? '' : `&continue=${token}`}`
      const { code, body } = await ask(one.api, url)
      expect(code).toBe(200)
      names.push(...body.items.map(({ metadata }) => metadata.name))
      versions.add(body.metadata.resourceVersion)
      expect(body.metadata.remainingItemCount ?? 0).toBe(40 - names.length)
      token = body.metadata.continue
      // What comes meanwhile is not in it.
      if (token !== undefined) await post(one.api, templates, template(1_000 + names.length))
    }
    expect(names).toEqual(Array.from({ length: 40 }, (_, i) => template(i).metadata.name))
    expect(versions.size).toBe(1)
    const whole = await ask(one.api, templates)
    expect(whole.body.items).toHaveLength(42)
    expect([whole.body.metadata.continue, whole.body.metadata.remainingItemCount]).toEqual([undefined, undefined])
  })

  test('with a selector nobody counts what is left', async () => {
    const at = `${maps}?labelSelector=of%3Dcount&limit=1`
    await post(one.api, maps, map('count-a'))
    await post(one.api, maps, map('count-b'))
    const { body } = await ask(one.api, at)
    expect([body.items.length, body.metadata.remainingItemCount]).toEqual([1, undefined])
    expect(body.metadata.continue).toBeDefined()
  })

  test('a token whose moment is forgotten is Expired, and brings one that goes on in the state of now', async () => {
    const api = await testApiserver()
    await fill(api, 10)
    const first = await ask(api, `${templates}?limit=4`)
    await remove(api, `${templates}/template-0006`)
    await post(api, templates, template(11))
    api.store.compact(api.store.revision())
    const expired = await ask(api, `${templates}?limit=4&continue=${first.body.metadata.continue}`)
    expect([expired.code, expired.body.reason]).toEqual([410, 'Expired'])
    expect(expired.body.message).toContain('continue parameter is too old to display a consistent list result')
    const token = expired.body.metadata.continue
    expect(token).toBeDefined()
    const rest = await ask(api, `${templates}?continue=${token}`)
    expect(rest.body.items.map(({ metadata }) => metadata.name)).toEqual(
      [4, 5, 7, 8, 9, 11].map(i => template(i).metadata.name),
    )
    expect(Number(rest.body.metadata.resourceVersion)).toBeGreaterThan(Number(first.body.metadata.resourceVersion))
    api.stop()
  })

  test('a token that was changed, or is of another list, is refused', async () => {
    const { body } = await ask(one.api, `${templates}?limit=1`)
    const token = body.metadata.continue ?? ''
    const other = token.startsWith('A') ? `B${token.slice(1)}` : `A${token.slice(1)}`
    for (const url of [
      `${templates}?limit=1&continue=${other}`,
      `${templates}?limit=1&continue=nonsense`,
      `${maps}?limit=1&continue=${token}`,
      `/api/v1/namespaces/kube-system/podtemplates?limit=1&continue=${token}`,
      `${templates}?limit=1&continue=${token}&resourceVersion=5`,
    ]) {
      expect([url, (await ask(one.api, url)).code]).toEqual([url, 400])
    }
  })
})
