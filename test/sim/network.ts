// A network in memory: messages are lost, doubled, delayed, clogged; within one connection they stay in order; pairs are
// cut both ways or one way. A clean cut is noticed on both sides after a moment, a one-way cut by silence alone.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { MeshStream, Network, PeerId, Protocol } from '../../src/world/network.ts'
import { delay, forever, type Life, later } from './life.ts'
import { createLinks } from './links.ts'
import type { Counts } from './outcome.ts'
import type { Partition } from './partition.ts'

export type NetworkFaults = {
  loss: number
  duplicate: number
  delayMsMin: number
  delayMsMax: number
  /** How long until a broken connection is noticed; a cut that heals before is not. */
  noticeMsMax: number
}

export type SimNetwork = {
  readonly join: (self: PeerId, life: Life) => Network
  readonly leave: (self: PeerId) => void
  /** Disposing heals it. */
  readonly part: (partition: Partition<PeerId>) => Disposable
  readonly clog: (from: PeerId, to: PeerId, untilMs: number) => void
  /** Nothing fails any more between those that `isHealed` names; what is between others stays as it is. */
  readonly heal: (isHealed: (peer: PeerId) => boolean) => void
  readonly messageCount: () => number
  /** Messages that a fault changed the way of, and the partitions of each kind that kept one back. */
  readonly bites: () => Counts
}

type Handlers = {
  readonly life: Life
  readonly messages: Map<Protocol, (from: PeerId, message: Bytes) => void>
  readonly requests: Map<Protocol, (from: PeerId, body: Bytes, signal: AbortSignal) => Promise<Bytes>>
  readonly streams: Map<Protocol, (stream: MeshStream, signal: AbortSignal) => Promise<void>>
  readonly gossip: Map<string, (from: PeerId, message: Bytes) => void>
  readonly connections: Set<(peer: PeerId, connected: boolean) => void>
  /** What this peer believes. */
  readonly connected: Set<PeerId>
  readonly open: Set<Pipe>
}

type Pipe = { readonly ends: readonly [PeerId, PeerId]; readonly breakUp: () => void }

export class NetworkError extends Error {
  override readonly name = 'NetworkError'
}

/** `tap` sees every message as it leaves and as it arrives. */
export function createSimNetwork(
  agenda: { nowMs: () => number; after: (ms: number, act: () => void) => void },
  random: Prng,
  faults: NetworkFaults,
  tap: (what: 'sent' | 'heard', from: PeerId, to: PeerId, protocol: Protocol, message: Bytes) => void,
): SimNetwork {
  const peers = new Map<PeerId, Handlers>()
  const links = createLinks<PeerId>()
  const counts = { lost: 0, doubled: 0, clogged: 0, 'cut off': 0 }
  /** When the last message of a connection arrives: the next may not be earlier. */
  const arrivals = new Map<string, number>()
  let messageCount = 0

  const { isCut } = links
  const chance = (probability: number, a: PeerId, b: PeerId) => !links.isHealthy(a, b) && random.chance(probability)
  const delayMs = (a: PeerId, b: PeerId) =>
    links.isHealthy(a, b)
      ? 1 + random.float() * 9
      : faults.delayMsMin + random.float() * (faults.delayMsMax - faults.delayMsMin)
  const isJoined = (a: PeerId, b: PeerId) => peers.has(a) && peers.has(b) && !(isCut(a, b) && isCut(b, a))

  /** Tells `self` how the connection to `other` is, if that is news when it is noticed. */
  function look(self: PeerId, other: PeerId, ms: number): void {
    const mine = peers.get(self)
    if (mine === undefined) return
    later(mine.life, ms, () => {
      const stands = isJoined(self, other)
      if (stands === mine.connected.has(other)) return
      if (stands) mine.connected.add(other)
      else mine.connected.delete(other)
      for (const handler of [...mine.connections]) handler(other, stands)
    })
  }

  function lookAll(): void {
    for (const pipe of [...peers.values()].flatMap(one => [...one.open])) {
      const [a, b] = pipe.ends
      if (!peers.has(a) || !peers.has(b) || isCut(a, b) || isCut(b, a)) pipe.breakUp()
    }
    for (const self of peers.keys()) {
      for (const other of peers.keys()) {
        if (self !== other) look(self, other, 1 + random.float() * faults.noticeMsMax)
      }
    }
  }

  function deliver(from: PeerId, to: PeerId, act: (target: Handlers) => void): void {
    const key = `${from}>${to}`
    const cloggedUntilMs = links.cloggedUntilMs(from, to)
    if (cloggedUntilMs > agenda.nowMs()) counts.clogged++
    // What was clogged before healing holds nobody up after it.
    const lastMs = Math.min(arrivals.get(key) ?? 0, links.isHealthy(from, to) ? agenda.nowMs() + 10 : Infinity)
    const at = Math.max(agenda.nowMs() + delayMs(from, to), lastMs, cloggedUntilMs)
    arrivals.set(key, at)
    agenda.after(at - agenda.nowMs(), () => {
      const target = peers.get(to)
      if (target === undefined) return
      if (isCut(from, to)) links.bites(from, to)
      else later(target.life, 0, () => act(target))
    })
  }

  function join(self: PeerId, life: Life): Network {
    const mine: Handlers = {
      life,
      messages: new Map(),
      requests: new Map(),
      streams: new Map(),
      gossip: new Map(),
      connections: new Set(),
      connected: new Set(),
      open: new Set(),
    }
    peers.set(self, mine)
    for (const other of peers.keys()) {
      if (other === self) continue
      arrivals.delete(`${self}>${other}`)
      arrivals.delete(`${other}>${self}`)
      look(self, other, 1)
      look(other, self, 1)
    }
    const register = <K, V>(map: Map<K, V>, key: K, value: V): Disposable => {
      if (map.has(key)) throw new Error(`${String(key)} has a handler already`)
      map.set(key, value)
      return { [Symbol.dispose]: () => void map.delete(key) }
    }

    return {
      self,
      send(to, protocol, message) {
        if (!life.alive) return
        messageCount++
        tap('sent', self, to, protocol, message)
        if (isCut(self, to)) {
          counts['cut off']++
          links.bites(self, to)
          return
        }
        const times = chance(faults.duplicate, self, to) ? 2 : 1
        if (times > 1) counts.doubled++
        for (let i = 0; i < times; i++) {
          if (chance(faults.loss, self, to)) {
            counts.lost++
            continue
          }
          deliver(self, to, target => {
            const handler = target.messages.get(protocol)
            if (handler === undefined) return
            tap('heard', self, to, protocol, message)
            handler(self, message)
          })
        }
      },
      onMessage: (protocol, handler) => register(mine.messages, protocol, handler),
      async request(to, protocol, body, signal) {
        await delay(life, delayMs(self, to))
        const target = peers.get(to)
        const handler = target?.requests.get(protocol)
        if (target === undefined || handler === undefined || isCut(self, to))
          throw new NetworkError(`${to} is not there`)
        const answer = await handler(self, body, signal)
        await delay(life, delayMs(self, to))
        if (peers.get(to) !== target || isCut(to, self)) throw new NetworkError(`${to} is gone`)
        return answer
      },
      onRequest: (protocol, handler) => register(mine.requests, protocol, handler),
      async open(to, protocol, signal) {
        if (!life.alive) await forever()
        await delay(life, delayMs(self, to))
        const target = peers.get(to)
        const handler = target?.streams.get(protocol)
        if (target === undefined || handler === undefined || isCut(self, to) || isCut(to, self)) {
          throw new NetworkError(`${to} cannot be reached`)
        }
        const [near, far] = createPipe(self, mine, to, target)
        const ending = new AbortController()
        later(target.life, 0, () => {
          handler(far, ending.signal).catch(() => far.abort())
        })
        signal.addEventListener('abort', () => near.abort(), { once: true })
        return near
      },
      onStream: (protocol, handler) => register(mine.streams, protocol, handler),
      publish(topic, message) {
        for (const [to, target] of peers) {
          if (to === self || !target.gossip.has(topic) || isCut(self, to) || chance(faults.loss, self, to)) continue
          deliver(self, to, ({ gossip }) => gossip.get(topic)?.(self, message))
        }
      },
      onGossip: (topic, handler) => register(mine.gossip, topic, handler),
      connected: () => [...mine.connected],
      onConnectionChange(handler) {
        mine.connections.add(handler)
        return { [Symbol.dispose]: () => void mine.connections.delete(handler) }
      },
      // Who may connect is the driver's business; every peer of a simulation is admitted.
      admit() {},
    }
  }

  function createPipe(a: PeerId, mine: Handlers, b: PeerId, theirs: Handlers): [MeshStream, MeshStream] {
    const toB = createHalf(theirs.life)
    const toA = createHalf(mine.life)
    const pipe: Pipe = {
      ends: [a, b],
      breakUp() {
        mine.open.delete(pipe)
        theirs.open.delete(pipe)
        for (const half of [toA, toB]) half.breakUp()
      },
    }
    mine.open.add(pipe)
    theirs.open.add(pipe)
    const end = (remote: PeerId, life: Life, incoming: Half, outgoing: Half): MeshStream => ({
      remote,
      read: () => incoming.read(),
      async write(bytes) {
        if (!life.alive) await forever()
        if (outgoing.isBroken()) throw new NetworkError('the stream is broken')
        const copy = bytes.slice()
        await delay(life, delayMs(a, b))
        if (outgoing.isBroken()) throw new NetworkError('the stream broke')
        outgoing.push(copy)
      },
      async closeWrite() {
        if (!life.alive) await forever()
        outgoing.push(undefined)
      },
      abort() {
        if (life.alive) pipe.breakUp()
      },
    })
    return [end(b, mine.life, toA, toB), end(a, theirs.life, toB, toA)]
  }

  return {
    join,
    leave(self) {
      peers.delete(self)
      lookAll()
      // What this one had open broke for the others too.
      for (const other of peers.values()) {
        for (const pipe of [...other.open]) if (pipe.ends.includes(self)) pipe.breakUp()
        const { connected } = other
        if (connected.has(self)) {
          later(other.life, 1 + random.float() * faults.noticeMsMax, () => {
            if (peers.has(self) || !connected.delete(self)) return
            for (const handler of [...other.connections]) handler(self, false)
          })
        }
      }
    },
    part(partition) {
      const part = links.part(partition)
      lookAll()
      return {
        [Symbol.dispose]() {
          part[Symbol.dispose]()
          lookAll()
        },
      }
    },
    clog: links.clog,
    heal(isHealed) {
      links.heal(isHealed)
      lookAll()
    },
    messageCount: () => messageCount,
    bites: () => ({ ...counts, ...links.counts() }),
  }
}

type Half = ReturnType<typeof createHalf>

/** One direction of a stream, as its reader has it. */
function createHalf(reader: Life) {
  const queue: (Bytes | undefined)[] = []
  let isBroken = false
  let wake = () => {}
  const ring = () => later(reader, 0, () => wake())
  return {
    isBroken: () => isBroken,
    /** Undefined is the end. */
    push(bytes: Bytes | undefined) {
      queue.push(bytes)
      ring()
    },
    breakUp() {
      isBroken = true
      ring()
    },
    async *read(): AsyncGenerator<Bytes> {
      for (;;) {
        if (isBroken) throw new NetworkError('the stream broke')
        if (queue.length > 0) {
          const next = queue.shift()
          if (next === undefined) return
          yield next
          continue
        }
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
    },
  }
}
