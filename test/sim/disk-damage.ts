// Loss of what was synced: bits that flip, writes that went elsewhere, files that are gone. Done to a machine that is
// down; it comes to light when it starts again. The atlas (atlas.ts) says on which machines it may happen, so that a copy
// on a good majority always remains.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { decodeSlot, slotBytes, type Watermark } from '../../src/store/log.ts'
import type { SimDisk } from './disk.ts'

export const damageKinds = [
  'flipped bit',
  'lost write',
  'misdirected write',
  'cut file',
  'lost file',
  'lost watermark slot',
  'lost watermark',
  'bent state',
  'lost state record',
  'lost disk',
] as const
export type DamageKind = (typeof damageKinds)[number]

export type Damage = {
  readonly kind: DamageKind
  /** The start must refuse; undefined: it may also make the state whole again, or not have needed what is gone. */
  readonly mustRefuse: boolean | undefined
}

const blockBytes = 512

/** What the watermark says was synced; the segments before are part of it. */
function marked({ held }: SimDisk): Watermark | undefined {
  const bytes = held.files().get('watermark')
  if (bytes === undefined) return undefined
  const slots = [decodeSlot(bytes.subarray(0, slotBytes)), decodeSlot(bytes.subarray(slotBytes))]
  const [a, b] = slots
  return a === undefined || (b !== undefined && b.sequence > a.sequence) ? b : a
}

function contentEnd(bytes: Bytes | undefined): number {
  return 1 + (bytes ?? new Uint8Array(0)).findLastIndex(byte => byte !== 0)
}

const nameOf = (segment: number) => `log/${String(segment).padStart(16, '0')}`

/** Undefined where there is nothing to damage that way. */
export function damage(disk: SimDisk, kind: DamageKind, random: Prng): Damage | undefined {
  const { held } = disk
  const mark = marked(disk)
  if (mark === undefined || mark.segment === 0) return undefined
  const before = [...held.files().keys()].filter(file => file.startsWith('log/') && file < nameOf(mark.segment))
  const isOld = before.length > 0 && random.chance(0.3)
  const name = isOld ? (before[random.below(before.length)] ?? '') : nameOf(mark.segment)
  const bytes = held.files().get(name)
  const end = isOld ? contentEnd(bytes) : Math.min(mark.end, bytes?.length ?? 0)
  if (bytes === undefined || end < 64) return undefined
  const at = random.below(end)
  switch (kind) {
    case 'flipped bit':
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
      held.put(name, bytes)
      return { kind, mustRefuse: true }
    case 'lost write':
      return overwrite(disk, kind, name, bytes, at, new Uint8Array(Math.min(blockBytes, end - at)))
    case 'misdirected write': {
      const from = random.below(end)
      return overwrite(disk, kind, name, bytes, at, bytes.slice(from, from + Math.min(blockBytes, end - at)))
    }
    case 'cut file':
      held.put(name, bytes.slice(0, at))
      return { kind, mustRefuse: true }
    case 'lost file':
      // What the oldest held may be part of the state by now.
      held.put(name, undefined)
      return { kind, mustRefuse: isOld && name === before.toSorted()[0] ? undefined : true }
    case 'lost watermark slot':
      return loseSlot(disk, mark)
    case 'lost watermark':
      held.put('watermark', new Uint8Array(2 * slotBytes))
      return { kind, mustRefuse: true }
    case 'bent state':
    case 'lost state record':
      return bendState(disk, kind, random)
    case 'lost disk':
      disk.wipe()
      return { kind, mustRefuse: true }
  }
}

function overwrite(disk: SimDisk, kind: DamageKind, name: string, bytes: Bytes, at: number, by: Bytes) {
  if (by.every((byte, i) => bytes[at + i] === byte)) return undefined
  bytes.set(by, at)
  disk.held.put(name, bytes)
  return { kind, mustRefuse: true }
}

/** The other one says less, and what it says is enough. */
function loseSlot({ held }: SimDisk, mark: Watermark): Damage | undefined {
  const bytes = held.files().get('watermark')
  if (bytes === undefined) return undefined
  const place = (mark.sequence % 2) * slotBytes
  const other = decodeSlot(bytes.subarray(slotBytes - place))
  if (other === undefined) return undefined
  bytes.fill(0, place, place + slotBytes)
  held.put('watermark', bytes)
  return { kind: 'lost watermark slot', mustRefuse: false }
}

function bendState({ held }: SimDisk, kind: DamageKind, random: Prng): Damage | undefined {
  const name = `state-${random.below(2)}`
  const records = [...held.map(name)]
  const record = records[random.below(Math.max(1, records.length))]
  if (record === undefined || record[1].length === 0) return undefined
  const [key, value] = record
  if (kind === 'lost state record') held.putRecord(name, key, undefined)
  else {
    const bent = value.slice()
    const at = random.below(bent.length)
    bent[at] = (bent[at] ?? 0) ^ (1 << random.below(8))
    held.putRecord(name, key, bent)
  }
  return { kind, mustRefuse: undefined }
}
