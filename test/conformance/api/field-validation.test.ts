// ?fieldValidation=: what is done with fields that nobody knows, and with those that are named twice.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
import { describe, expect, test } from 'vitest'
import { ask, oneApi, patch, post, put } from './wire.ts'

const deployments = '/apis/apps/v1/namespaces/default/deployments'

const template = '{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"a"}]}}'
/** A Deployment with an unknown field, and one that stands twice. */
const wrong = (name: string) =>
  `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"${name}"},"spec":{"unknown1":"a","unknownDupe":"a","unknownDupe":"b","paused":true,"paused":false,"selector":{"matchLabels":{"app":"x"}},"template":${template}}}`
const right = (name: string) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: { selector: { matchLabels: { app: 'x' } }, template: JSON.parse(template) },
})
const yaml = (name: string) => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
spec:
  unknown1: a
  paused: true
  paused: false
  selector: { matchLabels: { app: x } }
  template: ${template}
`
const problems = ['unknown field "spec.unknown1"', 'unknown field "spec.unknownDupe"', 'duplicate field "spec.paused"']

describe('field-validation of a kind that is built in', () => {
  const one = oneApi()

  test('POST, Strict: refused (400) with all that is wrong', async () => {
    const { code, body } = await post(one.api, `${deployments}?fieldValidation=Strict`, wrong('strict'))
    expect([code, body.reason]).toEqual([400, 'BadRequest'])
    expect(body.message).toMatch(
      /^Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: /,
    )
    for (const problem of problems) expect(body.message).toContain(problem)
  })

  test('POST, Warn and nothing said: done, with a warning for each', async () => {
    for (const [name, query] of [
      ['warned', '?fieldValidation=Warn'],
      ['default', ''],
    ] as const) {
      const { code, headers, body } = await post(one.api, `${deployments}${query}`, wrong(name))
      expect(code).toBe(201)
      for (const problem of problems) expect(headers['warning']).toContain(`299 - "${problem.replaceAll('"', '\\"')}"`)
      // The last one counts, and what nobody knows is not kept.
      expect(body['spec']).not.toHaveProperty('unknown1')
      expect((body['spec'] as { paused?: boolean }).paused ?? false).toBe(false)
    }
  })

  test('POST, Ignore: done, without a word', async () => {
    const { code, headers } = await post(one.api, `${deployments}?fieldValidation=Ignore`, wrong('ignored'))
    expect([code, headers['warning']]).toEqual([201, undefined])
  })

  test('PUT and each kind of patch say the same', async () => {
    const { body } = await post(one.api, deployments, right('written'))
    const at = `${deployments}/written`
    const text = wrong('written').replace(
      '"metadata":{',
      `"metadata":{"resourceVersion":"${body.metadata.resourceVersion}",`,
    )
    const twice = '{"spec":{"unknown1":"a","paused":true,"paused":false}}'
    const asJson =
      '[{"op":"add","path":"/spec/unknown1","value":"a"},{"op":"add","path":"/spec/paused","value":true,"value":false}]'
    const refused = [
      await put(one.api, `${at}?fieldValidation=Strict`, text),
      await patch(one.api, `${at}?fieldValidation=Strict`, 'merge', twice),
      await patch(one.api, `${at}?fieldValidation=Strict`, 'strategic', twice),
      await patch(one.api, `${at}?fieldValidation=Strict`, 'json', asJson),
    ]
    expect(refused.map(({ code }) => code)).toEqual([400, 422, 422, 422])
    for (const { body: status } of refused) {
      expect(status.message).toContain('strict decoding error')
      expect(status.message).toContain('unknown field "spec.unknown1"')
    }
    for (const i of [0, 1, 2]) expect(refused[i]?.body.message).toContain('duplicate field "spec.paused"')
    const warned = [
      await patch(one.api, at, 'merge', twice),
      await patch(one.api, at, 'strategic', twice),
      await patch(one.api, at, 'json', asJson),
      await put(one.api, at, wrong('written')),
    ]
    for (const { code, headers } of warned) {
      expect(code).toBe(200)
      expect(headers['warning']).toContain('unknown field \\"spec.unknown1\\"')
    }
    for (const type of ['merge', 'strategic', 'json'] as const) {
      const silent = await patch(one.api, `${at}?fieldValidation=Ignore`, type, type === 'json' ? asJson : twice)
      expect([silent.code, silent.headers['warning']]).toEqual([200, undefined])
    }
  })

  test('YAML is looked at in the same way', async () => {
    const more = { type: 'application/yaml' }
    const strict = await post(one.api, `${deployments}?fieldValidation=Strict`, yaml('yaml'), more)
    expect(strict.code).toBe(400)
    expect(strict.body.message).toMatch(
      /: strict decoding error: yaml: unmarshal errors:\n {2}line 8: key "paused" already set in map, unknown field "spec.unknown1"$/,
    )
    const warned = await post(one.api, deployments, yaml('yaml'), more)
    expect(warned.code).toBe(201)
    expect(warned.headers['warning']).toBe(
      '299 - "line 8: key \\"paused\\" already set in map", 299 - "unknown field \\"spec.unknown1\\""',
    )
  })

  test('what is applied has to be known whatever is said; a field that stands twice is told by its line', async () => {
    const applied = (name: string, text: string, mode = '') =>
      patch(one.api, `${deployments}/${name}?fieldManager=a${mode}`, 'apply', text)
    for (const mode of ['', '&fieldValidation=Strict', '&fieldValidation=Ignore']) {
      const { code, body } = await applied('unknown', wrong('unknown'), mode)
      expect([code, body.reason, body.message]).toEqual([
        500,
        undefined,
        'failed to create typed patch object (/unknown; apps/v1, Kind=Deployment): .spec.unknown1: field not declared in schema',
      ])
    }
    const twice = JSON.stringify(right('twice'), undefined, 1).replace(
      '"spec": {',
      '"spec": {\n"paused":true,\n"paused":false,',
    )
    const lines = 'yaml: unmarshal errors:\n  line 9: key "paused" already set in map'
    const strict = await applied('twice', twice, '&fieldValidation=Strict')
    expect([strict.code, strict.body.message]).toEqual([
      400,
      `error strict decoding YAML: error converting YAML to JSON: ${lines}`,
    ])
    const warned = await applied('twice', twice)
    expect(warned.code).toBe(201)
    expect(warned.headers['warning']).toBe('299 - "line 9: key \\"paused\\" already set in map"')
  })

  test('what is applied is of the types of its schema', async () => {
    const mistyped = (spec: object, metadata: object = {}) => {
      const { metadata: own, ...rest } = right('mistyped')
      const body = { ...rest, metadata: { ...own, namespace: 'default', ...metadata }, spec: { ...rest.spec, ...spec } }
      return patch(one.api, `${deployments}/mistyped?fieldManager=a`, 'apply', body)
    }
    const told = async (...given: Parameters<typeof mistyped>) => {
      const { code, body } = await mistyped(...given)
      const [, why] =
        /^failed to create typed patch object \(default\/mistyped; apps\/v1, Kind=Deployment\): (.*)$/s.exec(
          body.message ?? '',
        ) ?? [undefined, body.message]
      return [code, why]
    }
    expect(await told({ replicas: 'x' })).toEqual([500, '.spec.replicas: expected numeric (int or float), got string'])
    expect(await told({ paused: 'x' })).toEqual([500, '.spec.paused: expected boolean, got &{x}'])
    expect(await told({ strategy: { type: 1 } })).toEqual([
      500,
      '.spec.strategy.type: expected string, got &value.valueUnstructured{Value:1}',
    ])
    expect(await told({}, { annotations: { a: 1, b: { c: [true, 'x'] } } })).toEqual([
      500,
      [
        'errors:',
        '.metadata.annotations.a: expected string, got &value.valueUnstructured{Value:1}',
        '.metadata.annotations.b: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"c":[]interface {}{true, "x"}}}',
      ].join('\n  '),
    ])
    expect(await told({ template: [{ a: 1 }] })).toEqual([500, '.spec.template: expected map, got &{[map[a:1]]}'])
    expect(await told({}, { finalizers: { a: 1 } })).toEqual([
      500,
      '.metadata.finalizers: expected list, got &{map[a:1]}',
    ])
    expect((await mistyped({ replicas: null, strategy: null })).code).toBe(201)
  })

  test('what is applied says what it is', async () => {
    const applied = (body: object) => patch(one.api, `${deployments}/nameless?fieldManager=a`, 'apply', body)
    const { apiVersion: _, ...versionless } = right('nameless')
    const refused = await applied(versionless)
    expect([refused.code, refused.body.message]).toEqual([
      400,
      'Incorrect version specified in apply patch. Specified patch version: , expected: apps/v1',
    ])
    const { kind: __, ...kindless } = right('nameless')
    expect((await applied(kindless)).body.message).toContain('no corresponding type for apps/v1, Kind=')
    expect((await applied({ ...right('nameless'), apiVersion: 'apps/v2' })).code).toBe(400)
  })

  test('metadata is looked at too, also that of what lies inside', async () => {
    const outer = { ...right('outer'), metadata: { name: 'outer', unknownMeta: 'x' } }
    const strict = await post(one.api, `${deployments}?fieldValidation=Strict`, outer)
    expect([strict.code, strict.body.message]).toEqual([
      400,
      expect.stringContaining('unknown field "metadata.unknownMeta"'),
    ])
    const inner = right('inner')
    inner.spec.template.metadata.unknownSub = 'x'
    const nested = await post(one.api, `${deployments}?fieldValidation=Strict`, inner)
    expect(nested.body.message).toContain('unknown field "spec.template.metadata.unknownSub"')
  })

  test('free data is nobody’s business', async () => {
    const body = '{"metadata":{"name":"free"},"data":{"unknown":"x"}}'
    expect((await post(one.api, '/api/v1/namespaces/default/configmaps?fieldValidation=Strict', body)).code).toBe(201)
    const twice = '{"metadata":{"name":"twice"},"data":{"a":"x","a":"y"}}'
    const { code, body: status } = await post(
      one.api,
      '/api/v1/namespaces/default/configmaps?fieldValidation=Strict',
      twice,
    )
    expect([code, status.message]).toEqual([400, expect.stringContaining('duplicate field "data.a"')])
  })

  test('any other word is Invalid (422)', async () => {
    const { code, body } = await post(one.api, `${deployments}?fieldValidation=Maybe`, right('maybe'))
    expect([code, body.message]).toEqual([
      422,
      'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
    ])
    expect((await ask(one.api, `${deployments}/maybe`)).code).toBe(404)
  })
})
