// Many objects listed in parts (kubernetes-api.md A: list-chunking, table): however large the parts are, and on from where
// the first moment is forgotten. Tokens and their rules stand in resource-version.test.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testApiserver } from '../../apiserver/setup.ts'
import { type Api, ask, post, type Shown } from './wire.ts'

const total = 400
const templates = '/api/v1/namespaces/default/podtemplates'
const nameOf = (i: number) => `template-${String(i).padStart(4, '0')}`
let api: Api

beforeAll(async () => {
  api = await testApiserver()
  const made = Array.from({ length: total }, (_, i) => ({
    metadata: { name: nameOf(i) },
    template: { spec: { containers: [{ name: 'test', image: 'test2' }] } },
  }))
  await Promise.all(made.map(body => post(api, templates, body)))
})
afterAll(() => api.stop())

/** Asks on until there is no more; `found` is how many came before. Gives how many there are in all. */
async function readOn(found: number, first: string, limitOf: () => number): Promise<readonly Shown[]> {
  const parts: Shown[] = []
  for (let token: string | undefined = first, count = found; token !== undefined; ) {
    const limit = limitOf()
    const on: string = token === '' ? '' : `&continue=${token}`
    const { code, body } = await ask(api, `${templates}?limit=${limit}${on}`)
    expect(code).toBe(200)
    expect(body.items.length).toBeLessThanOrEqual(limit)
    expect(body.items.map(({ metadata }) => metadata.name)).toEqual(body.items.map((_, i) => nameOf(count + i)))
    count += body.items.length
    const { remainingItemCount } = body.metadata
    token = body.metadata.continue
    expect(remainingItemCount).toBe(token === undefined ? undefined : total - count)
    parts.push(body)
    if (token === undefined) expect(count).toBe(total)
  }
  return parts
}

describe('list-chunking', () => {
  test('parts of any size are the whole list, in order, of one moment', async () => {
    for (const step of [1, 17, 40]) {
      let asked = 0
      const parts = await readOn(0, '', () => {
        asked += step
        return (asked % 40) + 1
      })
      expect(new Set(parts.map(({ metadata }) => metadata.resourceVersion)).size).toBe(1)
    }
    const { body } = await ask(api, `${templates}?limit=${total + 1}`)
    expect([body.items.length, body.metadata.continue]).toEqual([total, undefined])
  })

  test('when the moment is forgotten, the token of the error goes on in parts of a newer one', async () => {
    const first = await ask(api, `${templates}?limit=40`)
    expect(first.body.metadata.remainingItemCount).toBe(total - 40)
    const { continue: token } = first.body.metadata
    expect((await ask(api, `${templates}?limit=40&continue=${token}`)).code).toBe(200)
    await post(api, '/api/v1/namespaces/default/configmaps', { metadata: { name: 'later' } })
    api.store.compact(api.store.revision())
    const expired = await ask(api, `${templates}?limit=40&continue=${token}`)
    expect([expired.code, expired.body.reason]).toEqual([410, 'Expired'])
    const inconsistent = expired.body.metadata.continue ?? ''
    expect(inconsistent).not.toBe('')
    const [second, ...rest] = await readOn(40, inconsistent, () => 40)
    expect(second?.items).toHaveLength(40)
    expect(second?.metadata.resourceVersion).not.toBe(first.body.metadata.resourceVersion)
    expect(new Set(rest.map(({ metadata }) => metadata.resourceVersion))).toEqual(
      new Set([second?.metadata.resourceVersion]),
    )
  })
})

describe('table', () => {
  test('comes in parts too, and the rest of it at once', async () => {
    const accept = 'application/json;as=Table;v=v1beta1;g=meta.k8s.io'
    const { body } = await ask(api, `${templates}?limit=2`, { accept })
    expect(body.rows.map(({ cells }) => cells[0])).toEqual([nameOf(0), nameOf(1)])
    expect(body.metadata.resourceVersion).not.toBe('')
    const rest = await ask(api, `${templates}?continue=${body.metadata.continue}`, { accept })
    expect(rest.body.rows[0]?.cells[0]).toBe(nameOf(2))
    expect(rest.body.rows).toHaveLength(total - 2)
  })

  test('there is none of a review, whatever is posted', async () => {
    const { code, body } = await post(
      api,
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      { spec: { nonResourceAttributes: { path: '/', verb: 'get' } } },
      { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    )
    expect([code, body.reason]).toEqual([406, 'NotAcceptable'])
  })
})
