// Long lists are made piece by piece; put together they are what a list made at once would be.
import { expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { encodeListBody } from '../../src/api/protobuf.ts'
import type { View } from '../../src/apiserver/answer.ts'
import { respondList } from '../../src/apiserver/answer-list.ts'
import { messageOf } from '../../src/apiserver/encode.ts'
import { openPace, type Pace } from '../../src/apiserver/run-pace.ts'
import { encodeStored, servedText } from '../../src/apiserver/stored.ts'
import type { KeyValue } from '../../src/kv/store.ts'
import type { HttpResponse } from '../../src/world/http.ts'

const always: Pace = { turn: () => undefined }
const view = (media: 'json' | 'protobuf'): View => ({
  answers: { as: 'Object', media },
  includeObject: 'Metadata',
  nowMs: 0,
  pretty: false,
})

function stored(index: number, text: string, apiVersion = 'v1'): KeyValue {
  const name = `m-${index}`
  const value = encodeStored({ apiVersion, kind: 'ConfigMap', metadata: { name }, data: { text } } as never)
  return {
    key: `/registry/configmaps/x/${name}`,
    value,
    createRevision: 1,
    modRevision: 9 ** (index % 9),
    version: 1,
    lease: 0,
  }
}

/** Copied as it comes: a lent chunk is gone when the next is there. */
async function bytesOf(response: HttpResponse): Promise<Buffer> {
  if (response.kind === 'whole') return Buffer.from(response.body as string)
  if (response.kind !== 'stream') throw new Error(response.kind)
  const parts: Buffer[] = []
  for await (const chunk of response.body) parts.push(Buffer.from(chunk as string))
  return Buffer.concat(parts)
}

const lists: Readonly<Record<string, readonly KeyValue[]>> = {
  none: [],
  one: [stored(0, 'größer 🚢')],
  small: Array.from({ length: 40 }, (_, i) => stored(i, 'λόγος'.repeat(i))),
  many: Array.from({ length: 3_000 }, (_, i) => stored(i, '漢字'.repeat(i % 97))),
  large: [
    stored(0, 'a'),
    stored(1, 'ß'.repeat(400_000)),
    stored(2, 'b'),
    stored(3, 'c'.repeat(262_144)),
    stored(4, 'd'),
  ],
  // What begins otherwise than the one before it: other lengths, and the same length.
  mixed: Array.from({ length: 50 }, (_, i) => stored(i, 'x', ['v1', 'v2', 'example.com/v1beta1'][i % 3])),
}

test.each(Object.keys(lists))('a list is the texts of its objects, glued: %s', async name => {
  const items = lists[name] ?? []
  const response = respondList(configMap, { items, revision: 77, continue: 'token' }, view('json'), always)
  const body = await bytesOf(response)
  const texts = items.map(item => JSON.parse(servedText(item)) as unknown)
  expect(JSON.parse(body.toString())).toEqual({
    kind: 'ConfigMapList',
    apiVersion: 'v1',
    metadata: { resourceVersion: '77', continue: 'token' },
    items: texts,
  })
  expect(body.at(-1)).toBe(10)
  if (response.kind === 'stream') expect(response.headers['content-length']).toBe(String(body.length))
})

test.each(['none', 'one', 'small', 'many', 'large'])('a list in protobuf is one message: %s', async name => {
  const items = lists[name] ?? []
  const body = await bytesOf(respondList(configMap, { items, revision: 77 }, view('protobuf'), always))
  const messages = items.map(item => messageOf(configMap, item))
  const whole = encodeListBody('v1', 'ConfigMapList', { resourceVersion: '77' }, messages)
  expect(body.equals(whole)).toBe(true)
})

test('an object without metadata of its own is JSON nevertheless', async () => {
  const value = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}'
  const item: KeyValue = {
    key: '/registry/configmaps/x/m',
    value,
    createRevision: 1,
    modRevision: 5,
    version: 1,
    lease: 0,
  }
  const body = await bytesOf(respondList(configMap, { items: [item], revision: 7 }, view('json'), always))
  expect(JSON.parse(body.toString()).items).toEqual([
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { resourceVersion: '5' } },
  ])
})

test('in one turn of the loop all long answers together have a few milliseconds, and each gets its turn', async () => {
  let nowMs = 0
  const later: (() => void)[] = []
  const pace = openPace({ monotonicMs: () => nowMs, soon: act => void later.push(act) })
  const worked: string[] = []
  async function work(name: string, pieces: number): Promise<void> {
    for (let i = 0; i < pieces; i++) {
      await pace.turn()
      nowMs += 1
      worked.push(name)
    }
  }
  const done = Promise.all([work('a', 12), work('b', 12), work('c', 12)])
  const perTurn: number[] = []
  while (worked.length < 36) {
    const before = worked.length
    // What is ready runs before the loop turns.
    for (let i = 0; i < 50; i++) await Promise.resolve()
    perTurn.push(worked.length - before)
    for (const act of later.splice(0)) act()
  }
  await done
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(6)
  for (const name of ['a', 'b', 'c']) expect(worked.indexOf(name)).toBeLessThan(20)
})
