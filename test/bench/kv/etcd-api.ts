// The part of etcd's v3 API that the load needs: requests as bytes and what of the answers is looked at. The numbers
// are those of etcd's rpc.proto and kv.proto.
import { bytes, Fields, message, number } from './protobuf.ts'

export const paths = {
  put: '/etcdserverpb.KV/Put',
  range: '/etcdserverpb.KV/Range',
  txn: '/etcdserverpb.KV/Txn',
  watch: '/etcdserverpb.Watch/Watch',
  status: '/etcdserverpb.Maintenance/Status',
}

export const putRequest = (key: Uint8Array, value: Uint8Array): Buffer =>
  Buffer.concat([bytes(1, key), bytes(2, value)])

export type RangeOptions = {
  /** Every key that begins with `key`, not `key` alone. */
  readonly prefix?: boolean
  readonly serializable?: boolean
  readonly keysOnly?: boolean
}

export function rangeRequest(key: Uint8Array, options: RangeOptions = {}): Buffer {
  const { prefix = false, serializable = false, keysOnly = false } = options
  return Buffer.concat([
    bytes(1, key),
    ...(prefix ? [bytes(2, prefixEnd(key))] : []),
    ...(serializable ? [number(7, 1)] : []),
    ...(keysOnly ? [number(8, 1)] : []),
  ])
}

/** What a Kubernetes API server sends to create an object: put if no revision ever touched the key, else get it. */
export function createRequest(key: Uint8Array, value: Uint8Array): Buffer {
  const equal = 0
  const modRevision = 2
  const compare = message(1, number(1, equal), number(2, modRevision), bytes(3, key), number(6, 0))
  return Buffer.concat([compare, message(2, message(2, putRequest(key, value))), message(3, message(1, bytes(1, key)))])
}

export const watchCreateRequest = (prefix: Uint8Array, watchId: number): Buffer =>
  message(1, bytes(1, prefix), bytes(2, prefixEnd(prefix)), number(7, watchId))

/** The first key after all that begin with `prefix`, which must not end in 0xff. */
export function prefixEnd(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1
  return end
}

export type KeyValue = { readonly key: string; readonly value: Buffer; readonly modRevision: number }

export function readKeyValue(buffer: Buffer, start: number, end: number): KeyValue {
  const fields = new Fields(buffer, start, end)
  let key = ''
  let value: Buffer = Buffer.alloc(0)
  let modRevision = 0
  while (fields.next()) {
    if (fields.field === 1) key = fields.bytes().toString('latin1')
    else if (fields.field === 3) modRevision = fields.value
    else if (fields.field === 5) value = fields.bytes()
  }
  return { key, value, modRevision }
}

export type RangeResponse = { readonly keyValues: readonly KeyValue[]; readonly count: number }

/** The values share the memory of `buffer`. */
export function readRangeResponse(buffer: Buffer, start: number, end: number): RangeResponse {
  const fields = new Fields(buffer, start, end)
  const keyValues: KeyValue[] = []
  let count = 0
  while (fields.next()) {
    if (fields.field === 2) keyValues.push(readKeyValue(buffer, fields.start, fields.end))
    else if (fields.field === 4) count = fields.value
  }
  return { keyValues, count }
}

export function readTxnSucceeded(buffer: Buffer, start: number, end: number): boolean {
  const fields = new Fields(buffer, start, end)
  while (fields.next()) if (fields.field === 2) return fields.value === 1
  return false
}

export type Status = {
  /** IDs are 64 bits, in decimal. `leader` is '0' when the member knows of none. */
  readonly member: string
  readonly leader: string
  readonly version: string
  readonly term: number
}

export function readStatus(buffer: Buffer, start: number, end: number): Status {
  const fields = new Fields(buffer, start, end)
  let [member, leader, version, term] = ['0', '0', '', 0]
  while (fields.next()) {
    if (fields.field === 1) {
      const header = new Fields(buffer, fields.start, fields.end)
      while (header.next()) if (header.field === 2) member = header.big()
    } else if (fields.field === 2) version = fields.bytes().toString()
    else if (fields.field === 4) leader = fields.big()
    else if (fields.field === 6) term = fields.value
  }
  return { member, leader, version, term }
}
