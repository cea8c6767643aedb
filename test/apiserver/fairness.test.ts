import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { flowSchema } from '../../src/api/kinds/flowschema.ts'
import { priorityLevelConfiguration } from '../../src/api/kinds/prioritylevelconfiguration.ts'
import { classify, inOrder } from '../../src/apiserver/flowcontrol/classify.ts'
import { defaultLevels, defaultSchemas } from '../../src/apiserver/flowcontrol/defaults.ts'
import { type Configured, Seats, seatCount } from '../../src/apiserver/flowcontrol/seats.ts'
import type { Attributes } from '../../src/apiserver/rbac.ts'
import type { Identity } from '../../src/world/http.ts'
import { created } from '../api/make.ts'

const schemas = inOrder(defaultSchemas.map(draft => created(flowSchema, draft)))
const levels: readonly Configured[] = defaultLevels.map(draft => {
  const { metadata, spec } = created(priorityLevelConfiguration, draft)
  return { name: metadata.name, spec }
})
const asks = (verb: string, resource: string, namespace = 'default', group = ''): Attributes => ({
  kind: 'resource',
  verb,
  group,
  resource,
  subresource: '',
  namespace,
  name: '',
})
const all = 'system:authenticated'
const node: Identity = { user: 'system:node:n1', groups: ['system:nodes', all] }
const account = (namespace: string, name: string): Identity => ({
  user: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, all],
})
const leases = 'coordination.k8s.io'

test.each<[string, Identity, Attributes, string, string]>([
  ['masters', { user: 'admin', groups: ['system:masters', all] }, asks('list', 'pods'), 'exempt', 'exempt/'],
  ['a probe', { user: 'x', groups: [all] }, { kind: 'path', verb: 'get', path: '/readyz' }, 'exempt', 'probes/'],
  ['a node about itself', node, asks('patch', 'nodes', ''), 'node-high', 'system-node-high/system:node:n1'],
  [
    "a node's lease",
    node,
    asks('update', 'leases', 'kube-node-lease', leases),
    'node-high',
    'system-node-high/system:node:n1',
  ],
  ['a node about pods', node, asks('list', 'pods'), 'system', 'system-nodes/system:node:n1'],
  [
    'an add-on that elects its leader',
    account('kube-system', 'a'),
    asks('update', 'leases', 'kube-system', leases),
    'leader-election',
    'system-leader-election/system:serviceaccount:kube-system:a',
  ],
  [
    'an add-on, by the namespace that it works in',
    account('kube-system', 'a'),
    asks('list', 'pods', 'shop'),
    'workload-high',
    'kube-system-service-accounts/shop',
  ],
  [
    'a workload',
    account('shop', 'web'),
    asks('list', 'pods'),
    'workload-low',
    'service-accounts/system:serviceaccount:shop:web',
  ],
  ['a person', { user: 'ann', groups: [all] }, asks('list', 'pods'), 'global-default', 'global-default/ann'],
  ['nobody at all', { user: 'x', groups: [] }, asks('list', 'pods'), 'catch-all', 'catch-all/'],
])('of the defaults, %s has its level and flow', (_, who, asked, level, key) => {
  expect(classify(schemas, who, asked)).toMatchObject({ level, key })
})

function seated(seats: Seats, level: string, flow: string, count: number) {
  const called: number[] = []
  const answers = Array.from({ length: count }, (_, i) => seats.ask(level, flow, () => called.push(i)))
  return { answers, called, count: (what: string) => answers.filter(answer => answer === what).length }
}

describe('seats', () => {
  test('a level has seats by its share, borrows what others may lend, and then queues and refuses', () => {
    const seats = new Seats()
    seats.configure(levels)
    const own = seats.state('global-default')?.nominal ?? 0
    expect(own).toBe(Math.ceil((seatCount * 20) / 245))
    const flood = seated(seats, 'global-default', 'ann', 5_000)
    // 30 * 33 % + 40 * 25 % + 40 * 50 % + 100 * 90 % of the shares are others' to lend.
    expect(flood.count('seated')).toBeGreaterThan(own + 250)
    expect(flood.count('seated')).toBeLessThan(own + 360)
    expect(flood.count('waiting')).toBe(6 * 50)
    expect(flood.answers.at(-1)).toBe('refused')
  })

  test('what one level has borrowed keeps no other from its own', () => {
    const seats = new Seats()
    seats.configure(levels)
    seated(seats, 'global-default', 'ann', 5_000)
    for (const name of ['system', 'node-high', 'leader-election', 'workload-high', 'workload-low']) {
      const nominal = seats.state(name)?.nominal ?? 0
      expect(seated(seats, name, 'x', nominal).count('seated')).toBe(nominal)
    }
  })

  test('flows take turns: who asks once waits for one turn, however many another has asked before', () => {
    const seats = new Seats()
    seats.configure([
      { name: 'only', spec: levels.find(({ name }) => name === 'workload-low')?.spec ?? { type: 'Limited' } },
    ])
    const order: string[] = []
    for (let i = 0; i < seatCount; i++) seats.ask('only', 'loud', () => undefined)
    for (let i = 0; i < 100; i++) seats.ask('only', 'loud', () => order.push('loud'))
    seats.ask('only', 'quiet', () => order.push('quiet'))
    seats.leave('only')
    seats.leave('only')
    expect(order).toEqual(['loud', 'quiet'])
  })

  test('the exempt are always let in, and those of a level that rejects never wait', () => {
    const seats = new Seats()
    seats.configure(levels)
    expect(seated(seats, 'exempt', 'admin', 10_000).count('seated')).toBe(10_000)
    const { nominal = 0 } = seats.state('catch-all') ?? {}
    const flood = seated(seats, 'catch-all', 'x', 1_000)
    expect(flood.count('waiting')).toBe(0)
    expect(flood.count('seated')).toBeGreaterThanOrEqual(nominal)
    expect(flood.count('refused')).toBeGreaterThan(0)
  })

  test('who waits at a level that is taken away is let in', () => {
    const seats = new Seats()
    seats.configure(levels)
    const flood = seated(seats, 'workload-low', 'x', 700)
    expect(flood.count('waiting')).toBeGreaterThan(0)
    seats.configure(levels.filter(({ name }) => name !== 'workload-low'))
    expect(flood.called).toHaveLength(flood.count('waiting'))
    for (let i = 0; i < 700 - flood.count('refused'); i++) seats.leave('workload-low')
    seats.configure(levels.filter(({ name }) => name !== 'workload-low'))
    expect(seats.state('workload-low')).toBeUndefined()
  })

  test('whatever happens, the counts are those of who is there, and nobody waits beside a free seat', () => {
    const names = ['system', 'workload-low', 'global-default', 'catch-all']
    const small = levels.map(level => level)
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('ask' as const),
        level: fc.constantFrom(...names),
        flow: fc.constantFrom('a', 'b'),
      }),
      fc.record({ kind: fc.constant('leave' as const), at: fc.nat(1_000) }),
      fc.record({ kind: fc.constant('cancel' as const), at: fc.nat(1_000) }),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(step, fc.integer({ min: 1, max: 60 })), { maxLength: 60 }), steps => {
        const seats = new Seats()
        seats.configure(small)
        const inside: string[] = []
        const outside: { level: string; flow: string; called: () => void }[] = []
        for (const [{ kind, ...rest }, times] of steps) {
          for (let n = 0; n < times; n++) {
            if (kind === 'ask') {
              const { level, flow } = rest as { level: string; flow: string }
              const waiter = {
                level,
                flow,
                called: () => {
                  outside.splice(outside.indexOf(waiter), 1)
                  inside.push(level)
                },
              }
              const answer = seats.ask(level, flow, waiter.called)
              if (answer === 'seated') inside.push(level)
              if (answer === 'waiting') outside.push(waiter)
            } else if (kind === 'leave' && inside.length > 0) {
              const [level] = inside.splice((rest as { at: number }).at % inside.length, 1)
              seats.leave(level ?? '')
            } else if (kind === 'cancel' && outside.length > 0) {
              const [waiter] = outside.splice((rest as { at: number }).at % outside.length, 1)
              if (waiter) expect(seats.cancel(waiter.level, waiter.flow, waiter.called)).toBe(true)
            }
          }
        }
        for (const name of names) {
          const state = seats.state(name)
          expect(state?.seated).toBe(inside.filter(level => level === name).length)
          expect(state?.waiting).toBe(outside.filter(({ level }) => level === name).length)
          if ((state?.waiting ?? 0) > 0) expect(state?.seated).toBeGreaterThanOrEqual(state?.nominal ?? 0)
        }
      }),
      { numRuns: 60 },
    )
  })
})
