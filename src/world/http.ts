// HTTP as it comes in from outside. drivers/http speaks TLS, HTTP/1.1, HTTP/2, WebSocket and SPDY/3.1; the API server
// answers an HttpRequest with an HttpResponse and never sees a socket. Bodies are pulled, so nobody fills our memory
// before we know who they are.
import type { Bytes } from '../lib/bytes.ts'

/** Who asks: as a client certificate's subject, a token or a header of a trusted user says. */
export type Identity = {
  readonly user: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

export type HttpRequest = {
  readonly method: string
  /** As it was sent, percent-encoded, without the query. */
  readonly path: string
  /** Without the question mark; '' when there is none. */
  readonly query: string
  /** Names in lower case; several of one name joined with ', '. */
  readonly headers: Readonly<Record<string, string>>
  /** The subject of a client certificate that the cluster's CA signed. */
  readonly certificate: Identity | undefined
  /** The address of the client, for limits and logs. */
  readonly remote: string
  /** What the client wants this connection to become. */
  readonly upgrade: 'websocket' | 'spdy' | undefined
  /** The whole body, or undefined when it is longer than `bytesMax`. Rejects when the client goes or is too slow. */
  body(bytesMax: number): Promise<Bytes | undefined>
  /** Aborts when the client is gone, or has its answer. Made when it is asked for: who does not wait does not ask. */
  readonly signal: AbortSignal
}

export type HttpResponse =
  | {
      readonly kind: 'whole'
      readonly code: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string | Bytes
    }
  /**
   * Sent chunk by chunk as the reader takes them; over a WebSocket, each chunk is a message. An empty chunk sends nothing.
   */
  | {
      readonly kind: 'stream'
      readonly code: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: AsyncIterable<string | Bytes>
      /** It ends soon, and may be gzipped on its way. */
      readonly compressible?: true
      /** A chunk holds good only until the next is asked for: they all lie in one piece of memory, one after the other. */
      readonly lent?: true
    }
  /** exec and attach: the driver upgrades the connection and hands over its channels. */
  | {
      readonly kind: 'command'
      readonly streams: CommandStreams
      run(session: CommandSession, signal: AbortSignal): Promise<void>
    }
  /** port-forward: the driver upgrades the connection and hands over each forwarded connection. */
  | { readonly kind: 'forward'; run(session: ForwardSession, signal: AbortSignal): Promise<void> }
  /** Another server has taken the upgrade: the driver answers 101 with these headers and hands over what comes and goes. */
  | {
      readonly kind: 'tunnel'
      readonly headers: Readonly<Record<string, string>>
      run(client: ByteStream, signal: AbortSignal): Promise<void>
    }

export type CommandStreams = {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

/** The client's side of exec and attach, whatever protocol it speaks. */
export interface CommandSession {
  /** Ends when the client closes its standard input. */
  readonly stdin: AsyncIterable<Bytes>
  /** New sizes of the client's terminal. */
  readonly resizes: AsyncIterable<{ readonly width: number; readonly height: number }>
  stdout(bytes: Bytes): Promise<void>
  stderr(bytes: Bytes): Promise<void>
  /** The closing Status (meta/v1) as JSON text; ends the session. */
  finish(status: string): Promise<void>
}

export interface ForwardConnection {
  readonly port: number
  /** Ends when the client closes its half. */
  read(): AsyncIterable<Bytes>
  write(bytes: Bytes): Promise<void>
  closeWrite(): Promise<void>
  /** Tells the client why this connection ends. */
  fail(why: string): Promise<void>
  abort(): void
  /** Aborts when the client has reset this connection or is gone. */
  readonly signal: AbortSignal
}

export interface ForwardSession {
  readonly connections: AsyncIterable<ForwardConnection>
}

/** Bytes both ways to a port that no address of ours reaches: of a pod, over the mesh. */
export interface ByteStream {
  /** Ends when the other side has closed; throws when the stream broke. */
  read(): AsyncIterable<Bytes>
  write(bytes: Bytes): Promise<void>
  closeWrite(): Promise<void>
  abort(): void
}

/** An HTTPS request of our own: to a webhook, to a server behind an APIService. */
export type HttpsCall = {
  readonly method: 'GET' | 'POST'
  /** Whom the certificate must name; for a connection of its own also where to connect. */
  readonly host: string
  readonly port: number
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Bytes
  /** PEM of those whose signature counts; undefined: whom the system trusts. */
  readonly ca: string | undefined
  /** Carries the bytes instead of a connection of its own; at its end it is aborted. */
  readonly via?: ByteStream
  /** Connected to instead of `host`, which the certificate still has to name. */
  readonly address?: string
  readonly addressPort?: number
  readonly bytesMax: number
}

export type HttpsAnswer = {
  readonly code: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Bytes
}

/** Rejects when nobody answers, the certificate does not hold, the answer is longer than allowed, or the signal aborts. */
export interface HttpsCaller {
  call(request: HttpsCall, signal: AbortSignal): Promise<HttpsAnswer>
}
