// Drives the controllers on the leader: keeps one view per kind, plans the keys that changed, carries the plans out, and
// plans a key again only when the view shows what its last plan wrote. It decides nothing but when to try again.
import { ApiError } from '../api/error.ts'
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import { type CustomResourceDefinition, customResourceDefinition } from '../api/kinds/customresourcedefinition.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import { pod } from '../api/kinds/pod.ts'
import type { Indexes, View } from '../client/cache.ts'
import type { Client } from '../client/client.ts'
import { ownerIndexes, podIndexes } from '../client/objects.ts'
import { type Followed, follow } from '../client/run-follow.ts'
import { type Recorder, recorder } from '../client/run-record.ts'
import { onAbort } from '../lib/abort.ts'
import { backoffMs } from '../lib/backoff.ts'
import { keyedQueue } from '../lib/queue.ts'
import type { World } from '../world/world.ts'
import type { Change, Controller, Failure, Guard } from './controller.ts'
import type { Inputs } from './inputs.ts'
import { type CustomStored, customStored, sameStored } from './storedkinds.ts'

const retry = { firstMs: 50, mostMs: 60_000 }
/** An own write that the view does not show for so long is no longer waited for. */
export const settleTimeoutMs = 60_000
/** While a key fails, a change hastens its next try no more than this: what it wrote itself must not runControllers it in circles. */
const wakeWhileFailingMs = 5_000
const roundDelayMs = 100
const parallelDeletes = 16
const parallelCreatesMax = 32

type Part = Pick<World, 'clock' | 'random' | 'log'>
type Views = Readonly<Record<string, View<KubeObject>>>
type Wait = (signal: AbortSignal) => Promise<void>
type Shared = {
  readonly world: Part
  readonly client: Client
  readonly inputs: Inputs
  readonly followed: ReadonlyMap<string, Followed<KubeObject>>
}
type Running = Shared & { readonly events: Recorder }

/** Until the signal aborts; then returns when everything has stopped. Never throws for what one key does. */
export async function runControllers(
  world: Part,
  client: Client,
  inputs: Inputs,
  controllers: readonly Controller[],
  signal: AbortSignal,
): Promise<void> {
  const followed = new Map<string, Followed<KubeObject>>()
  const open = controllers.filter(({ withKinds }) => withKinds !== undefined)
  const kinds = controllers.flatMap(({ reads }) => Object.values(reads))
  for (const kind of open.length > 0 ? [...kinds, customResourceDefinition] : kinds) {
    const name = resourceOf(kind)
    if (followed.has(name)) continue
    followed.set(name, follow(world, client, kind, {}, indexesOf(kind), signal))
  }
  const shared: Shared = { world, client, inputs, followed }
  // Rejects only when the signal aborts before the first lists have come.
  const ready = await Promise.all([...followed.values()].map(({ synced }) => synced)).then(
    () => true,
    () => false,
  )
  if (ready) {
    const fixed = controllers.filter(controller => !open.includes(controller))
    await Promise.all([...fixed.map(one => runOne(shared, one, signal)), runOpen(shared, open, signal)])
  }
  await Promise.all([...followed.values()].map(({ done }) => done))
}

/** Those that look at all kinds begin again when somebody defines another: a plan is made of what there is. */
async function runOpen(shared: Shared, controllers: readonly Controller[], signal: AbortSignal): Promise<void> {
  const definitions = shared.followed.get(resourceOf(customResourceDefinition)) as
    | Followed<CustomResourceDefinition>
    | undefined
  if (controllers.length === 0 || definitions === undefined) return
  while (!signal.aborted) {
    const custom = customStored(definitions.view.list())
    const round = new AbortController()
    using _signal = onAbort(signal, () => round.abort())
    using _change = definitions.onChange(() => {
      if (sameStored(custom, customStored(definitions.view.list()))) return
      // Definitions come several at a time.
      void shared.world.clock.sleep(roundDelayMs, signal).then(() => round.abort())
    })
    await runRound(shared, controllers, custom, round.signal)
  }
}

async function runRound(
  shared: Shared,
  controllers: readonly Controller[],
  custom: readonly CustomStored[],
  signal: AbortSignal,
): Promise<void> {
  const { world, client } = shared
  const own = custom.map(({ kind }): [string, Followed<KubeObject>] => [
    resourceOf(kind),
    follow(world, client, kind, {}, indexesOf(kind), signal),
  ])
  const all = { ...shared, followed: new Map([...shared.followed, ...own]) }
  const ready = await Promise.all(own.map(([, { synced }]) => synced)).then(
    () => true,
    () => false,
  )
  if (ready) await Promise.all(controllers.map(one => runOne(all, one.withKinds?.(custom) ?? one, signal)))
  await Promise.all(own.map(([, { done }]) => done))
}

function indexesOf(kind: Kind): Indexes<KubeObject> {
  return resourceOf(kind) === resourceOf(pod) ? (podIndexes as Indexes<KubeObject>) : ownerIndexes
}

async function runOne(shared: Shared, controller: Controller, signal: AbortSignal): Promise<void> {
  const { world, client, inputs, followed } = shared
  const events = recorder(world, client, controller.component, signal)
  const running: Running = { ...shared, events }
  const log = world.log.with({ controller: controller.name })
  const queue = keyedQueue()
  const failures = new Map<string, { readonly count: number; readonly failure: Failure; readonly retryMs: number }>()
  const working = new Set<Promise<void>>()
  let planning = 0
  let alarm = new AbortController()
  const nowMs = () => world.clock.monotonicMs()
  const reads = Object.entries(controller.reads).map(([name, kind]) => {
    const source = followed.get(resourceOf(kind))
    if (source === undefined) throw new Error(`${kind.plural} are not followed`)
    return { name, source }
  })
  const views: Views = Object.fromEntries(reads.map(({ name, source }) => [name, source.view]))

  function add(keys: readonly string[], delayMs = 0): void {
    for (const key of keys) {
      const retryMs = failures.get(key)?.retryMs ?? 0
      queue.add(key, Math.max(nowMs() + delayMs, Math.min(retryMs, nowMs() + wakeWhileFailingMs)))
    }
    if (keys.length > 0) alarm.abort()
  }

  function wake(name: string, object: KubeObject | undefined): void {
    if (object === undefined) return
    try {
      add(controller.wakes(name, object, views), controller.delayMs)
    } catch (error) {
      log.error('could not tell which keys a change concerns', { kind: object.kind, error: String(error) })
    }
  }

  async function work(key: string): Promise<void> {
    const waits: Wait[] = []
    try {
      const wallMs = world.clock.nowMs()
      const plan = controller.plan(key, views, {
        nowMs: wallMs,
        monotonicMs: nowMs(),
        inputs,
        failure: failures.get(key)?.failure,
      })
      await carryOut(running, plan.changes, waits, signal)
      failures.delete(key)
      if (plan.againAtMs !== undefined) queue.add(key, nowMs() + Math.max(0, plan.againAtMs - wallMs))
    } catch (error) {
      if (isTerminating(error)) failures.delete(key)
      else if (!signal.aborted) {
        const count = (failures.get(key)?.count ?? 0) + 1
        const waitMs = backoffMs(count, retry, world.random.float())
        failures.set(key, { count, failure: failureOf(error), retryMs: nowMs() + waitMs })
        // A conflict means that the view was behind: no news. The first time may be chance; a power of two is a trend.
        const quiet = failureOf(error).reason === 'Conflict' && count < 8
        if (!quiet && (count & (count - 1)) === 0)
          log.warn('a plan failed', { key, count, waitMs, error: String(error) })
        queue.add(key, nowMs() + waitMs)
      }
    }
    planning -= 1
    alarm.abort()
    // The key stays taken until the view shows what was written for it (design, idea 5).
    using deadline = world.clock.deadline(settleTimeoutMs, signal)
    await Promise.all(waits.map(wait => wait(deadline.signal)))
    queue.done(key)
    alarm.abort()
  }

  const listeners = reads.map(({ name, source }) =>
    source.onChange(changes => {
      for (const { before, after } of changes) {
        wake(name, before)
        wake(name, after)
      }
    }),
  )
  add(controller.first)
  for (const { name, source } of reads) for (const object of source.view.list()) wake(name, object)
  const listening = controller.listens
    ? listen(inputs, () => add([...controller.first, ...(views['itself']?.list().map(nameOf) ?? [])]), signal)
    : Promise.resolve()

  while (!signal.aborted) {
    alarm = new AbortController()
    while (planning < controller.parallel) {
      const key = queue.take(nowMs())
      if (key === undefined) break
      planning += 1
      const task = work(key)
      working.add(task)
      void task.finally(() => working.delete(task))
    }
    const nextAtMs = planning < controller.parallel ? queue.nextAtMs() : undefined
    await sleep(world, nextAtMs === undefined ? 3_600_000 : nextAtMs - nowMs(), alarm.signal, signal)
  }
  for (const listener of listeners) listener[Symbol.dispose]()
  await Promise.all(working)
  await listening
  await events.idle()
}

function nameOf({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`
}

async function sleep(world: Part, ms: number, alarm: AbortSignal, signal: AbortSignal): Promise<void> {
  if (alarm.aborted || ms <= 0) {
    // A turn of the event loop passes even so, or plans that wake one another would keep everything else from running.
    await world.clock.sleep(0, signal)
    return
  }
  const either = new AbortController()
  using _a = onAbort(alarm, () => either.abort())
  using _b = onAbort(signal, () => either.abort())
  await world.clock.sleep(ms, either.signal)
}

async function listen({ gossip }: Inputs, changed: () => void, signal: AbortSignal): Promise<void> {
  if (gossip === undefined) return
  for await (const _ of gossip.follow(signal)) changed()
}

function isReason(error: unknown, reason: ApiError['reason']): boolean {
  return error instanceof ApiError && error.reason === reason
}

/** Nothing can be made in a namespace that is going: there is nothing to try again. */
function isTerminating(error: unknown): boolean {
  const cause = error instanceof ChangeError ? error.cause : error
  return (
    cause instanceof ApiError && cause.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') === true
  )
}

/** Which change of a plan was refused; `run` keeps it for the next plan of the key. */
class ChangeError extends Error {
  override readonly name = 'ChangeError'
  readonly change: Change['kind']
  constructor(change: Change['kind'], cause: unknown) {
    super(String(cause instanceof Error ? cause.message : cause), { cause })
    this.change = change
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof ChangeError)) return { change: 'update', reason: 'Error', message: String(error) }
  const reason = error.cause instanceof ApiError ? error.cause.reason : 'Error'
  return { change: error.change, reason, message: error.message }
}

/** In order; neighbours that are creates, or deletes, of one kind go together. Creates start slowly: 1, 2, 4, … at once. */
async function carryOut(
  running: Running,
  changes: readonly Change[],
  waits: Wait[],
  signal: AbortSignal,
): Promise<void> {
  let at = 0
  let slow = 1
  for (;;) {
    const first = changes[at]
    if (first === undefined || signal.aborted) return
    const together = first.kind === 'create' ? slow : first.kind === 'delete' ? parallelDeletes : 1
    slow = first.kind === 'create' ? Math.min(slow * 2, parallelCreatesMax) : 1
    const batch: Change[] = []
    for (const change of changes.slice(at, at + together)) {
      if (change.kind !== first.kind) break
      batch.push(change)
    }
    at += batch.length
    const outcomes = await Promise.allSettled(batch.map(change => carryOutOne(running, change, waits, signal)))
    const failed = outcomes.findIndex(({ status }) => status === 'rejected')
    const outcome = outcomes[failed]
    if (outcome?.status === 'rejected') {
      const refused = batch[failed]
      if (refused !== undefined && !isTerminating(outcome.reason)) tellFailure(running, refused, outcome.reason)
      throw new ChangeError(refused?.kind ?? first.kind, outcome.reason)
    }
  }
}

function tellFailure({ events }: Running, change: Change, error: unknown): void {
  if ((change.kind !== 'create' && change.kind !== 'delete') || change.about === undefined) return
  const verb = change.kind === 'create' ? 'creating' : 'deleting'
  const reason = change.kind === 'create' ? 'FailedCreate' : 'FailedDelete'
  const message = `Error ${verb}: ${error instanceof Error ? error.message : String(error)}`
  events.tell({ about: change.about, type: 'Warning', reason, message })
}

async function carryOutOne(running: Running, change: Change, waits: Wait[], signal: AbortSignal): Promise<void> {
  const { client, events, followed, inputs } = running
  const source = 'of' in change ? followed.get(resourceOf(change.of)) : undefined
  const shown = (written: KubeObject) => {
    if (source !== undefined) waits.push(until => source.reached(Number(written.metadata.resourceVersion), until))
  }
  switch (change.kind) {
    case 'create': {
      const made = await client.create(change.of, change.object, signal)
      shown(made)
      if (change.about !== undefined) {
        const message = `Created ${change.of.singular}: ${made.metadata.name}`
        events.tell({ about: change.about, type: 'Normal', reason: 'SuccessfulCreate', message })
      }
      return
    }
    case 'update':
    case 'updateStatus':
      return await unlessGone(async () => {
        const write = change.kind === 'update' ? client.update : client.updateStatus
        shown(await write.call(client, change.of, change.object, signal))
      })
    case 'patch':
      return await unlessGone(async () => {
        await hold(client, change.guards, signal)
        const { type, body, subresource } = change
        const how = { type, body, ...(subresource !== undefined && { subresource }) }
        shown(await client.patch(change.of, change.key, how, signal))
      })
    case 'delete': {
      await hold(client, change.guards, signal)
      await unlessGone(async () => await client.delete(change.of, change.key, change.options, signal))
      if (source !== undefined) waits.push(until => deleted(source, change, until))
      if (change.about !== undefined) {
        const message = `Deleted ${change.of.singular}: ${change.key.name}`
        events.tell({ about: change.about, type: 'Normal', reason: 'SuccessfulDelete', message })
      }
      return
    }
    case 'event':
      events.tell(change)
      return
    case 'membership':
      if (change.unlessAdmitted !== undefined) {
        const { items } = await client.list(nodeKind, {}, signal)
        if (items.some(one => inputs.peerOf(one) === change.unlessAdmitted)) {
          throw new ApiError('Conflict', `a Node stands for ${change.unlessAdmitted}`)
        }
      }
      await inputs.store?.changeMembership(change.change, signal)
      return
  }
}

/** Throws when what the plan took for granted is not so. A conflict: the view was behind, and the key is planned again. */
async function hold(client: Client, guards: readonly Guard[] = [], signal: AbortSignal): Promise<void> {
  for (const guard of guards) {
    if (guard.kind === 'absent') {
      const found = await client.get(guard.of, guard.key, signal).catch((error: unknown) => {
        if (isReason(error, 'NotFound')) return undefined
        throw error
      })
      if (found !== undefined && (guard.uid === undefined || found.metadata.uid === guard.uid)) {
        throw new ApiError('Conflict', `${resourceOf(guard.of)} "${guard.key.name}" is still there`)
      }
      continue
    }
    for (const kind of guard.of) {
      const { items } = await client.list(kind, { namespace: guard.namespace }, signal)
      if (items.length > 0) throw new ApiError('Conflict', `there are ${kind.plural} left in ${guard.namespace}`)
    }
  }
}

/** What is gone needs no change any more: the view will say so, and the key is planned again. */
async function unlessGone(write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error
  }
}

/** A delete answers without a revision: wait until the view shows the object gone, or on its way out. */
async function deleted(
  source: Followed<KubeObject>,
  { key, options }: Extract<Change, { kind: 'delete' }>,
  until: AbortSignal,
): Promise<void> {
  const isDone = () => {
    const { metadata } = source.view.get(key.namespace, key.name) ?? {}
    const replaced = options.uid !== undefined && metadata?.uid !== options.uid
    return metadata === undefined || replaced || metadata.deletionTimestamp !== undefined
  }
  if (isDone()) return
  const { promise, resolve } = Promise.withResolvers<void>()
  using _change = source.onChange(() => {
    if (isDone()) resolve()
  })
  using _abort = onAbort(until, resolve)
  await promise
}
