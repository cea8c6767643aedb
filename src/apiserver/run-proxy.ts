// pods/proxy and services/proxy: an HTTP request to a port of a pod, carried like a port-forward, so that it reaches the pod by
// its peer and never an address that somebody wrote into a status (CVE-2020-8555 and its kin).
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { ApiError } from '../api/error.ts'
import type { EndpointSlice } from '../api/kinds/endpointslice.ts'
import { endpointSlice } from '../api/kinds/endpointslice.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { type Service, service as serviceKind } from '../api/kinds/service.ts'
import { prefixEnd } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import { type Bytes, text } from '../lib/bytes.ts'
import { encodeChannel, frameDecoder } from '../wire/frame.ts'
import type { Clock } from '../world/clock.ts'
import type { HttpRequest, HttpResponse } from '../world/http.ts'
import type { MeshStream } from '../world/network.ts'
import { bodyBytesMax } from './decode.ts'
import type { ResourceRoute } from './route.ts'
import { get, type ReadContext } from './run-read.ts'
import { channels } from './session.ts'
import { keyOf, objectOf, prefixOf } from './stored.ts'

type Open = (pod: Pod, port: number, signal: AbortSignal) => Promise<MeshStream>

type Target = { readonly pod: Pod; readonly port: number; readonly secure: boolean }

const headersTimeoutMs = 30_000

export async function proxy(
  context: ReadContext,
  asked: ResourceRoute,
  request: HttpRequest,
  open: Open,
): Promise<HttpResponse> {
  if (request.upgrade !== undefined) throw new ApiError('BadRequest', 'upgrades are not proxied; use port-forward')
  const { scheme, name, port } = parts(asked.name ?? '')
  const target =
    asked.resource === 'pods'
      ? await podTarget(context, asked.namespace ?? '', name, port, request.signal)
      : await serviceTarget(context, asked.namespace ?? '', name, port, request.signal)
  const body = await request.body(bodyBytesMax)
  if (body === undefined) throw new ApiError('RequestEntityTooLarge', `a proxied body may have ${bodyBytesMax} bytes`)
  const stream = await open(target.pod, target.port, request.signal)
  const path = `/${asked.rest ?? ''}${request.path.endsWith('/') && (asked.rest ?? '') !== '' ? '/' : ''}`
  return await exchange(context.world.clock, stream, { ...target, secure: scheme === 'https' }, path, request, body)
}

/** 'https:name:port', 'name:port', 'name'. */
function parts(text: string): { readonly scheme: string; readonly name: string; readonly port: string } {
  const pieces = text.split(':')
  if (pieces.length === 1) return { scheme: 'http', name: pieces[0] ?? '', port: '' }
  if (pieces.length === 2) return { scheme: 'http', name: pieces[0] ?? '', port: pieces[1] ?? '' }
  const [scheme = '', name = '', port = ''] = pieces
  if (pieces.length !== 3 || !['http', 'https', ''].includes(scheme)) {
    throw new ApiError('BadRequest', `invalid proxy target ${JSON.stringify(text)}`)
  }
  return { scheme: scheme === '' ? 'http' : scheme, name, port }
}

async function podTarget(
  context: ReadContext,
  namespace: string,
  name: string,
  port: string,
  signal: AbortSignal,
): Promise<Target> {
  const pod = objectOf<Pod>(await get(context, podKind, namespace, name, '', { signal }))
  const ports = (pod.spec.containers ?? []).flatMap(({ ports = [] }) => ports)
  const number =
    port === '' ? (ports[0]?.containerPort ?? 80) : (ports.find(p => p.name === port)?.containerPort ?? Number(port))
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw new ApiError('BadRequest', `no port ${JSON.stringify(port)}`)
  return { pod, port: number, secure: false }
}

async function serviceTarget(
  context: ReadContext,
  namespace: string,
  name: string,
  port: string,
  signal: AbortSignal,
): Promise<Target> {
  const { store } = context
  const service = objectOf<Service>(await get(context, serviceKind, namespace, name, '', { signal }))
  const ports = service.spec.ports ?? []
  const wanted =
    port === ''
      ? ports.length === 1
        ? ports[0]
        : undefined
      : ports.find(p => p.name === port || String(p.port) === port)
  if (wanted === undefined)
    throw new ApiError('ServiceUnavailable', `no service port ${JSON.stringify(port)} found for service "${name}"`)
  const prefix = prefixOf(endpointSlice, namespace)
  const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
  const slices = items
    .map(item => objectOf<EndpointSlice>(item))
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
  for (const slice of slices) {
    const to = (slice.ports ?? []).find(p => (p.name ?? '') === (wanted.name ?? ''))?.port
    for (const endpoint of slice.endpoints ?? []) {
      const reference = endpoint.targetRef
      if (to === undefined || endpoint.conditions?.ready === false || reference?.kind !== 'Pod') continue
      const found = await store.get(keyOf(podKind, namespace, reference.name ?? ''))
      if (found !== undefined) return { pod: objectOf<Pod>(found), port: to, secure: false }
    }
  }
  throw new ApiError('ServiceUnavailable', `no endpoints available for service "${name}"`)
}

/** The mesh stream as a socket that node:http can speak over. */
export function socketOver(stream: MeshStream): Duplex {
  const decoder = frameDecoder()
  const frames = (async function* (): AsyncGenerator<Bytes> {
    for await (const bytes of stream.read()) {
      for (const payload of decoder.push(bytes)) {
        const channel = payload[0]
        if (channel === channels.stdout) yield payload.subarray(1)
        if (channel === channels.close) return
        if (channel !== channels.status) continue
        const status = JSON.parse(text(payload.subarray(1))) as { status?: string; message?: string }
        if (status.status !== 'Success') throw new Error(status.message ?? 'the agent of the node failed')
        return
      }
    }
  })()
  const socket: Duplex = new Duplex({
    read() {
      frames.next().then(
        next => void socket.push(next.done === true ? null : next.value),
        error => socket.destroy(error as Error),
      )
    },
    write(chunk: Buffer, _encoding, done) {
      stream.write(encodeChannel(channels.stdin, chunk)).then(() => done(), done)
    },
    final(done) {
      stream.write(encodeChannel(channels.close, Uint8Array.of(channels.stdin))).then(() => done(), done)
    },
    destroy(error, done) {
      stream.abort()
      done(error)
    },
  })
  return socket
}

/** Of this connection, not of the message; and what would hand our own credentials to a pod. */
const dropped = [
  'connection',
  'host',
  'authorization',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
]

function headersFor(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => !dropped.includes(name) && !name.startsWith('impersonate-'))
  return Object.fromEntries(kept)
}

function exchange(
  clock: Clock,
  stream: MeshStream,
  target: Target,
  path: string,
  request: HttpRequest,
  body: Bytes,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const raw = socketOver(stream)
    const socket = target.secure ? tlsConnect({ socket: raw, rejectUnauthorized: false }) : raw
    const gone = onAbort(request.signal, () => raw.destroy())
    const deadline = clock.deadline(headersTimeoutMs, request.signal)
    const fail = (error: Error) => {
      gone[Symbol.dispose]()
      deadline[Symbol.dispose]()
      raw.destroy()
      reject(
        new ApiError('ServiceUnavailable', `error trying to reach the pod: ${error.message}`, undefined, {
          cause: error,
        }),
      )
    }
    raw.on('error', fail)
    onAbort(deadline.signal, () => fail(new Error('it did not answer in time')))
    const outgoing = httpRequest({
      createConnection: () => socket,
      method: request.method,
      path: request.query === '' ? path : `${path}?${request.query}`,
      headers: {
        ...headersFor(request.headers),
        host: `${target.pod.metadata.name}:${target.port}`,
        ...(body.length > 0 && { 'content-length': body.length }),
        'x-forwarded-for': request.remote,
      },
    })
    outgoing.on('error', fail)
    outgoing.on('response', response => {
      deadline[Symbol.dispose]()
      const { statusCode = 502 } = response
      const answer = async function* () {
        try {
          for await (const chunk of response) yield chunk as Bytes
        } finally {
          gone[Symbol.dispose]()
          raw.destroy()
        }
      }
      resolve({ kind: 'stream', code: statusCode, headers: answerHeaders(response.headers), body: answer() })
    })
    outgoing.end(body)
  })
}

function answerHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = Object.entries(headers).filter(
    ([name]) => !['connection', 'keep-alive', 'transfer-encoding', 'upgrade'].includes(name),
  )
  return Object.fromEntries(
    kept.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  )
}
