// gRPC as it comes in from outside. drivers/grpc speaks HTTP/2, HPACK and the framing of messages; a service sees the
// bytes of messages and answers with bytes. Nothing here is a promise and nothing is copied that need not be, since an
// answer costs one to three microseconds in all.
import type { Bytes } from '../lib/bytes.ts'

/** The codes of grpc-status that are used here: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const statusCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const
export type StatusCode = (typeof statusCode)[keyof typeof statusCode]

/** A call that was made with one message and wants one. Whoever got it answers once; later answers are nothing. */
export interface UnaryCall {
  /** False once it is answered, or its client has gone or lost patience: then work for it is in vain. */
  readonly isOpen: boolean
  /** The first value of a header that the client sent, names in lower case. */
  header(name: string): string | undefined
  /**
   * Runs `work` now, or, while the client has yet to read much of what it was told, once it has. For answers that may be
   * large: a client that asks and does not read must not fill our memory. Not run when the client goes before that.
   */
  whenRoom(work: () => void): void
  /** `bytes[start, end)` is the message; it is copied before this returns. */
  respond(bytes: Bytes, start: number, end: number): void
  fail(code: StatusCode, message: string): void
}

/** A call on which the service, and maybe the client, sends many messages. */
export interface StreamCall {
  readonly isOpen: boolean
  header(name: string): string | undefined
  /**
   * Sends the message `head[0, headLength)` followed by `tail`; both are copied before this returns. False when the client
   * reads more slowly than this: what is sent now waits in memory, and `drained` is called once there is room again.
   */
  send(head: Bytes, headLength: number, tail?: Bytes): boolean
  /** Ends it well. */
  finish(): void
  fail(code: StatusCode, message: string): void
}

export interface StreamHandler {
  /** `bytes[start, end)` is a message and must not be kept. */
  message(bytes: Bytes, start: number, end: number): void
  /** The client will send no more. */
  halfClosed(): void
  /** There is room again after `send` said false. */
  drained(): void
  /** The client has gone, or it was ended from here. Called once, and nothing after it. */
  ended(): void
}

/** By path, '/package.Service/Method'. The bytes of a request must not be kept. Handlers must not throw. */
export type GrpcService = {
  readonly unary: ReadonlyMap<string, (bytes: Bytes, start: number, end: number, call: UnaryCall) => void>
  readonly stream: ReadonlyMap<string, (call: StreamCall) => StreamHandler>
}
