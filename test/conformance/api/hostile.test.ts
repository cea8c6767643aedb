// Requests that nobody should send, beside those of bad-input.test.ts: each is refused, or means what it says and no more, and
// the next one is answered.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openApiserver } from '../../../src/apiserver/run.ts'
import { type Asking, asking, podNamed } from '../../apiserver/ask.ts'
import { auditedApiserver } from '../../apiserver/audited.ts'
import { memoryStore } from '../../apiserver/memory-store.ts'
import { type Ask, testConfig } from '../../apiserver/setup.ts'
import { testWorld } from '../../apiserver/world.ts'

const inDefault = '/api/v1/namespaces/default'
const maps = `${inDefault}/configmaps`
const apps = '/apis/apps/v1/namespaces/default'
const yaml = 'application/yaml'

describe('hostile requests', () => {
  let api: Awaited<ReturnType<typeof auditedApiserver>>
  let ask: Asking
  const patch = (url: string, body: unknown, type = 'application/merge-patch+json') =>
    ask(url, { method: 'PATCH', type, body })
  const make = (url: string, name: string, more: object = {}) =>
    ask(url, { body: { metadata: { name }, ...more } }).then(({ code, body }) => ({ code, uid: body.metadata?.uid }))
  beforeAll(async () => {
    api = await auditedApiserver()
    ask = api.ask
    for (const name of ['a', 'b', 'c', 'd']) await make(maps, name)
  })
  afterAll(async () => {
    expect((await ask(maps)).code).toBe(200)
    expect(api.lines.filter(line => JSON.stringify(line).includes('a request failed'))).toEqual([])
    api.stop()
  })

  test('jsonPatch (D1, CVE-2019-1002100): copies of copies are refused before they fill the memory', async () => {
    await make(maps, 'copied', { data: { a: 'x'.repeat(1_000) } })
    // Each doubles what is there.
    const operations = Array.from({ length: 13 }, (_, i) => ({ op: 'copy', from: '/data', path: `/data/c${i}` }))
    const refused = await patch(`${maps}/copied`, operations, 'application/json-patch+json')
    expect([refused.code, refused.message]).toEqual([422, expect.stringContaining('accumulated size increase of copy')])
  })

  test('yamlDepthMax (D2, CVE-2019-11253): YAML is not read deeper than anybody writes it', async () => {
    for (const body of [`a: ${'['.repeat(500)}${']'.repeat(500)}`, `a: ${'{a: '.repeat(500)}1${'}'.repeat(500)}`]) {
      const refused = await ask(maps, { type: yaml, body })
      expect([refused.code, refused.message]).toEqual([400, 'error converting YAML to JSON: exceeded max depth'])
    }
  })

  test('selectorsOf (D3): a selector of 64 kB is refused, however sound it is', async () => {
    const labels = `a in (${Array.from({ length: 5_000 }, (_, i) => `value-${i}`).join(',')})`
    const fields = Array.from({ length: 3_000 }, (_, i) => `metadata.name!=value-${i}`).join(',')
    for (const query of [
      `labelSelector=${encodeURIComponent(labels)}`,
      `fieldSelector=${encodeURIComponent(fields)}`,
    ]) {
      for (const watch of ['', '&watch=true']) {
        const refused = await ask(`${maps}?${query}${watch}`)
        expect([refused.code, refused.message]).toEqual([400, 'the selector is too long'])
      }
    }
  })

  test.each<[string, string | Uint8Array]>([
    ['a function as a tag', 'metadata: {name: tagged}\ndata: {a: !!js/function "function () { return 1 }"}'],
    ['a regular expression as a tag', 'metadata: {name: tagged}\ndata: {a: !!js/regexp /x/}'],
    ['an unknown tag on the whole', '!!python/object/apply:os.system\nmetadata: {name: tagged}'],
    ['a thousand documents', 'metadata: {name: many}\n---\n'.repeat(1_000)],
    ['a carriage return in a key', 'metadata: {"na\\rme": x}'],
  ])('YAML with %s makes nothing but what its text says', async (_, body) => {
    const { code, body: made } = await ask(`${maps}?dryRun=All`, { type: yaml, body })
    if (code === 201) expect(Object.values(made.data ?? {}).every(value => typeof value === 'string')).toBe(true)
    else expect(code >= 400 && code < 500).toBe(true)
  })

  test('YAML with CRLF, and with a byte order mark, is YAML', async () => {
    for (const body of [
      'metadata:\r\n  name: crlf\r\ndata:\r\n  a: b\r\n',
      '\ufeffmetadata:\n  name: bom\ndata:\n  a: b\n',
    ]) {
      const { code, body: made } = await ask(`${maps}?dryRun=All`, { type: yaml, body })
      expect([code, made.data]).toEqual([201, { a: 'b' }])
    }
  })

  test('-0, and numbers that no number can hold', async () => {
    const scaled = (replicas: string) =>
      ask(`${apps}/deployments?dryRun=All`, {
        body: `{"metadata":{"name":"x"},"spec":{"replicas":${replicas},"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`,
      })
    for (const bad of ['-1', '2147483648', '4294967296', '9007199254740993', '1e999', '1.5', '"3"', 'NaN', '-1e3']) {
      const { code } = await scaled(bad)
      expect([bad, code === 400 || code === 422]).toEqual([bad, true])
    }
    const zero = await scaled('-0')
    expect([zero.code, JSON.stringify(zero.body.spec.replicas)]).toEqual([201, '0'])
    expect((await scaled('2147483647')).code).toBe(201)
  })

  test('a name of 253 letters is one, and so is a label of 63; one more is none', async () => {
    expect((await make(`${maps}?dryRun=All`, 'a'.repeat(253))).code).toBe(201)
    expect((await make(`${maps}?dryRun=All`, 'a'.repeat(254))).code).toBe(422)
    for (const [length, code] of [
      [63, 201],
      [64, 422],
    ] as const) {
      const labels = { [`example.com/${'k'.repeat(length)}`]: 'v' }
      expect((await ask(`${maps}?dryRun=All`, { body: { metadata: { name: 'x', labels } } })).code).toBe(code)
    }
  })

  test('ten thousand labels are taken, and can be chosen by', async () => {
    const labels = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`l${i}`, `v${i}`]))
    expect((await ask(maps, { body: { metadata: { name: 'labelled', labels } } })).code).toBe(201)
    const { body } = await ask(`${maps}?labelSelector=l9999%3Dv9999`)
    expect(body.items).toHaveLength(1)
    await ask(`${maps}/labelled`, { method: 'DELETE' })
  })

  test('limits: a negative one is none, as upstream, one beyond all is all, and what is no number is refused', async () => {
    for (const limit of ['-1', '0', '9007199254740993', '9223372036854775807']) {
      const all = await ask(`${maps}?limit=${limit}`)
      expect([limit, all.code, all.body.metadata.continue]).toEqual([limit, 200, undefined])
    }
    for (const limit of ['9999999999999999999999', '1e3', '0x10', ' 5']) {
      expect([limit, (await ask(`${maps}?limit=${encodeURIComponent(limit)}`)).code]).toEqual([limit, 400])
    }
  })

  test('decodeToken: a continue token of which any bit is changed is refused, or is one of the same list', async () => {
    const { body } = await ask(`${maps}?limit=1`)
    const token = Buffer.from(body.metadata.continue as string, 'base64url')
    await make('/api/v1/namespaces/kube-system/configmaps', 'theirs')
    // Together, because those that name a revision from the future are answered late.
    const codes = await Promise.all(
      Array.from({ length: token.length * 8 }, async (_, bit) => {
        const bent = Buffer.from(token)
        bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const { code, body: listed } = await ask(`${maps}?limit=500&continue=${bent.toString('base64url')}`)
        const items: readonly { readonly metadata: { readonly namespace: string } }[] = listed.items ?? []
        expect(items.filter(({ metadata }) => metadata.namespace !== 'default')).toEqual([])
        return code
      }),
    )
    expect(codes.filter(code => ![200, 400, 410, 504].includes(code))).toEqual([])
    expect(codes.filter(code => code === 400).length).toBeGreaterThan(token.length * 4)
    const elsewhere = await ask(`/api/v1/namespaces/kube-system/configmaps?continue=${body.metadata.continue}`)
    expect(elsewhere.code).toBe(400)
    expect((await ask(`${inDefault}/secrets?continue=${body.metadata.continue}`)).code).toBe(400)
  })

  test('a continue token from before the history was cut is Expired, with one that goes on', async () => {
    const { body } = await ask(`${maps}?limit=1`)
    await make(maps, 'later')
    api.store.compact(api.store.revision())
    const expired = await ask(`${maps}?limit=500&continue=${body.metadata.continue}`)
    expect([expired.code, expired.body.reason]).toEqual([410, 'Expired'])
    expect((await ask(`${maps}?limit=500&continue=${expired.body.metadata.continue}`)).code).toBe(200)
  })

  test.each(['-1', 'abc', '1.5', '0x1', '1e3', '99999999999999999999', ' 1', '1,2'])(
    'resourceVersion %s is none, wherever it stands',
    async version => {
      const given = encodeURIComponent(version)
      for (const url of [maps, `${maps}/a`]) {
        expect([url, (await ask(`${url}?resourceVersion=${given}`)).code]).toEqual([url, 400])
      }
      expect((await ask(`${maps}?watch=true&timeoutSeconds=1&resourceVersion=${given}`)).code).toBe(400)
      const written = await ask(`${maps}/a`, {
        method: 'PUT',
        body: { metadata: { name: 'a', resourceVersion: version } },
      })
      expect([400, 409, 422].includes(written.code)).toBe(true)
    },
  )

  test('a resourceVersion from the future is not waited for', async () => {
    const future = String(api.store.revision() + 1_000_000)
    const urls = [`${maps}?resourceVersionMatch=NotOlderThan&`, `${maps}?resourceVersionMatch=Exact&`, `${maps}/a?`]
    const answers = await Promise.all(urls.map(url => ask(`${url}resourceVersion=${future}`)))
    expect(answers.map(({ code, body }) => [code, body.details?.retryAfterSeconds])).toEqual(urls.map(() => [504, 1]))
  })

  test.each<[string, object]>([
    [
      'a thousand containers that are called alike',
      { containers: Array.from({ length: 1_000 }, () => ({ name: 'c', image: 'i' })) },
    ],
    ['no containers', { containers: [] }],
    [
      'a port twice',
      {
        containers: [
          {
            name: 'c',
            image: 'i',
            ports: [
              { name: 'p', containerPort: 1 },
              { name: 'p', containerPort: 2 },
            ],
          },
        ],
      },
    ],
    [
      'a host port twice',
      { containers: [{ name: 'c', image: 'i', ports: [1, 2].map(n => ({ containerPort: n, hostPort: 80 })) }] },
    ],
    ['a port beyond all', { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 65_536 }] }] }],
    ['port 0', { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 0 }] }] }],
    [
      'a mount path that leads up',
      {
        containers: [{ name: 'c', image: 'i', volumeMounts: [{ name: 'v', mountPath: '/x', subPath: '../../etc' }] }],
        volumes: [{ name: 'v', emptyDir: {} }],
      },
    ],
  ])('a pod with %s is refused', async (_, spec) => {
    expect((await ask(`${inDefault}/pods?dryRun=All`, { body: podNamed('x', spec) })).code).toBe(422)
  })

  test('a thousand containers are a pod, and a large one', async () => {
    const containers = Array.from({ length: 1_000 }, (_, i) => ({ name: `c${i}`, image: 'i' }))
    const { code, body } = await ask(`${inDefault}/pods?dryRun=All`, { body: podNamed('x', { containers }) })
    expect([code, body.spec.containers.length]).toEqual([201, 1_000])
  })

  test('an image name of 4 kB is taken or refused, and is nothing else than a name', async () => {
    const image = `registry.example.com/${'a/'.repeat(2_000)}b:c`
    const { code, body } = await ask(`${inDefault}/pods?dryRun=All`, {
      body: podNamed('x', { containers: [{ name: 'c', image }] }),
    })
    expect(code === 422 || body.spec.containers[0].image === image).toBe(true)
  })

  test('a selector that does not match its template is refused', async () => {
    const spec = {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'c' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    }
    for (const plural of ['deployments', 'replicasets', 'daemonsets', 'statefulsets']) {
      expect([plural, (await make(`${apps}/${plural}`, 'x', { spec })).code]).toEqual([plural, 422])
    }
  })

  test('a cron of seconds is refused', async () => {
    const jobTemplate = {
      spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } },
    }
    for (const [schedule, code] of [
      ['* * * * * *', 422],
      ['@every 1ns', 422],
      ['60 * * * *', 422],
      ['* * * *', 422],
      // Foolish, and yet one.
      [`${'*,'.repeat(30_000)}* * * * *`, 201],
      ['*/5 * * * *', 201],
    ] as const) {
      const made = await make('/apis/batch/v1/namespaces/default/cronjobs?dryRun=All', 'x', {
        spec: { schedule, jobTemplate },
      })
      expect([schedule.slice(0, 20), made.code]).toEqual([schedule.slice(0, 20), code])
    }
  })

  test('owners in a circle, of oneself, and in another namespace can be named, and hold nobody up', async () => {
    const first = await make(maps, 'first')
    const owner = (name: string, uid: string | undefined) => ({
      metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid, blockOwnerDeletion: true }] },
    })
    const second = await make(maps, 'second', {})
    expect((await patch(`${maps}/first`, owner('second', second.uid))).code).toBe(200)
    expect((await patch(`${maps}/second`, owner('first', first.uid))).code).toBe(200)
    const own = await make(maps, 'own')
    expect((await patch(`${maps}/own`, owner('own', own.uid))).code).toBe(200)
    const { uid } = await make('/api/v1/namespaces/kube-system/configmaps', 'far')
    expect((await patch(`${maps}/a`, owner('far', uid))).code).toBe(200)
    expect((await patch(`${maps}/a`, { metadata: { ownerReferences: null } })).code).toBe(200)
    for (const name of ['first', 'second', 'own']) {
      const deleted = await ask(`${maps}/${name}`, { method: 'DELETE', body: { propagationPolicy: 'Background' } })
      expect(deleted.code).toBe(200)
    }
  })

  test('a finalizer that nobody removes keeps its object, and nothing else', async () => {
    await ask(maps, { body: { metadata: { name: 'kept', finalizers: ['example.com/never'] } } })
    const deleted = await ask(`${maps}/kept`, { method: 'DELETE' })
    expect([deleted.code, typeof deleted.body.metadata?.deletionTimestamp]).toEqual([200, 'string'])
    expect((await make(maps, 'kept')).code).toBe(409)
    // Nor can one be added to what is going.
    const more = { metadata: { finalizers: ['example.com/never', 'example.com/more'] } }
    expect((await patch(`${maps}/kept`, more)).code).toBe(422)
    expect((await patch(`${maps}/kept`, { metadata: { finalizers: null } })).code).toBe(200)
    expect((await ask(`${maps}/kept`)).code).toBe(404)
  })

  test('names that differ in case alone are no two names: one of them is none', async () => {
    expect((await make(`${maps}?dryRun=All`, 'Case')).code).toBe(422)
    expect((await make(`${maps}?dryRun=All`, 'case')).code).toBe(201)
    // Where case is allowed, they are two.
    const data = { Key: '1', key: '2', KEY: '3' }
    const { body } = await ask(`${maps}?dryRun=All`, { body: { metadata: { name: 'keys' }, data } })
    expect(body.data).toEqual(data)
  })

  test('ranges of addresses that overlap, or are none, are refused', async () => {
    const cidrs = '/apis/networking.k8s.io/v1/servicecidrs'
    for (const bad of [['10.96.0.0/33'], ['10.96.0.1/16'], ['10.0.0.0/8', '10.1.0.0/16'], ['300.0.0.0/8'], []]) {
      const made = await make(cidrs, 'bad', { spec: { cidrs: bad } })
      expect([bad, made.code]).toEqual([bad, 422])
    }
  })

  test.each([
    ['1970', 0],
    ['2106', 2 ** 32 * 1_000],
    ['9999', Date.UTC(9999, 11, 31)],
  ])('with the clock at %s it starts, writes and lets in', async (year, startMs) => {
    const controller = new AbortController()
    const world = testWorld()
    const begunMs = world.clock.monotonicMs()
    const clock = { ...world.clock, nowMs: () => startMs + world.clock.monotonicMs() - begunMs }
    const apiserver = openApiserver({ ...world, clock }, memoryStore(), testConfig, controller.signal)
    await apiserver.bootstrap(1, controller.signal)
    const there = asking({ apiserver })
    const { code, body } = await there(maps, { body: { metadata: { name: 'x' } } })
    expect([code, body.metadata.creationTimestamp.slice(0, 4)]).toEqual([201, year])
    await there(`${inDefault}/serviceaccounts`, { body: { metadata: { name: 'me' } } })
    const issued = await there(`${inDefault}/serviceaccounts/me/token`, { body: { spec: {} } })
    const headers = { authorization: `Bearer ${issued.body.status.token}` }
    expect((await there('/api', { identity: null, headers })).code).toBe(200)
    controller.abort()
  })

  const weird: readonly [string, Ask][] = [
    ['a kind that is a list of kinds', { body: { apiVersion: 'v1', kind: ['ConfigMap'], metadata: { name: 'x' } } }],
    ['metadata that is a text', { body: { metadata: 'x' } }],
    ['an apiVersion of many parts', { body: { apiVersion: 'a/b/c', kind: 'ConfigMap', metadata: { name: 'x' } } }],
    ['a name that is a number', { body: { metadata: { name: 7 } } }],
    [
      'deep unknown fields, strictly',
      { body: `{"metadata":{"name":"x"},"y":${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}}` },
    ],
    ['a content type of 60 kB', { type: `application/json;${'a'.repeat(60_000)}`, body: '{' }],
  ]
  test.each(weird)('%s is refused', async (_, sent) => {
    const { code, message } = await ask(`${maps}?fieldValidation=Strict`, sent)
    expect([code >= 400 && code < 500, message.length < 10_000]).toEqual([true, true])
  })
})
