// The errors of etcd's API: codes and texts are etcd's own (api/v3rpc/rpctypes), since clients compare the texts.
import { StoreError } from '../kv/store.ts'
import type { Failure } from '../kv/txn.ts'
import { type StatusCode, statusCode } from '../world/grpc.ts'

export class EtcdError extends Error {
  override readonly name = 'EtcdError'
  readonly code: StatusCode
  constructor(code: StatusCode, message: string) {
    super(message)
    this.code = code
  }
}

const { invalidArgument, outOfRange, notFound, failedPrecondition, unavailable, internal, resourceExhausted } =
  statusCode

const make = (code: StatusCode, text: string) => () => new EtcdError(code, `etcdserver: ${text}`)

export const errors = {
  emptyKey: make(invalidArgument, 'key is not provided'),
  keyNotFound: make(invalidArgument, 'key not found'),
  valueProvided: make(invalidArgument, 'value is provided'),
  leaseProvided: make(invalidArgument, 'lease is provided'),
  tooManyOperations: make(invalidArgument, 'too many operations in txn request'),
  duplicateKey: make(invalidArgument, 'duplicate key given in txn request'),
  invalidSort: make(invalidArgument, 'invalid sort option'),
  compacted: make(outOfRange, 'mvcc: required revision has been compacted'),
  futureRevision: make(outOfRange, 'mvcc: required revision is a future revision'),
  leaseNotFound: make(notFound, 'requested lease not found'),
  leaseExists: make(failedPrecondition, 'lease already exists'),
  leaseIdTooLarge: make(outOfRange, `lease IDs are at most ${Number.MAX_SAFE_INTEGER} here`),
  leaseTtlTooLarge: make(outOfRange, 'too large lease TTL'),
  memberNotFound: make(notFound, 'member not found'),
  memberNotLearner: make(failedPrecondition, 'can only promote a learner member'),
  tooLarge: make(invalidArgument, 'request is too large'),
  tooMany: make(resourceExhausted, 'too many requests'),
  authNotEnabled: make(failedPrecondition, 'authentication is not enabled'),
  noLeader: make(unavailable, 'no leader'),
  notLeader: make(failedPrecondition, 'not leader'),
  badTransferee: make(failedPrecondition, 'bad leader transferee'),
  stopped: make(unavailable, 'server stopped'),
  timedOut: make(unavailable, 'request timed out'),
} as const

/** What a client hears of anything that was thrown. */
export function etcdError(error: unknown, hasLeader: boolean): EtcdError {
  if (error instanceof EtcdError) return error
  if (error instanceof StoreError) return fromStore(error, hasLeader)
  return new EtcdError(internal, error instanceof Error ? error.message : String(error))
}

function fromStore(error: StoreError, hasLeader: boolean): EtcdError {
  switch (error.reason) {
    case 'compacted':
      return errors.compacted()
    case 'unavailable':
      return hasLeader ? errors.timedOut() : errors.noLeader()
    case 'not-leader':
      return errors.notLeader()
    case 'too-large':
      return errors.tooLarge()
    case 'closed':
      return errors.stopped()
    case 'refused':
      return new EtcdError(failedPrecondition, `etcdserver: ${error.message}`)
  }
}

export function failureError(why: Failure): EtcdError {
  switch (why) {
    case 'compacted':
      return errors.compacted()
    case 'future-revision':
      return errors.futureRevision()
    case 'lease-not-found':
      return errors.leaseNotFound()
    case 'lease-exists':
      return errors.leaseExists()
    case 'key-not-found':
      return errors.keyNotFound()
    case 'fenced':
      return errors.notLeader()
  }
}
