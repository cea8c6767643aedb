// Commands as clients might send them, about few keys, so that they meet.
import fc from 'fast-check'
import type { Command, Condition, KeyRange, Txn, TxnOperation } from '../../src/kv/txn.ts'
import { keysEnd } from '../../src/kv/txn.ts'

const keys = ['', 'a', 'a\0', 'b', 'c', 'd', '\xff']
const key = fc.constantFrom(...keys)
const value = fc.constantFrom('', '1', '2', 'x\0\xff')
const lease = fc.constantFrom(0, 0, 0, 1, 2)
const revision = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(20) })

export const anyRange: fc.Arbitrary<KeyRange> = fc.record({
  from: key,
  to: fc.constantFrom(undefined, undefined, undefined, 'b', 'd', '\xff', keysEnd),
})

const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({
    range: anyRange,
    relation: fc.constantFrom('=', '!=', '<', '>'),
    target: fc.constantFrom('version', 'create', 'mod', 'lease'),
    number: fc.nat(6),
  }),
  fc.record({
    range: anyRange,
    relation: fc.constantFrom('=', '!=', '<', '>'),
    target: fc.constant('value' as const),
    value,
  }),
)

/** Also what etcd's API refuses before it comes here, such as a key put twice: the state machine must agree with itself. */
const { txn } = fc.letrec<{ txn: Txn; operation: TxnOperation }>(tie => ({
  operation: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('put' as const),
      key,
      value: fc.option(value, { nil: undefined, freq: 8 }),
      lease: fc.option(lease, { nil: undefined, freq: 8 }),
      wantsPrevious: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('delete' as const), range: anyRange, wantsPrevious: fc.boolean() }),
    fc.record({
      kind: fc.constant('range' as const),
      range: anyRange,
      revision,
      limit: fc.constantFrom(0, 0, 1, 2),
      countOnly: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('txn' as const), txn: tie('txn') }),
  ),
  txn: fc.record({
    conditions: fc.array(condition, { maxLength: 2 }),
    success: fc.array(tie('operation'), { maxLength: 3 }),
    failure: fc.array(tie('operation'), { maxLength: 2 }),
  }),
}))

const write = fc.record(
  {
    compare: fc.array(fc.record({ key, modRevision: fc.nat(3) }), { maxLength: 1 }),
    operations: fc.array(fc.record({ key, value: fc.option(value, { nil: undefined }) }), { maxLength: 3 }),
    term: fc.constantFrom(1, 1, 1, 2),
    id: fc.constantFrom('one', 'two', 'three', 'four'),
  },
  { requiredKeys: ['compare', 'operations'] },
)

export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('txn' as const), txn }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('write' as const), write }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), revision: fc.nat(25) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      lease: fc.constantFrom(0, 1, 2),
      ttlSeconds: fc.nat(9),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('revoke' as const),
      lease: fc.constantFrom(1, 2),
      term: fc.constantFrom(undefined, undefined, 1, 2),
    }),
  },
)
