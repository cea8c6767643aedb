// One question of the gRPC health protocol, over plain HTTP/2: is this service serving?
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
import * as http2 from 'node:http2'
import { onAbort } from '../lib/abort.ts'

export const answerBytesMax = 4_096
/** HealthCheckResponse.ServingStatus */
const serving = 1

export type HealthAnswer = { readonly success: boolean; readonly output: string }

/** Rejects when nothing answers. */
export function askGrpc(
  action: { readonly port: number; readonly service?: string | undefined },
  host: string,
  signal: AbortSignal,
): Promise<HealthAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HealthAnswer>()
  const session = http2.connect(`http://${host}:${action.port}`)
  const end = () => session.destroy()
  const listening = onAbort(signal, () => {
    reject(new Error(`timeout: health rpc to ${host}:${action.port} did not complete in time`))
  })
  session.on('error', reject)
  const request = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'kube-probe/1.33',
  })
  request.on('error', reject)
  let status: string | undefined
  const note = (headers: http2.IncomingHttpHeaders) => {
    const given = headers['grpc-status']
    if (given !== undefined) status = String(given)
  }
  request.on('response', headers => {
    note(headers)
    if (headers[':status'] !== 200) reject(new Error(`the gRPC server answered with HTTP status ${headers[':status']}`))
  })
  request.on('trailers', note)
  const parts: Buffer[] = []
  let size = 0
  request.on('data', (part: Buffer) => {
    size += part.length
    if (size > answerBytesMax) reject(new Error('the answer of the health service is too long'))
    else parts.push(part)
  })
  request.on('end', () => {
    if (status !== '0')
      return resolve({ success: false, output: `error: health rpc failed with gRPC status ${status}` })
    const success = servingStatusOf(Buffer.concat(parts)) === serving
    resolve({ success, output: success ? '' : 'service unhealthy' })
  })
  request.end(requestFrame(action.service ?? ''))
  return promise.finally(() => {
    listening[Symbol.dispose]()
    end()
  })
}

/** One uncompressed gRPC message: HealthCheckRequest { string service = 1 }. */
function requestFrame(service: string): Buffer {
  const name = Buffer.from(service)
  const length: number[] = []
  for (let rest = name.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  const body = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...length]), name])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

/** HealthCheckResponse { ServingStatus status = 1 }; 0 when it says nothing. */
function servingStatusOf(frame: Buffer): number {
  const body = frame.subarray(5)
  return body[0] === 0x08 ? (body[1] ?? 0) : 0
}
