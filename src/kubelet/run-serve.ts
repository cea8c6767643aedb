// The kubelet's side of logs, exec, attach, port-forward and statistics: requests of other peers' API servers, over the mesh.
// The protocol stands in proto/flotilla/v1/kubelet.proto. The caller has been admitted and may act for users; what it may
// ask was decided by the API server that speaks here.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type Bytes, text, utf8 } from '../lib/bytes.ts'
import { encodeChannel, frameDecoder } from '../wire/frame.ts'
import { type KubeletRequest, KubeletRequestSchema, StatsReplySchema } from '../wire/gen/flotilla/v1/kubelet_pb.ts'
import type { MeshStream } from '../world/network.ts'
import { type ContainerRuntime, type LogOptions, type Observed, RuntimeError, type Stdio } from '../world/runtime.ts'
import { historyOf } from './history.ts'
import type { Stats } from './run-stats.ts'

export const requestBytesMax = 256 * 1024

const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const

/** Serves one stream to its end; never rejects for what the other side does. */
export async function serveStream(
  runtime: ContainerRuntime,
  podOf: (namespace: string, name: string, uid: string) => Observed | undefined,
  stats: Stats,
  stream: MeshStream,
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const inbox = demultiplex(stream, () => ended.abort())
  let status: Json
  try {
    const request = await inbox.request
    status =
      request.ask.case === 'stats'
        ? await tellStats(stats, stream, both)
        : await answer(runtime, podOf, request, inbox, stream, both)
  } catch (error) {
    status = failure(error)
  }
  await stream.write(encodeChannel(channels.status, utf8(JSON.stringify(status)))).catch(() => undefined)
  await stream.closeWrite().catch(() => undefined)
  ended.abort()
}

type Json = Readonly<Record<string, unknown>>

function success(): Json {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' }
}

function exited(code: number): Json {
  if (code === 0) return success()
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
    code: 500,
  }
}

function failure(error: unknown): Json {
  const message = error instanceof Error ? error.message : String(error)
  const missing = error instanceof RuntimeError && error.reason === 'NotFound'
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: missing ? 'NotFound' : 'InternalError',
    code: missing ? 404 : 500,
  }
}

async function tellStats(stats: Stats, stream: MeshStream, signal: AbortSignal): Promise<Json> {
  const reply = await stats.ask(signal)
  await stream.write(encodeChannel(channels.stdout, toBinary(StatsReplySchema, reply)))
  return success()
}

async function answer(
  runtime: ContainerRuntime,
  podOf: (namespace: string, name: string, uid: string) => Observed | undefined,
  request: KubeletRequest,
  inbox: Inbox,
  stream: MeshStream,
  signal: AbortSignal,
): Promise<Json> {
  const observed = podOf(request.namespace, request.pod, request.uid)
  if (observed === undefined)
    throw new RuntimeError('NotFound', `pod ${request.namespace}/${request.pod} does not run here`)
  const { ask } = request
  if (ask.case === 'portForward') {
    return await forward(runtime, observed.uid, ask.value.port, inbox, stream, signal)
  }
  const { newest, previous } = historyOf(observed, request.container)
  const wanted = ask.case === 'logs' && ask.value.previous ? previous : newest
  if (wanted === undefined) {
    const which = ask.case === 'logs' && ask.value.previous ? 'previous terminated container' : 'container'
    throw new RuntimeError('NotFound', `${which} "${request.container}" in pod "${request.pod}" not found`)
  }
  const to = (channel: number) => (bytes: Bytes) => stream.write(encodeChannel(channel, bytes))
  switch (ask.case) {
    case 'logs': {
      const { follow, timestamps, tailLines, sinceMs, limitBytes, stream: only } = ask.value
      const options: LogOptions = {
        follow,
        timestamps,
        ...(tailLines !== undefined && { tailLines: Number(tailLines) }),
        ...(sinceMs !== undefined && { sinceMs: Number(sinceMs) }),
        ...(limitBytes !== undefined && { limitBytes: Number(limitBytes) }),
        ...((only === 'stdout' || only === 'stderr') && { stream: only }),
      }
      for await (const bytes of runtime.logs(wanted.id, options, signal)) await to(channels.stdout)(bytes)
      return success()
    }
    case 'exec': {
      if (wanted.state.kind !== 'running') throw new Error(`container "${request.container}" is not running`)
      const stdio: Stdio = { ...inbox, stdout: to(channels.stdout), stderr: to(channels.stderr) }
      const { command, tty, stdin } = ask.value
      return exited(await runtime.exec(wanted.id, { command, tty, stdin }, stdio, signal))
    }
    case 'attach': {
      if (wanted.state.kind !== 'running') throw new Error(`container "${request.container}" is not running`)
      const stdio: Stdio = { ...inbox, stdout: to(channels.stdout), stderr: to(channels.stderr) }
      await runtime.attach(wanted.id, { tty: ask.value.tty, stdin: ask.value.stdin }, stdio, signal)
      return success()
    }
    default:
      throw new Error('the request asks for nothing that this peer knows: it may be older than the one that asked')
  }
}

async function forward(
  runtime: ContainerRuntime,
  uid: string,
  port: number,
  inbox: Inbox,
  stream: MeshStream,
  signal: AbortSignal,
): Promise<Json> {
  const connection = await runtime.dial(uid, port, signal)
  try {
    const up = async () => {
      for await (const bytes of inbox.input) await connection.write(bytes)
      await connection.closeWrite()
    }
    up().catch(() => connection.abort())
    for await (const bytes of connection.read()) await stream.write(encodeChannel(channels.stdout, bytes))
    await stream.write(encodeChannel(channels.close, Uint8Array.of(channels.stdout)))
    return success()
  } finally {
    // The pod has closed: what the client still sends has nowhere to go.
    connection.abort()
  }
}

type Inbox = Pick<Stdio, 'input' | 'resizes'> & { readonly request: Promise<KubeletRequest> }

/** Reads the stream once and deals its frames out; `broke` is called when it breaks, not when the client has merely no more to send. */
function demultiplex(stream: MeshStream, broke: () => void): Inbox {
  const request = Promise.withResolvers<KubeletRequest>()
  request.promise.catch(() => undefined)
  const input = channel<Bytes>()
  const resizes = channel<{ width: number; height: number }>()

  async function read(): Promise<void> {
    const decoder = frameDecoder()
    let first = true
    for await (const bytes of stream.read()) {
      for (const payload of decoder.push(bytes)) {
        if (first) {
          first = false
          if (payload.length > requestBytesMax) throw new Error('the kubelet request is too large')
          request.resolve(create(KubeletRequestSchema, fromBinary(KubeletRequestSchema, payload)))
          continue
        }
        const body = payload.subarray(1)
        switch (payload[0]) {
          case channels.stdin:
            await input.push(body)
            break
          case channels.resize:
            await resizes.push(sizeOf(body))
            break
          case channels.close:
            if (body[0] === channels.stdin) input.end()
        }
      }
    }
  }

  read()
    .catch(error => {
      request.reject(error)
      broke()
    })
    .finally(() => {
      request.reject(new Error('the stream ended before its request'))
      input.end()
      resizes.end()
    })
  return { request: request.promise, input: input.read(), resizes: resizes.read() }
}

function sizeOf(body: Bytes): { width: number; height: number } {
  const { Width, Height } = JSON.parse(text(body)) as { Width?: unknown; Height?: unknown }
  return { width: Number(Width) || 80, height: Number(Height) || 24 }
}

/** A queue of one producer and one consumer; `push` waits while more than a few items lie in it. */
function channel<T>(): { push(item: T): Promise<void>; end(): void; read(): AsyncGenerator<T> } {
  const items: T[] = []
  let done = false
  let wakeReader: (() => void) | undefined
  let wakeWriter: (() => void) | undefined
  return {
    async push(item) {
      if (done) return
      items.push(item)
      wakeReader?.()
      while (items.length > 16 && !done) {
        await new Promise<void>(resolve => {
          wakeWriter = resolve
        })
      }
    },
    end() {
      done = true
      wakeReader?.()
      wakeWriter?.()
    },
    async *read() {
      try {
        while (true) {
          const item = items.shift()
          if (item !== undefined) {
            wakeWriter?.()
            yield item
          } else if (done) return
          else {
            await new Promise<void>(resolve => {
              wakeReader = resolve
            })
          }
        }
      } finally {
        done = true
        wakeWriter?.()
      }
    },
  }
}
