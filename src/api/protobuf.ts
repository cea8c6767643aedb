// Kubernetes' protobuf bodies: four magic bytes, runtime.Unknown around one message, and messages whose field numbers stand
// in the schema. kubectl 1.32 and newer sends them for everything it makes with typed clients. Decoding is total: whatever
// the bytes are, the answer is a JSON value or a BadRequest, in time and depth that the length of the body bounds.
// The JSON is what the same client would have sent as JSON, so api/parse.ts goes on from there.
// https://protobuf.dev/programming-guides/encoding/ ; k8s.io/apimachinery/pkg/runtime/serializer/protobuf

import { type Bytes, text } from '../lib/bytes.ts'
import { goDuration, parseGoDuration, readRfc3339, rfc3339OfSeconds } from '../lib/duration.ts'
import { parseExact } from '../lib/json.ts'
import { exactInteger } from '../lib/json-text.ts'
import { base64OfBytes, bytesOfBase64 } from './base64.ts'
import { ApiError } from './error.ts'
import { apiVersionOf, type Kind } from './kind.ts'
import { isAbsence, isList, isObject, zeroOf } from './parse.ts'
import { depthMax } from './reader.ts'
import type { Field, Json, JsonObject, ScalarKind, Schema, Shape } from './schema.ts'
import { jsonSchemaProps } from './types/jsonschema.ts'
import { deleteOptions, listMeta } from './types/meta.ts'
import { varintAt, WireReader, type WireValue, WireWriter, wireType } from './wire.ts'

/** 'k8s' and a zero. */
export const protobufMagic: Bytes = Uint8Array.of(0x6b, 0x38, 0x73, 0x00)

export type SchemaLookup = (apiVersion: string, kind: string) => Schema | undefined

/** Finds the schemas of all these kinds, and of DeleteOptions in whatever group they come. */
export function schemaLookup(kinds: readonly Kind[]): SchemaLookup {
  const schemas = new Map(kinds.map((kind): [string, Schema] => [`${apiVersionOf(kind)} ${kind.kind}`, kind.schema]))
  return (apiVersion, kind) => (kind === 'DeleteOptions' ? deleteOptions : schemas.get(`${apiVersion} ${kind}`))
}

function malformed(why: string): ApiError {
  return new ApiError('BadRequest', `couldn't decode the protobuf body: ${why}`)
}

/** BadRequest when the bytes are malformed or of a kind that `lookup` does not know. */
export function decodeBody(
  bytes: Bytes,
  lookup: SchemaLookup,
): { readonly apiVersion: string; readonly kind: string; readonly value: JsonObject } {
  if (protobufMagic.some((byte, i) => bytes[i] !== byte)) {
    throw malformed('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]')
  }
  const { apiVersion, kind, raw, contentEncoding } = readUnknown(bytes.subarray(protobufMagic.length))
  if (contentEncoding !== '') throw malformed(`content encoding ${JSON.stringify(contentEncoding)} is not supported`)
  if (kind === '') throw malformed("Object 'Kind' is missing")
  const schema = lookup(apiVersion, kind)
  if (!schema)
    throw malformed(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`)
  const message = readMessage(codecOf(schema.shape), raw, 0)
  return { apiVersion, kind, value: { apiVersion, kind, ...message } }
}

function readUnknown(bytes: Bytes) {
  let [apiVersion, kind, contentEncoding] = ['', '', '']
  let raw: Bytes = new Uint8Array(0)
  const wire = new WireReader(bytes)
  while (hasNext(wire)) {
    if (wire.number === 1) {
      const inner = new WireReader(wire.bytes)
      while (hasNext(inner)) {
        if (inner.number === 1) apiVersion = text(inner.bytes)
        if (inner.number === 2) kind = text(inner.bytes)
      }
    }
    if (wire.number === 2) raw = wire.bytes
    if (wire.number === 3) contentEncoding = text(wire.bytes)
  }
  return { apiVersion, kind, raw, contentEncoding }
}

/** On to the next field of a message; throws on bytes that are no message. */
function hasNext(wire: WireReader): boolean {
  if (wire.next()) return true
  if (!wire.ok) throw malformed('unexpected end of message, or a field that cannot be')
  return false
}

/** How a message of one shape is laid out: fields by number, and the messages that JSON does not show. */
type Codec = {
  readonly fields: ReadonlyMap<number, { readonly key: string; readonly field: Field }>
  readonly inlined: ReadonlyMap<number, Codec>
  /** The same by falling number; what JSON inlines has a codec and no key. */
  readonly backwards: readonly Part[]
}

type Part = {
  readonly number: number
  readonly inlined: Codec | undefined
  readonly key: string
  readonly shape: Shape
  /** What to write where it is absent. */
  readonly zero: Json | undefined
}

type MutableCodec = {
  fields: Map<number, { key: string; field: Field }>
  inlined: Map<number, MutableCodec>
  backwards: Part[]
}

const emptyCodec = (): MutableCodec => ({ fields: new Map(), inlined: new Map(), backwards: [] })

const codecs = new WeakMap<Shape, Codec>()

function codecOf(shape: Shape): Codec {
  const known = codecs.get(shape)
  if (known) return known
  const codec = emptyCodec()
  for (const [key, field] of Object.entries(shape.kind === 'object' ? shape.fields : {})) {
    let at = codec
    for (const number of field.within) {
      const below = at.inlined.get(number) ?? emptyCodec()
      at.inlined.set(number, below)
      at = below
    }
    if (field.number > 0) at.fields.set(field.number, { key, field })
  }
  order(codec, shape)
  codecs.set(shape, codec)
  return codec
}

function order(codec: MutableCodec, shape: Shape): void {
  for (const inlined of codec.inlined.values()) order(inlined, shape)
  const messages = [...codec.inlined].map(
    ([number, inlined]): Part => ({ number, inlined, key: '', shape, zero: undefined }),
  )
  const fields = [...codec.fields]
    .filter(([number]) => !codec.inlined.has(number))
    .map(([number, { key, field }]): Part => {
      const { shape: below } = field.schema
      return { number, inlined: undefined, key, shape: below, zero: field.written ? zeroOf(below) : undefined }
    })
  codec.backwards = [...messages, ...fields].sort((a, b) => b.number - a.number)
}

function readMessage(codec: Codec, bytes: Bytes, depth: number): JsonObject {
  if (depth > depthMax) throw malformed('exceeded max depth')
  const out: Record<string, Json> = {}
  const lists = new Map<string, Json[]>()
  const maps = new Map<string, Map<string, Json>>()
  const wire = new WireReader(bytes)
  while (hasNext(wire)) {
    const inlined = codec.inlined.get(wire.number)
    if (inlined) Object.assign(out, readMessage(inlined, wire.bytes, depth + 1))
    const found = codec.fields.get(wire.number)
    if (!found) continue
    const { key, field } = found
    const { shape } = field.schema
    if (shape.kind === 'list') {
      const list = lists.get(key) ?? []
      lists.set(key, list)
      readItems(shape.item.shape, wire, list, depth)
    } else if (shape.kind === 'map') {
      const map = maps.get(key) ?? new Map<string, Json>()
      maps.set(key, map)
      const [name, value] = readEntry(shape.value.shape, wire.bytes, depth)
      map.set(name, value)
    } else {
      const value = readValue(shape, wire, depth)
      // Go writes the zeros of what is no pointer; in JSON it leaves them out.
      if (value === null || isAbsence(field, value)) continue
      out[key] = value
    }
  }
  for (const [key, list] of lists) out[key] = list
  for (const [key, map] of maps) out[key] = Object.fromEntries(map)
  return out
}

const integers: ReadonlySet<ScalarKind> = new Set(['int32', 'int64', 'boolean'])

function readItems(item: Shape, wire: WireValue, list: Json[], depth: number): void {
  if (item.kind === 'scalar' && integers.has(item.scalar) && wire.type === wireType.bytes) {
    const { bytes } = wire
    for (let at = 0; at < bytes.length; ) {
      const integer = varintAt(bytes, at)
      if (integer === undefined) throw malformed('a packed list of integers ends early')
      list.push(integerOf(item.scalar, integer.value))
      at = integer.end
    }
    return
  }
  list.push(readValue(item, wire, depth) ?? zeroOf(item))
}

function readEntry(value: Shape, bytes: Bytes, depth: number): [string, Json] {
  let name = ''
  let read: Json = null
  const wire = new WireReader(bytes)
  while (hasNext(wire)) {
    if (wire.number === 1) name = text(wire.bytes)
    if (wire.number === 2) read = readValue(value, wire, depth)
  }
  return [name, read ?? zeroOf(value)]
}

function readValue(shape: Shape, wire: WireValue, depth: number): Json {
  switch (shape.kind) {
    case 'object':
      return readMessage(codecOf(shape), wire.bytes, depth + 1)
    case 'list': {
      // A list as a map's value is a message of its own with the items as field 1 (authentication/v1 ExtraValue).
      const list: Json[] = []
      const inner = new WireReader(wire.bytes)
      while (hasNext(inner)) if (inner.number === 1) readItems(shape.item.shape, inner, list, depth + 1)
      return list
    }
    case 'map':
      throw malformed('a map where none can be')
    case 'scalar':
      return readScalar(shape.scalar, wire, depth)
  }
}

function integerOf(scalar: ScalarKind, integer: bigint): Json {
  if (scalar === 'boolean') return integer !== 0n
  return exactInteger(BigInt.asIntN(64, integer))
}

function readScalar(scalar: ScalarKind, wire: WireValue, depth: number): Json {
  switch (scalar) {
    case 'string':
      return text(wire.bytes)
    case 'boolean':
    case 'int32':
    case 'int64':
      return integerOf(scalar, wire.integer)
    case 'double':
      return doubleOf(wire.bytes)
    case 'bytes':
      return base64OfBytes(wire.bytes)
    case 'time':
    case 'microTime':
      return timeOf(wire.bytes, scalar)
    case 'duration':
      return goDuration(Number(BigInt.asIntN(64, lastField(wire.bytes, 1)?.integer ?? 0n)) / 1e6)
    case 'quantity':
      return textOf(wire.bytes, 1)
    case 'intOrString': {
      const [kind, number] = [1, 2].map(at => Number(BigInt.asIntN(32, lastField(wire.bytes, at)?.integer ?? 0n)))
      return kind === 1 ? textOf(wire.bytes, 3) : (number ?? 0)
    }
    case 'any':
    case 'fieldsV1':
      return jsonOf(lastField(wire.bytes, 1)?.bytes)
    case 'schemaOrBool':
    case 'schemaOrArray':
    case 'schemaOrStrings':
      return readSchemaOr(scalar, wire.bytes, depth)
  }
}

const schemaNumbers = { schemaOrBool: 2, schemaOrArray: 1, schemaOrStrings: 1 } as const

function readSchemaOr(scalar: keyof typeof schemaNumbers, bytes: Bytes, depth: number): Json {
  const codec = codecOf(jsonSchemaProps.shape)
  const schema = lastField(bytes, schemaNumbers[scalar])
  if (schema) return readMessage(codec, schema.bytes, depth + 1)
  if (scalar === 'schemaOrBool') return (lastField(bytes, 1)?.integer ?? 0n) !== 0n
  const items: Json[] = []
  const wire = new WireReader(bytes)
  while (hasNext(wire)) {
    if (wire.number !== 2) continue
    items.push(scalar === 'schemaOrStrings' ? text(wire.bytes) : readMessage(codec, wire.bytes, depth + 1))
  }
  return items
}

function lastField(bytes: Bytes, number: number): WireValue | undefined {
  let found: WireValue | undefined
  const wire = new WireReader(bytes)
  while (hasNext(wire)) {
    if (wire.number === number) found = { type: wire.type, bytes: wire.bytes, integer: wire.integer }
  }
  return found
}

function textOf(bytes: Bytes, number: number): string {
  const found = lastField(bytes, number)
  return found ? text(found.bytes) : ''
}

function doubleOf(bytes: Bytes): number {
  if (bytes.length !== 8) throw malformed('a double of a wrong length')
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true)
}

const secondsMax = 253_402_300_799

/** Null when empty: the zero time of Go. */
function timeOf(bytes: Bytes, scalar: 'time' | 'microTime'): Json {
  if (bytes.length === 0) return null
  const seconds = Number(BigInt.asIntN(64, lastField(bytes, 1)?.integer ?? 0n))
  const nanos = Number(BigInt.asIntN(32, lastField(bytes, 2)?.integer ?? 0n))
  if (Math.abs(seconds) > secondsMax) throw malformed('a time beyond the year 9999')
  const whole = rfc3339OfSeconds(seconds)
  if (scalar === 'time') return whole
  return whole.replace('Z', `.${String(Math.floor(nanos / 1_000)).padStart(6, '0')}Z`)
}

function jsonOf(bytes: Bytes | undefined): Json {
  if (!bytes || bytes.length === 0) return null
  try {
    return parseExact(text(bytes)) as Json
  } catch {
    throw malformed('an embedded object is not JSON')
  }
}

/** The body that decodes to `value`, byte for byte as Go's client writes it when every field is set. */
export function encodeBody(schema: Schema, value: JsonObject): Bytes {
  return envelope(String(value['apiVersion'] ?? ''), String(value['kind'] ?? ''), writer =>
    writeMessage(writer, codecOf(schema.shape), value),
  )
}

/** The message alone, as it lies in a list. */
export function encodeMessage(schema: Schema, value: JsonObject): Bytes {
  const writer = scratch.reset()
  writeMessage(writer, codecOf(schema.shape), value)
  return writer.finish()
}

/** The body of a message that is encoded already. */
export function bodyOfMessage(apiVersion: string, kind: string, message: Bytes): Bytes {
  return envelope(apiVersion, kind, writer => writer.raw(message))
}

/**
 * A list of messages that are encoded already. All lists of Kubernetes have ListMeta as 1 and items as 2, but the old list
 * of metadata, `isBeta`, which has them the other way round.
 */
export function encodeListBody(
  apiVersion: string,
  kind: string,
  meta: JsonObject,
  items: readonly Bytes[],
  isBeta = false,
): Bytes {
  return envelope(apiVersion, kind, writer => {
    if (isBeta) writeListMeta(writer, 2, meta)
    writeListItems(writer, items, isBeta)
    if (!isBeta) writeListMeta(writer, 1, meta)
  })
}

function writeListMeta(writer: WireWriter, number: number, meta: JsonObject): void {
  const end = writer.length
  writeMessage(writer, codecOf(listMeta.shape), meta)
  writer.lengthSince(number, end)
}

function writeListItems(writer: WireWriter, items: readonly Bytes[], isBeta: boolean): void {
  for (let i = items.length - 1; i >= 0; i--) writer.bytes(isBeta ? 1 : 2, items[i] ?? nothing)
}

/** Some of the items of `encodeListBody`, as they lie there. */
export function encodeListItems(items: readonly Bytes[], isBeta = false): Bytes {
  const writer = scratch.reset()
  writeListItems(writer, items, isBeta)
  return writer.finish()
}

/** What stands before and behind the items of `encodeListBody`, which take `byteCount` bytes. */
export function encodeListFrame(
  apiVersion: string,
  kind: string,
  meta: JsonObject,
  byteCount: number,
  isBeta = false,
): { readonly start: Bytes; readonly end: Bytes } {
  const writer = scratch.reset()
  writeEnvelopeEnd(writer)
  const rawEnd = writer.length
  if (isBeta) writeListMeta(writer, 2, meta)
  const behind = writer.length - rawEnd
  const end = writer.finish()
  writer.reset()
  if (!isBeta) writeListMeta(writer, 1, meta)
  // As if all that comes behind had been written.
  writeEnvelopeStart(writer, apiVersion, kind, -(byteCount + behind))
  return { start: writer.finish(), end }
}

/** meta/v1 WatchEvent; `object` is a body. In a stream each stands behind its length, four bytes, the highest first. */
export function encodeWatchEvent(type: string, object: Bytes, inStream: boolean): Bytes {
  const writer = scratch.reset()
  const end = writer.length
  writer.bytes(1, object)
  writer.lengthSince(2, end)
  writer.text(1, type)
  const { length } = writer
  if (!inStream) return writer.finish()
  writer.raw(Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length))
  return writer.finish()
}

/** Whether Kubernetes gives this kind in protobuf: what others define knows no field numbers. */
export function hasProtobuf(kind: Pick<Kind, 'schema'>): boolean {
  const { shape } = kind.schema
  return shape.kind === 'object' && (shape.fields['metadata']?.number ?? 0) > 0
}

const nothing: Bytes = new Uint8Array(0)

/** One for all: nothing waits while a message is written, and what is finished is a copy. */
const scratch = new WireWriter()

function envelope(apiVersion: string, kind: string, write: (writer: WireWriter) => void): Bytes {
  const writer = scratch.reset()
  writeEnvelopeEnd(writer)
  const rawEnd = writer.length
  write(writer)
  writeEnvelopeStart(writer, apiVersion, kind, rawEnd)
  return writer.finish()
}

function writeEnvelopeEnd(writer: WireWriter): void {
  writer.text(4, '')
  writer.text(3, '')
}

/** `rawEnd`: how much had been written before what is inside. */
function writeEnvelopeStart(writer: WireWriter, apiVersion: string, kind: string, rawEnd: number): void {
  writer.lengthSince(2, rawEnd)
  const typeEnd = writer.length
  writer.text(2, kind)
  writer.text(1, apiVersion)
  writer.lengthSince(1, typeEnd)
  writer.raw(protobufMagic)
}

/** From the last field to the first: the writer goes backwards. */
function writeMessage(writer: WireWriter, codec: Codec, value: JsonObject): void {
  for (const { number, inlined, key, shape, zero } of codec.backwards) {
    if (inlined !== undefined) {
      const end = writer.length
      writeMessage(writer, inlined, value)
      writer.lengthSince(number, end)
      continue
    }
    const given = Object.hasOwn(value, key) ? value[key] : zero
    if (given !== undefined && given !== null) writeField(writer, number, shape, given)
  }
}

function writeField(writer: WireWriter, number: number, shape: Shape, value: Json): void {
  if (shape.kind === 'scalar') {
    writeScalar(writer, number, shape.scalar, value)
  } else if (shape.kind === 'object' && isObject(value)) {
    const end = writer.length
    writeMessage(writer, codecOf(shape), value)
    writer.lengthSince(number, end)
  } else if (shape.kind === 'list' && isList(value)) {
    for (let i = value.length - 1; i >= 0; i--) writeField(writer, number, shape.item.shape, value[i] ?? null)
  } else if (shape.kind === 'map' && isObject(value)) {
    const below = shape.value.shape
    for (const key of Object.keys(value).sort().reverse()) {
      const end = writer.length
      writeEntryValue(writer, below, value[key] ?? null)
      writer.text(1, key)
      writer.lengthSince(number, end)
    }
  }
}

function writeEntryValue(writer: WireWriter, shape: Shape, value: Json): void {
  if (value === null) writer.bytes(2, nothing)
  else if (shape.kind === 'list') {
    const end = writer.length
    writeField(writer, 1, shape, value)
    writer.lengthSince(2, end)
  } else writeField(writer, 2, shape, value)
}

function writeScalar(writer: WireWriter, number: number, scalar: ScalarKind, value: Json): void {
  switch (scalar) {
    case 'string':
      writer.text(number, String(value))
      return
    case 'boolean':
      writer.varint(number, value === true ? 1 : 0)
      return
    case 'int32':
    case 'int64':
      writer.varint(number, typeof value === 'bigint' ? value : Number(value))
      return
    case 'double':
      writer.double(number, Number(value))
      return
    case 'bytes':
      writer.bytes(number, bytesOfBase64(String(value)))
      return
    default: {
      const end = writer.length
      writeSpecial(writer, scalar, value)
      writer.lengthSince(number, end)
    }
  }
}

function writeSpecial(writer: WireWriter, scalar: ScalarKind, value: Json): void {
  switch (scalar) {
    case 'time':
    case 'microTime': {
      const time = readRfc3339(String(value))
      if (!time) return
      writer.varint(2, scalar === 'time' ? 0 : time.nanos)
      writer.varint(1, time.seconds)
      return
    }
    case 'duration':
      writer.varint(1, Math.round((parseGoDuration(String(value)) ?? 0) * 1e6))
      return
    case 'quantity':
      writer.text(1, String(value))
      return
    case 'intOrString':
      writer.text(3, typeof value === 'string' ? value : '')
      writer.varint(2, typeof value === 'number' ? value : 0)
      writer.varint(1, typeof value === 'string' ? 1 : 0)
      return
    case 'schemaOrBool':
    case 'schemaOrArray':
    case 'schemaOrStrings':
      writeSchemaOr(writer, scalar, value)
      return
    default:
      writer.text(1, JSON.stringify(value))
  }
}

function writeSchemaOr(writer: WireWriter, scalar: keyof typeof schemaNumbers, value: Json): void {
  const { shape } = jsonSchemaProps
  if (isObject(value)) writeField(writer, schemaNumbers[scalar], shape, value)
  else if (isList(value)) {
    for (const item of value.toReversed()) {
      if (typeof item === 'string') writer.text(2, item)
      else writeField(writer, 2, shape, item)
    }
  }
  // A schema allows what it describes.
  if (scalar === 'schemaOrBool') writer.varint(1, value === false ? 0 : 1)
}
