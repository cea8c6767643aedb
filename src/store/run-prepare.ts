// The next segment of the log, made before it is needed: a file of zeros, piece by piece, each synced, in pace with the
// segment in use. So no append waits for a file system that finds room, and a full disk shows while there is still room.
// Between two appends of an idle store nothing is written here.
import type { Clock } from '../world/clock.ts'
import type { Disk, DiskFile } from '../world/disk.ts'
import { isFullError } from './full.ts'

export type Prepared = { readonly number: number; readonly file: DiskFile; readonly size: number }

export interface Preparer {
  /** So many bytes of the next segment are zeros, durably. */
  readonly readyBytes: number
  /** What went wrong, if something did; a full disk did not. */
  readonly failure: unknown
  /** Goes on until so many of `size` bytes are ready, or there is no room; returns at once. */
  want(bytes: number, size: number): void
  /** Hands over the next segment as far as it is; the one after it is next. */
  take(): Promise<Prepared>
  close(): Promise<void>
}

export const segmentName = (number: number) => `log/${String(number).padStart(16, '0')}`

/**
 * A piece holds up the appends that are synced at the same time. On a quick disk few large ones do so least; on a slow
 * one no piece may take long.
 */
const quickPieceMs = 4
const slowPieceMs = 16
const pieceTimesMax = 8
const zeros = new Uint8Array(256 * 1024)

/** `left`: bytes of segment `number` that a former life made ready. `full`: see run-space.ts. */
export function createPreparer(
  disk: Disk,
  number: number,
  left: number,
  settings: {
    /** Of a first piece; 0: nothing is made ready. */
    readonly pieceBytes: number
    readonly full: () => Promise<boolean>
    /** Undefined: all pieces are alike. */
    readonly clock: Pick<Clock, 'monotonicMs'> | undefined
  },
): Preparer {
  const { clock, full } = settings
  let { pieceBytes } = settings
  const pieceBytesMin = Math.ceil(pieceBytes / 4)
  const pieceBytesMax = pieceBytes * pieceTimesMax
  let file: DiskFile | undefined
  let ready = 0
  let wanted = 0
  let size = 0
  let working: Promise<void> | undefined
  let failure: unknown

  async function open(): Promise<DiskFile> {
    file ??= await disk.open(segmentName(number))
    if (left > 0) {
      // A former life may have ended before its last piece was synced.
      await file.sync()
      ready = left
      left = 0
    }
    return file
  }

  async function work(): Promise<void> {
    try {
      while (ready < wanted || left > 0) {
        try {
          const target = await open()
          if (ready >= wanted) break
          await writePiece(target)
        } catch (error) {
          if (!isFullError(error)) throw error
          // There is time: the next append asks again.
          if (!(await full())) break
        }
      }
    } catch (error) {
      failure = error
    }
    working = undefined
  }

  async function writePiece(target: DiskFile): Promise<void> {
    const bytes = Math.max(pieceBytesMin, Math.min(pieceBytes, size - ready))
    const beganMs = clock?.monotonicMs()
    for (let at = 0; at < bytes; at += zeros.length) {
      await target.writeAt(ready + at, zeros.subarray(0, Math.min(zeros.length, bytes - at)))
    }
    await target.sync()
    ready += bytes
    if (clock === undefined || beganMs === undefined) return
    const tookMs = clock.monotonicMs() - beganMs
    if (tookMs < quickPieceMs && bytes === pieceBytes) pieceBytes = Math.min(pieceBytesMax, pieceBytes * 2)
    else if (tookMs > slowPieceMs) pieceBytes = Math.max(pieceBytesMin, Math.floor(pieceBytes / 2))
  }

  function want(bytes: number, of: number): void {
    wanted = Math.max(wanted, bytes)
    size = of
    const isMore = ready < wanted || left > 0
    if (working === undefined && failure === undefined && pieceBytes > 0 && isMore) working = work()
  }

  return {
    get readyBytes() {
      return ready
    },
    get failure() {
      return failure
    },
    want,
    async take() {
      // The piece under way must not land on what the log writes next; and there is at least one if there is room.
      wanted = Math.min(wanted, Math.max(ready, left, 1))
      await working
      if (failure !== undefined) throw failure
      const prepared = { number, file: await open(), size: ready }
      number += 1
      file = undefined
      ready = 0
      wanted = 0
      return prepared
    },
    async close() {
      wanted = 0
      await working
      await file?.close()
    },
  }
}
