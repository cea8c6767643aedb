// Whole numbers that JavaScript cannot hold come back as they were sent, in each encoding and by each way to write.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pod as podKind } from '../../../src/api/kinds/pod.ts'
import { encodeBody } from '../../../src/api/protobuf.ts'
import { parseExact } from '../../../src/lib/json.ts'
import { customApi } from '../../apiserver/definitions.ts'
import { request } from '../../apiserver/setup.ts'
import { ask, decoded, oneApi, patch, post, protobuf, put, remove, table } from './wire.ts'

const int64Max = '9223372036854775807'
const int64Min = '-9223372036854775808'
const odd = '9007199254740993'

const version = {
  name: 'v1',
  served: true,
  storage: true,
  schema: {
    openAPIV3Schema: {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          'x-kubernetes-preserve-unknown-fields': true,
          properties: {
            id: {
              type: 'integer',
              format: 'int64',
              'x-kubernetes-validations': [{ rule: 'self != 9007199254740995' }],
            },
            few: { type: 'integer', format: 'int32' },
          },
        },
      },
    },
  },
  additionalPrinterColumns: [{ name: 'Id', type: 'integer', jsonPath: '.spec.id' }],
}
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'tallies.exact.example.com' },
  spec: {
    group: 'exact.example.com',
    scope: 'Namespaced',
    names: { plural: 'tallies', singular: 'tally', kind: 'Tally', listKind: 'TallyList' },
    versions: [version],
  },
}
const tallies = '/apis/exact.example.com/v1/namespaces/default/tallies'
const tally = (name: string, spec: string) =>
  `{"apiVersion":"exact.example.com/v1","kind":"Tally","metadata":{"name":"${name}"},"spec":${spec}}`

describe('int64 of custom resources', () => {
  let api: Awaited<ReturnType<typeof customApi>>
  beforeAll(async () => {
    api = await customApi()
    await api.define(definition)
  })
  afterAll(() => api.stop())

  const specIn = (text: string) => /"spec":(\{.*?\})/.exec(text)?.[1]

  test('is exact in what is created, read, listed, watched and shown in a table', async () => {
    const spec = `{"id":${int64Max},"more":[${int64Min},${odd}],"small":7}`
    const made = await post(api, tallies, tally('whole', spec))
    expect([made.code, specIn(made.text)]).toEqual([201, spec])
    for (const url of [`${tallies}/whole`, tallies]) expect(specIn((await ask(api, url)).text)).toBe(spec)
    const yaml = await ask(api, `${tallies}/whole`, { accept: 'application/yaml' })
    for (const part of [`id: ${int64Max}`, `- ${int64Min}`, `- ${odd}`]) expect(yaml.text).toContain(part)
    const pretty = await ask(api, `${tallies}/whole?pretty=true`)
    expect(pretty.text).toContain(`"id": ${int64Max}`)
    const shown = await ask(api, `${tallies}/whole`, { accept: table })
    expect(shown.text).toContain(`"cells":["whole",${int64Max}]`)
    const controller = new AbortController()
    const watch = request(`${tallies}?watch=true&resourceVersion=0`, { signal: controller.signal })
    const response = await api.apiserver.handle(watch)
    if (response.kind !== 'stream') throw new Error(response.kind)
    for await (const chunk of response.body) {
      expect(specIn(String(chunk))).toBe(spec)
      controller.abort()
    }
  })

  test('is exact in YAML, patches and applies, and next to what is not touched', async () => {
    const yaml = `apiVersion: exact.example.com/v1\nkind: Tally\nmetadata: {name: patched}\nspec: {id: ${odd}, more: 1}\n`
    expect((await post(api, tallies, yaml, { type: 'application/yaml' })).code).toBe(201)
    const one = `${tallies}/patched`
    expect(specIn((await patch(api, one, 'merge', '{"spec":{"more":2}}')).text)).toBe(`{"id":${odd},"more":2}`)
    expect(specIn((await patch(api, one, 'merge', `{"spec":{"more":${int64Max}}}`)).text)).toContain(int64Max)
    const wrong = await patch(api, one, 'json', `[{"op":"test","path":"/spec/id","value":9007199254740992}]`)
    expect(wrong.code).toBe(422)
    const right = `[{"op":"test","path":"/spec/id","value":${odd}},{"op":"replace","path":"/spec/more","value":${int64Min}}]`
    expect(specIn((await patch(api, one, 'json', right)).text)).toBe(`{"id":${odd},"more":${int64Min}}`)
    const applied = await patch(api, `${tallies}/applied?fieldManager=me`, 'apply', tally('applied', `{"id":${odd}}`))
    expect([applied.code, specIn(applied.text)]).toEqual([201, `{"id":${odd}}`])
    const same = await ask(api, one)
    const again = await put(api, one, same.text)
    expect([again.code, again.body.metadata.resourceVersion]).toEqual([200, same.body.metadata.resourceVersion])
  })

  test('is a whole number to schemas and to rules', async () => {
    const few = await post(api, tallies, tally('few', `{"few":${odd}}`))
    expect([few.code, few.body.reason]).toEqual([422, 'Invalid'])
    expect(few.body.message).toContain(`Invalid value: ${odd}`)
    expect((await post(api, tallies, tally('ruled', '{"id":9007199254740995}'))).code).toBe(422)
    expect((await post(api, tallies, tally('ruled', '{"id":9007199254740996}'))).code).toBe(201)
  })

  test('beyond an int64 is a floating point number, as upstream reads it', async () => {
    const far = await post(api, tallies, tally('far', '{"more":123456789012345678901234567890}'))
    expect(specIn(far.text)).toBe('{"more":1.2345678901234568e+29}')
  })
})

describe('int64 of built-in kinds', () => {
  const one = oneApi()
  const pods = '/api/v1/namespaces/default/pods'
  const text = (name: string, seconds: string) =>
    `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"${name}"},"spec":{"terminationGracePeriodSeconds":${seconds},"containers":[{"name":"c","image":"i"}]}}`

  test('is exact in JSON and in protobuf, both ways', async () => {
    const made = await post(one.api, pods, text('as-json', int64Max))
    expect([made.code, made.text.includes(`"terminationGracePeriodSeconds":${int64Max}`)]).toEqual([201, true])
    const { bytes } = await ask(one.api, `${pods}/as-json`, { accept: protobuf })
    expect(decoded(bytes)).toMatchObject({ spec: { terminationGracePeriodSeconds: BigInt(int64Max) } })
    const body = encodeBody(podKind.schema, parseExact(text('as-binary', odd)) as never)
    expect((await post(one.api, pods, body, { type: protobuf })).code).toBe(201)
    const read = await ask(one.api, `${pods}/as-binary`)
    expect(read.text).toContain(`"terminationGracePeriodSeconds":${odd}`)
  })

  test('is a number that can be computed with to whoever runs the cluster', async () => {
    const { client, signal } = one.api
    const pod = await client.get(podKind, { namespace: 'default', name: 'as-json' }, signal)
    expect(pod.spec.terminationGracePeriodSeconds).toBe(Number(int64Max))
    const { items } = await client.list(podKind, { namespace: 'default' }, signal)
    expect(items.map(({ spec }) => typeof spec.terminationGracePeriodSeconds)).toEqual(['number', 'number'])
  })

  test('as the time that a deletion takes gives a time that can be read', async () => {
    const bind = { target: { kind: 'Node', name: 'far' }, metadata: { name: 'as-json' } }
    expect((await post(one.api, `${pods}/as-json/binding`, bind)).code).toBe(201)
    const { code, body } = await remove(one.api, `${pods}/as-json`)
    expect([code, body.metadata.deletionTimestamp]).toEqual([200, '9999-12-31T23:59:59Z'])
  })

  test('beyond an int64 is refused', async () => {
    const { code, body } = await post(one.api, pods, text('far', '9223372036854775808'))
    expect([code, body.reason]).toEqual([400, 'BadRequest'])
  })
})
