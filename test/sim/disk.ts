// A disk in memory that keeps only what it promised: a crash loses or tears what was not synced, the newest batches of a
// map go first, and a write or a sync may fail. It never loses what was synced; that is for the tests of the log.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { compareText } from '../../src/lib/sorted.ts'
import type { Disk, DiskFile, DiskMap, DiskMapChange } from '../../src/world/disk.ts'
import { delay, forever, type Life, later } from './life.ts'

export type DiskFaults = {
  /** Of one write or sync: EIO or ENOSPC. */
  errorChance: number
  syncMsMax: number
  /** Of a sync: it takes a hundred times as long. */
  stallChance: number
  /** Of a sync: the power goes while it runs. */
  crashChance: number
  /** A bug that a test may put in: a sync resolves at once and nothing is safe. */
  readonly syncLies?: boolean
}

export type SimDisk = {
  /** The disk as one life sees it. */
  readonly attach: (life: Life) => Disk
  /** The power went: what was not synced is gone, or torn. */
  readonly crash: () => void
  /** A fresh disk. */
  readonly wipe: () => void
}

export class DiskError extends Error {
  override readonly name = 'DiskError'
  readonly code: 'EIO' | 'ENOSPC'
  constructor(code: 'EIO' | 'ENOSPC', what: string) {
    super(`${code}: ${what}`)
    this.code = code
  }
}

/** Bytes that grow at the end without a copy each time. */
type Content = { bytes: Uint8Array; length: number }
type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Bytes }
  | { readonly kind: 'size'; readonly size: number }
type File = { durable: Content; readonly view: Content; unsynced: Change[]; isNamed: boolean }
type MapData = {
  durable: Map<string, Bytes>
  view: Map<string, Bytes>
  unsynced: (readonly DiskMapChange[])[]
  openIn: Life | undefined
}

const content = (bytes: Uint8Array): Content => ({ bytes: bytes.slice(), length: bytes.length })

function apply(target: Content, change: Change): void {
  if (change.kind === 'size') {
    if (change.size > target.length) grow(target, change.size)
    target.bytes.fill(0, change.size, target.length)
    target.length = change.size
    return
  }
  grow(target, change.offset + change.bytes.length)
  target.bytes.set(change.bytes, change.offset)
}

function grow(target: Content, length: number): void {
  if (length > target.bytes.length) {
    const larger = new Uint8Array(Math.max(1024, 2 * length))
    larger.set(target.bytes.subarray(0, target.length))
    target.bytes = larger
  }
  target.length = Math.max(target.length, length)
}

function put(map: Map<string, Bytes>, changes: readonly DiskMapChange[]): void {
  for (const { key, value } of changes) {
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
}

export function createSimDisk(random: Prng, faults: DiskFaults, pullPlug: () => void): SimDisk {
  let files = new Map<string, File>()
  let maps = new Map<string, MapData>()

  /** The beginning of what was written, in order; the first that is missing may be there in part, or end in rubbish. */
  function crashFile(name: string, file: File): void {
    if (!file.isNamed && random.chance(0.5)) {
      files.delete(name)
      return
    }
    const { durable, unsynced } = file
    const kept = random.below(unsynced.length + 1)
    for (const change of unsynced.slice(0, kept)) apply(durable, change)
    const torn = unsynced[kept]
    if (torn?.kind === 'write') {
      const bytes = torn.bytes.slice(0, random.below(torn.bytes.length + 1))
      // A bit flip in what is not finished.
      const last = bytes.length - 1
      if (last >= 0 && random.chance(0.3)) bytes[last] = (bytes[last] ?? 0) ^ (1 << random.below(8))
      apply(durable, { kind: 'write', offset: torn.offset, bytes })
    }
    files.set(name, { durable, view: content(durable.bytes.subarray(0, durable.length)), unsynced: [], isNamed: true })
  }

  function crashMap(map: MapData): void {
    const kept = random.below(map.unsynced.length + 1)
    for (const changes of map.unsynced.slice(0, kept)) put(map.durable, changes)
    map.view = new Map(map.durable)
    map.unsynced = []
    map.openIn = undefined
  }

  function attach(life: Life): Disk {
    const pauseMs = () => random.float() * 0.2
    /** Most calls return at once, some a little later, so that others come between. */
    async function some(): Promise<void> {
      if (!life.alive) await forever()
      if (random.chance(0.2)) await delay(life, pauseMs())
    }
    async function slow(): Promise<void> {
      if (!life.alive) await forever()
      const stall = random.chance(faults.stallChance) ? 100 : 1
      const ms = 0.1 + random.float() * faults.syncMsMax * stall
      if (random.chance(faults.crashChance)) later(life, random.float() * ms, pullPlug)
      await delay(life, ms)
    }
    function maybeFail(what: string): void {
      if (random.chance(faults.errorChance)) throw new DiskError(random.chance(0.5) ? 'EIO' : 'ENOSPC', what)
    }
    function fileOf(name: string): File {
      const known = files.get(name)
      if (known !== undefined) return known
      const empty = new Uint8Array(0)
      const file = { durable: content(empty), view: content(empty), unsynced: [], isNamed: false }
      files.set(name, file)
      return file
    }

    function openFile(name: string): DiskFile {
      const file = fileOf(name)
      const change = (one: Change) => {
        apply(file.view, one)
        file.unsynced.push(one)
      }
      return {
        async size() {
          await some()
          return file.view.length
        },
        async readAt(offset, length) {
          await some()
          return file.view.bytes.slice(offset, Math.min(file.view.length, offset + length))
        },
        async writeAt(offset, bytes) {
          await some()
          if (random.chance(faults.errorChance)) {
            change({ kind: 'write', offset, bytes: bytes.slice(0, random.below(bytes.length + 1)) })
            throw new DiskError('ENOSPC', `write to ${name}`)
          }
          change({ kind: 'write', offset, bytes: bytes.slice() })
        },
        async truncate(size) {
          await some()
          change({ kind: 'size', size })
        },
        async sync() {
          if (faults.syncLies === true) return
          const until = file.unsynced.length
          await slow()
          maybeFail(`sync of ${name}`)
          for (const one of file.unsynced.splice(0, until)) apply(file.durable, one)
          file.isNamed = true
        },
        async close() {
          await some()
        },
      }
    }

    function openMap(name: string): DiskMap {
      const data: MapData = maps.get(name) ?? { durable: new Map(), view: new Map(), unsynced: [], openIn: undefined }
      maps.set(name, data)
      if (data.openIn !== undefined) throw new Error(`map ${name} is open already`)
      data.openIn = life
      return {
        async get(key) {
          await some()
          return data.view.get(key)
        },
        async batch(changes, { sync }) {
          await some()
          maybeFail(`batch in ${name}`)
          put(data.view, changes)
          data.unsynced.push(changes)
          if (!sync) return
          const until = data.unsynced.length
          await slow()
          maybeFail(`sync of ${name}`)
          for (const one of data.unsynced.splice(0, until)) put(data.durable, one)
        },
        async *entries({ from, to }) {
          await some()
          const found = [...data.view].filter(([key]) => key >= from && key < to)
          yield* found.sort(([a], [b]) => compareText(a, b))
        },
        async close() {
          await some()
          data.openIn = undefined
        },
      }
    }

    return {
      async open(name) {
        await some()
        return openFile(name)
      },
      async list(folder) {
        await some()
        const prefix = `${folder}/`
        const names = [...files.keys()].filter(name => name.startsWith(prefix))
        return names.map(name => name.slice(prefix.length)).sort(compareText)
      },
      async read(name) {
        await some()
        const file = files.get(name)
        return file?.view.bytes.slice(0, file.view.length)
      },
      async replace(name, bytes) {
        await slow()
        maybeFail(`replacement of ${name}`)
        files.set(name, { durable: content(bytes), view: content(bytes), unsynced: [], isNamed: true })
      },
      async remove(name) {
        await slow()
        maybeFail(`removal of ${name}`)
        files.delete(name)
      },
      async openMap(name) {
        await some()
        return openMap(name)
      },
    }
  }

  return {
    attach,
    crash() {
      for (const [name, file] of [...files]) crashFile(name, file)
      for (const map of maps.values()) crashMap(map)
    },
    wipe() {
      files = new Map()
      maps = new Map()
    },
  }
}
