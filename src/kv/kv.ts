// What the log is applied to: a key-value store with one revision, transactions, leases, and the history of the last
// changes. `apply` is total on any bytes and deterministic: the same entries give the same answers, the same state, the
// same history and the same `hash` on every replica. Called by store/run.ts; answers nothing before it is applied.
import { assert } from '../lib/assert.ts'
import { ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'
import { type Decoded, decodeCommand } from './codec.ts'
import { Done } from './done.ts'
import { Draft, Failed, putAlone } from './draft.ts'
import { freeLease, grantedSeconds, type Leases } from './leases.ts'
import { tombstone } from './record.ts'
import type { ChangeEvent, Revision, Write, WriteResult } from './store.ts'
import type { LeaseId, Outcome } from './txn.ts'
import { applyTxn, failed } from './txn-apply.ts'
import { type Image, Versions } from './versions.ts'

/** A store starts at 1, as etcd does: 0 means "any" to those who watch. */
export const firstRevision = 1

export type Kv = {
  readonly versions: Versions
  readonly leases: Leases
  readonly done: Done
  revision: Revision
  /** The last entry applied, and its term. */
  index: number
  term: number
  /** Chained over every applied entry and what it did. Equal on replicas that applied the same up to `index`. */
  hash: number
}

export type Applied = {
  readonly answer:
    | Outcome
    /** There was no command. */
    | { readonly kind: 'idle' }
    /** Not a command. Nothing happened. */
    | { readonly kind: 'malformed' }
    /** A command of a newer program: this replica cannot follow and must stop before it disagrees with the others. */
    | { readonly kind: 'unsupported' }
  readonly events: readonly ChangeEvent[]
}

/** What a snapshot or the applied state on disk holds. */
export type KvImage = Image & {
  readonly revision: Revision
  readonly index: number
  readonly term: number
  readonly hash: number
  /** Oldest first. */
  readonly done: readonly (readonly [id: string, revision: Revision])[]
  readonly doneTotal: number
  readonly leases: readonly (readonly [lease: LeaseId, ttlSeconds: number])[]
}

const blank: KvImage = {
  revision: firstRevision,
  index: 0,
  term: 0,
  hash: 0,
  done: [],
  doneTotal: 0,
  leases: [],
  start: 0,
  compacted: 0,
  base: [],
  baseRevision: 0,
  changes: [],
}

export function createKv(): Kv {
  return restoreKv(blank)
}

export function restoreKv(image: KvImage): Kv {
  const steps = restoring(image)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** About a millisecond of work. */
const sliceCount = 500

/** The same in slices, for who must do other things in between. */
export function* restoring(image: KvImage): Generator<undefined, Kv, undefined> {
  const { revision, index, term, hash, base, changes } = image
  const versions = new Versions(image.baseRevision)
  for (const [i, item] of base.entries()) {
    versions.addBase(item)
    if (i % sliceCount === sliceCount - 1) yield
  }
  for (const [i, item] of changes.entries()) {
    versions.push(item, versions.slot(item.key))
    if (i % sliceCount === sliceCount - 1) yield
  }
  versions.settle(image)
  const leases: Leases = new Map(
    image.leases.map(([lease, ttlSeconds]) => [lease, { ttlSeconds, keys: new Set<string>() }]),
  )
  for (const { lease, key } of versions.leased()) leases.get(lease)?.keys.add(key)
  return { versions, leases, done: new Done(image.done, image.doneTotal), revision, index, term, hash }
}

/** All but the keys. */
export type KvHead = Omit<KvImage, 'base' | 'baseRevision' | 'changes'>

/** A picture of the state as it is now; later applies do not change it. */
export function captureKv(kv: Kv): KvImage {
  return { ...captureHead(kv), ...kv.versions.image() }
}

export function captureHead({ versions, leases, done, revision, index, term, hash }: Kv): KvHead {
  return {
    revision,
    index,
    term,
    hash,
    start: versions.start,
    compacted: versions.compacted,
    done: done.all(),
    doneTotal: done.total,
    leases: [...leases].map(([lease, { ttlSeconds }]) => [lease, ttlSeconds]),
  }
}

export type AppliedEntry = {
  readonly index: number
  readonly term: number
  /** An empty entry or a membership has none. */
  readonly command: Bytes | undefined
}

/** Applies the entry after the last one. Only who asked wants answers; what happens is the same without. */
export function apply(kv: Kv, entry: AppliedEntry, wantsAnswer: boolean): Applied {
  kv.index = entry.index
  kv.term = entry.term
  if (entry.command === undefined) {
    kv.hash = chainFirst(kv, entry, outcomes.done, noEvents)
    return { answer: { kind: 'idle' }, events: noEvents }
  }
  const command = decodeCommand(entry.command)
  if (command.kind === 'first') return applyFirst(kv, entry, command.write)
  const applied = execute(kv, entry, command, wantsAnswer)
  kv.hash = chain(kv, applied.events.length > 0 ? undefined : entry.command, codeOf(applied.answer))
  return applied
}

const noEvents: readonly ChangeEvent[] = []

function execute(
  kv: Kv,
  { index, term }: AppliedEntry,
  command: Exclude<Decoded, { kind: 'first' }>,
  wantsAnswer: boolean,
): Applied {
  switch (command.kind) {
    case 'malformed':
    case 'unsupported':
      return { answer: command, events: noEvents }
    case 'write': {
      const { result, events } = write(kv, term, command.write)
      return { answer: { kind: 'write', revision: kv.revision, result }, events }
    }
    case 'txn': {
      const { outcome, events } = applyTxn(kv, command.txn, wantsAnswer)
      return { answer: outcome, events }
    }
    case 'compact': {
      const { revision } = command
      if (revision <= kv.versions.compacted) return refused(kv, 'compacted')
      if (revision > kv.revision) return refused(kv, 'future-revision')
      kv.versions.compact(revision)
      return { answer: { kind: 'compact', revision: kv.revision }, events: noEvents }
    }
    case 'grant': {
      if (kv.leases.has(command.lease)) return refused(kv, 'lease-exists')
      const lease = command.lease === 0 ? freeLease(kv.leases, index) : command.lease
      const ttlSeconds = grantedSeconds(command.ttlSeconds)
      kv.leases.set(lease, { ttlSeconds, keys: new Set() })
      return { answer: { kind: 'grant', revision: kv.revision, lease, ttlSeconds }, events: noEvents }
    }
    case 'revoke': {
      if (command.term !== undefined && command.term !== term) return refused(kv, 'fenced')
      return revoke(kv, command.lease)
    }
  }
}

function refused(kv: Kv, why: Parameters<typeof failed>[1]): Applied {
  const { outcome, events } = failed(kv, why)
  return { answer: outcome, events }
}

function revoke(kv: Kv, id: LeaseId): Applied {
  const lease = kv.leases.get(id)
  if (lease === undefined) return refused(kv, 'lease-not-found')
  const draft = new Draft(kv)
  for (const key of [...lease.keys].sort()) draft.delete(key)
  const events = draft.commit()
  kv.leases.delete(id)
  return { answer: { kind: 'revoke', revision: kv.revision, lease: id }, events }
}

type Written = { readonly result: WriteResult; readonly events: readonly ChangeEvent[] }

function write(kv: Kv, term: number, command: Write): Written {
  const { id } = command
  const before = id === undefined ? undefined : kv.done.get(id)
  if (before !== undefined) return { result: { kind: 'done', revision: before }, events: noEvents }
  const written = compareAndSet(kv, term, command)
  if (written.result.kind === 'done' && id !== undefined) kv.done.add(id, written.result.revision)
  return written
}

function compareAndSet(kv: Kv, term: number, { compare, operations, term: fence }: Write): Written {
  if (fence !== undefined && fence !== term) return { result: { kind: 'fenced', term }, events: noEvents }
  const holds = compare.every(({ key, modRevision }) => (kv.versions.get(key)?.modRevision ?? 0) === modRevision)
  if (!holds) {
    const current = compare.flatMap(({ key }) => kv.versions.get(key) ?? [])
    return { result: { kind: 'conflict', revision: kv.revision, current }, events: noEvents }
  }
  const [only] = operations
  if (only?.value !== undefined && operations.length === 1) {
    const event = putAlone(kv, only.key, only.value, 0)
    assert(!(event instanceof Failed), 'a put without a lease cannot fail')
    return { result: { kind: 'done', revision: kv.revision }, events: [event] }
  }
  const draft = new Draft(kv)
  for (const [key, value] of lastWords(operations)) {
    if (value === undefined) draft.delete(key)
    else draft.put(key, value, 0)
  }
  const events = draft.commit()
  return { result: { kind: 'done', revision: kv.revision }, events }
}

/** A key named twice gets the last word said about it, and one event. */
function lastWords(operations: Write['operations']): Iterable<readonly [string, string | undefined]> {
  const values = new Map<string, string | undefined>()
  for (const { key, value } of operations) {
    values.delete(key)
    values.set(key, value)
  }
  return values
}

// ---- the commands of release 0.1.0 ----

const firstDoneCountMax = 1_024

/**
 * A replica may have loaded the state that such a command led to from a disk on which that release wrote it, without
 * versions and without history. For both to be the same, these commands leave neither: each put is the first of its
 * key, and what was before is compacted.
 */
function applyFirst(kv: Kv, entry: AppliedEntry, command: Write | undefined): Applied {
  const { result, events } = command === undefined ? nothingWritten(kv) : writeFirst(kv, entry.term, command)
  kv.versions.forget(kv.revision)
  kv.hash = chainFirst(kv, entry, command === undefined ? outcomes.compacted : outcomes[result.kind], events)
  return { answer: { kind: 'write', revision: kv.revision, result }, events }
}

const nothingWritten = (kv: Kv): Written => ({ result: { kind: 'done', revision: kv.revision }, events: noEvents })

function writeFirst(kv: Kv, term: number, command: Write): Written {
  const { id, compare, operations, term: fence } = command
  const before = id === undefined ? undefined : kv.done.get(id)
  if (before !== undefined) return { result: { kind: 'done', revision: before }, events: noEvents }
  const checked = compareAndSet(kv, term, { compare, operations: [], ...(fence !== undefined && { term: fence }) })
  if (checked.result.kind !== 'done') return checked
  const revision = kv.revision + 1
  const events: ChangeEvent[] = []
  for (const [key, value] of lastWords(operations)) {
    const slot = kv.versions.slot(key)
    if (value === undefined && slot === undefined) continue
    const createRevision = slot?.item.createRevision ?? revision
    const item = { key, value: value ?? '', createRevision, modRevision: revision, version: 1, lease: 0 }
    events.push(kv.versions.push(value === undefined ? tombstone(key, revision) : item, slot))
  }
  if (events.length > 0) kv.revision = revision
  if (id !== undefined) kv.done.add(id, kv.revision, firstDoneCountMax)
  return { result: { kind: 'done', revision: kv.revision }, events }
}

// ---- the hash ----

const outcomes = {
  done: 1,
  conflict: 2,
  fenced: 3,
  compacted: 4,
  malformed: 5,
  unsupported: 6,
  txn: 7,
  compact: 8,
  grant: 9,
  revoke: 10,
  failed: 11,
  idle: 12,
} as const

function codeOf(answer: Applied['answer']): number {
  return outcomes[answer.kind === 'write' ? answer.result.kind : answer.kind]
}

const scratch = new Uint8Array(40)
const scratchView = new DataView(scratch.buffer)

/** All that is there after a command; of one that has changed no key, also what it was. */
function chain(kv: Kv, command: Bytes | undefined, code: number): number {
  scratchView.setFloat64(0, kv.index)
  scratchView.setFloat64(8, kv.term)
  scratchView.setFloat64(16, kv.revision)
  scratchView.setUint32(24, kv.versions.hash)
  scratchView.setUint32(28, kv.leases.size)
  scratchView.setUint32(32, kv.done.size)
  scratchView.setUint32(36, code)
  const outcome = crc32(scratch, kv.hash)
  return command === undefined ? outcome : crc32(command, outcome)
}

/** As release 0.1.0 did it, for its commands and for entries without one. */
function chainFirst(kv: Kv, entry: AppliedEntry, code: number, events: readonly ChangeEvent[]): number {
  const out = new ByteWriter(64)
  out.varint(entry.index)
  out.varint(entry.term)
  out.u8(code)
  out.varint(kv.revision)
  for (const event of events) {
    if (event.kind === 'put') out.varint(event.current.createRevision)
    out.varint(event.previous?.modRevision ?? 0)
  }
  const outcome = crc32(out.finish(), kv.hash)
  return entry.command === undefined ? outcome : crc32(entry.command, outcome)
}
