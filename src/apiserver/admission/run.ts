// Asks the plugins and hooks about a change, one after the other: reads for them what they must see, and gathers what they
// want to have written along with it.
import { type Kind, type KubeObject, resourceOf } from '../../api/kind.ts'
import { type KeyValue, prefixEnd, type Store } from '../../kv/store.ts'
import { assert } from '../../lib/assert.ts'
import { keyOf, objectOf, prefixOf } from '../stored.ts'
import type { Change, Hook, Mutated, Plugin, Read, Reading, Step, Verdict } from './admission.ts'

export interface Admission {
  /** The object to go on with. Throws the ApiError of whoever refuses. */
  mutate(change: Change, signal: AbortSignal): Promise<Pick<Mutated, 'object' | 'warnings'>>
  validate(change: Change, signal: AbortSignal): Promise<Required<Verdict>>
}

export function openAdmission(store: Store, steps: readonly Step[]): Admission {
  return {
    async mutate(change, signal) {
      assert(change.object !== undefined, 'there is an object to change')
      let { object } = change
      const warnings: string[] = []
      const left = new Map<Hook, unknown>()
      let again = true
      // A second time when a hook has changed what the others had seen; never a third.
      for (let round = 0; again && round < 2; round++) {
        again = false
        for (const step of steps) {
          const now = { ...change, object }
          if ('plugin' in step) {
            const { plugin } = step
            if (plugin.mutate === undefined || !plugin.handles(now)) continue
            object = plugin.mutate(now, await read(store, plugin, now))
          } else {
            const { hook } = step
            if (hook.mutate === undefined || !hook.handles(now)) continue
            const mutated = await hook.mutate(now, signal, left.get(hook))
            object = mutated.object
            warnings.push(...mutated.warnings)
            left.set(hook, mutated.left)
            if (mutated.again === true) again = true
          }
        }
      }
      return { object, warnings }
    },

    async validate(change, signal) {
      const verdicts: Verdict[] = []
      for (const step of steps) {
        const member = 'plugin' in step ? step.plugin : step.hook
        if (member.validate === undefined || !member.handles(change)) continue
        const verdict =
          'plugin' in step
            ? step.plugin.validate?.(change, await read(store, step.plugin, change))
            : await step.hook.validate?.(change, signal)
        if (verdict !== undefined) verdicts.push(verdict)
      }
      return {
        warnings: verdicts.flatMap(({ warnings }) => warnings ?? []),
        compare: verdicts.flatMap(({ compare }) => compare ?? []),
        operations: verdicts.flatMap(({ operations }) => operations ?? []),
      }
    },
  }
}

async function read(store: Store, plugin: Plugin, change: Change): Promise<Reading> {
  const reads = plugin.reads?.(change) ?? []
  const found = new Map<string, readonly KeyValue[]>()
  await Promise.all(reads.map(async wanted => found.set(nameOf(wanted), await itemsOf(store, wanted))))
  const under = (wanted: Read): readonly KeyValue[] => {
    const items = found.get(nameOf(wanted))
    assert(items !== undefined, `${plugin.name} looks at what it did not name: ${nameOf(wanted)}`)
    return items
  }
  const stored = (kind: Kind, namespace: string | undefined, name: string) =>
    under({ kind, ...(namespace !== undefined && { namespace }), name })[0]
  return {
    stored,
    one: <T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string) => {
      const item = stored(kind, namespace, name)
      return item && objectOf<T>(item)
    },
    all: <T extends KubeObject>(kind: Kind<T>, namespace?: string) =>
      under({ kind, ...(namespace !== undefined && { namespace }) }).map(item => objectOf<T>(item)),
  }
}

function nameOf({ kind, namespace, name }: Read): string {
  return `${resourceOf(kind)} ${namespace ?? ''}${name === undefined ? '' : `/${name}`}`
}

async function itemsOf(store: Store, { kind, namespace, name }: Read): Promise<readonly KeyValue[]> {
  if (name !== undefined) {
    const item = await store.get(keyOf(kind, namespace, name))
    return item === undefined ? [] : [item]
  }
  const prefix = prefixOf(kind, namespace)
  return (await store.range({ from: prefix, to: prefixEnd(prefix) })).items
}
