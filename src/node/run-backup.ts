// Backups: made from this peer's replica while it runs, kept in <data-dir>/backups, copied to other peers over the mesh. The
// leader makes the scheduled ones. A file appears under its name only when all of it was checked and is on the disk.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { ApiError } from '../api/error.ts'
import { configMap as configMapKind } from '../api/kinds/configmap.ts'
import type { Client } from '../client/client.ts'
import type { MeshNetwork } from '../drivers/network/libp2p.ts'
import { type Bytes, text, utf8 } from '../lib/bytes.ts'
import type { RunningStore } from '../store/run.ts'
import { encodeFrame, frameDecoder } from '../wire/frame.ts'
import type { MeshStream, PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import {
  type BackupHead,
  backupName,
  backupReader,
  defaultSchedule,
  encodeBackup,
  isBackupName,
  isDue,
  type LastBackup,
  type Schedule,
  scheduleData,
  scheduleOf,
  superfluous,
} from './backup.ts'
import type { ClusterRecord } from './config.ts'
import { backupsDir, syncDir, timeStamp } from './run-files.ts'

const readBytes = 256 * 1024
const headBytesMax = 1024 * 1024
const newestMs = 3_000
const sendMs = 10 * 60_000
/** Room that a peer keeps for itself when another sends it a backup. */
const freeBytesMin = 256 * 1024 * 1024
const lookEveryMs = { least: 1_000, most: 30_000 }

const lastKey = '/flotilla/backup/last'
/** What people set for the whole cluster: a ConfigMap, so that kubectl shows it. */
export const configPlace = { namespace: 'kube-system', name: 'flotilla' } as const

/** One file on one peer. */
export type BackupInfo = {
  readonly name: string
  readonly node: string
  readonly bytes: number
  readonly atMs: number
  readonly revision: number
  readonly clusterName: string
  readonly scheduled: boolean
}

/** Reads a backup to its end and checks all of it; `chunk` gets the store's chunks. Throws BackupError, or the disk's error. */
export async function readBackup(
  file: string,
  chunk: (bytes: Bytes) => void,
  progress: (bytes: number) => void = () => undefined,
): Promise<BackupHead> {
  const reader = backupReader()
  let done = 0
  for await (const bytes of fileBytes(file)) {
    for (const one of reader.push(bytes)) chunk(one)
    done += bytes.length
    progress(done)
  }
  return reader.finish()
}

/** The store's chunks, one after the other. The file was checked before, and is checked again. */
export async function* backupChunks(file: string): AsyncGenerator<Bytes, void, undefined> {
  const reader = backupReader()
  for await (const bytes of fileBytes(file)) yield* reader.push(bytes)
  reader.finish()
}

async function* fileBytes(file: string): AsyncGenerator<Bytes, void, undefined> {
  const handle = await fs.open(file, 'r')
  try {
    for (;;) {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(readBytes), 0, readBytes)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

/** Writes a backup as it comes, checks it on the way, and puts it under its name when it is whole and synced. */
export async function writeBackup(
  file: string,
  source: AsyncIterable<Bytes> | Iterable<Bytes>,
  progress: (bytes: number) => void = () => undefined,
): Promise<BackupHead> {
  const part = `${file}.part`
  const reader = backupReader()
  const handle = await fs.open(part, 'w', 0o600)
  try {
    try {
      let done = 0
      for await (const bytes of source) {
        reader.push(bytes)
        await writeAll(handle, bytes)
        done += bytes.length
        progress(done)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    const head = reader.finish()
    await fs.rename(part, file)
    await syncDir(path.dirname(path.resolve(file)))
    return head
  } catch (error) {
    await fs.rm(part, { force: true })
    throw error
  }
}

async function writeAll(handle: fs.FileHandle, bytes: Bytes): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten
}

export type BackupParts = {
  readonly world: World
  readonly network: MeshNetwork
  readonly store: RunningStore
  readonly cluster: ClusterRecord
  readonly dataDir: string
  readonly program: string
}

export interface Backups extends Disposable {
  /** All that this replica holds now, as a file's bytes. */
  make(
    scheduled: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly head: BackupHead; readonly bytes: AsyncIterable<Bytes> }>
  /** Makes one in this peer's own folder. */
  save(scheduled: boolean, keep: number, signal: AbortSignal): Promise<BackupInfo>
  /** Those in this peer's own folder; a file that cannot be read is left out and logged. */
  list(): Promise<readonly BackupInfo[]>
  /** Copies one of the own folder to another peer, which checks it. */
  send(peer: PeerId, name: string, keep: number, signal: AbortSignal): Promise<void>
}

export function openBackups(parts: BackupParts): Backups {
  const { world, network, store, cluster, dataDir } = parts
  const log = world.log.with({ component: 'backup' })
  const dir = backupsDir(dataDir)

  async function make(scheduled: boolean, signal: AbortSignal) {
    using deadline = world.clock.deadline(newestMs, signal)
    const newest = await store.newest(deadline.signal).then(
      () => true,
      error => {
        log.warn('the backup is of what this peer holds: no leader said that it is not behind', {
          error: String(error),
        })
        return false
      },
    )
    signal.throwIfAborted()
    // From here to `backup()` nothing waits, so that all of it is of one moment.
    const { term, revision } = store.status()
    const { index, hash } = store.hash()
    const { clusterId, clusterName, origin, past, clusterCidr, serviceCidr, nodeName } = cluster
    const head: BackupHead = {
      ...{ clusterId, clusterName, origin, past, clusterCidr, serviceCidr, term, index, revision, hash },
      atMs: world.clock.nowMs(),
      node: nodeName,
      newest,
      scheduled,
      program: parts.program,
    }
    return { head, bytes: gently(encodeBackup(head, store.backup())) }
  }

  async function list(): Promise<BackupInfo[]> {
    const names = (await fs.readdir(dir).catch(() => [])).filter(isBackupName)
    const found: BackupInfo[] = []
    for (const name of names) {
      try {
        const { clusterName, atMs, revision, scheduled } = await headOf(path.join(dir, name))
        const { size } = await fs.stat(path.join(dir, name))
        found.push({ name, node: cluster.nodeName, bytes: size, atMs, revision, clusterName, scheduled })
      } catch (error) {
        log.warn('a backup cannot be read', { file: path.join(dir, name), error: String(error) })
      }
    }
    return found
  }

  async function prune(keep: number): Promise<void> {
    const names = await fs.readdir(dir)
    for (const name of superfluous(names, Math.max(1, keep))) await fs.rm(path.join(dir, name), { force: true })
  }

  async function receive(stream: MeshStream): Promise<void> {
    if (!store.status().members.some(({ peer }) => peer === stream.remote))
      throw new Error('only a member may send backups')
    const frames = framesOf(stream)
    const first = await frames.next()
    if (first.done === true) return
    const { name, bytes, keep } = JSON.parse(text(first.value)) as { name?: unknown; bytes?: unknown; keep?: unknown }
    if (typeof name !== 'string' || !isBackupName(name) || typeof bytes !== 'number' || typeof keep !== 'number') {
      throw new Error('not a backup')
    }
    await fs.mkdir(dir, { recursive: true, mode: 0o700 })
    const disk = await fs.statfs(dir)
    if (disk.bavail * disk.bsize < bytes + freeBytesMin) throw new Error('there is no room for another backup')
    const head = await writeBackup(path.join(dir, name), frames)
    await prune(keep)
    log.info('keeps a backup of another peer', { from: stream.remote, file: name, revision: head.revision })
  }

  const receiving = network.onStream('status', async stream => {
    let answer = {}
    try {
      await receive(stream)
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) }
      log.warn('a backup of another peer was not kept', { from: stream.remote, error: String(error) })
    }
    await stream.write(encodeFrame(utf8(JSON.stringify(answer))))
  })

  return {
    make,
    list,
    async save(scheduled, keep, signal) {
      const { head, bytes } = await make(scheduled, signal)
      const name = backupName(head, timeStamp(head.atMs))
      await fs.mkdir(dir, { recursive: true, mode: 0o700 })
      await writeBackup(path.join(dir, name), bytes)
      await prune(keep)
      const { size } = await fs.stat(path.join(dir, name))
      const { clusterName, atMs, revision } = head
      return { name, node: cluster.nodeName, bytes: size, atMs, revision, clusterName, scheduled }
    },
    async send(peer, name, keep, signal) {
      using deadline = world.clock.deadline(sendMs, signal)
      const file = path.join(dir, name)
      const { size } = await fs.stat(file)
      const stream = await network.open(peer, 'status', deadline.signal)
      try {
        await stream.write(encodeFrame(utf8(JSON.stringify({ name, bytes: size, keep }))))
        for await (const bytes of fileBytes(file)) {
          deadline.signal.throwIfAborted()
          await stream.write(encodeFrame(bytes))
        }
        await stream.closeWrite()
        const answer = await framesOf(stream).next()
        const { error } = JSON.parse(answer.done === true ? '{"error":"no answer"}' : text(answer.value)) as {
          error?: string
        }
        if (error !== undefined) throw new Error(`the backup was not kept there: ${error}`)
      } finally {
        stream.abort()
      }
    },
    [Symbol.dispose]: () => receiving[Symbol.dispose](),
  }
}

/** A piece of a large backup per turn of the event loop: heartbeats come between. */
async function* gently(pieces: Iterable<Bytes>): AsyncGenerator<Bytes, void, undefined> {
  for (const piece of pieces) {
    yield piece
    await setImmediate()
  }
}

async function* framesOf(stream: MeshStream): AsyncGenerator<Bytes, void, undefined> {
  const decoder = frameDecoder()
  for await (const bytes of stream.read()) yield* decoder.push(bytes)
}

async function headOf(file: string): Promise<BackupHead> {
  const reader = backupReader()
  let read = 0
  for await (const bytes of fileBytes(file)) {
    reader.push(bytes)
    if (reader.head !== undefined) return reader.head
    read += bytes.length
    if (read > headBytesMax) break
  }
  return reader.finish()
}

/** The schedule that the cluster was given, or the default. */
export async function readSchedule(client: Client, signal: AbortSignal): Promise<Schedule> {
  try {
    return scheduleOf((await client.get(configMapKind, configPlace, signal)).data ?? {})
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'NotFound') return defaultSchedule
    throw error
  }
}

export async function writeSchedule(client: Client, schedule: Schedule, signal: AbortSignal): Promise<void> {
  const data = scheduleData(schedule)
  try {
    await client.patch(configMapKind, configPlace, { type: 'merge', body: { data } }, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'NotFound') throw error
    await client.create(configMapKind, { metadata: configPlace, data: filled(data) }, signal)
  }
}

function filled(data: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).flatMap(([key, value]) => (value === null ? [] : [[key, value]])))
}

export type ScheduleParts = {
  readonly world: World
  readonly store: RunningStore
  readonly client: Client
  readonly backups: Backups
  /** Peers that may keep a copy now, best first, by node name. */
  readonly others: () => readonly { readonly node: string; readonly peer: PeerId }[]
  readonly copies: number
  /** Wall clock: when the cluster began. Undefined while that is not known. */
  readonly foundedMs: () => number | undefined
}

/** Makes scheduled backups until the signal: the leader's task. */
export async function runSchedule(parts: ScheduleParts, signal: AbortSignal): Promise<void> {
  const { world, store, backups } = parts
  const log = world.log.with({ component: 'backup' })
  let pauseMs = lookEveryMs.least
  while (!signal.aborted) {
    try {
      const schedule = await readSchedule(parts.client, signal)
      pauseMs = Math.min(Math.max(schedule.everyMs / 10, lookEveryMs.least), lookEveryMs.most)
      await once(schedule)
    } catch (error) {
      if (!signal.aborted) log.error('the scheduled backup was not made', { error: String(error) })
    }
    await world.clock.sleep(pauseMs, signal)
  }

  async function once(schedule: Schedule): Promise<void> {
    const foundedMs = parts.foundedMs()
    if (foundedMs === undefined) return
    const found = await store.get(lastKey)
    const last = found === undefined ? undefined : (JSON.parse(found.value) as LastBackup)
    const now = { nowMs: world.clock.nowMs(), revision: store.revision(), foundedMs }
    if (!isDue(schedule, last, now)) return
    const info = await backups.save(true, schedule.keep, signal)
    const chosen = parts.others().filter(({ node }) => schedule.to?.includes(node) ?? true)
    const kept: string[] = []
    for (const { node, peer } of chosen) {
      if (schedule.to === undefined && kept.length >= parts.copies) break
      try {
        await backups.send(peer, info.name, schedule.keep, signal)
        kept.push(node)
      } catch (error) {
        log.warn('a copy of the backup did not reach a peer', { node, error: String(error) })
      }
    }
    const value = JSON.stringify({ atMs: info.atMs, revision: info.revision } satisfies LastBackup)
    await store.write({ compare: [], operations: [{ key: lastKey, value }] }, signal)
    log.info('made the scheduled backup', { file: info.name, bytes: info.bytes, copies: kept.join(',') || 'none' })
  }
}
