// What nobody should send: each is answered by a Status that blames the client, and costs no more than its length. Time
// itself says little on a busy machine, so what is compared is the work for an input and for one ten times as long.
import { describe, expect, test } from 'vitest'
import type { Ask } from '../../apiserver/setup.ts'
import {
  body,
  bomb,
  bytes,
  containers,
  enveloped,
  growing,
  magic,
  maps,
  mergeBomb,
  pods,
  podWith,
  yaml,
} from './bad-inputs.ts'
import { type Answer, ask, oneApi, patchTypes, post, protobuf } from './wire.ts'

function isBlamed({ code, body: status, text }: Answer) {
  expect([code >= 400 && code < 500, status.kind, status['status'], text.length < 300_000]).toEqual([
    true,
    'Status',
    'Failure',
    true,
  ])
  expect(status.code).toBe(code)
}

describe('bad input', () => {
  const one = oneApi()
  const send = (asked: Ask & { readonly url?: string }) => ask(one.api, asked.url ?? maps, { method: 'POST', ...asked })

  test.each<[string, Ask & { readonly url?: string }]>([
    ['no body', { body: '' }],
    ['white space', { body: ' \n\t' }],
    ['no JSON', { body: '{"metadata":' }],
    ['no object', { body: '[1]' }],
    ['a text', { body: '"x"' }],
    ['nothing', { body: 'null' }],
    ['NaN', { body: body('"data":{"a":NaN}') }],
    ['a number where a text is', { body: body('"data":{"a":1e999}') }],
    ['an integer beyond all', { body: body('"immutable":99999999999999999999999') }],
    ['a body that is too large', { body: body(`"data":{"a":"${'x'.repeat(3 * 1024 * 1024)}"}`) }],
    ['bytes that are no UTF-8', { body: bytes(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d) }],
    ['another kind', { body: '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}' }],
    ['another version', { body: '{"apiVersion":"v9","kind":"ConfigMap","metadata":{"name":"x"}}' }],
    ['a name with a NUL', { body: '{"metadata":{"name":"a\\u0000b"}}' }],
    ['a name of 254 letters', { body: `{"metadata":{"name":"${'a'.repeat(254)}"}}` }],
    ['a name that leads elsewhere', { body: '{"metadata":{"name":"../secrets/x"}}' }],
    ['half a character as a name', { body: '{"metadata":{"name":"\\ud800"}}' }],
    ['a label of 64 letters', { body: `{"metadata":{"name":"x","labels":{"a":"${'a'.repeat(64)}"}}}` }],
    ['annotations of 300 kB', { body: `{"metadata":{"name":"x","annotations":{"a":"${'a'.repeat(300_000)}"}}}` }],
    ['an owner without a name', { body: '{"metadata":{"name":"x","ownerReferences":[{"uid":"u"}]}}' }],
    ['an alias bomb (D2)', { type: yaml, body: bomb() }],
    ['a bomb of merge keys (D2)', { type: yaml, body: mergeBomb() }],
    ['YAML with a tab', { type: yaml, body: 'metadata:\n\tname: x\n' }],
    ['two documents', { type: yaml, body: 'metadata:\n  name: x\n---\nmetadata:\n  name: y\n' }],
    ['YAML nested without end (D2)', { type: yaml, body: `a: ${'['.repeat(60_000)}` }],
    ['YAML too large', { type: yaml, body: `data:\n${'  a: b\n'.repeat(160_000)}` }],
    ['protobuf without its magic', { type: protobuf, body: bytes(1, 2, 3) }],
    ['protobuf that ends early', { type: protobuf, body: bytes(...magic, 0x0a, 0x7f) }],
    [
      'protobuf with a length beyond all',
      { type: protobuf, body: bytes(...magic, 0x12, ...Array(9).fill(0xff), 0x01) },
    ],
    ['protobuf with a varint without end', { type: protobuf, body: bytes(...magic, ...Array(40).fill(0xff)) }],
    ['protobuf of no kind', { type: protobuf, body: bytes(...magic, 0x12, 0) }],
    ['protobuf whose message is cut', { type: protobuf, body: enveloped([0x0a, 0x20, 0x0a]) }],
    ['a body under a strange name', { type: 'text/html', body: '<p>' }],
    ['a compressed body', { headers: { 'content-encoding': 'gzip' }, body: bytes(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3) }],
    [
      'a pod that its defaults make too large',
      { url: pods, body: JSON.stringify({ metadata: { name: 'x' }, spec: { containers: containers(20_000) } }) },
    ],
    ['a pod without containers', { url: pods, body: '{"metadata":{"name":"x"},"spec":{"containers":[]}}' }],
    ['a port beyond all', { url: pods, body: podWith('"ports":[{"containerPort":65536}]') }],
    ['a port that is none', { url: pods, body: podWith('"ports":[{"containerPort":0}]') }],
    ['an image of nothing', { url: pods, body: '{"metadata":{"name":"x"},"spec":{"containers":[{"name":"a"}]}}' }],
  ])('%s', async (_, asked) => isBlamed(await send(asked)))

  test.each([
    '/api/v1/namespaces/default/../../secrets',
    '/api/v1/namespaces/%2e%2e/configmaps',
    '/api/v1/namespaces/default/configmaps/%2e%2e%2fsecrets',
    '/api/v1/namespaces/default/configmaps/a%00b',
    '/api/v1/namespaces/default/configmaps/%zz',
    '/api/v1//configmaps',
    '/api/v1/namespaces//configmaps',
    '//api/v1/configmaps',
    '/api/v1/namespaces/default/configmaps/a%5cb',
    `/api/v1/namespaces/default/configmaps/${'a'.repeat(5_000)}`,
    '/api/v1/namespaces/default/configmaps/x/y/z',
    '/apis/apps/v1/namespaces/default/unicorns',
  ])('the path %s', async url => isBlamed(await ask(one.api, url)))

  test.each([
    `labelSelector=${'a'.repeat(70_000)}`,
    'labelSelector=a%3D%3D%3Db',
    'labelSelector=a+in+(',
    'fieldSelector=spec.secret%3Dx',
    'limit=many',
    'continue=%00',
    'resourceVersion=-1',
    'resourceVersion=1e3',
    'timeoutSeconds=soon&watch=1',
  ])('the query %s', async query => isBlamed(await ask(one.api, `${maps}?${query}`)))

  test('a key that means something to JavaScript is a key', async () => {
    const { code, text } = await post(
      one.api,
      maps,
      '{"metadata":{"name":"proto"},"data":{"__proto__":"a","constructor":"b"}}',
    )
    expect([code, text]).toEqual([201, expect.stringContaining('"__proto__":"a"')])
    const patched = await ask(one.api, `${maps}/proto`, {
      method: 'PATCH',
      type: patchTypes.merge,
      body: '{"metadata":{"__proto__":{"polluted":"yes"}}}',
    })
    expect(patched.code).toBe(200)
    expect(({} as { polluted?: string }).polluted).toBeUndefined()
  })

  test('a quantity beyond 2^53 is kept to its last digit', async () => {
    const { code, body: made } = await post(
      one.api,
      pods,
      podWith('"resources":{"limits":{"memory":"9223372036854775807"}}'),
    )
    expect(code).toBe(201)
    expect(JSON.stringify(made)).toContain('9223372036854775807')
  })

  test.each(growing)('%s: ten times the length is about ten times the work', async (_, url, make) => {
    const cost = async (size: number) => {
      const asked = make(size)
      const begun = process.cpuUsage()
      const answer = await ask(one.api, url, { method: 'POST', ...asked })
      isBlamed(answer)
      return process.cpuUsage(begun).user
    }
    await cost(30_000)
    const small = Math.min(await cost(240_000), await cost(240_000))
    const large = await cost(2_400_000)
    // Quadratic would be a hundred. What takes no time at all has no ratio.
    expect(large < 30_000 || large / small < 40, `${small} and ${large} microseconds`).toBe(true)
  })

  test('ten thousand changes in a JSON patch take time by what they change, not by the object', async () => {
    const data = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, '']))
    await post(one.api, maps, { metadata: { name: 'wide' }, data })
    await post(one.api, maps, { metadata: { name: 'narrow' }, data: { a: '' } })
    const ops = Array.from({ length: 10_000 }, (_, i) => ({ op: 'add', path: `/data/n${i}`, value: '' }))
    const cost = async (name: string) => {
      const begun = process.cpuUsage()
      const more = { method: 'PATCH', type: patchTypes.json, body: ops }
      expect((await ask(one.api, `${maps}/${name}?dryRun=All`, more)).code).toBe(200)
      return process.cpuUsage(begun).user
    }
    await cost('narrow')
    const [narrow, wide] = [await cost('narrow'), await cost('wide')]
    // 30,000 keys in place of 10,000; by copying the object for each change it would be a thousand times as much.
    expect(wide / narrow, `${narrow} and ${wide} microseconds`).toBeLessThan(40)
  })

  test('after all that it answers as before', async () => {
    expect((await ask(one.api, maps)).code).toBe(200)
    expect(one.api.lines.filter(line => JSON.stringify(line).includes('a request failed'))).toEqual([])
  })
})
