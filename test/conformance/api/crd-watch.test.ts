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
