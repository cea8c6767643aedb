// The commands of release 0.1.0 lead to the same state, whether a replica plays them or has loaded what they led to from a
// disk of that release, which kept no versions and no history.
import { expect, test } from 'vitest'
import { encodeCommand } from '../../src/kv/codec.ts'
import { apply, captureKv, createKv, type Kv, type KvImage, restoreKv } from '../../src/kv/kv.ts'
import type { Write } from '../../src/kv/store.ts'
import type { Command } from '../../src/kv/txn.ts'

/** Its writes had the form of now, under another number. */
function first(write: Write): Uint8Array {
  const bytes = encodeCommand({ kind: 'write', write }).slice()
  bytes[0] = 1
  return bytes
}

const run = (kv: Kv, command: Uint8Array) => apply(kv, { index: kv.index + 1, term: 1, command }, true)
const operations = (key: string, value: string | undefined) => [{ key, value }]

/** What that release wrote of a state. */
function asWritten(kv: Kv): KvImage {
  const image = captureKv(kv)
  const { revision, done } = image
  return { ...image, start: revision, compacted: revision, baseRevision: revision, changes: [], doneTotal: done.length }
}

function played(): Kv {
  const kv = createKv()
  for (let i = 0; i < 1_100; i++) {
    const write = {
      compare: [],
      operations: operations(`k${i % 50}`, i % 7 === 0 ? undefined : `v${i}`),
      id: `id-${i}`,
    }
    run(kv, first(write))
  }
  return kv
}

test('commands of 0.1.0 leave no versions and no history, and the last thousand ids', () => {
  const kv = played()
  expect(kv.versions.all().every(item => item.version === 1)).toBe(true)
  expect([kv.versions.count, kv.versions.compacted]).toEqual([0, kv.revision])
  expect(kv.done.size).toBe(1_024)
  const before = kv.revision
  expect(run(kv, first({ compare: [], operations: operations('k1', 'again'), id: 'id-1099' })).answer).toMatchObject({
    result: { kind: 'done' },
  })
  expect(kv.revision).toBe(before)
  // A comparison that fails, a term that is over, a compaction.
  const fails = { compare: [{ key: 'k1', modRevision: 1 }], operations: operations('k1', 'x') }
  expect(run(kv, first(fails)).answer).toMatchObject({ result: { kind: 'conflict' } })
  expect(run(kv, first({ compare: [], operations: [], term: 9 })).answer).toMatchObject({ result: { kind: 'fenced' } })
  expect(run(kv, Uint8Array.of(1, 2, 5)).answer.kind).toBe('write')
  expect(run(kv, Uint8Array.of(1, 9)).answer.kind).toBe('unsupported')
  expect(kv.revision).toBe(before)
})

test('a replica that loaded the state of 0.1.0 and one that plays its log agree from then on', () => {
  const here = played()
  const there = restoreKv(asWritten(played()))
  expect(there.hash).toBe(here.hash)
  const put = (key: string): Command => ({
    kind: 'txn',
    txn: {
      conditions: [],
      success: [{ kind: 'put', key, value: 'new', lease: 0, wantsPrevious: true }],
      failure: [],
    },
  })
  const commands = [
    encodeCommand(put('k1')),
    encodeCommand(put('fresh')),
    first({ compare: [], operations: operations('k2', 'old way'), id: 'late' }),
    encodeCommand({ kind: 'write', write: { compare: [], operations: operations('k3', 'x'), id: 'new' } }),
    encodeCommand({ kind: 'compact', revision: here.revision + 2 }),
    encodeCommand(put('k1')),
  ]
  for (const command of commands) {
    expect(run(there, command)).toEqual(run(here, command))
    expect(there.hash).toBe(here.hash)
  }
  expect({ ...captureKv(there), doneTotal: 0 }).toEqual({ ...captureKv(here), doneTotal: 0 })
})
