// Puts through three stores on real disks, over a mesh in memory, beside what the disk itself can do: one append and
// one fdatasync after the other. Each row has so many writers, each with one put outstanding.
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Peer, startCluster } from '../store/cluster.ts'

const never = new AbortController().signal

export const storeBench = {
  summary: 'puts/s of three stores on real disks (--seconds 3 --bytes 256 --members 3 --writers 1,16,64,256)',
  async run(args: readonly string[]) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '3' },
        bytes: { type: 'string', default: '256' },
        members: { type: 'string', default: '3' },
        writers: { type: 'string', default: '1,16,64,256' },
      },
    })
    const [seconds, bytes, members] = [values.seconds, values.bytes, values.members].map(Number)
    const writers = values.writers.split(',').map(Number)
    if (!seconds || !bytes || !members || writers.some(n => !(n > 0))) throw new Error('options are positive numbers')

    const raw = await rawAppends(seconds * 1_000, bytes)
    console.log(`append + fdatasync of ${bytes} bytes: ${format(raw)}`)
    console.log(`\n${members} members, ${bytes}-byte values\nwriters    puts/s   p50 ms   p99 ms   CPU-µs/put`)
    const rows: Row[] = []
    await using cluster = await startCluster(members, { tickMs: 50, electionTicks: 20 })
    for (const count of writers) {
      const row = await measure(await cluster.leader(), count, seconds * 1_000, bytes)
      rows.push(row)
      const { perSecond, p50Ms, p99Ms, cpuMicros } = row
      const cells = [perSecond.toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2), cpuMicros.toFixed(0)]
      console.log(String(count).padStart(7) + cells.map((cell, i) => cell.padStart([10, 9, 9, 13][i] ?? 9)).join(''))
    }
    return { members, bytes, rawAppendsPerSecond: raw.perSecond, rawP50Ms: raw.p50Ms, rows }
  },
}

type Rate = { readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number }
type Row = Rate & { readonly writers: number; readonly cpuMicros: number }

function rate(times: number[], elapsedMs: number): Rate {
  times.sort((a, b) => a - b)
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN
  return { perSecond: Math.round((times.length * 1_000) / elapsedMs), p50Ms: at(0.5), p99Ms: at(0.99) }
}

const format = ({ perSecond, p50Ms, p99Ms }: Rate) =>
  `${perSecond}/s, p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms.toFixed(3)} ms`

async function rawAppends(ms: number, bytes: number): Promise<Rate> {
  const folder = await mkdtemp(join(tmpdir(), 'flotilla-bench-'))
  const file = await open(join(folder, 'raw'), 'w')
  const payload = new Uint8Array(bytes + 100)
  const times: number[] = []
  const started = performance.now()
  let offset = 0
  while (performance.now() - started < ms) {
    const before = performance.now()
    await file.write(payload, 0, payload.length, offset)
    await file.datasync()
    times.push(performance.now() - before)
    offset += payload.length
  }
  const elapsed = performance.now() - started
  await file.close()
  await rm(folder, { recursive: true })
  return rate(times, elapsed)
}

async function measure({ store }: Peer, writers: number, ms: number, bytes: number): Promise<Row> {
  const value = 'x'.repeat(bytes)
  const times: number[] = []
  const cpu = process.cpuUsage()
  const started = performance.now()
  await Promise.all(
    Array.from({ length: writers }, async (_, w) => {
      for (let i = 0; performance.now() - started < ms; i++) {
        const before = performance.now()
        const key = `/bench/${w}/${i % 1_000}`
        await store.write({ compare: [], operations: [{ key, value }] }, never)
        times.push(performance.now() - before)
      }
    }),
  )
  const elapsed = performance.now() - started
  const used = process.cpuUsage(cpu)
  const cpuMicros = (used.user + used.system) / times.length
  return { writers, cpuMicros: Math.round(cpuMicros * 10) / 10, ...rate(times, elapsed) }
}
