// Asks an API server in memory as a client asks over the wire: what goes in is a request, what comes out the answer's bytes.
import { afterAll, beforeAll } from 'vitest'
import { kinds } from '../../../src/api/kinds.ts'
import { decodeBody, schemaLookup } from '../../../src/api/protobuf.ts'
import type { JsonObject } from '../../../src/api/schema.ts'
import type { HttpResponse } from '../../../src/world/http.ts'
import { type Ask, request, testApiserver } from '../../apiserver/setup.ts'

export type Api = Awaited<ReturnType<typeof testApiserver>>

/** One API server for all tests of a file; each test names its objects for itself. */
export function oneApi(): { readonly api: Api } {
  let api: Api | undefined
  beforeAll(async () => {
    api = await testApiserver()
  })
  afterAll(() => api?.stop())
  return {
    get api() {
      if (api === undefined) throw new Error('not begun')
      return api
    },
  }
}

export type Meta = {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation?: number
  readonly creationTimestamp: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly continue?: string
  readonly remainingItemCount?: number
  readonly managedFields?: readonly {
    readonly manager: string
    readonly operation: string
    readonly subresource?: string
    readonly apiVersion: string
    readonly time?: string
    readonly fieldsV1: JsonObject
  }[]
}

/** An object, a list, a Table or a Status: whoever asks knows what there should be. */
export type Shown = {
  readonly kind: string
  readonly apiVersion: string
  readonly metadata: Meta
  readonly items: readonly Shown[]
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object?: Shown }[]
  readonly columnDefinitions: readonly { readonly name: string; readonly type: string }[] | null
  readonly code?: number
  readonly reason?: string
  readonly message?: string
  readonly details?: {
    readonly name?: string
    readonly group?: string
    readonly kind?: string
    readonly uid?: string
    readonly retryAfterSeconds?: number
    readonly causes?: readonly { readonly reason: string; readonly message: string; readonly field?: string }[]
  }
  readonly [key: string]: unknown
}

export type Answer = {
  readonly code: number
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: Buffer
  readonly text: string
  readonly body: Shown
}

export async function bytesOf(response: HttpResponse): Promise<Buffer> {
  if (response.kind === 'whole') return Buffer.from(response.body as string)
  if (response.kind !== 'stream') throw new Error(response.kind)
  const parts: Buffer[] = []
  for await (const chunk of response.body) parts.push(Buffer.from(chunk as string))
  return Buffer.concat(parts)
}

export async function ask(api: Api, url: string, more: Ask = {}): Promise<Answer> {
  const response = await api.apiserver.handle(request(url, more))
  if (response.kind !== 'whole' && response.kind !== 'stream') throw new Error(response.kind)
  const bytes = await bytesOf(response)
  const text = bytes.toString()
  const isJson = response.headers['content-type']?.startsWith('application/json') && text !== ''
  const body = (isJson ? JSON.parse(text) : {}) as Shown
  return { code: response.code, headers: response.headers, bytes, text, body }
}

export const post = (api: Api, url: string, body: unknown, more: Ask = {}) =>
  ask(api, url, { method: 'POST', body, ...more })
export const put = (api: Api, url: string, body: unknown, more: Ask = {}) =>
  ask(api, url, { method: 'PUT', body, ...more })
export const remove = (api: Api, url: string, body?: unknown, more: Ask = {}) =>
  ask(api, url, { method: 'DELETE', ...(body !== undefined && { body }), ...more })

export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const
export const patch = (api: Api, url: string, type: keyof typeof patchTypes, body: unknown, more: Ask = {}) =>
  ask(api, url, { method: 'PATCH', type: patchTypes[type], body, ...more })

export const protobuf = 'application/vnd.kubernetes.protobuf'
export const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
export const asPartial = (media: string, list = false, version = 'v1') =>
  `${media};as=PartialObjectMetadata${list ? 'List' : ''};g=meta.k8s.io;v=${version}`

const lookup = schemaLookup(kinds)
export const decoded = (bytes: Uint8Array) => decodeBody(bytes, lookup).value as unknown as Shown

export type Frame = { readonly type: string; readonly object: Shown }

/** The frames of a watch in JSON, one after the other; `close` is the client going away. */
export async function openWatch(api: Api, url: string, more: Ask = {}) {
  const controller = new AbortController()
  const response = await api.apiserver.handle(request(url, { ...more, signal: controller.signal }))
  if (response.kind !== 'stream') throw new Error(`${response.kind === 'whole' ? response.body : response.kind}`)
  const chunks = response.body[Symbol.asyncIterator]()
  let rest = Buffer.alloc(0)
  const take = async (until: (bytes: Buffer) => number | undefined): Promise<Buffer | undefined> => {
    for (;;) {
      const end = until(rest)
      if (end !== undefined) {
        const frame = rest.subarray(0, end)
        rest = rest.subarray(end)
        return frame
      }
      const { done, value } = await chunks.next()
      if (done) return undefined
      rest = Buffer.concat([rest, Buffer.from(value as string)])
    }
  }
  const line = (bytes: Buffer) => (bytes.includes(10) ? bytes.indexOf(10) + 1 : undefined)
  const counted = (bytes: Buffer) => {
    const length = bytes.length >= 4 ? 4 + bytes.readUInt32BE(0) : undefined
    return length !== undefined && bytes.length >= length ? length : undefined
  }
  const next = async (): Promise<Frame> => {
    const frame = await take(line)
    if (frame === undefined) throw new Error('the watch has ended')
    return JSON.parse(frame.toString()) as Frame
  }
  return {
    headers: response.headers,
    next,
    /** The next so many, as 'TYPE name'. */
    async names(count: number) {
      const frames: Frame[] = []
      while (frames.length < count) frames.push(await next())
      return frames.map(({ type, object }) => `${type} ${object.metadata.name}`)
    },
    /** The bytes of a frame in protobuf, without its length; undefined at the end. */
    nextBinary: async () => (await take(counted))?.subarray(4),
    /** What is left until the server ends it. */
    async all() {
      const frames: Frame[] = []
      for (let frame = await take(line); frame !== undefined; frame = await take(line)) {
        frames.push(JSON.parse(frame.toString()) as Frame)
      }
      return frames
    },
    close: () => controller.abort(),
  }
}
