// What the state machine alone costs: a put as a command, encoded, then decoded and applied, over so many keys; the same
// for compare-and-set; and what is done with all of the state at once. Times are of the processor, with what
// the garbage collector takes, so that a busy machine does less harm: medians of several rounds, and the
// quickest round. The checksum of 256 bytes is the yardstick.
import { parseArgs } from 'node:util'
import { decodeCommand, encodeCommand } from '../../src/kv/codec.ts'
import { apply, captureKv, createKv, type Kv, restoreKv } from '../../src/kv/kv.ts'
import { hashAt, look } from '../../src/kv/read.ts'
import { encodeSnapshot, snapshotReader } from '../../src/kv/snapshot.ts'
import type { Command } from '../../src/kv/txn.ts'
import { crc32 } from '../../src/lib/crc32.ts'

export const kvApplyBench = {
  summary: 'encode, decode and apply of commands, and the state as a whole (--keys 10000 --bytes 256 --rounds 7)',
  async run(args: readonly string[]) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        keys: { type: 'string', default: '10000' },
        bytes: { type: 'string', default: '256' },
        rounds: { type: 'string', default: '7' },
      },
    })
    const [keys, bytes, rounds] = [values.keys, values.bytes, values.rounds].map(Number)
    if (!keys || !bytes || !rounds) throw new Error('options are positive numbers')
    const value = 'x'.repeat(bytes)
    const rows: Record<string, number> = {}
    const show = (name: string, { median, least }: Times) => {
      rows[name] = Math.round(median * 1_000) / 1_000
      console.log(`${name.padEnd(34)}${median.toFixed(3).padStart(12)}${least.toFixed(3).padStart(12)}`)
    }

    console.log(
      `${keys} keys of 8 bytes, values of ${bytes} bytes\n\nµs${'median'.padStart(44)}${'least'.padStart(12)}`,
    )
    const some = new Uint8Array(256)
    show(
      'checksum of 256 bytes',
      times(rounds, () => each(Array.from({ length: 100_000 }), () => crc32(some))),
    )
    for (const [name, make] of Object.entries(makers(value))) {
      const commands = Array.from({ length: keys }, (_, i) => make(keyOf((i * 7919) % keys)))
      show(
        `encode ${name}`,
        times(rounds, () => each(commands, encodeCommand)),
      )
      const encoded = commands.map(command => encodeCommand(command))
      show(
        `decode ${name}`,
        times(rounds, () => each(encoded, decodeCommand)),
      )
      const kv = createKv()
      const applied = () => each(encoded, command => apply(kv, { index: kv.index + 1, term: 1, command }, false))
      applied()
      show(
        `decode and apply ${name}`,
        times(rounds, () => timed(applied, () => compactAll(kv))),
      )
    }

    const kv = filled(keys, value)
    show(
      'compact, per event',
      times(rounds, () => compacted(kv, keys, value)),
    )
    show(
      'hash at a revision',
      times(rounds, () => each([0, 1, 2], () => hashAt(kv, kv.revision))),
    )
    const page = { from: keyOf(0), to: '\u0100' }
    const looking = (revision: number) => () =>
      each([0], () => look(kv, { range: page, revision, limit: 500, countOnly: false }))
    show('500 of all keys, now', times(rounds, looking(0)))
    for (let i = 0; i < keys; i++) put(kv, keyOf(i), value)
    show('500 of all keys, changed since', times(rounds, looking(kv.revision - keys)))
    const whole = (act: () => void, count: number) => times(rounds, () => each([0], act) / count)
    show(
      'picture, per key',
      whole(() => void captureKv(kv), keys),
    )
    const image = captureKv(kv)
    show(
      'to a snapshot, per version',
      whole(() => void [...encodeSnapshot(image, new Uint8Array(0))], keys * 2),
    )
    const chunks = [...encodeSnapshot(image, new Uint8Array(0))]
    show(
      'from a snapshot, per version',
      whole(() => read(chunks), keys * 2),
    )
    return { keys, bytes, micros: rows }
  },
}

const keyOf = (i: number) => i.toString(36).padStart(8, '0')

function makers(value: string): Readonly<Record<string, (key: string) => Command>> {
  const put = (key: string) => ({ kind: 'put', key, value, lease: 0, wantsPrevious: false }) as const
  return {
    put: key => ({ kind: 'txn', txn: { conditions: [], success: [put(key)], failure: [] } }),
    'write of one key': key => ({ kind: 'write', write: { compare: [], operations: [{ key, value }] } }),
    'write with an id': key => ({
      kind: 'write',
      write: { compare: [], operations: [{ key, value }], id: `life-${key}` },
    }),
    'compare-and-put': key => ({
      kind: 'txn',
      txn: {
        conditions: [{ range: { from: key, to: undefined }, relation: '!=', target: 'mod', number: 1 }],
        success: [put(key)],
        failure: [{ kind: 'range', range: { from: key, to: undefined }, revision: 0, limit: 0, countOnly: false }],
      },
    }),
  }
}

function put(kv: Kv, key: string, value: string): void {
  const operation = { kind: 'put', key, value, lease: 0, wantsPrevious: false } as const
  const command = encodeCommand({ kind: 'txn', txn: { conditions: [], success: [operation], failure: [] } })
  apply(kv, { index: kv.index + 1, term: 1, command }, false)
}

function filled(keys: number, value: string): Kv {
  const kv = createKv()
  for (let i = 0; i < keys; i++) put(kv, keyOf(i), value)
  return kv
}

function compactAll(kv: Kv): void {
  const command = encodeCommand({ kind: 'compact', revision: kv.revision })
  apply(kv, { index: kv.index + 1, term: 1, command }, false)
}

function compacted(kv: Kv, keys: number, value: string): number {
  for (let i = 0; i < keys; i++) put(kv, keyOf(i), value)
  const started = cpuMicros()
  compactAll(kv)
  return (cpuMicros() - started) / keys
}

function read(chunks: readonly Uint8Array[]): void {
  const reader = snapshotReader()
  for (const chunk of chunks) reader.push(chunk)
  const result = reader.finish()
  if (result === undefined) throw new Error('the snapshot does not end')
  restoreKv(result.image)
}

const cpuMicros = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Microseconds for one. */
function each<T>(all: readonly T[], act: (one: T) => unknown): number {
  const started = cpuMicros()
  for (const one of all) act(one)
  return (cpuMicros() - started) / all.length
}

function timed(act: () => number, afterwards: () => void): number {
  const time = act()
  afterwards()
  return time
}

type Times = { readonly median: number; readonly least: number }

function times(rounds: number, act: () => number): Times {
  const all = Array.from({ length: rounds }, act).sort((a, b) => a - b)
  return { median: all[rounds >> 1] ?? Number.NaN, least: all[0] ?? Number.NaN }
}
