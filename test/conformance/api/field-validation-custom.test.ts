// ?fieldValidation= for custom objects, mostly by server-side apply, and what built-in ones are told word by word.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { customApi, definition } from '../../apiserver/definitions.ts'

let api: Awaited<ReturnType<typeof customApi>>

const ports = {
  type: 'array',
  'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
  'x-kubernetes-list-type': 'map',
  items: {
    type: 'object',
    required: ['containerPort', 'protocol'],
    properties: {
      containerPort: { format: 'int32', type: 'integer' },
      hostPort: { format: 'int32', type: 'integer' },
      name: { type: 'string' },
      protocol: { type: 'string' },
    },
  },
}
const cronSpec = { type: 'string', pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$' }
const template = {
  type: 'object',
  'x-kubernetes-embedded-resource': true,
  properties: {
    metadata: { type: 'object', properties: { name: { type: 'string' } } },
    spec: { type: 'object' },
  },
}
const schemaOf = (more: object = {}, properties: object = {}) => ({
  type: 'object',
  properties: {
    spec: { type: 'object', ...more, properties: { foo: { type: 'string' }, cronSpec, ports, ...properties } },
  },
})
const preserving = { 'x-kubernetes-preserve-unknown-fields': true }

beforeAll(async () => {
  api = await customApi()
  const cluster = { scope: 'Cluster' }
  await api.define(definition('stricts', 'Strict', [{ schema: schemaOf() }], cluster))
  await api.define(definition('frees', 'Free', [{}], cluster))
  await api.define(definition('keepers', 'Keeper', [{ schema: schemaOf(preserving, { template }) }], cluster))
})
afterAll(() => api.stop())

const root = '/apis/stable.example.com/v1'
/** The text begins with an empty line, as clients in Go like to write it. */
const yamlOf = (kind: string, { meta = '', top = '', spec = '' }) => `
apiVersion: stable.example.com/v1
kind: ${kind}
metadata:
  name: mytest
${meta}  finalizers:
  - test-finalizer
${top}spec:
${spec}  cronSpec: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP`

const apply = (plural: string, body: string, mode = 'Strict') =>
  api.ask(`${root}/${plural}/mytest?fieldManager=field_validation_mgr&fieldValidation=${mode}&dryRun=All`, {
    method: 'PATCH',
    type: 'application/apply-patch+yaml',
    body,
  })

const finalizerWarning = (name: string) =>
  `metadata.finalizers: "${name}": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`

describe('field-validation', () => {
  test('a custom object that its schema knows is applied, and any where there is no schema', async () => {
    expect(await apply('stricts', yamlOf('Strict', { spec: '  foo: foo1\n' }))).toMatchObject({
      code: 201,
      message: '',
    })
    expect(await apply('frees', yamlOf('Free', { spec: '  unknown: uk1\n' }))).toMatchObject({ code: 201, message: '' })
  })

  test('what a schema does not declare is never applied: nobody could own it', async () => {
    const body = yamlOf('Strict', { top: 'unknownField: unknown\n', spec: '  foo: foo1\n' })
    for (const mode of ['Strict', 'Warn', 'Ignore']) {
      const refused = await apply('stricts', body, mode)
      expect(refused.body).toEqual({
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message:
          'failed to create typed patch object (/mytest; stable.example.com/v1, Kind=Strict): .unknownField: field not declared in schema',
        code: 500,
      })
    }
    const nested = yamlOf('Strict', { spec: '  foo: foo1\n' }).concat(
      '\n    more: 1\n  - containerPort: 80\n    protocol: TCP',
    )
    expect((await apply('stricts', nested)).message).toBe(
      [
        'failed to create typed patch object (/mytest; stable.example.com/v1, Kind=Strict): errors:',
        '.spec.ports[containerPort=80,protocol="TCP"].more: field not declared in schema',
        '.spec.ports: duplicate entries for key [containerPort=80,protocol="TCP"]',
      ].join('\n  '),
    )
  })

  test('nor what metadata does not have, whatever else is kept', async () => {
    const inner = [
      '  template:',
      '    apiversion: foo/v1',
      '    kind: Sub',
      '    metadata:',
      '        unknownSubMeta: unknown',
      '        name: subobject',
      '        namespace: default\n',
    ].join('\n')
    const refused = await apply('keepers', yamlOf('Keeper', { meta: '  unknownMeta: unknown\n', spec: inner }))
    expect(refused.code).toBe(500)
    expect(refused.message).toContain('.metadata.unknownMeta: field not declared in schema')
  })

  test('a field that stands twice is told by its line, also where unknown fields are kept', async () => {
    const body = yamlOf('Keeper', { spec: '  unknown: uk1\n  foo: foo1\n  foo: foo2\n' })
    expect(await apply('keepers', body)).toMatchObject({
      code: 400,
      message:
        'error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 11: key "foo" already set in map',
    })
    expect(await apply('keepers', body, 'Warn')).toMatchObject({
      code: 201,
      warnings: ['line 11: key "foo" already set in map', finalizerWarning('test-finalizer')],
    })
    expect(await apply('keepers', body, 'Ignore')).toMatchObject({
      code: 201,
      warnings: [finalizerWarning('test-finalizer')],
    })
  })

  test('JSON that is applied is YAML: its lines count', async () => {
    const body = `{
      "apiVersion": "stable.example.com/v1", "kind": "Strict", "metadata": {"name": "mytest"},
      "spec": {
        "foo": "1",
        "ports": [{"containerPort": 80, "protocol": "TCP",
          "name": "a", "name": "b"}],
        "foo":
          "2"
      }
    }`
    expect((await apply('stricts', body)).message).toBe(
      'error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 6: key "name" already set in map\n  line 8: key "foo" already set in map',
    )
  })

  test('a custom object that is posted in YAML: its lines, then its unknown fields', async () => {
    const body = yamlOf('Strict', { meta: '  unknownMeta: x\n', spec: '  zzz: 1\n  foo: a\n  foo: b\n  aaa: 1\n' })
    const posted = (mode: string) =>
      api.ask(`${root}/stricts?dryRun=All&fieldValidation=${mode}`, { type: 'application/yaml', body })
    const told = ['unknown field "metadata.unknownMeta"', 'unknown field "spec.aaa"', 'unknown field "spec.zzz"']
    expect((await posted('Strict')).message).toBe(
      `Strict in version "v1" cannot be handled as a Strict: strict decoding error: yaml: unmarshal errors:\n  line 12: key "foo" already set in map, ${told.join(', ')}`,
    )
    expect((await posted('Warn')).warnings).toEqual([
      'line 12: key "foo" already set in map',
      ...told,
      finalizerWarning('test-finalizer'),
    ])
  })

  test('unknown fields of a custom object, those of metadata inside last', async () => {
    const inner = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', namespace: 'n', unknownSub: 'x' } }
    const body = `{"apiVersion":"stable.example.com/v1","kind":"Keeper","metadata":{"name":"a","name":"kept","unknownMeta":1},
      "spec":{"unknown":1,"unknown":2,"template":${JSON.stringify(inner)},
        "ports":[{"containerPort":1,"protocol":"TCP","hostPort":1,"hostPort":2,"unknownNested":1}]}}`
    const posted = await api.ask(`${root}/keepers`, { body })
    expect(posted.warnings).toEqual([
      'duplicate field "metadata.name"',
      'duplicate field "spec.unknown"',
      'duplicate field "spec.ports[0].hostPort"',
      'unknown field "metadata.unknownMeta"',
      'unknown field "spec.ports[0].unknownNested"',
      'unknown field "spec.template.metadata.unknownSub"',
    ])
    expect(posted.body.spec.template.metadata).toEqual({ name: 'm', namespace: 'n' })
  })

  test('a patch tells its own doubled fields, then those that nobody knows', async () => {
    const merge = `{"spec":{"zzz":1,"zzz":2,"foo":"a","foo":"b","aaa":1}}`
    await api.ask(`${root}/stricts`, {
      body: { apiVersion: 'stable.example.com/v1', kind: 'Strict', metadata: { name: 'p' }, spec: {} },
    })
    const refused = await api.ask(`${root}/stricts/p?fieldValidation=Strict`, { method: 'PATCH', body: merge })
    expect(refused.code).toBe(422)
    expect(refused.message).toMatch(
      /: strict decoding error: duplicate field "spec.zzz", duplicate field "spec.foo", unknown field "spec.aaa", unknown field "spec.zzz"$/,
    )
    const json = `[{"op":"add","path":"/spec/foo","value":"a","bar":1},{"op":"add","path":"/spec/x","path":"/spec/y","value":{"a":1,"a":2}}]`
    const warned = await api.ask(`${root}/stricts/p`, {
      method: 'PATCH',
      type: 'application/json-patch+json',
      body: json,
    })
    expect(warned).toMatchObject({
      code: 200,
      warnings: [
        'json patch unknown field "[0].bar"',
        'json patch duplicate field "[1].path"',
        'unknown field "spec.y"',
      ],
    })
  })

  test('a finalizer of nobody in particular is warned of when it comes; of a built-in kind it is refused', async () => {
    const url = `${root}/frees/held?fieldManager=one`
    const applied = (...finalizers: readonly string[]) =>
      api.ask(url, {
        method: 'PATCH',
        type: 'application/apply-patch+yaml',
        body: { apiVersion: 'stable.example.com/v1', kind: 'Free', metadata: { name: 'held', finalizers } },
      })
    expect((await applied('invalid-finalizer')).warnings).toEqual([finalizerWarning('invalid-finalizer')])
    expect((await applied('invalid-finalizer', 'kubernetes.io/valid')).warnings).toEqual([])
    expect((await applied('another-invalid')).warnings).toEqual([finalizerWarning('another-invalid')])
    const map = (...finalizers: readonly string[]) =>
      api.ask('/api/v1/namespaces/default/configmaps?dryRun=All', {
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', finalizers } },
      })
    expect(await map('invalid-finalizer')).toMatchObject({
      code: 422,
      message:
        'ConfigMap "m" is invalid: metadata.finalizers[0]: Invalid value: "invalid-finalizer": name is neither a standard finalizer name nor is it fully qualified',
    })
    expect((await map('orphan', 'foregroundDeletion')).message).toContain('cannot be both set')
    expect((await map('example.com/valid', 'orphan')).code).toBe(201)
  })
})
