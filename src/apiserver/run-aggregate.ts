// Other API servers behind this one: requests for the groups and versions that APIServices give to a Service go there, with
// the client's identity in headers of a front proxy; discovery and OpenAPI show all servers as one. Each peer asks the others
// by itself; the one that leads also writes down whether they are available.
// https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { type ApiService, apiService } from '../api/kinds/apiservice.ts'
import { type EndpointSlice, endpointSlice } from '../api/kinds/endpointslice.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { type Service, service as serviceKind } from '../api/kinds/service.ts'
import type { Client } from '../client/client.ts'
import { prefixEnd, type Store, StoreError } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { ByteStream, HttpRequest, HttpResponse, Identity } from '../world/http.ts'
import type { World } from '../world/world.ts'
import {
  answerHeaders,
  type Claim,
  claimOf,
  type Endpoint,
  mayClaim,
  type Place,
  placeOf,
  proxyHeaders,
} from './aggregate.ts'
import { plain } from './answer.ts'
import { bodyBytesMax } from './decode.ts'
import type { Route } from './route.ts'
import { publishTrust, registerLocal } from './run-register.ts'
import { openRemotes, type Remotes } from './run-remotes.ts'
import type { Dial, FrontProxy, Upstream, UpstreamRequest } from './run-upstream.ts'
import { keyOf, objectOf, prefixOf } from './stored.ts'

export type AggregateConfig = {
  /** What this server shows to those behind it, asked for with each connection; waits until there is one. Absent: nothing. */
  readonly frontProxy?: (signal: AbortSignal) => Promise<FrontProxy>
  /** The authority of client certificates, as PEM. */
  readonly clientCaPem?: string
  /** Connects to the address of an endpoint that is no pod; default: TCP. */
  readonly dial?: (address: string, port: number, signal: AbortSignal) => Promise<Duplex>
}

export type AggregateContext = {
  readonly world: Pick<World, 'clock' | 'log'>
  readonly store: Store
  readonly config: AggregateConfig
  /** What this server answers for itself, now. */
  kinds(): readonly Kind[]
  /** A connection to a port of a pod; undefined: no agent is known that could make one. */
  dialPod(pod: Pod, port: number, signal: AbortSignal): Promise<Duplex | undefined>
  /** Writes what APIServices say of themselves. */
  readonly client: Client
}

export interface Aggregator extends Pick<Remotes, 'discovery' | 'openApi'> {
  /** Who answers instead of this server; undefined: nobody. */
  claim(asked: Route): Claim | undefined | Promise<Claim | undefined>
  /** What this server says of itself, in its own APIServices and to the servers behind it. For the leader; idempotent. */
  register(client: Client, until: AbortSignal): Promise<void>
  /** Never rejects for what the other server does. `place` is held until the answer has gone out. */
  proxy(claim: Claim, request: HttpRequest, identity: Identity, place: Disposable): Promise<HttpResponse>
}

const againMs = 1_000
const kindsLookMs = 2_000

export function openAggregator(context: AggregateContext, signal: AbortSignal): Aggregator {
  const { store, world, config } = context
  const known = Promise.withResolvers<void>()
  let isKnown = false
  let claims: ReadonlyMap<string, Claim> = new Map()
  let turn = 0

  const prefix = prefixOf(apiService)
  const all = { from: prefix, to: prefixEnd(prefix) }

  async function look(): Promise<number> {
    const { items, revision } = await store.range(all)
    const found = items.flatMap(item => claimOf(objectOf<ApiService>(item)) ?? [])
    claims = new Map(
      found.filter(claim => mayClaim(claim, context.kinds())).map(claim => [`${claim.group}/${claim.version}`, claim]),
    )
    remotes.follow([...claims.values()])
    isKnown = true
    known.resolve()
    return revision
  }

  async function followClaims(): Promise<void> {
    while (!signal.aborted) {
      try {
        const after = await look()
        for await (const { events } of store.watch({ ...all, after }, signal)) if (events.length > 0) await look()
      } catch (error) {
        if (signal.aborted) break
        if (!(error instanceof StoreError)) world.log.warn('APIServices cannot be followed', { error: String(error) })
      }
      await world.clock.sleep(againMs, signal)
    }
  }

  async function place(claim: Claim): Promise<Place> {
    const service = await store.get(keyOf(serviceKind, claim.namespace, claim.service))
    const within = prefixOf(endpointSlice, claim.namespace)
    const { items } = await store.range({ from: within, to: prefixEnd(within) })
    const slices = items
      .map(item => objectOf<EndpointSlice>(item))
      .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === claim.service)
    return placeOf(claim, service && objectOf<Service>(service), slices)
  }

  async function reach({ address, port, pod }: Endpoint, until: AbortSignal): Promise<Duplex> {
    const found = pod && (await store.get(keyOf(podKind, pod.namespace, pod.name)))
    // An address that is said to be a pod's is trusted to be one only while the pod is there.
    if (pod !== undefined && found === undefined) throw new Error(`pod ${pod.namespace}/${pod.name} is gone`)
    const through = found && (await context.dialPod(objectOf<Pod>(found), port, until))
    return through ?? (await (config.dial ?? dialAddress)(address, port, until))
  }

  const dial: Dial = async (claim, until) => {
    const where = await place(claim)
    if (where.kind === 'missing') throw new NotThere('service unavailable')
    const { endpoints } = where
    let failed: unknown
    // Each endpoint in turn, and when one is gone the next: it may be that nobody has noticed yet.
    for (const [i] of endpoints.entries()) {
      const endpoint = endpoints[(turn + i) % endpoints.length]
      if (endpoint === undefined || until.aborted) continue
      try {
        const socket = await reach(endpoint, until)
        turn += i + 1
        return socket
      } catch (error) {
        failed = error
      }
    }
    throw failed ?? new NotThere('service unavailable')
  }

  const frontProxy = async (until: AbortSignal) => await config.frontProxy?.(until)

  const remotes = openRemotes(context, { dial, place, frontProxy }, signal)
  void followClaims()
  void followKinds()

  /** Custom kinds come and go. */
  async function followKinds(): Promise<void> {
    let seen = context.kinds()
    while (!signal.aborted) {
      await world.clock.sleep(kindsLookMs, signal)
      const kinds = context.kinds()
      if (kinds === seen || signal.aborted) continue
      try {
        await look()
        if (store.status().role === 'leader') await registerLocal(context.client, kinds, signal)
        seen = kinds
      } catch (error) {
        world.log.debug('custom kinds were not registered yet', { error: String(error) })
      }
    }
  }

  return {
    discovery: remotes.discovery,
    openApi: remotes.openApi,
    async register(client, until) {
      const proxyIdentity = await frontProxy(until)
      await Promise.all([
        registerLocal(client, context.kinds(), until),
        publishTrust(client, config.clientCaPem, proxyIdentity, until),
      ])
    },
    claim(asked) {
      const [group, version] = asked.kind === 'resource' ? [asked.group, asked.version] : versionOf(asked.path)
      if (group === '' || version === undefined) return undefined
      const claimed = () => claims.get(`${group}/${version}`)
      return isKnown ? claimed() : known.promise.then(claimed)
    },
    async proxy(claim, request, asker, held) {
      try {
        const body = await request.body(bodyBytesMax)
        if (body === undefined) {
          throw new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${bodyBytesMax}`)
        }
        const upstream = remotes.upstream(claim)
        const sent = {
          method: request.method,
          path: request.query === '' ? request.path : `${request.path}?${request.query}`,
          headers: proxyHeaders(request.headers, asker, request.remote),
          body,
        }
        if (request.upgrade !== undefined) return await tunnelled(upstream, sent, request, held)
        const response = await upstream.send(sent, request.signal)
        const code = response.statusCode ?? 502
        if (isRedirect(code, response.headers)) {
          response.destroy()
          held[Symbol.dispose]()
          return redirected
        }
        // Also when nobody ever reads the body.
        onAbort(request.signal, () => held[Symbol.dispose]())
        return { kind: 'stream', code, headers: answerHeaders(response.headers), body: streamed(response, held) }
      } catch (error) {
        held[Symbol.dispose]()
        if (error instanceof ApiError) throw error
        return plain(503, `${unavailable(error)}\n`)
      }
    },
  }
}

/** The Service leads nowhere. */
class NotThere extends Error {
  override readonly name = 'NotThere'
}

/** In the words of kube-apiserver. */
function unavailable(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return error instanceof NotThere ? message : `error trying to reach service: ${message}`
}

/** '/apis/<group>/<version>'. */
function versionOf(path: string): readonly [string, string | undefined] {
  const [, root, group = '', version, ...rest] = path.split('/')
  return root === 'apis' && rest.length === 0 ? [group, version] : ['', undefined]
}

/** A client must not be led to where another server wants it, with what it shows to this one (CVE-2022-3172). */
const redirected = plain(502, 'the backend attempted to redirect this request, which is not permitted')

function isRedirect(code: number, headers: IncomingHttpHeaders): boolean {
  return code >= 300 && code <= 399 && headers.location !== undefined
}

/** The upgrade is the other server's to take or to refuse. */
async function tunnelled(
  upstream: Upstream,
  sent: UpstreamRequest,
  request: HttpRequest,
  held: Disposable,
): Promise<HttpResponse> {
  const wanted = { connection: 'Upgrade', upgrade: request.headers['upgrade'] ?? '' }
  const answer = await upstream.upgrade({ ...sent, headers: { ...sent.headers, ...wanted } }, request.signal)
  if ('stream' in answer) {
    const { headers, stream } = answer
    // Also when nobody ever runs it.
    onAbort(request.signal, () => {
      stream.abort()
      held[Symbol.dispose]()
    })
    const agreed = { connection: 'Upgrade', upgrade: headers.upgrade ?? wanted.upgrade }
    return {
      kind: 'tunnel',
      headers: { ...answerHeaders(headers), ...agreed },
      run: (client, signal) => join(client, stream, signal),
    }
  }
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  held[Symbol.dispose]()
  const code = answer.statusCode ?? 502
  if (isRedirect(code, answer.headers)) return redirected
  return { kind: 'whole', code, headers: answerHeaders(answer.headers), body: Buffer.concat(chunks) }
}

/** Carries bytes both ways, and each side's end to the other; ends when the server's side has, or either breaks. */
async function join(client: ByteStream, server: ByteStream, signal: AbortSignal): Promise<void> {
  using _ = onAbort(signal, () => server.abort())
  const up = async () => {
    for await (const bytes of client.read()) await server.write(bytes)
    await server.closeWrite()
  }
  up().catch(() => server.abort())
  try {
    for await (const bytes of server.read()) await client.write(bytes)
    await client.closeWrite()
  } catch {
    client.abort()
  } finally {
    server.abort()
  }
}

async function* streamed(source: AsyncIterable<Bytes>, held: Disposable): AsyncGenerator<Bytes> {
  try {
    yield* source
  } finally {
    held[Symbol.dispose]()
  }
}

function dialAddress(address: string, port: number, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true })
    const listening = onAbort(signal, () => socket.destroy(new Error(`${address}:${port} did not answer in time`)))
    socket.once('error', error => {
      listening[Symbol.dispose]()
      reject(error)
    })
    socket.once('connect', () => {
      listening[Symbol.dispose]()
      resolve(socket)
    })
  })
}
