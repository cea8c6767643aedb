// Asks a webhook: JSON over HTTPS, to a URL or to a Service. A Service's pod is reached through the agent of its node, as
// port-forward is, so that it needs no route from this machine; the certificate must name <service>.<namespace>.svc.
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#contacting-the-webhook

import type { Duplex } from 'node:stream'
import { type EndpointSlice, endpointSlice } from '../api/kinds/endpointslice.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { type Service, service as serviceKind } from '../api/kinds/service.ts'
import type { JsonObject } from '../api/schema.ts'
import type { WebhookClientConfig } from '../api/types/admission.ts'
import { prefixEnd, type Store } from '../kv/store.ts'
import { type Bytes, text, utf8 } from '../lib/bytes.ts'
import { parseExact } from '../lib/json.ts'
import type { ByteStream, HttpsCall, HttpsCaller } from '../world/http.ts'
import type { World } from '../world/world.ts'
import { placeOf } from './aggregate.ts'
import { keyOf, objectOf, prefixOf } from './stored.ts'

export type WebhookContext = {
  readonly world: Pick<World, 'clock' | 'log'>
  readonly store: Store
  readonly caller: HttpsCaller | undefined
  /** A connection to a port of a pod; undefined: no agent is known that could make one. */
  dialPod(pod: Pod, port: number, signal: AbortSignal): Promise<Duplex | undefined>
}

export interface Webhooks {
  /** The JSON that it answers. Rejects with an Error in the words of client-go. */
  post(config: WebhookClientConfig, body: JsonObject, timeoutMs: number, signal: AbortSignal): Promise<unknown>
}

const answerBytesMax = 8 * 1024 * 1024

export function openWebhooks(context: WebhookContext): Webhooks {
  return {
    async post(config, body, timeoutMs, signal) {
      const { caller, world } = context
      if (caller === undefined) throw new Error('this server has no way to call webhooks')
      using deadline = world.clock.deadline(timeoutMs, signal)
      const query = `?timeout=${Math.round(timeoutMs / 1_000)}s`
      const where = await whereOf(context, config, deadline.signal)
      const request: HttpsCall = {
        method: 'POST',
        ...where,
        path: where.path + query,
        headers: { 'content-type': 'application/json', accept: 'application/json, */*' },
        body: utf8(JSON.stringify(body)),
        ca: config.caBundle ? Buffer.from(config.caBundle, 'base64').toString() : undefined,
        bytesMax: answerBytesMax,
      }
      const shown = `https://${where.host}:${where.port}${where.path}${query}`
      let answer: Awaited<ReturnType<HttpsCaller['call']>>
      try {
        answer = await caller.call(request, deadline.signal)
      } catch (error) {
        const why = deadline.signal.aborted ? 'context deadline exceeded' : wordsOf(error)
        throw new Error(`Post ${JSON.stringify(shown)}: ${why}`, { cause: error })
      }
      return parsed(answer.code, answer.body)
    },
  }
}

type Where = Pick<HttpsCall, 'host' | 'port' | 'path' | 'via' | 'address' | 'addressPort'>

async function whereOf(context: WebhookContext, config: WebhookClientConfig, signal: AbortSignal): Promise<Where> {
  const { url, service } = config
  if (service === undefined) {
    const parsed = URL.parse(url ?? '')
    if (parsed === null) throw new Error(`the URL ${JSON.stringify(url)} of the webhook cannot be read`)
    const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
    return { host, port: Number(parsed.port || 443), path: parsed.pathname }
  }
  const { namespace, name, port, path = '/' } = service
  const host = `${name}.${namespace}.svc`
  const way = await wayTo(context, { namespace, service: name, port }, signal)
  return { host, port, path: path === '' ? '/' : path, ...way }
}

type Target = { readonly namespace: string; readonly service: string; readonly port: number }

/** To one of the ready endpoints; when an agent cannot make the connection, to the next. */
async function wayTo(context: WebhookContext, target: Target, signal: AbortSignal): Promise<Partial<Where>> {
  const { store } = context
  const stored = await store.get(keyOf(serviceKind, target.namespace, target.service))
  if (stored === undefined) throw new Error(`service ${JSON.stringify(target.service)} not found`)
  const prefix = prefixOf(endpointSlice, target.namespace)
  const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
  const slices = items
    .map(item => objectOf<EndpointSlice>(item))
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === target.service)
  const place = placeOf(target, objectOf<Service>(stored), slices)
  if (place.kind === 'missing') {
    const isEmpty = place.reason !== 'ServicePortError'
    throw new Error(isEmpty ? `no endpoints available for service ${JSON.stringify(target.service)}` : place.message)
  }
  let failed: unknown
  for (const { address, port, pod } of place.endpoints) {
    try {
      if (pod === undefined) return { address, addressPort: port }
      // Never at the address beside it: whoever writes endpoints could name a pod and lead to this machine itself.
      const found = await store.get(keyOf(podKind, pod.namespace, pod.name))
      const socket = found && (await context.dialPod(objectOf<Pod>(found), port, signal))
      if (socket === undefined) throw new Error(`pod ${JSON.stringify(pod.name)} behind the service cannot be reached`)
      return { via: bytesOver(socket) }
    } catch (error) {
      context.world.log.debug('an endpoint of a webhook cannot be reached', { address, port, error: String(error) })
      failed = error
    }
  }
  throw failed
}

/** A socket as the bytes that a driver reads and writes. */
function bytesOver(socket: Duplex): ByteStream {
  // Who reads or writes is told; what comes after that must end nothing else.
  socket.on('error', () => {})
  return {
    read: () => socket as AsyncIterable<Bytes>,
    write: bytes =>
      new Promise((resolve, reject) => {
        socket.write(bytes, error => (error ? reject(error) : resolve()))
      }),
    closeWrite: () => new Promise(resolve => socket.end(() => resolve())),
    abort: () => void socket.destroy(),
  }
}

function parsed(code: number, body: Bytes): unknown {
  const shown = text(body)
  if (code < 200 || code > 299) {
    if (code === 404) throw new Error('the server could not find the requested resource')
    throw new Error(
      `an error on the server (${JSON.stringify(shown.slice(0, 512))}) has prevented the request from succeeding`,
    )
  }
  try {
    return parseExact(shown)
  } catch (error) {
    const excerpt = JSON.stringify(shown.slice(0, 128))
    throw new Error(`couldn't get version/kind; json parse error: the answer ${excerpt} is no JSON`, { cause: error })
  }
}

/** What breaks a connection, as Go says it. */
function wordsOf(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException & { readonly address?: string }
  const { address, port } = error as { readonly address?: string; readonly port?: number }
  switch (code) {
    case 'ECONNREFUSED':
      return `dial tcp ${address ?? ''}:${port ?? ''}: connect: connection refused`
    case 'ECONNRESET':
      return 'EOF'
    case 'ENOTFOUND':
      return `dial tcp: lookup ${(error as { hostname?: string }).hostname ?? ''}: no such host`
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_SIGNATURE_FAILURE':
      return 'tls: failed to verify certificate: x509: certificate signed by unknown authority'
    case 'CERT_HAS_EXPIRED':
      return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `tls: failed to verify certificate: x509: ${message}`
    default:
      return message
  }
}
