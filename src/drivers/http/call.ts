// HTTPS requests that we make ourselves. Connections to an address are kept for the next request; one that runs over a
// stream ends with it. The certificate must hold, for the name that was asked for. Redirects are not followed.
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { isIP } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { onAbort } from '../../lib/abort.ts'
import type { ByteStream, HttpsAnswer, HttpsCall, HttpsCaller } from '../../world/http.ts'

const idleMs = 30_000
const idleSocketsMax = 16

/** Its kept connections end with the signal. */
export function openCaller(signal: AbortSignal): HttpsCaller {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: idleSocketsMax, timeout: idleMs })
  onAbort(signal, () => agent.destroy())
  return { call: (asked, until) => call(agent, asked, until) }
}

function call(agent: Agent, asked: HttpsCall, signal: AbortSignal): Promise<HttpsAnswer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      asked.via?.abort()
      reject(new Error('context deadline exceeded'))
      return
    }
    const { host, port, via } = asked
    const outgoing = httpsRequest({
      method: asked.method,
      path: asked.path,
      headers: {
        host: port === 443 ? bracketed(host) : `${bracketed(host)}:${port}`,
        ...asked.headers,
        'content-length': asked.body.length,
      },
      ...connection(agent, asked),
    })
    const listener = onAbort(signal, () => fail(new Error('context deadline exceeded')))
    function fail(error: Error): void {
      listener[Symbol.dispose]()
      outgoing.destroy()
      via?.abort()
      reject(error)
    }
    outgoing.on('error', fail)
    outgoing.on('response', response => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('error', fail)
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > asked.bytesMax) fail(new Error(`the answer is longer than ${asked.bytesMax} bytes`))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        if (!response.complete) return fail(new Error('unexpected EOF'))
        listener[Symbol.dispose]()
        via?.abort()
        const headers = Object.fromEntries(
          Object.entries(response.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
        )
        resolve({ code: response.statusCode ?? 0, headers, body: Buffer.concat(chunks) })
      })
    })
    outgoing.end(asked.body)
  })
}

function connection(agent: Agent, { host, port, ca, via, address, addressPort }: HttpsCall): RequestOptions {
  const trust = { ...(ca !== undefined && { ca }), servername: isIP(host) === 0 ? host : '' }
  if (via === undefined) return { agent, host: address ?? host, port: addressPort ?? port, ...trust }
  return { createConnection: () => tlsConnect({ socket: socketOver(via), host, ...trust }) }
}

const bracketed = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host)

/** The stream as a socket. */
function socketOver(stream: ByteStream): Duplex {
  const chunks = stream.read()[Symbol.asyncIterator]()
  const socket: Duplex = new Duplex({
    read() {
      chunks.next().then(
        next => void socket.push(next.done === true ? null : next.value),
        error => socket.destroy(error as Error),
      )
    },
    write(chunk: Buffer, _encoding, done) {
      stream.write(chunk).then(() => done(), done)
    },
    final(done) {
      stream.closeWrite().then(() => done(), done)
    },
    destroy(error, done) {
      stream.abort()
      done(error)
    },
  })
  return socket
}
