// What the state machine is given, and the frames that everything between peers travels in.
import { decodeCommand, encodeCommand } from '../../src/kv/codec.ts'
import { apply, createKv } from '../../src/kv/kv.ts'
import type { Command, Condition, KeyRange, Txn, TxnOperation } from '../../src/kv/txn.ts'
import { ByteWriter } from '../../src/lib/binary.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { decodeSpeech, encodeSpeech, type Speech, unwrap, wrap } from '../../src/store/command.ts'
import { encodeFrame, FrameError, frameDecoder } from '../../src/wire/frame.ts'
import type { Target } from './fuzz.ts'
import { chars, inputFeatures, inputs, join, pick, some, wholeNumber } from './mutate.ts'

const key = (random: Prng) => (random.chance(0.8) ? pick(['a', 'b', 'c/1', 'c/2'], random) : chars(12, random))

const range = (random: Prng): KeyRange => ({ from: key(random), to: random.chance(0.5) ? key(random) : undefined })

function condition(random: Prng): Condition {
  const one = { range: range(random), relation: pick(['=', '!=', '<', '>'] as const, random) }
  if (random.chance(0.3)) return { ...one, target: 'value', value: chars(5, random) }
  return { ...one, target: pick(['version', 'create', 'mod', 'lease'] as const, random), number: random.below(20) }
}

function operation(random: Prng, depth: number): TxnOperation {
  const wantsPrevious = random.chance(0.5)
  switch (random.below(depth > 2 ? 3 : 4)) {
    case 0: {
      const value = random.chance(0.9) ? chars(20, random) : undefined
      const lease = random.chance(0.8) ? random.below(3) : undefined
      return { kind: 'put', key: key(random), value, lease, wantsPrevious }
    }
    case 1:
      return { kind: 'delete', range: range(random), wantsPrevious }
    case 2: {
      const countOnly = random.chance(0.3)
      return { kind: 'range', range: range(random), revision: random.below(10), limit: random.below(3), countOnly }
    }
    default:
      return { kind: 'txn', txn: txn(random, depth + 1) }
  }
}

const txn = (random: Prng, depth: number): Txn => ({
  conditions: some(2, random, () => condition(random)),
  success: some(3, random, () => operation(random, depth)),
  failure: some(2, random, () => operation(random, depth)),
})

const commandKinds: readonly Command['kind'][] = ['write', 'txn', 'compact', 'grant', 'revoke']

function command(random: Prng): Command {
  switch (pick(commandKinds, random)) {
    case 'write': {
      const compare = some(2, random, () => ({ key: key(random), modRevision: random.below(9) }))
      const operations = some(3, random, () => {
        return { key: key(random), value: random.chance(0.7) ? chars(20, random) : undefined }
      })
      return {
        kind: 'write',
        write: random.chance(0.5) ? { compare, operations } : { compare, operations, id: chars(8, random) },
      }
    }
    case 'txn':
      return { kind: 'txn', txn: txn(random, 0) }
    case 'compact':
      return { kind: 'compact', revision: random.chance(0.9) ? 1 + random.below(4) : wholeNumber(random) }
    case 'grant':
      return { kind: 'grant', lease: random.below(3), ttlSeconds: wholeNumber(random) }
    case 'revoke':
      return { kind: 'revoke', lease: 1 + random.below(2), term: random.chance(0.3) ? random.below(4) : undefined }
  }
}

export const commandBytes = (random: Prng): Uint8Array => encodeCommand(command(random)).slice()

/** As release 0.1.0 wrote them. */
function firstCommand(random: Prng): Uint8Array {
  const out = new ByteWriter()
  out.u8(1)
  if (random.chance(0.1)) {
    out.u8(2)
    out.varint(random.below(9))
    return out.finish().slice()
  }
  out.u8(1)
  out.text(chars(8, random))
  out.varint(random.below(2))
  for (const isOperation of [false, true]) {
    const count = random.below(3)
    out.varint(count)
    for (let i = 0; i < count; i++) {
      out.text(key(random))
      if (!isOperation) out.varint(random.below(9))
      else if (random.chance(0.3)) out.u8(0)
      else {
        out.u8(1)
        out.text(chars(9, random))
      }
    }
  }
  return out.finish().slice()
}

/** Some commands in a row to one state machine, the last of them spoiled: whatever it is, it must not throw. */
const commandTarget: Target = {
  name: 'command',
  features: [
    ...inputFeatures,
    ...commandKinds,
    'first',
    'is write',
    'is txn',
    'is compact',
    'is grant',
    'is revoke',
    'is failed',
    'is malformed',
    'is unsupported',
  ],
  make(random) {
    const grants = [1, 2].map(lease => encodeCommand({ kind: 'grant', lease, ttlSeconds: 60 }).slice())
    const before = [...grants, ...some(6, random, () => commandBytes(random))]
    const isFirst = random.chance(0.1)
    const one = command(random)
    const valid = isFirst ? firstCommand(random) : encodeCommand(one).slice()
    const { bytes, features } = inputs(random, valid, undefined, 0.4)
    features.add(isFirst ? 'first' : one.kind)
    return { pieces: [...before, bytes], features }
  },
  run({ pieces, features }) {
    const kv = createKv()
    const twin = createKv()
    let kind = 'idle'
    for (const [i, bytes] of pieces.entries()) {
      const entry = { index: i + 1, term: 1, command: bytes }
      kind = apply(kv, entry, true).answer.kind
      // Who asked or not, and whoever applies it: the same.
      apply(twin, entry, false)
      if (kv.hash !== twin.hash || kv.revision !== twin.revision) throw new Error('two replicas differ')
    }
    const last = pieces.at(-1) ?? new Uint8Array(0)
    const decoded = decodeCommand(last)
    if (features.has('left alone') && (decoded.kind === 'malformed' || decoded.kind === 'unsupported')) {
      throw new Error('what was written does not come back')
    }
    return `is ${kind}`
  },
}

// ---- commands on their way to the leader ----

function speech(random: Prng): Speech {
  if (random.chance(0.5)) {
    const commands = some(4, random, () =>
      wrap(random.below(2 ** 32), random.below(2 ** 32), random.bytes(random.below(40))),
    )
    return { kind: 'forward', cluster: 'cluster', term: wholeNumber(random), commands }
  }
  const why = pick(['not-leader', 'unavailable'] as const, random)
  const refused = some(5, random, () => ({ sequence: random.below(2 ** 32), why }))
  return { kind: 'refused', cluster: 'cluster', origin: random.below(2 ** 32), refused }
}

const speechTarget: Target = {
  name: 'speech',
  features: [...inputFeatures, 'forward', 'refused', 'taken', 'dropped'],
  make(random) {
    const one = speech(random)
    const { bytes, features } = inputs(random, encodeSpeech(one).slice())
    features.add(one.kind)
    return { pieces: [bytes], features }
  },
  run({ pieces: [bytes = new Uint8Array(0)], features }) {
    unwrap(bytes)
    const taken = decodeSpeech(bytes)
    if (taken === undefined && features.has('left alone')) throw new Error('what was sent does not arrive')
    if (taken === undefined) return 'dropped'
    for (const one of taken.kind === 'forward' ? taken.commands : []) unwrap(one)
    return 'taken'
  },
}

// ---- frames ----

const frameBytesMax = 4_096

/** A stream of frames, in pieces that have nothing to do with where a frame ends. */
const frameTarget: Target = {
  name: 'frame',
  features: [...inputFeatures, 'one piece', 'many pieces', 'all taken', 'rest pending', 'too large'],
  make(random) {
    const stream = join(...some(5, random, () => encodeFrame(random.bytes(random.below(200)))))
    const { bytes, features } = inputs(random, stream)
    const pieces: Uint8Array[] = []
    for (let at = 0; at < bytes.length; ) {
      const length = random.chance(0.3) ? bytes.length : 1 + random.below(50)
      pieces.push(bytes.subarray(at, at + length))
      at += length
    }
    features.add(pieces.length > 1 ? 'many pieces' : 'one piece')
    return { pieces, features }
  },
  run({ pieces, features }) {
    const decoder = frameDecoder(frameBytesMax)
    const payloads: Uint8Array[] = []
    try {
      for (const piece of pieces) payloads.push(...decoder.push(piece))
    } catch (error) {
      if (error instanceof FrameError && !features.has('left alone')) return 'too large'
      throw error
    }
    if (decoder.pendingBytes > frameBytesMax + 4) throw new Error('it keeps more than a frame may be')
    const taken = join(...payloads.map(encodeFrame))
    const all = join(...pieces)
    if (taken.length + decoder.pendingBytes !== all.length) throw new Error('bytes are gone')
    if (taken.some((byte, i) => byte !== all[i])) throw new Error('bytes are others')
    return decoder.pendingBytes > 0 ? 'rest pending' : 'all taken'
  },
}

export const kvTargets: readonly Target[] = [commandTarget, speechTarget, frameTarget]
