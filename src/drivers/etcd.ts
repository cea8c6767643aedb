// An external etcd, spoken to with the npm package etcd3 by its plain calls: what that package does of its own to repeat
// calls is switched off, since a transaction that was sent twice could happen twice. One client per endpoint, one of them
// in use; a failure moves on to the next.
import { readFile } from 'node:fs/promises'
import type * as Library from 'etcd3'
import { onAbort } from '../lib/abort.ts'
import {
  EtcdError,
  type EtcdEvent,
  type EtcdItem,
  type EtcdLink,
  type EtcdOperation,
  type EtcdPage,
} from '../world/etcd.ts'

export type EtcdOptions = {
  /** `http://host:port` or `https://host:port`; all of one kind. */
  readonly endpoints: readonly string[]
  /** PEM files. Without a CA, https trusts what the system trusts. A client certificate needs its key, and a CA. */
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
}

/** A page of a load may be large: a thousand objects of up to 1.5 MB each. */
const messageBytesMax = -1

const channelOptions = {
  'grpc.max_receive_message_length': messageBytesMax,
  'grpc.max_send_message_length': messageBytesMax,
  // A server that is gone without a word: etcd takes no pings more often than every five seconds.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 4_000,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
} as const

/** Checks the options and reads the files; connections are made when something is asked. */
export async function openEtcd(options: EtcdOptions): Promise<EtcdLink> {
  const { endpoints } = options
  const schemes = new Set(endpoints.map(schemeOf))
  if (schemes.size !== 1) throw new Error('--datastore wants one or more URLs, all http:// or all https://')
  const credentials = await readCredentials(options, schemes.has('https:'))
  const { Etcd3 } = await import('etcd3')
  const faultHandling = { host: once, global: once() }
  const clients = endpoints.map(
    endpoint =>
      new Etcd3({
        hosts: endpoint,
        grpcOptions: channelOptions,
        faultHandling,
        ...(credentials !== undefined && { credentials }),
      }),
  )
  return createLink(clients, endpoints)
}

type Policy = NonNullable<NonNullable<Library.IOptions['faultHandling']>['global']>

/** Does what it is given once, and lets errors through. */
function once(): Policy {
  const none = () => ({ dispose() {} })
  const policy = {
    onSuccess: none,
    onFailure: none,
    execute: (act: (context: { signal: AbortSignal }) => unknown, signal = new AbortController().signal) =>
      Promise.try(act, { signal }),
  }
  // The package's type has a field that it says is not there.
  return policy as unknown as Policy
}

function schemeOf(endpoint: string): string {
  const url = URL.parse(endpoint)
  if (url === null || !/^https?:$/.test(url.protocol) || url.port === '' || !/^\/?$/.test(url.pathname)) {
    throw new Error(`not the address of an etcd: ${endpoint}; it looks like https://10.0.0.5:2379, port included`)
  }
  return url.protocol
}

async function readCredentials({ ca, certificate, key }: EtcdOptions, isSecure: boolean) {
  if (!isSecure) {
    if ((ca ?? certificate ?? key) !== undefined) throw new Error('certificates are for https:// addresses of an etcd')
    return undefined
  }
  if ((certificate === undefined) !== (key === undefined)) {
    throw new Error('a client certificate for etcd needs its key, and the key its certificate')
  }
  if (ca === undefined && certificate === undefined) return undefined
  if (ca === undefined) throw new Error('a client certificate for etcd needs the CA of the servers beside it')
  const rootCertificate = await readFile(ca)
  if (certificate === undefined || key === undefined) return { rootCertificate }
  return { rootCertificate, certChain: await readFile(certificate), privateKey: await readFile(key) }
}

function createLink(clients: readonly Library.Etcd3[], endpoints: readonly string[]): EtcdLink {
  let current = 0

  function used(): { client: Library.Etcd3; at: number } {
    const client = clients[current]
    if (client === undefined) throw new EtcdError('not-done', 'there is no endpoint')
    return { client, at: current }
  }

  function failed(error: unknown, at: number): EtcdError {
    const mapped = etcdError(error, endpoints[at] ?? '')
    if ((mapped.reason === 'unavailable' || mapped.reason === 'not-done') && at === current) {
      current = (current + 1) % clients.length
    }
    return mapped
  }

  /** On the endpoint in use; on each other one as long as nobody was reached. */
  async function call<T>(
    timeoutMs: number,
    act: (client: Library.Etcd3, options: { deadline: number }) => Promise<T>,
  ): Promise<T> {
    const deadline = Date.now() + timeoutMs
    for (let tries = 1; ; tries++) {
      const { client, at } = used()
      try {
        return await act(client, { deadline })
      } catch (error) {
        const mapped = failed(error, at)
        if (mapped.reason !== 'not-done' || tries >= clients.length || Date.now() >= deadline) throw mapped
      }
    }
  }

  async function* watch(from: number, signal: AbortSignal): AsyncGenerator<readonly EtcdEvent[]> {
    const { client, at } = used()
    try {
      const stream = await client.watchClient.watch()
      using _listener = onAbort(signal, () => stream.cancel())
      try {
        stream.write({ create_request: { key: zero, range_end: zero, start_revision: from } })
        for await (const response of stream as unknown as AsyncIterable<Library.IWatchResponse>) {
          if (signal.aborted) return
          if (response.canceled) throw canceled(response)
          yield response.events.map(eventOf)
        }
        if (!signal.aborted) throw new EtcdError('unavailable', 'etcd ended the watch')
      } finally {
        stream.cancel()
      }
    } catch (error) {
      if (!signal.aborted) throw failed(error, at)
    }
  }

  return {
    watch,
    async range({ from, to, limit, revision }, timeoutMs): Promise<EtcdPage> {
      const request = { key: bytesOf(from), range_end: bytesOf(to), limit, revision }
      const { kvs, more, header } = await call(timeoutMs, (client, options) => client.kv.range(request, options))
      return {
        items: kvs.map(itemOf),
        isMore: more,
        revision: Number(header.revision),
        cluster: header.cluster_id,
      }
    },
    async txn({ compare, success, otherwise }, timeoutMs) {
      const request: Library.ITxnRequest = {
        compare: compare.map(({ key, target, revision }) => ({
          result: 'Equal',
          key: bytesOf(key),
          ...(target === 'mod'
            ? { target: 'Mod', mod_revision: revision }
            : { target: 'Create', create_revision: revision }),
        })),
        success: success.map(operationOf),
        failure: otherwise.map(key => ({ request_range: { key: bytesOf(key) } })),
      }
      const { succeeded, header, responses } = await call(timeoutMs, (client, options) =>
        client.kv.txn(request, options),
      )
      const read = succeeded ? [] : responses.map(({ response_range }) => response_range.kvs.map(itemOf)[0])
      return { succeeded, revision: Number(header.revision), cluster: header.cluster_id, read }
    },
    async grant(ttlSeconds, timeoutMs) {
      const { ID } = await call(timeoutMs, (client, options) =>
        client.leaseClient.leaseGrant({ TTL: ttlSeconds }, options),
      )
      return ID
    },
    keepAlive: (lease, timeoutMs) =>
      call(timeoutMs, async (client, options) => {
        const stream = await client.leaseClient.leaseKeepAlive(options)
        try {
          stream.write({ ID: lease })
          for await (const response of stream as unknown as AsyncIterable<Library.ILeaseKeepAliveResponse>) {
            const seconds = Number(response.TTL)
            if (seconds > 0) return seconds
            throw new EtcdError('lease-not-found', 'the lease has run out')
          }
          throw new EtcdError('unavailable', 'etcd ended the renewal of a lease')
        } finally {
          stream.cancel()
        }
      }),
    async revoke(lease, timeoutMs) {
      await call(timeoutMs, (client, options) => client.leaseClient.leaseRevoke({ ID: lease }, options))
    },
    async compact(revision, timeoutMs) {
      await call(timeoutMs, (client, options) => client.kv.compact({ revision }, options))
    },
    avoid() {
      current = (current + 1) % clients.length
    },
    close() {
      for (const client of clients) client.close()
    },
  }
}

const zero = Buffer.from([0])
const bytesOf = (text: string) => Buffer.from(text, 'latin1')

function operationOf(operation: EtcdOperation): Library.IRequestOp {
  const key = bytesOf(operation.key)
  if (operation.kind === 'delete') return { request_delete_range: { key } }
  return { request_put: { key, value: bytesOf(operation.value), lease: operation.lease } }
}

function itemOf(item: Library.IKeyValue): EtcdItem {
  return {
    key: item.key.toString('latin1'),
    value: item.value.toString('latin1'),
    createRevision: Number(item.create_revision),
    modRevision: Number(item.mod_revision),
    version: Number(item.version),
    lease: item.lease,
  }
}

function eventOf({ type, kv }: Library.IEvent): EtcdEvent {
  if (type !== 'Delete') return { kind: 'put', item: itemOf(kv) }
  return { kind: 'delete', key: kv.key.toString('latin1'), revision: Number(kv.mod_revision) }
}

function canceled({ compact_revision, cancel_reason }: Library.IWatchResponse): EtcdError {
  const oldest = Number(compact_revision)
  if (oldest > 0) return new EtcdError('compacted', `etcd has forgotten what was before revision ${oldest}`)
  const isDenied = /permission denied|auth/.test(cancel_reason)
  return new EtcdError(isDenied ? 'refused' : 'unavailable', `etcd ended the watch: ${cancel_reason}`)
}

/** By what etcd and gRPC say, since the package keeps no more of an error than its text: `<code> <NAME>: <message>`. */
const meanings: readonly (readonly [RegExp, EtcdError['reason']])[] = [
  [/revision has been compacted/, 'compacted'],
  [/request is too large|too many operations|larger than max/, 'too-large'],
  [/requested lease not found/, 'lease-not-found'],
  [/space exceeded|too many requests/, 'not-done'],
  [/^14 .*(?:No connection established|Name resolution failed|ECONNREFUSED)/, 'not-done'],
  [/^(?:3|5|6|7|9|11|12|16) |permission denied|invalid auth|authentication failed/, 'refused'],
]

function etcdError(error: unknown, endpoint: string): EtcdError {
  if (error instanceof EtcdError) return error
  const text = error instanceof Error ? error.message : String(error)
  const reason = meanings.find(([pattern]) => pattern.test(text))?.[1] ?? 'unavailable'
  return new EtcdError(reason, `${endpoint}: ${text}`, { cause: error })
}
