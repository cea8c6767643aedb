// A mesh stream from this peer to itself: the network dials others only, but an API server asks its own kubelet too.
import type { Kubelet } from '../kubelet/run.ts'
import { aborted } from '../lib/abort.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Log } from '../world/log.ts'
import { MeshError, type MeshStream, type PeerId } from '../world/network.ts'

/** Bytes under way in one direction before a writer waits. */
export const pipeBytesMax = 256 * 1024

type Half = {
  write(bytes: Bytes): Promise<void>
  end(): void
  fail(error: Error): void
  read(): AsyncGenerator<Bytes>
}

export function pipe(self: PeerId): readonly [MeshStream, MeshStream] {
  const [there, back] = [half(), half()]
  const abort = () => {
    there.fail(new Error('the stream was aborted'))
    back.fail(new Error('the stream was aborted'))
  }
  const side = (out: Half, into: Half): MeshStream => ({
    remote: self,
    read: () => into.read(),
    write: bytes => out.write(bytes),
    closeWrite: async () => out.end(),
    abort,
  })
  return [side(there, back), side(back, there)]
}

type Serving = Pick<Kubelet, 'serve'>

export type OwnKubelet = {
  /** The API answers before the kubelet has come up: waits for it. MeshError `unreachable` when the signal aborts before. */
  open(until: AbortSignal): Promise<MeshStream>
  /** Called once, when it has come up. */
  is(kubelet: Serving): void
}

export function ownKubelet(self: PeerId, log: Log): OwnKubelet {
  const { promise, resolve } = Promise.withResolvers<Serving>()
  return {
    async open(until) {
      const kubelet = await Promise.race([promise, aborted(until)])
      if (kubelet === undefined) throw new MeshError('unreachable', 'its kubelet has not come up yet')
      const [near, far] = pipe(self)
      kubelet.serve(far, until).catch(error => log.debug('a kubelet stream broke', { error: String(error) }))
      return near
    },
    is: resolve,
  }
}

function half(): Half {
  const queue: Bytes[] = []
  let size = 0
  let ended = false
  let failure: Error | undefined
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const one of [...waiting]) one()
  }
  const change = () =>
    new Promise<void>(resolve => {
      const one = () => {
        waiting.delete(one)
        resolve()
      }
      waiting.add(one)
    })
  return {
    async write(bytes) {
      while (size > pipeBytesMax && failure === undefined && !ended) await change()
      if (failure !== undefined) throw failure
      if (ended) throw new Error('the stream was closed for writing')
      queue.push(bytes)
      size += bytes.length
      wake()
    },
    end() {
      ended = true
      wake()
    },
    fail(error) {
      if (!(ended && queue.length === 0)) failure ??= error
      wake()
    },
    async *read() {
      while (true) {
        const next = queue.shift()
        if (next !== undefined) {
          size -= next.length
          wake()
          yield next
        } else if (failure !== undefined) throw failure
        else if (ended) return
        else await change()
      }
    },
  }
}
