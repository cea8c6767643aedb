// What OpenAPI says of custom kinds, and what kubectl makes of it (kubernetes-api.md A: crd-openapi, aggregated-discovery).
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking } from '../../apiserver/ask.ts'
import {
  controlled,
  crontabSchema,
  crontabs,
  define,
  definition,
  definitionUrl,
  until,
} from '../../apiserver/definitions.ts'
import { installed, Kubectl } from '../../apiserver/kubectl.ts'
import { servedApiserver } from '../../apiserver/served.ts'

let api: Awaited<ReturnType<typeof servedApiserver>>
let ask: Asking
beforeAll(async () => {
  api = controlled(await servedApiserver())
  ask = asking(api)
  await define(ask, crontabs())
  await define(ask, definition('frees', 'Free', [{}]))
  const partly = {
    type: 'object',
    properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  }
  await define(ask, definition('halves', 'Half', [{ schema: partly }]))
})
afterAll(() => api.close())

const v3 = async () => (await ask('/openapi/v3/apis/stable.example.com/v1')).body.components.schemas
const v2 = async () => (await ask('/openapi/v2', { accept: 'application/json' })).body.definitions
const cron = (spec: string, more = '') =>
  `---\n{apiVersion: stable.example.com/v1, kind: CronTab, metadata: {name: mine}, spec: ${spec}${more}}`

describe('crd-openapi', () => {
  test('v3 has the schema as it was given, with what every object has, under the name of its kind', async () => {
    const found = (await v3())['com.example.stable.v1.CronTab']
    expect(found).toMatchObject({
      type: 'object',
      description: crontabSchema.description,
      required: ['spec'],
      'x-kubernetes-group-version-kind': [{ group: 'stable.example.com', version: 'v1', kind: 'CronTab' }],
    })
    expect(found.properties.spec).toEqual(crontabSchema.properties.spec)
    expect(found.properties.apiVersion.type).toBe('string')
    expect(found.properties.metadata.allOf[0].$ref).toContain('ObjectMeta')
    expect((await v3())['com.example.stable.v1.CronTabList']).toMatchObject({ required: ['items'] })
  })

  test('v3 offers no strategic merge patch of custom objects, and field validation', async () => {
    const { body } = await ask('/openapi/v3/apis/stable.example.com/v1')
    const { patch } = body.paths['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}']
    expect(Object.keys(patch.requestBody.content)).toEqual([
      'application/apply-patch+yaml',
      'application/json-patch+json',
      'application/merge-patch+json',
    ])
    expect(patch.parameters.map(({ name }: { name: string }) => name)).toContain('fieldValidation')
  })

  test('v2 leaves out what it cannot say', async () => {
    const all = await v2()
    const found = all['com.example.stable.v1.CronTab']
    expect(found.properties.spec.properties.limit).toEqual({ 'x-kubernetes-int-or-string': true })
    expect(found.properties.metadata.$ref).toContain('ObjectMeta')
    expect(all['com.example.stable.v1.Half'].properties.spec).toEqual({ 'x-kubernetes-preserve-unknown-fields': true })
    expect(all['com.example.stable.v1.Free']).toMatchObject({ type: 'object' })
  })

  test('follows the definition: a version renamed, one no longer served, the schema changed', async () => {
    await define(ask, definition('changes', 'Changing', [{ name: 'v1' }, { name: 'v2', schema: crontabSchema }]))
    const url = definitionUrl('changes.stable.example.com')
    const kindsIn = async (version: string) => {
      const { code, body } = await ask(`/openapi/v3/apis/stable.example.com/${version}`)
      return code === 200 ? Object.keys(body.components.schemas) : []
    }
    await until(
      () => kindsIn('v2'),
      names => names.includes('com.example.stable.v2.Changing'),
    )
    const { body } = await ask(url)
    const [one, two] = body.spec.versions
    await ask(url, { method: 'PATCH', body: { spec: { versions: [one, { ...two, name: 'v3' }] } } })
    await until(
      async () => [await kindsIn('v2'), await kindsIn('v3')],
      ([before, after]) => before?.length === 0 && after?.includes('com.example.stable.v3.Changing') === true,
    )
    await ask(url, { method: 'PATCH', body: { spec: { versions: [one, { ...two, name: 'v3', served: false }] } } })
    await until(
      () => kindsIn('v3'),
      names => names.length === 0,
    )
    const described = { ...one, schema: { openAPIV3Schema: { type: 'object', description: 'changed' } } }
    await ask(url, { method: 'PATCH', body: { spec: { versions: [described, { ...two, name: 'v3' }] } } })
    await until(v3, schemas => schemas['com.example.stable.v1.Changing'].description === 'changed')
  })

  test('aggregated discovery and its ETag follow too', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    const groups = async () => (await ask('/apis', { accept })).body.items
    const found = (await groups()).find(
      ({ metadata }: { metadata: { name: string } }) => metadata.name === 'stable.example.com',
    )
    const v1 = found.versions.find(({ version }: { version: string }) => version === 'v1')
    expect(v1.resources.map(({ resource }: { resource: string }) => resource)).toContain('crontabs')
  })
})

describe.each(installed(['1.27', '1.33']))('crd-openapi with kubectl %s', version => {
  let kubectl: Kubectl
  beforeAll(async () => {
    kubectl = new Kubectl(version, api.kubeconfig, `${api.folder}/crd-${version}`)
  })

  test('creates and applies what the schema takes, and shows it with its columns', async () => {
    expect(await kubectl.ok('create --validate=strict -f -', cron('{cronSpec: "* * * * */5"}'))).toContain('created')
    expect(await kubectl.ok('apply -f -', cron('{cronSpec: "* * * * */5", replicas: 3}'))).toContain('configured')
    expect(await kubectl.ok('apply -f -', cron('{cronSpec: "* * * * */5", replicas: 3}'))).toContain('unchanged')
    expect(await kubectl.ok('get ct mine')).toMatch(/NAME\s+SPEC\s+REPLICAS\s+AGE\nmine\s+\* \* \* \* \*\/5\s+3\s+\d+s/)
    expect(await kubectl.ok('get all')).toContain('crontab.stable.example.com/mine')
    expect(await kubectl.ok('scale ct/mine --replicas=4')).toContain('scaled')
    expect(await kubectl.ok('get ct/mine -o jsonpath={.spec.replicas}')).toBe('4')
    expect(await kubectl.ok('get crd crontabs.stable.example.com')).toMatch(/NAME\s+CREATED AT\ncrontabs/)
    expect(await kubectl.ok('wait --for=condition=Established crd/crontabs.stable.example.com')).toContain(
      'condition met',
    )
    expect(await kubectl.ok('delete ct mine')).toContain('deleted')
  })

  test('applies a definition twice, on either side, and finds nothing to change', async () => {
    const text = JSON.stringify(crontabs())
    await kubectl.ok('apply -f -', text)
    expect(await kubectl.ok('apply -f -', text)).toContain('unchanged')
    expect(await kubectl.ok('diff -f -', text)).toBe('')
    expect(await kubectl.ok('apply --server-side --force-conflicts -f -', text)).toContain('serverside-applied')
    expect(await kubectl.ok('api-resources --api-group=stable.example.com')).toMatch(
      /crontabs\s+ct\s+stable.example.com\/v1\s+true\s+CronTab/,
    )
  })

  test('refuses unknown fields, missing ones and values that are none of the list', async () => {
    const unknown = await kubectl.run('create --validate=strict -f -', cron('{cronSpec: "* * * * */5", bad: 1}'))
    expect(unknown.code).toBe(1)
    expect(unknown.err).toContain('unknown field "spec.bad"')
    const missing = await kubectl.run('apply -f -', cron('{image: small}'))
    expect(missing.err).toMatch(/spec\.cronSpec|missing required field "cronSpec"/)
    const wrong = await kubectl.run('apply -f -', cron('{cronSpec: "* * * * */5", image: huge}'))
    expect(wrong.err).toContain('spec.image: Unsupported value: "huge": supported values: "large", "small"')
  })

  test('takes whatever it is where unknown fields are preserved', async () => {
    const free = '---\n{apiVersion: stable.example.com/v1, kind: Free, metadata: {name: mine}, any: {thing: [1]}}'
    expect(await kubectl.ok('create --validate=strict -f -', free)).toContain('created')
    const half =
      '---\n{apiVersion: stable.example.com/v1, kind: Half, metadata: {name: mine}, spec: {any: {thing: [1]}}}'
    expect(await kubectl.ok('apply --validate=strict -f -', half)).toContain('created')
    expect(await kubectl.ok('apply --server-side -f -', half)).toContain('applied')
    expect(await kubectl.ok('get half mine -o jsonpath={.spec.any.thing[0]}')).toBe('1')
    await kubectl.ok('delete free/mine half/mine')
  })

  test('explains fields at every depth, and says what it does not know', async () => {
    expect(await kubectl.ok('explain crontabs')).toContain('CronTab runs a command at given times.')
    expect(await kubectl.ok('explain crontabs.spec')).toMatch(/cronSpec\s+<string>\s+-required-/)
    expect(await kubectl.ok('explain crontabs.spec.cronSpec')).toContain('When.')
    expect(await kubectl.ok('explain ct.metadata')).toContain('ownerReferences')
    const unknown = await kubectl.run('explain crontabs.spec.nothing')
    expect(unknown.code).toBe(1)
    expect(unknown.err).toContain('field "nothing" does not exist')
  })
})
