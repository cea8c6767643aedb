// A disk in memory that can crash: what was not synced may then be lost, torn at any byte, or have only some of its
// sectors; and whose next write or sync can be made to fail. It keeps the promises of world/disk.ts and no others.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { compareText } from '../../src/lib/sorted.ts'
import type { Disk, DiskFile, DiskMap, DiskMapChange } from '../../src/world/disk.ts'

type Change = { readonly kind: 'write'; offset: number; bytes: Bytes } | { readonly kind: 'truncate'; size: number }
type File = { durable: Bytes; now: Bytes; pending: Change[] }
type Operation = (act: () => void) => Promise<void>
type Batch = readonly DiskMapChange[]
type MapFile = { durable: Map<string, Bytes>; now: Map<string, Bytes>; pending: Batch[] }

export type MemoryDisk = Disk & {
  readonly files: Map<string, File>
  readonly maps: Map<string, MapFile>
  /** The disk after a power cut: this one is dead, all that is under way on it never ends. */
  crash(random: Prng): MemoryDisk
  /** A disk with the same content, all of it durable. */
  copy(): MemoryDisk
  /** The operation after so many more fails, and all after it. */
  failAfter(count: number): void
  /** Writes and syncs so far. */
  readonly operationCount: number
  /** A write with its sync is done when the call comes back, as on a disk that is quick. */
  isQuick: boolean
}

const empty = new Uint8Array(0)

type Content = { readonly files: Map<string, Bytes>; readonly maps: Map<string, Map<string, Bytes>> }

/** `turn` is how long an operation takes: a microtask by default; whole stores need a turn of the event loop. */
export function memoryDisk(turn: () => Promise<void> = () => Promise.resolve(), from?: Content): MemoryDisk {
  const files = new Map<string, File>()
  const maps = new Map<string, MapFile>()
  for (const [name, bytes] of from?.files ?? []) files.set(name, { durable: bytes, now: bytes, pending: [] })
  for (const [name, map] of from?.maps ?? []) maps.set(name, { durable: new Map(map), now: new Map(map), pending: [] })
  let isDead = false
  let operationCount = 0
  let failsAt = Number.POSITIVE_INFINITY
  let isQuick = false

  function count(): void {
    operationCount += 1
    if (operationCount > failsAt) throw new Error('EIO: the disk failed')
  }

  /** What `act` does happens at one moment: before a crash or never. */
  async function operation(act: () => void): Promise<void> {
    count()
    await turn()
    // A dead disk's promises stay open, as those of a process that is no more.
    if (isDead) await new Promise(() => {})
    act()
  }

  function fileOf(name: string): File {
    const file = files.get(name) ?? { durable: empty, now: empty, pending: [] }
    files.set(name, file)
    return file
  }

  return {
    files,
    maps,
    get operationCount() {
      return operationCount
    },
    get isQuick() {
      return isQuick
    },
    set isQuick(value) {
      isQuick = value
    },
    failAfter(count) {
      failsAt = operationCount + count
    },
    copy() {
      return memoryDisk(turn, {
        files: new Map([...files].map(([name, file]) => [name, file.now.slice()])),
        maps: new Map([...maps].map(([name, map]) => [name, map.now])),
      })
    },
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
      return memoryDisk(turn, { files: left, maps: leftMaps })
    },
    async open(name) {
      await operation(() => fileOf(name))
      const file = openFile(fileOf(name), operation)
      return {
        ...file,
        writeAndSync(offset, bytes) {
          if (!isQuick || isDead) return file.writeAt(offset, bytes).then(file.sync)
          count()
          const all = fileOf(name)
          all.now = change(all.now, { kind: 'write', offset, bytes: bytes.slice() })
          count()
          all.durable = all.now
          all.pending = []
          return undefined
        },
      }
    },
    async list(folder) {
      const names = [...files.keys()]
        .filter(name => name.startsWith(`${folder}/`))
        .map(name => name.slice(folder.length + 1))
      return names.sort()
    },
    read: async name => files.get(name)?.now.slice(),
    async replace(name, bytes) {
      await operation(() => files.set(name, { durable: bytes.slice(), now: bytes.slice(), pending: [] }))
    },
    async remove(name) {
      await operation(() => files.delete(name))
    },
    async openMap(name) {
      const map = maps.get(name) ?? { durable: new Map(), now: new Map(), pending: [] }
      maps.set(name, map)
      return openMap(map, operation)
    },
  }
}

function change(bytes: Bytes, c: Change): Bytes {
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
  if (how === 1 || c.kind === 'truncate') return change(bytes, c)
  if (how === 2) return change(bytes, { ...c, bytes: c.bytes.subarray(0, random.below(c.bytes.length + 1)) })
  let torn = bytes
  for (let at = 0; at < c.bytes.length; at += 512) {
    if (random.chance(0.5)) torn = change(torn, { ...c, offset: c.offset + at, bytes: c.bytes.subarray(at, at + 512) })
  }
  return torn
}

function openFile(file: File, operation: Operation): DiskFile {
  const act = (c: Change) =>
    operation(() => {
      file.now = change(file.now, c)
      file.pending.push(c)
    })
  return {
    size: async () => file.now.length,
    readAt: async (offset, length) => file.now.slice(offset, offset + length),
    writeAt: (offset, bytes) => act({ kind: 'write', offset, bytes: bytes.slice() }),
    truncate: size => act({ kind: 'truncate', size }),
    sync: () =>
      operation(() => {
        file.durable = file.now
        file.pending = []
      }),
    async close() {},
  }
}

function applyBatch(map: Map<string, Bytes>, batch: Batch): void {
  for (const { key, value } of batch) {
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
}

function openMap(map: MapFile, operation: Operation): DiskMap {
  return {
    get: async key => map.now.get(key),
    batch: (changes, { sync }) =>
      operation(() => {
        applyBatch(map.now, changes)
        map.pending.push(changes)
        if (!sync) return
        map.durable = new Map(map.now)
        map.pending = []
      }),
    async *entries({ from, to }) {
      const all = [...map.now].filter(([key]) => key >= from && key < to).sort(([a], [b]) => compareText(a, b))
      for (const [key, value] of all) yield [key, value] as const
    },
    async close() {},
  }
}
