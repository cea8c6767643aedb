// Objects hold any text; the store holds bytes. Between the two nothing is lost, and what lies there is UTF-8.
import { expect, test } from 'vitest'
import { servedText } from '../../src/apiserver/stored.ts'
import { request, testApiserver } from './setup.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const texts = {
  latin: 'größer',
  greek: 'λόγος',
  kanji: '漢字',
  emoji: '🚢⚓',
  ascii: 'plain',
  edge: '\u007f\u0080\u00ff\u0100',
}

test('an object with any text is stored as UTF-8, and read, listed, watched and patched as it is', async () => {
  const { apiserver, store, stop } = await testApiserver()
  const ask = async (url: string, more = {}) => {
    const response = await apiserver.handle(request(url, more))
    if (response.kind !== 'whole') throw new Error(response.kind)
    const body = typeof response.body === 'string' ? response.body : Buffer.from(response.body).toString()
    return JSON.parse(body) as { data: object; items: { data: object }[] }
  }
  const before = store.revision()
  await ask(maps, { body: { metadata: { name: 'm' }, data: texts } })

  const stored = await store.get('/registry/configmaps/default/m')
  if (stored === undefined) throw new Error('it was not stored')
  expect(Math.max(...[...stored.value].map(char => char.charCodeAt(0)))).toBeLessThan(256)
  const bytes = Buffer.from(stored.value, 'latin1')
  expect(JSON.parse(bytes.toString('utf8'))).toMatchObject({ data: texts })
  expect(JSON.parse(servedText(stored))).toMatchObject({ data: texts })

  expect((await ask(`${maps}/m`)).data).toEqual(texts)
  expect((await ask(maps)).items.at(-1)?.data).toEqual(texts)
  const patch = { method: 'PATCH', type: 'application/merge-patch+json', body: { data: { more: 'ß' } } }
  expect((await ask(`${maps}/m`, patch)).data).toEqual({ ...texts, more: 'ß' })

  const controller = new AbortController()
  const watching = await apiserver.handle(
    request(`${maps}?watch=true&resourceVersion=${before}`, { signal: controller.signal }),
  )
  if (watching.kind !== 'stream') throw new Error(watching.kind)
  const found: { object: { data: object } }[] = []
  for await (const chunk of watching.body) {
    for (const line of String(chunk).split('\n')) if (line !== '') found.push(JSON.parse(line))
    if (found.length >= 2) break
  }
  controller.abort()
  expect(found.map(({ object }) => object.data)).toEqual([texts, { ...texts, more: 'ß' }])
  stop()
})

test('a name that is no ASCII finds nothing, and makes nothing', async () => {
  const { apiserver, stop } = await testApiserver()
  for (const name of ['ü', 'Ã¼', '漢']) {
    const response = await apiserver.handle(request(`${maps}/${encodeURIComponent(name)}`))
    expect(response).toMatchObject({ code: 404 })
    const made = await apiserver.handle(request(maps, { body: { metadata: { name } } }))
    expect(made).toMatchObject({ code: 422 })
  }
  stop()
})
