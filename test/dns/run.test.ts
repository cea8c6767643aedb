// The server on real sockets, with the API in memory and an upstream resolver of the test's own.
import dgram from 'node:dgram'
import net from 'node:net'
import * as twin from 'dns-packet'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endpointSlice } from '../../src/api/kinds/endpointslice.ts'
import { service } from '../../src/api/kinds/service.ts'
import { runDns } from '../../src/dns/run.ts'
import { nameServers } from '../../src/dns/run-forward.ts'
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import { testWorld } from '../apiserver/world.ts'
import { memoryClient } from '../client/memory-client.ts'

const controller = new AbortController()
const { signal } = controller
const clock = realClock()
const random = realRandom()
const client = memoryClient({ clock, random })
const asked: string[] = []
let upstream: dgram.Socket
let upstreamTcp: net.Server
let port = 0
let running: Promise<void>

const large = Array.from({ length: 100 }, (_, i) => ({
  type: 'A' as const,
  name: 'large.example',
  ttl: 60,
  data: `192.0.2.${i}`,
}))

/** A resolver of the outside world: knows one.example, large.example (too large for UDP), is silent for lost.example. */
function upstreamAnswer(bytes: Buffer, transport: string): Buffer | undefined {
  const query = twin.decode(bytes)
  const { name = '', type = 'A' } = query.questions?.[0] ?? {}
  asked.push(`${transport} ${name} ${type}`)
  if (name === 'lost.example') return undefined
  const base = { type: 'response' as const, id: query.id ?? 0, questions: query.questions ?? [] }
  if (name === 'one.example' && type === 'A')
    return twin.encode({
      ...base,
      answers: [
        { type: 'CNAME', name, ttl: 60, data: 'two.example' },
        { type: 'A', name: 'two.example', ttl: 60, data: '192.0.2.1' },
      ],
    })
  if (name === 'large.example') {
    if (transport === 'udp') return twin.encode({ ...base, flags: twin.TRUNCATED_RESPONSE, answers: [] })
    return twin.encode({ ...base, answers: large })
  }
  return twin.encode({ ...base, flags: 3, answers: [] })
}

const free = () =>
  new Promise<number>(resolve => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port: found } = server.address() as net.AddressInfo
      server.close(() => resolve(found))
    })
  })

beforeAll(async () => {
  const upstreamPort = await free()
  upstream = dgram.createSocket('udp4')
  upstream.on('message', (message, from) => {
    const answer = upstreamAnswer(message, 'udp')
    if (answer !== undefined) upstream.send(answer, from.port, from.address)
  })
  await new Promise<void>(resolve => upstream.bind(upstreamPort, '127.0.0.1', resolve))
  upstreamTcp = net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', chunk => {
      const answer = upstreamAnswer(Buffer.from(chunk.subarray(2)), 'tcp')
      if (answer !== undefined)
        socket.end(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]))
    })
  })
  await new Promise<void>(resolve => upstreamTcp.listen(upstreamPort, '127.0.0.1', resolve))

  const stored = (name: string, more: object) => ({ metadata: { name, namespace: 'default' }, ...more })
  await client.create(
    service,
    stored('web', {
      spec: { clusterIP: '10.96.0.50', clusterIPs: ['10.96.0.50'], ports: [{ name: 'http', port: 80 }] },
    }),
    signal,
  )
  await client.create(service, stored('many', { spec: { clusterIP: 'None' } }), signal)
  await client.create(service, stored('out', { spec: { type: 'ExternalName', externalName: 'one.example' } }), signal)
  await client.create(
    service,
    stored('inward', { spec: { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' } }),
    signal,
  )
  await client.create(
    service,
    stored('circle', { spec: { type: 'ExternalName', externalName: 'circle.default.svc.cluster.local' } }),
    signal,
  )
  const endpoints = Array.from({ length: 60 }, (_, i) => ({
    addresses: [`10.42.0.${i + 2}`],
    conditions: { ready: true },
  }))
  await client.create(
    endpointSlice,
    {
      metadata: { name: 'many-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'many' } },
      addressType: 'IPv4',
      endpoints,
      ports: [],
    },
    signal,
  )
  port = await free()
  running = runDns(
    testWorld(),
    {
      domain: 'cluster.local',
      ttlSeconds: 5,
      clusterCidr: '10.42.0.0/16',
      serviceCidr: '10.96.0.0/16',
      dnsIp: '127.0.0.1',
      listen: [{ ip: '127.0.0.1', port }],
      // The first upstream refuses; the second is the one above.
      upstreams: [
        { ip: '127.0.0.1', port: await free() },
        { ip: '127.0.0.1', port: upstreamPort },
      ],
      resolvConf: '/dev/null',
    },
    client,
    signal,
  )
  for (let found = 0; found !== 1; ) {
    found = (await udp('web.default.svc.cluster.local').catch(() => undefined))?.answers?.length ?? 0
    if (found !== 1) await clock.sleep(100, signal)
  }
})

afterAll(async () => {
  controller.abort()
  await running
  upstream.close()
  upstreamTcp.close()
})

const question = (name: string, type: twin.StringRecordType) =>
  twin.encode({
    type: 'query',
    id: Math.floor(Math.random() * 65_536),
    flags: twin.RECURSION_DESIRED,
    questions: [{ type, name }],
  })

function udpBytes(bytes: Buffer): Promise<twin.DecodedPacket> {
  const socket = dgram.createSocket('udp4')
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.close()
      reject(new Error('no answer'))
    }, 8_000)
    socket.on('message', message => {
      clearTimeout(timer)
      socket.close()
      resolve(twin.decode(message))
    })
    socket.on('error', reject)
    socket.send(bytes, port, '127.0.0.1')
  })
}
const udp = (name: string, type: twin.StringRecordType = 'A') => udpBytes(question(name, type))

/** Several questions in one segment, cut in the middle, then half-closed. */
function tcp(names: readonly string[]): Promise<readonly twin.DecodedPacket[]> {
  const framed = Buffer.concat(
    names.map(name => {
      const bytes = question(name, 'A')
      return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
    }),
  )
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.setNoDelay(true)
    socket.write(framed.subarray(0, 5), () => setTimeout(() => socket.end(framed.subarray(5)), 20))
    socket.on('error', reject)
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('end', () => {
      const all = Buffer.concat(chunks)
      const answers: twin.DecodedPacket[] = []
      for (let at = 0; at + 2 <= all.length; at += 2 + all.readUInt16BE(at))
        answers.push(twin.decode(all.subarray(at + 2, at + 2 + all.readUInt16BE(at))))
      resolve(answers)
    })
  })
}
const data = (packet: twin.DecodedPacket | undefined) =>
  packet?.answers?.map(a => `${a.type} ${'data' in a ? a.data : ''}`)
const code = (packet: twin.DecodedPacket) => (packet as unknown as { rcode: string }).rcode

test('names of the cluster are answered with authority, whatever their spelling', async () => {
  const answer = await udp('WEB.default.svc.CLUSTER.local')
  expect(data(answer)).toEqual(['A 10.96.0.50'])
  expect((answer as unknown as { flag_aa: boolean }).flag_aa).toBe(true)
  expect(answer.questions?.[0]?.name).toBe('WEB.default.svc.CLUSTER.local')
  expect(code(await udp('example.org.default.svc.cluster.local'))).toBe('NXDOMAIN')
  expect(asked).toEqual([])
})

test('sixty addresses come cut over UDP, whole over TCP, and begin with another each time', async () => {
  const first = await udp('many.default.svc.cluster.local')
  expect((first as unknown as { flag_tc: boolean }).flag_tc).toBe(true)
  const [whole, again, small] = await tcp([
    'many.default.svc.cluster.local',
    'many.default.svc.cluster.local',
    'web.default.svc.cluster.local',
  ])
  expect(whole?.answers).toHaveLength(60)
  expect(data(whole)?.[0]).not.toBe(data(again)?.[0])
  expect(data(small)).toEqual(['A 10.96.0.50'])
})

test('other names are asked upstream, past one that refuses, once while the answer lasts', async () => {
  asked.length = 0
  const answers = ['CNAME two.example', 'A 192.0.2.1']
  expect(data(await udp('one.example'))).toEqual(answers)
  expect(data(await udp('One.Example'))).toEqual(answers)
  expect(asked).toEqual(['udp one.example A'])
  expect(code(await udp('none.example'))).toBe('NXDOMAIN')
})

test('an answer that is cut upstream is passed on cut, and asked for over TCP when the client does', async () => {
  expect(((await udp('large.example')) as unknown as { flag_tc: boolean }).flag_tc).toBe(true)
  const [whole] = await tcp(['large.example'])
  expect(whole?.answers).toHaveLength(100)
})

test('ExternalName brings the whole chain, inside and outside of the cluster; a circle ends', async () => {
  expect(data(await udp('out.default.svc.cluster.local'))).toEqual([
    'CNAME one.example',
    'CNAME two.example',
    'A 192.0.2.1',
  ])
  expect(data(await udp('inward.default.svc.cluster.local'))).toEqual([
    'CNAME web.default.svc.cluster.local',
    'A 10.96.0.50',
  ])
  expect(code(await udp('circle.default.svc.cluster.local'))).toBe('SERVFAIL')
})

test('when nobody upstream answers, the client hears SERVFAIL before it gives up', async () => {
  expect(code(await udp('lost.example'))).toBe('SERVFAIL')
})

test('what is not a query is refused or passed over, and the server goes on', async () => {
  const broken = question('web.default.svc.cluster.local', 'A').subarray(0, 20)
  expect(code(await udpBytes(Buffer.from(broken)))).toBe('FORMERR')
  const update = twin.encode({
    type: 'query',
    id: 9,
    flags: 5 << 11,
    questions: [{ type: 'A', name: 'web.default.svc.cluster.local' }],
  })
  expect(code(await udpBytes(update))).toBe('NOTIMP')
  expect(data(await udp('web.default.svc.cluster.local'))).toEqual(['A 10.96.0.50'])
})

test('a change of the API shows in the next answer', async () => {
  await client.create(
    service,
    { metadata: { name: 'late', namespace: 'default' }, spec: { clusterIP: '10.96.0.77', ports: [{ port: 1 }] } },
    signal,
  )
  await expect
    .poll(async () => data(await udp('late.default.svc.cluster.local')), { timeout: 20_000 })
    .toEqual(['A 10.96.0.77'])
})

test('name servers are read from resolv.conf, whatever else is in it', () => {
  expect(
    nameServers(
      '# a\nnameserver 192.168.1.1\n nameserver\tfe80::1%eth0\nnameserver nonsense\nsearch x\noptions ndots:5',
    ),
  ).toEqual(['192.168.1.1', 'fe80::1%eth0'])
  expect(nameServers('')).toEqual([])
})
