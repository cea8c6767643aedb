// The questions of probes, asked of real servers on loopback.
import * as http from 'node:http'
import * as http2 from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { expect, test } from 'vitest'
import type { Probe } from '../../src/api/types/probe.ts'
import { ask } from '../../src/kubelet/run-probe.ts'
import type { ContainerRuntime } from '../../src/world/runtime.ts'

const noRuntime = {} as ContainerRuntime
const target = { containerId: 'c', host: '127.0.0.1', ports: [] }
const { signal } = new AbortController()
const probeOf = (action: object): Probe => ({
  ...{ timeoutSeconds: 1, periodSeconds: 1, successThreshold: 1, failureThreshold: 1 },
  ...action,
})

async function served(server: Server | http2.Http2Server, look: (port: number) => Promise<void>): Promise<void> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    await look((server.address() as AddressInfo).port)
  } finally {
    server.close()
  }
}

test('an HTTP probe takes 200 to 399, follows redirects within the host and no further', async () => {
  const server = http.createServer((request, response) => {
    const to: Record<string, string> = { '/here': '/bad', '/there': 'http://192.0.2.1/', '/round': '/round' }
    const location = to[request.url ?? '']
    if (location !== undefined) response.writeHead(302, { location })
    else response.writeHead(request.url === '/ok' && request.headers['x-a'] === 'b' ? 204 : 500)
    response.end()
  })
  await served(server, async port => {
    const get = (path: string) => {
      const httpGet = { port, path, scheme: 'HTTP', httpHeaders: [{ name: 'X-A', value: 'b' }] }
      return ask(noRuntime, probeOf({ httpGet }), target, signal)
    }
    expect(await get('/ok')).toEqual({ success: true, output: '' })
    expect(await get('bad')).toEqual({ success: false, output: 'HTTP probe failed with statuscode: 500' })
    expect((await get('/here')).success).toBe(false)
    expect((await get('/there')).success).toBe(true)
    expect((await get('/round')).output).toBe('stopped after 10 redirects')
  })
})

test('a TCP probe asks whether something listens, by number or by name', async () => {
  let free = 0
  await served(http.createServer(), async port => {
    free = port
    const ports = [{ name: 'web', containerPort: port, protocol: 'TCP' as const }]
    const dial = (to: number | string) =>
      ask(noRuntime, probeOf({ tcpSocket: { port: to } }), { ...target, ports }, signal)
    expect((await dial(port)).success).toBe(true)
    expect((await dial('web')).success).toBe(true)
    expect(await dial('other')).toEqual({ success: false, output: "couldn't find port: other" })
  })
  expect((await ask(noRuntime, probeOf({ tcpSocket: { port: free } }), target, signal)).success).toBe(false)
})

test('a gRPC probe asks the health service, and takes only SERVING', async () => {
  const server = http2.createServer()
  server.on('stream', (stream, headers) => {
    const parts: Buffer[] = []
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('end', () => {
      const service = Buffer.concat(parts).subarray(7).toString()
      const known = headers[':path'] === '/grpc.health.v1.Health/Check' && service !== 'unknown'
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': known ? '0' : '5' }))
      stream.end(known ? Buffer.from([0, 0, 0, 0, 2, 8, service === 'sick' ? 2 : 1]) : undefined)
    })
  })
  await served(server, async port => {
    const check = (service: string) => ask(noRuntime, probeOf({ grpc: { port, service } }), target, signal)
    expect(await check('')).toEqual({ success: true, output: '' })
    expect(await check('x'.repeat(20))).toEqual({ success: true, output: '' })
    expect(await check('sick')).toEqual({ success: false, output: 'service unhealthy' })
    expect(await check('unknown')).toEqual({ success: false, output: 'error: health rpc failed with gRPC status 5' })
  })
  const refused = await ask(noRuntime, probeOf({ grpc: { port: 1, service: '' } }), target, signal)
  expect(refused.success).toBe(false)
})

test('a probe that nobody answers ends with its deadline', async () => {
  const silent = http.createServer(() => {})
  await served(silent, async port => {
    for (const action of [{ httpGet: { port, path: '/', scheme: 'HTTP' } }, { grpc: { port, service: '' } }]) {
      const answer = await ask(noRuntime, probeOf(action), target, AbortSignal.timeout(200))
      expect(answer.success).toBe(false)
    }
    silent.closeAllConnections()
  })
})
