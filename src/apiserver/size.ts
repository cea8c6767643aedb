// What is too large to be stored is refused before much is made of it: the work for a large object grows with it, and
// nothing else runs meanwhile. Pure.
import { ApiError } from '../api/error.ts'
import type { Json } from '../api/schema.ts'
import type { Bytes } from '../lib/bytes.ts'

/** What etcd takes as one object. */
const objectBytesMax = 1.5 * 1024 * 1024

/** By a request's bytes, unread: an object that has no blanks to lose. */
export function checkSize(verb: string, bytes: Bytes): void {
  const isObject = verb === 'create' || verb === 'update'
  if (isObject && bytes.length > objectBytesMax && bytes[0] === 0x7b && !isBlank(bytes[1])) throw tooLarge()
}

const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** By the object with its defaults, which for some kinds are longer than what was sent. */
export function checkFits(object: unknown): void {
  if (lengthLeft(object as Json, objectBytesMax) < 0) throw tooLarge()
}

/** What `length` leaves when the JSON of `value` is taken from it, by what that has at least. Negative: no more is looked at. */
function lengthLeft(value: Json | undefined, length: number): number {
  let left = length - 1
  if (typeof value === 'string') return left - value.length - 1
  if (typeof value !== 'object' || value === null) return left
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && left >= 0; i++) left = lengthLeft(value[i] as Json, left - 1)
    return left
  }
  const fields = value as Readonly<Record<string, Json | undefined>>
  for (const key in fields) {
    const inner = fields[key]
    if (inner !== undefined) left = lengthLeft(inner, left - key.length - 4)
    if (left < 0) break
  }
  return left
}

function tooLarge(): ApiError {
  return new ApiError(
    'RequestEntityTooLarge',
    `Request entity too large: limit is ${objectBytesMax} for what is stored`,
  )
}
