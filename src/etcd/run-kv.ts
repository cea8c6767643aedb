// etcd's KV service on the store. Put, Range and Txn are where the time of a cluster goes: they are read and answered by
// hand, with one allocation where several would do, and never wait for a turn of their own.
import { StoreError } from '../kv/store.ts'
import type { Outcome } from '../kv/txn.ts'
import { statusCode, type UnaryCall } from '../world/grpc.ts'
import { type Context, fail, guarded, type Handler, malformed, type Routes } from './context.ts'
import { errors, failureError } from './errors.ts'
import * as kv from './kv.ts'
import {
  type RangeRequest,
  readCompaction,
  readDelete,
  readPut,
  readRange,
  readTxn,
  type TxnRequest,
} from './requests.ts'
import { writeDelete, writeKeyValue, writeRange, writeTxn } from './responses.ts'
import { WireWriter } from './wire.ts'

export function kvRoutes(context: Context): Routes {
  const { store, header } = context
  // One for all: an answer is written and copied to the connection before the next is begun.
  const out = new WireWriter()

  function begin(revision: number): void {
    out.reset()
    header.write(out, revision)
  }

  function send(call: UnaryCall): void {
    call.respond(out.buffer, 0, out.at)
  }

  function answerRange(request: RangeRequest, call: UnaryCall): void {
    if (request.revision > store.revision()) throw errors.futureRevision()
    const found = store.look(kv.rangeQuery(request))
    const reply = kv.rangeReply(request, found)
    begin(found.revision)
    writeRange(out, reply)
    send(call)
  }

  /** Here an answer is made later than its request came: what is thrown then is the answer too. */
  function attempt(call: UnaryCall, run: () => void): void {
    try {
      run()
    } catch (error) {
      fail(context, call, error)
    }
  }

  /** Runs `then` with what came of it, or answers with why nothing did. */
  function settle(call: UnaryCall, outcome: Promise<Outcome>, then: (outcome: Outcome) => void): void {
    outcome.then(
      done => {
        if (done.kind === 'failed') call.fail(...failure(done.why))
        else if (call.isOpen) attempt(call, () => then(done))
        else call.fail(statusCode.cancelled, '')
      },
      error => fail(context, call, error),
    )
  }

  const range: Handler = (bytes, start, end, call) => {
    const request = readRange(bytes, start, end)
    if (request === undefined) throw malformed()
    kv.checkRange(request)
    const answer = () => attempt(call, () => answerRange(request, call))
    if (request.serializable) {
      call.whenRoom(answer)
      return
    }
    store.newest().then(
      () => call.whenRoom(answer),
      error => fail(context, call, error),
    )
  }

  const put: Handler = (bytes, start, end, call) => {
    const request = readPut(bytes, start, end)
    if (request === undefined) throw malformed()
    kv.checkPut(request)
    settle(call, store.execute({ kind: 'txn', txn: kv.putTxn(request) }), outcome => {
      begin(outcome.revision)
      const answer = outcome.kind === 'txn' ? outcome.answers[0] : undefined
      if (answer?.kind === 'put' && answer.previous !== undefined) writeKeyValue(out, 2, answer.previous)
      send(call)
    })
  }

  const remove: Handler = (bytes, start, end, call) => {
    const request = readDelete(bytes, start, end)
    if (request === undefined) throw malformed()
    if (request.key === '') throw errors.emptyKey()
    const operation = {
      kind: 'delete',
      range: kv.keyRange(request.key, request.end),
      wantsPrevious: request.previous,
    } as const
    const txn = { conditions: [], success: [operation], failure: [] }
    settle(call, store.execute({ kind: 'txn', txn }), outcome => {
      begin(outcome.revision)
      const answer = outcome.kind === 'txn' ? outcome.answers[0] : undefined
      if (answer?.kind === 'delete') writeDelete(out, answer.count, answer.previous)
      send(call)
    })
  }

  function answerTxn(request: TxnRequest, outcome: Outcome, call: UnaryCall): void {
    if (outcome.kind !== 'txn') throw new StoreError('closed', `a transaction came back as ${outcome.kind}`)
    const { succeeded, answers, revision } = outcome
    const replies = kv.txnReplies(request, succeeded, answers, revision)
    begin(revision)
    writeTxn(out, succeeded, replies)
    send(call)
  }

  const txn: Handler = (bytes, start, end, call) => {
    const request = readTxn(bytes, start, end)
    if (request === undefined) throw malformed()
    kv.checkTxn(request)
    kv.checkDuplicates(request.success)
    kv.checkDuplicates(request.failure)
    settle(call, store.execute({ kind: 'txn', txn: kv.storeTxn(request) }), outcome => {
      answerTxn(request, outcome, call)
    })
  }

  const compact: Handler = (bytes, start, end, call) => {
    const request = readCompaction(bytes, start, end)
    if (request === undefined) throw malformed()
    settle(call, store.execute({ kind: 'compact', revision: kv.storable(request.revision) }), outcome => {
      begin(outcome.revision)
      send(call)
    })
  }

  const guard = (path: string, run: Handler) => [`/etcdserverpb.KV/${path}`, guarded(context, run)] as const
  return [
    guard('Range', range),
    guard('Put', put),
    guard('DeleteRange', remove),
    guard('Txn', txn),
    guard('Compact', compact),
  ]
}

function failure(why: Parameters<typeof failureError>[0]) {
  const { code, message } = failureError(why)
  return [code, message] as const
}
