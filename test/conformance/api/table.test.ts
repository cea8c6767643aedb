// Answers for people: meta/v1 Table, of every kind that is kept.
import { describe, expect, test } from 'vitest'
import { builtIn } from '../../../src/apiserver/catalog.ts'
import { ask, oneApi, post, table } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const deployments = '/apis/apps/v1/namespaces/default/deployments'

describe('table', () => {
  const one = oneApi()
  const rootOf = ({ group, version }: { readonly group: string; readonly version: string }) =>
    group === '' ? `/api/${version}` : `/apis/${group}/${version}`

  test.each(builtIn.filter(({ stored }) => stored).map(kind => [`${kind.plural} ${rootOf(kind)}`, kind] as const))(
    'the list of %s has the columns of the kind',
    async (_, kind) => {
      const { code, headers, body } = await ask(one.api, `${rootOf(kind)}/${kind.plural}?limit=500`, { accept: table })
      expect([code, headers['content-type'], body.kind, body.apiVersion]).toEqual([
        200,
        'application/json',
        'Table',
        'meta.k8s.io/v1',
      ])
      expect(body.columnDefinitions?.length).toBeGreaterThan(0)
      for (const row of body.rows) expect(row.cells).toHaveLength(body.columnDefinitions?.length ?? 0)
    },
  )

  test('a row has its cells and the metadata of its object; or all of it, or nothing', async () => {
    const made = await post(one.api, maps, { metadata: { name: 'row' }, data: { a: '1', b: '2' } })
    const url = `${maps}/row`
    const { body } = await ask(one.api, url, { accept: table })
    expect(body.columnDefinitions?.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'Name string',
      'Data string',
      'Age string',
    ])
    expect(body.metadata.resourceVersion).toBe(made.body.metadata.resourceVersion)
    expect(body.rows).toEqual([
      {
        cells: ['row', 2, expect.stringMatching(/^\d+s$/)],
        object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: made.body.metadata },
      },
    ])
    const whole = await ask(one.api, `${url}?includeObject=Object`, { accept: table })
    expect(whole.body.rows[0]?.object).toEqual(made.body)
    const none = await ask(one.api, `${url}?includeObject=None`, { accept: table })
    expect(none.body.rows[0]?.object).toBeUndefined()
    const wrong = await ask(one.api, `${url}?includeObject=Some`, { accept: table })
    expect([wrong.code, wrong.body.message]).toEqual([
      400,
      `Unable to convert to Table as requested: includeObject: Invalid value: "Some": must be 'Metadata', 'Object', 'None', or empty`,
    ])
  })

  test('a list in parts is a table in parts', async () => {
    for (const name of ['part-a', 'part-b', 'part-c']) await post(one.api, maps, { metadata: { name } })
    const first = await ask(one.api, `${maps}?limit=2`, { accept: table })
    expect([first.body.rows.length, first.body.metadata.remainingItemCount]).toEqual([2, expect.any(Number)])
    const next = await ask(one.api, `${maps}?limit=500&continue=${first.body.metadata.continue}`, { accept: table })
    expect(next.body.rows.length).toBe(first.body.metadata.remainingItemCount)
  })

  test('a long list is a table of as many rows', async () => {
    const at = '/api/v1/namespaces/kube-public/configmaps'
    for (let i = 0; i < 410; i++) await post(one.api, at, { metadata: { name: `m-${i}` } })
    const { body } = await ask(one.api, at, { accept: table })
    const plain = await ask(one.api, at)
    expect(body.rows.map(({ cells }) => cells[0])).toEqual(plain.body.items.map(({ metadata }) => metadata.name))
  })

  test('in the older version, where only that is asked for; and the first that can be had', async () => {
    const beta = table.replace('v=v1', 'v=v1beta1')
    expect((await ask(one.api, maps, { accept: beta })).body.apiVersion).toBe('meta.k8s.io/v1beta1')
    const kubectl = `${table},${beta},application/json`
    expect((await ask(one.api, maps, { accept: kubectl })).body.apiVersion).toBe('meta.k8s.io/v1')
    const future = table.replace('v=v1', 'v=v2')
    expect((await ask(one.api, maps, { accept: `${future},application/json` })).body.kind).toBe('ConfigMapList')
  })

  test('a Scale has a row too', async () => {
    const spec = {
      replicas: 2,
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a' }] } },
    }
    await post(one.api, deployments, { metadata: { name: 'scaled' }, spec })
    const { body } = await ask(one.api, `${deployments}/scaled/scale`, { accept: table })
    expect(body.columnDefinitions?.map(({ name }) => name)).toEqual(['Name', 'Desired', 'Available', 'Age'])
    expect(body.rows[0]?.cells.slice(0, 3)).toEqual(['scaled', 2, 0])
  })

  test('what has no metadata that is kept has no table (406)', async () => {
    const url = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    const spec = { resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default' } }
    const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec }
    const refused = await post(one.api, url, body, { accept: table })
    expect([refused.code, refused.body.kind, refused.body.reason]).toEqual([406, 'Status', 'NotAcceptable'])
    expect((await post(one.api, url, body, { accept: `${table},application/json` })).code).toBe(201)
  })

  test('a Status stays a Status', async () => {
    const { code, body } = await ask(one.api, `${maps}/none`, { accept: table })
    expect([code, body.kind]).toEqual([404, 'Status'])
  })
})
