// The clients of the run: ten that put, read, delete and compare-and-swap on ten keys, each in its own closed loop at a
// steady pace and with its own connections, and what became of every operation, recorded as a history.
import { type Prng, prng } from '../../src/lib/prng.ts'
import {
  type ItemsResponse,
  isRead,
  type Operation,
  type Outcome,
  type Request,
  type Response,
} from '../check/history.ts'
import { itemsOf } from '../check/model.ts'
import { decodeResponse, encodeRequest, pathOf } from './api.ts'
import { Channel, type Reply } from './channel.ts'
import { now, sleep } from './command.ts'
import { clientUrlOf } from './lab.ts'
import type { Member } from './member.ts'

export const keyPrefix = '/n/'
const keyCount = 10
const clientCount = 10
/** Long enough for the slowest of the links, so that what is slow is not called ambiguous. */
const timeoutMs = 2_000
/** After nothing could be sent, before the next try elsewhere. */
const refusedPauseMs = 20

export type LoadOptions = {
  readonly seed: number
  /** Operations each second, of all clients together. */
  readonly rate: number
  /** A lie for checking the harness: linearizable reads are asked for as serializable ones. */
  readonly asksForStaleReads: boolean
}

/** What was asked and came back, and what is known from it while the run goes on. */
export class Recorder {
  readonly operations: Operation[] = []
  /** Reads without an answer: they tell nothing, and are no part of the history. */
  readonly unanswered: { readonly call: number }[] = []
  newestRevision = 1
  private nextValue = 0

  /** A value that nobody else writes: it tells which write a reader saw. */
  value(client: number): string {
    return `${client}-${++this.nextValue}`
  }

  add(operation: Operation): void {
    const { request, outcome } = operation
    if (isRead(request) && outcome.kind !== 'done') {
      this.unanswered.push(operation)
      return
    }
    this.operations.push(operation)
    if (outcome.kind === 'done' && 'revision' in outcome.response)
      this.newestRevision = Math.max(this.newestRevision, outcome.response.revision)
  }
}

/** Sends one request to one member and records it. */
export async function perform(
  recorder: Pick<Recorder, 'add'>,
  client: number,
  channel: Channel,
  member: string,
  request: Request,
  sent: Request = request,
): Promise<Operation> {
  let call = now()
  const reply = await channel.unary(pathOf(sent), encodeRequest(sent), timeoutMs, () => {
    call = now()
  })
  const outcome = outcomeOf(request, reply)
  const operation = { client, call, return: outcome.kind === 'ambiguous' ? Infinity : now(), request, outcome, member }
  recorder.add(operation)
  return operation
}

/**
 * Codes with which etcd refuses before it proposes anything, or applies nothing: invalid argument, not found, exists,
 * permission denied, exhausted, failed precondition, unimplemented, unauthenticated. After all others a write may happen.
 */
const refusals = new Set([3, 5, 6, 7, 8, 9, 12, 16])
const outOfRange = 11

function outcomeOf(request: Request, reply: Reply): Outcome {
  switch (reply.kind) {
    case 'answer':
      return { kind: 'done', response: decodeResponse(request, reply.bytes) }
    case 'refused':
      return { kind: 'failed' }
    case 'lost':
      return { kind: 'ambiguous' }
    case 'status': {
      const range = reply.code === outOfRange ? outOfRangeResponse(reply.text) : undefined
      if (range !== undefined) return { kind: 'done', response: range }
      return { kind: refusals.has(reply.code) ? 'failed' : 'ambiguous' }
    }
  }
}

function outOfRangeResponse(text: string): Response | undefined {
  if (text.includes('compacted')) return { kind: 'compacted' }
  return text.includes('future') ? { kind: 'future' } : undefined
}

export class Load {
  readonly recorder = new Recorder()
  private readonly members: readonly Member[]
  private readonly options: LoadOptions
  private readonly loops: Promise<void>[] = []
  private isStopping = false

  constructor(members: readonly Member[], options: LoadOptions) {
    this.members = members
    this.options = options
  }

  start(): void {
    for (let client = 0; client < clientCount; client++) this.loops.push(this.runClient(client))
  }

  async stop(): Promise<void> {
    this.isStopping = true
    await Promise.all(this.loops)
  }

  private async runClient(client: number): Promise<void> {
    const random = prng(this.options.seed * 1_000 + client)
    const channels = this.members.map(({ index }) => new Channel(clientUrlOf(index)))
    const known = new Map<string, number>()
    const pauseMs = (1_000 * clientCount) / this.options.rate
    let at = random.below(this.members.length)
    let nextMs = performance.now() + random.float() * pauseMs
    while (!this.isStopping) {
      await sleep(nextMs - performance.now())
      // After a stall the pace goes on from now: what was missed is not made up for in a burst.
      nextMs = Math.max(nextMs + pauseMs, performance.now() - pauseMs)
      const [member, channel] = [this.members[at], channels[at]]
      if (member === undefined || channel === undefined) throw new Error('no such member')
      const request = draw(random, known, this.recorder, client)
      const sent = this.options.asksForStaleReads ? asSerializable(request) : request
      const { outcome } = await perform(this.recorder, client, channel, member.label, request, sent)
      if (outcome.kind === 'done') learn(known, request, outcome.response)
      if (outcome.kind === 'failed') await sleep(refusedPauseMs)
      if (outcome.kind !== 'done' || random.chance(0.02)) at = random.below(this.members.length)
    }
    for (const channel of channels) channel.close()
  }
}

const asSerializable = (request: Request): Request =>
  request.kind === 'get' || request.kind === 'range' ? { ...request, serializable: true } : request

/** Remembers when keys were last changed, for the next comparison. */
function learn(known: Map<string, number>, request: Request, response: Response): void {
  for (const item of itemsOf(response)) known.set(item.key, item.modRevision)
  if (request.kind === 'put' && response.kind === 'put') known.set(request.key, response.revision)
  if (request.kind === 'get' && response.kind === 'items' && isAbsent(response)) known.set(request.key, 0)
}

const isAbsent = ({ items }: ItemsResponse) => items.length === 0

function draw(random: Prng, known: ReadonlyMap<string, number>, recorder: Recorder, client: number): Request {
  const number = random.below(keyCount)
  const key = `${keyPrefix}k${number}`
  const value = () => recorder.value(client)
  const lot = random.float()
  if (lot < 0.3) return { kind: 'put', key, value: value() }
  if (lot < 0.55) return { kind: 'get', key }
  if (lot < 0.65) return { kind: 'get', key, serializable: true }
  if (lot < 0.7) return { kind: 'range', prefix: keyPrefix }
  if (lot < 0.75) return { kind: 'get', key, revision: Math.max(1, recorder.newestRevision - random.below(300)) }
  if (lot < 0.8) return { kind: 'delete', key }
  const unchanged = { target: 'mod', key, is: '=', than: known.get(key) ?? 0 } as const
  const put = { kind: 'put', key, value: value() } as const
  if (lot < 0.92) return { kind: 'txn', compare: [unchanged], success: [put], failure: [{ kind: 'get', key }] }
  // Two keys in one revision: what is atomic is seen by ranges and watches.
  const other = `${keyPrefix}k${(number + 1 + random.below(keyCount - 1)) % keyCount}`
  const second = random.chance(0.7)
    ? ({ kind: 'put', key: other, value: value() } as const)
    : ({ kind: 'delete', key: other } as const)
  const compare = random.chance(0.5) ? [unchanged] : []
  return { kind: 'txn', compare, success: [put, second], failure: [{ kind: 'range', prefix: keyPrefix }] }
}

/** Puts again and again, ever through another member, and says when the first one that was called from now on was done. */
export async function untilWritten(
  recorder: Recorder,
  members: readonly Member[],
  withinMs: number,
): Promise<number | undefined> {
  const start = now()
  let firstDone: number | undefined
  const under: Promise<unknown>[] = []
  for (let i = 0; firstDone === undefined && now() - start < withinMs * 1000; i++) {
    const member = members[i % members.length]
    if (member?.isRunning) {
      const put: Request = { kind: 'put', key: `${keyPrefix}probe`, value: recorder.value(proberClient) }
      const asked = perform(recorder, proberClient + (i % members.length), member.channel, member.label, put)
      under.push(
        asked.then(({ outcome, return: end }) => {
          if (outcome.kind === 'done') firstDone = Math.min(end, firstDone ?? Infinity)
        }),
      )
    }
    await sleep(20)
  }
  await Promise.all(under)
  return firstDone === undefined ? undefined : (firstDone - start) / 1000
}

const proberClient = 100
