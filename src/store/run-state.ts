// The applied state on disk: loaded when the store opens, written behind the log in batches (the log can give it again),
// and replaced as a whole by a snapshot. Two maps take turns: which one counts stands in the log, so that installing a
// snapshot becomes true in one write. state.ts says what the records are.

import { firstRevision, type KvHead, type KvImage } from '../kv/kv.ts'
import { hashOf } from '../kv/record.ts'
import type { ChangeEvent, KeyValue, Revision } from '../kv/store.ts'
import type { LeaseId } from '../kv/txn.ts'
import { type Versions, versionOf } from '../kv/versions.ts'
import type { Bytes } from '../lib/bytes.ts'
import { unpackText } from '../lib/packed.ts'
import type { Membership } from '../raft/types.ts'
import type { Disk, DiskMap, DiskMapChange } from '../world/disk.ts'
import { type Generation, StoreDamage } from './log.ts'
import {
  allRecords,
  type Block,
  blockBytes,
  changePrefix,
  createBlock,
  decodeBlock,
  decodeDone,
  decodeFirstItem,
  decodeItem,
  decodeLease,
  decodeWhole,
  doneInRecord,
  doneName,
  donePrefix,
  encodeDone,
  encodeItem,
  encodeLease,
  encodeWhole,
  type First,
  firstItemPrefix,
  itemPrefix,
  leaseName,
  leasePrefix,
  prefixEnd,
  type Sums,
  type Whole,
  wholeKey,
} from './state.ts'

const batchCountMax = 1_000
/** About a millisecond of work. */
const sliceCount = 200
const batchBytesMax = 4 * 1024 * 1024

export type LoadedState = { readonly image: KvImage; readonly membership: Membership; readonly context: Bytes }

export interface RunState {
  readonly generation: Generation
  /** Notes what an entry changed, right after it was applied; part of the next `capture`. */
  note(events: readonly ChangeEvent[], versions: Versions): void
  /** About how many bytes the next flush writes. */
  readonly dirtyBytes: number
  /** What to write now, taken at one moment. Each must be given to `flush`, in order. */
  capture(head: KvHead, membership: Membership, context: Bytes): Capture
  /** Durable when it resolves. `pause` lets others run now and then. */
  flush(capture: Capture, pause: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

type Written = { readonly block: Block; readonly value: Bytes }
export type Capture = {
  readonly head: KvHead
  readonly membership: Membership
  readonly context: Bytes
  readonly blocks: readonly Written[]
}

const mapName = (generation: Generation) => `state-${generation}`

/** The state of this generation; undefined when nothing was ever written. Throws StoreDamage when it is not whole. */
export async function openState(
  disk: Disk,
  generation: Generation,
): Promise<{ readonly loaded: LoadedState | undefined; readonly state: RunState }> {
  const map = await orDamage(generation, disk.openMap(mapName(generation)))
  const found = await orDamage(generation, load(map, generation)).catch(async error => {
    await map.close()
    throw error
  })
  if (found === undefined) return { loaded: undefined, state: runState(map, generation, blank) }
  const { image, whole, blocks, oldItems } = found
  const leases = new Map(image.leases)
  const state = runState(map, generation, { base: whole.base, whole, blocks, leases, oldItems })
  return { loaded: { image, membership: whole.membership, context: whole.context }, state }
}

/** Empties the map of this generation, so that a snapshot can be written into it, or the log played back. */
export async function clearState(disk: Disk, generation: Generation): Promise<void> {
  const map = await disk.openMap(mapName(generation))
  try {
    // What says that the map is whole goes first.
    await map.batch([{ key: wholeKey, value: undefined }], { sync: true })
    let some: DiskMapChange[] = []
    for await (const [key] of map.entries(allRecords)) {
      some.push({ key, value: undefined })
      if (some.length < batchCountMax) continue
      await map.batch(some, { sync: false })
      some = []
    }
    await map.batch(some, { sync: true })
  } finally {
    await map.close()
  }
}

/** Writes a whole state into the map of `generation`, which must be empty. It counts once the log says so. */
export async function writeState(disk: Disk, generation: Generation, given: LoadedState): Promise<RunState> {
  const { base, changes, baseRevision, ...head } = given.image
  const map = await disk.openMap(mapName(generation))
  const batch = batches(map)
  /** What is there of the keys that change. */
  const present = new Map(changes.map(({ key }): [string, number | undefined] => [key, undefined]))
  let sum = 0
  for (const item of base) {
    const { value, crc } = encodeItem(item)
    if (present.has(item.key)) present.set(item.key, crc)
    sum = (sum + crc) >>> 0
    await batch.add(itemPrefix + item.key, value)
  }
  const sums = { revision: baseRevision, count: base.length, sum }
  const state = runState(map, generation, { ...blank, base: sums })
  let { count } = sums
  for (const [i, item] of changes.entries()) {
    const before = present.get(item.key)
    const after = item.version === 0 ? undefined : hashOf(item)
    present.set(item.key, after)
    sum = (sum + (after ?? 0) - (before ?? 0)) >>> 0
    count += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
    const isLast = changes[i + 1]?.modRevision !== item.modRevision
    state.add(item, isLast ? { revision: item.modRevision, count, sum } : undefined)
  }
  await batch.end()
  await state.flush(state.capture(head, given.membership, given.context), async () => {})
  return state
}

function batches(map: DiskMap) {
  let some: DiskMapChange[] = []
  let bytes = 0
  const end = async () => {
    const changes = some
    some = []
    bytes = 0
    await map.batch(changes, { sync: false })
  }
  return {
    end,
    async add(key: string, value: Bytes) {
      some.push({ key, value })
      bytes += value.length
      if (some.length >= batchCountMax || bytes >= batchBytesMax) await end()
    },
  }
}

// ---- loading ----

type Found = {
  readonly image: KvImage
  readonly whole: Whole
  readonly blocks: readonly Block[]
  /** Of a map that release 0.1.0 wrote: to be written anew. */
  readonly oldItems: readonly KeyValue[] | undefined
}

async function load(map: DiskMap, generation: Generation): Promise<Found | undefined> {
  const bytes = await map.get(wholeKey)
  if (bytes === undefined) return undefined
  const damaged = (what: string) => new StoreDamage('corrupt', `${mapName(generation)}: ${what}`)
  const decoded = decodeWhole(bytes)
  if (decoded === undefined) throw damaged('its head does not decode')
  if (decoded.kind === 'first') return await loadFirst(map, decoded, damaged)
  const { whole } = decoded

  const base: KeyValue[] = []
  let sum = 0
  for await (const [name, value] of all(map, itemPrefix)) {
    const found = decodeItem(name.slice(itemPrefix.length), value)
    if (found === undefined) throw damaged(`${name} fails its checksum`)
    base.push(found.item)
    sum = (sum + found.crc) >>> 0
  }
  check(base.length, sum, whole.base.count, whole.base.sum, 'keys', damaged)

  const blocks: Block[] = []
  const changes: KeyValue[] = []
  let { revision } = whole.base
  for await (const [name, value] of all(map, changePrefix)) {
    const found = decodeBlock(name, value)
    if (found === undefined) throw damaged(`${name} fails its checksum`)
    if (found.block.before !== revision) throw damaged(`the changes after revision ${revision} are gone`)
    revision = found.block.after.revision
    blocks.push(found.block)
    for (const item of found.changes) changes.push(item)
  }
  // No change made the first revision: a store that nobody has written to has none.
  const isUnwritten = revision === 0 && whole.revision === firstRevision
  if (revision !== whole.revision && !isUnwritten) throw damaged(`the changes after revision ${revision} are gone`)

  const { done, leases } = await loadRest(map, whole, damaged)
  const { membership: _membership, context: _context, base: _base, doneCount, leaseCount, leaseSum, ...head } = whole
  const image = { ...head, done, leases, base, changes, baseRevision: whole.base.revision }
  return { image, whole, blocks, oldItems: undefined }
}

type Damaged = (what: string) => StoreDamage

function check(count: number, sum: number, countSaid: number, sumSaid: number, what: string, damaged: Damaged): void {
  if (count === countSaid && sum === sumSaid) return
  throw damaged(`found ${count} ${what}, ${countSaid} were written, or their checksums differ`)
}

function all(map: DiskMap, prefix: string): ReturnType<DiskMap['entries']> {
  return map.entries({ from: prefix, to: prefixEnd(prefix) })
}

async function loadRest(map: DiskMap, whole: Whole, damaged: Damaged): Promise<Pick<KvHead, 'done' | 'leases'>> {
  const ids: (readonly [string, Revision])[] = []
  let next: number | undefined
  for await (const [name, value] of all(map, donePrefix)) {
    const found = decodeDone(value)
    if (found === undefined) throw damaged(`${name} fails its checksum`)
    if (next !== undefined && found.first !== next) throw damaged(`ids of done writes before ${name} are gone`)
    next = found.first + found.ids.length
    for (const id of found.ids) ids.push(id)
  }
  if ((next ?? whole.doneTotal) !== whole.doneTotal || ids.length < whole.doneCount) {
    throw damaged('ids of done writes are gone')
  }
  const leases: (readonly [LeaseId, number])[] = []
  let sum = 0
  for await (const [name, value] of all(map, leasePrefix)) {
    const found = decodeLease(name, value)
    if (found === undefined) throw damaged(`${name} fails its checksum`)
    leases.push([found.lease, found.ttlSeconds])
    sum = (sum + found.crc) >>> 0
  }
  check(leases.length, sum, whole.leaseCount, whole.leaseSum, 'leases', damaged)
  return { done: ids.slice(ids.length - whole.doneCount), leases }
}

async function loadFirst(map: DiskMap, first: First, damaged: Damaged): Promise<Found> {
  const base: KeyValue[] = []
  let sum = 0
  let newSum = 0
  for await (const [name, value] of all(map, firstItemPrefix)) {
    const found = decodeFirstItem(name.slice(firstItemPrefix.length), value)
    if (found === undefined) throw damaged(`${name} fails its checksum`)
    base.push(found.item)
    sum = (sum + found.crc) >>> 0
    newSum = (newSum + hashOf(found.item)) >>> 0
  }
  check(base.length, sum, first.count, first.sum, 'keys', damaged)
  const { membership: _membership, context: _context, doneCount, leaseCount, leaseSum, ...head } = first.whole
  const whole = { ...first.whole, doneTotal: 0, doneCount: 0, base: { ...first.whole.base, sum: newSum } }
  const image = { ...head, done: first.done, leases: [], base, changes: [], baseRevision: head.revision }
  return { image, whole, blocks: [], oldItems: base }
}

async function orDamage<T>(generation: Generation, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    // A full disk, a lock, a missing right: nothing is damaged, and the advice for damage would do harm.
    if (!(error instanceof Error && 'code' in error && error.code === 'CORRUPT')) throw error
    throw new StoreDamage('corrupt', `${mapName(generation)} cannot be read: ${String(error)}`)
  }
}

// ---- writing ----

type OnDisk = {
  readonly base: Sums
  /** The last that was written; undefined before the first time. */
  readonly whole: Whole | undefined
  readonly blocks: readonly Block[]
  readonly leases: ReadonlyMap<LeaseId, number>
  readonly oldItems: readonly KeyValue[] | undefined
}

const blank: OnDisk = {
  base: { revision: 0, count: 0, sum: 0 },
  whole: undefined,
  blocks: [],
  leases: new Map(),
  oldItems: undefined,
}

type Adding = RunState & {
  /** A version, and what there is after it, when it is the last of its revision. */
  add(item: KeyValue, after: Sums | undefined): void
}

function runState(map: DiskMap, generation: Generation, found: OnDisk): Adding {
  let { base, blocks, oldItems } = found
  let doneTotal = found.whole?.doneTotal ?? 0
  let doneOldest = doneTotal - (found.whole?.doneCount ?? 0)
  const leases = new Map(found.leases)
  let leaseSum = found.whole?.leaseSum ?? 0

  /** What the next flush writes: full blocks, and the one that is being filled. */
  let full: Written[] = []
  let fullBytes = 0
  let { revision } = blocks.at(-1)?.after ?? base
  let open = createBlock(revision)
  let after: Sums | undefined

  function close(): void {
    if (after === undefined || open.isEmpty) return
    fullBytes += open.bytes
    full.push(open.finish(after))
    ;({ revision } = after)
    open = createBlock(revision)
    after = undefined
  }

  function add(item: KeyValue, sums: Sums | undefined): void {
    open.add(item)
    after = sums ?? after
    if (sums !== undefined && open.bytes >= blockBytes) close()
  }

  /** Only the pieces with new ids are written; those with forgotten ones alone go. */
  function doneChanges({ done, doneTotal: total }: KvHead): DiskMapChange[] {
    const changes: DiskMapChange[] = []
    const oldest = total - done.length
    if (doneTotal === 0) doneOldest = oldest
    if (total > doneTotal)
      for (const { name, value } of encodeDone(done, total, doneTotal)) changes.push({ key: name, value })
    const from = Math.floor(doneOldest / doneInRecord)
    for (let piece = from; piece < Math.floor(oldest / doneInRecord); piece++) {
      changes.push({ key: doneName(piece), value: undefined })
    }
    doneTotal = total
    doneOldest = oldest
    return changes
  }

  function leaseChanges(now: KvHead['leases']): DiskMapChange[] {
    const changes: DiskMapChange[] = []
    const gone = new Set(leases.keys())
    for (const [lease, ttlSeconds] of now) {
      gone.delete(lease)
      const written = leases.get(lease)
      if (written === ttlSeconds) continue
      const { value, crc } = encodeLease(lease, ttlSeconds)
      leases.set(lease, ttlSeconds)
      // One that was revoked and granted again since is written over.
      leaseSum = (leaseSum + crc - (written === undefined ? 0 : encodeLease(lease, written).crc)) >>> 0
      changes.push({ key: leaseName(lease), value })
    }
    for (const lease of gone) {
      leaseSum = (leaseSum - encodeLease(lease, leases.get(lease) ?? 0).crc) >>> 0
      leases.delete(lease)
      changes.push({ key: leaseName(lease), value: undefined })
    }
    return changes
  }

  /** Everything that release 0.1.0 wrote, under the names of now. */
  function oldChanges(items: readonly KeyValue[]): DiskMapChange[] {
    return items.flatMap(item => [
      { key: firstItemPrefix + unpackText(item.key), value: undefined },
      { key: itemPrefix + item.key, value: encodeItem(item).value },
    ])
  }

  /** The oldest blocks, all of whose changes are forgotten; at least one, if there is one, and not too many at once. */
  function foldable(start: Revision): readonly Block[] {
    let count = 0
    let bytes = 0
    for (const block of blocks) {
      if (block.after.revision > start || (count > 0 && bytes + block.bytes > batchBytesMax)) break
      count += 1
      bytes += block.bytes
    }
    return blocks.slice(0, count)
  }

  /** What is forgotten of the changes becomes items: the newest version of each key alone, many blocks at once. */
  async function fold(whole: Whole, pause: () => Promise<void>): Promise<void> {
    for (;;) {
      const some = foldable(whole.start)
      const last = some.at(-1)
      if (last === undefined) return
      const newest = new Map<string, KeyValue>()
      for (const { name } of some) {
        const value = await map.get(name)
        const found = value && decodeBlock(name, value)
        if (found === undefined) throw new StoreDamage('corrupt', `${mapName(generation)}: ${name} is gone or bent`)
        for (const item of found.changes) newest.set(item.key, item)
        await pause()
      }
      const changes: DiskMapChange[] = some.map(({ name }) => ({ key: name, value: undefined }))
      for (const item of newest.values()) {
        changes.push({ key: itemPrefix + item.key, value: item.version === 0 ? undefined : encodeItem(item).value })
        if (changes.length % sliceCount === 0) await pause()
      }
      base = last.after
      blocks = blocks.slice(some.length)
      changes.push({ key: wholeKey, value: encodeWhole({ ...whole, base }) })
      await map.batch(changes, { sync: false })
    }
  }

  return {
    generation,
    get dirtyBytes() {
      return fullBytes + open.bytes
    },
    add,
    note(events, versions) {
      for (const [i, event] of events.entries()) {
        const item = versionOf(event)
        const isLast = i === events.length - 1
        add(item, isLast ? { revision: item.modRevision, count: versions.size, sum: versions.liveSum } : undefined)
      }
    },
    capture(head, membership, context) {
      close()
      const captured = full
      full = []
      fullBytes = 0
      return { head, membership, context, blocks: captured }
    },
    async flush({ head, membership, context, blocks: written }, pause) {
      const changes = oldItems === undefined ? [] : oldChanges(oldItems)
      changes.push(...doneChanges(head), ...leaseChanges(head.leases))
      for (const { block, value } of written) changes.push({ key: block.name, value })
      const { done, leases: _leases, ...numbers } = head
      const counts = { doneCount: done.length, leaseCount: leases.size, leaseSum }
      const whole = { ...numbers, ...counts, base, membership, context }
      changes.push({ key: wholeKey, value: encodeWhole(whole) })
      await pause()
      await map.batch(changes, { sync: true })
      oldItems = undefined
      blocks = [...blocks, ...written.map(({ block }) => block)]
      await fold(whole, pause)
    },
    close: () => map.close(),
  }
}
