// Single calls to one member: what the bench asks between the measurements.
import { Call, Connection } from './connection.ts'
import {
  paths,
  putRequest,
  type RangeOptions,
  type RangeResponse,
  rangeRequest,
  readRangeResponse,
  readStatus,
  type Status,
} from './etcd-api.ts'
import { readKey } from './operations.ts'

const answerMs = 10_000

class Single extends Call {
  readonly answer = Promise.withResolvers<Buffer>()
  #message: Buffer | undefined

  override onMessage(bytes: Buffer, start: number, end: number): void {
    this.#message = Buffer.from(bytes.subarray(start, end))
  }

  override onEnd(status: number, text: string): void {
    if (status === 0 && this.#message !== undefined) this.answer.resolve(this.#message)
    else this.answer.reject(new Error(`status ${status}: ${text}`))
  }
}

/** The answer to one call on a connection of its own. Rejects on any error, and when it takes too long. */
export async function callOnce(port: number, path: string, request: Uint8Array, waitMs = answerMs): Promise<Buffer> {
  const connection = await Connection.connect(port)
  const call = new Single()
  const late = setTimeout(() => call.answer.reject(new Error(`no answer within ${waitMs} ms`)), waitMs)
  try {
    connection.open(call, path, request, true)
    connection.flush()
    return await call.answer.promise
  } finally {
    clearTimeout(late)
    connection.close()
  }
}

export async function put(port: number, key: string, value: Uint8Array): Promise<void> {
  await callOnce(port, paths.put, putRequest(Buffer.from(key), value))
}

/** Makes the key that reads read. */
export const putOnce = (port: number, valueBytes: number): Promise<void> =>
  put(port, readKey.toString(), Buffer.alloc(valueBytes, 0x76))

export async function range(port: number, key: string, options: RangeOptions, waitMs?: number): Promise<RangeResponse> {
  const answer = await callOnce(port, paths.range, rangeRequest(Buffer.from(key), options), waitMs)
  return readRangeResponse(answer, 0, answer.length)
}

export async function status(port: number, waitMs?: number): Promise<Status> {
  const answer = await callOnce(port, paths.status, Buffer.alloc(0), waitMs)
  return readStatus(answer, 0, answer.length)
}
