// etcd's v3 API as the nemesis speaks it: requests of a history as bytes, answers as responses of a history. Pure; the field
// numbers are those of etcd's rpc.proto and kv.proto. Keys and values are ASCII.
import { bytes, Fields, message, number, varint } from '../bench/kv/protobuf.ts'
import type {
  Compare,
  Comparison,
  GetRequest,
  ItemsResponse,
  KeyValue,
  RangeRequest,
  Request,
  Response,
  Step,
  StepResponse,
} from '../check/history.ts'
import type { WatchAnswer, WatchEvent, WatchRequest } from '../check/watches.ts'

export const paths = {
  watch: '/etcdserverpb.Watch/Watch',
  status: '/etcdserverpb.Maintenance/Status',
  hash: '/etcdserverpb.Maintenance/HashKV',
  alarm: '/etcdserverpb.Maintenance/Alarm',
  members: '/etcdserverpb.Cluster/MemberList',
  addMember: '/etcdserverpb.Cluster/MemberAdd',
  removeMember: '/etcdserverpb.Cluster/MemberRemove',
  promoteMember: '/etcdserverpb.Cluster/MemberPromote',
}

const kvPaths = {
  put: '/etcdserverpb.KV/Put',
  get: '/etcdserverpb.KV/Range',
  range: '/etcdserverpb.KV/Range',
  delete: '/etcdserverpb.KV/DeleteRange',
  txn: '/etcdserverpb.KV/Txn',
  compact: '/etcdserverpb.KV/Compact',
}
export const pathOf = (request: Request) => kvPaths[request.kind]

const text = (field: number, value: string) => bytes(field, Buffer.from(value, 'latin1'))
/** Absent when 0 or false, as proto3 wants it. */
const optional = (field: number, value: number | boolean) => (value ? [number(field, Number(value))] : [])

/** The first key after all that begin with the prefix; `\0` for the empty prefix means: all keys. */
function prefixEnd(prefix: string): string {
  if (prefix === '') return '\0'
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
}
/** An empty key cannot be asked for: the first key there can be stands for it. */
const firstKey = (prefix: string) => prefix || '\0'

export function encodeRequest(request: Request): Buffer {
  switch (request.kind) {
    case 'txn':
      return Buffer.concat([
        ...request.compare.map(compare => message(1, encodeCompare(compare))),
        ...request.success.map(step => message(2, encodeStep(step))),
        ...request.failure.map(step => message(3, encodeStep(step))),
      ])
    case 'compact':
      return number(1, request.revision)
    case 'put':
    case 'delete':
    case 'get':
    case 'range':
      return encodePlain(request)
  }
}

function encodePlain(step: Step): Buffer {
  switch (step.kind) {
    case 'put':
      return Buffer.concat([text(1, step.key), text(2, step.value)])
    case 'delete':
      return text(1, step.key)
    case 'get':
      return Buffer.concat([text(1, step.key), ...encodeReadOptions(step)])
    case 'range':
      return Buffer.concat([
        text(1, firstKey(step.prefix)),
        text(2, prefixEnd(step.prefix)),
        ...encodeReadOptions(step),
      ])
  }
}

const encodeReadOptions = ({ revision = 0, serializable = false }: GetRequest | RangeRequest) => [
  ...optional(4, revision),
  ...optional(7, serializable),
]

function encodeStep(step: Step): Buffer {
  const field = step.kind === 'put' ? 2 : step.kind === 'delete' ? 3 : 1
  return message(field, encodePlain(step))
}

const results: Readonly<Record<Comparison, number>> = { '=': 0, '>': 1, '<': 2, '!=': 3 }
const targets = { version: 0, create: 1, mod: 2, value: 3 }

function encodeCompare(compare: Compare): Buffer {
  const target = targets[compare.target]
  const than = compare.target === 'value' ? text(7, compare.than) : number(4 + target, compare.than)
  return Buffer.concat([number(1, results[compare.is]), number(2, target), text(3, compare.key), than])
}

export function decodeResponse(request: Request, answer: Buffer): Response {
  const fields = new Fields(answer, 0, answer.length)
  let revision = 0
  let succeeded = false
  const steps: Buffer[] = []
  while (fields.next()) {
    if (fields.field === 1) revision = decodeHeader(fields.bytes()).revision
    else if (request.kind === 'txn' && fields.field === 2) succeeded = fields.value === 1
    else if (request.kind === 'txn' && fields.field === 3) steps.push(fields.bytes())
  }
  switch (request.kind) {
    case 'put':
    case 'compact':
      return { kind: request.kind, revision }
    case 'delete':
      return { kind: 'delete', revision, deleted: decodeDeleted(answer) }
    case 'get':
    case 'range':
      return { kind: 'items', revision, items: decodeItems(answer) }
    case 'txn': {
      const asked = succeeded ? request.success : request.failure
      return { kind: 'txn', revision, succeeded, steps: steps.map((step, i) => decodeStep(asked[i], step)) }
    }
  }
}

function decodeStep(asked: Step | undefined, answer: Buffer): StepResponse {
  const fields = new Fields(answer, 0, answer.length)
  if (asked === undefined || !fields.next()) throw new Error('a transaction came back with more steps than it has')
  const inner = fields.bytes()
  if (fields.field === 1) return { kind: 'items', revision: 0, items: decodeItems(inner) }
  if (fields.field === 2) return { kind: 'put', revision: 0 }
  return { kind: 'delete', revision: 0, deleted: decodeDeleted(inner) }
}

function decodeItems(answer: Buffer): ItemsResponse['items'] {
  const fields = new Fields(answer, 0, answer.length)
  const items: KeyValue[] = []
  while (fields.next()) if (fields.field === 2) items.push(decodeKeyValue(fields.bytes()))
  return items
}

function decodeDeleted(answer: Buffer): number {
  const fields = new Fields(answer, 0, answer.length)
  while (fields.next()) if (fields.field === 2) return fields.value
  return 0
}

function decodeKeyValue(from: Buffer): KeyValue {
  const fields = new Fields(from, 0, from.length)
  let [key, value, createRevision, modRevision, version] = ['', '', 0, 0, 0]
  while (fields.next()) {
    if (fields.field === 1) key = fields.bytes().toString('latin1')
    else if (fields.field === 2) createRevision = fields.value
    else if (fields.field === 3) modRevision = fields.value
    else if (fields.field === 4) version = fields.value
    else if (fields.field === 5) value = fields.bytes().toString('latin1')
  }
  return { key, value, createRevision, modRevision, version }
}

export type Header = { readonly member: string; readonly revision: number }

function decodeHeader(from: Buffer): Header {
  const fields = new Fields(from, 0, from.length)
  let [member, revision] = ['0', 0]
  while (fields.next()) {
    if (fields.field === 2) member = fields.big()
    else if (fields.field === 3) revision = fields.value
  }
  return { member, revision }
}

export function encodeWatch({ range, start, previous, without }: WatchRequest): Buffer {
  const keys =
    'key' in range ? [text(1, range.key)] : [text(1, firstKey(range.prefix)), text(2, prefixEnd(range.prefix))]
  const filters = without === 'nothing' ? [] : [number(5, without === 'puts' ? 0 : 1)]
  return message(1, ...keys, ...optional(3, start), ...filters, ...optional(6, previous), number(8, 1))
}

/** Asks for a bookmark now. */
export const progressRequest = message(3)

/** `isMore`: the rest of the message comes in further fragments. */
export function decodeWatchAnswer(from: Buffer, time: number): { answer: WatchAnswer; isMore: boolean } {
  const fields = new Fields(from, 0, from.length)
  let [revision, compacted, isOpened, isEnded, isMore] = [0, 0, false, false, false]
  const events: WatchEvent[] = []
  while (fields.next()) {
    if (fields.field === 1) revision = decodeHeader(fields.bytes()).revision
    else if (fields.field === 3) isOpened = fields.value === 1
    else if (fields.field === 4) isEnded = fields.value === 1
    else if (fields.field === 5) compacted = fields.value
    else if (fields.field === 7) isMore = fields.value === 1
    else if (fields.field === 11) events.push(decodeEvent(fields.bytes()))
  }
  const answer = (): WatchAnswer => {
    if (compacted > 0) return { kind: 'compacted', time, revision: compacted }
    if (isEnded) return { kind: 'ended', time }
    if (isOpened) return { kind: 'opened', time, revision }
    return events.length > 0 ? { kind: 'events', time, revision, events } : { kind: 'bookmark', time, revision }
  }
  return { answer: answer(), isMore }
}

function decodeEvent(from: Buffer): WatchEvent {
  const fields = new Fields(from, 0, from.length)
  let isDelete = false
  let item: KeyValue | undefined
  let before: KeyValue | undefined
  while (fields.next()) {
    if (fields.field === 1) isDelete = fields.value === 1
    else if (fields.field === 2) item = decodeKeyValue(fields.bytes())
    else if (fields.field === 3) before = decodeKeyValue(fields.bytes())
  }
  if (item === undefined) throw new Error('an event came without a key')
  const previous = before === undefined ? {} : { previous: before }
  return isDelete
    ? { kind: 'delete', key: item.key, revision: item.modRevision, ...previous }
    : { kind: 'put', item, ...previous }
}

export type Status = {
  readonly member: string
  readonly revision: number
  /** '0': it knows of none. */
  readonly leader: string
  readonly term: number
  readonly isLearner: boolean
}

export function decodeStatus(from: Buffer): Status {
  const fields = new Fields(from, 0, from.length)
  let header: Header = { member: '0', revision: 0 }
  let [leader, term, isLearner] = ['0', 0, false]
  while (fields.next()) {
    if (fields.field === 1) header = decodeHeader(fields.bytes())
    else if (fields.field === 4) leader = fields.big()
    else if (fields.field === 6) term = fields.value
    else if (fields.field === 10) isLearner = fields.value === 1
  }
  return { ...header, leader, term, isLearner }
}

export const encodeHash = (revision: number) => number(1, revision)

export function decodeHash(from: Buffer): { hash: number; compacted: number } {
  const fields = new Fields(from, 0, from.length)
  let [hash, compacted] = [0, 0]
  while (fields.next()) {
    if (fields.field === 2) hash = fields.value
    else if (fields.field === 3) compacted = fields.value
  }
  return { hash, compacted }
}

/** Takes back the alarm "no space" of every member. */
export const disarmRequest = Buffer.concat([number(1, 2), number(3, 1)])

const big = (field: number, value: string): Buffer => {
  const parts: number[] = []
  let left = BigInt(value)
  for (; left >= 128n; left >>= 7n) parts.push(Number(left & 0x7fn) | 0x80)
  return Buffer.concat([varint(field * 8), Buffer.from([...parts, Number(left)])])
}

export const encodeMemberId = (member: string) => big(1, member)
export const encodeAddLearner = (peerUrl: string) => Buffer.concat([text(1, peerUrl), number(2, 1)])

export type ClusterMember = { readonly member: string; readonly name: string; readonly isLearner: boolean }

/** Of the answers to MemberList and MemberAdd: members stand in different fields. */
export function decodeMembers(from: Buffer, field: number): ClusterMember[] {
  const fields = new Fields(from, 0, from.length)
  const members: ClusterMember[] = []
  while (fields.next()) {
    if (fields.field !== field) continue
    const inner = new Fields(from, fields.start, fields.end)
    let [member, name, isLearner] = ['0', '', false]
    while (inner.next()) {
      if (inner.field === 1) member = inner.big()
      else if (inner.field === 2) name = inner.bytes().toString('latin1')
      else if (inner.field === 5) isLearner = inner.value === 1
    }
    members.push({ member, name, isLearner })
  }
  return members
}
