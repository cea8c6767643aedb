// The commands that the log carries, as bytes. The first byte is the version of the format. Decoding is total: bytes
// that are no command are told apart from a command of a version that this program does not know (see kv.ts).
import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { isPacked } from '../lib/packed.ts'
import type { Compare, Operation, Write } from './store.ts'
import { type Command, type Condition, type KeyRange, keysEnd, type Txn, type TxnOperation } from './txn.ts'

export const commandVersion = 2
/** Of release 0.1.0: writes and compactions only, which meant a little less (kv.ts). */
export const firstCommandVersion = 1

export type Decoded =
  | Command
  | { readonly kind: 'first'; readonly write: Write | undefined }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unsupported' }

const writeTag = 1
const compactTag = 2
const txnTag = 3
const grantTag = 4
const revokeTag = 5

// The place in these lists is the number in the log: only ever add at the end.
const relations = ['=', '!=', '<', '>'] as const satisfies readonly Condition['relation'][]
const targets = ['version', 'create', 'mod', 'lease', 'value'] as const satisfies readonly Condition['target'][]

const putTag = 1
const deleteTag = 2
const rangeTag = 3
const nestedTag = 4

/** What may follow a put. */
const hasValue = 1
const hasLease = 2
const wantsPrevious = 4

/** Transactions in transactions, at most; etcd takes no more than its stack does. */
export const txnDepthMax = 32

/** Keys and values must be byte strings, or it throws: what is above U+00FF would be lost. */
/** With `into`, the bytes are that writer's, until it is used again. */
export function encodeCommand(command: Command, into?: ByteWriter): Bytes {
  const out = into ?? new ByteWriter(sizeOf(command))
  out.u8(commandVersion)
  switch (command.kind) {
    case 'write':
      out.u8(writeTag)
      writeWrite(out, command.write)
      break
    case 'txn':
      out.u8(txnTag)
      writeTxn(out, command.txn, 0)
      break
    case 'compact':
      out.u8(compactTag)
      out.varint(command.revision)
      break
    case 'grant':
      out.u8(grantTag)
      out.varint(command.lease)
      out.varint(command.ttlSeconds)
      break
    case 'revoke':
      out.u8(revokeTag)
      out.varint(command.lease)
      // Terms start at 1, so 0 says that there is no fence.
      out.varint(command.term ?? 0)
      break
  }
  return into === undefined ? out.finish() : out.peek()
}

/** About the size of its bytes; a transaction in a transaction is not looked into. */
function sizeOf(command: Command): number {
  let size = 32
  if (command.kind === 'write') {
    const { compare, operations, id } = command.write
    if (id !== undefined) size += id.length
    for (const { key } of compare) size += 12 + key.length
    for (const { key, value } of operations) size += 16 + key.length + (value?.length ?? 0)
  } else if (command.kind === 'txn') {
    const { conditions, success, failure } = command.txn
    for (const { range } of conditions) size += 40 + range.from.length + (range.to?.length ?? 0)
    for (const operation of success) size += sizeOfOperation(operation)
    for (const operation of failure) size += sizeOfOperation(operation)
  }
  return size
}

function sizeOfOperation(operation: TxnOperation): number {
  if (operation.kind === 'put') return 24 + operation.key.length + (operation.value?.length ?? 0)
  if (operation.kind === 'txn') return 64
  const { from, to } = operation.range
  return 24 + from.length + (to?.length ?? 0)
}

function writeChars(out: ByteWriter, chars: string): void {
  assert(isPacked(chars), 'a key or value holds text that was not packed (lib/packed.ts)')
  out.chars(chars)
}

function writeWrite(out: ByteWriter, { id, term, compare, operations }: Write): void {
  writeChars(out, id ?? '')
  out.varint(term ?? 0)
  out.varint(compare.length)
  for (const { key, modRevision } of compare) {
    writeChars(out, key)
    out.varint(modRevision)
  }
  out.varint(operations.length)
  for (const { key, value } of operations) {
    writeChars(out, key)
    out.u8(value === undefined ? 0 : 1)
    if (value !== undefined) writeChars(out, value)
  }
}

function writeTxn(out: ByteWriter, { conditions, success, failure }: Txn, depth: number): void {
  assert(depth < txnDepthMax, `a transaction holds more than ${txnDepthMax} in one another`)
  out.varint(conditions.length)
  for (const condition of conditions) writeCondition(out, condition)
  for (const operations of [success, failure]) {
    out.varint(operations.length)
    for (const operation of operations) writeOperation(out, operation, depth)
  }
}

function writeRange(out: ByteWriter, { from, to }: KeyRange): void {
  writeChars(out, from)
  out.u8(to === undefined ? 0 : to === keysEnd ? 2 : 1)
  if (to !== undefined && to !== keysEnd) writeChars(out, to)
}

function writeCondition(out: ByteWriter, condition: Condition): void {
  writeRange(out, condition.range)
  out.u8(relations.indexOf(condition.relation))
  out.u8(targets.indexOf(condition.target))
  if (condition.target === 'value') writeChars(out, condition.value)
  else out.varint(condition.number)
}

function writeOperation(out: ByteWriter, operation: TxnOperation, depth: number): void {
  switch (operation.kind) {
    case 'put': {
      const { key, value, lease } = operation
      out.u8(putTag)
      const flags = (value === undefined ? 0 : hasValue) | (lease === undefined ? 0 : hasLease)
      out.u8(operation.wantsPrevious ? flags | wantsPrevious : flags)
      writeChars(out, key)
      if (value !== undefined) writeChars(out, value)
      if (lease !== undefined) out.varint(lease)
      return
    }
    case 'delete':
      out.u8(deleteTag)
      out.u8(operation.wantsPrevious ? 1 : 0)
      writeRange(out, operation.range)
      return
    case 'range':
      out.u8(rangeTag)
      out.u8(operation.countOnly ? 1 : 0)
      writeRange(out, operation.range)
      out.varint(operation.revision)
      out.varint(operation.limit)
      return
    case 'txn':
      out.u8(nestedTag)
      writeTxn(out, operation.txn, depth + 1)
      return
  }
}

export function decodeCommand(bytes: Bytes): Decoded {
  const input = new ByteReader(bytes)
  const version = input.u8()
  if (!input.ok || version === 0) return { kind: 'malformed' }
  if (version > commandVersion) return { kind: 'unsupported' }
  const command = version === firstCommandVersion ? readFirst(input) : readCommand(input)
  if (command?.kind === 'unsupported') return command
  return command !== undefined && input.done ? command : { kind: 'malformed' }
}

/** Undefined, or a reader that is not done, when it is none. */
function readCommand(input: ByteReader): Decoded | undefined {
  const tag = input.u8()
  switch (tag) {
    case writeTag:
      return { kind: 'write', write: readWrite(input) }
    case txnTag:
      return { kind: 'txn', txn: readTxn(input, 0) }
    case compactTag:
      return { kind: 'compact', revision: input.varint() }
    case grantTag:
      return { kind: 'grant', lease: input.varint(), ttlSeconds: input.varint() }
    case revokeTag: {
      const lease = input.varint()
      const term = input.varint()
      return { kind: 'revoke', lease, term: term === 0 ? undefined : term }
    }
    default:
      return input.ok ? { kind: 'unsupported' } : undefined
  }
}

/** Text was written in UTF-8, so its bytes are what is stored now. */
function readFirst(input: ByteReader): Decoded | undefined {
  const tag = input.u8()
  if (tag === writeTag) return { kind: 'first', write: readWrite(input) }
  if (tag !== compactTag) return input.ok ? { kind: 'unsupported' } : undefined
  input.varint()
  return { kind: 'first', write: undefined }
}

function readWrite(input: ByteReader): Write {
  const id = input.chars()
  const term = input.varint()
  const compare: Compare[] = []
  for (let i = input.count(5); i > 0 && input.ok; i--) {
    compare.push({ key: input.chars(), modRevision: input.varint() })
  }
  const operations: Operation[] = []
  for (let i = input.count(5); i > 0 && input.ok; i--) {
    const key = input.chars()
    const tag = input.u8()
    if (tag > 1) input.fail()
    operations.push({ key, value: tag === 1 ? input.chars() : undefined })
  }
  return { compare, operations, ...(id !== '' && { id }), ...(term !== 0 && { term }) }
}

function readTxn(input: ByteReader, depth: number): Txn {
  if (depth >= txnDepthMax) input.fail()
  const conditions: Condition[] = []
  for (let i = input.count(8); i > 0 && input.ok; i--) conditions.push(readCondition(input))
  const success = readOperations(input, depth)
  const failure = readOperations(input, depth)
  return { conditions, success, failure }
}

function readOperations(input: ByteReader, depth: number): readonly TxnOperation[] {
  const operations: TxnOperation[] = []
  for (let i = input.count(4); i > 0 && input.ok; i--) {
    const operation = readOperation(input, depth)
    if (operation === undefined) input.fail()
    else operations.push(operation)
  }
  return operations
}

function readRange(input: ByteReader): KeyRange {
  const from = input.chars()
  const tag = input.u8()
  if (tag > 2) input.fail()
  return { from, to: tag === 0 ? undefined : tag === 2 ? keysEnd : input.chars() }
}

function readCondition(input: ByteReader): Condition {
  const range = readRange(input)
  const relation = relations[input.u8()]
  const target = targets[input.u8()]
  if (relation === undefined || target === undefined) input.fail()
  if (target === 'value') return { range, relation: relation ?? '=', target, value: input.chars() }
  return { range, relation: relation ?? '=', target: target ?? 'mod', number: input.varint() }
}

function readOperation(input: ByteReader, depth: number): TxnOperation | undefined {
  switch (input.u8()) {
    case putTag: {
      const flags = input.u8()
      if (flags > (hasValue | hasLease | wantsPrevious)) input.fail()
      const key = input.chars()
      const value = flags & hasValue ? input.chars() : undefined
      const lease = flags & hasLease ? input.varint() : undefined
      return { kind: 'put', key, value, lease, wantsPrevious: (flags & wantsPrevious) !== 0 }
    }
    case deleteTag: {
      const previous = input.u8()
      if (previous > 1) input.fail()
      return { kind: 'delete', range: readRange(input), wantsPrevious: previous === 1 }
    }
    case rangeTag: {
      const countOnly = input.u8()
      if (countOnly > 1) input.fail()
      const range = readRange(input)
      const revision = input.varint()
      return { kind: 'range', range, revision, limit: input.varint(), countOnly: countOnly === 1 }
    }
    case nestedTag:
      return { kind: 'txn', txn: readTxn(input, depth + 1) }
    default:
      return undefined
  }
}
