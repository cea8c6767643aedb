// Clients of the store: they put, delete, compare and read a few keys on any machine, and write down what they asked,
// when, and what came back. The history is checked when the run is over (history.ts).
import { prefixEnd, type Revision, StoreError } from '../../src/kv/store.ts'
import type { Command, Outcome, TxnOperation } from '../../src/kv/txn.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { isRead, type Operation, type Request, type Response, type Step, type StepResponse } from '../check/history.ts'
import type { Agenda } from './agenda.ts'
import type { Cluster, Running } from './cluster.ts'
import { must } from './safety.ts'
import type { Truth } from './truth.ts'

export type Clients = {
  readonly history: readonly Operation[]
  readonly counts: { operations: number; acknowledged: number; ambiguous: number; failed: number; retried: number }
  /** Runs until `stop`; rejects with what must not be. */
  readonly run: () => Promise<void>
  readonly stop: () => void
  /** Resolves when a write has been acknowledged by one of these machines. */
  readonly writeOne: (isAsked: (machine: Running) => boolean) => Promise<void>
}

export type ClientShape = { readonly clientCount: number; readonly keyCount: number; readonly gapMsMax: number }

const never = new AbortController().signal
const prefix = '/k/'

type Answer = { readonly kind: 'done'; readonly response: Response } | { readonly kind: 'ambiguous' | 'failed' }

export function createClients(
  agenda: Agenda,
  random: Prng,
  cluster: Cluster,
  truth: Truth,
  shape: ClientShape,
): Clients {
  const history: Operation[] = []
  const counts = { operations: 0, acknowledged: 0, ambiguous: 0, failed: 0, retried: 0 }
  let isStopped = false
  let lastId = 0
  /** The order of all calls and returns: finer than virtual time. */
  let moment = 0
  /** The newest revision that anybody was told of. */
  let told: Revision = 0

  const sleep = (ms: number) => new Promise<void>(resolve => agenda.after(ms, resolve))
  const pick = <T>(list: readonly T[]): T | undefined => list[random.below(list.length)]
  const someKey = () => `${prefix}${random.below(shape.keyCount)}`
  const freshValue = () => `v${++lastId}${'y'.repeat(random.below(random.chance(0.02) ? 3_000 : 40))}`
  const machineFor = () =>
    random.chance(0.5) ? (cluster.leader() ?? pick(cluster.running())) : pick(cluster.running())

  async function ask(machine: Running, act: () => Promise<Response>): Promise<Answer> {
    try {
      const response = await Promise.race([act(), machine.life.died])
      return response === 'died' ? { kind: 'ambiguous' } : { kind: 'done', response }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (error.reason === 'compacted') return { kind: 'done', response: { kind: 'compacted' } }
      // Whoever does not lead has refused before anything was proposed.
      return { kind: error.reason === 'not-leader' ? 'failed' : 'ambiguous' }
    }
  }

  /** One operation, with the same ID on each try. */
  async function operate(
    client: number,
    request: Request,
    act: (machine: Running) => Promise<Response>,
    tries: number,
  ) {
    let machine = machineFor()
    if (machine === undefined) return
    counts.operations++
    const call = ++moment
    let answer: Answer = { kind: 'failed' }
    let wasAmbiguous = false
    for (let i = 0; i < tries && answer.kind !== 'done'; i++) {
      if (i > 0) {
        counts.retried++
        await sleep(random.float() * 600)
        machine = machineFor()
        if (machine === undefined) break
      }
      const asked = machine
      answer = await ask(asked, () => act(asked))
      wasAmbiguous ||= answer.kind === 'ambiguous' && !isRead(request)
    }
    const isDone = answer.kind === 'done'
    const outcome = isDone ? answer : ({ kind: wasAmbiguous ? 'ambiguous' : 'failed' } as const)
    if (answer.kind === 'done') acknowledged(answer.response)
    else if (wasAmbiguous) counts.ambiguous++
    else counts.failed++
    const member = machine?.life.name ?? 'nobody'
    history.push({ client, call, return: isDone ? ++moment : Number.POSITIVE_INFINITY, request, outcome, member })
  }

  function acknowledged(response: Response): void {
    counts.acknowledged++
    if (!('revision' in response)) return
    told = Math.max(told, response.revision)
    must(response.revision <= truth.newest(), 'revisions', () => {
      return `revision ${response.revision} is acknowledged, and nobody has applied more than ${truth.newest()}`
    })
  }

  // ---- what is asked ----

  /** With an ID, so that it may be sent again. */
  async function put(client: number): Promise<void> {
    const [key, value] = [someKey(), freshValue()]
    const id = `put${value.slice(0, 12)}`
    await operate(
      client,
      { kind: 'put', key, value },
      async ({ store }) => {
        const outcome = await store.execute({ kind: 'write', write: { compare: [], operations: [{ key, value }], id } })
        if (outcome.kind !== 'write' || outcome.result.kind !== 'done') throw new Error(`a put came to ${outcome.kind}`)
        return { kind: 'put', revision: outcome.result.revision }
      },
      random.chance(0.6) ? 3 : 1,
    )
  }

  async function remove(client: number): Promise<void> {
    const key = someKey()
    const command = txn([], [{ kind: 'delete', range: one(key), wantsPrevious: false }], [])
    const act = async ({ store }: Running): Promise<Response> => {
      const { revision, steps } = txnOutcome(await store.execute(command), [{ kind: 'delete', key }], [])
      const [first] = steps
      return { kind: 'delete', revision, deleted: first?.kind === 'delete' ? first.deleted : 0 }
    }
    await operate(client, { kind: 'delete', key }, act, 1)
  }

  /** Changes one key as far as another, or itself, is as it was last seen. */
  async function compareAndSet(client: number): Promise<void> {
    const [key, other] = [someKey(), someKey()]
    const machine = pick(cluster.running())
    // Of one that is closing nothing is seen, as if the key were not there.
    const seen = await machine?.store.get(other).catch(() => undefined)
    const than = random.chance(0.9) ? (seen?.modRevision ?? 0) : random.below(told + 2)
    const value = freshValue()
    const success: Step[] = [{ kind: 'put', key, value }]
    if (random.chance(0.3) && other !== key) success.push({ kind: 'delete', key: other })
    if (random.chance(0.3)) success.push({ kind: 'get', key })
    const failure: Step[] = [{ kind: 'get', key: other }]
    const command = txn([{ key: other, than }], success.map(operationOf), failure.map(operationOf))
    const request: Request = { kind: 'txn', compare: [{ target: 'mod', key: other, is: '=', than }], success, failure }
    await operate(client, request, async ({ store }) => txnOutcome(await store.execute(command), success, failure), 1)
  }

  async function read(client: number): Promise<void> {
    const isAll = random.chance(0.3)
    const key = someKey()
    const serializable = random.chance(0.15)
    const request: Request = isAll ? { kind: 'range', prefix, serializable } : { kind: 'get', key, serializable }
    const range = isAll ? { from: prefix, to: prefixEnd(prefix) } : { from: key, to: `${key}\u0000` }
    const act = async ({ store, life }: Running): Promise<Response> => {
      const before = told
      const newest = serializable ? 0 : await store.newest(never)
      must(serializable || newest >= before, 'newest reads', () => {
        return `${life.name} reads revision ${newest}, and ${before} was acknowledged before it was asked`
      })
      const { items, revision } = await store.range(range)
      return { kind: 'items', revision, items }
    }
    await operate(client, request, act, 1)
  }

  async function client(number: number): Promise<void> {
    while (!isStopped) {
      await sleep(random.float() * shape.gapMsMax)
      const draw = random.float()
      await (draw < 0.35
        ? put(number)
        : draw < 0.45
          ? remove(number)
          : draw < 0.7
            ? compareAndSet(number)
            : read(number))
    }
  }

  return {
    history,
    counts,
    async run() {
      await Promise.all(Array.from({ length: shape.clientCount }, (_, i) => client(i)))
    },
    stop() {
      isStopped = true
    },
    async writeOne(isAsked) {
      let isWritten = false
      const from = async (machine: Running) => {
        while (!isWritten && machine.life.alive) {
          const call = ++moment
          const [key, value] = [someKey(), freshValue()]
          const command: Command = { kind: 'write', write: { compare: [], operations: [{ key, value }] } }
          const answer = await ask(machine, async () => {
            const { revision } = await machine.store.execute(command)
            return { kind: 'put', revision }
          })
          const isDone = answer.kind === 'done'
          const end = isDone ? ++moment : Number.POSITIVE_INFINITY
          const member = machine.life.name
          history.push({ client: -1, call, return: end, request: { kind: 'put', key, value }, outcome: answer, member })
          isWritten ||= isDone
          await sleep(50)
        }
      }
      const asking = new Set<string>()
      while (!isWritten) {
        for (const machine of cluster.running()) {
          if (!isAsked(machine) || asking.has(machine.life.name)) continue
          asking.add(machine.life.name)
          from(machine).catch(error => {
            throw error
          })
        }
        await sleep(20)
      }
    },
  }
}

const one = (key: string) => ({ from: key, to: undefined })

function txn(
  compare: readonly { readonly key: string; readonly than: number }[],
  success: readonly TxnOperation[],
  failure: readonly TxnOperation[],
): Command {
  const conditions = compare.map(({ key, than }) => {
    return { range: one(key), relation: '=', target: 'mod', number: than } as const
  })
  return { kind: 'txn', txn: { conditions, success, failure } }
}

function operationOf(step: Step): TxnOperation {
  switch (step.kind) {
    case 'put':
      return { kind: 'put', key: step.key, value: step.value, lease: 0, wantsPrevious: false }
    case 'delete':
      return { kind: 'delete', range: one(step.key), wantsPrevious: false }
    case 'get':
      return { kind: 'range', range: one(step.key), revision: 0, limit: 0, countOnly: false }
    case 'range':
      return {
        kind: 'range',
        range: { from: step.prefix, to: prefixEnd(step.prefix) },
        revision: 0,
        limit: 0,
        countOnly: false,
      }
  }
}

function txnOutcome(outcome: Outcome, success: readonly Step[], failure: readonly Step[]) {
  if (outcome.kind !== 'txn') throw new Error(`a transaction came to ${JSON.stringify(outcome)}`)
  const { succeeded, revision } = outcome
  const asked = succeeded ? success : failure
  const steps = outcome.answers.map((answer, i): StepResponse => {
    if (answer.kind === 'put') return { kind: 'put', revision }
    if (answer.kind === 'delete') return { kind: 'delete', revision, deleted: answer.count }
    if (answer.kind === 'range') return { kind: 'items', revision, items: answer.items }
    throw new Error(`step ${i} of ${asked.length} came to a transaction`)
  })
  return { kind: 'txn', revision, succeeded, steps } as const
}
