// Definitions of several groups, versions and kinds as OpenAPI v2 publishes them, to the letter; and one after the other
// what kubectl makes of those with a schema, without, and with fields that are kept unknown.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { controlled, define, definition, definitionUrl } from '../../apiserver/definitions.ts'
import { installed, Kubectl } from '../../apiserver/kubectl.ts'
import { servedApiserver } from '../../apiserver/served.ts'

let api: Awaited<ReturnType<typeof servedApiserver>>
let ask: Asking
beforeAll(async () => {
  api = controlled(await servedApiserver())
  ask = asking(api)
})
afterAll(() => api.close())

const text = (description: string, more: object = {}) => ({ type: 'string', description, ...more })
const statusBars = (properties?: object) => ({
  description: 'List of Bars and their statuses.',
  type: 'array',
  items: { type: 'object', ...(properties && { properties }) },
})
const foo = {
  description: 'Foo CRD for Testing',
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      description: 'Specification of Foo',
      properties: {
        bars: {
          description: 'List of Bars and their specs.',
          type: 'array',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: text('Name of Bar.'),
              age: text('Age of Bar.'),
              feeling: text('Whether Bar is feeling great.', { enum: ['Great', 'Down'] }),
              bazs: { description: 'List of Bazs.', items: { type: 'string' }, type: 'array' },
            },
          },
        },
      },
    },
    status: {
      description: 'Status of Foo',
      type: 'object',
      properties: {
        bars: statusBars({
          name: text('Name of Bar.'),
          available: { description: 'Whether the Bar is installed.', type: 'boolean' },
          quxType: text('Indicates to external qux type.', { pattern: 'in-tree|out-of-tree' }),
        }),
      },
    },
  },
}
const waldo = (description: string, root: object = {}, spec: object = {}) => ({
  description,
  type: 'object',
  ...root,
  properties: {
    spec: {
      description: 'Specification of Waldo',
      type: 'object',
      ...spec,
      properties: { dummy: { description: 'Dummy property.', type: 'object' } },
    },
    status: { description: 'Status of Waldo', type: 'object', properties: { bars: statusBars() } },
  },
})
const plainWaldo = waldo('Waldo CRD for Testing')
const preserving = { 'x-kubernetes-preserve-unknown-fields': true }

/** A definition in a group of its own; the first version is stored. */
async function published(group: string, plural: string, versions: readonly string[], schema?: object) {
  const kind = `E2e-test-${plural}-crd`
  const own = versions.map(name => ({ name, ...(schema && { schema }) }))
  const given = definition(plural, kind, own, { group }, { singular: `${plural}-one` })
  return await define(ask, { ...given, metadata: { name: `${plural}.${group}` } })
}

/** What OpenAPI v2 says of a kind, without what the server adds to each. */
async function shown(group: string, version: string, plural: string) {
  const { definitions } = (await ask('/openapi/v2', { accept: 'application/json' })).body
  const reversed = group.split('.').toReversed().join('.')
  const found = definitions[`${reversed}.${version}.E2e-test-${plural}-crd`]
  if (found === undefined) return undefined
  const { 'x-kubernetes-group-version-kind': _, ...rest } = found
  if (rest.properties === undefined) return rest
  const { metadata: __, apiVersion: ___, kind: ____, ...properties } = rest.properties
  return { ...rest, properties }
}
const becomes = (wanted: unknown, ...of: Parameters<typeof shown>) =>
  expect.poll(() => shown(...of), { timeout: 20_000 }).toEqual(wanted)

describe('crd-openapi', () => {
  test('two definitions of different groups', async () => {
    await published('foo.example.com', 'foos', ['v1'], foo)
    await published('waldo.example.com', 'waldos', ['v1beta1'], plainWaldo)
    await becomes(foo, 'foo.example.com', 'v1', 'foos')
    await becomes(plainWaldo, 'waldo.example.com', 'v1beta1', 'waldos')
    await ask(definitionUrl('foos.foo.example.com'), { method: 'DELETE' })
    await becomes(undefined, 'foo.example.com', 'v1', 'foos')
    await becomes(plainWaldo, 'waldo.example.com', 'v1beta1', 'waldos')
  })

  test('one of two versions, and two of one group, with versions of their own or the same', async () => {
    const group = 'common-group.example.com'
    await published(group, 'multis', ['v2', 'v3'], foo)
    await published(group, 'foos', ['v4'], foo)
    await published(group, 'waldos', ['v5'], plainWaldo)
    await published(group, 'bars', ['v6'], foo)
    await published(group, 'quxes', ['v6'], plainWaldo)
    await becomes(foo, group, 'v2', 'multis')
    await becomes(foo, group, 'v3', 'multis')
    await becomes(foo, group, 'v4', 'foos')
    await becomes(plainWaldo, group, 'v5', 'waldos')
    await becomes(foo, group, 'v6', 'bars')
    await becomes(plainWaldo, group, 'v6', 'quxes')
  })

  test('a version that is renamed', async () => {
    const group = 'renamed.example.com'
    await published(group, 'multis', ['v2', 'v3'], foo)
    await becomes(foo, group, 'v3', 'multis')
    const patch = [
      { op: 'test', path: '/spec/versions/1/name', value: 'v3' },
      { op: 'replace', path: '/spec/versions/1/name', value: 'v4' },
    ]
    const url = definitionUrl(`multis.${group}`)
    const { code } = await ask(url, { method: 'PATCH', type: 'application/json-patch+json', body: patch })
    expect(code).toBe(200)
    await becomes(foo, group, 'v4', 'multis')
    await becomes(undefined, group, 'v3', 'multis')
    await becomes(foo, group, 'v2', 'multis')
  })

  test('a version that is no longer served', async () => {
    const group = 'served.example.com'
    await published(group, 'multis', ['v5', 'v6alpha1'], foo)
    await becomes(foo, group, 'v6alpha1', 'multis')
    const url = definitionUrl(`multis.${group}`)
    await expect
      .poll(async () => {
        const { body } = await ask(url)
        body.spec.versions[1].served = false
        return (await ask(url, { method: 'PUT', body })).code
      })
      .toBe(200)
    await becomes(undefined, group, 'v6alpha1', 'multis')
    await becomes(foo, group, 'v5', 'multis')
  })

  test('one that keeps all unknown fields at its root has no properties: clients would forbid all others', async () => {
    await published('empty.example.com', 'empties', ['v1'])
    await published('root.example.com', 'roots', ['v1'], waldo('at root', preserving))
    await becomes({ type: 'object' }, 'empty.example.com', 'v1', 'empties')
    await becomes({ type: 'object' }, 'root.example.com', 'v1', 'roots')
  })
})

describe.each(installed(['1.33']))('crd-openapi with kubectl %s, one after the other', version => {
  let kubectl: Kubectl
  beforeAll(() => {
    kubectl = new Kubectl(version, api.kubeconfig, `${api.folder}/scenes-${version}`)
  })
  const given = (plural: string, more: object) =>
    JSON.stringify({
      kind: `E2e-test-${plural}-crd`,
      apiVersion: `${plural}.example.com/v1`,
      metadata: { name: 'test-cr' },
      ...more,
    })
  async function madeBothWays(plural: string, body: string): Promise<void> {
    for (const verb of ['create', 'apply']) {
      expect(await kubectl.ok(`${verb} -f -`, body)).toContain('created')
      expect(await kubectl.ok(`delete ${plural} test-cr`)).toContain('deleted')
    }
  }
  const refused = async (verb: string, body: string) => (await kubectl.run(`${verb} -f -`, body)).err

  test('with a schema: what it takes, what it refuses, what it explains', async () => {
    await published('schemas.example.com', 'schemas', ['v1'], foo)
    const bars = (bar: object) => given('schemas', { spec: { bars: [bar] } })
    await madeBothWays('schemas', bars({ name: 'test-bar' }))
    expect(await refused('create', bars({ name: 'test-bar', feeling: 'NonExistentValue' }))).toContain(
      'Unsupported value: "NonExistentValue"',
    )
    for (const verb of ['create', 'apply']) {
      expect(await refused(verb, given('schemas', { spec: { foo: true } }))).toContain('unknown field "spec.foo"')
      expect(await refused(verb, bars({ age: '10' }))).toContain('spec.bars[0].name: Required value')
    }
    expect(await kubectl.ok('explain schemas')).toMatch(
      /DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*APIVersion defines.*spec.*<Object>.*Specification of Foo/s,
    )
    expect(await kubectl.ok('explain schemas.metadata')).toMatch(
      /DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>.*CreationTimestamp is a timestamp/s,
    )
    expect(await kubectl.ok('explain schemas.spec')).toMatch(
      /DESCRIPTION:.*Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs/s,
    )
    expect(await kubectl.ok('explain schemas.spec.bars')).toMatch(
      /(FIELD|RESOURCE):.*bars.*<\[\]Object>.*DESCRIPTION:.*List of Bars and their specs.*FIELDS:.*bazs.*<\[\]string>.*List of Bazs.*name.*<string>.*Name of Bar/s,
    )
    expect((await kubectl.run('explain schemas.spec.bars2')).err).toContain('field "bars2" does not exist')
  })

  test('without a schema, and where unknown fields are kept at the root or inside', async () => {
    await published('blanks.example.com', 'blanks', ['v1'])
    await published(
      'tops.example.com',
      'tops',
      ['v1'],
      waldo('preserve-unknown-properties at root for Testing', preserving),
    )
    const inner = waldo('preserve-unknown-properties in nested field for Testing', {}, preserving)
    await published('nests.example.com', 'nests', ['v1'], inner)
    await madeBothWays('blanks', given('blanks', { a: { b: [{ c: 'd' }] } }))
    await madeBothWays('tops', given('tops', { a: { b: [{ c: 'd' }] } }))
    await madeBothWays('nests', given('nests', { spec: { a: null, b: [{ c: 'd' }] } }))
    expect(await kubectl.ok('explain blanks')).toMatch(/DESCRIPTION:.*<empty>/s)
    expect(await kubectl.ok('explain tops')).toMatch(/KIND:.*E2e-test-tops-crd/s)
    expect(await kubectl.ok('explain nests')).toMatch(/DESCRIPTION:.*preserve-unknown-properties in nested field/s)
  })
})
