import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admit } from '../../../src/api/admit.ts'
import type { ApiError } from '../../../src/api/error.ts'
import type { KubeObject } from '../../../src/api/kind.ts'
import { configMap } from '../../../src/api/kinds/configmap.ts'
import { applyPatch, trackUpdate } from '../../../src/api/patch/apply.ts'
import { decodeSet, difference, encodeSet, intersection, union } from '../../../src/api/patch/fieldset.ts'
import { fieldSetOf } from '../../../src/api/patch/typed.ts'
import type { Json } from '../../../src/api/schema.ts'
import { goldens } from '../golden.ts'
import { kindNamed, nowMs, parsed, stamp } from '../make.ts'

type Step = {
  readonly apply?: object
  readonly create?: object
  readonly update?: object
  readonly by: string
  readonly force?: boolean
  readonly subresource?: string
}

// Each case is a story of writes to one object, a minute apart; the output is the object at the end.
goldens('apply', input => {
  const kind = kindNamed(String(input['kind']))
  let live: KubeObject | undefined
  for (const [i, step] of (input['steps'] as readonly Step[]).entries()) {
    const at = { ...stamp, nowMs: nowMs + i * 60_000 }
    const place = {
      name: 'x',
      ...(kind.scope === 'Namespaced' && { namespace: 'default' }),
      ...(step.subresource !== undefined && { subresource: step.subresource }),
    }
    const verb = live ? 'update' : 'create'
    const given: { readonly metadata?: object } = step.apply ?? step.create ?? step.update ?? {}
    const sent = parsed(kind, { ...given, metadata: { ...given.metadata, name: 'x' } })
    if (step.apply) {
      const options = { manager: step.by, force: step.force ?? false, nowMs: at.nowMs }
      const next = applyPatch(kind, live, sent, { ...options, ...place })
      live = admit(kind, verb, { old: live, incoming: next, stamp: at, ...place })
    } else {
      live = admit(kind, verb, { old: live, incoming: sent, stamp: at, fieldManager: step.by, ...place })
    }
  }
  return live
})

type Data = Readonly<Record<string, string>>
const config = (data: Data) => parsed(configMap, { metadata: { name: 'x', namespace: 'default' }, data })
const data = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2'))
const by = (manager: string, force = true) => ({ manager, force, nowMs })

describe('of a map that managers apply to', () => {
  test('each gets what it applied last, when it forces', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('ann', 'ben'), data), { minLength: 1, maxLength: 6 }), steps => {
        // The twin: for each manager what it owns; the newest value of a key wins, and takes the key from who differs.
        const owns = new Map<string, Set<string>>([
          ['ann', new Set()],
          ['ben', new Set()],
        ])
        const values = new Map<string, string>()
        let live: ReturnType<typeof config> | undefined
        for (const [manager, applied] of steps) {
          const [mine, theirs] = [owns.get(manager), owns.get(manager === 'ann' ? 'ben' : 'ann')]
          for (const key of mine ?? []) if (!Object.hasOwn(applied, key) && !theirs?.has(key)) values.delete(key)
          for (const [key, value] of Object.entries(applied)) {
            if (values.get(key) !== value) theirs?.delete(key)
            values.set(key, value)
          }
          owns.set(manager, new Set(Object.keys(applied)))
          live = applyPatch(configMap, live, config(applied), by(manager))
          expect(live.data ?? {}).toEqual(Object.fromEntries(values))
        }
      }),
    )
  })

  test('applying the same again changes nothing, not even the time', () => {
    fc.assert(
      fc.property(data, data, (first, second) => {
        const live = applyPatch(
          configMap,
          applyPatch(configMap, undefined, config(first), by('ann')),
          config(second),
          by('ben'),
        )
        expect(applyPatch(configMap, live, config(second), { ...by('ben'), nowMs: nowMs + 60_000 })).toEqual(live)
      }),
    )
  })

  test('without force exactly the keys that another owns with another value are conflicts', () => {
    fc.assert(
      fc.property(data, data, (first, second) => {
        const live = applyPatch(configMap, undefined, config(first), by('ann'))
        const clash = Object.keys(second).filter(key => Object.hasOwn(first, key) && first[key] !== second[key])
        let found: readonly string[] = []
        try {
          applyPatch(configMap, live, config(second), by('ben', false))
        } catch (error) {
          const { reason, details } = error as ApiError
          expect(reason).toBe('Conflict')
          found = (details?.causes ?? []).map(({ field }) => field ?? '')
        }
        expect(found.toSorted()).toEqual(clash.map(key => `.data.${key}`).toSorted())
      }),
    )
  })

  test('updates never conflict and take what they change', () => {
    fc.assert(
      fc.property(data, data, (first, second) => {
        // An object that nobody ever owned is not tracked.
        fc.pre(Object.keys(first).length > 0)
        const live = applyPatch(configMap, undefined, config(first), by('ann'))
        const next = { ...live, data: second }
        const { managedFields = [] } = trackUpdate(configMap, live, next, { manager: 'ben', nowMs }).metadata
        const ownedBy = (name: string) => {
          const fields = managedFields.find(({ manager }) => manager === name)?.fieldsV1 ?? {}
          return Object.keys((fields['f:data'] ?? {}) as object).filter(key => key !== '.')
        }
        const changed = Object.keys(second).filter(key => first[key] !== second[key])
        expect(ownedBy('ben').toSorted()).toEqual(changed.map(key => `f:${key}`).toSorted())
        const kept = Object.keys(first).filter(key => first[key] === second[key])
        expect(ownedBy('ann').toSorted()).toEqual(kept.map(key => `f:${key}`).toSorted())
      }),
    )
  })
})

describe('sets of fields', () => {
  const set = data.map(value =>
    fieldSetOf(configMap.schema.shape, { data: value, metadata: { labels: value } } as Json),
  )
  test('behave as sets', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const size = (one: typeof a) => JSON.stringify(encodeSet(one))
        expect(size(union(a, b))).toBe(size(union(b, a)))
        expect(size(union(difference(a, b), intersection(a, b)))).toBe(size(a))
        expect(size(intersection(difference(a, b), b))).toBe('{}')
      }),
    )
  })
  test('are the same after writing and reading them', () => {
    fc.assert(
      fc.property(set, one => {
        expect(encodeSet(decodeSet(encodeSet(one)))).toEqual(encodeSet(one))
      }),
    )
  })
  test('from outside may be anything', () => {
    fc.assert(fc.property(fc.jsonValue(), value => void encodeSet(decodeSet(value as Json))))
  })
})

test('one empty entry forgets all owners', () => {
  const live = applyPatch(configMap, undefined, config({ a: '1' }), by('ann'))
  const sent = { ...live, metadata: { ...live.metadata, managedFields: [{}] } }
  expect(trackUpdate(configMap, live, sent, { manager: 'ben', nowMs }).metadata.managedFields).toEqual([])
})

test('only ten updaters are remembered by name', () => {
  let live = trackUpdate(configMap, undefined, config({}), { manager: 'm', nowMs })
  for (let i = 0; i < 14; i++) {
    const next = { ...live, data: { ...live.data, [`k${i}`]: 'v' } }
    live = trackUpdate(configMap, i === 0 ? undefined : live, next, { manager: `m${i}`, nowMs: nowMs + i * 1_000 })
  }
  const names = (live.metadata.managedFields ?? []).map(({ manager }) => manager)
  expect(names).toHaveLength(10)
  expect(names).toContain('ancient-changes')
  expect(names).toContain('m13')
})
