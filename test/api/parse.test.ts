import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { deployment } from '../../src/api/kinds/deployment.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { type FieldValidation, parseObject, readJson, readYaml } from '../../src/api/parse.ts'
import { readJsonText } from '../../src/api/reader.ts'
import { rounded } from '../../src/lib/json.ts'
import { hasBackslashInKey } from '../../src/lib/json-byhand.ts'

const read = (text: string, mode: FieldValidation = 'Strict') => {
  const { value, duplicates } = readJson(text, mode)
  return parseObject(deployment, value, mode, duplicates)
}
const head = 'Deployment in version "v1" cannot be handled as a Deployment: '

describe('field validation', () => {
  const text = `{"metadata":{"name":"x"},"spec":{"replicas":1,"unknown1":1,"paused":true,"replicas":2,"unknown1":3,
    "template":{"metadata":{"labels":{"a":"b","a":"c"},"foo":1},"spec":{"containers":[{"name":"a","name":"b"}]}}}}`
  const problems = [
    'unknown field "spec.unknown1"',
    'duplicate field "spec.replicas"',
    'duplicate field "spec.template.metadata.labels.a"',
    'unknown field "spec.template.metadata.foo"',
    'duplicate field "spec.template.spec.containers[0].name"',
  ]
  test('Strict refuses unknown and doubled fields, in the order in which they stand', () => {
    expect(() => read(text)).toThrow(`${head}strict decoding error: ${problems.join(', ')}`)
  })
  test('Warn prunes them and says so; the later value wins', () => {
    const { object, warnings } = read(text, 'Warn')
    expect(warnings).toEqual(problems)
    expect(object.spec).toEqual({
      replicas: 2,
      paused: true,
      template: { metadata: { labels: { a: 'c' } }, spec: { containers: [{ name: 'b' }] } },
    })
  })
  test('Ignore prunes them in silence', () => {
    expect(read(text, 'Ignore')).toMatchObject({ warnings: [], object: { spec: { replicas: 2 } } })
  })
  test('YAML is read with the same eyes', () => {
    const { value, duplicates } = readYaml('spec:\n  replicas: 1\n  paused: yes\n  replicas: 2\n', 'Strict')
    expect(value).toEqual({ spec: { replicas: 2, paused: true } })
    expect(() => parseObject(deployment, value, 'Strict', duplicates)).toThrow(
      'strict decoding error: yaml: unmarshal errors:\n  line 4: key "replicas" already set in map',
    )
  })
})

describe('a value of a wrong type is refused in the words of Go', () => {
  test.each([
    [
      '{"spec":{"replicas":"1"}}',
      'cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      '{"spec":{"replicas":1.5}}',
      'cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      '{"spec":{"replicas":3000000000}}',
      'cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    ['{"spec":[]}', 'cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec'],
    [
      '{"metadata":{"labels":{"a":1}}}',
      'cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      '{"spec":{"template":{"spec":{"containers":{}}}}}',
      'cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
  ])('%s', (text, message) => expect(() => read(text)).toThrow(`${head}json: ${message}`))

  test.each(['{"spec":', '', '{"a":1}x', '{"a":01}', '[1,]'])('%s is a BadRequest', text =>
    expect(() => read(text)).toThrow(expect.objectContaining({ reason: 'BadRequest' })),
  )
  test('quantities, times and base64 are checked', () => {
    const container = (limit: unknown) => ({
      spec: { containers: [{ name: 'a', resources: { limits: { cpu: limit } } }] },
    })
    expect(() => parseObject(pod, container('1x') as never, 'Strict')).toThrow(
      'quantities must match the regular expression',
    )
    const time = { metadata: { creationTimestamp: 'soon' } }
    expect(() => parseObject(pod, time, 'Strict')).toThrow('parsing time "soon"')
    expect(() => parseObject(configMap, { binaryData: { a: 'x!' } }, 'Strict')).toThrow(
      'illegal base64 data at input byte 1',
    )
  })
})

describe('what is stored is canonical', () => {
  test('quantities, times, and numbers as quantities', () => {
    const { object } = parseObject(
      pod,
      {
        metadata: { creationTimestamp: '2026-01-02T05:04:05.5+02:00' },
        spec: { containers: [{ name: 'a', resources: { limits: { cpu: 1.5, memory: '1024Mi' } } }] },
      },
      'Strict',
    )
    expect(object.metadata.creationTimestamp).toBe('2026-01-02T03:04:05Z')
    expect(object.spec.containers[0]?.resources.limits).toEqual({ cpu: '1500m', memory: '1Gi' })
  })
  test('null is absence, and so is zero where Go cannot tell', () => {
    const { object } = parseObject(
      deployment,
      {
        spec: {
          replicas: 0,
          paused: false,
          minReadySeconds: 0,
          selector: null,
          template: { spec: { nodeSelector: {} } },
        },
      },
      'Strict',
    )
    expect(object.spec).toEqual({ replicas: 0, template: { spec: {} } })
  })
  test('keys that objects inherit are plain data', () => {
    const { value } = readJson('{"data":{"__proto__":"a","constructor":"b"}}', 'Strict')
    const { object } = parseObject(configMap, value, 'Strict')
    expect(JSON.stringify(object.data)).toBe('{"__proto__":"a","constructor":"b"}')
  })
})

test('another kind or version is refused, and neither is filled in', () => {
  expect(parseObject(deployment, {}, 'Strict').object).toMatchObject({ apiVersion: 'apps/v1', kind: 'Deployment' })
  expect(() => parseObject(deployment, { apiVersion: 'v1', kind: 'Deployment' }, 'Strict')).toThrow(
    'the API version in the data (v1) does not match the expected API version (apps/v1)',
  )
  expect(() => parseObject(deployment, { apiVersion: 'v1', kind: 'Pod' }, 'Strict')).toThrow(
    'Pod in version "v1" cannot be handled',
  )
  expect(() => parseObject(deployment, [], 'Strict')).toThrow()
})

test('our reader sees what JSON.parse sees, and whole numbers more exactly', () => {
  fc.assert(
    // Of texts with a backslash in a key JSON.parse itself is not to be trusted.
    fc.property(
      fc.json().filter(text => !hasBackslashInKey(text)),
      fc.constantFrom(undefined, 1),
      (text, indent) => {
        const spread = JSON.stringify(JSON.parse(text), null, indent)
        const { value, duplicates } = readJsonText(spread)
        expect(rounded(value)).toEqual(JSON.parse(text))
        expect(duplicates.size).toBe(0)
      },
    ),
  )
})

test('nesting beyond reason is refused and not a crash', () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)
  expect(() => readJson(deep, 'Strict')).toThrow('exceeded max depth')
  const data = `{"apiVersion":"apps/v1","kind":"ControllerRevision","revision":1,"data":${deep}}`
  expect(() => readJson(data, 'Strict')).toThrow('exceeded max depth')
})

test('a long text whose keys have backslashes is refused: it would be read slowly', () => {
  const text = (count: number) => `{"\\\\":[${'1,'.repeat(count)}1]}`
  expect(Object.keys(readJson(text(1_000), 'Strict').value as object)).toEqual(['\\'])
  expect(() => readJson(text(300_000), 'Strict')).toThrow('no key with a backslash')
})
