// What is read from a disk or from another member: the log, the watermark, snapshots, raft's messages. All of these
// decoders are total; what they take must come back the same when it is written again.
import { isDeepStrictEqual } from 'node:util'
import { apply, captureKv, createKv } from '../../src/kv/kv.ts'
import { encodeSnapshot, SnapshotError, snapshotReader } from '../../src/kv/snapshot.ts'
import { text, utf8 } from '../../src/lib/bytes.ts'
import { crc32 } from '../../src/lib/crc32.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { type Entry, type HardState, type Membership, type Message, memberId } from '../../src/raft/types.ts'
import {
  batchHeadBytes,
  decodeSlot,
  encodeBatch,
  encodeSlot,
  type LogRecord,
  replay,
  StoreDamage,
  scanSegment,
} from '../../src/store/log.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/store/message.ts'
import {
  createBlock,
  decodeBlock,
  decodeDone,
  decodeFirstItem,
  decodeItem,
  decodeLease,
  decodeWhole,
  encodeDone,
  encodeItem,
  encodeLease,
  encodeWhole,
  leaseName,
} from '../../src/store/state.ts'
import type { Target } from './fuzz.ts'
import { commandBytes } from './kv-targets.ts'
import { chars, inputFeatures, inputs, join, pick, some, wholeNumber } from './mutate.ts'

const member = (random: Prng) => memberId(pick(['m0', 'm1', 'm2', 'long'.repeat(10)], random))

function membership(random: Prng): Membership {
  const members = () => some(3, random, () => member(random))
  return { voters: members(), learners: members(), removed: members() }
}

function entry(index: number, term: number, random: Prng): Entry {
  switch (random.below(4)) {
    case 0:
      return { index, term, kind: 'empty' }
    case 1:
      return {
        index,
        term,
        kind: 'membership',
        membership: membership(random),
        context: random.bytes(random.below(40)),
      }
    default:
      return { index, term, kind: 'command', command: random.bytes(random.below(80)) }
  }
}

const hard = (random: Prng): HardState => ({
  term: wholeNumber(random),
  vote: random.chance(0.5) ? member(random) : undefined,
})

// ---- the log ----

const identity = { cluster: 'c', member: memberId('m0') }

/** Of a segment that makes sense, or nearly: one that contradicts itself must be refused, not believed. */
function records(random: Prng): { batches: LogRecord[][]; features: string[] } {
  const features: string[] = []
  const last = { index: random.below(5), term: 1 + random.below(3) }
  const head = { kind: 'head', identity, segment: 1, hard: { term: last.term, vote: undefined }, last } as const
  let { index, term } = last
  const batches: LogRecord[][] = [[{ ...head, generation: 0, size: random.below(2) * 512 }]]
  for (let n = random.below(6); n > 0; n--) {
    const batch: LogRecord[] = []
    const kind = random.below(10)
    if (kind === 0) {
      term += 1
      batch.push({ kind: 'hard', hard: { term, vote: member(random) } })
      features.push('a new term')
    } else if (kind === 1) {
      index += random.below(5)
      const keep = random.chance(0.5)
      batch.push({ kind: 'base', index, term, generation: 1, keep })
      features.push('a snapshot')
    } else if (kind === 2) {
      index = Math.max(0, index - random.below(4))
      features.push('a conflict')
    } else if (kind === 3) {
      index += random.below(3)
      features.push('a gap')
    }
    for (let i = random.below(4); i > 0; i--) batch.push({ kind: 'entry', entry: entry(++index, term, random) })
    batches.push(batch)
  }
  return { batches, features }
}

function segment(batches: readonly (readonly LogRecord[])[]): Uint8Array {
  let crc = 0
  let offset = 0
  const parts = batches.map(batch => {
    const encoded = encodeBatch(batch, crc, { segment: 1, offset })
    crc = encoded.crc
    offset += encoded.bytes.length
    return encoded.bytes.slice()
  })
  return join(...parts)
}

/** Puts the checksums of all batches right, as far as their lengths lead. */
function sealSegment(bytes: Uint8Array): Uint8Array {
  const sealed = bytes.slice()
  const view = new DataView(sealed.buffer)
  let crc = 0
  for (let at = 0; at + batchHeadBytes <= sealed.length; ) {
    const length = view.getUint32(at + 4, true)
    if (length > sealed.length - at - batchHeadBytes) break
    view.setUint32(at + 8, crc, true)
    const seed = (Math.imul(1, 0x9e3779b1) ^ at) >>> 0
    const payload = at + batchHeadBytes
    crc = crc32(sealed.subarray(payload, payload + length), crc32(sealed.subarray(at, at + 12), seed))
    view.setUint32(at + 12, crc, true)
    at = payload + length
  }
  return sealed
}

const logTarget: Target = {
  name: 'log',
  features: [
    ...inputFeatures,
    'sealed again',
    'a new term',
    'a snapshot',
    'a conflict',
    'a gap',
    'zeros behind',
    'replayed, to its end',
    'replayed, torn',
    'damage',
    'nothing there',
    'refused by replay',
  ],
  make(random) {
    const { batches, features } = records(random)
    const zeros = random.chance(0.5)
    const valid = join(segment(batches), new Uint8Array(zeros ? random.below(300) : 0))
    const input = inputs(random, valid, sealSegment)
    return {
      pieces: [input.bytes],
      features: new Set([...input.features, ...features, ...(zeros ? ['zeros behind'] : [])]),
    }
  },
  run({ pieces: [bytes = new Uint8Array(0)], features }) {
    const scan = scanSegment(bytes, 1, undefined)
    if (scan.end > bytes.length) throw new Error('it ends after its end')
    if (features.has('left alone') && scan.rest !== 'nothing') throw new Error('what was written does not come back')
    if (scan.rest === 'damage') return 'damage'
    const replayed = replay(identity)
    try {
      for (const record of scan.records) replayed.take(record)
    } catch (error) {
      if (error instanceof StoreDamage) return 'refused by replay'
      throw error
    }
    const { base, entries } = replayed.state()
    for (const [i, { index }] of entries.entries()) if (index !== base.index + i + 1) throw new Error('there is a gap')
    if (scan.records.length === 0) return 'nothing there'
    return scan.rest === 'torn' ? 'replayed, torn' : 'replayed, to its end'
  },
}

// ---- the watermark ----

const watermarkTarget: Target = {
  name: 'watermark',
  features: [...inputFeatures, 'sealed again', 'taken', 'refused'],
  make(random) {
    const numbers = { sequence: wholeNumber(random), segment: wholeNumber(random), end: wholeNumber(random) }
    const rest = { crc: random.below(2 ** 32), lastIndex: wholeNumber(random) }
    const slot = encodeSlot({
      ...numbers,
      ...rest,
      identity: { ...identity, cluster: chars(30, random) },
      hard: hard(random),
    })
    const { bytes, features } = inputs(random, slot, sealSlot)
    return { pieces: [bytes], features }
  },
  run({ pieces: [bytes = new Uint8Array(0)], features }) {
    const mark = decodeSlot(bytes)
    if (mark === undefined && features.has('left alone')) throw new Error('what was written does not come back')
    if (mark === undefined) return 'refused'
    if (!isDeepStrictEqual(decodeSlot(encodeSlot(mark)), mark)) throw new Error('written again it is another one')
    return 'taken'
  },
}

function sealSlot(bytes: Uint8Array): Uint8Array {
  const sealed = bytes.slice()
  const view = new DataView(sealed.buffer)
  const length = sealed.length < 8 ? 0 : view.getUint32(0, true)
  if (length >= 8 && length <= sealed.length - 4) view.setUint32(4, crc32(sealed.subarray(8, 4 + length)), true)
  return sealed
}

// ---- snapshots ----

const snapshotTarget: Target = {
  name: 'snapshot',
  features: [...inputFeatures, 'sealed again', 'chunk lost', 'chunk twice', 'taken', 'refused', 'not whole'],
  make(random) {
    const kv = createKv()
    for (let i = random.below(8); i > 0; i--) {
      apply(kv, { index: kv.index + 1, term: 1, command: commandBytes(random) }, false)
    }
    let chunks: Uint8Array[] = [...encodeSnapshot(captureKv(kv), random.bytes(random.below(30)))].map(chunk =>
      chunk.slice(),
    )
    const at = random.below(chunks.length)
    const { bytes, features } = inputs(random, chunks[at] ?? new Uint8Array(0))
    chunks[at] = bytes
    const accident = random.below(15)
    if (accident === 0) {
      chunks.splice(random.chance(0.5) ? random.below(chunks.length) : chunks.length - 1, 1)
      features.delete('left alone')
      features.add('chunk lost')
    } else if (accident === 1) {
      chunks.splice(at, 0, bytes)
      features.delete('left alone')
      features.add('chunk twice')
    }
    if (!features.has('left alone') && random.chance(0.6)) {
      chunks = sealChunks(chunks)
      features.add('sealed again')
    }
    return { pieces: chunks, features }
  },
  run({ pieces, features }) {
    const reader = snapshotReader()
    try {
      for (const piece of pieces) reader.push(piece)
    } catch (error) {
      if (error instanceof SnapshotError && !features.has('left alone')) return 'refused'
      throw error
    }
    const taken = reader.finish()
    if (taken === undefined && features.has('left alone')) throw new Error('what was written does not come back')
    if (taken === undefined) return 'not whole'
    const again = snapshotReader()
    for (const chunk of encodeSnapshot(taken.image, taken.context)) again.push(chunk)
    if (!isDeepStrictEqual(again.finish(), taken)) throw new Error('written again it is another one')
    return 'taken'
  },
}

function sealChunks(chunks: readonly Uint8Array[]): Uint8Array[] {
  let crc = 0
  return chunks.map(chunk => {
    const sealed = chunk.slice()
    crc = crc32(sealed.subarray(4), crc)
    if (sealed.length >= 4) new DataView(sealed.buffer).setUint32(0, crc, true)
    return sealed
  })
}

// ---- the applied state ----

/** Each kind of record of the map: made, and read again under its name. */
const stateRecords: Readonly<Record<string, (random: Prng) => { name: string; value: Uint8Array }>> = {
  item(random) {
    const item = {
      key: chars(12, random),
      value: chars(30, random),
      lease: random.below(3),
      version: 1 + random.below(9),
    }
    const revisions = { createRevision: 1 + random.below(9), modRevision: 10 + random.below(9) }
    return { name: item.key, value: encodeItem({ ...item, ...revisions }).value }
  },
  block(random) {
    const block = createBlock(5)
    const count = 1 + random.below(4)
    for (let i = 1; i <= count; i++) {
      const item = { key: chars(8, random), value: chars(9, random), lease: 0, version: random.below(3) }
      block.add({ ...item, createRevision: 1, modRevision: 5 + i })
    }
    const made = block.finish({ revision: 5 + count, count: random.below(9), sum: random.below(2 ** 32) })
    return { name: made.block.name, value: made.value }
  },
  done(random) {
    const ids = some(4, random, i => [chars(9, random), i + 1] as const)
    const [record] = encodeDone(ids, ids.length, 0)
    return { name: '', value: record?.value ?? new Uint8Array(0) }
  },
  lease(random) {
    const lease = 1 + random.below(9)
    return { name: leaseName(lease), value: encodeLease(lease, wholeNumber(random)).value }
  },
  whole(random) {
    const number = () => wholeNumber(random)
    const base = { revision: number(), count: number(), sum: random.below(2 ** 32) }
    const counts = { doneTotal: number(), doneCount: number(), leaseCount: number(), leaseSum: random.below(2 ** 32) }
    const heads = { index: number(), term: number(), revision: number(), start: number(), compacted: number() }
    const rest = {
      hash: random.below(2 ** 32),
      membership: membership(random),
      context: random.bytes(random.below(20)),
    }
    return { name: 'whole', value: encodeWhole({ ...heads, ...counts, ...rest, base }) }
  },
}

const stateReaders: Readonly<Record<string, (name: string, value: Uint8Array) => unknown>> = {
  item: (name, value) => decodeItem(name, value) ?? decodeFirstItem(name, value),
  block: decodeBlock,
  done: (_, value) => decodeDone(value),
  lease: decodeLease,
  whole: (_, value) => decodeWhole(value),
}

const stateTarget: Target = {
  name: 'state',
  features: [...inputFeatures, ...Object.keys(stateRecords), 'sealed again', 'taken', 'refused'],
  make(random) {
    const kind = pick(Object.keys(stateRecords), random)
    const { name, value } = stateRecords[kind]?.(random) ?? { name: '', value: new Uint8Array(0) }
    const { bytes, features } = inputs(random, value.slice(), sealRecord)
    features.add(kind)
    // A list of nothing has no record.
    if (value.length === 0) features.delete('left alone')
    return { pieces: [utf8(name), bytes], features }
  },
  run({ pieces: [name = new Uint8Array(0), bytes = new Uint8Array(0)], features }) {
    const kind = Object.keys(stateRecords).find(one => features.has(one)) ?? ''
    const taken = stateReaders[kind]?.(text(name), bytes)
    if (taken === undefined && features.has('left alone')) throw new Error('what was written does not come back')
    return taken === undefined ? 'refused' : 'taken'
  },
}

function sealRecord(bytes: Uint8Array): Uint8Array {
  const sealed = bytes.slice()
  if (sealed.length >= 4) new DataView(sealed.buffer).setUint32(0, crc32(sealed.subarray(4)), true)
  return sealed
}

// ---- raft ----

function message(random: Prng): Message {
  const number = () => wholeNumber(random)
  const yes = () => random.chance(0.5)
  const term = number()
  switch (random.below(10)) {
    case 0:
      return { kind: 'preVote', term, lastIndex: number(), lastTerm: number() }
    case 1:
      return { kind: 'preVoteAnswer', term, granted: yes() }
    case 2:
      return { kind: 'vote', term, lastIndex: number(), lastTerm: number(), transfer: yes() }
    case 3:
      return { kind: 'voteAnswer', term, granted: yes() }
    case 4:
      return { kind: 'appendAnswer', term, accepted: yes(), index: number(), conflictTerm: number(), round: number() }
    case 5:
      return { kind: 'snapshot', term, snapshot: { index: number(), term: number(), membership: membership(random) } }
    case 6:
      return { kind: 'readIndex', term, id: number() }
    case 7:
      return { kind: 'readIndexAnswer', term, id: number(), index: yes() ? random.below(1_000) : undefined }
    case 8:
      return { kind: 'timeoutNow', term }
    default: {
      const previousIndex = random.below(1_000)
      const entries = some(4, random, i => entry(previousIndex + 1 + i, 7, random))
      return { kind: 'append', term: 9, previousIndex, previousTerm: 7, entries, commit: number(), round: number() }
    }
  }
}

const kinds: readonly Message['kind'][] = [
  'preVote',
  'preVoteAnswer',
  'vote',
  'voteAnswer',
  'append',
  'appendAnswer',
  'snapshot',
  'readIndex',
  'readIndexAnswer',
  'timeoutNow',
]

const raftTarget: Target = {
  name: 'raft',
  features: [...inputFeatures, ...kinds, 'taken', 'refused'],
  make(random) {
    const one = message(random)
    const envelope = { cluster: 'cluster', from: member(random), to: member(random), message: one }
    const { bytes, features } = inputs(random, encodeEnvelope(envelope).slice())
    features.add(one.kind)
    return { pieces: [bytes], features }
  },
  run({ pieces: [bytes = new Uint8Array(0)], features }) {
    const envelope = decodeEnvelope(bytes)
    if (envelope === undefined && features.has('left alone')) throw new Error('what was sent does not arrive')
    if (envelope === undefined) return 'refused'
    if (!isDeepStrictEqual(decodeEnvelope(encodeEnvelope(envelope)), envelope)) {
      throw new Error('sent again it is another one')
    }
    return 'taken'
  },
}

export const storeTargets: readonly Target[] = [logTarget, watermarkTarget, stateTarget, snapshotTarget, raftTarget]
