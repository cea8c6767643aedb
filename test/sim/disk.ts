// A disk in memory that keeps only what it promised: a crash loses or tears what was not synced, by bytes or by sectors,
// and the newest batches of a map; a write or a sync may fail, or find no room, or take for ever. What was synced it keeps,
// until disk-damage.ts takes some of it away.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { compareText } from '../../src/lib/sorted.ts'
import type { Disk, DiskFile, DiskMap, DiskMapChange } from '../../src/world/disk.ts'
import { delay, forever, type Life, later } from './life.ts'

export type DiskFaults = {
  /** Of one write or sync: the disk does not work. */
  errorChance: number
  syncMsMax: number
  /** Of a sync: it takes up to `stallMsMax`. */
  stallChance: number
  stallMsMax: number
  /** Of a sync: the power goes while it runs. */
  crashChance: number
  /** A crash keeps any sectors of what was not synced, not only a beginning of it. */
  tearsSectors: boolean
}

/** Bugs that a test puts in. */
export type DiskBugs = {
  /** A sync resolves at once and happens later. */
  readonly syncLies?: boolean
  /** A failed sync is taken for a success. */
  readonly syncErrorsSwallowed?: boolean
}

export type SimDisk = {
  /** The disk as one life sees it. */
  readonly attach: (life: Life) => Disk
  /** The power went: what was not synced is gone, or torn. */
  readonly crash: () => void
  /** A fresh disk. */
  readonly wipe: () => void
  /** What stalls ends now. */
  readonly unstall: () => void
  /** Until then nothing grows. */
  fullUntilMs: number
  /** The next whole file that is read comes back as another one. */
  misdirectsRead: boolean
  /** What a dead disk holds, for those who damage it. */
  readonly held: {
    readonly files: () => ReadonlyMap<string, Bytes>
    readonly put: (name: string, bytes: Bytes | undefined) => void
    readonly map: (name: string) => ReadonlyMap<string, Bytes>
    readonly putRecord: (name: string, key: string, value: Bytes | undefined) => void
  }
}

export const noDiskBites = () => ({
  'failed disk call': 0,
  'full disk': 0,
  'stalled sync': 0,
  'crash in a sync': 0,
  'lost write': 0,
  'torn write': 0,
  'bent write': 0,
  'lost batch': 0,
  'misdirected read': 0,
})
export type DiskBites = ReturnType<typeof noDiskBites>

export class DiskError extends Error {
  override readonly name = 'DiskError'
  /** As in world/disk.ts. */
  readonly code: 'EIO' | 'FULL'
  constructor(code: 'EIO' | 'FULL', what: string) {
    super(`${code}: ${what}`)
    this.code = code
  }
}

const sectorBytes = 512

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
const whole = ({ bytes, length }: Content): Bytes => bytes.slice(0, length)

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

export function createSimDisk(
  random: Prng,
  faults: DiskFaults,
  bites: DiskBites,
  pullPlug: () => void,
  bugs: DiskBugs = {},
): SimDisk {
  let files = new Map<string, File>()
  let maps = new Map<string, MapData>()
  const stalls = new Set<() => void>()

  function crashFile(name: string, file: File): void {
    if (!file.isNamed && random.chance(0.5)) {
      files.delete(name)
      return
    }
    const { durable, unsynced } = file
    if (faults.tearsSectors) for (const change of unsynced) keepSectors(durable, change)
    else keepBeginning(durable, unsynced)
    files.set(name, { durable, view: content(whole(durable)), unsynced: [], isNamed: true })
  }

  /** What was written, in order; the first that is missing may be there in part, or end in rubbish. */
  function keepBeginning(durable: Content, unsynced: readonly Change[]): void {
    const kept = random.below(unsynced.length + 1)
    for (const change of unsynced.slice(0, kept)) apply(durable, change)
    const torn = unsynced[kept]
    if (torn === undefined) return
    bites['lost write']++
    if (torn.kind !== 'write') return
    const bytes = torn.bytes.slice(0, random.below(torn.bytes.length + 1))
    const last = bytes.length - 1
    if (last >= 0) bites['torn write']++
    if (last >= 0 && random.chance(0.3)) {
      bites['bent write']++
      bytes[last] = (bytes[last] ?? 0) ^ (1 << random.below(8))
    }
    apply(durable, { kind: 'write', offset: torn.offset, bytes })
  }

  /** Each sector reached the disk or did not. */
  function keepSectors(durable: Content, change: Change): void {
    if (change.kind === 'size') {
      if (random.chance(0.5)) apply(durable, change)
      return
    }
    let isTorn = false
    for (let at = 0; at < change.bytes.length; ) {
      const offset = change.offset + at
      const count = Math.min(change.bytes.length - at, sectorBytes - (offset % sectorBytes))
      if (random.chance(0.5)) apply(durable, { kind: 'write', offset, bytes: change.bytes.slice(at, at + count) })
      else isTorn = true
      at += count
    }
    if (isTorn) bites['torn write']++
  }

  function crashMap(map: MapData): void {
    const kept = random.below(map.unsynced.length + 1)
    if (kept < map.unsynced.length) bites['lost batch']++
    for (const changes of map.unsynced.slice(0, kept)) put(map.durable, changes)
    map.view = new Map(map.durable)
    map.unsynced = []
    map.openIn = undefined
  }

  function attach(life: Life): Disk {
    const isFull = () => life.agenda.nowMs() < disk.fullUntilMs
    /** Most calls return at once, some a little later, so that others come between. */
    async function some(): Promise<void> {
      if (!life.alive) await forever()
      if (random.chance(0.2)) await delay(life, random.float() * 0.2)
    }
    async function slow(): Promise<void> {
      if (!life.alive) await forever()
      const isStalled = random.chance(faults.stallChance)
      if (isStalled) bites['stalled sync']++
      const ms = 0.1 + random.float() * (isStalled ? faults.stallMsMax : faults.syncMsMax)
      if (random.chance(faults.crashChance)) {
        later(life, random.float() * ms, () => {
          bites['crash in a sync']++
          pullPlug()
        })
      }
      await new Promise<void>(resolve => {
        const done = () => {
          stalls.delete(done)
          resolve()
        }
        if (isStalled) stalls.add(done)
        later(life, ms, done)
      })
    }
    function maybeFail(what: string): void {
      if (!random.chance(faults.errorChance)) return
      bites['failed disk call']++
      throw new DiskError('EIO', what)
    }
    function maybeFull(what: string): void {
      if (!isFull()) return
      bites['full disk']++
      throw new DiskError('FULL', what)
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
      const syncNow = (count: number) => {
        for (const one of file.unsynced.splice(0, count)) apply(file.durable, one)
        file.isNamed = true
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
          // The bytes are the caller's again afterwards.
          const own = bytes.slice()
          await some()
          const grows = offset + own.length > file.view.length
          if ((grows && isFull()) || random.chance(faults.errorChance)) {
            change({ kind: 'write', offset, bytes: own.slice(0, random.below(own.length + 1)) })
            if (grows) maybeFull(`write to ${name}`)
            bites['failed disk call']++
            throw new DiskError('EIO', `write to ${name}`)
          }
          change({ kind: 'write', offset, bytes: own })
        },
        async truncate(size) {
          await some()
          change({ kind: 'size', size })
        },
        async sync() {
          const until = file.unsynced.length
          if (bugs.syncLies === true) {
            later(life, 5 + random.float() * 200, () => syncNow(until))
            return
          }
          await slow()
          try {
            maybeFail(`sync of ${name}`)
          } catch (error) {
            // After a failed sync the pages may count as written and be gone.
            file.unsynced.splice(0, until)
            if (bugs.syncErrorsSwallowed === true) return
            throw error
          }
          syncNow(until)
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
          maybeFull(`batch in ${name}`)
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
        const others = [...files.keys()].filter(other => other !== name)
        const other = files.get(others[random.below(Math.max(1, others.length))] ?? '')
        if (!disk.misdirectsRead || file === undefined || other === undefined) return file && whole(file.view)
        disk.misdirectsRead = false
        bites['misdirected read']++
        return whole(other.view)
      },
      async replace(name, bytes) {
        const own = content(bytes)
        await slow()
        maybeFull(`replacement of ${name}`)
        maybeFail(`replacement of ${name}`)
        files.set(name, { durable: own, view: content(whole(own)), unsynced: [], isNamed: true })
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

  const disk: SimDisk = {
    attach,
    unstall() {
      for (const done of [...stalls]) done()
    },
    crash() {
      stalls.clear()
      for (const [name, file] of [...files]) crashFile(name, file)
      for (const map of maps.values()) crashMap(map)
    },
    wipe() {
      files = new Map()
      maps = new Map()
    },
    fullUntilMs: 0,
    misdirectsRead: false,
    held: {
      files: () => new Map([...files].map(([name, file]) => [name, whole(file.durable)])),
      put(name, bytes) {
        if (bytes === undefined) files.delete(name)
        else files.set(name, { durable: content(bytes), view: content(bytes), unsynced: [], isNamed: true })
      },
      map: name => maps.get(name)?.durable ?? new Map(),
      putRecord(name, key, value) {
        const data = maps.get(name)
        for (const map of data === undefined ? [] : [data.durable, data.view]) put(map, [{ key, value }])
      },
    },
  }
  return disk
}
