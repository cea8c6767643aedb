// The Docker Engine's HTTP API, thin and typed: the only file that knows dockerode. Its convenience methods put whole
// bodies into the URL and parse logs as JSON, so requests are made on its `modem`, which does neither when told so.
import type { Duplex, Readable } from 'node:stream'
import Docker from 'dockerode'
import type { Bytes } from '../../lib/bytes.ts'
import { RuntimeError } from '../../world/runtime.ts'

export type Query = Readonly<Record<string, string | number | boolean | object>>
export type Request = {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'HEAD'
  /** Without version and query. */
  readonly path: string
  readonly query?: Query
  readonly body?: object
  /** Sent as it is, as application/tar. */
  readonly archive?: Bytes
  readonly auth?: { readonly username: string; readonly password: string; readonly serveraddress: string }
  /** Status codes that are an answer and not an error; 2xx always are. */
  readonly also?: readonly number[]
}

export interface DockerApi {
  /** The API version that both sides speak. */
  readonly version: string
  /** The answer's JSON, `undefined` when it has no body. Rejects with DockerError. */
  json<T>(request: Request, signal: AbortSignal): Promise<T>
  /** The answer as it comes. The reader destroys it when done. */
  stream(request: Request, signal: AbortSignal): Promise<Readable>
  /** The connection turned into bytes both ways (exec and attach). */
  hijack(request: Request, signal: AbortSignal): Promise<Duplex>
}

/** The daemon answered with an error. `status` is the HTTP status code. */
export class DockerError extends Error {
  override readonly name = 'DockerError'
  readonly status: number
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** We do not use what came later, and a bound keeps the meaning of what we use. */
const newestVersion = '1.47'

/** Rejects when no daemon answers before the signal aborts. */
export async function connectDocker(socketPath: string, signal: AbortSignal): Promise<DockerApi> {
  const found = await dockerApi(socketPath, undefined).json<{ ApiVersion?: string }>(
    { method: 'GET', path: '/version' },
    signal,
  )
  const theirs = found.ApiVersion ?? '1.41'
  return dockerApi(socketPath, older(theirs, newestVersion) ? theirs : newestVersion)
}

function older(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA < majorB || (majorA === majorB && minorA < minorB)
}

type Modem = {
  dial(options: object, callback: (error: unknown, answer: unknown) => void): void
}

function dockerApi(socketPath: string, version: string | undefined): DockerApi {
  // Every field that dockerode would take from the environment (DOCKER_HOST and its kin) is set here.
  const options = { socketPath, host: undefined, port: undefined, protocol: 'http', timeout: undefined }
  const docker = new Docker({ ...options, ...(version === undefined ? {} : { version: `v${version}` }) } as object)
  const modem = docker.modem as Modem

  function dial(request: Request, kind: 'json' | 'stream' | 'hijack', signal: AbortSignal): Promise<unknown> {
    const codes: Record<string, true> = { 200: true, 201: true, 202: true, 204: true }
    for (const code of request.also ?? []) codes[code] = true
    return new Promise((resolve, reject) => {
      modem.dial(
        {
          method: request.method,
          path: request.path + '?',
          options: { _query: request.query ?? {}, _body: request.body ?? {} },
          statusCodes: codes,
          abortSignal: signal,
          isStream: kind !== 'json',
          ...(kind === 'hijack' ? { hijack: true, openStdin: true } : {}),
          ...(request.auth === undefined ? {} : { authconfig: request.auth }),
          ...(request.archive === undefined ? {} : { file: Buffer.from(request.archive) }),
        },
        (error, answer) => {
          if (error !== null && error !== undefined) reject(dockerError(error, signal))
          else resolve(answer)
        },
      )
    })
  }

  return {
    version: version ?? '',
    async json<T>(request: Request, signal: AbortSignal) {
      const answer = await dial(request, 'json', signal)
      // An empty answer comes as an empty Buffer.
      return (Buffer.isBuffer(answer) ? undefined : answer) as T
    },
    stream: async (request, signal) => (await dial(request, 'stream', signal)) as Readable,
    hijack: async (request, signal) => (await dial(request, 'hijack', signal)) as Duplex,
  }
}

function dockerError(error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return error as Error
  const { statusCode, json, code, message } = error as {
    statusCode?: number
    json?: unknown
    code?: string
    message: string
  }
  if (statusCode === undefined)
    return new RuntimeError('Unavailable', `the Docker daemon does not answer: ${code ?? message}`, { cause: error })
  const said = (json as { message?: unknown } | null | undefined)?.message
  const words = typeof said === 'string' ? said : message.replace(/^\(HTTP code \d+\) [^-]*- /, '').trim()
  return new DockerError(statusCode, words, { cause: error })
}
