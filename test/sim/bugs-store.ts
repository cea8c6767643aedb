// Bugs of the store, its disk and its watches that are put in on purpose, from outside: around the world that a store
// lives in, the disk before it starts, or the store as its clients see it.
import { StoreError } from '../../src/kv/store.ts'
import {
  decodeSlot,
  encodeSlot,
  replay,
  type Scan,
  StoreDamage,
  scanSegment,
  slotBytes,
  type Watermark,
} from '../../src/store/log.ts'
import type { RunningStore } from '../../src/store/run.ts'
import {
  type Block,
  changePrefix,
  decodeBlock,
  decodeWhole,
  encodeWhole,
  prefixEnd,
  wholeKey,
} from '../../src/store/state.ts'
import type { DiskMap } from '../../src/world/disk.ts'
import type { World } from '../../src/world/world.ts'
import type { Machine, StoreBugs } from './cluster.ts'
import type { SimDisk } from './disk.ts'
import { later } from './life.ts'

// ---- the log on the disk ----

type Segment = { readonly name: string; readonly number: number; readonly bytes: Uint8Array; readonly scan: Scan }

/** The segments up to the first that is not whole. */
function scanLog(disk: SimDisk): Segment[] {
  const files = disk.held.files()
  const names = [...files.keys()].filter(name => name.startsWith('log/')).sort()
  const segments: Segment[] = []
  let crc: number | undefined
  for (const name of names) {
    const bytes = files.get(name) ?? new Uint8Array(0)
    const number = Number(name.slice('log/'.length))
    const scan = scanSegment(bytes, number, crc)
    if (scan.end === 0) break
    segments.push({ name, number, bytes, scan })
    crc = scan.crc
    if (scan.rest !== 'nothing') break
  }
  return segments
}

function markOf(disk: SimDisk): Watermark | undefined {
  const bytes = disk.held.files().get('watermark')
  if (bytes === undefined) return undefined
  const [a, b] = [decodeSlot(bytes.subarray(0, slotBytes)), decodeSlot(bytes.subarray(slotBytes))]
  return a === undefined || (b !== undefined && b.sequence > a.sequence) ? b : a
}

/** Lets the watermark say what is there, whatever was. */
function believeLog(disk: SimDisk, last: Segment, segments: readonly Segment[]): void {
  const mark = markOf(disk)
  const bytes = disk.held.files().get('watermark')
  if (mark === undefined || bytes === undefined || mark.segment === 0) return
  const isLess = last.number < mark.segment || (last.number === mark.segment && last.scan.end < mark.end)
  if (!isLess) return
  const replayed = replay(mark.identity)
  for (const { scan } of segments) for (const record of scan.records) replayed.take(record)
  const { hard } = replayed.state()
  const sequence = mark.sequence + 1
  const { end, crc } = last.scan
  bytes.set(encodeSlot({ ...mark, sequence, hard, segment: last.number, end, crc }), (sequence % 2) * slotBytes)
  disk.held.put('watermark', bytes)
}

/** What stands behind the first bad byte is cut off, good or bad (Alagappan et al., FAST '18). */
function cutAtFirstBadByte(disk: SimDisk): void {
  const segments = scanLog(disk)
  const last = segments.at(-1)
  if (last === undefined) return
  if (last.scan.rest === 'damage') {
    const kept = last.bytes.slice()
    kept.fill(0, last.scan.end)
    disk.held.put(last.name, kept)
  }
  for (const name of disk.held.files().keys()) {
    if (name.startsWith('log/') && name > last.name && last.scan.rest !== 'nothing') disk.held.put(name, undefined)
  }
  believeLog(disk, last, segments)
}

function ignoreWatermark(disk: SimDisk): void {
  const segments = scanLog(disk)
  const last = segments.at(-1)
  if (last !== undefined && last.scan.rest !== 'damage') believeLog(disk, last, segments)
}

const beforeStart =
  (act: (disk: SimDisk) => void) =>
  (world: World, machine: Machine): World => {
    act(machine.disk)
    return world
  }

function refuseTornTail(world: World, { disk }: Machine): World {
  const isTorn = scanLog(disk).at(-1)?.scan.rest === 'torn'
  if (!isTorn) return world
  const read = async () => {
    throw new StoreDamage('corrupt', 'the end of the log is torn')
  }
  return { ...world, disk: { ...world.disk, read } }
}

// ---- the applied state on the disk ----

const withMap =
  (wrap: (map: DiskMap) => DiskMap) =>
  (world: World): World => ({
    ...world,
    disk: { ...world.disk, openMap: async name => wrap(await world.disk.openMap(name)) },
  })

/** etcd-io/etcd#13766. */
const separateIndex = withMap(map => ({
  ...map,
  async batch(changes, options) {
    const index = changes.filter(one => one.key === wholeKey)
    await map.batch(
      changes.filter(one => one.key !== wholeKey),
      { sync: false },
    )
    await map.batch(index, options)
  },
}))

/** etcd-io/etcd#17780: after a start the revision is that before the last changes, if a deletion was the last of all. */
const revisionGoesBack = withMap(map => ({
  ...map,
  async get(key) {
    const value = await map.get(key)
    const found = key === wholeKey && value !== undefined ? decodeWhole(value) : undefined
    const last = await lastBlock(map)
    if (found?.kind !== 'whole' || last === undefined) return value
    return encodeWhole({ ...found.whole, revision: last.before })
  },
  async *entries(range) {
    const last = await lastBlock(map)
    for await (const entry of map.entries(range)) if (entry[0] !== last?.name) yield entry
  },
}))

async function lastBlock(map: DiskMap): Promise<Block | undefined> {
  let last: ReturnType<typeof decodeBlock>
  const range = { from: changePrefix, to: prefixEnd(changePrefix) }
  for await (const [name, value] of map.entries(range)) last = decodeBlock(name, value)
  return last?.changes.at(-1)?.version === 0 ? last.block : undefined
}

// ---- the store as its clients see it ----

const withStore = (wrap: (store: RunningStore) => Partial<RunningStore>) => (store: RunningStore) => ({
  ...store,
  ...wrap(store),
})

/** etcd-io/etcd#18089, #19179. */
const dropsDelete = withStore(store => ({
  async *watch(options, signal) {
    const { compactedRevision } = store.status()
    for await (const batch of store.watch(options, signal)) {
      const events = batch.events.filter(one => one.kind === 'put' || one.revision > compactedRevision + 1)
      yield { ...batch, events }
    }
  },
}))

/** etcd-io/etcd#20221. */
const watchesFromNow = withStore(store => ({
  watch: (options, signal) => store.watch({ ...options, after: Math.min(options.after, store.revision()) }, signal),
}))

/** One that fell behind what is kept goes on with what is there, as if nothing had been missed. */
const hidesCompaction = withStore(store => ({
  async *watch(options, signal) {
    let { after } = options
    while (!signal.aborted) {
      try {
        for await (const batch of store.watch({ ...options, after }, signal)) {
          after = batch.revision
          yield batch
        }
        return
      } catch (error) {
        if (!(error instanceof StoreError) || error.reason !== 'compacted') throw error
        after = store.revision()
      }
    }
  },
}))

const forgetsIds = withStore(store => ({
  execute(command, signal) {
    if (command.kind !== 'write') return store.execute(command, signal)
    const { compare, operations } = command.write
    return store.execute({ kind: 'write', write: { compare, operations } }, signal)
  },
}))

const answersEarly = withStore(store => ({
  execute(command, signal) {
    const answer = store.execute(command, signal)
    if (command.kind !== 'write') return answer
    answer.catch(() => {
      // Nobody waits for it any more.
    })
    const revision = store.revision() + 1
    return Promise.resolve({ kind: 'write', revision, result: { kind: 'done', revision } } as const)
  },
}))

/** etcd-io/etcd#15247: whoever has led counts on, and ends leases in whatever term it is by then. */
function revokesLater(store: RunningStore, machine: Machine): RunningStore {
  const { life } = machine
  if (life === undefined) return store
  const ends = new Map<number, number>()
  const look = () => {
    if (!life.alive) return
    const isLeader = store.status().role === 'leader'
    for (const lease of store.leases()) if (isLeader && !ends.has(lease)) ends.set(lease, life.agenda.nowMs() + 2_000)
    for (const [lease, endMs] of ends) {
      if (isLeader || endMs > life.agenda.nowMs()) continue
      ends.delete(lease)
      store.execute({ kind: 'revoke', lease, term: undefined }).catch(() => {
        // It is tried once.
      })
    }
    later(life, 100, look)
  }
  later(life, 100, look)
  return store
}

const readsHere = withStore(store => ({ newest: () => Promise.resolve(store.revision()) }))

export const storeBugs: Readonly<Record<string, StoreBugs>> = {
  'applied index in a separate write': { world: separateIndex },
  'acknowledged before the sync': { disk: { syncLies: true } },
  'failed sync swallowed': { disk: { syncErrorsSwallowed: true } },
  'log cut at the first bad byte': { world: beforeStart(cutAtFirstBadByte) },
  'watermark ignored': { world: beforeStart(ignoreWatermark) },
  'torn tail counted as damage': { world: refuseTornTail },
  'wiped disk votes again': { config: ({ expectExisting: _expected, ...config }) => config },
  'revision goes back on a restart': { world: revisionGoesBack },
  'retried write applied twice': { store: forgetsIds },
  'write answered before it is applied': { store: answersEarly },
  'newest read from the own replica': { store: readsHere },
  'lease ended by a deposed leader': { store: revokesLater },
  'watch drops the deletion at the compacted revision': { store: dropsDelete },
  'watch on a future revision gets old events': { store: watchesFromNow },
  'watch hides that changes were compacted': { store: hidesCompaction },
}
