// Decoders with a bug in each, of the kinds that this fuzzer is for: when it does not find them, it is blind, and that it
// finds nothing elsewhere means nothing.
import { ByteReader, ByteWriter } from '../../src/lib/binary.ts'
import { hangMs, type Target } from './fuzz.ts'
import { chars, inputFeatures, inputs, wholeNumber } from './mutate.ts'

const features = [...inputFeatures, 'taken', 'refused']

/** A list of texts with its length in front. */
function valid(random: Parameters<Target['make']>[0]): Uint8Array {
  const out = new ByteWriter()
  const count = random.below(5)
  out.u8(7)
  out.u32(count)
  for (let i = 0; i < count; i++) out.text(chars(20, random))
  out.varint(wholeNumber(random))
  return out.finish().slice()
}

function canary(name: string, decode: (input: ByteReader, count: number) => void): Target {
  return {
    name,
    features,
    make(random) {
      const { bytes, features } = inputs(random, valid(random))
      return { pieces: [bytes], features }
    },
    run({ pieces: [bytes = new Uint8Array(0)] }) {
      const input = new ByteReader(bytes)
      if (input.u8() !== 7) return 'refused'
      decode(input, input.u32())
      return input.done ? 'taken' : 'refused'
    },
  }
}

export const canaries: readonly Target[] = [
  canary('canary-throws', (input, count) => {
    for (let i = 0; i < count && input.ok; i++) if (input.text().length === 17) throw new RangeError('the planted bug')
    input.varint()
  }),
  canary('canary-hangs', (input, count) => {
    for (let i = 0; i < count && input.ok; i++) input.text()
    // What a loop over `count` alone would be: it goes on long after the input is over.
    const end = performance.now() + (input.ok ? 0 : Math.min(count / 1_000, 3 * hangMs))
    while (performance.now() < end);
    input.varint()
  }),
  canary('canary-allocates', (input, count) => {
    const texts = new Uint32Array(Math.min(count, 2 ** 26))
    for (let i = 0; i < count && input.ok; i++) texts[i] = input.text().length
    input.varint()
  }),
]
