// The applied state on disk: loaded when the store opens, written behind the log in batches (the log can give it again),
// and replaced as a whole by a snapshot. Two maps take turns: which one counts stands in the log, so that installing a
// snapshot becomes true in one write.

import { type KvHead, type KvImage, restoreKv } from '../kv/kv.ts'
import type { ChangeEvent, KeyValue } from '../kv/store.ts'
import { eventKey } from '../kv/versions.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Membership } from '../raft/types.ts'
import type { Disk, DiskMap, DiskMapChange } from '../world/disk.ts'
import { type Generation, StoreDamage } from './log.ts'
import { decodeItem, decodeWhole, encodeItem, encodeWhole, keyEnd, keyPrefix, type Whole, wholeKey } from './state.ts'

const batchCountMax = 1_000
/** About a millisecond of work. */
const sliceCount = 200
const batchBytesMax = 4 * 1024 * 1024

export type LoadedState = { readonly image: KvImage; readonly membership: Membership; readonly context: Bytes }

export interface RunState {
  readonly generation: Generation
  /** Notes what an entry changed; part of the next `capture`. */
  note(events: readonly ChangeEvent[]): void
  /** About how many bytes the next flush writes. */
  readonly dirtyBytes: number
  /** What to write now, taken at one moment. Each must be given to `flush`, in order. */
  capture(image: KvHead, membership: Membership, context: Bytes, current: CurrentOf): Capture
  /** Durable when it resolves. `pause` lets others run now and then. */
  flush(capture: Capture, pause: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

type CurrentOf = (key: string) => KeyValue | undefined
export type Capture = {
  readonly whole: Omit<Whole, 'count' | 'sum'>
  readonly changes: readonly {
    readonly key: string
    readonly old: KeyValue | undefined
    readonly now: KeyValue | undefined
  }[]
}

const mapName = (generation: Generation) => `state-${generation}`

/** The state of this generation; undefined when nothing was ever written. Throws StoreDamage when it is not whole. */
export async function openState(
  disk: Disk,
  generation: Generation,
): Promise<{ readonly loaded: LoadedState | undefined; readonly state: RunState }> {
  const map = await orDamage(generation, disk.openMap(mapName(generation)))
  const { whole, items } = await orDamage(generation, load(map, generation))
  const state = runState(map, generation, whole?.count ?? 0, whole?.sum ?? 0)
  if (whole === undefined) return { loaded: undefined, state }
  const { membership, context, count: _count, sum: _sum, ...image } = whole
  const { revision } = image
  return {
    loaded: {
      image: { ...image, start: revision, compacted: revision, base: items, changes: [] },
      membership,
      context,
    },
    state,
  }
}

/** Empties the map of this generation, so that a snapshot can be written into it, or the log played back. */
export async function clearState(disk: Disk, generation: Generation): Promise<void> {
  const map = await disk.openMap(mapName(generation))
  try {
    // What says that the map is whole goes first.
    await map.batch([{ key: wholeKey, value: undefined }], { sync: true })
    let some: DiskMapChange[] = []
    for await (const [key] of map.entries({ from: keyPrefix, to: keyEnd })) {
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
  const map = await disk.openMap(mapName(generation))
  let some: DiskMapChange[] = []
  let bytes = 0
  let sum = 0
  const items = restoreKv(given.image).versions.all()
  for (const item of items) {
    const { value, crc } = encodeItem(item)
    some.push({ key: keyPrefix + item.key, value })
    bytes += value.length
    sum = (sum + crc) >>> 0
    if (some.length < batchCountMax && bytes < batchBytesMax) continue
    await map.batch(some, { sync: false })
    some = []
    bytes = 0
  }
  const { base: _base, changes: _changes, ...image } = given.image
  const whole = { ...image, membership: given.membership, context: given.context, count: items.length, sum }
  await map.batch([...some, { key: wholeKey, value: encodeWhole(whole) }], { sync: true })
  return runState(map, generation, items.length, sum)
}

async function load(map: DiskMap, generation: Generation): Promise<{ whole: Whole | undefined; items: KeyValue[] }> {
  const bytes = await map.get(wholeKey)
  if (bytes === undefined) return { whole: undefined, items: [] }
  const whole = decodeWhole(bytes)
  if (whole === undefined) throw new StoreDamage('corrupt', `${mapName(generation)}: its head does not decode`)
  const items: KeyValue[] = []
  let sum = 0
  for await (const [key, value] of map.entries({ from: keyPrefix, to: keyEnd })) {
    const decoded = decodeItem(key.slice(keyPrefix.length), value)
    if (decoded === undefined) throw new StoreDamage('corrupt', `${mapName(generation)}: ${key} fails its checksum`)
    items.push(decoded.item)
    sum = (sum + decoded.crc) >>> 0
  }
  if (items.length !== whole.count || sum !== whole.sum) {
    const found = `found ${items.length} keys, ${whole.count} were written, and their checksums differ`
    throw new StoreDamage('corrupt', `${mapName(generation)}: ${found}`)
  }
  return { whole, items }
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

function runState(map: DiskMap, generation: Generation, count: number, sum: number): RunState {
  /** Keys that changed since the last capture, with what the map holds for them. */
  let dirty = new Map<string, KeyValue | undefined>()
  let dirtyBytes = 0
  return {
    generation,
    get dirtyBytes() {
      return dirtyBytes
    },
    note(events) {
      for (const event of events) {
        const key = eventKey(event)
        dirtyBytes += 64 + (event.kind === 'put' ? event.current.value.length : 0)
        if (!dirty.has(key)) dirty.set(key, event.previous)
      }
    },
    capture(image, membership, context, current) {
      const changes = [...dirty].map(([key, old]) => ({ key, old, now: current(key) }))
      dirty = new Map()
      dirtyBytes = 0
      return { whole: { ...image, membership, context }, changes }
    },
    async flush({ whole, changes }, pause) {
      const writes: DiskMapChange[] = []
      for (const [i, { key, old, now }] of changes.entries()) {
        if (i % sliceCount === sliceCount - 1) await pause()
        if (old !== undefined) {
          count -= 1
          sum = (sum - encodeItem(old).crc) >>> 0
        }
        if (now === undefined) {
          if (old !== undefined) writes.push({ key: keyPrefix + key, value: undefined })
          continue
        }
        const { value, crc } = encodeItem(now)
        count += 1
        sum = (sum + crc) >>> 0
        writes.push({ key: keyPrefix + key, value })
      }
      writes.push({ key: wholeKey, value: encodeWhole({ ...whole, count, sum }) })
      await map.batch(writes, { sync: true })
    },
    close: () => map.close(),
  }
}
