// The API on its real port: one answer for both versions of HTTP, gzip for what is long, streams that begin at once.
import { connect } from 'node:http2'
import { request } from 'node:https'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configMap } from '../../../src/api/kinds/configmap.ts'
import { servedApiserver } from '../../apiserver/served.ts'
import { protobuf, type Shown } from './wire.ts'

const at = '/api/v1/namespaces/default/configmaps'
const { signal } = new AbortController()
let api: Awaited<ReturnType<typeof servedApiserver>>

beforeAll(async () => {
  api = await servedApiserver()
  const data = { text: 'something to say '.repeat(40) }
  for (let i = 0; i < 500; i++) {
    const metadata = { name: `long-${i}`, namespace: 'default', labels: { long: 'yes' } }
    await api.client.create(configMap, { metadata, data }, signal)
  }
})
afterAll(() => api.close())

type Got = { readonly code: number; readonly encoding: string | undefined; readonly body: Buffer }
type Headers = Readonly<Record<string, string>>

function first(path: string, headers: Headers, method = 'GET', sent = ''): Promise<Got> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: api.port, path, method, headers, ca: api.certs.ca, ...api.admin }
    request({ ...options, agent: false }, answer => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => {
        const encoding = answer.headers['content-encoding']
        resolve({ code: answer.statusCode ?? 0, encoding, body: Buffer.concat(parts) })
      })
    })
      .on('error', reject)
      .end(sent)
  })
}

function second(path: string, headers: Headers): Promise<Got> {
  return new Promise((resolve, reject) => {
    const session = connect(api.server, { ca: api.certs.ca, ...api.admin })
    session.on('error', reject)
    const stream = session.request({ ':path': path, ...headers })
    const parts: Buffer[] = []
    let [code, encoding] = [0, undefined as string | undefined]
    stream.on('response', answer => {
      code = Number(answer[':status'])
      encoding = answer['content-encoding'] as string | undefined
    })
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('error', reject)
    stream.on('end', () => {
      session.close()
      resolve({ code, encoding, body: Buffer.concat(parts) })
    })
    stream.end()
  })
}

describe('wire', () => {
  test.each([
    ['HTTP/1.1', first],
    ['HTTP/2', second],
  ] as const)(
    'over %s a long list comes gzipped to who takes that, in JSON and in protobuf, and a short one as it is',
    async (_, get) => {
      for (const accept of ['application/json', protobuf]) {
        const plain = await get(`${at}?labelSelector=long`, { accept })
        expect([plain.code, plain.encoding]).toEqual([200, undefined])
        const zipped = await get(`${at}?labelSelector=long`, { accept, 'accept-encoding': 'gzip' })
        expect([zipped.encoding, zipped.body.length * 5 < plain.body.length]).toEqual(['gzip', true])
        expect(gunzipSync(zipped.body).equals(plain.body)).toBe(true)
        const short = await get(`${at}/long-1`, { accept, 'accept-encoding': 'gzip' })
        expect(short.encoding).toBeUndefined()
      }
      const list = JSON.parse((await get(`${at}?labelSelector=long`, {})).body.toString()) as Shown
      expect(list.items).toHaveLength(500)
    },
  )

  test('both versions give the same, refusals too', async () => {
    for (const [path, headers] of [
      [`${at}/long-1`, {}],
      [`${at}/none`, {}],
      [`${at}/none`, { accept: protobuf }],
      [at, { accept: 'text/html' }],
      ['/apis', { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' }],
      ['/api/v1/namespaces/%2e%2e/pods', {}],
    ] as const) {
      expect(await second(path, headers)).toEqual(await first(path, headers))
    }
  })

  test('HEAD is GET without a body, and OPTIONS is not allowed', async () => {
    const head = await first(`${at}/long-1`, {}, 'HEAD')
    expect([head.code, head.body.length]).toEqual([200, 0])
    const options = await first(at, {}, 'OPTIONS')
    expect([options.code, (JSON.parse(options.body.toString()) as Shown).reason]).toEqual([405, 'MethodNotAllowed'])
  })

  test('a warning stands in a header of its own form', async () => {
    const headers = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: api.port, path: at, method: 'POST', ca: api.certs.ca, ...api.admin }
      const asked = request({ ...options, agent: false }, answer => {
        answer.resume()
        resolve(answer.headers)
      })
      asked.on('error', reject)
      asked.end('{"metadata":{"name":"warned"},"unknown \\"field\\"":1}')
    })
    expect(headers['warning']).toMatch(/^299 - "unknown field \\"unknown .*field.*\\""$/)
  })
})
