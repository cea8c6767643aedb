// The Kubernetes API over HTTPS with a peer's own administrator certificate: what `flotilla demo` needs of a client.
import * as https from 'node:https'
import type { Certificate } from '../node/run-files.ts'

export type Api = { readonly server: string; readonly caPem: string; readonly admin: Certificate }

export class ApiRequestError extends Error {
  override readonly name = 'ApiRequestError'
  readonly code: number
  constructor(code: number, message: string) {
    super(message === '' ? `the API answered with code ${code}` : message)
    this.code = code
  }
}

/** The answer's JSON. Rejects with ApiRequestError for a code of 400 or more. */
export function requestApi<T>(api: Api, method: string, path: string, body?: unknown): Promise<T> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const request = https.request(
      `${api.server}${path}`,
      {
        method,
        ca: api.caPem,
        cert: api.admin.certificatePem,
        key: api.admin.keyPem,
        timeout: 15_000,
        // Node sends the body of a DELETE without saying that there is one, unless its length is given.
        headers: {
          accept: 'application/json',
          ...(bytes && { 'content-type': 'application/json', 'content-length': bytes.length }),
        },
      },
      response => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8')
          const code = response.statusCode ?? 500
          if (code < 400) resolve(JSON.parse(text) as T)
          else reject(new ApiRequestError(code, messageIn(text)))
        })
      },
    )
    request.once('timeout', () => request.destroy(new Error(`${api.server} did not answer within 15 s`)))
    request.once('error', reject)
    request.end(bytes)
  })
}

function messageIn(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text
  } catch {
    return text
  }
}
