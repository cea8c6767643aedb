// What world/network.ts promises, on real libp2p over loopback.
import { expect, test } from 'vitest'
import { type Bytes, text, utf8 } from '../../src/lib/bytes.ts'
import type { MeshError, PeerId } from '../../src/world/network.ts'
import { admitAll, openMesh, until } from './mesh.ts'

const reasonOf = (promise: Promise<unknown>): Promise<MeshError['reason'] | 'none'> =>
  promise.then(
    () => 'none',
    error => (error as MeshError).reason,
  )

test('peers that admit each other connect by themselves and ask, tell and stream', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  b.onRequest('api', async (from, body) => utf8(`${from === a.self} ${text(body)}`))
  const told: string[] = []
  b.onMessage('raft', (from, message) => void told.push(`${from === a.self} ${text(message)}`))
  b.onStream('tunnel', async stream => {
    for await (const bytes of stream.read()) await stream.write(bytes)
  })
  const changes: [PeerId, boolean][] = []
  a.onConnectionChange((peer, connected) => void changes.push([peer, connected]))
  admitAll(a, b)
  await until('both are connected', () => a.connected().length === 1 && b.connected().length === 1)
  expect(changes).toEqual([[b.self, true]])
  expect(text(await a.request(b.self, 'api', utf8('hello'), mesh.signal))).toBe('true hello')
  a.send(b.self, 'raft', utf8('one'))
  await until('the message came', () => told.length === 1)
  expect(told).toEqual(['true one'])
  const stream = await a.open(b.self, 'tunnel', mesh.signal)
  await stream.write(utf8('echo'))
  await stream.closeWrite()
  const back: string[] = []
  for await (const bytes of stream.read()) back.push(text(bytes))
  expect(back.join('')).toBe('echo')
})

test('a request connects first when there is no connection yet', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  b.onRequest('api', async (_from, body) => body)
  b.admit([{ peer: a.self, addresses: [] }])
  a.admit([{ peer: b.self, addresses: b.addresses() }])
  expect(text(await a.request(b.self, 'api', utf8('first'), mesh.signal))).toBe('first')
})

test('messages come in the order they were sent, the largest among them', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  const lengths: number[] = []
  b.onMessage('raft', (_from, message) => void lengths.push(message.length))
  admitAll(a, b)
  await until('connected', () => a.connected().length === 1 && b.connected().length === 1)
  const sent = [...Array.from({ length: 3000 }, (_, i) => i % 977), 8 * 1024 * 1024, 5, 70_000, 0, 6]
  for (const length of sent) a.send(b.self, 'raft', new Uint8Array(length))
  await until('all came', () => lengths.length === sent.length)
  expect(lengths).toEqual(sent)
  expect(a.statistics().droppedMessages).toBe(0)
})

test('a message over the limit, or to nobody, is dropped and counted, and nothing throws', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  a.send(b.self, 'raft', utf8('to a stranger'))
  admitAll(a, b)
  await until('connected', () => a.connected().length === 1)
  a.send(b.self, 'raft', new Uint8Array(8 * 1024 * 1024 + 1))
  expect(a.statistics().droppedMessages).toBe(2)
})

test('a stranger is refused everything but the question to join', async () => {
  await using mesh = openMesh()
  const [peer, stranger] = [await mesh.open('a'), await mesh.open('stranger')]
  const heard: string[] = []
  for (const protocol of ['raft', 'api', 'kubelet', 'join'] as const) {
    peer.onMessage(protocol, () => void heard.push(`message ${protocol}`))
    peer.onRequest(protocol, async (_from, body) => {
      heard.push(`request ${protocol}`)
      return body
    })
    peer.onStream(protocol, async () => void heard.push(`stream ${protocol}`))
  }
  peer.onGossip('state', () => void heard.push('gossip'))
  stranger.onGossip('state', () => {})
  const found = await stranger.dial(peer.addresses()[0] ?? '', mesh.signal)
  expect(found).toBe(peer.self)
  expect(text(await stranger.request(found, 'join', utf8('please'), mesh.signal))).toBe('please')
  // Its own gate would not let it ask; a stranger with another program has no such gate.
  stranger.admit([{ peer: peer.self, addresses: peer.addresses() }])
  expect(await reasonOf(stranger.request(found, 'api', utf8('secrets'), mesh.signal))).toBe('refused')
  expect(await reasonOf(stranger.request(found, 'raft', utf8('vote'), mesh.signal))).toBe('refused')
  stranger.send(found, 'raft', utf8('vote'))
  stranger.send(found, 'join', utf8('spam'))
  const stream = await stranger.open(found, 'kubelet', mesh.signal)
  expect(
    await reasonOf(
      (async () => {
        for await (const _bytes of stream.read()) expect.fail('a stranger was given bytes')
      })(),
    ),
  ).toBe('broken')
  for (let i = 0; i < 5; i++) stranger.publish('state', utf8('lies'))
  await until('the send stream was refused', () => peer.statistics().refusedStreams >= 4)
  expect(heard).toEqual(['request join'])
  expect(peer.connected()).toEqual([])
})

test('a stranger cannot even connect where nobody answers join, and few can where somebody does', async () => {
  await using mesh = openMesh()
  const closed = await mesh.open('closed')
  const stranger = await mesh.open('stranger')
  const dialled = await reasonOf(
    (async () => {
      const found = await stranger.dial(closed.addresses()[0] ?? '', mesh.signal)
      await stranger.request(found, 'join', utf8('please'), mesh.signal)
    })(),
  )
  expect(['unreachable', 'broken', 'refused']).toContain(dialled)
  expect(closed.statistics().refusedConnections).toBeGreaterThan(0)

  const narrow = await mesh.open('narrow', { gate: { strangerCountMax: 1, strangerMs: 1_000 } })
  narrow.onRequest('join', async (_from, body) => body)
  const first = await stranger.dial(narrow.addresses()[0] ?? '', mesh.signal)
  expect(text(await stranger.request(first, 'join', utf8('one'), mesh.signal))).toBe('one')
  const other = await mesh.open('other')
  const second = (async () => {
    const found = await other.dial(narrow.addresses()[0] ?? '', mesh.signal)
    return await other.request(found, 'join', utf8('two'), mesh.signal)
  })()
  expect(await reasonOf(second)).not.toBe('none')
  // The first has to go after its time, and then there is room.
  await until('the stranger was sent away', () => narrow.statistics().strangers === 0)
})

test('a peer that is no longer admitted is cut off at once', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  b.onRequest('api', async (_from, body) => body)
  admitAll(a, b)
  await until('connected', () => a.connected().length === 1 && b.connected().length === 1)
  await a.request(b.self, 'api', utf8('while welcome'), mesh.signal)
  b.admit([])
  await until('cut off', () => a.connected().length === 0 && b.connected().length === 0)
  expect(await reasonOf(a.request(b.self, 'api', utf8('again'), mesh.signal))).not.toBe('none')
})

test('a stranger that is admitted needs no new connection', async () => {
  await using mesh = openMesh()
  const [peer, joiner] = [await mesh.open('peer'), await mesh.open('joiner')]
  peer.onRequest('join', async (_from, body) => body)
  peer.onRequest('api', async (_from, body) => body)
  const gossip: string[] = []
  peer.onGossip('state', (from, message) => void gossip.push(`${from === joiner.self} ${text(message)}`))
  joiner.onGossip('state', () => {})
  const found = await joiner.dial(peer.addresses()[0] ?? '', mesh.signal)
  await joiner.request(found, 'join', utf8('please'), mesh.signal)
  joiner.admit([{ peer: peer.self, addresses: [] }])
  peer.admit([{ peer: joiner.self, addresses: [] }])
  expect([peer.connected(), joiner.connected()]).toEqual([[joiner.self], [peer.self]])
  expect(text(await joiner.request(found, 'api', utf8('now'), mesh.signal))).toBe('now')
  await until('gossip reaches the peer', () => {
    joiner.publish('state', utf8('hello'))
    return gossip.includes('true hello')
  })
})

test('half-close ends one direction only, and an abort breaks both', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  let aborted: Promise<string> | undefined
  b.onStream('tunnel', async (stream, signal) => {
    let size = 0
    for await (const bytes of stream.read()) size += bytes.length
    await stream.write(utf8(`got ${size}`))
    await stream.write(utf8(', bye'))
    expect(signal.aborted).toBe(false)
  })
  b.onStream('api', async (stream, signal) => {
    const ended = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
    aborted = reasonOf(
      (async () => {
        for await (const _bytes of stream.read());
      })(),
    )
    await ended
  })
  admitAll(a, b)
  const stream = await a.open(b.self, 'tunnel', mesh.signal)
  await stream.write(new Uint8Array(3_000_000))
  await stream.closeWrite()
  let back = ''
  for await (const bytes of stream.read()) back += text(bytes)
  expect(back).toBe('got 3000000, bye')

  const other = await a.open(b.self, 'api', mesh.signal)
  await other.write(utf8('x'))
  await until('the handler reads', () => aborted !== undefined)
  other.abort()
  other.abort()
  expect(await aborted).toBe('broken')
})

test('a writer waits while the reader does not read, and every byte comes in the end', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  const { promise: go, resolve: start } = Promise.withResolvers<void>()
  const { promise: total, resolve: setTotal } = Promise.withResolvers<number>()
  b.onStream('snapshot', async stream => {
    await go
    let size = 0
    let expected = 0
    for await (const bytes of stream.read()) {
      for (const byte of bytes) if (byte !== (expected++ & 0xff)) throw new Error(`byte ${expected - 1} is wrong`)
      size += bytes.length
      // Slower than the writer, so that it is paused and resumed many times.
      if (size % 7 === 0) await new Promise(resolve => setTimeout(resolve, 1))
    }
    setTotal(size)
  })
  admitAll(a, b)
  const stream = await a.open(b.self, 'snapshot', mesh.signal)
  const piece = Uint8Array.from({ length: 64 * 1024 }, (_, i) => i & 0xff)
  let written = 0
  const writing = (async () => {
    for (let i = 0; i < 640; i++) {
      await stream.write(piece)
      written += piece.length
    }
    await stream.closeWrite()
  })()
  await new Promise(resolve => setTimeout(resolve, 1_000))
  const early = written
  expect(early).toBeLessThan(20 * 1024 * 1024)
  start()
  await writing
  expect(await total).toBe(640 * piece.length)
})

test('a stream that is cut by the end of a network is not taken for complete', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  b.onStream('snapshot', async (stream, signal) => {
    await stream.write(utf8('half of it'))
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
  })
  admitAll(a, b)
  const stream = await a.open(b.self, 'snapshot', mesh.signal)
  const reading = reasonOf(
    (async () => {
      for await (const _bytes of stream.read());
    })(),
  )
  await new Promise(resolve => setTimeout(resolve, 100))
  await b.stop()
  expect(await reading).toBe('broken')
})

test('a request says why it failed', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  b.onRequest('api', async () => {
    throw new Error('no such pod')
  })
  let seen: AbortSignal | undefined
  b.onRequest('status', (_from, _body, signal) => {
    seen = signal
    return new Promise<Bytes>(() => {})
  })
  admitAll(a, b)
  await expect(a.request(b.self, 'api', utf8('x'), mesh.signal)).rejects.toMatchObject({
    reason: 'failed',
    message: 'no such pod',
  })
  expect(await reasonOf(a.request(b.self, 'kubelet', utf8('x'), mesh.signal))).toBe('refused')
  expect(await reasonOf(a.request(b.self, 'api', new Uint8Array(16 * 1024 * 1024 + 1), mesh.signal))).toBe('too-large')
  expect(await reasonOf(a.request(a.self, 'api', utf8('x'), mesh.signal))).toBe('refused')
  const hurried = new AbortController()
  const asking = reasonOf(a.request(b.self, 'status', utf8('x'), hurried.signal))
  await until('the question came', () => seen !== undefined)
  hurried.abort()
  expect(await asking).toBe('aborted')
  await until('the handler is told', () => seen?.aborted === true)
})

test('a question and an answer of many megabytes pass', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  b.onRequest('api', async (_from, body) => body)
  admitAll(a, b)
  const body = new Uint8Array(16 * 1024 * 1024).fill(7)
  const answer = await a.request(b.self, 'api', body, mesh.signal)
  expect(answer.length).toBe(body.length)
  expect(answer.every(byte => byte === 7)).toBe(true)
})

test('a message gets past a large question, and past a large answer', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  const seen: string[] = []
  a.onMessage('raft', () => void seen.push('message'))
  b.onMessage('raft', () => void seen.push('message'))
  b.onRequest('api', async (_from, body) => {
    seen.push('question')
    // Sent when the answer is on its way.
    setImmediate(() => b.send(a.self, 'raft', utf8('back')))
    return body
  })
  admitAll(a, b)
  await until('connected', () => a.connected().length === 1 && b.connected().length === 1)
  const asking = a.request(b.self, 'api', new Uint8Array(16 * 1024 * 1024), mesh.signal)
  a.send(b.self, 'raft', utf8('there'))
  await asking
  seen.push('answer')
  expect(seen).toEqual(['message', 'question', 'message', 'answer'])
})

test('whoever accepts a connection can ask at once', async () => {
  for (let round = 0; round < 5; round++) {
    await using mesh = openMesh()
    const [a, b] = [await mesh.open('a'), await mesh.open('b')]
    const asked: Promise<string>[] = []
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      one.onRequest('api', async (_from, body) => body)
      one.onConnectionChange((_peer, connected) => {
        if (connected) asked.push(one.request(other.self, 'api', utf8('you?'), mesh.signal).then(text))
      })
    }
    admitAll(a, b)
    await until('both are told', () => asked.length === 2)
    // Nobody waits for an answer that never comes: who was not admitted yet over there is told so.
    for (const answer of await Promise.all(asked.map(one => one.catch(error => error.reason)))) {
      expect(['you?', 'refused']).toContain(answer)
    }
  }
})

test('a question ends when the one who was asked ends, and its handler when the asker does', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  const told: AbortSignal[] = []
  for (const one of [a, b]) {
    one.onRequest('status', (_from, _body, signal) => {
      told.push(signal)
      return new Promise<Bytes>(() => {})
    })
  }
  admitAll(a, b)
  await until('connected', () => a.connected().length === 1 && b.connected().length === 1)
  const ofA = reasonOf(a.request(b.self, 'status', utf8('x'), mesh.signal))
  const ofB = reasonOf(b.request(a.self, 'status', utf8('x'), mesh.signal))
  await until('both questions came', () => told.length === 2)
  await b.stop()
  expect(await ofA).toBe('broken')
  expect(await ofB).toBe('stopped')
  await until('both handlers are told', () => told.every(signal => signal.aborted))
})

test('whoever answers at an address is told apart from whoever was meant', async () => {
  await using mesh = openMesh()
  const [a, b, c] = [await mesh.open('a'), await mesh.open('b'), await mesh.open('c')]
  b.onRequest('join', async (_from, body) => body)
  const address = (b.addresses()[0] ?? '').replace(b.self, c.self)
  expect(await reasonOf(a.dial(address, mesh.signal))).toBe('wrong-peer')
  expect(await reasonOf(a.dial('/ip4/127.0.0.1/tcp/1', mesh.signal))).toBe('unreachable')
  expect(await reasonOf(a.dial('192.0.2.1:4001', mesh.signal))).toBe('unreachable')
  const bare = (b.addresses()[0] ?? '').replace(/\/p2p\/.*/, '')
  expect(await a.dial(bare, mesh.signal)).toBe(b.self)
})

test('an address that cannot be listened on is an error that names it', async () => {
  await using mesh = openMesh()
  const first = await mesh.open('a')
  const taken = (first.addresses()[0] ?? '').replace(/\/p2p\/.*/, '')
  await expect(mesh.open('b', { listen: [taken] })).rejects.toThrow(taken)
})
