import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import { decodeToken, encodeToken } from '../../src/apiserver/list.ts'
import { bodyForm, negotiate, negotiateDiscovery } from '../../src/apiserver/negotiate.ts'
import { route } from '../../src/apiserver/route.ts'

const at = (method: string, url: string) => {
  const [path = '', query = ''] = url.split('?')
  const { kind: _, ...rest } = route(method, path, new URLSearchParams(query))
  return rest
}
const core = { group: '', version: 'v1' }

test.each([
  ['GET', '/api/v1/pods', { ...core, verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=1', { ...core, verb: 'watch', resource: 'pods' }],
  ['GET', '/api/v1/watch/pods', { ...core, verb: 'watch', resource: 'pods' }],
  ['GET', '/api/v1/namespaces/x/pods', { ...core, verb: 'list', resource: 'pods', namespace: 'x' }],
  ['POST', '/api/v1/namespaces/x/pods', { ...core, verb: 'create', resource: 'pods', namespace: 'x' }],
  ['DELETE', '/api/v1/namespaces/x/pods', { ...core, verb: 'deletecollection', resource: 'pods', namespace: 'x' }],
  ['GET', '/api/v1/namespaces/x/pods/p', { ...core, verb: 'get', resource: 'pods', namespace: 'x', name: 'p' }],
  [
    'PUT',
    '/api/v1/namespaces/x/pods/p/status',
    { ...core, verb: 'update', resource: 'pods', namespace: 'x', name: 'p', subresource: 'status' },
  ],
  ['GET', '/api/v1/namespaces', { ...core, verb: 'list', resource: 'namespaces' }],
  ['GET', '/api/v1/namespaces/x', { ...core, verb: 'get', resource: 'namespaces', name: 'x' }],
  [
    'PUT',
    '/api/v1/namespaces/x/finalize',
    { ...core, verb: 'update', resource: 'namespaces', name: 'x', subresource: 'finalize' },
  ],
  [
    'PATCH',
    '/api/v1/namespaces/x/status',
    { ...core, verb: 'patch', resource: 'namespaces', name: 'x', subresource: 'status' },
  ],
  [
    'GET',
    '/apis/apps/v1/namespaces/x/deployments/d/scale',
    {
      group: 'apps',
      version: 'v1',
      verb: 'get',
      resource: 'deployments',
      namespace: 'x',
      name: 'd',
      subresource: 'scale',
    },
  ],
  [
    'POST',
    '/api/v1/namespaces/x/pods/p:80/proxy/a%20b/c',
    { ...core, verb: 'create', resource: 'pods', namespace: 'x', name: 'p:80', subresource: 'proxy', rest: 'a%20b/c' },
  ],
  ['GET', '/apis/apps/v1', { verb: 'get', path: '/apis/apps/v1' }],
  ['GET', '/apis/apps/v1/', { verb: 'get', path: '/apis/apps/v1' }],
  ['GET', '/', { verb: 'get', path: '/' }],
  ['GET', '/openapi/v3/apis/apps/v1', { verb: 'get', path: '/openapi/v3/apis/apps/v1' }],
])('%s %s', (method, url, expected) => {
  expect(at(method, url)).toEqual(expected)
})

test('any path is a route or an ApiError, and no segment of a route can lead elsewhere', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom('..', '.', '%2e%2e', '%2f', 'namespaces', 'pods', 'watch', 'proxy', ''),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), fc.constantFrom('/api/', '/apis/', '/'), (pieces, root) => {
      try {
        const found = route('GET', root + pieces.join('/'), new URLSearchParams())
        if (found.kind !== 'resource') return
        for (const segment of [found.group, found.version, found.resource, found.namespace, found.name]) {
          expect(segment === undefined || !/^\.\.?$|[/\0\\]/.test(segment)).toBe(true)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError)
      }
    }),
  )
})

test('the form of an answer is the first that is offered and can be made', () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  const all = { protobuf: true, table: true, stream: false }
  const [json, protobuf] = ['application/json', 'application/vnd.kubernetes.protobuf']
  expect(negotiate(undefined, all)).toEqual({ as: 'Object', media: 'json' })
  expect(negotiate(`${table},${json}`, all)).toEqual({ as: 'Table', version: 'v1', media: 'json' })
  expect(negotiate(`${table},${json}`, { ...all, table: false })).toEqual({ as: 'Object', media: 'json' })
  expect(negotiate(table, { ...all, table: false })).toBeUndefined()
  expect(negotiate(`${json};as=Table;v=v9;g=meta.k8s.io,${json}`, all)).toEqual({ as: 'Object', media: 'json' })
  expect(negotiate(`${protobuf},${json}`, all)).toEqual({ as: 'Object', media: 'protobuf' })
  expect(negotiate(`${protobuf},${json}`, { ...all, protobuf: false })).toEqual({ as: 'Object', media: 'json' })
  expect(negotiate(`${protobuf};as=PartialObjectMetadata;g=meta.k8s.io;v=v1`, { ...all, protobuf: false })).toEqual({
    as: 'PartialObjectMetadata',
    version: 'v1',
    media: 'protobuf',
  })
  expect(negotiate('application/json;q=0.1,application/yaml', all)).toEqual({ as: 'Object', media: 'yaml' })
  expect(negotiate('application/yaml', { ...all, stream: true })).toBeUndefined()
  expect(negotiate(`${json};stream=watch`, { ...all, stream: true })).toEqual({ as: 'Object', media: 'json' })
  expect(negotiate(`${json};stream=watch`, all)).toBeUndefined()
  expect(negotiate('text/html', all)).toBeUndefined()
  expect(
    negotiateDiscovery('application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json', true),
  ).toEqual({ form: 'plain', media: 'json' })
  const inProtobuf = `${protobuf};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`
  expect(negotiateDiscovery(inProtobuf, true)).toEqual({ form: 'v2', media: 'protobuf' })
  expect(negotiateDiscovery(inProtobuf, false)).toBeUndefined()
  expect(bodyForm('application/apply-patch+yaml; charset=utf-8')).toEqual({ form: 'yaml', patch: 'apply' })
  expect(bodyForm('application/xml')).toBeUndefined()
})

test('a continue token is good for its own list alone, and no text breaks its reader', () => {
  const token = { prefix: '/registry/pods/ä/', after: 'ö/x', revision: 7 }
  expect(decodeToken(encodeToken(token), token.prefix)).toEqual(token)
  expect(() => decodeToken(encodeToken(token), '/registry/secrets/')).toThrow(ApiError)
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String()), text => {
      try {
        decodeToken(text, token.prefix)
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError)
      }
    }),
  )
})
