// The mesh when things go wrong: peers killed, frozen and restarted, hostile bytes, full queues, gossip by way of others.
import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { MessageStream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { expect, test } from 'vitest'
import { queueBytesMax } from '../../src/drivers/network/sender.ts'
import { text, utf8 } from '../../src/lib/bytes.ts'
import { prng } from '../../src/lib/prng.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'
import { freePort } from '../ports.ts'
import { admitAll, type Mesh, openMesh, until } from './mesh.ts'

type Remote = { readonly child: ChildProcess; readonly peer: PeerId; readonly addresses: readonly string[] }

/** A peer in a process of its own that admits `friend`. Killed at the end of the block. */
async function startRemote(
  mesh: Mesh,
  friend: PeerId,
  friendAddress: string,
  listen?: string,
  clockShiftMs = 0,
): Promise<Remote & Disposable> {
  const program = fileURLToPath(new URL('mesh-process.ts', import.meta.url))
  const address = listen ?? `/ip4/127.0.0.1/tcp/${await freePort()}`
  const child = spawn(process.execPath, [program, join(mesh.folder, 'remote'), address, friend, friendAddress], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, FLOTILLA_TEST_CLOCK_SHIFT_MS: String(clockShiftMs) },
  })
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('exit', code => reject(new Error(`the remote ended with ${code}`)))
  })
  const said = JSON.parse(line) as { peer: string; addresses: string[] }
  return {
    child,
    peer: peerId(said.peer),
    addresses: said.addresses,
    [Symbol.dispose]() {
      child.kill('SIGKILL')
    },
  }
}

test('a killed peer is noticed at once, and found again when it restarts with its key', async () => {
  await using mesh = openMesh()
  const a = await mesh.open('a')
  const changes: boolean[] = []
  a.onConnectionChange((_peer, connected) => void changes.push(connected))
  let listen: string
  {
    using remote = await startRemote(mesh, a.self, a.addresses()[0] ?? '')
    a.admit([{ peer: remote.peer, addresses: remote.addresses }])
    await until('connected', () => a.connected().includes(remote.peer))
    expect(text(await a.request(remote.peer, 'api', utf8('there?'), mesh.signal))).toBe('there?')
    listen = (remote.addresses[0] ?? '').replace(/\/p2p\/.*/, '')
    remote.child.kill('SIGKILL')
    const tookMs = await until('the loss is noticed', () => a.connected().length === 0)
    expect(tookMs).toBeLessThan(2_000) // measured: a few ms; far below the 3.5 s of silence
    expect(a.statistics().silencedConnections).toBe(0)
  }
  using again = await startRemote(mesh, a.self, a.addresses()[0] ?? '', listen)
  await until('connected again', () => a.connected().includes(again.peer))
  expect(changes).toEqual([true, false, true])
  const back: string[] = []
  a.onMessage('raft', (_from, message) => void back.push(text(message)))
  await until('messages flow again', () => {
    a.send(again.peer, 'raft', utf8('ping'))
    return back.length > 0
  })
})

test('a peer that goes silent is dropped in time, its queue stays bounded, and it is found again', async () => {
  await using mesh = openMesh()
  const a = await mesh.open('a', { silenceMs: 2_000, pingMs: 500 })
  using remote = await startRemote(mesh, a.self, a.addresses()[0] ?? '')
  a.admit([{ peer: remote.peer, addresses: remote.addresses }])
  await until('connected', () => a.connected().includes(remote.peer))
  a.send(remote.peer, 'raft', utf8('open the stream'))
  await new Promise(resolve => setTimeout(resolve, 200))
  // What a link that drops every packet looks like from here: the socket stays open and nothing comes.
  remote.child.kill('SIGSTOP')
  const message = new Uint8Array(1024 * 1024)
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 256; i++) {
    a.send(remote.peer, 'raft', message)
    if (i % 16 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  expect(a.statistics().droppedMessages).toBeGreaterThan(256 - 64)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * queueBytesMax)
  const tookMs = await until('the silence is noticed', () => a.connected().length === 0)
  expect(tookMs).toBeLessThan(10_000)
  expect(a.statistics().silencedConnections).toBe(1)
  remote.child.kill('SIGCONT')
  await until('connected again', () => a.connected().includes(remote.peer))
})

test('a machine that starts without a clock, decades back, is still reached, and reaches others', async () => {
  await using mesh = openMesh()
  const back = -50 * 365 * 86_400_000
  {
    const a = await mesh.open('a')
    using remote = await startRemote(mesh, a.self, a.addresses()[0] ?? '', undefined, back)
    a.admit([{ peer: remote.peer, addresses: remote.addresses }])
    await until('connected', () => a.connected().includes(remote.peer))
    expect(text(await a.request(remote.peer, 'api', utf8('there?'), mesh.signal))).toBe('there?')
  }
  // The one with the wrong clock has to dial: nobody knows where it is.
  const b = await mesh.open('b')
  const identity = await mesh.identity('remote')
  b.admit([{ peer: identity.peer, addresses: [] }])
  using remote = await startRemote(mesh, b.self, b.addresses()[0] ?? '', undefined, back)
  await until('connected', () => b.connected().includes(remote.peer))
})

test('an idle connection is not taken for dead', async () => {
  await using mesh = openMesh()
  const [a, b] = [
    await mesh.open('a', { silenceMs: 1_500, pingMs: 300 }),
    await mesh.open('b', { silenceMs: 1_500, pingMs: 300 }),
  ]
  let changes = 0
  a.onConnectionChange(() => void changes++)
  admitAll(a, b)
  await until('connected', () => a.connected().length === 1)
  await new Promise(resolve => setTimeout(resolve, 4_000))
  expect([changes, a.connected().length, a.statistics().silencedConnections]).toEqual([1, 1, 0])
})

test('peers that start at once end with connections between all of them', async () => {
  await using mesh = openMesh()
  const networks = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(name => mesh.open(name)))
  admitAll(...networks)
  await until('all connected', () => networks.every(network => network.connected().length === 4))
})

test('gossip names its origin, also when another peer passed it on, and none from who is not admitted', async () => {
  await using mesh = openMesh()
  const [a, b, c] = [await mesh.open('a'), await mesh.open('b'), await mesh.open('c')]
  // a and c admit each other, but neither knows where the other is: what they hear comes by way of b.
  a.admit([
    { peer: b.self, addresses: b.addresses() },
    { peer: c.self, addresses: [] },
  ])
  c.admit([
    { peer: b.self, addresses: b.addresses() },
    { peer: a.self, addresses: [] },
  ])
  const heardByC: string[] = []
  const heardByB: string[] = []
  const nameOf = (peer: PeerId) => (peer === a.self ? 'a' : peer === b.self ? 'b' : 'c')
  c.onGossip('state', (from, message) => void heardByC.push(`${nameOf(from)}: ${text(message)}`))
  b.onGossip('state', (from, message) => void heardByB.push(`${nameOf(from)}: ${text(message)}`))
  a.onGossip('state', () => {})
  b.admit([a, c].map(network => ({ peer: network.self, addresses: network.addresses() })))
  await until('a and c hang on b', () => b.connected().length === 2)
  await until('c hears a', () => {
    a.publish('state', utf8('from a'))
    return heardByC.includes('a: from a')
  })
  expect(a.connected()).toEqual([b.self])
  // c no longer admits a: b still passes it on, c must not hear it.
  c.admit([{ peer: b.self, addresses: b.addresses() }])
  heardByC.length = 0
  heardByB.length = 0
  for (let i = 0; i < 5; i++) a.publish('state', utf8(`late ${i}`))
  await until('b hears a', () => heardByB.length >= 5)
  await until('c hears b', () => {
    b.publish('state', utf8('from b'))
    return heardByC.includes('b: from b')
  })
  expect(heardByC.filter(line => line.startsWith('a'))).toEqual([])
})

test('hundreds of connections that say nothing do not keep a decent peer out', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  const port = Number(/tcp\/(\d+)/.exec(a.addresses()[0] ?? '')?.[1])
  const sockets = Array.from({ length: 400 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  try {
    await until('the sockets are open', () => sockets.every(socket => !socket.connecting))
    admitAll(a, b)
    const tookMs = await until('connected', () => a.connected().length === 1)
    expect(tookMs).toBeLessThan(15_000)
  } finally {
    for (const socket of sockets) socket.destroy()
  }
})

test('bad bytes from anybody harm nobody', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  a.onRequest('join', async (_from, body) => body)
  a.onRequest('api', async (_from, body) => body)
  const messages: number[] = []
  a.onMessage('raft', (_from, message) => void messages.push(message.length))
  admitAll(a, b)
  await until('connected', () => a.connected().length === 1)
  const random = prng(20261121)
  const port = Number(/tcp\/(\d+)/.exec(a.addresses()[0] ?? '')?.[1])

  // Before any handshake: noise, half a greeting, a greeting and noise, nothing at all.
  const greeting = [0x13, ...utf8('/multistream/1.0.0\n')]
  const openings = [
    [],
    greeting.slice(0, 5),
    greeting,
    [...greeting, 0x05, ...utf8('/tls/1.0.0\n')],
    [0xff, 0xff, 0xff, 0x7f],
  ]
  for (const opening of openings) {
    for (let i = 0; i < 4; i++) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(Uint8Array.from([...opening, ...random.bytes(random.below(3_000))]))
      setTimeout(() => socket.destroy(), 300)
    }
  }

  // An admitted peer whose program is hostile: it completes the handshake with b's key and then sends what it likes.
  const { privateKey } = await mesh.identity('b')
  const wires: MessageStream[] = []
  const hostile = await createLibp2p({
    privateKey: privateKeyFromProtobuf(privateKey),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      () => ({
        protocol: yamux()().protocol,
        createStreamMuxer(wire) {
          wires.push(wire)
          return yamux({ enableKeepAlive: false })().createStreamMuxer(wire)
        },
      }),
    ],
    connectionMonitor: { enabled: false },
  })
  await b.stop()
  try {
    const target = multiaddr(a.addresses()[0] ?? '')
    const frames: readonly Uint8Array[] = [
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3), // 4 GB announced
      Uint8Array.of(0x00, 0x80, 0x00, 0x01), // one byte over the limit announced
      random.bytes(5_000),
    ]
    for (const protocol of ['raft', 'api', 'join', 'kubelet']) {
      for (const mode of ['send', 'ask', 'open']) {
        for (const frame of frames) {
          try {
            const connection = await hostile.dial(target)
            const stream = await connection.newStream(`/flotilla/${protocol}/1/${mode}`)
            stream.send(frame)
            if (random.chance(0.5)) await stream.close({ signal: AbortSignal.timeout(500) })
          } catch {
            // Being refused is what should happen; the test is about the other side.
          }
        }
      }
    }
    // Noise below the streams: garbage where yamux frames should be, after a good handshake.
    for (let i = 0; i < 10; i++) {
      const connection = await hostile.dial(target, { force: true })
      const wire = wires.at(-1)
      if (i % 2 === 0) wire?.send(random.bytes(1 + random.below(200)))
      // A frame head that is right up to its type or flags: window updates and data for streams nobody opened.
      else
        wire?.send(Uint8Array.from([0, random.below(4), 0, random.below(16), ...random.bytes(8), ...random.bytes(64)]))
      await new Promise(resolve => setTimeout(resolve, 20))
      connection.abort(new Error('done'))
    }
  } finally {
    await hostile.stop()
  }
  expect(messages.every(length => length <= 5_000)).toBe(true)

  // After all that, a decent peer is served.
  const again = await mesh.open('b')
  admitAll(a, again)
  expect(text(await again.request(a.self, 'api', utf8('still there?'), mesh.signal))).toBe('still there?')
})
