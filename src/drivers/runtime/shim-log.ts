// Reading the logs that a shim writes: lines of `<stamp> <stdout|stderr> <F|P> <text>` in `log` and, before it, `log.1`.
// A P record has no newline of its own: its line goes on in the next record of that stream.
import { watch } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { onAbort } from '../../lib/abort.ts'
import type { Bytes } from '../../lib/bytes.ts'
import type { LogOptions } from '../../world/runtime.ts'
import type { RuntimeWorld } from './common.ts'

export type LogRecord = {
  readonly stamp: string
  readonly stream: 'stdout' | 'stderr'
  readonly partial: boolean
  readonly text: Buffer
}

/** Takes bytes of a log file apart into records; keeps what is not a whole line yet. Pure. */
export function recordParser(): (chunk: Buffer) => LogRecord[] {
  let rest: Buffer = Buffer.alloc(0)
  return chunk => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const records: LogRecord[] = []
    let from = 0
    for (let end = bytes.indexOf(10, from); end >= 0; end = bytes.indexOf(10, from)) {
      const record = parseRecord(bytes.subarray(from, end))
      if (record !== undefined) records.push(record)
      from = end + 1
    }
    rest = Buffer.from(bytes.subarray(from))
    return records
  }
}

function parseRecord(line: Buffer): LogRecord | undefined {
  const stampEnd = line.indexOf(32)
  const streamEnd = line.indexOf(32, stampEnd + 1)
  if (stampEnd < 0 || streamEnd < 0 || line[streamEnd + 2] !== 32) return undefined
  const stream = line.toString('latin1', stampEnd + 1, streamEnd)
  if (stream !== 'stdout' && stream !== 'stderr') return undefined
  return {
    stamp: line.toString('latin1', 0, stampEnd),
    stream,
    partial: line[streamEnd + 1] === 80,
    text: line.subarray(streamEnd + 3),
  }
}

/** Turns records into what a client reads: filtered, joined, stamped when asked. Pure. */
export function printer(options: LogOptions): (record: LogRecord) => Buffer | undefined {
  const within = { stdout: false, stderr: false }
  return ({ stamp, stream, partial, text }) => {
    const continued = within[stream]
    within[stream] = partial
    if (options.stream !== undefined && options.stream !== stream) return undefined
    if (options.sinceMs !== undefined && Date.parse(stamp) < options.sinceMs) return undefined
    const prefix = options.timestamps && !continued ? `${stamp} ` : ''
    return Buffer.concat([Buffer.from(prefix), text, Buffer.from(partial ? '' : '\n')])
  }
}

const chunkBytes = 65_536
const pollMs = 500

/** `ended` says whether the container has ended and its last line is written. */
export async function* readLog(
  world: RuntimeWorld,
  folder: string,
  options: LogOptions,
  ended: () => Promise<boolean>,
  signal: AbortSignal,
): AsyncGenerator<Bytes> {
  const print = printer(options)
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  const source = records(world, folder, options.follow, ended, signal)
  const tail = options.tailLines === undefined ? undefined : await lastLines(folder, options, options.tailLines)
  let skip = tail?.skip ?? 0
  for await (const batch of source) {
    const parts: Buffer[] = []
    for (const record of batch) {
      const bytes = print(record)
      if (bytes === undefined) continue
      if (skip > 0) skip--
      else parts.push(bytes)
    }
    const bytes = Buffer.concat(parts).subarray(0, left)
    if (bytes.length > 0) yield bytes
    left -= bytes.length
    if (left <= 0 || signal.aborted) return
  }
}

/** How many of the records that pass the filter come before the last `count` lines. */
async function lastLines(folder: string, options: LogOptions, count: number): Promise<{ skip: number }> {
  const print = printer({ ...options, timestamps: false, stream: options.stream as never })
  // The index of each line's first record, of the last `count` lines.
  const starts: number[] = []
  let total = 0
  let begins = { stdout: true, stderr: true }
  for (const name of ['log.1', 'log']) {
    const file = await openIfThere(join(folder, name))
    if (file === undefined) continue
    await using _ = file
    const parse = recordParser()
    for await (const chunk of chunks(file, 0))
      for (const record of parse(chunk)) {
        if (print(record) === undefined) continue
        if (begins[record.stream]) starts.push(total)
        begins = { ...begins, [record.stream]: !record.partial }
        total++
        if (starts.length > count) starts.shift()
      }
  }
  return { skip: count === 0 ? total : (starts[0] ?? 0) }
}

async function* records(
  world: RuntimeWorld,
  folder: string,
  follow: boolean,
  ended: () => Promise<boolean>,
  signal: AbortSignal,
): AsyncGenerator<LogRecord[]> {
  const wake = follow ? changesOf(world, folder, signal) : undefined
  using _ = wake
  let previous: number | undefined
  let files = await filesAfter(folder, previous)
  try {
    while (!signal.aborted) {
      const newest = files.at(-1)
      if (newest === undefined) {
        // In the middle of a rotation there is none for a moment, and before the first line too.
        if (!follow || (await ended())) return
        await wake?.wait()
        files = await filesAfter(folder, previous)
        continue
      }
      for (const older of files.slice(0, -1)) yield* parsed(older)
      const { ino } = await newest.stat()
      const parse = recordParser()
      let offset = 0
      for (;;) {
        // Asked before reading: what was written before the end, or before the rotation, is then surely read.
        const over = !follow || (await ended())
        const rotated = follow && (await stat(join(folder, 'log')).catch(() => undefined))?.ino !== ino
        for await (const chunk of chunks(newest, offset)) {
          offset += chunk.length
          yield parse(chunk)
          if (signal.aborted) return
        }
        if (rotated) break
        if (over || signal.aborted) return
        await wake?.wait()
        if (signal.aborted) return
      }
      await closeAll(files)
      previous = ino
      files = await filesAfter(folder, previous)
    }
  } finally {
    await closeAll(files)
  }
}

/** What is to be read after the file `previous`, the oldest first: the log was maybe rotated twice since. */
async function filesAfter(folder: string, previous: number | undefined): Promise<FileHandle[]> {
  // In this order: a rotation in between shows the same file twice, and never hides one.
  const newest = await openIfThere(join(folder, 'log'))
  const older = await openIfThere(join(folder, 'log.1'))
  const files: FileHandle[] = []
  const newestIno = (await newest?.stat())?.ino
  const olderIno = (await older?.stat())?.ino
  if (older !== undefined && olderIno !== previous && olderIno !== newestIno) files.push(older)
  else await older?.close()
  if (newest !== undefined) files.push(newest)
  return files
}

async function closeAll(files: readonly FileHandle[]): Promise<void> {
  for (const file of files) await file.close().catch(() => {})
}

async function* parsed(file: FileHandle): AsyncGenerator<LogRecord[]> {
  const parse = recordParser()
  for await (const chunk of chunks(file, 0)) yield parse(chunk)
}

async function* chunks(file: FileHandle, from: number): AsyncGenerator<Buffer> {
  for (;;) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, from)
    if (bytesRead === 0) return
    from += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Waits for a change in the folder, or a little while where changes are not told. */
function changesOf(world: RuntimeWorld, folder: string, signal: AbortSignal): Disposable & { wait(): Promise<void> } {
  let changed = false
  let wake: (() => void) | undefined
  const watcher = watch(folder, () => {
    changed = true
    wake?.()
  })
  watcher.on('error', () => {})
  return {
    [Symbol.dispose]: () => watcher.close(),
    async wait() {
      if (!changed) {
        using deadline = world.clock.deadline(pollMs, signal)
        const waiting = Promise.withResolvers<void>()
        wake = waiting.resolve
        using _ = onAbort(deadline.signal, waiting.resolve)
        await waiting.promise
      }
      changed = false
    },
  }
}
