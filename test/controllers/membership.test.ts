import fc from 'fast-check'
import { expect, test } from 'vitest'
import { costOf, explain, nextStep, type Surroundings, votersWanted } from '../../src/controllers/membership.ts'
import type { MemberState } from '../../src/gossip/gossip.ts'
import type { MemberInfo, StoreStatus } from '../../src/kv/store.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'

type Spec = {
  readonly role: 'voter' | 'learner'
  readonly state?: MemberState
  readonly behind?: number
  readonly deadMs?: number
  readonly node?: false
  readonly witness?: true
  readonly leaving?: true
  readonly syncMs?: number
  readonly failures?: number
}

function scene(specs: Readonly<Record<string, Spec>>, leader = 'a', more: readonly string[] = [], votesRestMs = 0) {
  const members = Object.entries(specs).map(
    ([name, { role }]): MemberInfo => ({ member: `m-${name}`, peer: peerId(name), role }),
  )
  const status: StoreStatus = {
    term: 1,
    leader: peerId(leader),
    role: 'leader',
    appliedIndex: 1_000,
    commitIndex: 1_000,
    revision: 1,
    compactedRevision: 0,
    members,
    matchIndex: Object.fromEntries(
      Object.entries(specs).map(([name, { behind = 0 }]) => [`m-${name}`, 1_000 - behind]),
    ),
  }
  const named = Object.keys(specs).filter(name => specs[name]?.node !== false)
  const around: Surroundings = {
    admitted: new Map(
      [...named, ...more].map(name => {
        const { witness = false, leaving = false } = specs[name] ?? {}
        return [peerId(name), { witness, leaving }]
      }),
    ),
    stateOf: (peer: PeerId) => specs[peer]?.state ?? 'alive',
    deadMs: (peer: PeerId) => specs[peer]?.deadMs ?? 0,
    vitalsOf: (peer: PeerId) => {
      const { syncMs, failures = 0 } = specs[peer] ?? {}
      return syncMs === undefined ? undefined : { syncMs, failures, roundTripMs: 1, upMs: 3_600_000 }
    },
    votesRestMs,
    replaceVoterMs: 600_000,
    settleVotesMs: 600_000,
    caughtUpEntries: 64,
  }
  return { status, around }
}

function look(...args: Parameters<typeof scene>) {
  const { status, around } = scene(...args)
  return nextStep(status, around)
}

const voter: Spec = { role: 'voter' }
const learner: Spec = { role: 'learner' }
const dead = (deadMs: number): Spec => ({ role: 'voter', state: 'dead', deadMs })
const change = (kind: string, name: string) => ({ kind: 'change', change: { kind, member: `m-${name}` } })

test.each<[string, ReturnType<typeof look>, object]>([
  ['one peer is settled', look({ a: voter }), { kind: 'settled' }],
  ['two peers keep one vote', look({ a: voter, b: learner }), { kind: 'settled' }],
  ['three peers: the first learner is promoted', look({ a: voter, b: learner, c: learner }), change('promote', 'b')],
  ['then the second', look({ a: voter, b: voter, c: learner }), change('promote', 'c')],
  [
    'not while one lags: two of two is worse than one of one',
    look({ a: voter, b: learner, c: { role: 'learner', behind: 500 } }),
    { kind: 'wait' },
  ],
  ['four peers keep three votes', look({ a: voter, b: voter, c: voter, d: learner }), { kind: 'settled' }],
  ['five peers: on to five', look({ a: voter, b: voter, c: voter, d: learner, e: learner }), change('promote', 'd')],
  ['a peer that joins is waited for', look({ a: voter }, 'a', ['b']), { kind: 'wait' }],
  ['a voter dead for a while stays', look({ a: voter, b: voter, c: dead(60_000), d: learner }), { kind: 'wait' }],
  [
    'a voter dead for long makes room',
    look({ a: voter, b: voter, c: dead(700_000), d: learner }),
    change('demote', 'c'),
  ],
  ['but not when nobody can take its place', look({ a: voter, b: voter, c: dead(700_000) }), { kind: 'settled' }],
  [
    'nor when too few would be left',
    look({ a: voter, b: dead(700_000), c: dead(700_000), d: learner }),
    { kind: 'wait' },
  ],
  ['a learner without Node is removed', look({ a: voter, b: { role: 'learner', node: false } }), change('remove', 'b')],
  [
    'a voter without Node is demoted first',
    look({ a: voter, b: voter, c: { role: 'voter', node: false } }),
    change('demote', 'c'),
  ],
  ['back to two peers: one vote', look({ a: voter, b: voter }), change('demote', 'b')],
  ['the leader is never demoted', look({ a: voter, b: voter }, 'b'), change('demote', 'a')],
  ['the leader stays even without Node', look({ a: { role: 'voter', node: false } }), { kind: 'settled' }],
  [
    'two peers and a witness have three votes',
    look({ a: voter, b: learner, w: { ...learner, witness: true } }),
    change('promote', 'b'),
  ],
  ['and then the witness', look({ a: voter, b: voter, w: { ...learner, witness: true } }), change('promote', 'w')],
  [
    'a witness is nobody’s first choice',
    look({ a: voter, b: learner, c: learner, w: { ...learner, witness: true, syncMs: 0 } }),
    change('promote', 'b'),
  ],
  [
    'where votes have rested, a peer takes the place of a witness',
    look({ a: voter, b: voter, w: { ...voter, witness: true }, c: learner }, 'a', [], 600_000),
    change('promote', 'c'),
  ],
  [
    'and the witness is the one too many',
    look({ a: voter, b: voter, w: { ...voter, witness: true }, c: voter }),
    change('demote', 'w'),
  ],
  [
    'one that leaves loses its vote',
    look({ a: voter, b: voter, c: voter, d: { ...voter, leaving: true } }),
    change('demote', 'd'),
  ],
  [
    'when somebody has taken its place, where there is somebody',
    look({ a: voter, b: voter, c: { ...voter, leaving: true }, d: learner }),
    change('promote', 'd'),
  ],
  ['and is removed then', look({ a: voter, b: { ...learner, leaving: true } }), change('remove', 'b')],
  [
    'the only voter leaves: the other gets a vote first',
    look({ a: { ...voter, leaving: true }, b: learner }),
    change('promote', 'b'),
  ],
  ['then it hands over', look({ a: { ...voter, leaving: true }, b: voter }), { kind: 'wait' }],
  ['and is out', look({ a: { ...voter, leaving: true }, b: voter }, 'b'), change('demote', 'a')],
  [
    'nobody leaves while too few would be left: a dead one loses its vote first',
    look({ a: voter, b: dead(1), c: { ...voter, leaving: true } }),
    change('demote', 'b'),
  ],
  [
    'the quickest disk gets the vote',
    look({ a: voter, b: { ...learner, syncMs: 9 }, c: { ...learner, syncMs: 2 }, d: { ...learner, syncMs: 5 } }),
    change('promote', 'c'),
  ],
  [
    'the slowest is the one too many',
    look({
      a: { ...voter, syncMs: 99 },
      b: { ...voter, syncMs: 9 },
      c: { ...voter, syncMs: 5 },
      d: { ...voter, syncMs: 1 },
    }),
    change('demote', 'b'),
  ],
])('%s', (_, step, expected) => {
  expect(step).toMatchObject(expected)
})

const slow: Readonly<Record<string, Spec>> = {
  a: { ...voter, syncMs: 2 },
  b: { ...voter, syncMs: 3 },
  c: { ...voter, syncMs: 40 },
  d: { ...learner, syncMs: 4 },
}

test('a vote moves to a much better peer, but not soon after another has moved, and not for little', () => {
  expect(look(slow, 'a', [], 599_999)).toEqual({ kind: 'settled' })
  expect(look(slow, 'a', [], 600_000)).toMatchObject(change('promote', 'd'))
  // Then the dearest of the four goes.
  expect(look({ ...slow, d: { ...voter, syncMs: 4 } })).toMatchObject(change('demote', 'c'))
  expect(look({ ...slow, d: { ...learner, syncMs: 21 } }, 'a', [], 600_000)).toEqual({ kind: 'settled' })
  // The leader's own disk is not judged, and one that does not answer costs more than its disk says.
  expect(look({ ...slow, c: { ...voter, syncMs: 3 }, a: { ...voter, syncMs: 90 } }, 'a', [], 600_000)).toEqual({
    kind: 'settled',
  })
  expect(look({ ...slow, d: { ...learner, syncMs: 4, failures: 1 } }, 'a', [], 600_000)).toEqual({ kind: 'settled' })
  // While a voter is dead, no vote moves for the sake of speed.
  expect(look({ ...slow, b: dead(1) }, 'a', [], 600_000)).toEqual({ kind: 'wait' })
})

test('a swap ends: what was moved does not move back', () => {
  const specs = new Map(Object.entries(slow))
  const moves: string[] = []
  for (let i = 0; i < 10; i++) {
    const next = look(Object.fromEntries(specs), 'a', [], 600_000)
    if (next.kind !== 'change' || next.change.kind === 'add') break
    const name = next.change.member.slice(2)
    moves.push(`${next.change.kind} ${name}`)
    specs.set(name, { ...slow[name], role: next.change.kind === 'promote' ? 'voter' : 'learner' })
  }
  expect(moves).toEqual(['promote d', 'demote c'])
})

test('cost is sync and way, and more for what is young, unknown or silent', () => {
  const { around } = scene({
    a: { ...voter, syncMs: 3 },
    b: { ...voter, syncMs: 3, failures: 2 },
    w: { ...voter, witness: true },
  })
  expect(costOf(peerId('a'), around)).toBe(4)
  expect(costOf(peerId('b'), around)).toBe(104)
  expect(costOf(peerId('unknown'), around)).toBe(40)
  expect(costOf(peerId('w'), around)).toBe(Number.POSITIVE_INFINITY)
})

test('each peer is told why it is what it is', () => {
  const why = (name: string, specs: Readonly<Record<string, Spec>>) => {
    const { status, around } = scene(specs)
    return explain(peerId(name), status, around)
  }
  expect(why('a', slow)).toBe('leads; costs 3.0 ms')
  expect(why('b', slow)).toBe('one of 3 votes; costs 4.0 ms')
  expect(why('d', slow)).toBe('spare: 3 of 3 votes are given; costs 5.0 ms')
  expect(why('d', { ...slow, d: { ...learner, behind: 500 } })).toBe('catches up: 500 entries behind')
  expect(why('b', { ...slow, b: dead(20_000) })).toBe('not heard of for 20s; its vote moves after 10m')
  expect(why('b', { a: voter, b: dead(20_000), c: voter })).toBe('not heard of for 20s; nobody could take its vote')
  expect(why('d', { ...slow, d: { ...learner, state: 'dead', deadMs: 5_000 } })).toBe('not heard of for 5s')
  expect(why('w', { a: voter, b: voter, w: { ...voter, witness: true } })).toBe('one of 3 votes; a witness')
  expect(why('b', { a: voter, b: { ...voter, leaving: true } })).toMatch(/^leaves/)
  expect(why('b', { a: voter, b: learner, c: { ...learner, behind: 500 } })).toMatch(/^waits for another: 2 votes/)
  expect(why('x', slow)).toBe('not a member yet')
  expect(why('b', { a: voter, b: { ...voter, node: false } })).toMatch(/no Node/)
})

test('whatever the states, living voters stay a majority, and a healthy cluster settles on the number wanted', () => {
  const spec = fc.record({
    role: fc.constantFrom('voter' as const, 'learner' as const),
    state: fc.constantFrom('alive' as const, 'alive' as const, 'dead' as const),
    deadMs: fc.constantFrom(0, 700_000),
  })
  fc.assert(
    fc.property(fc.array(spec, { minLength: 1, maxLength: 8 }), specs => {
      const named = new Map<string, Spec>(
        specs.map((one, i) => [`p${i}`, i === 0 ? { role: 'voter', state: 'alive' } : one]),
      )
      for (let step = 0; step < 30; step++) {
        const alive = () => [...named.values()].filter(one => one.role === 'voter' && one.state === 'alive').length
        const all = () => [...named.values()].filter(one => one.role === 'voter').length
        const hadQuorum = alive() * 2 > all()
        if (!hadQuorum) return
        const next = look(Object.fromEntries(named), 'p0')
        if (next.kind !== 'change' || next.change.kind === 'add') break
        const name = next.change.member.slice(2)
        const old = named.get(name) ?? learner
        if (next.change.kind === 'remove') named.delete(name)
        else named.set(name, { ...old, role: next.change.kind === 'promote' ? 'voter' : 'learner' })
        expect(alive() * 2).toBeGreaterThan(all())
      }
      if ([...named.values()].every(one => one.state === 'alive')) {
        expect([...named.values()].filter(one => one.role === 'voter').length).toBe(votersWanted(named.size))
      }
    }),
    { numRuns: 500 },
  )
})
