// Carries out an operation on the leader: reads what it touches, lets write.ts plan, writes, and plans again when somebody
// else was quicker. A refusal is given only on a state that a majority has confirmed, so that a leader that was deposed
// a moment ago does not say "not found".
import { type Stamp, suffixAlphabet, suffixLength } from '../api/admit.ts'
import { ApiError, alreadyExists, conflict, OutsideRefusal } from '../api/error.ts'
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import { namespace as namespaceKind } from '../api/kinds/namespace.ts'
import { podDisruptionBudget } from '../api/kinds/poddisruptionbudget.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import { compileSelector } from '../api/select.ts'
import { type KeyValue, prefixEnd, type Store, StoreError } from '../kv/store.ts'
import { unpackText } from '../lib/packed.ts'
import type { World } from '../world/world.ts'
import { TooOften, Unanswered } from './admission/admission.ts'
import type { Admission, Asking } from './admission/run.ts'
import type { Catalog } from './catalog.ts'
import { checkCustom } from './custom.ts'
import { deletedAnswer } from './delete.ts'
import type { Notes } from './notes.ts'
import type { Answer, Operation } from './operation.ts'
import { breather } from './run-breather.ts'
import { readAs, readOneAs, writeAs } from './run-convert.ts'
import { openTurns, type Turns } from './run-turns.ts'
import { ipPrefix, portPrefix, type ServiceConfig, type Taken } from './services.ts'
import { keyOf, objectOf, prefixOf } from './stored.ts'
import { planSubresource } from './subresource.ts'
import { asJson, makes, type Plan, planWrite, type Rules, type Seen, success } from './write.ts'

export type WriteContext = {
  readonly world: Pick<World, 'clock' | 'random'>
  readonly store: Store
  readonly services: ServiceConfig
  readonly catalog: Catalog
  readonly admission: Admission
  readonly notes: Notes
}

const attemptCountMax = 32
/** How many deletes of one deletecollection are under way at once: they share disk syncs. */
const deleteBatchCount = 32

export async function execute(context: WriteContext, op: Operation, signal: AbortSignal): Promise<Answer> {
  const kind = await context.catalog.find(op, { signal })
  checkCustom(kind, op)
  if (!kind.stored) throw new ApiError('MethodNotAllowed', `${resourceOf(kind)} are not kept`)
  if (op.verb === 'deletecollection') return deleteCollection(context, kind, op, signal)
  return one(context, kind, op, signal)
}

async function one(context: WriteContext, kind: Kind, op: Operation, signal: AbortSignal): Promise<Answer> {
  const { again, id } = op
  if (again !== true || id === undefined) return attempt(context, kind, op, signal)
  const done = () => doneBefore(context.store, kind, op, id, signal)
  const before = await done()
  if (before !== undefined) return before
  // The leader may be the same, and still at it: then the two meet in the store, and one of them has done it.
  try {
    const answer = await attempt(context, kind, op, signal)
    return (await done()) ?? answer
  } catch (error) {
    const meanwhile = error instanceof ApiError ? await done() : undefined
    if (meanwhile !== undefined) return meanwhile
    throw error
  }
}

const turns = new WeakMap<Store, Turns>()

/** What a plan changes besides its own object, and others may be changing too. */
function alongside({ key: own, compare, operations }: Extract<Plan, { kind: 'write' }>): readonly string[] {
  const written = new Set(operations.map(({ key }) => key))
  return compare.map(({ key }) => key).filter(key => key !== own && written.has(key))
}

async function attempt(context: WriteContext, kind: Kind, op: Operation, signal: AbortSignal): Promise<Answer> {
  const { store } = context
  const queue = turns.get(store) ?? openTurns()
  turns.set(store, queue)
  using turn = new DisposableStack()
  let waited = false
  const wait = async (keys: readonly string[]) => {
    waited = true
    turn.use(await queue.take(keys, signal))
  }
  const stamp = stampOf(context)
  const id = op.id ?? stamp.uid
  let sure = false
  for (let attempt = 0; attempt < attemptCountMax; attempt++) {
    const lookedAt = store.revision()
    const seen = await look(context, kind, op)
    const again = async () => {
      if (sure) return false
      sure = true
      await confirm(store, signal)
      return store.revision() > lookedAt
    }
    let plan: Plan
    try {
      const rules = rulesOf(context, attempt === 0 ? stamp : { ...stampOf(context), uid: stamp.uid })
      plan = await planned(context, kind, op, seen, rules, signal)
    } catch (error) {
      const isFinal = !(error instanceof ApiError) || error instanceof TooOften
      if (isFinal || !(await again()) || (isOfWebhook(error) && (await isAsSeen(context, kind, op, seen)))) throw error
      continue
    }
    if (plan.kind === 'answer') {
      if (await again()) continue
      return { code: plan.code, object: plan.object, revision: store.revision(), warnings: plan.warnings }
    }
    if (op.dryRun) return dryRun(context, kind, op, plan)
    const shared = alongside(plan)
    if (!waited && queue.isAwaited(shared)) {
      await wait(shared)
      continue
    }
    const result = await store.write(
      {
        compare: plan.compare,
        operations: await writeAs(kind, plan.key, plan.operations),
        // So that the store may send it again when leadership changes in between.
        id,
        ...(op.term !== undefined && { term: op.term }),
      },
      signal,
    )
    switch (result.kind) {
      case 'done': {
        const { code, warnings } = plan
        return { code, ...plan.answer(result.revision), revision: result.revision, warnings }
      }
      case 'fenced':
        throw new ApiError('ServiceUnavailable', `term ${op.term ?? 0} is over, the cluster is in term ${result.term}`)
      case 'conflict': {
        const exists = result.current.some(({ key }) => key === plan.key)
        if (op.verb === 'create' && op.subresource === undefined && exists && !isGenerated(op)) {
          throw alreadyExists(kind, nameIn(plan.key))
        }
        if (!waited && result.current.some(({ key }) => shared.includes(key))) await wait(shared)
      }
    }
  }
  throw conflict(kind, op.name ?? '', 'it is changed by others too often; please try again')
}

/** What webhooks say is of the object, and of nothing else that may be newer: they are not asked about it twice. */
const isOfWebhook = (error: ApiError): boolean => error instanceof OutsideRefusal || error instanceof Unanswered

async function isAsSeen(context: WriteContext, kind: Kind, op: Operation, seen: Seen): Promise<boolean> {
  return (await look(context, kind, op)).current?.modRevision === seen.current?.modRevision
}

/** The plan, with what admission wants to have written along with it. */
async function planned(
  { admission, world }: WriteContext,
  kind: Kind,
  op: Operation,
  seen: Seen,
  rules: Rules,
  signal: AbortSignal,
): Promise<Plan> {
  const course =
    op.subresource === undefined ? planWrite(kind, op, seen, rules) : planSubresource(kind, op, seen, rules)
  const breathe = breather(world.clock)
  const asking = admission.begin(breathe)
  const verdicts: Awaited<ReturnType<Asking['validate']>>[] = []
  let step = course.next()
  while (!step.done) {
    const ask = step.value
    if (ask.stage === 'pause') {
      const breath = breathe()
      if (breath !== undefined) await breath
      step = course.next()
    } else if (ask.stage === 'mutate') {
      step = course.next(await asking.mutate(ask.change, signal))
    } else {
      verdicts.push(await asking.validate(ask.change, signal))
      step = course.next()
    }
  }
  const plan = step.value
  if (plan.kind === 'answer') return plan
  return {
    ...plan,
    compare: [...plan.compare, ...verdicts.flatMap(({ compare }) => compare)],
    operations: [...plan.operations, ...verdicts.flatMap(({ operations }) => operations)],
  }
}

/** Whether the answer to it can be found again: one object is changed, and its name is known. */
export function canBeAgain(op: Operation): boolean {
  const isPlain = op.subresource === undefined || op.subresource === 'status'
  return op.verb !== 'deletecollection' && isPlain && nameOf(op) !== undefined
}

function nameOf(op: Operation): string | undefined {
  const { metadata } = (op.body ?? {}) as Partial<KubeObject>
  const name = op.name ?? metadata?.name
  return name === '' ? undefined : name
}

/** No change has it: the first one makes revision 2. */
const neverRevision = 1

/** The answer to what was done when it was sent before; undefined when it was not, and then never will be. */
async function doneBefore(
  store: Store,
  kind: Kind,
  op: Operation,
  id: string,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const key = keyOf(kind, op.namespace, nameOf(op) ?? '')
  // The store answers for an id that it knows before it compares anything. That goes through the log, after all that the
  // leader before has left in it.
  const probe = { compare: [{ key, modRevision: neverRevision }], operations: [], id }
  const result = await store.write(probe, signal)
  if (result.kind !== 'done') return undefined
  const { revision } = result
  const made = await readOneAs(kind, await store.get(key, { revision }))
  if (made?.modRevision === revision) {
    return {
      code: made.createRevision === revision ? 201 : 200,
      object: asJson(objectOf(made)),
      revision,
      warnings: [],
    }
  }
  const removed = await readOneAs(kind, await store.get(key, { revision: revision - 1 }))
  const object = removed === undefined ? success().object : deletedAnswer(kind, objectOf(removed))
  return { code: 200, object, revision, warnings: [] }
}

/** That this is still the leader, and sees all that was committed. Nothing has been written yet when it is not. */
async function confirm(store: Store, signal: AbortSignal): Promise<void> {
  try {
    await store.newest(signal)
  } catch (error) {
    if (!(error instanceof StoreError) || error.reason === 'not-leader') throw error
    const message = 'the cluster has no leader at this moment'
    throw new ApiError('ServiceUnavailable', message, { retryAfterSeconds: 1 }, { cause: error })
  }
}

function nameIn(key: string): string {
  return unpackText(key.slice(key.lastIndexOf('/') + 1))
}

function isGenerated(op: Operation): boolean {
  const { metadata } = (op.body ?? {}) as Partial<KubeObject>
  return (metadata?.name ?? '') === '' && (metadata?.generateName ?? '') !== ''
}

/** What would have been answered; nothing is written. */
async function dryRun(
  context: WriteContext,
  kind: Kind,
  op: Operation,
  plan: Extract<Plan, { kind: 'write' }>,
): Promise<Answer> {
  const { store } = context
  const current = await store.get(plan.key)
  if (op.verb === 'create' && current !== undefined) throw alreadyExists(kind, nameIn(plan.key))
  const object = plan.answer(current?.modRevision ?? 0).object as {
    readonly metadata?: { readonly resourceVersion?: string }
  }
  // An object that is not there yet has no version.
  const { resourceVersion, ...metadata } = object.metadata ?? {}
  const shown = resourceVersion === '0' ? { ...object, metadata } : object
  return { code: plan.code, object: shown as JsonObject, revision: store.revision(), warnings: plan.warnings }
}

async function look(context: WriteContext, kind: Kind, op: Operation): Promise<Seen> {
  const { store } = context
  const evicts = resourceOf(kind) === 'pods' && op.subresource === 'eviction'
  const [current, namespace, taken, budgets] = await Promise.all([
    op.name === undefined
      ? undefined
      : store.get(keyOf(kind, op.namespace, op.name)).then(found => readOneAs(kind, found)),
    kind.scope === 'Namespaced' && (op.verb === 'create' || op.verb === 'patch' || makes(kind, op))
      ? store.get(keyOf(namespaceKind, undefined, op.namespace ?? ''))
      : undefined,
    resourceOf(kind) === 'services' ? takenNow(store) : nothingTaken,
    evicts ? itemsOf(store, prefixOf(podDisruptionBudget, op.namespace)) : [],
  ])
  return { current, namespace, taken, budgets }
}

async function itemsOf(store: Store, prefix: string): Promise<readonly KeyValue[]> {
  return (await store.range({ from: prefix, to: prefixEnd(prefix) })).items
}

const nothingTaken: Taken = { ips: new Map(), ports: new Map() }

async function takenNow(store: Store): Promise<Taken> {
  const under = async (prefix: string) => {
    const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
    return new Map(items.map((item): [string, KeyValue] => [item.key.slice(prefix.length), item]))
  }
  return { ips: await under(ipPrefix), ports: await under(portPrefix) }
}

function rulesOf({ world, services, notes }: WriteContext, stamp: Stamp): Rules {
  return { stamp, services, notes, random: () => world.random.float() }
}

export function stampOf({ world }: Pick<WriteContext, 'world'>): Stamp {
  let drawn: string | undefined
  return {
    uid: world.random.uuid(),
    nowMs: world.clock.nowMs(),
    // Few objects leave their name to the server.
    get suffix() {
      drawn ??= suffixOf(() => world.random.float())
      return drawn
    },
  }
}

function suffixOf(random: () => number): string {
  const letter = () => suffixAlphabet[Math.floor(random() * suffixAlphabet.length)]
  return Array.from({ length: suffixLength }, letter).join('')
}

async function deleteCollection(
  context: WriteContext,
  kind: Kind,
  op: Operation,
  signal: AbortSignal,
): Promise<Answer> {
  const { store } = context
  await store.newest(signal)
  const prefix = prefixOf(kind, op.namespace)
  const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
  const matches = compileSelector(kind, {
    ...(op.labelSelector !== undefined && { labelSelector: op.labelSelector }),
    ...(op.fieldSelector !== undefined && { fieldSelector: op.fieldSelector }),
  })
  const chosen = (await readAs(kind, items)).map(item => objectOf(item)).filter(matches)
  const deleted: Json[] = []
  let revision = store.revision()
  for (let at = 0; at < chosen.length; at += deleteBatchCount) {
    const batch = chosen.slice(at, at + deleteBatchCount)
    const answers = await Promise.all(batch.map(object => deleteOne(context, kind, op, object, signal)))
    for (const [i, answer] of answers.entries()) {
      if (answer === undefined) continue
      revision = Math.max(revision, answer.revision)
      deleted.push(batch[i] as unknown as Json)
    }
  }
  const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
  const metadata = { resourceVersion: String(revision) }
  return {
    code: 200,
    object: { kind: kind.custom?.listKind ?? `${kind.kind}List`, apiVersion, metadata, items: deleted },
    revision,
    warnings: [],
  }
}

async function deleteOne(context: WriteContext, kind: Kind, op: Operation, object: KubeObject, signal: AbortSignal) {
  const { namespace, name } = object.metadata
  try {
    return await one(
      context,
      kind,
      {
        ...op,
        verb: 'delete',
        name,
        ...(namespace !== undefined && { namespace }),
        ...(op.id !== undefined && { id: `${op.id}/${namespace ?? ''}/${name}` }),
      },
      signal,
    )
  } catch (error) {
    // Somebody else has deleted it meanwhile: so much the better.
    if (error instanceof ApiError && error.reason === 'NotFound') return undefined
    throw error
  }
}
