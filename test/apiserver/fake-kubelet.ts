// A kubelet whose every container is this machine: exec runs processes, port-forward dials 127.0.0.1, logs count lines. What
// the API server sends it arrives as it would over the mesh.
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { fromBinary } from '@bufbuild/protobuf'
import { type Bytes, text, utf8 } from '../../src/lib/bytes.ts'
import { encodeChannel, frameDecoder } from '../../src/wire/frame.ts'
import { type KubeletRequest, KubeletRequestSchema } from '../../src/wire/gen/flotilla/v1/kubelet_pb.ts'
import { type MeshStream, peerId } from '../../src/world/network.ts'

class Half {
  readonly items: Bytes[] = []
  ended = false
  broken = false
  wake: () => void = () => {}
  room: () => void = () => {}
  async *read(): AsyncGenerator<Bytes> {
    for (;;) {
      if (this.broken) throw new Error('the stream broke')
      const next = this.items.shift()
      if (next) {
        this.room()
        yield next
      } else if (this.ended) return
      else await new Promise<void>(resolve => (this.wake = resolve))
    }
  }
}

/** Two ends of one stream; a writer waits while eight writes are unread. */
export function pipe(): [MeshStream, MeshStream] {
  const halves = [new Half(), new Half()] as const
  const end = (own: Half, other: Half): MeshStream => ({
    remote: peerId('other'),
    read: () => other.read(),
    async write(bytes) {
      while (own.items.length >= 8 && !own.broken) await new Promise<void>(resolve => (own.room = resolve))
      if (own.broken || own.ended) throw new Error('the stream broke')
      own.items.push(bytes)
      own.wake()
    },
    async closeWrite() {
      own.ended = true
      own.wake()
    },
    abort() {
      for (const half of halves) {
        half.broken = true
        half.wake()
        half.room()
      }
    },
  })
  return [end(halves[0], halves[1]), end(halves[1], halves[0])]
}

const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' }

export type FakeKubelet = { readonly requests: KubeletRequest[]; readonly sizes: string[]; open(): Promise<MeshStream> }

export function fakeKubelet(): FakeKubelet {
  const requests: KubeletRequest[] = []
  const sizes: string[] = []
  async function serve(stream: MeshStream): Promise<void> {
    const decoder = frameDecoder()
    const frames = (async function* () {
      for await (const bytes of stream.read()) yield* decoder.push(bytes)
    })()
    const first = await frames.next()
    if (first.done) return
    const request = fromBinary(KubeletRequestSchema, first.value)
    requests.push(request)
    const finish = async (status: unknown) => {
      await stream.write(encodeChannel(3, utf8(JSON.stringify(status))))
      await stream.closeWrite()
    }
    const { ask } = request
    if (ask.case === 'logs') {
      if (request.container === 'silent') {
        await finish({
          ...success,
          status: 'Failure',
          message: 'container "silent" is waiting to start',
          reason: 'BadRequest',
        })
        return
      }
      const count = ask.value.tailLines === undefined ? 5 : Number(ask.value.tailLines)
      for (let i = 0; i < count; i++) await stream.write(encodeChannel(1, utf8(`line ${i}\n`)))
      if (ask.value.follow) await new Promise(resolve => setTimeout(resolve, 300))
      if (ask.value.follow) await stream.write(encodeChannel(1, utf8('followed\n')))
      await finish(success)
    } else if (ask.case === 'exec' || ask.case === 'attach') {
      const command = ask.case === 'exec' ? ask.value.command : ['cat']
      const child = spawn(command[0] ?? 'false', command.slice(1))
      child.stdin.on('error', () => {})
      if (!ask.value.stdin) child.stdin.end()
      ;(async () => {
        for await (const frame of frames) {
          const rest = frame.subarray(1)
          if (frame[0] === 0 && !child.stdin.write(rest))
            await new Promise(resolve => child.stdin.once('drain', resolve))
          if (frame[0] === 4) sizes.push(text(rest))
          if (frame[0] === 255) child.stdin.end()
        }
      })().catch(() => void child.kill('SIGKILL'))
      const pump = async (source: AsyncIterable<Bytes>, channel: number) => {
        for await (const bytes of source) await stream.write(encodeChannel(channel, bytes))
      }
      const code = new Promise<number>(resolve => {
        child.on('error', () => resolve(127))
        child.on('close', value => resolve(value ?? 137))
      })
      await Promise.all([pump(child.stdout, 1), pump(child.stderr, 2)])
      const status = await code
      if (status === 0) await finish(success)
      else {
        await finish({
          ...success,
          status: 'Failure',
          reason: 'NonZeroExitCode',
          message: `command terminated with non-zero exit code: exit status ${status}`,
          details: { causes: [{ reason: 'ExitCode', message: String(status) }] },
        })
      }
    } else if (ask.case === 'portForward') {
      const socket = connect(ask.value.port, '127.0.0.1')
      try {
        await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
      } catch (error) {
        await finish({ ...success, status: 'Failure', message: String(error), reason: 'InternalError' })
        return
      }
      ;(async () => {
        for await (const frame of frames) {
          if (frame[0] === 0) socket.write(frame.subarray(1))
          if (frame[0] === 255) socket.end()
        }
      })().catch(() => socket.destroy())
      for await (const bytes of socket) await stream.write(encodeChannel(1, bytes as Bytes))
      await stream.write(encodeChannel(255, Uint8Array.of(1)))
      await finish(success)
    }
  }
  return {
    requests,
    sizes,
    async open() {
      const [ours, theirs] = pipe()
      serve(theirs).catch(() => theirs.abort())
      return ours
    },
  }
}
