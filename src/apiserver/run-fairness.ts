// Lets requests in by their priority level and flow, as FlowSchemas and PriorityLevelConfigurations say (flowcontrol/).
// Each peer has seats of its own. Until the cluster has such objects, the defaults count.
import { ApiError } from '../api/error.ts'
import type { KubeObject } from '../api/kind.ts'
import { flowSchema } from '../api/kinds/flowschema.ts'
import { type PriorityLevelConfiguration, priorityLevelConfiguration } from '../api/kinds/prioritylevelconfiguration.ts'
import type { Store } from '../kv/store.ts'
import { onAbort, type Until } from '../lib/abort.ts'
import type { Identity } from '../world/http.ts'
import type { World } from '../world/world.ts'
import { classify, type Flow, inOrder } from './flowcontrol/classify.ts'
import { defaultLevels, defaultSchemas } from './flowcontrol/defaults.ts'
import { Seats } from './flowcontrol/seats.ts'
import type { Attributes } from './rbac.ts'
import { followTable } from './run-table.ts'
import { keyOf } from './stored.ts'

export type Seat = Disposable & {
  /** Which schema and level it was, for the answer. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Fairness {
  /** A seat, to be given back. Waits for its turn; throws TooManyRequests (429) when it does not come. */
  enter(who: Identity, asked: Attributes, until: Until): Seat | Promise<Seat>
  readonly done: Promise<void>
}

/** As upstream: a quarter of a request's time. */
const waitMsMax = 15_000

type Schema = Parameters<typeof classify>[0][number]
type Level = { readonly metadata: { readonly name: string }; readonly spec: PriorityLevelConfiguration['spec'] }

/** The two that are always there, whatever people have made of them. */
const mandatory = ['exempt', 'catch-all']

export function openFairness(world: Pick<World, 'clock' | 'log'>, store: Store, signal: AbortSignal): Fairness {
  const seats = new Seats()
  let schemas: readonly Schema[] | undefined
  const headers = new Map<string, Seat['headers']>()
  const changed = () => {
    schemas = undefined
    headers.clear()
  }
  const schemaTable = followTable(world, store, flowSchema, changed, signal)
  const levelTable = followTable(world, store, priorityLevelConfiguration, changed, signal)

  function configured(): readonly Schema[] {
    if (schemas !== undefined) return schemas
    const levels = withDefaults<Level>(levelTable.objects.values(), defaultLevels as unknown as readonly Level[])
    seats.configure(levels.map(({ metadata, spec }) => ({ name: metadata.name, spec })))
    const names = new Set(levels.map(({ metadata }) => metadata.name))
    const all = withDefaults<Schema>(schemaTable.objects.values(), defaultSchemas as unknown as readonly Schema[])
    // One that names a level that is not there counts for nothing.
    schemas = inOrder(all.filter(({ spec }) => names.has(spec.priorityLevelConfiguration.name)))
    return schemas
  }

  function headersOf(schema: string, level: string): Seat['headers'] {
    const key = `${schema}/${level}`
    const known = headers.get(key)
    if (known !== undefined) return known
    const made = {
      ...uidHeader('flowschema', schemaTable.objects.get(keyOf(flowSchema, undefined, schema))),
      ...uidHeader('prioritylevel', levelTable.objects.get(keyOf(priorityLevelConfiguration, undefined, level))),
    }
    headers.set(key, made)
    return made
  }

  function seatOf({ schema, level }: Flow): Seat {
    let left = false
    return {
      headers: headersOf(schema, level),
      [Symbol.dispose]() {
        if (left) return
        left = true
        seats.leave(level)
      },
    }
  }

  return {
    enter(who, asked, until) {
      const flow = classify(configured(), who, asked)
      const { level, key } = flow
      // Few wait, and only who does needs to be called.
      let call = () => {}
      const called = () => call()
      const answer = seats.ask(level, key, called)
      if (answer === 'refused') throw tooMany()
      if (answer !== 'waiting') return seatOf(flow)
      const { promise, resolve } = Promise.withResolvers<void>()
      call = resolve
      return (async () => {
        using deadline = world.clock.deadline(waitMsMax, until.signal)
        using _ = onAbort(deadline.signal, resolve)
        await promise
        if (seats.cancel(level, key, called)) throw tooMany()
        return seatOf(flow)
      })()
    },
    done: Promise.all([schemaTable.done, levelTable.done]).then(() => undefined),
  }
}

function uidHeader(what: string, object: KubeObject | undefined): Readonly<Record<string, string>> {
  return object === undefined ? {} : { [`x-kubernetes-pf-${what}-uid`]: object.metadata.uid }
}

function withDefaults<T extends { readonly metadata: { readonly name: string } }>(
  found: Iterable<T>,
  defaults: readonly T[],
): readonly T[] {
  const all = [...found]
  if (all.length === 0) return defaults
  const names = new Set(all.map(({ metadata }) => metadata.name))
  return [...all, ...defaults.filter(({ metadata: { name } }) => mandatory.includes(name) && !names.has(name))]
}

function tooMany(): ApiError {
  return new ApiError('TooManyRequests', 'too many requests, please try again later', { retryAfterSeconds: 1 })
}
