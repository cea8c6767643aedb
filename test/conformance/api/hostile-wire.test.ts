// Clients that mean harm, at the real port: those that are slow, those that never end, those that take what they can, and
// pages in a browser. Whatever they do, the next request of somebody else is answered.
import { connect as http2Connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { type PeerCertificate, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bodyBytesMax } from '../../../src/apiserver/decode.ts'
import { usualBounds } from '../../../src/drivers/http/serve.ts'
import { peerId } from '../../../src/world/network.ts'
import type { Pair } from '../../apiserver/certificates.ts'
import { fakeKubelet } from '../../apiserver/fake-kubelet.ts'
import { servedApiserver } from '../../apiserver/served.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const bounds = { headersMs: 2_000, bodyMs: 2_000, connectionsPerAddress: 40 }
type Got = { readonly code: number; readonly headers: Readonly<Record<string, unknown>>; readonly text: string }

describe('hostile clients', () => {
  const kubelet = fakeKubelet()
  let api: Awaited<ReturnType<typeof servedApiserver>>
  let client: Pair

  beforeAll(async () => {
    api = await servedApiserver({ peerOfNode: peerId, kubeletOf: () => kubelet.open() }, 0, bounds)
    client = api.admin
  })
  afterAll(() => api.close())

  type Sent = {
    readonly method?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string | Buffer
  }
  function send(path: string, sent: Sent = {}, own: Partial<Pair> = client): Promise<Got> {
    return new Promise((resolve, reject) => {
      const { method = sent.body === undefined ? 'GET' : 'POST', headers = {} } = sent
      const asked = httpsRequest(
        {
          host: '127.0.0.1',
          port: api.port,
          path,
          servername: 'localhost',
          ca: api.certs.ca,
          agent: false,
          ...own,
          method,
          headers,
        },
        answer => {
          let text = ''
          answer.setEncoding('utf8').on('data', chunk => (text += chunk))
          answer.on('end', () => resolve({ code: answer.statusCode ?? 0, headers: answer.headers, text }))
        },
      )
      asked.on('error', reject)
      asked.end(sent.body)
    })
  }
  /** A connection as somebody would open it who speaks HTTP by hand. */
  function dial(more: object = {}): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: api.port,
        ca: api.certs.ca,
        ...client,
        ALPNProtocols: ['http/1.1'],
        ...more,
      }
      const open = tlsConnect(options, () => resolve(open)).on('error', reject)
    })
  }
  /** All that comes, until the server ends it. However it ends. */
  function until(open: TLSSocket): Promise<string> {
    return new Promise(resolve => {
      let got = ''
      open.on('data', chunk => (got += chunk))
      open.on('error', () => {}).on('close', () => resolve(got))
    })
  }
  async function served() {
    expect((await send(maps)).code).toBe(200)
  }

  test('bounds: headers that come a byte at a time are not waited for, in all ten seconds', async () => {
    expect(usualBounds.headersMs).toBeLessThanOrEqual(10_000)
    const open = await dial()
    const text = `GET ${maps} HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(100_000)}`
    let at = 0
    const dripping = setInterval(() => open.write(text[at++] ?? 'x'), 100)
    const got = await until(open)
    clearInterval(dripping)
    expect(got).not.toMatch(/^HTTP\/1\.1 20/)
    await served()
  })

  test('bounds: a body that comes a byte at a time is not waited for, in all a minute', async () => {
    expect(usualBounds.bodyMs).toBeLessThanOrEqual(60_000)
    const open = await dial()
    open.write(`POST ${maps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{`)
    const dripping = setInterval(() => open.write(' '), 100)
    const got = await until(open)
    clearInterval(dripping)
    expect(got).not.toMatch(/^HTTP\/1\.1 20/)
    await served()
  })

  test('bounds: one over HTTP/2 neither', async () => {
    const session = http2Connect(api.server, { ca: api.certs.ca, ...client })
    session.on('error', () => {})
    const stream = session.request({ ':method': 'POST', ':path': maps, 'content-type': 'application/json' })
    let code = 0
    stream.on('response', headers => (code = Number(headers[':status'])))
    stream.on('error', () => {})
    stream.resume()
    const dripping = setInterval(() => stream.write(' '), 100)
    // That the server has reset it: with a write on its way the close behind it may never be told.
    await new Promise(resolve => stream.on('aborted', resolve).on('close', resolve))
    clearInterval(dripping)
    session.destroy()
    expect(code).toBe(400)
    await served()
  })

  test('readBody: chunks without end are too large a body, and nothing is read after that', async () => {
    const open = await dial()
    const got = until(open)
    open.write(
      `POST ${maps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    )
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`
    let sent = 0
    while (!open.destroyed && sent < 200 * 1024 * 1024) {
      sent += 65_536
      if (!open.write(chunk)) {
        await new Promise<void>(resolve => {
          const go = () => {
            open.off('drain', go).off('close', go)
            resolve()
          }
          open.on('drain', go).on('close', go)
        })
      }
    }
    expect(await got).toMatch(/^HTTP\/1\.1 413 /)
    // What lies in the buffers of both systems besides.
    expect(sent).toBeLessThan(bodyBytesMax + 64 * 1024 * 1024)
    await served()
  })

  test('decode: a small body that would unpack to a large one is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '))
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    expect((await send(maps, { headers, body: bomb })).code).toBe(400)
    await served()
  })

  test('bounds: of one address there are only so many connections, and it gets others when it gives them back', async () => {
    expect(usualBounds.connectionsPerAddress).toBeLessThanOrEqual(1_000)
    // Idle ones have sent something once, or they would be late with their headers.
    const hello = `GET /livez HTTP/1.1\r\nHost: x\r\n\r\n`
    const idle: TLSSocket[] = []
    try {
      // The server may still be counting one of a test before, so there may be room for fewer.
      let refusedCount = 0
      for (let i = 0; i < bounds.connectionsPerAddress + 20; i++) {
        const open = await dial().catch(() => undefined)
        if (open === undefined) {
          refusedCount += 1
          continue
        }
        idle.push(open)
        open.on('error', () => {}).write(hello)
        await new Promise(resolve => open.once('data', resolve))
      }
      expect([idle.length <= bounds.connectionsPerAddress, refusedCount >= 20]).toEqual([true, true])
      // Another address is another matter.
      const other = await dial({ localAddress: '127.0.0.2' })
      other.write(`GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      expect(await until(other)).toMatch(/^HTTP\/1\.1 200 /)
    } finally {
      for (const open of idle) open.destroy()
    }
    // The server sees them go when it does.
    for (;;) {
      const again = await send(maps).catch(() => undefined)
      if (again?.code === 200) break
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  })

  test('rapid resets (CVE-2023-44487): who opens streams to take them back is sent away', async () => {
    const open = await dial({ ALPNProtocols: ['h2'] })
    const got = until(open)
    open.write(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${frame(4, 0, 0, Buffer.alloc(0)).toString('latin1')}`, 'latin1')
    // By hand, because a library takes back what it has not sent yet. GET https, :path and :authority as literals.
    const path = Buffer.from(`${maps}?limit=1`)
    const head = Buffer.concat([Buffer.from([0x82, 0x87, 0x04, path.length]), path, Buffer.from([0x01, 1, 0x78])])
    const cancel = Buffer.from([0, 0, 0, 8])
    for (let stream = 1; stream < 40_000 && !open.destroyed; stream += 2) {
      open.write(Buffer.concat([frame(1, 5, stream, head), frame(3, 0, stream, cancel)]))
      if (stream % 100 === 1) await new Promise(resolve => setImmediate(resolve))
    }
    await got
    await served()
  })

  test('requests hidden in the body of another are no requests (CL and TE, CL and CL, TE twice)', async () => {
    const hidden = `GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n`
    for (const head of [
      `Content-Length: ${hidden.length + 5}\r\nTransfer-Encoding: chunked`,
      `Transfer-Encoding: chunked\r\nContent-Length: 5`,
      `Content-Length: 5\r\nContent-Length: ${hidden.length}`,
      `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity`,
      `Transfer-Encoding: xchunked`,
      `Transfer-Encoding : chunked`,
    ]) {
      const open = await dial()
      open.write(
        `POST ${maps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${head}\r\n\r\n0\r\n\r\n${hidden}`,
      )
      const got = await until(open)
      expect([head, got.match(/^HTTP\/1\.1 \d+/gm)]).toEqual([head, [expect.stringMatching(/^HTTP\/1\.1 4\d\d/)]])
    }
    await served()
  })

  test('SNI (A16, CVE-2023-32187): whatever names are asked for, the certificate is the one there is', async () => {
    const wanted = await dial()
    const { fingerprint256 } = wanted.getPeerCertificate()
    wanted.destroy()
    for (let i = 0; i < 300; i++) {
      const open = await dial({ servername: `flood-${i}.attacker.example`, checkServerIdentity: () => undefined })
      const shown: PeerCertificate = open.getPeerCertificate()
      expect([i, shown.fingerprint256, shown.subjectaltname]).toEqual([
        i,
        fingerprint256,
        'IP Address:127.0.0.1, DNS:localhost',
      ])
      open.destroy()
    }
    await served()
  })

  test('names (B1, CVE-2018-1002103): a page under a name of its own, led here by DNS, gets nothing', async () => {
    // No browser would go on: the certificate is for another name.
    await expect(dial({ servername: 'attacker.example' })).rejects.toThrow(/does not match certificate/)
    const headers = { host: `attacker.example:${api.port}`, origin: `https://attacker.example:${api.port}` }
    for (const path of [maps, '/api', '/']) {
      const { code, headers: told } = await send(path, { headers }, {})
      expect([path, code, told['access-control-allow-origin'], told['set-cookie']]).toEqual([
        path,
        401,
        undefined,
        undefined,
      ])
    }
  })

  const body = JSON.stringify({ metadata: { generateName: 'made-' } })
  const json = { 'content-type': 'application/json' }
  test.each<[string, Sent & { readonly path?: string }]>([
    ['a page of another site that posts', { body, headers: { ...json, 'sec-fetch-site': 'cross-site' } }],
    [
      'the same without a type, as pages may',
      { body, headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' } },
    ],
    ['a page of a neighbour', { body, headers: { ...json, 'sec-fetch-site': 'same-site' } }],
    ['an old browser that says its origin', { body, headers: { ...json, origin: 'https://attacker.example' } }],
    ['a page without an origin', { body, headers: { ...json, origin: 'null' } }],
    ['a delete', { method: 'DELETE', path: `${maps}/there`, headers: { 'sec-fetch-site': 'cross-site' } }],
  ])('checkSite (B2): with the certificate of its user, %s changes nothing', async (_, { path = maps, ...sent }) => {
    expect((await send(path, sent)).code).toBe(403)
    await served()
  })

  test('checkSite (B2): programs, and pages of this server itself, are let through', async () => {
    const own = `https://127.0.0.1:${api.port}`
    for (const headers of [{}, { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:8001' }, { origin: own }]) {
      expect((await send(maps, { body, headers: { ...json, ...headers } })).code).toBe(201)
    }
    // Nobody reads an answer across sites: nothing allows that.
    const preflight = await send(maps, {
      method: 'OPTIONS',
      headers: { origin: 'https://attacker.example', 'access-control-request-method': 'DELETE' },
    })
    expect([
      preflight.code >= 400,
      Object.keys(preflight.headers).filter(name => name.startsWith('access-control')),
    ]).toEqual([true, []])
  })

  test('checkSite (B3): no WebSocket is opened for a page of another site', async () => {
    const pod = { metadata: { name: 'p' }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } }
    await send('/api/v1/namespaces/default/pods', { body: JSON.stringify(pod), headers: json })
    const ask = async (headers: Readonly<Record<string, string>>) => {
      const open = await dial()
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      open.write(
        `GET /api/v1/namespaces/default/pods/p/exec?command=true&stdout=true HTTP/1.1\r\nHost: 127.0.0.1:${api.port}\r\n` +
          'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
          `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n${lines.join('')}\r\n`,
      )
      const first = await new Promise<string>(resolve => open.once('data', chunk => resolve(String(chunk))))
      open.destroy()
      return Number(/^HTTP\/1\.1 (\d+)/.exec(first)?.[1])
    }
    const own = `https://127.0.0.1:${api.port}`
    for (const origin of [
      'null',
      'https://attacker.example',
      'http://localhost.attacker.tld',
      'http://localhost:1',
      'https://127.0.0.1:1',
      `http://127.0.0.1:${api.port}`,
      `${own}.attacker.tld`,
    ]) {
      expect([origin, await ask({ origin })]).toEqual([origin, 403])
    }
    expect(await ask({ 'sec-fetch-site': 'cross-site', origin: own })).toBe(403)
    expect(await ask({})).toBe(101)
    expect(await ask({ origin: own })).toBe(101)
    // As the conformance suite of Kubernetes asks.
    expect(await ask({ origin: 'http://localhost' })).toBe(101)
  })

  test('always (B4, B5): what somebody has stored is shown as what it is, never as a page', async () => {
    const script = '<script>alert(1)</script>'
    const map = { metadata: { name: 'there', annotations: { a: script } }, data: { a: script } }
    await send(maps, { body: JSON.stringify(map), headers: json })
    for (const path of [
      `${maps}/there`,
      maps,
      `${maps}/${encodeURIComponent(script)}`,
      `/${encodeURIComponent(script)}`,
      `${maps}?labelSelector=${encodeURIComponent(script)}`,
      '/api/v1/namespaces/default/pods/p/log',
      '/healthz',
      '/openapi/v2',
      '/metrics',
    ]) {
      for (const accept of ['*/*', 'text/html,*/*', 'application/json;as=Table;g=meta.k8s.io;v=v1']) {
        const { headers } = await send(path, { headers: { accept } })
        const type = String(headers['content-type'])
        expect([path, accept, type.includes('html'), headers['x-content-type-options']]).toEqual([
          path,
          accept,
          false,
          'nosniff',
        ])
        expect(type).toMatch(/^(application|text\/plain)/)
      }
    }
  })
})

/** Of HTTP/2 (RFC 9113 section 4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}
