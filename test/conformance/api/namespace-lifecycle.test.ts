// What a namespace that is missing or going lets happen in it, and which namespaces never go.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, namespaceNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
})
afterAll(() => api.stop())

const map = (namespace: string, name: string, method = 'POST') =>
  ask(`/api/v1/namespaces/${namespace}/configmaps${method === 'POST' ? '' : `/${name}`}`, {
    method,
    ...(method === 'POST' && { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } } }),
  })

describe('namespace-lifecycle', () => {
  test('nothing is made in a namespace that is not there', async () => {
    const { code, body } = await map('nowhere', 'm')
    expect(code).toBe(404)
    expect(body).toMatchObject({
      reason: 'NotFound',
      message: 'namespaces "nowhere" not found',
      details: { name: 'nowhere', kind: 'namespaces' },
    })
  })

  test('nothing is made in one that is going; what is there can be changed and deleted', async () => {
    await ask('/api/v1/namespaces', { body: namespaceNamed('going') })
    await map('going', 'old')
    await ask('/api/v1/namespaces/going', { method: 'DELETE' })
    const { code, body } = await map('going', 'new')
    expect(code).toBe(403)
    expect(body).toMatchObject({
      reason: 'Forbidden',
      message:
        'configmaps "new" is forbidden: unable to create new content in namespace going because it is being terminated',
      details: { causes: [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }] },
    })
    const change = { method: 'PATCH', body: { data: { a: '1' } } }
    expect((await ask('/api/v1/namespaces/going/configmaps/old', change)).code).toBe(200)
    expect((await map('going', 'old', 'DELETE')).code).toBe(200)
  })

  test.each(['default', 'kube-system', 'kube-public'])('%s is never deleted', async name => {
    const { code, message } = await ask(`/api/v1/namespaces/${name}`, { method: 'DELETE' })
    expect([code, message]).toEqual([403, `namespaces "${name}" is forbidden: this namespace may not be deleted`])
    expect((await ask(`/api/v1/namespaces/${name}`)).body.status.phase).toBe('Active')
  })

  test('a namespace that goes while something is made in it does not keep it', async () => {
    await ask('/api/v1/namespaces', { body: namespaceNamed('race') })
    const [deleted, ...made] = await Promise.all([
      ask('/api/v1/namespaces/race', { method: 'DELETE' }),
      ...Array.from({ length: 20 }, (_, i) => map('race', `m${i}`)),
    ])
    expect(deleted?.code).toBe(200)
    // Each was made before the namespace began to go, or not at all.
    const space = Number((await ask('/api/v1/namespaces/race')).body.metadata.resourceVersion)
    const left = (await ask('/api/v1/namespaces/race/configmaps')).body.items as readonly {
      readonly metadata: { readonly resourceVersion: string }
    }[]
    expect(left).toHaveLength(made.filter(({ code }) => code === 201).length)
    for (const { metadata } of left) expect(Number(metadata.resourceVersion)).toBeLessThan(space)
  })
})
