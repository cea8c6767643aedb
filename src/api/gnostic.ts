// Messages of gnostic, in whose protobuf forms of OpenAPI documents clients read schemas: what versions 2 and 3 share. Pure.
// https://github.com/google/gnostic
import { ByteWriter } from '../lib/binary.ts'
import { type Bytes, utf8 } from '../lib/bytes.ts'
import type { Json, JsonObject } from './schema.ts'

/** Fields by number. */
export type Message = { [number: number]: Value | readonly Value[] }
type Value = string | boolean | number | Double | Message
/** A number that is written as eight bytes. */
export class Double {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

export function encode(message: Message): Bytes {
  const out = new ByteWriter(512)
  const bytes = (number: number, payload: Bytes) => {
    out.varint(number * 8 + 2)
    out.varint(payload.length)
    out.raw(payload)
  }
  for (const [key, field] of Object.entries(message)) {
    const number = Number(key)
    for (const value of Array.isArray(field) ? (field as readonly Value[]) : [field as Value]) {
      if (typeof value === 'string') bytes(number, utf8(value))
      else if (typeof value === 'boolean' || typeof value === 'number') {
        out.varint(number * 8)
        out.varint(Number(value))
      } else if (value instanceof Double) {
        out.varint(number * 8 + 1)
        out.raw(new Uint8Array(new Float64Array([value.value]).buffer))
      } else bytes(number, encode(value))
    }
  }
  return out.finish()
}

/** JSON is YAML, so it is the text of an Any. */
export const any = (value: Json): Message => ({ 2: `${JSON.stringify(value)}\n` })

export function extensions(of: JsonObject): Message[] {
  const names = Object.keys(of).filter(name => name.startsWith('x-'))
  return names.map(name => ({ 1: name, 2: any(of[name] ?? null) }))
}

export const has = (value: Json | undefined): value is Json => value !== undefined

/** A map as a list of names with their values. */
export function named(map: JsonObject, one: (value: JsonObject, name: string) => Message): Message[] {
  return Object.entries(map).map(([name, value]) => ({ 1: name, 2: one(value as JsonObject, name) }))
}
