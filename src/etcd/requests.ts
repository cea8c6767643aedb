// Requests of etcd's KV service, from their bytes (etcd's rpc.proto has the same names and numbers). A message that
// cannot be read is `undefined`. Unknown fields are passed over, as protocol buffers want it.
import type { Bytes } from '../lib/bytes.ts'
import { WireReader } from './wire.ts'

export const sortOrder = { none: 0, ascend: 1, descend: 2 } as const
export const sortTarget = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const

/** `end` is as it was sent: '' for one key, '\0' for all from `key` on. */
export type RangeRequest = {
  kind: 'range'
  key: string
  end: string
  limit: number
  revision: number
  order: number
  target: number
  serializable: boolean
  keysOnly: boolean
  countOnly: boolean
  minModRevision: number
  maxModRevision: number
  minCreateRevision: number
  maxCreateRevision: number
}

export type PutRequest = {
  kind: 'put'
  key: string
  value: string
  lease: number
  previous: boolean
  ignoreValue: boolean
  ignoreLease: boolean
}

export type DeleteRequest = { kind: 'delete'; key: string; end: string; previous: boolean }

export const compareResult = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const
export const compareTarget = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const

export type CompareRequest = {
  result: number
  target: number
  key: string
  end: string
  number: number
  value: string
}

export type OperationRequest = RangeRequest | PutRequest | DeleteRequest | TxnRequest | { kind: 'none' }

export type TxnRequest = {
  kind: 'txn'
  compare: CompareRequest[]
  success: OperationRequest[]
  failure: OperationRequest[]
}

/** Transactions in transactions in transactions; deeper than anybody means. */
const depthMax = 32

export function readRange(bytes: Bytes, start: number, end: number): RangeRequest | undefined {
  const reader = new WireReader(bytes, start, end)
  const request = rangeOf(reader)
  return reader.ok ? request : undefined
}

export function readPut(bytes: Bytes, start: number, end: number): PutRequest | undefined {
  const reader = new WireReader(bytes, start, end)
  const request = putOf(reader)
  return reader.ok ? request : undefined
}

export function readDelete(bytes: Bytes, start: number, end: number): DeleteRequest | undefined {
  const reader = new WireReader(bytes, start, end)
  const request = deleteOf(reader)
  return reader.ok ? request : undefined
}

export function readTxn(bytes: Bytes, start: number, end: number): TxnRequest | undefined {
  const reader = new WireReader(bytes, start, end)
  const request = txnOf(reader, 0)
  return reader.ok ? request : undefined
}

/** Revision up to which the history goes. `physical` only says when to answer. */
export function readCompaction(bytes: Bytes, start: number, end: number): { revision: number } | undefined {
  const reader = new WireReader(bytes, start, end)
  let revision = 0
  while (reader.next()) {
    if (reader.field === 1) revision = reader.number()
    else reader.skip()
  }
  return reader.ok ? { revision } : undefined
}

function rangeOf(reader: WireReader): RangeRequest {
  const request: RangeRequest = {
    kind: 'range',
    key: '',
    end: '',
    limit: 0,
    revision: 0,
    order: 0,
    target: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  }
  while (reader.next()) {
    if (reader.field === 1) request.key = reader.text()
    else if (reader.field === 2) request.end = reader.text()
    else if (reader.field === 3) request.limit = reader.number()
    else if (reader.field === 4) request.revision = reader.number()
    else if (reader.field === 5) request.order = reader.number()
    else if (reader.field === 6) request.target = reader.number()
    else if (reader.field === 7) request.serializable = reader.boolean()
    else if (reader.field === 8) request.keysOnly = reader.boolean()
    else if (reader.field === 9) request.countOnly = reader.boolean()
    else if (reader.field === 10) request.minModRevision = reader.number()
    else if (reader.field === 11) request.maxModRevision = reader.number()
    else if (reader.field === 12) request.minCreateRevision = reader.number()
    else if (reader.field === 13) request.maxCreateRevision = reader.number()
    else reader.skip()
  }
  return request
}

function putOf(reader: WireReader): PutRequest {
  const request: PutRequest = {
    kind: 'put',
    key: '',
    value: '',
    lease: 0,
    previous: false,
    ignoreValue: false,
    ignoreLease: false,
  }
  while (reader.next()) {
    if (reader.field === 1) request.key = reader.text()
    else if (reader.field === 2) request.value = reader.text()
    else if (reader.field === 3) request.lease = reader.number()
    else if (reader.field === 4) request.previous = reader.boolean()
    else if (reader.field === 5) request.ignoreValue = reader.boolean()
    else if (reader.field === 6) request.ignoreLease = reader.boolean()
    else reader.skip()
  }
  return request
}

function deleteOf(reader: WireReader): DeleteRequest {
  const request: DeleteRequest = { kind: 'delete', key: '', end: '', previous: false }
  while (reader.next()) {
    if (reader.field === 1) request.key = reader.text()
    else if (reader.field === 2) request.end = reader.text()
    else if (reader.field === 3) request.previous = reader.boolean()
    else reader.skip()
  }
  return request
}

function txnOf(reader: WireReader, depth: number): TxnRequest {
  const request: TxnRequest = { kind: 'txn', compare: [], success: [], failure: [] }
  if (depth > depthMax) reader.fail()
  while (reader.next()) {
    if (reader.field < 1 || reader.field > 3) {
      reader.skip()
      continue
    }
    const { field } = reader
    const inner = reader.message()
    if (field === 1) request.compare.push(compareOf(inner))
    else if (field === 2) request.success.push(operationOf(inner, depth))
    else request.failure.push(operationOf(inner, depth))
    if (!inner.ok) reader.fail()
  }
  return request
}

function operationOf(reader: WireReader, depth: number): OperationRequest {
  let operation: OperationRequest = { kind: 'none' }
  while (reader.next()) {
    if (reader.field < 1 || reader.field > 4) {
      reader.skip()
      continue
    }
    const { field } = reader
    const inner = reader.message()
    // Of a oneof that is set twice, the last holds.
    if (field === 1) operation = rangeOf(inner)
    else if (field === 2) operation = putOf(inner)
    else if (field === 3) operation = deleteOf(inner)
    else operation = txnOf(inner, depth + 1)
    if (!inner.ok) reader.fail()
  }
  return operation
}

function compareOf(reader: WireReader): CompareRequest {
  const compare: CompareRequest = { result: 0, target: 0, key: '', end: '', number: 0, value: '' }
  while (reader.next()) {
    if (reader.field === 1) compare.result = reader.number()
    else if (reader.field === 2) compare.target = reader.number()
    else if (reader.field === 3) compare.key = reader.text()
    else if (reader.field === 7) compare.value = reader.text()
    else if (reader.field >= 4 && reader.field <= 8) compare.number = reader.number()
    else if (reader.field === 64) compare.end = reader.text()
    else reader.skip()
  }
  return compare
}
