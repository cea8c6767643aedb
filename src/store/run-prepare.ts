// The next segment of the log, made before it is needed: a file of zeros, piece by piece, each synced, in pace with the
// segment in use. So no append waits for a file system that finds room, and a full disk shows while there is still room.
// Between two appends of an idle store nothing is written here.
import type { Disk, DiskFile } from '../world/disk.ts'
import { isFullError } from './full.ts'

export type Prepared = { readonly number: number; readonly file: DiskFile; readonly size: number }

export interface Preparer {
  /** So many bytes of the next segment are zeros, durably. */
  readonly readyBytes: number
  /** What went wrong, if something did; a full disk did not. */
  readonly failure: unknown
  /** Goes on until so many bytes are ready, or there is no room; returns at once. */
  want(bytes: number): void
  /** Hands over the next segment as far as it is; the one after it is next. */
  take(): Promise<Prepared>
  close(): Promise<void>
}

export const segmentName = (number: number) => `log/${String(number).padStart(16, '0')}`

/** `left`: bytes of segment `number` that a former life made ready. `full`: see run-space.ts. */
export function createPreparer(
  disk: Disk,
  number: number,
  left: number,
  pieceBytes: number,
  full: () => Promise<boolean>,
): Preparer {
  let file: DiskFile | undefined
  let ready = 0
  let wanted = 0
  let working: Promise<void> | undefined
  let failure: unknown
  const zeros = new Uint8Array(pieceBytes)

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
          await target.writeAt(ready, zeros)
          await target.sync()
          ready += pieceBytes
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

  function want(bytes: number): void {
    wanted = Math.max(wanted, bytes)
    if (working === undefined && failure === undefined && pieceBytes > 0 && (ready < wanted || left > 0))
      working = work()
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
      wanted = Math.min(wanted, Math.max(ready, left, pieceBytes))
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
