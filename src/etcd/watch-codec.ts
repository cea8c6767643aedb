// Watch messages by hand: requests from bytes, and events to bytes that any number of watchers share.
import type { ChangeEvent, KeyValue, Revision } from '../kv/store.ts'
import type { Bytes } from '../lib/bytes.ts'
import { keyValueSize, writeKeyValue } from './responses.ts'
import { varintLength, WireReader, type WireWriter } from './wire.ts'

export type WatchCreate = {
  kind: 'create'
  key: string
  end: string
  startRevision: number
  progressNotify: boolean
  noPut: boolean
  noDelete: boolean
  previous: boolean
  /** 0: choose one. */
  id: number
  fragment: boolean
}

export type WatchRequest =
  | WatchCreate
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'progress' }
  | { readonly kind: 'none' }

/** Undefined when it cannot be read. */
export function readWatch(bytes: Bytes, start: number, end: number): WatchRequest | undefined {
  const reader = new WireReader(bytes, start, end)
  let request: WatchRequest = { kind: 'none' }
  while (reader.next()) {
    const { field } = reader
    if (field < 1 || field > 3) {
      reader.skip()
      continue
    }
    const inner = reader.message()
    if (field === 1) request = createOf(inner)
    else if (field === 2) request = cancelOf(inner)
    else request = { kind: 'progress' }
    if (!inner.ok) reader.fail()
  }
  return reader.ok ? request : undefined
}

function createOf(reader: WireReader): WatchCreate {
  const create: WatchCreate = {
    kind: 'create',
    key: '',
    end: '',
    startRevision: 0,
    progressNotify: false,
    noPut: false,
    noDelete: false,
    previous: false,
    id: 0,
    fragment: false,
  }
  while (reader.next()) {
    if (reader.field === 1) create.key = reader.text()
    else if (reader.field === 2) create.end = reader.text()
    else if (reader.field === 3) create.startRevision = reader.number()
    else if (reader.field === 4) create.progressNotify = reader.boolean()
    else if (reader.field === 5) readFilters(reader, create)
    else if (reader.field === 6) create.previous = reader.boolean()
    else if (reader.field === 7) create.id = reader.number()
    else if (reader.field === 8) create.fragment = reader.boolean()
    else reader.skip()
  }
  return create
}

const noPut = 0
const noDelete = 1

/** Repeated numbers come packed into one value, or each in a field of its own. */
function readFilters(reader: WireReader, create: WatchCreate): void {
  const packed = reader.type === 2 ? reader.message() : undefined
  do {
    const filter = (packed ?? reader).number()
    if (filter === noPut) create.noPut = true
    if (filter === noDelete) create.noDelete = true
  } while (packed !== undefined && packed.at < packed.end)
  if (packed !== undefined && !packed.ok) reader.fail()
}

function cancelOf(reader: WireReader): WatchRequest {
  let id = 0
  while (reader.next()) {
    if (reader.field === 1) id = reader.number()
    else reader.skip()
  }
  return { kind: 'cancel', id }
}

export function revisionOf(event: ChangeEvent): Revision {
  return event.kind === 'put' ? event.current.modRevision : event.revision
}

const eventsTag = (11 << 3) | 2
const typeSize = 2

/** One event as a WatchResponse holds it, tag and length included. A deleted key has nothing but its revision. */
export function writeEvent(out: WireWriter, event: ChangeEvent, withPrevious: boolean): void {
  const item = event.kind === 'put' ? event.current : deleted(event.key, event.revision)
  const previous = withPrevious ? event.previous : undefined
  const itemSize = keyValueSize(item, true)
  const previousSize = previous === undefined ? 0 : keyValueSize(previous, true)
  const size =
    (event.kind === 'put' ? 0 : typeSize) +
    (1 + varintLength(itemSize) + itemSize) +
    (previous === undefined ? 0 : 1 + varintLength(previousSize) + previousSize)
  out.octet(eventsTag)
  out.varint(size)
  out.boolean(1, event.kind === 'delete')
  writeKeyValue(out, 2, item)
  if (previous !== undefined) writeKeyValue(out, 3, previous)
}

function deleted(key: string, revision: Revision): KeyValue {
  return { key, value: '', createRevision: 0, modRevision: revision, version: 0, lease: 0 }
}

/** What a WatchResponse says beside its header, its watch and its events. */
export type WatchNews = {
  readonly created?: boolean
  readonly canceled?: boolean
  readonly compactRevision?: Revision
  readonly cancelReason?: string
  readonly fragment?: boolean
}

export function writeNews(out: WireWriter, id: number, news: WatchNews): void {
  out.number(2, id)
  out.boolean(3, news.created === true)
  out.boolean(4, news.canceled === true)
  out.number(5, news.compactRevision ?? 0)
  out.text(6, news.cancelReason ?? '')
  out.boolean(7, news.fragment === true)
}
