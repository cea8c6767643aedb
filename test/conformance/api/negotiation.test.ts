// In which form a request and its answer travel: JSON, YAML, protobuf; whole objects, metadata alone, tables; frames.
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configMap } from '../../../src/api/kinds/configmap.ts'
import { decodeBody, encodeBody } from '../../../src/api/protobuf.ts'
import type { JsonObject } from '../../../src/api/schema.ts'
import * as meta from '../../../src/api/types/status.ts'
import { yamlText } from '../../../src/api/yaml.ts'
import { ask, asPartial, decoded, oneApi, openWatch, post, protobuf, remove, type Shown, table } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const pods = '/api/v1/namespaces/default/pods'
const named = (name: string, more = {}) => ({ metadata: { name, ...more }, data: { a: '1' } })
const statusIn = (bytes: Uint8Array) => decodeBody(bytes, () => meta.status).value as unknown as Shown
const partialIn = (bytes: Uint8Array) => decodeBody(bytes, () => meta.partialObjectMetadata).value as unknown as Shown

describe('negotiation', () => {
  const one = oneApi()

  test('JSON when nothing is said, and for everything that includes it', async () => {
    for (const accept of [undefined, '*/*', 'application/*', 'application/json', 'text/html, */*;q=0.1']) {
      const { code, headers, body } = await ask(one.api, maps, { ...(accept && { accept }) })
      expect([code, headers['content-type'], body.kind]).toEqual([200, 'application/json', 'ConfigMapList'])
    }
  })

  test('an object in protobuf is the object in JSON', async () => {
    const made = await post(one.api, maps, named('binary'), { accept: protobuf })
    expect([made.code, made.headers['content-type']]).toEqual([201, protobuf])
    expect(made.bytes.subarray(0, 4).toString('latin1')).toBe('k8s\0')
    const json = await ask(one.api, `${maps}/binary`)
    expect(decoded(made.bytes)).toEqual(json.body)
    const got = await ask(one.api, `${maps}/binary`, { accept: `${protobuf},application/json` })
    expect(decoded(got.bytes)).toEqual(json.body)
  })

  test('a list in protobuf has the items and the metadata of the list in JSON, also when it is long', async () => {
    const at = '/api/v1/namespaces/kube-public/configmaps'
    for (let i = 0; i < 450; i++) await post(one.api, at, named(`long-${i}`))
    for (const url of [`${at}?limit=3`, at]) {
      const json = await ask(one.api, url)
      const binary = await ask(one.api, url, { accept: protobuf })
      expect(binary.headers['content-type']).toBe(protobuf)
      const list = decodeBody(binary.bytes, () => listOf(configMap.schema)).value as unknown as Shown
      expect([list.kind, list.apiVersion]).toEqual(['ConfigMapList', 'v1'])
      expect(list.metadata).toEqual(json.body.metadata)
      const { apiVersion: _, kind: __, ...first } = json.body.items[0] as Shown
      expect(list.items[0]).toEqual(first)
      expect(list.items.map(({ metadata }) => metadata.name)).toEqual(
        json.body.items.map(({ metadata }) => metadata.name),
      )
    }
  })

  test('YAML in and out', async () => {
    const body = yamlText({ apiVersion: 'v1', kind: 'ConfigMap', ...named('yaml') } as JsonObject)
    const made = await post(one.api, maps, body, { type: 'application/yaml', accept: 'application/yaml' })
    expect([made.code, made.headers['content-type']]).toEqual([201, 'application/yaml'])
    const json = await ask(one.api, `${maps}/yaml`)
    expect(parse(made.text)).toEqual(json.body)
    const list = await ask(one.api, `${maps}?fieldSelector=metadata.name%3Dyaml`, { accept: 'application/yaml' })
    expect(parse(list.text)).toMatchObject({ kind: 'ConfigMapList', items: [{ metadata: { name: 'yaml' } }] })
    const none = await ask(one.api, '/api/v1/namespaces/kube-node-lease/secrets', { accept: 'application/yaml' })
    expect(parse(none.text)).toMatchObject({ kind: 'SecretList', items: [] })
  })

  test('a body in protobuf, also of DELETE', async () => {
    const bytes = encodeBody(configMap.schema, { apiVersion: 'v1', kind: 'ConfigMap', ...named('sent') } as JsonObject)
    const made = await post(one.api, maps, bytes, { type: protobuf })
    expect([made.code, made.body['data']]).toEqual([201, { a: '1' }])
    const { deleteOptions } = await import('../../../src/api/types/meta.ts')
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'another' } }
    const refused = await remove(one.api, `${maps}/sent`, encodeBody(deleteOptions, options), { type: protobuf })
    expect([refused.code, refused.body.reason]).toEqual([409, 'Conflict'])
    const sure = { ...options, preconditions: { uid: made.body.metadata.uid } }
    const gone = await remove(one.api, `${maps}/sent`, encodeBody(deleteOptions, sure), { type: protobuf })
    expect([gone.code, gone.body['status']]).toEqual([200, 'Success'])
  })

  test('metadata alone: of an object, of a list, in each media type and version', async () => {
    const json = await ask(one.api, `${maps}/kube-root-ca.crt`)
    await post(one.api, maps, named('meta', { labels: { meta: 'yes' } }))
    const full = await ask(one.api, `${maps}/meta`)
    expect(json.code).toBeLessThan(500)
    for (const version of ['v1', 'v1beta1']) {
      const partial = await ask(one.api, `${maps}/meta`, { accept: asPartial('application/json', false, version) })
      expect(partial.body).toEqual({
        kind: 'PartialObjectMetadata',
        apiVersion: `meta.k8s.io/${version}`,
        metadata: full.body.metadata,
      })
      const list = await ask(one.api, `${maps}?labelSelector=meta`, {
        accept: asPartial('application/json', true, version),
      })
      expect(list.body).toMatchObject({ kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${version}` })
      expect(list.body.items).toEqual([partial.body])
      const binary = await ask(one.api, `${maps}?labelSelector=meta`, { accept: asPartial(protobuf, true, version) })
      const schema = version === 'v1' ? meta.partialObjectMetadataList : meta.partialObjectMetadataListBeta
      const read = decodeBody(binary.bytes, () => schema).value as unknown as Shown
      expect(read.items).toEqual([{ metadata: full.body.metadata }])
      expect(read.metadata.resourceVersion).toBe(list.body.metadata.resourceVersion)
    }
    const binary = await ask(one.api, `${maps}/meta`, { accept: asPartial(protobuf) })
    expect(partialIn(binary.bytes).metadata).toEqual(full.body.metadata)
  })

  test('an object as a list of metadata, and a list as one, are not acceptable', async () => {
    await post(one.api, maps, named('mismatch'))
    const list = await ask(one.api, maps, { accept: asPartial('application/json') })
    expect([list.code, list.body.reason]).toEqual([406, 'NotAcceptable'])
    expect(list.body.message).toMatch(/^you requested PartialObjectMetadata, but the requested object is a list/)
    const object = await ask(one.api, `${maps}/mismatch`, { accept: asPartial('application/json', true) })
    expect(object.body.message).toMatch(
      /^you requested PartialObjectMetadataList, but the requested object is not a list/,
    )
  })

  test('what nobody can make is refused with the list of what is made (406)', async () => {
    const { code, body } = await ask(one.api, maps, { accept: 'text/html' })
    expect(code).toBe(406)
    expect(body).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message:
        'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf',
      reason: 'NotAcceptable',
      code: 406,
    })
  })

  test('a body that nobody can read is refused with the list of what is read (415)', async () => {
    const { code, body } = await post(one.api, maps, '<a/>', { type: 'application/xml' })
    expect([code, body.reason]).toEqual([415, 'UnsupportedMediaType'])
    expect(body.message).toContain('application/json, application/yaml, application/vnd.kubernetes.protobuf')
  })

  test('a refusal comes in the form that was asked for', async () => {
    const binary = await ask(one.api, `${maps}/none`, { accept: protobuf })
    expect([binary.code, binary.headers['content-type']]).toEqual([404, protobuf])
    expect(statusIn(binary.bytes)).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      reason: 'NotFound',
      message: 'configmaps "none" not found',
      details: { name: 'none', kind: 'configmaps' },
      code: 404,
    })
    const yaml = await ask(one.api, `${maps}/none`, { accept: 'application/yaml' })
    expect(parse(yaml.text)).toMatchObject({ kind: 'Status', reason: 'NotFound' })
    const asTable = await ask(one.api, `${maps}/none`, { accept: table })
    expect(asTable.body).toMatchObject({ kind: 'Status', reason: 'NotFound' })
  })

  test('the Status of a deletion and of a list that was deleted come in protobuf too', async () => {
    await post(one.api, maps, named('gone', { labels: { gone: 'yes' } }))
    const deleted = await remove(one.api, `${maps}?labelSelector=gone`, undefined, { accept: protobuf })
    const list = decodeBody(deleted.bytes, () => listOf(configMap.schema)).value as unknown as Shown
    expect(list.items.map(({ metadata }) => metadata.name)).toEqual(['gone'])
    await post(one.api, maps, named('gone'))
    const status = await remove(one.api, `${maps}/gone`, undefined, { accept: protobuf })
    expect(statusIn(status.bytes)).toMatchObject({ status: 'Success', details: { name: 'gone', kind: 'configmaps' } })
  })

  test('people get it indented: by ?pretty, and because their tools say who they are', async () => {
    await post(one.api, maps, named('pretty'))
    const flat = await ask(one.api, `${maps}/pretty`)
    const lines = (text: string) => text.trimEnd().split('\n').length
    expect(lines(flat.text)).toBe(1)
    for (const answer of [
      await ask(one.api, `${maps}/pretty?pretty=true`),
      await ask(one.api, `${maps}/pretty`, { headers: { 'user-agent': 'curl/8.5.0' } }),
    ]) {
      expect(lines(answer.text)).toBeGreaterThan(5)
      expect(answer.body).toEqual(flat.body)
    }
    const list = await ask(one.api, `${maps}?pretty=1`)
    expect(list.text).toBe(`${JSON.stringify(list.body, null, 2)}\n`)
    const quiet = await ask(one.api, `${maps}/pretty?pretty=false`, { headers: { 'user-agent': 'curl/8.5.0' } })
    expect(lines(quiet.text)).toBe(1)
  })

  test('a watch in protobuf: frames behind their lengths, with whole objects in them', async () => {
    const { metadata } = (await ask(one.api, maps)).body
    const url = `${maps}?watch=true&resourceVersion=${metadata.resourceVersion}&fieldSelector=metadata.name%3Dframed`
    const watch = await openWatch(one.api, url, { accept: `${protobuf};stream=watch` })
    expect(watch.headers['content-type']).toBe(`${protobuf};stream=watch`)
    const made = await post(one.api, maps, named('framed'))
    await remove(one.api, `${maps}/framed`)
    const added = eventIn(await watch.nextBinary())
    expect([added.type, decoded(added.object)]).toEqual(['ADDED', made.body])
    const deleted = eventIn(await watch.nextBinary())
    expect([deleted.type, decoded(deleted.object).metadata.name]).toEqual(['DELETED', 'framed'])
    expect(Number(decoded(deleted.object).metadata.resourceVersion)).toBeGreaterThan(
      Number(made.body.metadata.resourceVersion),
    )
    watch.close()
  })

  test('a watch in protobuf of metadata alone, and its bookmarks and errors', async () => {
    await post(one.api, maps, named('informed', { labels: { informed: 'yes' } }))
    const query =
      'watch=1&labelSelector=informed&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    const watch = await openWatch(one.api, `${maps}?${query}`, { accept: asPartial(protobuf) })
    const added = eventIn(await watch.nextBinary())
    expect([added.type, partialIn(added.object).metadata.name]).toEqual(['ADDED', 'informed'])
    const bookmark = eventIn(await watch.nextBinary())
    expect([bookmark.type, partialIn(bookmark.object).metadata.annotations]).toEqual([
      'BOOKMARK',
      { 'k8s.io/initial-events-end': 'true' },
    ])
    watch.close()
    one.api.store.compact(one.api.store.revision())
    const late = await openWatch(one.api, `${maps}?watch=1&resourceVersion=2`, { accept: protobuf })
    const error = eventIn(await late.nextBinary())
    expect([error.type, statusIn(error.object)]).toEqual([
      'ERROR',
      expect.objectContaining({ reason: 'Expired', code: 410 }),
    ])
  })

  test('YAML has no frames: a watch in it is not acceptable', async () => {
    const { code, text } = await ask(one.api, `${maps}?watch=1`, { accept: 'application/yaml' })
    expect(code).toBe(406)
    expect(parse(text)).toMatchObject({
      message:
        'only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch',
    })
  })

  test('reviews, tokens and scales come in protobuf too', async () => {
    const review = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    const spec = { resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default' } }
    const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec }
    const answer = await post(one.api, review, body, { accept: protobuf })
    expect(decoded(answer.bytes)).toMatchObject({ kind: 'SelfSubjectAccessReview', status: { allowed: true } })
    await post(one.api, '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'robot' } })
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } }
    const token = await post(one.api, '/api/v1/namespaces/default/serviceaccounts/robot/token', request, {
      accept: protobuf,
    })
    expect(decoded(token.bytes)).toMatchObject({ kind: 'TokenRequest', status: { token: expect.any(String) } })
  })

  test('a stray parameter, letter case and white space do not matter', async () => {
    const { code } = await ask(one.api, pods, { accept: 'Application/JSON ; charset=utf-8' })
    expect(code).toBe(200)
  })
})

/** The list of a kind, as protobuf has it. */
function listOf(item: typeof configMap.schema) {
  const { shape } = meta.partialObjectMetadataList
  if (shape.kind !== 'object') throw new Error('no object')
  const items = shape.fields['items']
  if (items === undefined) throw new Error('no items')
  const list = { shape: { kind: 'list', item, listType: 'atomic', mapKeys: [], mergeKey: undefined } } as const
  return { shape: { ...shape, fields: { ...shape.fields, items: { ...items, schema: list } } } }
}

/** meta/v1 WatchEvent: 1 the type, 2 the object, of which 1 is the bytes. */
function eventIn(frame: Buffer | undefined): { readonly type: string; readonly object: Buffer } {
  if (frame === undefined) throw new Error('the watch has ended')
  const read = fieldsOf(frame)
  return {
    type: read.get(1)?.toString() ?? '',
    object: fieldsOf(read.get(2) ?? Buffer.alloc(0)).get(1) ?? Buffer.alloc(0),
  }
}

function fieldsOf(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>()
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at++] ?? 0
    expect(tag & 7).toBe(2)
    let [length, shift] = [0, 0]
    for (let more = true; more; shift += 7) {
      const byte = bytes[at++] ?? 0
      length += (byte & 0x7f) * 2 ** shift
      more = byte >= 0x80
    }
    fields.set(tag >> 3, bytes.subarray(at, at + length))
    at += length
  }
  return fields
}
