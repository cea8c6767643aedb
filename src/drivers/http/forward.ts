// port-forward over SPDY: for each connection the client opens two streams of one requestID, `error` and `data`.
import { utf8 } from '../../lib/bytes.ts'
import type { ForwardConnection, ForwardSession } from '../../world/http.ts'
import type { SpdyConnection, SpdyStream } from './spdy.ts'

export const forwardWebSocketProtocols = ['SPDY/3.1+portforward.k8s.io']
export const forwardSpdyProtocols = ['portforward.k8s.io']

const pairWaitMs = 30_000

export function forwardOverSpdy(connection: SpdyConnection): ForwardSession {
  return { connections: pairs(connection) }
}

async function* pairs(connection: SpdyConnection): AsyncGenerator<ForwardConnection> {
  const waiting = new Map<
    string,
    { readonly error?: SpdyStream; readonly data?: SpdyStream; readonly timer: NodeJS.Timeout }
  >()
  try {
    for await (const stream of connection.streams()) {
      const { streamtype: type, port: portText = '', requestid } = stream.headers
      const port = Number(portText)
      const id = requestid ?? `${portText}/${stream.id - (type === 'data' ? 2 : 0)}`
      if ((type !== 'error' && type !== 'data') || !/^\d{1,5}$/.test(portText) || port < 1 || port > 65_535) {
        stream.reset()
        continue
      }
      const half = waiting.get(id)
      if (half?.[type] !== undefined) {
        stream.reset()
        continue
      }
      const both = { ...half, [type]: stream }
      if (both.error === undefined || both.data === undefined) {
        const timer = setTimeout(() => {
          waiting.delete(id)
          stream.reset()
        }, pairWaitMs)
        timer.unref()
        waiting.set(id, { ...both, timer })
        continue
      }
      clearTimeout(half?.timer)
      waiting.delete(id)
      yield connectionOf(port, both.error, both.data)
    }
  } finally {
    for (const { timer } of waiting.values()) clearTimeout(timer)
  }
}

function connectionOf(port: number, error: SpdyStream, data: SpdyStream): ForwardConnection {
  return {
    port,
    signal: data.signal,
    read: () => data.read(),
    write: bytes => data.write(bytes),
    async closeWrite() {
      await data.closeWrite()
      await error.closeWrite()
    },
    async fail(why) {
      await error.write(utf8(why))
      await error.closeWrite()
      await data.closeWrite()
      data.reset()
    },
    abort() {
      data.reset()
      error.reset()
    },
  }
}
