// Logs, exec, attach, port-forward and proxy: bridges between a client of the API and the kubelet that runs the pod, which
// is reached over the mesh by its peer ID, never at an address that a node wrote into its status.
import { toBinary } from '@bufbuild/protobuf'
import { ApiError, type Reason } from '../api/error.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { onAbort } from '../lib/abort.ts'
import { type Bytes, text, utf8 } from '../lib/bytes.ts'
import { encodeChannel, encodeFrame, frameDecoder } from '../wire/frame.ts'
import { type KubeletRequest, KubeletRequestSchema } from '../wire/gen/flotilla/v1/kubelet_pb.ts'
import type {
  CommandSession,
  ForwardConnection,
  ForwardSession,
  HttpRequest,
  HttpResponse,
  Identity,
} from '../world/http.ts'
import type { MeshStream, PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { Limiter } from './limits.ts'
import type { ResourceRoute } from './route.ts'
import { proxy } from './run-proxy.ts'
import { get, type ReadContext } from './run-read.ts'
import {
  attachRequest,
  channels,
  containerOf,
  execRequest,
  failureStatus,
  forwardRequest,
  logsRequest,
  streamsOf,
} from './session.ts'
import { objectOf } from './stored.ts'

export type Kubelets = {
  peerOfNode(name: string): PeerId | undefined
  open(peer: PeerId, signal: AbortSignal): Promise<MeshStream>
}

export type SessionContext = ReadContext & { readonly world: Pick<World, 'clock' | 'log'> }

const connectTimeoutMs = 10_000

/** undefined: the request is none of these. */
export async function session(
  context: SessionContext,
  kubelets: Kubelets,
  asked: ResourceRoute,
  query: URLSearchParams,
  request: HttpRequest,
  limiter: Limiter,
  identity: Identity,
): Promise<HttpResponse | undefined> {
  const { resource, subresource, group, namespace = '', name = '' } = asked
  if (group !== '' || subresource === undefined) return undefined
  if (subresource === 'proxy' && (resource === 'pods' || resource === 'services')) {
    using _ = limiter.enter('session', identity.user)
    return await proxy(context, asked, request, (pod, port, until) => openForward(context, kubelets, pod, port, until))
  }
  if (resource !== 'pods' || !['log', 'exec', 'attach', 'portforward'].includes(subresource)) return undefined
  const stored = await get(context, podKind, namespace, name, '', request)
  const pod = objectOf<Pod>(stored)
  const place = () => limiter.enter('session', identity.user)
  switch (subresource) {
    case 'log':
      return await logs(context, kubelets, pod, query, request, place)
    case 'exec':
    case 'attach': {
      const target = { pod, container: containerOf(pod, query.get('container') ?? '') }
      const streams = streamsOf(query)
      const wanted = subresource === 'exec' ? execRequest(target, query, streams) : attachRequest(target, streams)
      nodeOf(pod)
      return {
        kind: 'command',
        streams,
        run: async (session, signal) => {
          using _ = place()
          await bridgeCommand(context, kubelets, pod, wanted, session, signal)
        },
      }
    }
    default:
      nodeOf(pod)
      return {
        kind: 'forward',
        run: async (session, signal) => {
          using _ = place()
          await bridgeForward(context, kubelets, pod, session, signal)
        },
      }
  }
}

function nodeOf(pod: Pod): string {
  const node = pod.spec.nodeName ?? ''
  if (node === '') throw new ApiError('BadRequest', `pod ${pod.metadata.name} does not have a host assigned`)
  return node
}

async function connect(
  context: SessionContext,
  kubelets: Kubelets,
  pod: Pod,
  wanted: KubeletRequest,
  signal: AbortSignal,
): Promise<MeshStream> {
  const node = nodeOf(pod)
  const peer = kubelets.peerOfNode(node)
  if (peer === undefined) throw new ApiError('ServiceUnavailable', `no peer is known for node ${node}`)
  using deadline = context.world.clock.deadline(connectTimeoutMs, signal)
  let stream: MeshStream
  try {
    stream = await kubelets.open(peer, deadline.signal)
  } catch (error) {
    throw new ApiError(
      'ServiceUnavailable',
      `the agent of node ${node} cannot be reached: ${messageOf(error)}`,
      undefined,
      {
        cause: error,
      },
    )
  }
  await stream.write(encodeFrame(toBinary(KubeletRequestSchema, wanted)))
  return stream
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

type Frame = { readonly channel: number; readonly payload: Bytes }

/** Ends when the other side has said all. */
async function* framesOf(stream: MeshStream): AsyncGenerator<Frame> {
  const decoder = frameDecoder()
  for await (const bytes of stream.read()) {
    for (const payload of decoder.push(bytes)) yield { channel: payload[0] ?? 0, payload: payload.subarray(1) }
  }
}

/** Text as it comes. A failure before the first byte is an error answer; after it, the end. */
async function logs(
  context: SessionContext,
  kubelets: Kubelets,
  pod: Pod,
  query: URLSearchParams,
  request: HttpRequest,
  place: () => Disposable,
): Promise<HttpResponse> {
  const target = { pod, container: containerOf(pod, query.get('container') ?? '') }
  const wanted = logsRequest(target, query, context.world.clock.nowMs())
  // Nothing has run yet, so there is nothing to show.
  if ((pod.spec.nodeName ?? '') === '') {
    return { kind: 'whole', code: 200, headers: { 'content-type': 'text/plain' }, body: '' }
  }
  const held = place()
  try {
    const stream = await connect(context, kubelets, pod, wanted.request, request.signal)
    const gone = onAbort(request.signal, () => stream.abort())
    const frames = framesOf(stream)
    const first = await frames.next()
    if (first.done !== true && first.value.channel === channels.status) {
      gone[Symbol.dispose]()
      const failed = errorIn(first.value.payload)
      if (failed) throw failed
    }
    const body = logBytes(first, frames, [gone, held, { [Symbol.dispose]: () => stream.abort() }])
    // Also when nobody ever reads the body.
    onAbort(request.signal, () => held[Symbol.dispose]())
    return { kind: 'stream', code: 200, headers: { 'content-type': 'text/plain' }, body }
  } catch (error) {
    held[Symbol.dispose]()
    throw error
  }
}

async function* logBytes(
  first: IteratorResult<Frame>,
  frames: AsyncGenerator<Frame>,
  held: readonly Disposable[],
): AsyncGenerator<Bytes | string> {
  try {
    for (let next = first; next.done !== true; next = await frames.next()) {
      const { channel, payload } = next.value
      if (channel === channels.stdout) yield payload
      if (channel !== channels.status) continue
      const failed = errorIn(payload)
      if (failed) yield `\n${failed.message}\n`
      return
    }
  } finally {
    for (const each of held) each[Symbol.dispose]()
  }
}

/** What a kubelet's closing Status says went wrong, as an error of this API. */
function errorIn(payload: Bytes): ApiError | undefined {
  const status = JSON.parse(text(payload)) as { status?: string; message?: string; reason?: Reason }
  if (status.status === 'Success') return undefined
  const known: readonly string[] = ['BadRequest', 'NotFound', 'Forbidden', 'ServiceUnavailable', 'Timeout']
  const reason = status.reason !== undefined && known.includes(status.reason) ? status.reason : 'InternalError'
  return new ApiError(reason, status.message ?? 'the agent of the node failed')
}

async function bridgeCommand(
  context: SessionContext,
  kubelets: Kubelets,
  pod: Pod,
  wanted: KubeletRequest,
  session: CommandSession,
  signal: AbortSignal,
): Promise<void> {
  let stream: MeshStream
  try {
    stream = await connect(context, kubelets, pod, wanted, signal)
  } catch (error) {
    await session.finish(JSON.stringify(failureStatus(messageOf(error))))
    return
  }
  // The client's going ends the command: the kubelet sees its stream break.
  using _ = onAbort(signal, () => stream.abort())
  const sending = Promise.all([
    (async () => {
      for await (const bytes of session.stdin) await stream.write(encodeChannel(channels.stdin, bytes))
      await stream.write(encodeChannel(channels.close, Uint8Array.of(channels.stdin)))
    })(),
    (async () => {
      for await (const { width, height } of session.resizes) {
        await stream.write(encodeChannel(channels.resize, utf8(JSON.stringify({ Width: width, Height: height }))))
      }
    })(),
  ])
  // It may end in the middle of a write, when the command is over before its input is.
  sending.catch(() => {})
  let status: string | undefined
  try {
    for await (const { channel, payload } of framesOf(stream)) {
      if (channel === channels.stdout) await session.stdout(payload)
      else if (channel === channels.stderr) await session.stderr(payload)
      else if (channel === channels.status) {
        status = text(payload)
        break
      }
    }
  } catch (error) {
    if (!signal.aborted) status = JSON.stringify(failureStatus(`the agent of the node broke off: ${messageOf(error)}`))
  } finally {
    stream.abort()
  }
  if (signal.aborted) return
  await session.finish(status ?? JSON.stringify(failureStatus('the agent of the node ended without a status')))
}

export async function openForward(
  context: SessionContext,
  kubelets: Kubelets,
  pod: Pod,
  port: number,
  signal: AbortSignal,
): Promise<MeshStream> {
  return await connect(context, kubelets, pod, forwardRequest(pod, port), signal)
}

async function bridgeForward(
  context: SessionContext,
  kubelets: Kubelets,
  pod: Pod,
  session: ForwardSession,
  signal: AbortSignal,
): Promise<void> {
  const running = new Set<Promise<void>>()
  for await (const connection of session.connections) {
    const one = forwardOne(context, kubelets, pod, connection, signal)
      .catch(error => context.world.log.debug('a forwarded connection failed', { error: String(error) }))
      .finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
}

async function forwardOne(
  context: SessionContext,
  kubelets: Kubelets,
  pod: Pod,
  connection: ForwardConnection,
  signal: AbortSignal,
): Promise<void> {
  let stream: MeshStream
  try {
    stream = await openForward(context, kubelets, pod, connection.port, signal)
  } catch (error) {
    await connection.fail(messageOf(error))
    return
  }
  using _ = onAbort(signal, () => stream.abort())
  using __ = onAbort(connection.signal, () => stream.abort())
  const sending = (async () => {
    for await (const bytes of connection.read()) await stream.write(encodeChannel(channels.stdin, bytes))
    await stream.write(encodeChannel(channels.close, Uint8Array.of(channels.stdin)))
  })()
  sending.catch(() => {})
  try {
    for await (const { channel, payload } of framesOf(stream)) {
      if (channel === channels.stdout) await connection.write(payload)
      else if (channel === channels.close) await connection.closeWrite()
      else if (channel === channels.status) {
        const failed = errorIn(payload)
        if (failed) await connection.fail(failed.message)
        else await connection.closeWrite()
        return
      }
    }
    await connection.closeWrite()
  } catch (error) {
    if (!signal.aborted && !connection.signal.aborted) {
      await connection.fail(`the agent of the node broke off: ${messageOf(error)}`)
    }
  } finally {
    // What the client still sends meets a broken stream and is dropped; its own closing ends the connection.
    stream.abort()
  }
}
