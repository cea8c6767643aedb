// Watches on custom objects (kubernetes-api.md A: crd-watch).
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  crontab,
  crontabs,
  crontabsUrl,
  customApi,
  definition,
  definitionUrl,
  request,
} from '../../apiserver/definitions.ts'

let api: Awaited<ReturnType<typeof customApi>>
beforeAll(async () => {
  api = await customApi()
  await api.define(crontabs())
})
afterAll(() => api.stop())

type Frame = { readonly type: string; readonly object: { readonly metadata: { readonly name: string } } }

async function* frames(url: string): AsyncGenerator<Frame> {
  const response = await api.apiserver.handle(request(url))
  if (response.kind !== 'stream') throw new Error('no stream')
  for await (const chunk of response.body) {
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    for (const line of text.split('\n')) if (line !== '') yield JSON.parse(line) as Frame
  }
}

const short = ({ type, object }: Frame) => `${type} ${object.metadata.name}`

describe('crd-watch', () => {
  test('tells what is added, modified and deleted, in order', async () => {
    const { body } = await api.ask(crontabsUrl)
    const watch = frames(`${crontabsUrl}?watch=true&resourceVersion=${body.metadata.resourceVersion}`)
    await api.ask(crontabsUrl, { body: crontab('a') })
    await api.ask(`${crontabsUrl}/a`, { method: 'PATCH', body: { spec: { replicas: 2 } } })
    await api.ask(crontabsUrl, { body: crontab('b') })
    await api.ask(`${crontabsUrl}/a`, { method: 'DELETE' })
    const seen: string[] = []
    for await (const frame of watch) {
      seen.push(short(frame))
      if (seen.length === 4) break
    }
    expect(seen).toEqual(['ADDED a', 'MODIFIED a', 'ADDED b', 'DELETED a'])
  })

  test('each who watches one object by its name sees that alone, in every version that is served', async () => {
    const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    const versions = [
      { name: 'v1beta1', schema: free },
      { name: 'v1beta2', schema: free },
      { name: 'v0', schema: free, served: false },
    ]
    const names = {
      singular: 'noxu',
      listKind: 'NoxuItemList',
      shortNames: ['foo', 'bar', 'abc', 'def'],
      categories: ['all'],
    }
    const kind = 'WishIHadChosenNoxu'
    await api.define(definition('noxus', kind, versions, { scope: 'Cluster' }, names))
    const root = '/apis/stable.example.com'
    const noxu = (version: string, name: string) => ({
      apiVersion: `stable.example.com/${version}`,
      kind,
      metadata: { name },
      alpha: 'foo_123',
      num: { num1: 9_223_372_036_854_775_000, num2: 1_000_000 },
    })
    expect((await api.ask(`${root}/v0/noxus`)).code).toBe(404)
    for (const version of ['v1beta1', 'v1beta2']) {
      // What client libraries do to learn that watches on the new kind work.
      const primed = await api.ask(`${root}/${version}/noxus`, { body: noxu(version, 'setup-instance') })
      expect(primed.code).toBe(201)
      await api.ask(`${root}/${version}/noxus/setup-instance`, { method: 'DELETE' })
      const after = frames(
        `${root}/${version}/noxus?watch=true&resourceVersion=${primed.body.metadata.resourceVersion}`,
      )
      const { value } = await after.next()
      expect(value === undefined ? '' : short(value)).toBe('DELETED setup-instance')
    }
    const { body } = await api.ask(`${root}/v1beta1/noxus`)
    expect(body.kind).toBe('NoxuItemList')
    const since = `watch=true&resourceVersion=${body.metadata.resourceVersion}`
    const watching = (version: string, name: string) =>
      frames(`${root}/${version}/noxus?${since}&fieldSelector=metadata.name%3D${name}`)
    const [one, two] = [watching('v1beta1', 'name1'), watching('v1beta2', 'name2')]
    for (const name of ['name1', 'name2']) await api.ask(`${root}/v1beta1/noxus`, { body: noxu('v1beta1', name) })
    for (const name of ['name1', 'name2']) {
      const { body: found } = await api.ask(`${root}/v1beta2/noxus/${name}`)
      expect(found.num).toEqual(noxu('v1beta2', name).num)
      const put = { ...found, metadata: { ...found.metadata, labels: { updated: 'yes' } } }
      expect((await api.ask(`${root}/v1beta2/noxus/${name}`, { method: 'PUT', body: put })).code).toBe(200)
    }
    for (const name of ['name1', 'name2']) await api.ask(`${root}/v1beta1/noxus/${name}`, { method: 'DELETE' })
    for (const [watch, name] of [
      [one, 'name1'],
      [two, 'name2'],
    ] as const) {
      const seen: string[] = []
      for await (const frame of watch) {
        seen.push(short(frame))
        if (seen.length === 3) break
      }
      expect(seen).toEqual([`ADDED ${name}`, `MODIFIED ${name}`, `DELETED ${name}`])
    }
  })

  test('ends when the definition goes, after the deletions of its objects', async () => {
    await api.define(definition('passing', 'Passing', [{}]))
    const url = '/apis/stable.example.com/v1/namespaces/default/passing'
    await api.ask(url, { body: { apiVersion: 'stable.example.com/v1', kind: 'Passing', metadata: { name: 'x' } } })
    const watch = frames(`${url}?watch=true`)
    const first = await watch.next()
    expect(first.done ? '' : short(first.value)).toBe('ADDED x')
    await api.ask(definitionUrl('passing.stable.example.com'), { method: 'DELETE' })
    const rest: string[] = []
    // A definition that is being deleted is another one to watch: the stream may end before, and goes on from where it was.
    for await (const frame of watch) rest.push(short(frame))
    expect(rest.every(text => text === 'DELETED x')).toBe(true)
  })
})
