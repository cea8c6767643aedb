// A disk in memory that can crash: what was not synced may then be lost, torn at any byte, or have only some of its
// sectors; whose operations can be made to fail; that can be full; and that can keep a trace of what was asked of it. It
// keeps the promises of world/disk.ts and no others.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { compareText } from '../../src/lib/sorted.ts'
import type { Disk, DiskFile, DiskMap, DiskMapChange, DiskReserve } from '../../src/world/disk.ts'

export type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Bytes }
  | { readonly kind: 'truncate'; readonly size: number }
/** `now` is what a read gives; a crash leaves `durable` and something of `pending`. */
export type File = { durable: Bytes; now: Bytes; pending: Change[] }
type Batch = readonly DiskMapChange[]
type MapFile = { durable: Map<string, Bytes>; now: Map<string, Bytes>; pending: Batch[] }

/** What an operation did, for whoever wants to crash between any two of them. */
export type Operation =
  | { readonly kind: 'open' | 'remove' | 'sync'; readonly name: string }
  | { readonly kind: 'replace'; readonly name: string; readonly bytes: Bytes }
  | { readonly kind: 'change'; readonly name: string; readonly change: Change }
  | { readonly kind: 'batch'; readonly name: string; readonly changes: Batch; readonly sync: boolean }
  /** Not of the disk: what its user says it was promised by now. */
  | { readonly kind: 'note'; readonly note: unknown }

/** `EIO`: the disk failed. `FULL`: a write had no room (a sync cannot say that). */
export type Failure = 'EIO' | 'FULL'

export type Content = { readonly files: Map<string, Bytes>; readonly maps: Map<string, Map<string, Bytes>> }

export type MemoryDisk = Disk & {
  readonly files: Map<string, File>
  readonly maps: Map<string, MapFile>
  /** The disk after a power cut: this one is dead, all that is under way on it never ends. */
  crash(random: Prng): MemoryDisk
  /** A disk with the same content, all of it durable. */
  copy(): MemoryDisk
  content(): Content
  /** The operation after so many more fails, and all after it unless `once`. */
  failAfter(count: number, how?: Failure, once?: boolean): void
  /** Writes and syncs so far. */
  readonly operationCount: number
  /** A write with its sync is done when the call comes back, as on a disk that is quick. */
  isQuick: boolean
  /** How much fits on it; all files count with their size. */
  roomBytes: number
  /** When set, operations are written down in it, as they happen. */
  trace: Operation[] | undefined
}

export class MemoryDiskError extends Error {
  override readonly name = 'MemoryDiskError'
  readonly code: Failure
  constructor(code: Failure) {
    super(code === 'EIO' ? 'EIO: the disk failed' : 'no room on the disk')
    this.code = code
  }
}

const empty = new Uint8Array(0)
const reserveName = 'reserve'

/**
 * `turn` is how long an operation takes: a microtask by default; whole stores need a turn of the event loop. With
 * `roomBytes` so much fits on it, and it can keep a reserve.
 */
export function memoryDisk(
  turn: () => Promise<void> = () => Promise.resolve(),
  from?: Content,
  roomBytes?: number,
): MemoryDisk {
  const files = new Map<string, File>()
  const maps = new Map<string, MapFile>()
  for (const [name, bytes] of from?.files ?? []) files.set(name, { durable: bytes, now: bytes, pending: [] })
  for (const [name, map] of from?.maps ?? []) maps.set(name, { durable: new Map(map), now: new Map(map), pending: [] })
  const opened = new Set<string>()
  let isDead = false
  let operationCount = 0
  let failing = { from: Number.POSITIVE_INFINITY, to: 0, how: 'EIO' as Failure }

  function failure(what: Operation): Failure | undefined {
    operationCount += 1
    if (operationCount > failing.from && operationCount <= failing.to) {
      // No room is a matter of writes; when the failure is to be one, other operations pass.
      if (failing.how === 'EIO' || what.kind === 'change' || what.kind === 'batch' || what.kind === 'replace') {
        return failing.how
      }
      if (failing.to !== Number.POSITIVE_INFINITY) failing = { ...failing, from: failing.from + 1, to: failing.to + 1 }
    }
    return growth(what) > room() ? 'FULL' : undefined
  }

  function usedBytes(): number {
    let sum = 0
    for (const file of files.values()) sum += file.now.length
    for (const map of maps.values()) for (const value of map.now.values()) sum += value.length
    return sum
  }
  const room = () => (disk.roomBytes === Number.POSITIVE_INFINITY ? disk.roomBytes : disk.roomBytes - usedBytes())

  function growth(what: Operation): number {
    if (what.kind === 'change' && what.change.kind === 'write') {
      return what.change.offset + what.change.bytes.length - (files.get(what.name)?.now.length ?? 0)
    }
    if (what.kind === 'replace') return what.bytes.length
    if (what.kind === 'batch') return what.changes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    return Number.NEGATIVE_INFINITY
  }

  /** What is asked happens at one moment: before a crash or never. */
  async function perform(what: Operation): Promise<void> {
    const failed = failure(what)
    await turn()
    // A dead disk's promises stay open, as those of a process that is no more.
    if (isDead) await new Promise(() => {})
    now(what, failed)
  }

  function now(what: Operation, failed: Failure | undefined): void {
    if (failed !== undefined) {
      failedHalf(what)
      throw new MemoryDiskError(failed)
    }
    disk.trace?.push(what)
    carryOut({ files, maps }, what)
  }

  /** A write that fails has done a part; a failed sync leaves pages that look written and never will be (ATC '20). */
  function failedHalf(what: Operation): void {
    if (what.kind === 'sync') {
      const file = files.get(what.name)
      if (file !== undefined) file.pending = []
    }
    if (what.kind !== 'change' || what.change.kind !== 'write') return
    const { offset, bytes } = what.change
    const half = { kind: 'write', offset, bytes: bytes.slice(0, bytes.length >> 1) } as const
    carryOut({ files, maps }, { ...what, change: half })
  }

  function fileOf(name: string): DiskFile {
    const act = (change: Change) => perform({ kind: 'change', name, change })
    const writeAt = (offset: number, bytes: Bytes) => act({ kind: 'write', offset, bytes: bytes.slice() })
    const sync = () => perform({ kind: 'sync', name })
    return {
      size: async () => files.get(name)?.now.length ?? 0,
      readAt: async (offset, length) => files.get(name)?.now.slice(offset, offset + length) ?? empty,
      writeAt,
      writeAndSync(offset, bytes) {
        if (!disk.isQuick || isDead) return writeAt(offset, bytes).then(sync)
        const change = { kind: 'change', name, change: { kind: 'write', offset, bytes: bytes.slice() } } as const
        now(change, failure(change))
        const synced = { kind: 'sync', name } as const
        now(synced, failure(synced))
        return undefined
      },
      truncate: size => act({ kind: 'truncate', size }),
      sync,
      async close() {},
    }
  }

  const reserve: DiskReserve = {
    freeBytes: async () => room(),
    async keep(bytes) {
      const wanted = bytes - (files.get(reserveName)?.now.length ?? 0)
      if (wanted > 0 && room() < 2 * wanted) return false
      if (wanted > 0) await perform({ kind: 'replace', name: reserveName, bytes: new Uint8Array(bytes) })
      return true
    },
    async release() {
      const had = files.has(reserveName)
      if (had) await perform({ kind: 'remove', name: reserveName })
      return had
    },
  }

  const content = (): Content => ({
    files: new Map([...files].map(([name, file]) => [name, file.now.slice()])),
    maps: new Map([...maps].map(([name, map]) => [name, new Map(map.now)])),
  })

  const disk: MemoryDisk = {
    files,
    maps,
    isQuick: false,
    roomBytes: roomBytes ?? Number.POSITIVE_INFINITY,
    trace: undefined,
    get operationCount() {
      return operationCount
    },
    failAfter(count, how = 'EIO', once = false) {
      const first = operationCount + count
      failing = { from: first, to: once ? first + 1 : Number.POSITIVE_INFINITY, how }
    },
    content,
    copy: () => memoryDisk(turn, content(), roomBytes),
    crash(random) {
      isDead = true
      const left = new Map<string, Bytes>()
      for (const [name, file] of files)
        left.set(
          name,
          file.pending.reduce<Bytes>((b, c) => tear(b, c, random), file.durable.slice()),
        )
      const leftMaps = new Map<string, Map<string, Bytes>>()
      for (const [name, map] of maps) {
        const kept = new Map(map.durable)
        for (const batch of map.pending.slice(0, random.below(map.pending.length + 1))) applyBatch(kept, batch)
        leftMaps.set(name, kept)
      }
      return memoryDisk(turn, { files: left, maps: leftMaps }, roomBytes === undefined ? undefined : disk.roomBytes)
    },
    async open(name) {
      await perform({ kind: 'open', name })
      return fileOf(name)
    },
    async list(folder) {
      const names = [...files.keys()]
        .filter(name => name.startsWith(`${folder}/`))
        .map(name => name.slice(folder.length + 1))
      // A map is a folder of files, whatever they are called.
      if ((maps.get(folder)?.now.size ?? 0) > 0) names.push('map')
      return names.sort()
    },
    read: async name => files.get(name)?.now.slice(),
    replace: (name, bytes) => perform({ kind: 'replace', name, bytes: bytes.slice() }),
    remove: name => perform({ kind: 'remove', name }),
    async openMap(name) {
      if (opened.has(name)) throw new Error(`map ${name} is open already`)
      if (!maps.has(name)) maps.set(name, { durable: new Map(), now: new Map(), pending: [] })
      opened.add(name)
      return openMap(name, maps, perform, () => opened.delete(name))
    },
    ...(roomBytes === undefined ? {} : { reserve }),
  }
  return disk
}

type Live = { readonly files: Map<string, File>; readonly maps: Map<string, MapFile> }

/** What an operation does to a disk: also to one that is made from a trace. */
export function carryOut({ files, maps }: Live, what: Operation): void {
  switch (what.kind) {
    case 'open':
      if (!files.has(what.name)) files.set(what.name, { durable: empty, now: empty, pending: [] })
      return
    case 'remove':
      files.delete(what.name)
      return
    case 'replace':
      files.set(what.name, { durable: what.bytes, now: what.bytes, pending: [] })
      return
    case 'change': {
      const file = files.get(what.name)
      if (file === undefined) return
      file.now = changed(file.now, what.change)
      file.pending.push(what.change)
      return
    }
    case 'sync': {
      const file = files.get(what.name)
      if (file === undefined) return
      file.durable = file.pending.reduce(changed, file.durable)
      file.pending = []
      return
    }
    case 'batch': {
      const map: MapFile = maps.get(what.name) ?? { durable: new Map(), now: new Map(), pending: [] }
      maps.set(what.name, map)
      applyBatch(map.now, what.changes)
      map.pending.push(what.changes)
      if (!what.sync) return
      map.durable = new Map(map.now)
      map.pending = []
      return
    }
    case 'note':
      return
  }
}

export function changed(bytes: Bytes, c: Change): Bytes {
  if (c.kind === 'truncate') {
    const cut = new Uint8Array(c.size)
    cut.set(bytes.subarray(0, c.size))
    return cut
  }
  const grown = new Uint8Array(Math.max(bytes.length, c.offset + c.bytes.length))
  grown.set(bytes)
  grown.set(c.bytes, c.offset)
  return grown
}

function tear(bytes: Bytes, c: Change, random: Prng): Bytes {
  const how = random.below(4)
  if (how === 0) return bytes
  if (how === 1 || c.kind === 'truncate') return changed(bytes, c)
  if (how === 2) return changed(bytes, { ...c, bytes: c.bytes.subarray(0, random.below(c.bytes.length + 1)) })
  return sectors(c).reduce((torn, sector) => (random.chance(0.5) ? changed(torn, sector) : torn), bytes)
}

const sectorBytes = 512

/** A write as the disk sees it: sector by sector, each of which happens whole or not at all. */
export function sectors(c: Change): Change[] {
  if (c.kind === 'truncate') return [c]
  const parts: Change[] = []
  for (let at = 0; at < c.bytes.length; ) {
    const offset = c.offset + at
    const length = Math.min(c.bytes.length - at, sectorBytes - (offset % sectorBytes))
    parts.push({ kind: 'write', offset, bytes: c.bytes.subarray(at, at + length) })
    at += length
  }
  return parts
}

function applyBatch(map: Map<string, Bytes>, batch: Batch): void {
  for (const { key, value } of batch) {
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
}

function openMap(
  name: string,
  maps: Map<string, MapFile>,
  perform: (what: Operation) => Promise<void>,
  closed: () => void,
): DiskMap {
  const now = () => maps.get(name)?.now ?? new Map<string, Bytes>()
  return {
    get: async key => now().get(key),
    batch: (changes, { sync }) => perform({ kind: 'batch', name, changes: [...changes], sync }),
    async *entries({ from, to }) {
      const all = [...now()].filter(([key]) => key >= from && key < to).sort(([a], [b]) => compareText(a, b))
      for (const [key, value] of all) yield [key, value] as const
    },
    async close() {
      closed()
    },
  }
}
