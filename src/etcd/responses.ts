// Answers of etcd's KV service, to bytes. A message inside of another needs its length first, hence the functions named
// `size`: they must agree with the writers beside them, byte for byte, and test/etcd/responses.test.ts holds them to it.
import type { KeyValue, Revision } from '../kv/store.ts'
import type { Bytes } from '../lib/bytes.ts'
import { varintLength, type WireWriter } from './wire.ts'

/** What stands in the header of every answer. */
export class HeaderWriter {
  /** Cluster and member. */
  readonly #ids: Bytes
  #term = 0
  #termBytes: Bytes = new Uint8Array(0)

  constructor(clusterId: bigint, memberId: bigint) {
    this.#ids = Uint8Array.from([8, ...varintOf(clusterId), 16, ...varintOf(memberId)])
    this.term = 1
  }

  set term(term: number) {
    if (term === this.#term) return
    this.#term = term
    this.#termBytes = Uint8Array.from([32, ...varintOf(BigInt(term))])
  }

  get term(): number {
    return this.#term
  }

  write(out: WireWriter, revision: Revision): void {
    const ids = this.#ids
    const term = this.#termBytes
    out.reserve(2 + ids.length + 11 + term.length)
    const { buffer } = out
    const lengthAt = out.at + 1
    let at = out.at
    buffer[at++] = 10
    // The whole is far below 128 bytes, so its length is one.
    at++
    for (let i = 0; i < ids.length; i++) buffer[at++] = ids[i] ?? 0
    buffer[at++] = 24
    let rest = revision
    while (rest >= 0x80) {
      buffer[at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    buffer[at++] = rest
    for (let i = 0; i < term.length; i++) buffer[at++] = term[i] ?? 0
    buffer[lengthAt] = at - lengthAt - 1
    out.at = at
  }
}

function varintOf(value: bigint): number[] {
  const octets: number[] = []
  while (value >= 0x80n) {
    octets.push(Number(value & 0x7fn) | 0x80)
    value >>= 7n
  }
  octets.push(Number(value))
  return octets
}

const numberSize = (value: number) => (value === 0 ? 0 : 1 + varintLength(value))
const textSize = (length: number) => (length === 0 ? 0 : 1 + varintLength(length) + length)
const messageSize = (length: number) => 1 + varintLength(length) + length

export function keyValueSize(item: KeyValue, withValue: boolean): number {
  return (
    textSize(item.key.length) +
    numberSize(item.createRevision) +
    numberSize(item.modRevision) +
    numberSize(item.version) +
    (withValue ? textSize(item.value.length) : 0) +
    numberSize(item.lease)
  )
}

/** mvccpb.KeyValue in a field below 16. */
export function writeKeyValue(out: WireWriter, field: number, item: KeyValue, withValue = true): void {
  out.open(field, keyValueSize(item, withValue))
  out.text(1, item.key)
  out.number(2, item.createRevision)
  out.number(3, item.modRevision)
  out.number(4, item.version)
  if (withValue) out.text(5, item.value)
  out.number(6, item.lease)
}

/** What a RangeResponse says beside its header. */
export type RangeReply = {
  readonly items: readonly KeyValue[]
  readonly count: number
  readonly more: boolean
  readonly keysOnly: boolean
}

export function writeRange(out: WireWriter, reply: RangeReply): void {
  for (const item of reply.items) writeKeyValue(out, 2, item, !reply.keysOnly)
  out.boolean(3, reply.more)
  out.number(4, reply.count)
}

function rangeSize({ items, count, more, keysOnly }: RangeReply): number {
  let size = (more ? 2 : 0) + numberSize(count)
  for (const item of items) size += messageSize(keyValueSize(item, !keysOnly))
  return size
}

export function writeDelete(out: WireWriter, count: number, previous: readonly KeyValue[]): void {
  out.number(2, count)
  for (const item of previous) writeKeyValue(out, 3, item)
}

/** The answers of a transaction as etcd tells them: each operation with a header that has a revision alone. */
export type OperationReply =
  | ({ readonly kind: 'range'; readonly revision: Revision } & RangeReply)
  | { readonly kind: 'put'; readonly revision: Revision; readonly previous: KeyValue | undefined }
  | {
      readonly kind: 'delete'
      readonly revision: Revision
      readonly count: number
      readonly previous: readonly KeyValue[]
    }
  | {
      readonly kind: 'txn'
      readonly revision: Revision
      readonly succeeded: boolean
      readonly replies: OperationReply[]
    }

const operationField = { range: 1, put: 2, delete: 3, txn: 4 } as const

/** All of a TxnResponse but its header. */
export function writeTxn(out: WireWriter, succeeded: boolean, replies: readonly OperationReply[]): void {
  out.boolean(2, succeeded)
  for (const reply of replies) {
    const size = replySize(reply)
    out.open(3, messageSize(size))
    out.open(operationField[reply.kind], size)
    out.open(1, numberSize(reply.revision))
    out.number(3, reply.revision)
    if (reply.kind === 'range') writeRange(out, reply)
    else if (reply.kind === 'put') {
      if (reply.previous !== undefined) writeKeyValue(out, 2, reply.previous)
    } else if (reply.kind === 'delete') writeDelete(out, reply.count, reply.previous)
    else writeTxn(out, reply.succeeded, reply.replies)
  }
}

function replySize(reply: OperationReply): number {
  const header = messageSize(numberSize(reply.revision))
  switch (reply.kind) {
    case 'range':
      return header + rangeSize(reply)
    case 'put':
      return header + (reply.previous === undefined ? 0 : messageSize(keyValueSize(reply.previous, true)))
    case 'delete':
      return (
        header +
        numberSize(reply.count) +
        reply.previous.reduce((sum, item) => sum + messageSize(keyValueSize(item, true)), 0)
      )
    case 'txn':
      return (
        header +
        (reply.succeeded ? 2 : 0) +
        reply.replies.reduce((sum, inner) => sum + messageSize(messageSize(replySize(inner))), 0)
      )
  }
}
