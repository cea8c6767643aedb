// Asks an API server in this process and reads the answer, for tests that look at what a client sees.
import type { JsonObject } from '../../src/api/schema.ts'
import type { Apiserver } from '../../src/apiserver/run.ts'
import type { HttpResponse } from '../../src/world/http.ts'
import { type Ask, request } from './setup.ts'

export type Answered = {
  readonly code: number
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came
  readonly body: any
  readonly message: string
  readonly warnings: readonly string[]
}

export type Asking = (url: string, ask?: Ask) => Promise<Answered>

export function asking({ apiserver }: { readonly apiserver: Apiserver }): Asking {
  return async (url, ask = {}) => {
    const type = ask.type ?? (ask.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
    return await read(await apiserver.handle(request(url, { ...ask, type })))
  }
}

export async function read(response: HttpResponse): Promise<Answered> {
  if (response.kind !== 'whole' && response.kind !== 'stream') {
    return { code: 101, body: {}, message: '', warnings: [] }
  }
  const text = response.kind === 'whole' ? textOf(response.body) : await streamed(response.body)
  const body = JSON.parse(text === '' ? '{}' : text) as JsonObject
  const message = typeof body['message'] === 'string' ? body['message'] : ''
  return { code: response.code, body, message, warnings: warningsIn(response.headers['warning'] ?? '') }
}

const textOf = (body: string | Uint8Array): string => (typeof body === 'string' ? body : Buffer.from(body).toString())

async function streamed(chunks: AsyncIterable<string | Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of chunks) text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
  return text
}

/** The texts of `299 - "…", 299 - "…"`. */
function warningsIn(header: string): readonly string[] {
  return [...header.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => text.replace(/\\(.)/g, '$1'))
}

export const podNamed = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: { containers: [{ name: 'c', image: 'i:1' }], ...spec },
})

export const namespaceNamed = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
})
