// Durable bytes. Everything here may fail; a failed write or sync of consensus state ends the process (it is never
// retried: after a failed fsync the kernel may have dropped the pages; Rebello et al., ATC '20).
// Until `sync` resolves, an append may be lost, or torn at any byte; after it, never.
// An error's `code` tells what may be done about it. 'CORRUPT': what was written did not come back. 'FULL': there was no
// room, what was asked for happened in part or not at all and nothing else was harmed, so it may be tried again; a sync
// never says it. All others: the disk did not work.
import type { Bytes } from '../lib/bytes.ts'

export interface Disk {
  /** Opens, or makes, a file for the log and the watermark. Names may have one level of folder: 'log/00000001'. */
  open(name: string): Promise<DiskFile>
  /** Names in a folder, in order; empty when there is none. */
  list(folder: string): Promise<readonly string[]>
  /** The whole file, or undefined when there is none. */
  read(name: string): Promise<Bytes | undefined>
  /** Replaces the whole file atomically and durably: temporary file, sync, rename, sync of the folder. */
  replace(name: string, bytes: Bytes): Promise<void>
  /** Idempotent, durable when it resolves. */
  remove(name: string): Promise<void>
  /** The applied state: an ordered map with atomic batches, not synced one by one (it is rebuildable from the log). */
  openMap(name: string): Promise<DiskMap>
  /** A disk without it cannot tell how much room there is. */
  readonly reserve?: DiskReserve
}

/** Room that is taken while there is enough, to be given back when there is none left. */
export interface DiskReserve {
  /** What is free for us, in bytes, the reserve not counted. */
  freeBytes(): Promise<number>
  /** Takes `bytes`, or less on a small disk. False when that would leave less than as much again. Idempotent. */
  keep(bytes: number): Promise<boolean>
  /** Gives it back. False: there was none. */
  release(): Promise<boolean>
}

export interface DiskFile {
  size(): Promise<number>
  readAt(offset: number, length: number): Promise<Bytes>
  /** Writes at `offset`; durable only after `sync`. `bytes` are the caller's again when it resolves. */
  writeAt(offset: number, bytes: Bytes): Promise<void>
  /**
   * `writeAt` and `sync` in one. Undefined: it is done already, because the disk has lately been so fast that to wait
   * for it costs less than to be called back. A disk that leaves this out has the other two called.
   */
  writeAndSync?(offset: number, bytes: Bytes): Promise<void> | undefined
  truncate(size: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export type DiskMapChange = { readonly key: string; readonly value: Bytes | undefined }

export interface DiskMap {
  get(key: string): Promise<Bytes | undefined>
  /** All-or-nothing, also across a crash; a crash may lose the newest batches, never one in the middle. */
  batch(changes: readonly DiskMapChange[], options: { readonly sync: boolean }): Promise<void>
  entries(range: { readonly from: string; readonly to: string }): AsyncIterable<readonly [key: string, value: Bytes]>
  close(): Promise<void>
}
