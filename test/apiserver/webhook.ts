// A webhook that tests speak through: a real HTTPS server on loopback, whose answers are functions of the review.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Certificates, certificates, type Pair } from './certificates.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came
export type Review = any

/** Gives `response` without its uid; or the whole answer as text with a code. */
export type Answering = (
  review: Review['request'],
) => object | { readonly code: number; readonly text: string } | Promise<object>

export type TestWebhook = {
  readonly url: string
  readonly port: number
  readonly certs: Certificates
  /** Base64 of the CA, as a caBundle has it. */
  readonly caBundle: string
  /** All reviews that came, in order. */
  readonly asked: Review['request'][]
  answer(path: string, how: Answering): void
  close(): Promise<void>
}

export const base64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64')

export async function testWebhook(pair?: (certs: Certificates) => Promise<Pair>): Promise<TestWebhook> {
  const certs = await certificates()
  const answers = new Map<string, Answering>()
  const asked: Review['request'][] = []
  const server = createServer((await pair?.(certs)) ?? certs.server, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const review = JSON.parse(Buffer.concat(chunks).toString())
      asked.push({ ...review.request, apiVersion: review.apiVersion, path: request.url })
      const answer = await answers.get((request.url ?? '').split('?')[0] ?? '')?.(review.request)
      if (answer === undefined || 'code' in answer) {
        const { code = 404, text = 'nobody here' } = (answer ?? {}) as { code?: number; text?: string }
        response.writeHead(code).end(text)
        return
      }
      const { uid } = review.request
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response: { uid, ...answer } }))
    })
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    certs,
    caBundle: base64(certs.ca),
    asked,
    answer: (path, how) => void answers.set(path, how),
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
