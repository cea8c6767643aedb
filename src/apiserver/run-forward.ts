// Writes run in one place, the leader. This peer carries an operation out itself when it leads, sends it to the leader
// when another does, and waits a little while nobody does. When the leader is lost under an operation it is sent again,
// with the same id, so that it happens once; where its answer could not be found again, or nobody leads for long, the
// client is told that the outcome is unknown (504) and decides.
import { ApiError } from '../api/error.ts'
import { StoreError } from '../kv/store.ts'
import { MeshError, type PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import { decodeOperation, decodeReply, encodeOperation, encodeReply, type Reply } from './forward.ts'
import { type Notes, openNotes, unnoted } from './notes.ts'
import type { Answer, Operation } from './operation.ts'
import type { Pace } from './run-pace.ts'
import { canBeAgain, execute, type WriteContext } from './run-write.ts'

export const leaderWaitMsMax = 8_000
export const writeTimeoutMs = 30_000
const leaderPollMs = 25

export type ForwardContext = Omit<WriteContext, 'notes'> & { readonly world: World; readonly pace: Pace }

/**
 * Where it runs does not show: the answer's revision is applied here before it is given, and what there is to be said
 * beside it comes here: warnings only with a refusal, for an answer has its own. What a lost leader had to say is lost.
 */
export async function write(
  context: ForwardContext,
  op: Operation,
  signal: AbortSignal,
  notes: Notes = unnoted,
): Promise<Answer> {
  const { world, store } = context
  const startedMs = world.clock.monotonicMs()
  let sent: Operation = { ...op, id: op.id ?? world.random.uuid() }
  let lost: unknown
  for (;;) {
    const reply = await once(context, sent, signal)
    if (reply.kind === 'lost') {
      lost = reply.error
      if (!canBeAgain(op)) throw unknownOutcome(lost)
      sent = { ...sent, again: true }
    } else if (reply.kind !== 'not-leader') {
      reply.annotations.forEach(notes.annotate)
      const revision = reply.kind === 'answer' ? reply.answer.revision : reply.revision
      await settled(context, revision, signal)
      if (reply.kind === 'answer') return reply.answer
      reply.warnings.forEach(notes.warn)
      throw reply.error
    }
    if (signal.aborted) throw new ApiError('Timeout', 'the client is gone')
    const isLate = world.clock.monotonicMs() - startedMs > leaderWaitMsMax
    if (isLate || store.status().role === 'learner') throw lost === undefined ? noLeader() : unknownOutcome(lost)
    await world.clock.sleep(leaderPollMs, signal)
  }
}

export function noLeader(): ApiError {
  return new ApiError('ServiceUnavailable', 'the cluster has no leader at this moment', { retryAfterSeconds: 1 })
}

/** The write is done; only this peer is behind. Then the answer is right, though a read here may not show it yet. */
async function settled(context: ForwardContext, revision: number, signal: AbortSignal): Promise<void> {
  if (context.store.revision() >= revision) return
  using deadline = context.world.clock.deadline(5_000, signal)
  try {
    await context.store.applied(revision, deadline.signal)
  } catch (error) {
    context.world.log.warn('this peer is behind the leader', { revision, error: String(error) })
  }
}

/** The leader did not answer, and may have done it. */
type Lost = { readonly kind: 'lost'; readonly error: unknown }

function unknownOutcome(cause: unknown): ApiError {
  const message = 'the leader did not answer; it is unknown whether the request was carried out'
  return new ApiError('Timeout', message, undefined, { cause })
}

async function once(context: ForwardContext, op: Operation, signal: AbortSignal): Promise<Reply | Lost> {
  const { world, store } = context
  const { leader } = store.status()
  if (leader === undefined) return { kind: 'not-leader' }
  if (leader === world.network.self) return here(context, op, signal)
  using deadline = world.clock.deadline(writeTimeoutMs, signal)
  try {
    return decodeReply(await world.network.request(leader, 'api', encodeOperation(op), deadline.signal))
  } catch (error) {
    if (error instanceof ApiError) throw error
    if (error instanceof MeshError && error.reason === 'unreachable') return { kind: 'not-leader' }
    return { kind: 'lost', error }
  }
}

async function here(context: ForwardContext, op: Operation, signal: AbortSignal): Promise<Reply> {
  const notes = openNotes()
  try {
    const answer = await execute({ ...context, notes }, op, signal)
    const warnings = [...new Set([...answer.warnings, ...notes.warnings()])]
    return { kind: 'answer', answer: { ...answer, warnings }, annotations: notes.annotations() }
  } catch (error) {
    const said = { annotations: notes.annotations(), warnings: notes.warnings() }
    if (error instanceof ApiError) return { kind: 'refused', error, revision: context.store.revision(), ...said }
    if (!(error instanceof StoreError)) throw error
    if (error.reason === 'not-leader') return { kind: 'not-leader' }
    return { kind: 'refused', error: fromStore(error), revision: 0, ...said }
  }
}

/** What a client is told of a write that the store did not finish. */
export function fromStore(error: StoreError): ApiError {
  const options = { cause: error }
  switch (error.reason) {
    case 'too-large':
      return new ApiError('RequestEntityTooLarge', error.message, undefined, options)
    case 'compacted':
      return new ApiError('Expired', 'The resourceVersion for the provided watch is too old.', undefined, options)
    case 'unavailable':
      return new ApiError(
        'Timeout',
        `${error.message}; it is unknown whether the request was carried out`,
        undefined,
        options,
      )
    case 'not-leader':
    case 'closed':
    case 'refused':
      return new ApiError('ServiceUnavailable', error.message, { retryAfterSeconds: 1 }, options)
  }
}

/** Takes operations from other control peers. Only members may speak for the users that they have authenticated. */
export function acceptForwarded(context: ForwardContext): Disposable {
  const { world, store } = context
  return world.network.onRequest('api', async (from, body, signal) => {
    if (!isMember(store.status().members, from)) {
      throw new Error(`${from} is no control peer and may not forward requests`)
    }
    const { leader } = store.status()
    if (leader !== world.network.self) return encodeReply({ kind: 'not-leader' })
    return encodeReply(await here(context, decodeOperation(body), signal))
  })
}

function isMember(members: readonly { readonly peer: PeerId }[], peer: PeerId): boolean {
  return members.some(member => member.peer === peer)
}
