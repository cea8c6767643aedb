// A world for tests of the API server: the real clock and randomness, a log that keeps what it is told, and peers that
// reach each other in this process.
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Log, LogFields } from '../../src/world/log.ts'
import { type Network, type PeerId, type Protocol, peerId } from '../../src/world/network.ts'
import type { World } from '../../src/world/world.ts'

type Handler = (from: PeerId, body: Bytes, signal: AbortSignal) => Promise<Bytes>

/** Peers that can ask each other; one per name. */
export class Mesh {
  readonly handlers = new Map<string, Handler>()
  network(name: string): Network {
    const self = peerId(name)
    const none = { [Symbol.dispose]() {} }
    const key = (peer: string, protocol: Protocol) => `${peer}/${protocol}`
    return {
      self,
      send() {},
      onMessage: () => none,
      request: async (to, protocol, body, signal) => {
        const handler = this.handlers.get(key(to, protocol))
        if (handler === undefined) throw new Error(`${to} is not there`)
        return await handler(self, body, signal)
      },
      onRequest: (protocol, handler) => {
        this.handlers.set(key(self, protocol), handler)
        return { [Symbol.dispose]: () => void this.handlers.delete(key(self, protocol)) }
      },
      open: () => Promise.reject(new Error('no streams here')),
      onStream: () => none,
      publish() {},
      onGossip: () => none,
      connected: () => [],
      onConnectionChange: () => none,
      admit() {},
    }
  }
}

export type Line = { readonly level: string; readonly message: string; readonly fields: LogFields }

export function keepingLog(lines: Line[]): Log {
  const say =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields })
  const log: Log = {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    with: () => log,
  }
  return log
}

export function testWorld(name = 'memory', mesh = new Mesh(), lines: Line[] = []): World {
  const disk = new Proxy(
    {},
    {
      get() {
        throw new Error('the API server uses no disk')
      },
    },
  ) as World['disk']
  return { clock: realClock(), random: realRandom(), network: mesh.network(name), disk, log: keepingLog(lines) }
}
