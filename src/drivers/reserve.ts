// A file that only takes room. When the disk is full it is given back, so that what must be written still can be: a
// LevelDB, for one, cannot even be opened on a full disk.
import { open, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskReserve } from '../world/disk.ts'

export const reserveName = 'reserve'
/** On a small disk the reserve is this part of it. */
const partOfDisk = 64
const pieceBytes = 1024 * 1024

export function createReserve(root: string): DiskReserve {
  const path = join(root, reserveName)
  let releases = 0
  let filling: Promise<boolean> | undefined

  async function sizeBytes(): Promise<number> {
    try {
      return (await stat(path)).size
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return 0
      throw error
    }
  }

  return {
    async freeBytes() {
      const { bavail, bsize } = await statfs(root)
      return bavail * bsize
    },
    async keep(bytes) {
      const { blocks, bavail, bsize } = await statfs(root)
      const wanted = Math.min(bytes, Math.floor((blocks * bsize) / partOfDisk))
      const has = await sizeBytes()
      if (has >= wanted) return true
      if (bavail * bsize < 2 * (wanted - has)) return false
      const before = releases
      filling ??= fill(path, has, wanted, () => releases > before).finally(() => {
        filling = undefined
      })
      return await filling
    },
    async release() {
      releases += 1
      await filling
      return await release(root)
    },
  }
}

/** Gives it back; false when there was none. */
export async function release(root: string): Promise<boolean> {
  try {
    await unlink(join(root, reserveName))
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** False when there was no room for it, or it is wanted no more; what was written is then left to be taken back. */
async function fill(path: string, from: number, to: number, isOver: () => boolean): Promise<boolean> {
  // Zeros would take no room where the file system compresses.
  const piece = new Uint8Array(pieceBytes)
  let x = 1
  for (let i = 0; i < piece.length; i++) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0
    piece[i] = x >>> 24
  }
  const file = await open(path, 'a', 0o600)
  try {
    for (let at = from; at < to; ) {
      if (isOver()) return false
      at += (await file.write(piece, 0, Math.min(pieceBytes, to - at))).bytesWritten
      // Piece by piece, so that what else is synced meanwhile does not wait for all of it.
      await file.datasync()
    }
    return true
  } catch (error) {
    if (!isFull(error)) throw error
    await file.truncate(from)
    return false
  } finally {
    await file.close()
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)

/** No room, or no more for this user. */
export const isFull = (error: unknown): boolean => codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT'
