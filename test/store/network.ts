// An in-memory mesh for stores in one process: messages in order per pair, delivered in a later turn of the event loop,
// streams as pairs of queues. Links and peers can be cut. Peers meet by way of one Mesh.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { MeshStream, Network, PeerId, Protocol } from '../../src/world/network.ts'

type StreamHandler = (stream: MeshStream, signal: AbortSignal) => Promise<void>
type RequestHandler = (from: PeerId, body: Bytes, signal: AbortSignal) => Promise<Bytes>
type Node = {
  readonly requests: Map<Protocol, RequestHandler>
  readonly messages: Map<Protocol, (from: PeerId, message: Bytes) => void>
  readonly streams: Map<Protocol, StreamHandler>
  readonly watchers: Set<(peer: PeerId, connected: boolean) => void>
}

export type Mesh = {
  network(self: PeerId): Network
  /** Takes a peer off the mesh, or puts it back. The others see the connection go, unless it is silent. */
  cut(peer: PeerId, isCut: boolean, options?: { silent: boolean }): void
  /** Messages sent so far. */
  readonly sentCount: number
}

export function createMesh(): Mesh {
  const nodes = new Map<PeerId, Node>()
  const cut = new Set<PeerId>()
  let sentCount = 0
  let queue: (() => void)[] = []
  // One macrotask for all that was sent in a turn, as a socket would have it.
  const later = (act: () => void) => {
    if (queue.length === 0) {
      setImmediate(() => {
        const all = queue
        queue = []
        for (const one of all) one()
      })
    }
    queue.push(act)
  }
  const reach = (a: PeerId, b: PeerId) => !cut.has(a) && !cut.has(b) && nodes.has(a) && nodes.has(b)
  const on = <K, V>(map: Map<K, V>, key: K, value: V): Disposable => {
    map.set(key, value)
    return {
      [Symbol.dispose]() {
        if (map.get(key) === value) map.delete(key)
      },
    }
  }

  return {
    get sentCount() {
      return sentCount
    },
    cut(peer, isCut, options) {
      if (isCut) cut.add(peer)
      else cut.delete(peer)
      if (options?.silent === true) return
      for (const [other, node] of nodes) {
        if (other !== peer) for (const watcher of node.watchers) watcher(peer, !isCut)
        else for (const watcher of node.watchers) for (const one of nodes.keys()) if (one !== peer) watcher(one, !isCut)
      }
    },
    network(self) {
      const node: Node = { requests: new Map(), messages: new Map(), streams: new Map(), watchers: new Set() }
      nodes.set(self, node)
      return {
        self,
        send(to, protocol, message) {
          sentCount += 1
          later(() => {
            if (reach(self, to)) nodes.get(to)?.messages.get(protocol)?.(self, message)
          })
        },
        onMessage: (protocol, handler) => on(node.messages, protocol, handler),
        async request(to, protocol, body, signal) {
          sentCount += 1
          await new Promise<void>(later)
          const handler = nodes.get(to)?.requests.get(protocol)
          if (!reach(self, to) || handler === undefined) throw new Error(`${to} cannot be reached`)
          const answer = await handler(self, body, signal)
          await new Promise<void>(later)
          if (!reach(self, to)) throw new Error(`${to} went away`)
          return answer
        },
        onRequest: (protocol, handler) => on(node.requests, protocol, handler),
        async open(to, protocol, signal) {
          const handler = nodes.get(to)?.streams.get(protocol)
          if (!reach(self, to) || handler === undefined) throw new Error(`${to} cannot be reached`)
          const [near, far] = streamPair(self, to)
          later(() => void handler(far, signal))
          return near
        },
        onStream: (protocol, handler) => on(node.streams, protocol, handler),
        publish() {},
        onGossip: () => ({ [Symbol.dispose]() {} }),
        connected: () => [...nodes.keys()].filter(peer => peer !== self && reach(self, peer)),
        onConnectionChange(handler) {
          node.watchers.add(handler)
          return { [Symbol.dispose]: () => void node.watchers.delete(handler) }
        },
        admit() {},
      }
    },
  }
}

function streamPair(a: PeerId, b: PeerId): [MeshStream, MeshStream] {
  const shared = { broken: false }
  const halves = [half(shared), half(shared)] as const
  const breakAll = () => {
    shared.broken = true
    for (const one of halves) one.wake()
  }
  const end = (remote: PeerId, out: Half, incoming: Half): MeshStream => ({
    remote,
    read: () => incoming.read(),
    write: async bytes => out.write(bytes),
    closeWrite: async () => out.end(),
    abort: breakAll,
  })
  return [end(b, halves[0], halves[1]), end(a, halves[1], halves[0])]
}

type Half = ReturnType<typeof half>

function half(shared: { broken: boolean }) {
  const parts: Bytes[] = []
  let isEnded = false
  let wake = () => {}
  return {
    wake: () => wake(),
    write(bytes: Bytes) {
      if (shared.broken) throw new Error('the stream broke')
      parts.push(bytes)
      wake()
    },
    end() {
      isEnded = true
      wake()
    },
    async *read(): AsyncGenerator<Bytes> {
      for (;;) {
        if (shared.broken) throw new Error('the stream broke')
        const part = parts.shift()
        if (part !== undefined) yield part
        else if (isEnded) return
        else {
          await new Promise<void>(resolve => {
            wake = resolve
          })
        }
      }
    },
  }
}
