// Custom objects chosen by their fields (kubernetes-api.md A: crd-field-selectors).
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { crontab, crontabs, crontabsUrl, customApi } from '../../apiserver/definitions.ts'

let api: Awaited<ReturnType<typeof customApi>>
beforeAll(async () => {
  api = await customApi()
  await api.define(crontabs())
  await api.ask(crontabsUrl, { body: crontab('a', { image: 'small', replicas: 1 }) })
  await api.ask(crontabsUrl, { body: crontab('b', { image: 'large', replicas: 1 }) })
  await api.ask(crontabsUrl, { body: crontab('c', { replicas: 2 }) })
})
afterAll(() => api.stop())

const names = async (selector: string) => {
  const { body } = await api.ask(`${crontabsUrl}?fieldSelector=${encodeURIComponent(selector)}`)
  return body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)
}

describe('crd-field-selectors', () => {
  test('lists by the fields that the definition makes selectable, numbers as texts, an absent one as empty', async () => {
    expect(await names('spec.image=small')).toEqual(['a'])
    expect(await names('spec.replicas=1')).toEqual(['a', 'b'])
    expect(await names('spec.replicas=1,spec.image!=small')).toEqual(['b'])
    expect(await names('spec.image=')).toEqual(['c'])
  })

  test('any other field is refused', async () => {
    const refused = await api.ask(`${crontabsUrl}?fieldSelector=spec.cronSpec%3Dx`)
    expect(refused).toMatchObject({ code: 400, message: 'field label not supported: spec.cronSpec' })
  })

  test('deletes by them', async () => {
    await api.ask(`${crontabsUrl}?fieldSelector=spec.replicas%3D2`, { method: 'DELETE' })
    expect(await names('')).toEqual(['a', 'b'])
  })
})
