import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextStep, type Surroundings, votersWanted } from '../../src/controllers/membership.ts'
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
])('%s', (_, step, expected) => {
  expect(step).toMatchObject(expected)
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
