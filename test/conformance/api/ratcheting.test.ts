// Updates of objects that were accepted once and would not be today, because a rule has come since: what is wrong with them
// may stay as it is, and nothing may be added. The objects are put into the store as an older version would have left them.
import { describe, expect, test } from 'vitest'
import { encodeStored, keyOf } from '../../../src/apiserver/stored.ts'
import { created, kindNamed } from '../../api/make.ts'
import { type Answer, oneApi, patch } from './wire.ts'

const causesOf = ({ body }: Answer) =>
  body.details?.causes?.map(({ field = '', message }) => `${field}: ${message}`) ?? []
const container = { name: 'c', image: 'i:1' }
const badSelector = { matchLabels: { app: '-' } }
const spread = (more: object = {}) => [
  { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: badSelector, ...more },
]

describe('validation ratcheting', () => {
  const one = oneApi()

  /** Stores what `make` makes of a valid object; gives its path. */
  async function left(name: string, valid: object, make: (object: object) => object): Promise<string> {
    const kind = kindNamed(name)
    const object = created(kind, valid)
    const { namespace, name: own } = object.metadata
    const value = encodeStored(make(object) as typeof object)
    const { store } = one.api
    await store.write({ compare: [], operations: [{ key: keyOf(kind, namespace, own), value }] }, one.api.signal)
    const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
    return `${root}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${kind.plural}/${own}`
  }

  test('a node that says it has less than nothing can be labelled, and can report the rest', async () => {
    const url = await left('Node', { metadata: { name: 'poor' } }, object => ({
      ...object,
      status: { capacity: { cpu: '-1' } },
    }))
    expect((await patch(one.api, url, 'merge', { metadata: { labels: { a: 'b' } } })).code).toBe(200)
    const conditions = [{ type: 'Ready', status: 'True' }]
    expect((await patch(one.api, `${url}/status`, 'merge', { status: { conditions } })).code).toBe(200)
    expect(
      causesOf(await patch(one.api, `${url}/status`, 'merge', { status: { capacity: { memory: '-2' } } })),
    ).toEqual(['status.capacity.memory: Invalid value: "-2": must be greater than or equal to 0'])
    expect(causesOf(await patch(one.api, `${url}/status`, 'merge', { status: { capacity: { cpu: '-3' } } }))).toEqual([
      'status.capacity.cpu: Invalid value: "-3": must be greater than or equal to 0',
    ])
    expect((await patch(one.api, `${url}/status`, 'merge', { status: { capacity: { cpu: '3' } } })).code).toBe(200)
  })

  test('a pod whose constraint selects by what is no label loses its finalizer, and takes another image', async () => {
    const spec = { containers: [container] }
    const url = await left('Pod', { metadata: { name: 'old', finalizers: ['a.test/b'] }, spec }, object => ({
      ...object,
      spec: { ...(object as { readonly spec: object }).spec, topologySpreadConstraints: spread() },
    }))
    expect((await patch(one.api, url, 'merge', { metadata: { finalizers: null } })).code).toBe(200)
    const image = { spec: { containers: [{ name: 'c', image: 'i:2' }] } }
    expect((await patch(one.api, url, 'strategic', image)).code).toBe(200)
    const wrong = { spec: { containers: [{ name: 'c', image: ' i:3' }] } }
    expect(causesOf(await patch(one.api, url, 'strategic', wrong))).toEqual([
      'spec.containers[0].image: Invalid value: " i:3": must not have leading or trailing whitespace',
    ])
  })

  test('a Deployment with such a template scales, and its template cannot become worse', async () => {
    const labels = { app: 'web' }
    const template = { metadata: { labels }, spec: { containers: [container] } }
    const valid = { metadata: { name: 'old' }, spec: { selector: { matchLabels: labels }, template } }
    type Made = { readonly spec: { readonly template: { readonly spec: object } } }
    const url = await left('Deployment', valid, object => {
      const { spec } = object as Made
      const next = { ...spec.template, spec: { ...spec.template.spec, topologySpreadConstraints: spread() } }
      return { ...object, spec: { ...spec, template: next } }
    })
    expect((await patch(one.api, url, 'merge', { spec: { replicas: 3 } })).code).toBe(200)
    expect((await patch(one.api, `${url}/scale`, 'merge', { spec: { replicas: 2 } })).code).toBe(200)
    const worse = { spec: { template: { spec: { topologySpreadConstraints: spread({ maxSkew: 0 }) } } } }
    expect(causesOf(await patch(one.api, url, 'merge', worse))).toEqual([
      'spec.template.spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
    ])
  })
})
