// The file that says how far the log was synced (log.ts): read at the start, written beside the log while it runs.
import type { Disk, DiskFile } from '../world/disk.ts'
import { decodeSlot, encodeSlot, slotBytes, type Watermark } from './log.ts'

export const watermarkName = 'watermark'

/** The newest that is whole; undefined when there is none. */
export async function readWatermark(disk: Disk): Promise<Watermark | undefined> {
  const bytes = await disk.read(watermarkName)
  if (bytes === undefined) return undefined
  const slots = [decodeSlot(bytes.subarray(0, slotBytes)), decodeSlot(bytes.subarray(slotBytes))]
  return slots.reduce((a, b) => (a === undefined || (b !== undefined && b.sequence > a.sequence) ? b : a))
}

export interface Marker {
  /** Nothing was ever written. */
  readonly isBlank: boolean
  /** Durable when it resolves: what `current` says by then, or later. One after the other; an error is final. */
  mark(): Promise<void>
  close(): Promise<void>
}

/** `current` is asked when it is written; only what is durable may be in it. `withRoom` waits for it on a full disk. */
export async function openMarker(
  disk: Disk,
  last: Watermark | undefined,
  withRoom: <T>(act: () => Promise<T>) => Promise<T>,
  current: () => Omit<Watermark, 'sequence'>,
): Promise<Marker> {
  const file: DiskFile = await disk.open(watermarkName)
  let sequence = last?.sequence ?? 0
  let marking: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    sequence += 1
    const slot = encodeSlot({ sequence, ...current() })
    await withRoom(() => file.writeAt((sequence % 2) * slotBytes, slot))
    await file.sync()
  }

  return {
    get isBlank() {
      return sequence === 0
    },
    mark() {
      marking = marking.then(write)
      return marking
    },
    async close() {
      await marking.catch(() => {
        // Whoever asked for it has heard.
      })
      await file.close()
    },
  }
}
