// How an operation travels to the leader and its answer back, as bytes. Pure and total: what is no operation is refused.

import { ApiError, errorOf, statusOf } from '../api/error.ts'
import type { Repeated } from '../api/reader.ts'
import type { Json } from '../api/schema.ts'
import { type Bytes, concat, text, utf8 } from '../lib/bytes.ts'
import { parseExact } from '../lib/json.ts'
import type { Annotation } from './notes.ts'
import type { Answer, Operation } from './operation.ts'
import { servedLine } from './stored.ts'

export type Reply =
  | { readonly kind: 'answer'; readonly answer: Answer; readonly annotations: readonly Annotation[] }
  /** `revision`: what the refusal was decided on. */
  | {
      readonly kind: 'refused'
      readonly error: ApiError
      readonly revision: number
      readonly annotations: readonly Annotation[]
      readonly warnings: readonly string[]
    }
  /** Certainly not executed. */
  | { readonly kind: 'not-leader' }

const version = 2
/** Of a reply: the length of its head, which is JSON, in bytes. What is served stands behind that as it is. */
const lengthBytes = 4

export function encodeOperation(op: Operation): Bytes {
  return utf8(JSON.stringify({ version, op: { ...op, duplicates: [...op.duplicates] } }))
}

const verbs = ['create', 'update', 'patch', 'delete', 'deletecollection']

export function decodeOperation(bytes: Bytes): Operation {
  const message = parsed(bytes)
  const op = message['op'] as (Operation & { readonly duplicates: unknown }) | undefined
  const sound =
    message['version'] === version &&
    op !== undefined &&
    verbs.includes(op.verb) &&
    [op.group, op.version, op.resource, op.fieldManager].every(value => typeof value === 'string') &&
    typeof op.identity?.user === 'string' &&
    (op.id === undefined || typeof op.id === 'string') &&
    Array.isArray(op.identity.groups) &&
    Array.isArray(op.duplicates)
  if (!sound) throw new ApiError('BadRequest', 'a peer sent an operation that this version does not know')
  return { ...op, duplicates: new Map(op.duplicates as unknown as [string, readonly Repeated[]][]) }
}

export function encodeReply(reply: Reply): Bytes {
  switch (reply.kind) {
    case 'answer': {
      const { answer, ...rest } = reply
      const { object, stored, line: _, ...said } = answer
      if (stored === undefined) return replyOf({ ...rest, answer: { ...said, object } })
      return replyOf({ ...rest, answer: said }, servedLine(stored))
    }
    case 'refused': {
      const { error, ...rest } = reply
      return replyOf({ ...rest, status: statusOf(error) })
    }
    case 'not-leader':
      return replyOf({ kind: 'not-leader' })
  }
}

function replyOf(head: object, line: Bytes = new Uint8Array(0)): Bytes {
  const text = utf8(JSON.stringify({ version, ...head }))
  const length = new Uint8Array(lengthBytes)
  new DataView(length.buffer).setUint32(0, text.length)
  return concat([length, text, line])
}

export function decodeReply(bytes: Bytes): Reply {
  const { message, line } = partsOf(bytes)
  if (message['version'] === version) {
    const annotations = (message['annotations'] ?? []) as unknown as readonly Annotation[]
    switch (message['kind']) {
      case 'answer':
        return { kind: 'answer', answer: answerOf(message['answer'] as unknown as Answer, line), annotations }
      case 'refused': {
        const status = message['status'] as unknown as Parameters<typeof errorOf>[0]
        return {
          kind: 'refused',
          error: errorOf(status),
          revision: Number(message['revision']),
          annotations,
          warnings: (message['warnings'] ?? []) as unknown as readonly string[],
        }
      }
      case 'not-leader':
        return { kind: 'not-leader' }
    }
  }
  throw new ApiError('InternalError', 'the leader answered in a form that this version does not know')
}

function partsOf(bytes: Bytes) {
  const length = bytes.length < lengthBytes ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  const end = lengthBytes + length
  return { message: parsed(bytes.subarray(lengthBytes, end)), line: bytes.subarray(end) }
}

/** Most who asked are shown the line as it is. */
function answerOf(answer: Answer, line: Bytes): Answer {
  if (line.length === 0) return answer
  let object: Json | undefined
  return {
    ...answer,
    line,
    get object() {
      object ??= parseExact(text(line)) as Json
      return object
    },
  }
}

function parsed(bytes: Bytes): { readonly [key: string]: Json } {
  try {
    return parseExact(text(bytes)) as { readonly [key: string]: Json }
  } catch (error) {
    throw new ApiError('BadRequest', 'a peer sent what is no JSON', undefined, { cause: error })
  }
}
