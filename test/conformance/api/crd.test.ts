// CustomResourceDefinitions and what they define, as clients see them (kubernetes-api.md A: crd).
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  crontab,
  crontabSchema,
  crontabs,
  crontabsUrl,
  customApi,
  definition,
  definitionUrl,
  has,
  request,
  until,
} from '../../apiserver/definitions.ts'

type Api = Awaited<ReturnType<typeof customApi>>
let api: Api
beforeAll(async () => {
  api = await customApi()
  await api.define(crontabs())
})
afterAll(() => api.stop())

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const apply = (body: object, manager: string, force = false) => ({
  method: 'PATCH',
  type: 'application/apply-patch+yaml',
  body,
  query: `?fieldManager=${manager}&force=${force}`,
})

describe('crd', () => {
  test('is created with its names filled in, becomes established, and is found in discovery', async () => {
    const { body } = await api.ask(definitionUrl('crontabs.stable.example.com'))
    expect(body.spec.names).toMatchObject({ singular: 'crontab', listKind: 'CronTabList' })
    expect(body.spec.conversion).toEqual({ strategy: 'None' })
    expect(body.status.storedVersions).toEqual(['v1'])
    expect(body.status.acceptedNames.plural).toBe('crontabs')
    expect(has(body, 'NamesAccepted', 'True')).toBe(true)
    const list = await until(
      () => api.ask('/apis/stable.example.com/v1'),
      ({ code }) => code === 200,
    )
    expect(list.body.resources.map(({ name }: { name: string }) => name)).toEqual([
      'crontabs',
      'crontabs/scale',
      'crontabs/status',
    ])
    expect(list.body.resources[0]).toMatchObject({ shortNames: ['ct'], categories: ['all'], kind: 'CronTab' })
  })

  test('is listed and deleted as a collection by label, with what it defines', async () => {
    const labelled = (name: string) => {
      const one = definition(
        name,
        name.replace(/^./, letter => letter.toUpperCase()),
        [{}],
      )
      return { ...one, metadata: { ...one.metadata, labels: { test: 'many' } } }
    }
    await api.define(labelled('ones'))
    await api.define(labelled('twos'))
    await api.ask('/apis/stable.example.com/v1/namespaces/default/ones', {
      body: { apiVersion: 'stable.example.com/v1', kind: 'Ones', metadata: { name: 'a' } },
    })
    const all = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions?labelSelector=test%3Dmany'
    expect((await api.ask(all)).body.items).toHaveLength(2)
    await api.ask(all, { method: 'DELETE' })
    await until(
      () => api.ask(all),
      ({ body }) => body.items.length === 0,
    )
    await until(
      () => api.ask('/apis/stable.example.com/v1/namespaces/default/ones'),
      ({ code }) => code === 404,
    )
    // The objects do not come back with the definition.
    await api.define(labelled('ones'))
    expect((await api.ask('/apis/stable.example.com/v1/namespaces/default/ones')).body.items).toEqual([])
  })

  test('has a status that can be read, replaced and patched', async () => {
    await api.define(definition('statuses', 'Stat', [{}]))
    const url = `${definitionUrl('statuses.stable.example.com')}/status`
    const condition = { type: 'Own', status: 'True', reason: 'Test', message: 'said', lastTransitionTime: null }
    const { body } = await api.ask(url)
    const conditions = [...body.status.conditions, condition]
    const put = await api.ask(url, { method: 'PUT', body: { ...body, status: { ...body.status, conditions } } })
    expect(put.code).toBe(200)
    expect(has(put.body, 'Own', 'True')).toBe(true)
    const patched = await api.ask(url, { method: 'PATCH', body: { metadata: { annotations: { a: 'b' } } } })
    expect(patched.code).toBe(200)
  })

  test('takes a condition of its status that has a message alone', async () => {
    await api.define(definition('sayings', 'Saying', [{}], { scope: 'Cluster' }))
    const url = `${definitionUrl('sayings.stable.example.com')}/status`
    const { body } = await api.ask(url)
    expect(body.spec.names).toMatchObject({ plural: 'sayings', singular: 'saying', listKind: 'SayingList' })
    body.status.conditions.push({ type: '', status: '', lastTransitionTime: null, message: 'updated' })
    const put = await api.ask(url, { method: 'PUT', body })
    expect([put.code, put.body.status.conditions.at(-1)]).toMatchObject([200, { message: 'updated' }])
    const patched = await api.ask(url, {
      method: 'PATCH',
      type: 'application/json-patch+json',
      body: [{ op: 'add', path: '/status/conditions', value: [{ message: 'patched' }] }],
    })
    expect([patched.code, patched.message]).toEqual([200, ''])
    const messages = patched.body.status.conditions.map(({ message }: { message: string }) => message)
    expect(messages).toContain('patched')
  })

  test('a default that is added shows in what was stored; one that is taken away stays where it was written', async () => {
    const text = { type: 'string' }
    const schema = { type: 'object', properties: { a: text, b: text } }
    await api.define(definition('latecomers', 'Latecomer', [{ schema }], { scope: 'Cluster' }))
    const url = '/apis/stable.example.com/v1/latecomers'
    const made = (name: string) =>
      api.ask(url, { body: { apiVersion: 'stable.example.com/v1', kind: 'Latecomer', metadata: { name } } })
    const patch = (...body: readonly object[]) =>
      api.ask(definitionUrl('latecomers.stable.example.com'), {
        method: 'PATCH',
        type: 'application/json-patch+json',
        body,
      })
    const at = (name: string) => `/spec/versions/0/schema/openAPIV3Schema/properties/${name}/default`
    expect((await made('cr-1')).body.a).toBeUndefined()
    expect((await patch({ op: 'add', path: at('a'), value: 'A' })).code).toBe(200)
    await until(
      () => api.ask(`${url}/cr-1`),
      ({ body }) => body.a === 'A',
    )
    expect((await made('cr-2')).body.a).toBe('A')
    expect((await patch({ op: 'remove', path: at('a') }, { op: 'add', path: at('b'), value: 'B' })).code).toBe(200)
    const second = await until(
      () => api.ask(`${url}/cr-2`),
      ({ body }) => body.b === 'B',
    )
    expect(second.body).toMatchObject({ a: 'A', b: 'B' })
    expect((await api.ask(`${url}/cr-1`)).body).not.toHaveProperty('a')
  })

  test('fills in defaults when objects are written, and in those that were stored before when they are read', async () => {
    const schema = (properties: object) => ({ type: 'object', properties: { spec: { type: 'object', properties } } })
    const own = definition('defaulted', 'Defaulted', [{ schema: schema({ a: { type: 'string', default: 'A' } }) }])
    const made = await api.define(own)
    const url = '/apis/stable.example.com/v1/namespaces/default/defaulted'
    const written = await api.ask(url, {
      body: { apiVersion: 'stable.example.com/v1', kind: 'Defaulted', metadata: { name: 'x' }, spec: {} },
    })
    expect(written.body.spec).toEqual({ a: 'A' })
    const both = schema({ a: { type: 'string', default: 'A' }, b: { type: 'string', default: 'B' } })
    const versions = [{ ...made.body.spec.versions[0], schema: { openAPIV3Schema: both } }]
    await api.ask(definitionUrl('defaulted.stable.example.com'), { method: 'PATCH', body: { spec: { versions } } })
    expect((await api.ask(`${url}/x`)).body.spec).toEqual({ a: 'A', b: 'B' })
    expect((await api.ask(url)).body.items[0].spec).toEqual({ a: 'A', b: 'B' })
    const patched = await api.ask(`${url}/x`, { method: 'PATCH', body: { spec: { a: 'other' } } })
    expect(patched.body.spec).toEqual({ a: 'other', b: 'B' })
  })

  test('drops nulls where none may be, and keeps them where they may', async () => {
    const properties = {
      a: { type: 'string', nullable: true },
      b: { type: 'string' },
      c: { type: 'string', default: 'C' },
    }
    const schema = { type: 'object', properties: { spec: { type: 'object', properties } } }
    await api.define(definition('nulls', 'Null', [{ schema }]))
    const made = await api.ask('/apis/stable.example.com/v1/namespaces/default/nulls', {
      body: {
        apiVersion: 'stable.example.com/v1',
        kind: 'Null',
        metadata: { name: 'x' },
        spec: { a: null, b: null, c: null },
      },
    })
    expect(made.body.spec).toEqual({ a: null, c: 'C' })
  })

  test('prunes what the schema does not know and keeps what it says to preserve', async () => {
    const schema = {
      type: 'object',
      properties: {
        free: {
          type: 'object',
          'x-kubernetes-preserve-unknown-fields': true,
          properties: { tight: { type: 'object', properties: {} } },
        },
        resource: {
          type: 'object',
          'x-kubernetes-embedded-resource': true,
          'x-kubernetes-preserve-unknown-fields': true,
        },
      },
    }
    await api.define(definition('pruned', 'Pruned', [{ schema }]))
    const url = '/apis/stable.example.com/v1/namespaces/default/pruned'
    const resource = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a', labels: { a: 'b' } }, data: { x: 'y' } }
    const made = await api.ask(url, {
      body: {
        apiVersion: 'stable.example.com/v1',
        kind: 'Pruned',
        metadata: { name: 'x' },
        gone: 1,
        free: { kept: { deep: [1] }, tight: { gone: true } },
        resource,
      },
    })
    expect(made.body).toMatchObject({ free: { kept: { deep: [1] }, tight: {} }, resource })
    expect(made.body.gone).toBeUndefined()
    const wrong = await api.ask(url, {
      body: { apiVersion: 'stable.example.com/v1', kind: 'Pruned', metadata: { name: 'y' }, resource: { kind: '' } },
    })
    expect(wrong.message).toContain('resource.apiVersion: Required value: must not be empty')
  })

  test('a name that another definition of the group has is not accepted until it is free', async () => {
    await api.define(definition('firsts', 'First', [{}], {}, { shortNames: ['fst'] }))
    const second = definition('seconds', 'Second', [{}], {}, { shortNames: ['fst'] })
    await api.ask('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: second })
    const url = definitionUrl('seconds.stable.example.com')
    const refused = await until(
      () => api.ask(url),
      ({ body }) => has(body, 'NamesAccepted', 'False'),
    )
    const condition = refused.body.status.conditions.find(({ type }: { type: string }) => type === 'NamesAccepted')
    expect(condition).toMatchObject({ reason: 'ShortNamesConflict', message: '"fst" is already in use' })
    expect(has(refused.body, 'Established', 'False')).toBe(true)
    expect((await api.ask('/apis/stable.example.com/v1/seconds')).code).toBe(404)
    await api.ask(definitionUrl('firsts.stable.example.com'), { method: 'DELETE' })
    await until(
      () => api.ask(url),
      ({ body }) => has(body, 'Established', 'True'),
    )
    expect((await api.ask('/apis/stable.example.com/v1/seconds')).code).toBe(200)
  })

  test('group, plural, and once established scope and kind stay as they are; a stored version cannot go', async () => {
    await api.define(definition('fixed', 'Fixed', [{}]))
    const url = definitionUrl('fixed.stable.example.com')
    const scope = await api.ask(url, { method: 'PATCH', body: { spec: { scope: 'Cluster' } } })
    expect(scope).toMatchObject({ code: 422 })
    expect(scope.message).toContain('spec.scope: Invalid value: "Cluster": field is immutable')
    const kind = await api.ask(url, { method: 'PATCH', body: { spec: { names: { kind: 'Other' } } } })
    expect(kind.message).toContain('spec.names.kind: Invalid value: "Other": field is immutable')
    const { body } = await api.ask(url)
    const versions = [{ ...body.spec.versions[0], name: 'v2' }]
    const gone = await api.ask(url, { method: 'PATCH', body: { spec: { versions } } })
    expect(gone.message).toContain('status.storedVersions[0]: Invalid value: "v1": must appear in spec.versions')
  })

  test('a definition that is being deleted takes no new objects, and waits for those that are held', async () => {
    await api.define(definition('held', 'Held', [{}]))
    const url = '/apis/stable.example.com/v1/namespaces/default/held'
    const object = (name: string, finalizers: readonly string[] = []) => ({
      apiVersion: 'stable.example.com/v1',
      kind: 'Held',
      metadata: { name, finalizers },
    })
    await api.ask(url, { body: object('a', ['example.com/wait']) })
    const deleted = await api.ask(definitionUrl('held.stable.example.com'), { method: 'DELETE' })
    expect(has(deleted.body, 'Terminating', 'True')).toBe(true)
    const refused = await api.ask(url, { body: object('b') })
    expect(refused).toMatchObject({
      code: 405,
      message: 'create not allowed while custom resource definition is terminating',
    })
    await until(
      () => api.ask(`${url}/a`),
      ({ body }) => body.metadata?.deletionTimestamp !== undefined,
    )
    expect((await api.ask(definitionUrl('held.stable.example.com'))).code).toBe(200)
    await api.ask(`${url}/a`, { method: 'PATCH', body: { metadata: { finalizers: null } } })
    await until(
      () => api.ask(definitionUrl('held.stable.example.com')),
      ({ code }) => code === 404,
    )
  })

  test('an object is created, read, replaced, patched in three ways, listed and deleted like any other', async () => {
    const made = await api.ask(crontabsUrl, { body: crontab('life') })
    expect(made).toMatchObject({ code: 201, body: { spec: { cronSpec: '* * * * */5', replicas: 1 } } })
    expect(made.body.metadata.generation).toBe(1)
    const again = await api.ask(crontabsUrl, { body: crontab('life') })
    expect(again).toMatchObject({ code: 409, message: 'crontabs.stable.example.com "life" already exists' })
    const url = `${crontabsUrl}/life`
    const replaced = await api.ask(url, {
      method: 'PUT',
      body: { ...made.body, spec: { cronSpec: '* * * * *', replicas: 2 } },
    })
    expect(replaced.body.metadata.generation).toBe(2)
    const merged = await api.ask(url, { method: 'PATCH', body: { spec: { image: 'small' } } })
    expect(merged.body.spec).toEqual({ cronSpec: '* * * * *', replicas: 2, image: 'small' })
    const json = await api.ask(url, {
      method: 'PATCH',
      type: 'application/json-patch+json',
      body: [{ op: 'remove', path: '/spec/image' }],
    })
    expect(json.body.spec.image).toBeUndefined()
    const strategic = await api.ask(url, { method: 'PATCH', type: 'application/strategic-merge-patch+json', body: {} })
    expect(strategic.code).toBe(415)
    expect(strategic.message).toContain('application/merge-patch+json, application/apply-patch+yaml')
    expect((await api.ask('/apis/stable.example.com/v1/crontabs')).body).toMatchObject({ kind: 'CronTabList' })
    expect((await api.ask(url, { method: 'DELETE' })).body).toMatchObject({ kind: 'Status', status: 'Success' })
    expect((await api.ask(url)).message).toBe('crontabs.stable.example.com "life" not found')
  })

  test('status is apart: generation counts what is wanted alone', async () => {
    await api.ask(crontabsUrl, { body: crontab('parts', {}, { status: { phase: 'mine' } }) })
    const url = `${crontabsUrl}/parts`
    expect((await api.ask(url)).body.status).toBeUndefined()
    const told = await api.ask(`${url}/status`, {
      method: 'PATCH',
      body: { spec: { replicas: 9 }, status: { phase: 'Ready' }, metadata: { labels: { no: 'x' } } },
    })
    expect(told.body).toMatchObject({ spec: { replicas: 1 }, status: { phase: 'Ready' } })
    expect(told.body.metadata.labels).toBeUndefined()
    expect(told.body.metadata.generation).toBe(1)
    const wanted = await api.ask(url, { method: 'PATCH', body: { spec: { replicas: 3 }, status: { phase: 'no' } } })
    expect(wanted.body).toMatchObject({ metadata: { generation: 2 }, status: { phase: 'Ready' } })
  })

  test('scale reads and writes the numbers where the definition says they are', async () => {
    await api.ask(crontabsUrl, { body: crontab('scaled', { replicas: 2 }) })
    const url = `${crontabsUrl}/scaled`
    await api.ask(`${url}/status`, { method: 'PATCH', body: { status: { replicas: 1, selector: 'app=x' } } })
    const read = await api.ask(`${url}/scale`)
    expect(read.body).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 2 },
      status: { replicas: 1, selector: 'app=x' },
    })
    const written = await api.ask(`${url}/scale`, { method: 'PATCH', body: { spec: { replicas: 5 } } })
    expect(written.body.spec.replicas).toBe(5)
    expect((await api.ask(url)).body).toMatchObject({ spec: { replicas: 5 }, metadata: { generation: 2 } })
    const tooMany = await api.ask(`${url}/scale`, { method: 'PATCH', body: { spec: { replicas: 11 } } })
    expect(tooMany.code).toBe(422)
  })

  test('is shown as a table with its columns', async () => {
    await api.ask(crontabsUrl, { body: crontab('shown', { replicas: 4 }) })
    const { body } = await api.ask(`${crontabsUrl}/shown`, { accept: table })
    const columns = body.columnDefinitions.map(({ name, type, priority }: Record<string, unknown>) => [
      name,
      type,
      priority,
    ])
    expect(columns).toEqual([
      ['Name', 'string', 0],
      ['Spec', 'string', 0],
      ['Replicas', 'integer', 0],
      ['Phase', 'string', 1],
      ['Age', 'date', 0],
    ])
    const [name, spec, replicas, phase, age] = body.rows[0].cells
    expect([name, spec, replicas, phase]).toEqual(['shown', '* * * * */5', 4, null])
    expect(age).toMatch(/^\d+s$/)
  })

  test('server-side apply merges lists by their keys, with the defaults of keys, and tells conflicts', async () => {
    const url = `${crontabsUrl}/applied`
    const one = apply(crontab('applied', { ports: [{ port: 80, name: 'web' }] }), 'one')
    const two = apply({ ...crontab('applied'), spec: { ports: [{ port: 80, protocol: 'UDP', name: 'dns' }] } }, 'two')
    expect((await api.ask(url + one.query, one)).code).toBe(201)
    const both = await api.ask(url + two.query, two)
    expect(both.body.spec.ports).toEqual([
      { port: 80, name: 'web', protocol: 'TCP' },
      { port: 80, protocol: 'UDP', name: 'dns' },
    ])
    const clash = apply({ ...crontab('applied'), spec: { ports: [{ port: 80, name: 'mine' }] } }, 'three')
    const refused = await api.ask(url + clash.query, clash)
    expect(refused.code).toBe(409)
    expect(refused.body.details.causes[0].field).toBe('.spec.ports[port=80,protocol="TCP"].name')
    const dropped = apply(crontab('applied'), 'one')
    expect((await api.ask(url + dropped.query, dropped)).body.spec.ports).toEqual([
      { port: 80, protocol: 'UDP', name: 'dns' },
    ])
  })

  test('server-side apply merges free objects key by key', async () => {
    await api.define(definition('frees', 'Free', [{}]))
    const url = '/apis/stable.example.com/v1/namespaces/default/frees/x'
    const free = (spec: object) => ({
      apiVersion: 'stable.example.com/v1',
      kind: 'Free',
      metadata: { name: 'x' },
      spec,
    })
    const one = apply(free({ a: { b: 1, list: [1] } }), 'one')
    const two = apply(free({ a: { c: 2 } }), 'two')
    await api.ask(url + one.query, one)
    expect((await api.ask(url + two.query, two)).body.spec).toEqual({ a: { b: 1, c: 2, list: [1] } })
    const less = apply(free({ a: {} }), 'one')
    expect((await api.ask(url + less.query, less)).body.spec).toEqual({ a: { c: 2 } })
  })

  test('a subresource that the definition does not name is not there, and an object must say what it is', async () => {
    await api.define(definition('plains', 'Plain', [{}]))
    const url = '/apis/stable.example.com/v1/namespaces/default/plains'
    const plain = { apiVersion: 'stable.example.com/v1', kind: 'Plain', metadata: { name: 'x' }, status: { a: 1 } }
    const made = await api.ask(url, { body: plain })
    expect(made.body.status).toEqual({ a: 1 })
    const changed = await api.ask(`${url}/x`, { method: 'PATCH', body: { status: { a: 2 } } })
    expect(changed.body.metadata.generation).toBe(2)
    for (const name of ['status', 'scale']) {
      expect((await api.ask(`${url}/x/${name}`)).code).toBe(404)
      expect((await api.ask(`${url}/x/${name}`, { method: 'PATCH', body: {} })).code).toBe(404)
    }
    const { kind: _, ...nameless } = plain
    const refused = await api.ask(url, { body: { ...nameless, metadata: { name: 'y' } } })
    expect(refused).toMatchObject({ code: 400, message: expect.stringContaining("Object 'Kind' is missing in") })
    const binary = 'application/vnd.kubernetes.protobuf'
    expect(await api.apiserver.handle(request(`${url}/x`, { accept: binary }))).toMatchObject({ code: 406 })
    expect((await api.ask(`${url}/x`, { accept: `${binary},application/json` })).body.kind).toBe('Plain')
  })

  test('a version that is deprecated says so', async () => {
    await api.define(
      definition('olds', 'Old', [
        {},
        { name: 'v1alpha1', deprecated: true },
        { name: 'v1beta1', deprecated: true, deprecationWarning: 'use v1' },
      ]),
    )
    expect((await api.ask('/apis/stable.example.com/v1alpha1/olds')).warnings).toEqual([
      'stable.example.com/v1alpha1 Old is deprecated',
    ])
    expect((await api.ask('/apis/stable.example.com/v1beta1/olds')).warnings).toEqual(['use v1'])
    expect((await api.ask('/apis/stable.example.com/v1/olds')).warnings).toEqual([])
  })

  test('versions without conversion differ in their name, and each has its own schema', async () => {
    const schema = (name: string) => ({
      type: 'object',
      properties: { [name]: { type: 'string' }, both: { type: 'string' } },
    })
    await api.define(definition('multis', 'Multi', [{ schema: schema('one') }, { name: 'v2', schema: schema('two') }]))
    const body = {
      apiVersion: 'stable.example.com/v2',
      kind: 'Multi',
      metadata: { name: 'x' },
      two: '2',
      both: 'b',
      one: '1',
    }
    const made = await api.ask('/apis/stable.example.com/v2/namespaces/default/multis', { body })
    expect(made.body).toMatchObject({ apiVersion: 'stable.example.com/v2', two: '2', both: 'b' })
    const read = await api.ask('/apis/stable.example.com/v1/namespaces/default/multis/x')
    expect(read.body).toMatchObject({ apiVersion: 'stable.example.com/v1', both: 'b' })
    expect(read.body.two).toBeUndefined()
  })

  test('the garbage collector and a namespace that goes know custom objects', async () => {
    const owner = await api.ask('/api/v1/namespaces/default/configmaps', {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owner' } },
    })
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.body.metadata.uid }
    const owned = { ...crontab('owned'), metadata: { name: 'owned', ownerReferences: [reference] } }
    const parent = await api.ask(crontabsUrl, { body: owned })
    const custom = {
      apiVersion: 'stable.example.com/v1',
      kind: 'CronTab',
      name: 'owned',
      uid: parent.body.metadata.uid,
    }
    await api.ask('/api/v1/namespaces/default/configmaps', {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'child', ownerReferences: [custom] } },
    })
    await api.ask('/api/v1/namespaces/default/configmaps/owner', { method: 'DELETE' })
    await until(
      () => api.ask('/api/v1/namespaces/default/configmaps/child'),
      ({ code }) => code === 404,
    )
    expect((await api.ask(`${crontabsUrl}/owned`)).code).toBe(404)
    await api.ask('/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' } } })
    await api.ask('/apis/stable.example.com/v1/namespaces/going/crontabs', { body: crontab('inside') })
    await api.ask('/api/v1/namespaces/going', { method: 'DELETE' })
    await until(
      () => api.ask('/api/v1/namespaces/going'),
      ({ code }) => code === 404,
    )
    expect((await api.ask('/apis/stable.example.com/v1/namespaces/going/crontabs')).body.items).toEqual([])
  })

  test('a namespace must be there, names must be sound, and a cluster-wide kind has none', async () => {
    const nowhere = '/apis/stable.example.com/v1/namespaces/nowhere/crontabs'
    expect((await api.ask(nowhere, { body: crontab('x') })).message).toBe('namespaces "nowhere" not found')
    expect((await api.ask(crontabsUrl, { body: crontab('Not_A_Name') })).code).toBe(422)
    await api.define(definition('wides', 'Wide', [{}], { scope: 'Cluster' }))
    const body = { apiVersion: 'stable.example.com/v1', kind: 'Wide', metadata: { name: 'x' } }
    expect((await api.ask('/apis/stable.example.com/v1/wides', { body })).code).toBe(201)
    expect((await api.ask('/apis/stable.example.com/v1/namespaces/default/wides')).code).toBe(404)
  })

  test('fieldValidation tells unknown and doubled fields of custom objects, in metadata too', async () => {
    const strict = `${crontabsUrl}?fieldValidation=Strict`
    const text = JSON.stringify({ ...crontab('strict', { bad: 1 }), metadata: { name: 'strict', wrong: 'x' }, more: 1 })
    const refused = await api.ask(strict, { body: text })
    expect(refused.code).toBe(400)
    expect(refused.message).toContain(
      'strict decoding error: unknown field "metadata.wrong", unknown field "more", unknown field "spec.bad"',
    )
    const doubled = text
      .replace('"bad":1', '"image":"small","image":"large"')
      .replace(',"more":1', '')
      .replace(',"wrong":"x"', '')
    expect((await api.ask(strict, { body: doubled })).message).toContain('duplicate field "spec.image"')
    const warn = await api.ask(`${crontabsUrl}?fieldValidation=Warn`, { body: text })
    expect(warn.code).toBe(201)
    expect(warn.warnings).toEqual([
      'unknown field "metadata.wrong"',
      'unknown field "more"',
      'unknown field "spec.bad"',
    ])
    const ignore = await api.ask(`${crontabsUrl}?fieldValidation=Ignore&dryRun=All`, {
      body: text.replaceAll('strict', 'other'),
    })
    expect(ignore).toMatchObject({ code: 201, warnings: [] })
    const patched = await api.ask(`${crontabsUrl}/strict?fieldValidation=Strict`, {
      method: 'PATCH',
      body: { spec: { bad: 1 } },
    })
    expect(patched.code).toBe(422)
    expect(patched.message).toContain('strict decoding error: unknown field "spec.bad"')
  })

  test('the definition of a definition is strict too', async () => {
    const strict = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldValidation=Strict'
    const one = definition('stricts', 'Strict', [{ schema: { ...crontabSchema, propertys: {} } }])
    expect((await api.ask(strict, { body: one })).message).toContain(
      'unknown field "spec.versions[0].schema.openAPIV3Schema.propertys"',
    )
  })

  test('whoever applies /scale owns the field that the definition names', async () => {
    const sized = { type: 'object', properties: { wanted: { type: 'integer' } } }
    const schema = {
      type: 'object',
      properties: {
        spec: { type: 'object', properties: { size: sized } },
        status: { type: 'object', properties: { count: { type: 'integer' } } },
      },
    }
    const scale = { specReplicasPath: '.spec.size.wanted', statusReplicasPath: '.status.count' }
    await api.define(definition('herds', 'Herd', [{ schema, subresources: { status: {}, scale } }]))
    const herd = '/apis/stable.example.com/v1/namespaces/default/herds/cows'
    const applied = (url: string, manager: string, body: object, force = false) => {
      const { query, ...ask } = apply(body, manager, force)
      return api.ask(`${url}${query}`, ask)
    }
    const own = { apiVersion: 'stable.example.com/v1', kind: 'Herd', metadata: { name: 'cows' } }
    expect((await applied(herd, 'ann', { ...own, spec: { size: { wanted: 1 } } })).code).toBe(201)
    const scaled = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'cows' }, spec: { replicas: 3 } }
    expect((await applied(`${herd}/scale`, 'hpa', scaled)).code).toBe(409)
    expect((await applied(`${herd}/scale`, 'hpa', scaled, true)).body.spec).toEqual({ replicas: 3 })
    const { body } = await api.ask(herd)
    expect(body.spec).toEqual({ size: { wanted: 3 } })
    type Entry = { readonly manager: string; readonly subresource?: string; readonly fieldsV1: object }
    const fields = (manager: string) =>
      body.metadata.managedFields.find((entry: Entry) => entry.manager === manager)?.fieldsV1
    expect(fields('hpa')).toEqual({ 'f:spec': { 'f:size': { 'f:wanted': {} } } })
    expect(fields('ann')).toBeUndefined()
  })
})
