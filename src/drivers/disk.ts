// The real disk: a folder of plain files, and LevelDB for maps. Every promise of world/disk.ts about durability is kept
// here: data is synced by fdatasync, and a folder is synced after a name in it was made, changed or taken away.
// LevelDB neither checks what it reads nor says when it lost something, so every value carries its own checksum.
import { constants, fdatasync, fdatasyncSync, writeSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import * as zlib from 'node:zlib'
import { Level } from 'level'
import { ByteWriter, reusedWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32, lendCrc32 } from '../lib/crc32.ts'
import type { Disk, DiskFile, DiskMap } from '../world/disk.ts'
import { createReserve, isFull, release } from './reserve.ts'
import { createSyncPace, type SyncPace } from './syncpace.ts'

lendCrc32(zlib.crc32)

/** About a millisecond of work. */
const sliceCount = 500
/** Up to here a write goes straight into the page cache: the way through the thread pool costs more than it. */
const directBytesMax = 64 * 1024

export class DiskError extends Error {
  override readonly name = 'DiskError'
  readonly code: 'CORRUPT' | 'FAILED' | 'FULL' | 'IN-USE' | 'NAME'
  constructor(code: DiskError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * `root` is made if it is missing; its parent must exist. Only this user may read what is in it. It is this process's
 * until it ends: another one gets a DiskError 'IN-USE', for two that append to one log would ruin it.
 */
export async function openDisk(root: string): Promise<Disk> {
  await makeFolder(root)
  await lockAnyhow(resolve(root))
  const pace = createSyncPace()
  const folderOf = async (name: string): Promise<void> => {
    const folder = dirname(checked(name))
    if (folder !== '.') await makeFolder(join(root, folder))
  }
  return {
    async open(name) {
      await folderOf(name)
      return openFile(join(root, name), pace)
    },
    async list(folder) {
      const entries = await orAbsent(readdir(join(root, checked(folder)), { withFileTypes: true }))
      const names = (entries ?? []).filter(e => e.isFile() && !e.name.endsWith('.tmp')).map(e => e.name)
      return names.sort()
    },
    async read(name) {
      const bytes = await orAbsent(readFile(join(root, checked(name))))
      return bytes === undefined ? undefined : plain(bytes)
    },
    async replace(name, bytes) {
      await folderOf(name)
      const path = join(root, name)
      const temporary = `${path}.tmp`
      const file = await open(temporary, 'w', 0o600)
      try {
        await writeAll(file, 0, bytes).catch(error => Promise.reject(writeError(path, error)))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, path)
      await syncFolder(dirname(path))
    },
    async remove(name) {
      const path = join(root, checked(name))
      await orAbsent(unlink(path))
      if ((await orAbsent(readdir(dirname(path)))) !== undefined) await syncFolder(dirname(path))
    },
    async openMap(name) {
      checked(name)
      await makeFolder(join(root, name))
      return openMap(join(root, name))
    },
    reserve: createReserve(root),
  }
}

/** Whatever stands in the way of it but another process: nobody else has it then, and it holds nothing of value. */
async function lockAnyhow(root: string): Promise<void> {
  try {
    await lock(root)
  } catch (error) {
    const code = error instanceof DiskError ? error.code : undefined
    // It takes room to take the lock.
    if (code === 'FULL' && (await release(root))) return await lock(root)
    if (code !== 'CORRUPT') throw error
    await rm(join(root, 'lock'), { recursive: true, force: true })
    await lock(root)
  }
}

const locks = new Map<string, Promise<void>>()

/** LevelDB's own lock on a folder (fcntl), for Node has none: it goes with the process, however that ends. */
function lock(root: string): Promise<void> {
  const held =
    locks.get(root) ?? new Level(join(root, 'lock')).open().catch(error => Promise.reject(inWords(root, error)))
  locks.set(root, held)
  // One that could not be had may be had later.
  held.catch(() => locks.delete(root))
  return held
}

/** LevelDB's errors say what happened in their cause; a file that is gone is damage too. */
function inWords(path: string, error: unknown): unknown {
  if (error instanceof DiskError) return error
  const cause = error instanceof Error ? (error.cause ?? error) : undefined
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const text = cause instanceof Error ? cause.message : String(error)
  if (code === 'LEVEL_LOCKED') return new DiskError('IN-USE', `${path} is in use by another process`, { cause: error })
  if (code === 'LEVEL_CORRUPTION' || text.includes('No such file')) {
    return new DiskError('CORRUPT', `${path} is damaged: ${text}`, { cause: error })
  }
  if (text.includes('No space left') || text.includes('quota exceeded')) {
    return new DiskError('FULL', `no room on the disk for ${path}`, { cause: error })
  }
  return cause ?? error
}

/** One or two plain parts; nothing that leaves the folder, hides, or means something to a file system. */
function checked(name: string): string {
  if (!/^[a-z0-9][a-z0-9._-]{0,99}(\/[a-z0-9][a-z0-9._-]{0,99})?$/.test(name) || name.endsWith('.tmp')) {
    throw new DiskError('NAME', `not a name for a file of ours: ${JSON.stringify(name)}`)
  }
  return name
}

async function makeFolder(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) await syncFolder(dirname(path))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function plain(buffer: Buffer): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

async function writeAll(file: FileHandle, offset: number, bytes: Bytes): Promise<void> {
  let at = 0
  while (at < bytes.length) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, offset + at)
    at += bytesWritten
  }
}

/** Of a write: a full disk is told apart, for it has harmed nothing. */
function writeError(path: string, error: unknown): DiskError {
  if (!isFull(error)) return failure('write', path, error)
  return new DiskError('FULL', `no room on the disk for ${path}`, { cause: error })
}

function failure(what: string, path: string, error: unknown): DiskError {
  const advice = 'Look at the disk (dmesg, smartctl), then start again: what was acknowledged is looked for then'
  return new DiskError('FAILED', `${what} of ${path} failed: ${String(error)}. ${advice}`, { cause: error })
}

async function createFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  } catch (error) {
    throw writeError(path, error)
  }
}

async function openFile(path: string, pace: SyncPace): Promise<DiskFile> {
  const file = (await orAbsent(open(path, constants.O_RDWR))) ?? (await createFile(path))
  // Also for one that was there: the process that made it may have ended before its name was safe.
  await syncFolder(dirname(path))

  async function writeAt(offset: number, bytes: Bytes): Promise<void> {
    try {
      const written = bytes.length <= directBytesMax ? writeSync(file.fd, bytes, 0, bytes.length, offset) : 0
      if (written < bytes.length) await writeAll(file, offset + written, bytes.subarray(written))
    } catch (error) {
      throw writeError(path, error)
    }
  }

  // The size is data that is needed to read the file back, so fdatasync writes it too (fdatasync(2)).
  function sync(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const beganMs = performance.now()
    fdatasync(file.fd, error => {
      pace.took(performance.now() - beganMs)
      if (error === null) resolve()
      else reject(failure('fdatasync', path, error))
    })
    return promise
  }

  function syncNow(): void {
    const beganMs = performance.now()
    try {
      fdatasyncSync(file.fd)
    } catch (error) {
      throw failure('fdatasync', path, error)
    }
    pace.took(performance.now() - beganMs)
  }

  return {
    async size() {
      return (await file.stat()).size
    },
    async readAt(offset, length) {
      const bytes = new Uint8Array(length)
      let at = 0
      while (at < length) {
        const { bytesRead } = await file.read(bytes, at, length - at, offset + at)
        if (bytesRead === 0) break
        at += bytesRead
      }
      return bytes.subarray(0, at)
    },
    writeAt,
    writeAndSync(offset, bytes) {
      if (bytes.length > directBytesMax) return writeAt(offset, bytes).then(sync)
      let at = 0
      try {
        while (at < bytes.length) at += writeSync(file.fd, bytes, at, bytes.length - at, offset + at)
      } catch (error) {
        throw writeError(path, error)
      }
      if (!pace.isQuick) return sync()
      syncNow()
      return undefined
    },
    truncate: size => file.truncate(size),
    sync,
    close: () => file.close(),
  }
}

async function openMap(path: string): Promise<DiskMap> {
  const level = new Level<string, Uint8Array>(path, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    // Values are JSON: they halve. Small buffers: a peer of 512 MB holds the whole state in memory anyway.
    compression: true,
    cacheSize: 2 * 1024 * 1024,
    writeBufferSize: 4 * 1024 * 1024,
  })
  try {
    await level.open()
  } catch (error) {
    throw inWords(path, error)
  }
  return {
    async get(key) {
      const sealed = await level.get(key).catch(error => Promise.reject(inWords(path, error)))
      return sealed === undefined ? undefined : unseal(path, key, sealed)
    },
    async batch(changes, { sync }) {
      const batch = level.batch()
      for (const [i, { key, value }] of changes.entries()) {
        if (value === undefined) batch.del(key)
        else batch.put(key, seal(key, value))
        // A long batch must not hold up heartbeats; nothing of it counts before `write`.
        if (i % sliceCount === sliceCount - 1) await setImmediate()
      }
      await batch.write({ sync }).catch(error => Promise.reject(inWords(path, error)))
    },
    async *entries({ from, to }) {
      const iterator = level.iterator({ gte: from, lt: to, highWaterMarkBytes: 256 * 1024 })
      try {
        for (;;) {
          const some = await iterator.nextv(1_000)
          if (some.length === 0) return
          for (const [key, sealed] of some) yield [key, unseal(path, key, sealed)] as const
        }
      } catch (error) {
        throw inWords(path, error)
      } finally {
        await iterator.close()
      }
    },
    close: () => level.close(),
  }
}

const sealer = reusedWriter(4 * 1024, 512 * 1024)

/** Until the next is sealed: LevelDB copies what it is given. */
function seal(key: string, value: Bytes): Uint8Array {
  const out = sealer()
  out.u32(checksum(key, value))
  out.raw(value)
  return out.peek()
}

function unseal(path: string, key: string, sealed: Uint8Array): Bytes {
  const value = sealed.subarray(4)
  const said = sealed.length < 4 ? -1 : new DataView(sealed.buffer, sealed.byteOffset).getUint32(0, true)
  if (said !== checksum(key, value)) {
    throw new DiskError(
      'CORRUPT',
      `${path}: the value of ${JSON.stringify(key)} fails its checksum: the disk gave back other bytes`,
    )
  }
  return value
}

/** Over the key too: a value that comes back under another key is as wrong as a bent one. */
function checksum(key: string, value: Bytes): number {
  const out = new ByteWriter(key.length + 8)
  out.text(key)
  return crc32(value, crc32(out.finish()))
}
