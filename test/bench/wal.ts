// The log alone on a real disk, beside what the disk itself can do in the same moments: one write and one fdatasync after
// the other, into a file of zeros. Each row has so many writers, each with one entry outstanding, all in one batch.
import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { realClock } from '../../src/drivers/clock.ts'
import { openDisk } from '../../src/drivers/disk.ts'
import { type Entry, memberId } from '../../src/raft/types.ts'
import { openLog, type RunLog } from '../../src/store/run-log.ts'
import type { Log } from '../../src/world/log.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }

type Row = { readonly writers: number; readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number }

export const walBench = {
  summary: 'entries/s of the log alone, beside raw append + fdatasync (--seconds 2 --bytes 256 --writers 1,16,64,256)',
  async run(args: readonly string[]) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '2' },
        bytes: { type: 'string', default: '256' },
        writers: { type: 'string', default: '1,16,64,256' },
      },
    })
    const [seconds, bytes] = [values.seconds, values.bytes].map(Number)
    const writers = values.writers.split(',').map(Number)
    if (!seconds || !bytes || writers.some(n => !(n > 0))) throw new Error('options are positive numbers')

    const folder = await mkdtemp(join(tmpdir(), 'flotilla-wal-'))
    const raw = rawFile(join(folder, 'raw'), bytes + 40)
    console.log(`${bytes}-byte entries; raw: a write and fdatasyncSync of one`)
    console.log('writers   entries/s   p50 ms   p99 ms   CPU-µs/entry   raw/s   raw p50   raw p99')
    const disk = await openDisk(join(folder, 'store'))
    const identity = { cluster: 'bench', member: memberId('me') }
    const { log } = await openLog(disk, identity, silent, { clock: realClock() })
    await log.begin()
    const rows: unknown[] = []
    let index = 0
    for (const count of writers) {
      const before = raw(seconds * 500)
      const measured = await measure(log, index, count, seconds * 1_000, bytes)
      index = measured.index
      const { perSecond, p50Ms, p99Ms, cpuMicros } = measured.row
      rows.push({ ...measured.row, raw: before })
      const cells = [perSecond.toFixed(0), p50Ms.toFixed(3), p99Ms.toFixed(3), cpuMicros.toFixed(2)]
      const rawCells = [before.perSecond.toFixed(0), before.p50Ms.toFixed(3), before.p99Ms.toFixed(3)]
      const widths = [12, 9, 9, 15, 8, 10, 10]
      console.log(
        String(count).padStart(7) + [...cells, ...rawCells].map((cell, i) => cell.padStart(widths[i] ?? 9)).join(''),
      )
    }
    await log.close()
    await rm(folder, { recursive: true })
    return { bytes, rows }
  },
}

function rate(writers: number, times: number[], elapsedMs: number): Row {
  times.sort((a, b) => a - b)
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN
  return { writers, perSecond: Math.round((times.length * 1_000) / elapsedMs), p50Ms: at(0.5), p99Ms: at(0.99) }
}

function rawFile(path: string, bytes: number): (ms: number) => Row {
  const fd = openSync(path, 'w')
  const size = 16 * 1024 * 1024
  writeSync(fd, new Uint8Array(size))
  fdatasyncSync(fd)
  const payload = new Uint8Array(bytes).fill(1)
  let offset = 0
  return ms => {
    const times: number[] = []
    const started = performance.now()
    while (performance.now() - started < ms) {
      const before = performance.now()
      writeSync(fd, payload, 0, bytes, offset)
      fdatasyncSync(fd)
      times.push(performance.now() - before)
      offset = offset + bytes > size - bytes ? 0 : offset + bytes
    }
    return rate(1, times, performance.now() - started)
  }
}

/** Writers wait in a list, and the log takes all that wait: what a store does, without the rest of it. */
async function measure(log: RunLog, first: number, writers: number, ms: number, bytes: number) {
  const command = new Uint8Array(bytes).fill(7)
  let waiting: number[] = []
  const times: number[] = []
  let index = first
  for (let w = 0; w < writers; w++) waiting.push(performance.now())
  const cpu = process.cpuUsage()
  const started = performance.now()
  while (performance.now() - started < ms) {
    const batch = waiting
    waiting = []
    const entries = batch.map((): Entry => ({ index: ++index, term: 1, kind: 'command', command }))
    await log.append({ entries })
    const now = performance.now()
    for (const since of batch) times.push(now - since)
    for (let w = 0; w < batch.length; w++) waiting.push(now)
    await new Promise(resolve => setImmediate(resolve))
    void log.drop(index - 100_000)
  }
  const elapsed = performance.now() - started
  const used = process.cpuUsage(cpu)
  const cpuMicros = (used.user + used.system) / times.length
  return { index, row: { ...rate(writers, times, elapsed), cpuMicros } }
}
