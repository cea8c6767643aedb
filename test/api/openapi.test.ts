import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { expect, test } from 'vitest'
import { kinds } from '../../src/api/kinds.ts'
import { documentsV3, openApiV3 } from '../../src/api/openapi.ts'
import { encodeOpenApiV2, openApiV2 } from '../../src/api/openapi-v2.ts'

type Any = { readonly [key: string]: Any } & { readonly $ref?: string; readonly name?: string }

function references(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(references)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) =>
    key === '$ref' && typeof item === 'string' ? [item] : references(item),
  )
}

test('every reference of every document leads to a schema in it', () => {
  for (const [, groupVersion] of documentsV3(kinds)) {
    const document = openApiV3(groupVersion, 'v1') as unknown as { components: { schemas: Any } }
    const prefix = '#/components/schemas/'
    for (const reference of references(document)) {
      expect(reference.startsWith(prefix)).toBe(true)
      expect(document.components.schemas[reference.slice(prefix.length)], reference).toBeDefined()
    }
  }
  const v2 = openApiV2(kinds, 'v1') as unknown as { definitions: Any }
  for (const reference of references(v2))
    expect(v2.definitions[reference.slice('#/definitions/'.length)], reference).toBeDefined()
})

test('each stored kind takes fieldValidation on POST, PUT and PATCH, where kubectl looks for it', () => {
  const paths = [...documentsV3(kinds).values()].flatMap(each =>
    Object.values((openApiV3(each, 'v1') as unknown as { paths: Any }).paths),
  )
  for (const kind of kinds.filter(({ stored }) => stored)) {
    for (const method of ['post', 'put', 'patch']) {
      const operation = paths
        .map(path => (path as Any)[method])
        .find(found => {
          const gvk = found?.['x-kubernetes-group-version-kind'] as unknown as
            | { group: string; kind: string }
            | undefined
          return gvk?.kind === kind.kind && gvk.group === kind.group
        })
      const parameters = (operation?.['parameters'] ?? []) as unknown as { name: string }[]
      expect(
        parameters.map(({ name }) => name),
        `${method} ${kind.kind}`,
      ).toContain('fieldValidation')
    }
  }
})

test('lists say how they merge', () => {
  const apps = documentsV3(kinds).get('apis/apps/v1')
  if (apps === undefined) throw new Error('no apps/v1')
  const { schemas } = (openApiV3(apps, 'v1') as unknown as { components: { schemas: Any } }).components
  const containers = schemas['io.k8s.api.core.v1.PodSpec']?.['properties']?.['containers']
  expect(containers).toMatchObject({
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  })
})

test('the protobuf form holds every definition and every path', () => {
  const document = openApiV2(kinds, 'v1.33.0')
  const reader = new BinaryReader(encodeOpenApiV2(document))
  const names = (bytes: Uint8Array, number: number): string[] => {
    const inner = new BinaryReader(bytes)
    const found: string[] = []
    while (inner.pos < inner.len) {
      const [field, type] = inner.tag()
      if (field !== number || type !== WireType.LengthDelimited) {
        inner.skip(type, field)
        continue
      }
      const named = new BinaryReader(inner.bytes())
      named.tag()
      found.push(named.string())
    }
    return found
  }
  const found: Record<number, string[]> = {}
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 8) found[8] = names(reader.bytes(), 2)
    else if (field === 9) found[9] = names(reader.bytes(), 1)
    else reader.skip(type, field)
  }
  expect(found[8]).toEqual(Object.keys(document['paths'] as object))
  expect(found[9]).toEqual(Object.keys(document['definitions'] as object))
})
