// What the server says of itself: its version, its groups and resources in the old form and in the new one, OpenAPI.
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { messages } from '../../../src/api/messages.ts'
import { decodeBody, type SchemaLookup } from '../../../src/api/protobuf.ts'
import { builtIn } from '../../../src/apiserver/catalog.ts'
import { ask, oneApi, protobuf, type Shown } from './wire.ts'

const lookup: SchemaLookup = (apiVersion, kind) =>
  messages.find(one => one.apiVersion === apiVersion && one.kind === kind)?.schema
const messageIn = (bytes: Uint8Array) => decodeBody(bytes, lookup).value

/** Protobuf does not tell what is empty from what is not there. */
function withoutEmpty(value: unknown): object {
  const isEmpty = (item: unknown) =>
    item === '' || item === null || item === false || (typeof item === 'object' && Object.keys(item).length === 0)
  const clean = (item: unknown): unknown => {
    if (Array.isArray(item)) return item.map(clean)
    if (typeof item !== 'object' || item === null) return item
    const entries = Object.entries(item).map(([key, inner]) => [key, clean(inner)] as const)
    return Object.fromEntries(entries.filter(([, inner]) => !isEmpty(inner)))
  }
  return clean(value) as object
}

const aggregated = (version: string) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
type Group = { readonly name: string; readonly versions: readonly Version[]; readonly preferredVersion: Version }
type Version = { readonly groupVersion: string; readonly version: string }
type Resource = {
  readonly name: string
  readonly singularName: string
  readonly namespaced: boolean
  readonly kind: string
  readonly group?: string
  readonly version?: string
  readonly verbs: readonly string[]
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
}
type Discovered = {
  readonly metadata: { readonly name?: string }
  readonly versions: readonly {
    readonly version: string
    readonly freshness: string
    readonly resources: readonly {
      readonly resource: string
      readonly singularResource: string
      readonly scope: string
      readonly responseKind: { readonly group: string; readonly version: string; readonly kind: string }
      readonly verbs: readonly string[]
      readonly subresources?: readonly {
        readonly subresource: string
        readonly responseKind: { readonly kind: string }
      }[]
    }[]
  }[]
}
const groupsOf = (body: Shown) => body['groups'] as readonly Group[]
const resourcesOf = (body: Shown) => body['resources'] as readonly Resource[]
const discoveredIn = (body: Shown) => body.items as unknown as readonly Discovered[]

describe('version', () => {
  const one = oneApi()
  test('major and minor are whole numbers, and who asks need not say who they are', async () => {
    const { code, body } = await ask(one.api, '/version', { identity: null })
    expect(code).toBe(200)
    expect([body['major'], body['minor']]).toEqual([expect.stringMatching(/^\d+$/), expect.stringMatching(/^\d+$/)])
    for (const key of ['gitVersion', 'gitCommit', 'gitTreeState', 'buildDate', 'goVersion', 'compiler', 'platform']) {
      expect(body[key]).toEqual(expect.any(String))
    }
  })
})

describe('discovery', () => {
  const one = oneApi()

  test('/api names v1, /apis every other group with the version that it prefers', async () => {
    const core = await ask(one.api, '/api')
    expect(core.body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
    const { body } = await ask(one.api, '/apis')
    expect(body.kind).toBe('APIGroupList')
    const groups = groupsOf(body)
    expect(groups.map(({ name }) => name)).toEqual([...new Set(groups.map(({ name }) => name))])
    for (const group of groups) {
      expect(group.versions).toContainEqual(group.preferredVersion)
      const alone = await ask(one.api, `/apis/${group.name}`)
      expect(alone.body).toEqual({ kind: 'APIGroup', apiVersion: 'v1', ...group })
    }
  })

  test('every version of every group names its resources, and each is served there', async () => {
    const { body } = await ask(one.api, '/apis')
    const paths = groupsOf(body).flatMap(({ versions }) => versions.map(({ groupVersion }) => `/apis/${groupVersion}`))
    for (const path of ['/api/v1', ...paths]) {
      const list = await ask(one.api, path)
      expect(list.body).toMatchObject({ kind: 'APIResourceList', groupVersion: path.replace(/^\/apis?\//, '') })
      const resources = resourcesOf(list.body)
      expect(resources.length).toBeGreaterThan(0)
      for (const { name, kind, verbs, namespaced } of resources) {
        expect([name, kind.length > 0, verbs.length > 0, typeof namespaced]).toEqual([name, true, true, 'boolean'])
        if (verbs.includes('list') && !name.includes('/')) {
          expect([name, (await ask(one.api, `${path}/${name}?limit=1`)).code]).toEqual([name, 200])
        }
      }
    }
  })

  test('a resource is called as kubectl calls it: short, in the singular, by category', async () => {
    const { body } = await ask(one.api, '/apis/apps/v1')
    expect(resourcesOf(body).find(({ name }) => name === 'deployments')).toMatchObject({
      singularName: 'deployment',
      namespaced: true,
      kind: 'Deployment',
      shortNames: ['deploy'],
      categories: ['all'],
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
    })
    expect(resourcesOf(body).find(({ name }) => name === 'deployments/scale')).toMatchObject({
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
      verbs: ['get', 'patch', 'update'],
    })
  })

  test('an eviction is of policy/v1, which is how kubectl drain knows that it may', async () => {
    const { body } = await ask(one.api, '/api/v1')
    expect(resourcesOf(body).find(({ name }) => name === 'pods/eviction')).toMatchObject({
      kind: 'Eviction',
      group: 'policy',
      version: 'v1',
    })
  })

  test('a group or version that there is not is not found', async () => {
    for (const path of ['/apis/none.test', '/apis/apps/v9', '/api/v2']) {
      expect((await ask(one.api, path)).code).toBe(404)
    }
  })

  test('a slash at the end does not matter', async () => {
    for (const path of ['/api/', '/apis/', '/apis/apps/', '/apis/apps/v1/', '/api/v1/namespaces/']) {
      expect([path, (await ask(one.api, path)).code]).toEqual([path, 200])
    }
  })
})

describe('aggregated-discovery', () => {
  const one = oneApi()

  test.each(['v2', 'v2beta1'])('%s is given as what was asked for, with all that the old form names', async version => {
    for (const root of ['/api', '/apis']) {
      const { code, headers, body } = await ask(one.api, root, { accept: aggregated(version) })
      expect(code).toBe(200)
      const type = headers['content-type']?.split(';') ?? []
      expect(type.toSorted()).toEqual(
        ['application/json', 'g=apidiscovery.k8s.io', `v=${version}`, 'as=APIGroupDiscoveryList'].toSorted(),
      )
      expect([body.kind, body.apiVersion]).toEqual(['APIGroupDiscoveryList', `apidiscovery.k8s.io/${version}`])
      for (const { metadata, versions } of discoveredIn(body)) {
        for (const found of versions) {
          const path = metadata.name === undefined ? '/api/v1' : `/apis/${metadata.name}/${found.version}`
          const old = resourcesOf((await ask(one.api, path)).body)
          const names = found.resources.flatMap(({ resource, subresources = [] }) => [
            resource,
            ...subresources.map(({ subresource }) => `${resource}/${subresource}`),
          ])
          expect(names.toSorted()).toEqual(old.map(({ name }) => name).toSorted())
          expect(found.freshness).toBe('Current')
        }
      }
    }
  })

  test('the groups that every cluster has are there', async () => {
    const { body } = await ask(one.api, '/apis', { accept: aggregated('v2') })
    const names = discoveredIn(body).map(({ metadata }) => metadata.name)
    expect(names).toEqual(groupsOf((await ask(one.api, '/apis')).body).map(({ name }) => name))
    for (const { group } of builtIn) if (group !== '') expect(names).toContain(group)
  })

  test('the first form that is offered and can be made is given, and the old one to those who know no other', async () => {
    const kindOf = async (accept: string) => (await ask(one.api, '/apis', { accept })).body.apiVersion
    expect(await kindOf(`${aggregated('v2')},${aggregated('v2beta1')},application/json`)).toBe('apidiscovery.k8s.io/v2')
    expect(await kindOf(`${aggregated('v2beta1')},application/json`)).toBe('apidiscovery.k8s.io/v2beta1')
    expect(await kindOf(`${aggregated('v9')},application/json`)).toBe('v1')
    expect(await kindOf('application/json')).toBe('v1')
    expect((await ask(one.api, '/apis', { accept: 'text/html' })).code).toBe(406)
  })

  test('what has not changed is not sent again', async () => {
    const first = await ask(one.api, '/apis', { accept: aggregated('v2') })
    const etag = first.headers['etag'] ?? ''
    expect(etag).toMatch(/^".+"$/)
    const headers = { 'if-none-match': etag }
    const again = await ask(one.api, '/apis', { accept: aggregated('v2'), headers })
    expect([again.code, again.text]).toEqual([304, ''])
    const other = await ask(one.api, '/api', { accept: aggregated('v2'), headers })
    expect(other.code).toBe(200)
    expect(first.headers['vary']).toBe('Accept')
  })
})

describe('discovery in other media types', () => {
  const one = oneApi()

  test('the old form is given in protobuf and in YAML, too', async () => {
    for (const path of ['/api', '/apis', '/apis/apps', '/apis/apps/v1', '/api/v1']) {
      const { body } = await ask(one.api, path)
      const binary = await ask(one.api, path, { accept: protobuf })
      expect([path, binary.code, binary.headers['content-type']]).toEqual([path, 200, protobuf])
      expect(messageIn(binary.bytes)).toMatchObject(withoutEmpty(body))
      const yaml = await ask(one.api, path, { accept: 'application/yaml' })
      expect([yaml.headers['content-type'], parse(yaml.text)]).toEqual(['application/yaml', body])
      expect((await ask(one.api, path, { accept: 'text/html' })).code).toBe(406)
    }
  })

  test('the aggregated form, too, under an ETag of its own', async () => {
    const { body, headers } = await ask(one.api, '/apis', { accept: aggregated('v2') })
    const accept = `${protobuf};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`
    const binary = await ask(one.api, '/apis', { accept })
    expect([binary.code, binary.headers['content-type']]).toEqual([200, accept])
    expect(messageIn(binary.bytes)).toMatchObject(withoutEmpty(body))
    const etag = binary.headers['etag'] ?? ''
    expect(etag).not.toBe(headers['etag'])
    expect((await ask(one.api, '/apis', { accept, headers: { 'if-none-match': etag } })).code).toBe(304)
  })
})

describe('openapi', () => {
  const one = oneApi()

  test('v3: what is asked for by its hash may be kept for ever, and an old hash leads to the new one', async () => {
    const { body, headers } = await ask(one.api, '/openapi/v3')
    const paths = body['paths'] as Readonly<Record<string, { readonly serverRelativeURL: string }>>
    const url = paths['apis/apps/v1']?.serverRelativeURL ?? ''
    const found = await ask(one.api, url)
    expect(found.headers).toMatchObject({ 'cache-control': 'public, immutable', vary: 'Accept' })
    expect(found.headers['etag']).toBe(`"${url.split('=')[1]}"`)
    expect(Date.parse(found.headers['expires'] ?? '')).toBeGreaterThan(Date.now() + 300 * 24 * 3_600_000)
    const old = await ask(one.api, '/openapi/v3/apis/apps/v1?hash=0123')
    expect([old.code, old.headers['location']]).toEqual([301, url])
    const plain = await ask(one.api, '/openapi/v3/apis/apps/v1')
    expect([plain.code, plain.headers['cache-control']]).toEqual([200, undefined])
    const again = await ask(one.api, url, { headers: { 'if-none-match': found.headers['etag'] ?? '' } })
    expect([again.code, again.headers['cache-control']]).toEqual([304, 'public, immutable'])
    const index = await ask(one.api, '/openapi/v3', { headers: { 'if-none-match': headers['etag'] ?? '' } })
    expect(index.code).toBe(304)
  })

  test('v3: in protobuf, under both names of the media type', async () => {
    const type = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf'
    for (const accept of [type, type.replace('v3.v1', 'v3@v1')]) {
      const { code, headers, bytes } = await ask(one.api, '/openapi/v3/apis/apps/v1', { accept })
      expect([code, headers['content-type'], bytes.subarray(0, 7).toString()]).toEqual([200, type, '\n\x053.0.0'])
    }
    expect((await ask(one.api, '/openapi/v3/apis/apps/v1', { accept: 'text/html' })).code).toBe(406)
  })

  test('v3: an index, and a document for each group that names what the index says', async () => {
    const { body } = await ask(one.api, '/openapi/v3')
    const paths = body['paths'] as Readonly<Record<string, { readonly serverRelativeURL: string }>>
    expect(Object.keys(paths)).toContain('apis/apps/v1')
    for (const [name, { serverRelativeURL }] of Object.entries(paths)) {
      expect(serverRelativeURL).toMatch(/^\/openapi\/v3\/.*\?hash=[0-9A-F]+$/)
      const document = await ask(one.api, serverRelativeURL)
      expect([name, document.code, document.body['openapi']]).toEqual([name, 200, expect.stringMatching(/^3\.0/)])
    }
  })

  test('the PATCH of a kind takes fieldValidation: kubectl leaves validation to the server by that', async () => {
    const { body } = await ask(one.api, '/openapi/v3/apis/apps/v1')
    const paths = body['paths'] as Readonly<
      Record<string, { readonly patch?: { readonly parameters?: readonly { readonly name: string }[] } }>
    >
    const { patch } = paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'] ?? {}
    expect(patch?.parameters?.map(({ name }) => name)).toContain('fieldValidation')
    expect(patch).toMatchObject({
      'x-kubernetes-group-version-kind': { group: 'apps', version: 'v1', kind: 'Deployment' },
    })
  })

  test('v2: in JSON, and in the protobuf that kubectl up to 1.28 insists on; each with its ETag', async () => {
    const json = await ask(one.api, '/openapi/v2')
    expect([json.code, json.body['swagger']]).toEqual([200, '2.0'])
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
    const binary = await ask(one.api, '/openapi/v2', { accept })
    expect([binary.code, binary.headers['content-type']]).toEqual([
      200,
      'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
    ])
    expect(binary.headers['etag']).not.toBe(json.headers['etag'])
    const headers = { 'if-none-match': binary.headers['etag'] ?? '' }
    expect((await ask(one.api, '/openapi/v2', { accept, headers })).code).toBe(304)
  })
})
