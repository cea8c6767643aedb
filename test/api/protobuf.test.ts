import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import { kinds } from '../../src/api/kinds.ts'
import { messages, watchEvent } from '../../src/api/messages.ts'
import { parseObject } from '../../src/api/parse.ts'
import {
  bodyOfMessage,
  decodeBody,
  encodeBody,
  encodeWatchEvent,
  type SchemaLookup,
  schemaLookup,
} from '../../src/api/protobuf.ts'
import type { JsonObject } from '../../src/api/schema.ts'
import { utf8 } from '../../src/lib/bytes.ts'

const folder = new URL('../golden/api/', import.meta.url)
const ofKinds = schemaLookup(kinds)
const ofMessages = new Map(messages.map(({ apiVersion, kind, schema }) => [`${apiVersion} ${kind}`, schema]))
const lookup: SchemaLookup = (apiVersion, kind) => ofKinds(apiVersion, kind) ?? ofMessages.get(`${apiVersion} ${kind}`)
const read = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)))
const goldens = readdirSync(folder)
  .filter(name => name.endsWith('.json'))
  .map(name => {
    const value = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as JsonObject
    return { name: name.slice(0, -5), value, schema: lookup(String(value['apiVersion']), String(value['kind'])) }
  })
const known = goldens.filter(({ schema }) => schema !== undefined)

/** A frame of a watch says neither apiVersion nor kind: it has a test of its own. */
const watchEventName = 'core.v1.WatchEvent'
/** All that Kubernetes 1.33 has in its versions that are stable. */
const pairCount = 86
const readWell = new Set<string>()
const roundTripped = new Set<string>()

afterAll(() => {
  process.stdout.write(`${roundTripped.size} of ${pairCount} golden pairs round trip in both encodings\n`)
})

test('every pair of Kubernetes 1.33 has a schema', () => {
  const names = new Set(known.map(({ name }) => name).concat(watchEventName))
  expect(goldens.map(({ name }) => name).filter(name => !names.has(name))).toEqual([])
  expect(names.size).toBe(pairCount)
})

/** Upstream has no pair of what the aggregator keeps; test/api/apiservice.test.ts holds its numbers. */
const unpaired = new Set(['apiregistration.k8s.io/v1 APIService'])

test('there is a golden pair for each kind that is served', () => {
  const names = new Set(known.map(({ value }) => `${value['apiVersion']} ${value['kind']}`))
  for (const kind of kinds) {
    const name = `${kind.group ? `${kind.group}/` : ''}${kind.version} ${kind.kind}`
    if (!unpaired.has(name)) expect(names).toContain(name)
  }
})

describe.each(known)('$name, with every field set, as Kubernetes 1.33 wrote it', ({ name, value, schema }) => {
  test('decodes to its JSON', () => {
    const decoded = decodeBody(read(`${name}.pb`), lookup)
    expect(decoded.value).toEqual(value)
    readWell.add(name)
  })
  test('encodes to the same bytes', () => {
    expect(schema).toBeDefined()
    if (schema) expect(Buffer.from(encodeBody(schema, value)).equals(Buffer.from(read(`${name}.pb`)))).toBe(true)
    if (readWell.has(name)) roundTripped.add(name)
  })
  test('is taken by the strict parser as it is', () => {
    const kind = kinds.find(one => one.schema === schema)
    if (kind) expect(parseObject(kind, value, 'Strict').object).toEqual(value)
  })
})

test('a frame of a watch, which says no kind, is the same in both encodings', () => {
  const value = goldens.find(({ name }) => name === watchEventName)?.value ?? {}
  const bytes = read(`${watchEventName}.pb`)
  expect(Buffer.from(encodeBody(watchEvent, value))).toEqual(Buffer.from(bytes))
  const frame = encodeWatchEvent(String(value['type']), utf8(JSON.stringify(value['object'])), false)
  expect(Buffer.from(bodyOfMessage('', '', frame))).toEqual(Buffer.from(bytes))
  const named = bodyOfMessage('v1', 'WatchEvent', frame)
  expect(decodeBody(named, () => watchEvent).value).toEqual({ apiVersion: 'v1', kind: 'WatchEvent', ...value })
  expect(() => decodeBody(bytes, lookup)).toThrow("Object 'Kind' is missing")
  roundTripped.add(watchEventName)
})

test('any bytes behind the magic give a value or a BadRequest', () => {
  const pods = read('core.v1.Pod.pb')
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(pods.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), changes => {
      const bytes = pods.slice()
      for (const [at, byte] of changes) if (at > 3) bytes[at] = byte
      try {
        decodeBody(bytes, lookup)
      } catch (error) {
        if (!(error instanceof ApiError) || error.reason !== 'BadRequest') throw error
      }
    }),
    { numRuns: 300 },
  )
})

test('a body without the magic, cut short, or of an unknown kind is a BadRequest', () => {
  const bytes = read('core.v1.ConfigMap.pb')
  for (const wrong of [new Uint8Array(0), bytes.subarray(1), bytes.subarray(0, bytes.length - 30)]) {
    expect(() => decodeBody(wrong, lookup)).toThrow(/protobuf body/)
  }
  expect(() => decodeBody(bytes, () => undefined)).toThrow('no kind "ConfigMap" is registered for version "v1"')
})

test('zeros that Go writes for what is no pointer are absent, and those behind a pointer stay', () => {
  const schema = lookup('apps/v1', 'Deployment')
  if (!schema) throw new Error('no Deployment')
  const value = { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 0, minReadySeconds: 0, paused: false } }
  expect(decodeBody(encodeBody(schema, value), lookup).value).toEqual({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    spec: { replicas: 0 },
  })
})
