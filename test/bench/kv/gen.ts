// The load generator by itself, for whoever profiles a server:
//   node test/bench/kv/gen.ts --port 2379 --op put --clients 64 --seconds 3
import { parseArgs } from 'node:util'
import { Generator, type Window } from './generator.ts'
import type { OperationSpec } from './operations.ts'
import { cpuMicrosOf } from './proc.ts'
import { putOnce } from './single.ts'

const usage = `usage: node test/bench/kv/gen.ts --port 2379 [options]
  --op        put (default), range, serializable, create, fill, watch
  --clients   calls under way, 64; writers of a watch, 1
  --watchers  1000
  --seconds   3        --warmup  1
  --bytes     of a value: 256, create 1536
  --keys      of put and fill: 100000
  --pids      of servers, with commas: their CPU is shown per operation
The last line is one JSON object.`

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    op: { type: 'string', default: 'put' },
    clients: { type: 'string' },
    watchers: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '3' },
    warmup: { type: 'string', default: '1' },
    bytes: { type: 'string' },
    keys: { type: 'string', default: '100000' },
    pids: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
})

const ports = (values.port ?? '').split(',').map(Number)
const valueBytes = Number(values.bytes ?? (values.op === 'create' ? 1_536 : 256))
const keys = Number(values.keys)
const warmupMs = Number(values.warmup) * 1_000
const measureMs = Number(values.seconds) * 1_000
const run = process.pid.toString(36) + Date.now().toString(36)
const operations: Readonly<Record<string, OperationSpec>> = {
  put: { kind: 'put', keys, valueBytes },
  fill: { kind: 'fill', keys, valueBytes },
  range: { kind: 'range', serializable: false, valueBytes },
  serializable: { kind: 'range', serializable: true, valueBytes },
  create: { kind: 'create', run, valueBytes },
}

/** Sums what the servers use inside the window. */
function serverCpu(): Window & { readonly used: () => readonly number[] } {
  const pids = values.pids.split(',').filter(Boolean).map(Number)
  let before: readonly number[] = []
  let used: readonly number[] = []
  return {
    begin: () => {
      before = pids.map(cpuMicrosOf)
    },
    end: () => {
      used = pids.map((pid, i) => cpuMicrosOf(pid) - (before[i] ?? 0))
    },
    used: () => used,
  }
}

async function main(generator: Generator): Promise<unknown> {
  const [port = 0] = ports
  const cpu = serverCpu()
  const operation = operations[values.op]
  if (values.op === 'watch') {
    const [watchers, writers] = [Number(values.watchers), Number(values.clients ?? 1)]
    const prefix = `/watch/${run}/`
    const result = await generator.watch({ watchers, writers, port, prefix, valueBytes, warmupMs, measureMs }, cpu)
    return { ...result, serverCpuMicros: cpu.used().map(used => used / result.deliveries) }
  }
  if (operation === undefined) throw new Error(`no operation is called ${values.op}\n${usage}`)
  if (operation.kind === 'range') await putOnce(port, valueBytes)
  const clients = Number(values.clients ?? 64)
  if (operation.kind === 'fill') return await generator.drain({ operation, clients, ports })
  const result = await generator.run({ operation, clients, ports, warmupMs, measureMs }, cpu)
  return { ...result, serverCpuMicros: cpu.used().map(used => used / result.operations) }
}

if (values.help || !ports.every(port => port > 0)) {
  console.log(usage)
  process.exitCode = values.help ? 0 : 2
} else {
  const generator = new Generator()
  try {
    const rounded = (_: string, value: unknown) =>
      typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value
    console.log(JSON.stringify(await main(generator), rounded))
  } finally {
    generator.close()
  }
}
