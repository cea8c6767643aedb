// A backup as a file: all that one peer's replica holds at one revision, Secrets and the certificate authority's key among it,
// so it is worth the whole cluster. What lies on volumes is not in it.
//
//   16 bytes  "flotilla-backup\n"
//   u32       format version (big-endian, as all numbers here)
//   records   u32 length, u32 CRC-32 chained over all records so far, then so many bytes;
//             the first is the head as JSON, the others are the chunks of the store's own snapshot (kv/snapshot.ts)
//   end       u32 2^32 - 1, then SHA-256 over everything before it; nothing follows
//
// The chain notices bytes that were bent and records that are missing or out of place, as soon as they are read; the end, that
// the file is whole. Reading is total: anything else is a BackupError.
import { createHash } from 'node:crypto'
import { type Bytes, concat, text, utf8 } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'

const magic = 'flotilla-backup\n'
const version = 1
const endMark = 0xffff_ffff
/** A chunk of a snapshot is 256 KiB, or one value. */
const recordBytesMax = 64 * 1024 * 1024
const hashBytes = 32

/** What a person needs to know to choose a backup, and a restore to begin from it. */
export type BackupHead = {
  readonly clusterId: string
  readonly clusterName: string
  readonly origin: string
  readonly past: readonly string[]
  readonly clusterCidr: string
  readonly serviceCidr: string
  readonly term: number
  readonly index: number
  readonly revision: number
  /** Of the state: see RunningStore.hash. */
  readonly hash: number
  /** Wall clock of the peer that made it. */
  readonly atMs: number
  readonly node: string
  /** False when no leader confirmed that this replica was not behind. */
  readonly newest: boolean
  readonly scheduled: boolean
  readonly program: string
}

export class BackupError extends Error {
  override readonly name = 'BackupError'
}

/** The bytes of a backup file, piece by piece as they are asked for. */
export function* encodeBackup(head: BackupHead, chunks: Iterable<Bytes>): Generator<Bytes, void, undefined> {
  const hash = createHash('sha256')
  const begin = concat([utf8(magic), u32(version)])
  hash.update(begin)
  yield begin
  let crc = 0
  const record = (bytes: Bytes): Bytes => {
    crc = crc32(bytes, crc)
    const whole = concat([u32(bytes.length), u32(crc), bytes])
    hash.update(whole)
    return whole
  }
  yield record(utf8(JSON.stringify(head)))
  for (const chunk of chunks) yield record(chunk)
  hash.update(u32(endMark))
  yield concat([u32(endMark), new Uint8Array(hash.digest())])
}

export type BackupReader = {
  /** Takes the next bytes of the file; gives the chunks that are whole now. Throws BackupError. */
  push(bytes: Bytes): readonly Bytes[]
  /** Undefined until enough was read. */
  readonly head: BackupHead | undefined
  /** Call after the last bytes. Throws BackupError unless the file is whole. */
  finish(): BackupHead
}

export function backupReader(): BackupReader {
  const hash = createHash('sha256')
  let parts: Bytes[] = []
  let pending = 0
  let begun = false
  let ended = false
  let crc = 0
  let head: BackupHead | undefined

  /** The next `count` bytes, or undefined while they are not here. Puts small parts together once. */
  function peek(count: number): Bytes | undefined {
    if (pending < count) return undefined
    const [first] = parts
    if (first === undefined || first.length < count) parts = [concat(parts)]
    return parts[0]?.subarray(0, count)
  }

  function drop(count: number): void {
    const [first = new Uint8Array(0), ...rest] = parts
    parts = first.length > count ? [first.subarray(count), ...rest] : rest
    pending -= count
  }

  function begin(): boolean {
    const bytes = peek(magic.length + 4)
    if (bytes === undefined) return false
    if (text(bytes.subarray(0, magic.length)) !== magic) throw new BackupError('this is not a backup of flotilla')
    const said = numberAt(bytes, magic.length)
    if (said !== version) {
      throw new BackupError(`this backup has format ${said}; this program reads ${version}: use a newer flotilla`)
    }
    hash.update(bytes)
    drop(bytes.length)
    begun = true
    return true
  }

  function end(): boolean {
    const bytes = peek(4 + hashBytes)
    if (bytes === undefined) return false
    hash.update(bytes.subarray(0, 4))
    const found = new Uint8Array(hash.digest())
    if (!found.every((byte, i) => byte === bytes[4 + i])) throw bent('its end does not fit what stands before it')
    drop(bytes.length)
    ended = true
    if (head === undefined) throw bent('it has no head')
    return true
  }

  /** Undefined: more bytes are needed, or the end was read. */
  function record(): Bytes | undefined {
    const length = numberAt(peek(4) ?? new Uint8Array(0), 0)
    if (length === undefined) return undefined
    if (length === endMark) {
      end()
      return undefined
    }
    if (length > recordBytesMax) throw bent(`a record of ${length} bytes`)
    const whole = peek(8 + length)
    if (whole === undefined) return undefined
    const bytes = whole.slice(8)
    crc = crc32(bytes, crc)
    if (crc !== numberAt(whole, 4)) throw bent('a record fails its checksum')
    hash.update(whole)
    drop(whole.length)
    return bytes
  }

  return {
    get head() {
      return head
    },
    push(bytes) {
      if (bytes.length > 0) parts.push(bytes)
      pending += bytes.length
      const chunks: Bytes[] = []
      if (!begun && !begin()) return chunks
      while (!ended) {
        const next = record()
        if (next === undefined) break
        if (head === undefined) head = readHead(next)
        else chunks.push(next)
      }
      if (ended && pending > 0) throw bent('something follows its end')
      return chunks
    },
    finish() {
      if (!begun) throw new BackupError('this is not a backup of flotilla: it is too short')
      if (!ended || head === undefined) throw bent('it ends before it is whole')
      return head
    },
  }
}

function readHead(bytes: Bytes): BackupHead {
  let head: Partial<BackupHead>
  try {
    head = JSON.parse(text(bytes)) as Partial<BackupHead>
  } catch {
    throw bent('its head is not JSON')
  }
  const words = [head.clusterId, head.clusterName, head.origin, head.clusterCidr, head.serviceCidr, head.node]
  const numbers = [head.term, head.index, head.revision, head.hash, head.atMs]
  const isWhole =
    words.every(word => typeof word === 'string' && word !== '') &&
    numbers.every(number => Number.isSafeInteger(number)) &&
    Array.isArray(head.past)
  if (!isWhole) throw bent('its head lacks fields')
  return head as BackupHead
}

function bent(why: string): BackupError {
  return new BackupError(`this backup is damaged (${why}): nothing was changed. Use another one: flotilla backup list`)
}

function u32(value: number): Bytes {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function numberAt(bytes: Bytes, at: number): number | undefined {
  if (bytes.length < at + 4) return undefined
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at)
}

const suffix = '.backup'

/** 'home-20260131T120000Z-r1234-scheduled.backup'; `stamp` is the time of `head.atMs`. */
export function backupName(head: BackupHead, stamp: string): string {
  return `${head.clusterName}-${stamp}-r${head.revision}${head.scheduled ? '-scheduled' : ''}${suffix}`
}

/** A name that `backupName` could have made, so that nobody writes elsewhere by way of a name. */
export function isBackupName(name: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,62}-\d{8}T\d{6}Z-r\d{1,16}(-scheduled)?\.backup$/.test(name)
}

export type Schedule = {
  /** 0: none are made. */
  readonly everyMs: number
  /** How many scheduled ones each peer keeps. */
  readonly keep: number
  /** Node names; undefined: two others that are there. */
  readonly to?: readonly string[]
}

/** What holds where nobody said anything else. */
export const defaultSchedule: Schedule = { everyMs: 12 * 3_600_000, keep: 5 }
export const defaultCopies = 2

/** From the cluster's configuration: what cannot be read is as if it were not said. */
export function scheduleOf(data: Readonly<Record<string, string>>): Schedule {
  const everyMs = durationMs(data['backup-every'] ?? '')
  const keep = Number(data['backup-keep'])
  const to = (data['backup-to'] ?? '').split(',').filter(name => name !== '')
  return {
    everyMs: everyMs ?? defaultSchedule.everyMs,
    keep: Number.isInteger(keep) && keep > 0 ? keep : defaultSchedule.keep,
    ...(to.length > 0 && { to }),
  }
}

/** The other way round; null takes a field away. */
export function scheduleData({ everyMs, keep, to }: Schedule): Readonly<Record<string, string | null>> {
  const every = everyMs <= 0 ? 'off' : everyMs % 3_600_000 === 0 ? `${everyMs / 3_600_000}h` : `${everyMs / 1_000}s`
  return { 'backup-every': every, 'backup-keep': String(keep), 'backup-to': to === undefined ? null : to.join(',') }
}

/** '12h', '30m', '90s', '2d'; 'off' is 0; undefined when it is none of these. */
export function durationMs(words: string): number | undefined {
  if (words === 'off') return 0
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(words) ?? []
  const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit]
  return count === undefined || unitMs === undefined ? undefined : Math.round(Number(count) * unitMs)
}

export type LastBackup = { readonly atMs: number; readonly revision: number }

/** Whether one is to be made now. Nothing new is worth no new backup; `foundedMs` stands in for the last one of all. */
export function isDue(
  schedule: Schedule,
  last: LastBackup | undefined,
  now: { readonly nowMs: number; readonly revision: number; readonly foundedMs: number },
): boolean {
  if (schedule.everyMs <= 0) return false
  // Noting the last one was a write of its own.
  if (last !== undefined && now.revision <= last.revision + 1) return false
  return now.nowMs >= (last?.atMs ?? now.foundedMs) + schedule.everyMs
}

/** The names to delete, oldest first, so that the newest `keep` scheduled ones stay. */
export function superfluous(names: readonly string[], keep: number): readonly string[] {
  const stampOf = (name: string) => /-(\d{8}T\d{6}Z)-r/.exec(name)?.[1] ?? ''
  const scheduled = names.filter(name => isBackupName(name) && name.endsWith(`-scheduled${suffix}`))
  const oldestFirst = scheduled.toSorted((a, b) => (stampOf(a) < stampOf(b) ? -1 : 1))
  return oldestFirst.slice(0, Math.max(0, oldestFirst.length - keep))
}
