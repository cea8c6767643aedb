// ?dryRun=All: all is done but the writing. https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
import { describe, expect, test } from 'vitest'
import { ask, oneApi, patch, post, put, remove } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const dry = '?dryRun=All'

describe('dry run', () => {
  const one = oneApi()
  const revision = () => one.api.store.revision()

  test('of a create: the object as it would be, with a uid and without a revision', async () => {
    const before = revision()
    const { code, body } = await post(one.api, `${maps}${dry}`, {
      metadata: { generateName: 'dry-' },
      data: { a: '1' },
    })
    expect(code).toBe(201)
    expect(body.metadata).toMatchObject({ name: expect.stringMatching(/^dry-[a-z0-9]{5}$/), uid: expect.any(String) })
    expect(body.metadata.resourceVersion).toBeUndefined()
    expect(revision()).toBe(before)
    expect((await ask(one.api, `${maps}/${body.metadata.name}`)).code).toBe(404)
  })

  test('of an update and each patch: what it would be, at the revision that there is', async () => {
    const { body } = await post(one.api, maps, { metadata: { name: 'there' }, data: { a: '1' } })
    const before = revision()
    const at = `${maps}/there${dry}`
    const answers = [
      await put(one.api, at, { ...body, data: { a: '2' } }),
      await patch(one.api, at, 'merge', { data: { a: '2' } }),
      await patch(one.api, at, 'strategic', { data: { a: '2' } }),
      await patch(one.api, at, 'json', [{ op: 'replace', path: '/data/a', value: '2' }]),
      await patch(one.api, `${at}&fieldManager=x&force=true`, 'apply', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'there' },
        data: { a: '2' },
      }),
    ]
    for (const answer of answers) expect([answer.code, answer.body['data']]).toEqual([200, { a: '2' }])
    expect(revision()).toBe(before)
    expect((await ask(one.api, `${maps}/there`)).body).toEqual(body)
  })

  test('of a delete, by query and by body, and of a collection', async () => {
    await post(one.api, maps, { metadata: { name: 'stays', labels: { stays: 'yes' } } })
    const before = revision()
    expect((await remove(one.api, `${maps}/stays${dry}`)).code).toBe(200)
    expect((await remove(one.api, `${maps}/stays`, { dryRun: ['All'] })).code).toBe(200)
    const collection = await remove(one.api, `${maps}${dry}&labelSelector=stays`)
    expect([collection.code, collection.body.items.length]).toEqual([200, 1])
    expect(revision()).toBe(before)
  })

  test('refuses what would be refused', async () => {
    await post(one.api, maps, { metadata: { name: 'refuses' } })
    expect((await post(one.api, `${maps}${dry}`, { metadata: { name: 'refuses' } })).body.reason).toBe('AlreadyExists')
    expect((await post(one.api, `${maps}${dry}`, { metadata: { name: 'Not A Name' } })).body.reason).toBe('Invalid')
    expect((await remove(one.api, `${maps}/none${dry}`)).body.reason).toBe('NotFound')
  })

  test('knows no other word', async () => {
    for (const answer of [
      await post(one.api, `${maps}?dryRun=Some`, { metadata: { name: 'some' } }),
      await remove(one.api, `${maps}/some?dryRun=Some`),
      await remove(one.api, `${maps}/some`, { dryRun: ['Some'] }),
    ]) {
      expect([answer.code, answer.body.reason]).toEqual([422, 'Invalid'])
      expect(answer.body.message).toMatch(/dryRun: Unsupported value: .*: supported values: "All"/)
    }
  })
})
