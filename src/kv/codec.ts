// The commands that the log carries, as bytes. The first byte is the version of the format. Decoding is total: bytes
// that are no command are told apart from a command of a version that this program does not know (see kv.ts).
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Compare, Operation, Revision, Write } from './store.ts'

export const commandVersion = 1

/** The id makes a write that is proposed twice happen once; '' gives up that promise. */
export type Command =
  | { readonly kind: 'write'; readonly id: string; readonly write: Write }
  /** Forget the history below `revision`. */
  | { readonly kind: 'compact'; readonly revision: Revision }

export type Decoded = Command | { readonly kind: 'malformed' } | { readonly kind: 'unsupported' }

const writeTag = 1
const compactTag = 2

export function encodeCommand(command: Command): Bytes {
  switch (command.kind) {
    case 'write': {
      const { compare, operations, term } = command.write
      let capacity = 48 + command.id.length
      for (const { key } of compare) capacity += 12 + key.length
      for (const { key, value } of operations) capacity += 12 + key.length + (value?.length ?? 0)
      const out = new ByteWriter(capacity)
      out.u8(commandVersion)
      out.u8(writeTag)
      out.text(command.id)
      // Terms start at 1, so 0 says that there is no fence.
      out.varint(term ?? 0)
      out.varint(compare.length)
      for (const { key, modRevision } of compare) {
        out.text(key)
        out.varint(modRevision)
      }
      out.varint(operations.length)
      for (const { key, value } of operations) {
        out.text(key)
        out.u8(value === undefined ? 0 : 1)
        if (value !== undefined) out.text(value)
      }
      return out.finish()
    }
    case 'compact': {
      const out = new ByteWriter(16)
      out.u8(commandVersion)
      out.u8(compactTag)
      out.varint(command.revision)
      return out.finish()
    }
  }
}

export function decodeCommand(bytes: Bytes): Decoded {
  const input = new ByteReader(bytes)
  const version = input.u8()
  if (!input.ok || version === 0) return { kind: 'malformed' }
  if (version !== commandVersion) return { kind: 'unsupported' }
  const tag = input.u8()
  if (tag === compactTag) {
    const revision = input.varint()
    return input.done ? { kind: 'compact', revision } : { kind: 'malformed' }
  }
  if (tag !== writeTag) return { kind: input.ok ? 'unsupported' : 'malformed' }
  const id = input.text()
  const term = input.varint()
  const compare: Compare[] = []
  for (let i = input.count(5); i > 0 && input.ok; i--) compare.push({ key: input.text(), modRevision: input.varint() })
  const operations: Operation[] = []
  for (let i = input.count(5); i > 0 && input.ok; i--) {
    const key = input.text()
    const tag = input.u8()
    if (tag > 1) return { kind: 'malformed' }
    operations.push({ key, value: tag === 1 ? input.text() : undefined })
  }
  if (!input.done) return { kind: 'malformed' }
  const write: Write = term === 0 ? { compare, operations } : { compare, operations, term }
  return { kind: 'write', id, write }
}
