// Asks the plugins and hooks about a change, one after the other: reads for them what they must see, and gathers what they
// want to have written along with it.
import { type Kind, type KubeObject, resourceOf } from '../../api/kind.ts'
import { type Compare, type KeyValue, type Operation, prefixEnd, type Store } from '../../kv/store.ts'
import { assert } from '../../lib/assert.ts'
import type { Breathe } from '../run-breather.ts'
import { keyOf, objectOf, prefixOf } from '../stored.ts'
import type { Change, Hook, Plugin, Read, Reading, Step, Verdict } from './admission.ts'

export interface Admission {
  /** For one attempt at a request: what a plugin has read, the others are shown as well. */
  begin(breathe?: Breathe): Asking
}

export interface Asking {
  /** The object to go on with. Throws the ApiError of whoever refuses. */
  mutate(change: Change, signal: AbortSignal): Promise<KubeObject>
  /** What is to be written along with it. */
  validate(change: Change, signal: AbortSignal): Promise<Required<Omit<Verdict, 'warnings'>>>
}

export function openAdmission(store: Store, steps: readonly Step[]): Admission {
  return {
    begin(breathe = () => undefined) {
      const round: Round = { store, steps, breathe, found: new Map() }
      return {
        mutate: (change, signal) => mutated(round, change, signal),
        validate: (change, signal) => judged(round, change, signal),
      }
    },
  }
}

type Round = {
  readonly store: Store
  readonly steps: readonly Step[]
  readonly breathe: Breathe
  /** What has been read for one attempt, by nameOf. */
  readonly found: Map<string, readonly KeyValue[]>
}

async function mutated(round: Round, change: Change, signal: AbortSignal) {
  assert(change.object !== undefined, 'there is an object to change')
  let { object } = change
  let now = change
  const left = new Map<Hook, unknown>()
  let again = true
  // A second time when a hook has changed what the others had seen; never a third.
  for (let turn = 0; again && turn < 2; turn++) {
    again = false
    for (const step of round.steps) {
      const breath = round.breathe()
      if (breath !== undefined) await breath
      if (now.object !== object) now = { ...change, object }
      if ('plugin' in step) {
        const { plugin } = step
        if (plugin.mutate === undefined || !plugin.handles(now)) continue
        const seen = read(round, plugin, now)
        object = plugin.mutate(now, seen instanceof Promise ? await seen : seen)
      } else {
        const { hook } = step
        if (hook.mutate === undefined || !hook.handles(now)) continue
        const result = await hook.mutate(now, signal, left.get(hook))
        object = result.object
        left.set(hook, result.left)
        if (result.again === true) again = true
      }
    }
  }
  return object
}

async function judged(round: Round, change: Change, signal: AbortSignal) {
  const compare: Compare[] = []
  const operations: Operation[] = []
  for (const step of round.steps) {
    const breath = round.breathe()
    if (breath !== undefined) await breath
    const member = 'plugin' in step ? step.plugin : step.hook
    if (member.validate === undefined || !member.handles(change)) continue
    let verdict: Verdict | undefined
    if ('hook' in step) verdict = await step.hook.validate?.(change, signal)
    else {
      const seen = read(round, step.plugin, change)
      verdict = step.plugin.validate?.(change, seen instanceof Promise ? await seen : seen)
    }
    for (const text of verdict?.warnings ?? []) change.notes.warn(text)
    compare.push(...(verdict?.compare ?? []))
    operations.push(...(verdict?.operations ?? []))
  }
  return { compare, operations }
}

function read({ store, found }: Round, plugin: Plugin, change: Change): Reading | Promise<Reading> {
  const reads = plugin.reads?.(change) ?? []
  const missing = reads.filter(wanted => !found.has(nameOf(wanted)))
  const reading = readingOf(plugin, reads, found)
  if (missing.length === 0) return reading
  return Promise.all(missing.map(async wanted => found.set(nameOf(wanted), await itemsOf(store, wanted)))).then(
    () => reading,
  )
}

function readingOf(plugin: Plugin, reads: readonly Read[], found: Round['found']): Reading {
  const under = (wanted: Read): readonly KeyValue[] => {
    const name = nameOf(wanted)
    const items = reads.some(one => nameOf(one) === name) ? found.get(name) : undefined
    assert(items !== undefined, `${plugin.name} looks at what it did not name: ${name}`)
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
