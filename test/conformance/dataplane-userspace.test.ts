// The userspace dataplane on real sockets of the loopback interface.
import dgram from 'node:dgram'
import net from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { openUserspace, type UserspaceDataplane } from '../../src/drivers/dataplane/userspace.ts'
import type { Backend, RouteTable, ServiceRoute } from '../../src/world/dataplane.ts'
import { testWorld } from '../apiserver/world.ts'

const { signal } = new AbortController()
const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function open(): UserspaceDataplane {
  const dataplane = openUserspace(testWorld())
  closing.push(() => dataplane.clear())
  return dataplane
}
/** Says its name and then what it heard, once the client has said all. */
async function tcpServer(name: string): Promise<Backend & { close(): void }> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    let heard = ''
    socket.on('error', () => {})
    socket.on('data', chunk => {
      heard += chunk.toString()
    })
    socket.on('end', () => socket.end(`${name}:${heard.length}`))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  closing.push(close)
  return { ip: '127.0.0.1', port: (server.address() as net.AddressInfo).port, local: true, close }
}
async function udpServer(name: string): Promise<Backend> {
  const socket = dgram.createSocket('udp4')
  socket.on('message', (message, from) => socket.send(`${name}:${message}`, from.port, from.address))
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  closing.push(() => void socket.close())
  return { ip: '127.0.0.1', port: socket.address().port, local: true }
}
const route = (backends: readonly Backend[], more: Partial<ServiceRoute> = {}): ServiceRoute => ({
  id: 'default/web:http',
  protocol: 'tcp',
  vips: ['10.96.0.50'],
  port: 80,
  backends: backends.map(({ ip, port, local }) => ({ ip, port, local })),
  ...more,
})
const table = (...services: readonly ServiceRoute[]): RouteTable => ({
  services,
  hostPorts: [],
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.96.0.0/16',
})

function say(port: number, words: string): Promise<string> {
  return new Promise(resolve => {
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    let heard = ''
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.on('data', chunk => {
      heard += chunk.toString()
    })
    socket.on('end', () => resolve(heard))
    socket.end(words)
  })
}
const portOf = (dataplane: UserspaceDataplane, id = 'default/web:http', protocol: 'tcp' | 'udp' = 'tcp') =>
  dataplane.address(id, protocol)?.port ?? 0

test('a service is reached where address says, its endpoints in turn', async () => {
  const [a, b] = [await tcpServer('a'), await tcpServer('b')]
  const dataplane = open()
  await dataplane.apply(table(route([a, b])), signal)
  const port = portOf(dataplane)
  expect([await say(port, 'x'), await say(port, 'x'), await say(port, 'x')].sort()).toEqual(
    expect.arrayContaining(['a:1', 'b:1']),
  )
})

test('a client that has said all hears the whole answer, however much it said', async () => {
  const a = await tcpServer('a')
  const dataplane = open()
  await dataplane.apply(table(route([a])), signal)
  expect(await say(portOf(dataplane), 'x'.repeat(3_000_000))).toBe('a:3000000')
})

test('without endpoints a connection is refused, and the port is the same when they come back', async () => {
  const a = await tcpServer('a')
  const dataplane = open()
  await dataplane.apply(table(route([a])), signal)
  const port = portOf(dataplane)
  await dataplane.apply(table(route([])), signal)
  expect(await say(port, 'x')).toBe('ECONNREFUSED')
  expect(dataplane.address('default/web:http')).toBeUndefined()
  await dataplane.apply(table(route([a])), signal)
  expect(portOf(dataplane)).toBe(port)
  expect(await say(port, 'x')).toBe('a:1')
  await dataplane.apply(table(), signal)
  expect(await say(port, 'x')).toBe('ECONNREFUSED')
})

test('an endpoint that refuses is passed over, and with none left the client is reset', async () => {
  const [a, dead] = [await tcpServer('a'), await tcpServer('dead')]
  dead.close()
  const dataplane = open()
  await dataplane.apply(table(route([dead, a])), signal)
  for (let i = 0; i < 4; i++) expect(await say(portOf(dataplane), 'x')).toBe('a:1')
  await dataplane.apply(table(route([dead])), signal)
  expect(await say(portOf(dataplane), 'x')).toBe('ECONNRESET')
})

test('affinity keeps a client with its endpoint while that is there', async () => {
  const [a, b] = [await tcpServer('a'), await tcpServer('b')]
  const dataplane = open()
  await dataplane.apply(table(route([a, b], { affinitySeconds: 60 })), signal)
  const first = await say(portOf(dataplane), 'x')
  for (let i = 0; i < 6; i++) expect(await say(portOf(dataplane), 'x')).toBe(first)
  await dataplane.apply(table(route(first === 'a:1' ? [b] : [a], { affinitySeconds: 60 })), signal)
  expect(await say(portOf(dataplane), 'x')).not.toBe(first)
})

test('a node port and a host port listen where they say; a taken port is given up until it is free', async () => {
  const a = await tcpServer('a')
  const probe = await tcpServer('probe')
  const dataplane = open()
  const wanted = { ...table(route([a], { nodePort: probe.port })), hostPorts: [] }
  await dataplane.apply(wanted, signal)
  expect(await say(probe.port, 'x')).toBe('probe:1')
  probe.close()
  await dataplane.apply(wanted, signal)
  expect(await say(probe.port, 'x')).toBe('a:1')
  const hostPort = { protocol: 'tcp', hostIp: '', hostPort: probe.port, podIp: a.ip, podPort: a.port } as const
  await dataplane.apply({ ...table(), hostPorts: [hostPort] }, signal)
  expect(await say(probe.port, 'xx')).toBe('a:2')
})

test('UDP keeps a client with one endpoint, and follows when it is replaced', async () => {
  const [a, b] = [await udpServer('a'), await udpServer('b')]
  const dataplane = open()
  const udp = (backends: readonly Backend[]) => table(route(backends, { protocol: 'udp' }))
  await dataplane.apply(udp([a, b]), signal)
  const port = portOf(dataplane, 'default/web:http', 'udp')
  const client = dgram.createSocket('udp4')
  closing.push(() => void client.close())
  const ask = (word: string) =>
    new Promise<string>(resolve => {
      client.once('message', message => resolve(message.toString()))
      client.send(word, port, '127.0.0.1')
    })
  const first = await ask('1')
  expect([await ask('2'), await ask('3')]).toEqual([`${first[0]}:2`, `${first[0]}:3`])
  await dataplane.apply(udp(first.startsWith('a') ? [b] : [a]), signal)
  expect((await ask('4'))[0]).not.toBe(first[0])
})

test('connections outlive a change of the table and end with clear', async () => {
  const a = await tcpServer('a')
  const dataplane = open()
  await dataplane.apply(table(route([a])), signal)
  const port = portOf(dataplane)
  const half = net.connect(port, '127.0.0.1')
  const ended = new Promise<string>(resolve => {
    half.on('close', () => resolve('closed'))
    half.on('error', () => {})
  })
  await new Promise<void>(resolve => half.once('connect', resolve))
  half.write('hello')
  await dataplane.apply(table(), signal)
  await realClock().sleep(50, signal)
  expect(half.destroyed).toBe(false)
  await dataplane.clear()
  expect(await ended).toBe('closed')
})
