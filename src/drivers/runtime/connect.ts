// A TCP connection to a port inside a pod: straight to the pod's address where something listens there, else from inside its
// network namespace, for servers that listen on 127.0.0.1 alone. Called by the runtimes' `dial`.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { onAbort } from '../../lib/abort.ts'
import type { Bytes } from '../../lib/bytes.ts'
import { type PodConnection, RuntimeError } from '../../world/runtime.ts'
import type { RuntimeWorld } from './common.ts'

const connectTimeoutMs = 2_000
const helperTimeoutMs = 5_000

export type DialTarget = {
  readonly port: number
  /** Reachable from this process, tried in order: the pod's own, or 127.0.0.1 for a pod in the host's network. */
  readonly ips: readonly string[]
  /** A file of the pod's network namespace. */
  readonly netns?: string
  /** The program that connects from inside: shim.c's `dial`. Without it, nsenter and socat. */
  readonly helper?: string
}

/** Rejects with RuntimeError Unavailable when nothing listens. */
export async function dialPod(world: RuntimeWorld, target: DialTarget, signal: AbortSignal): Promise<PodConnection> {
  const failures: string[] = []
  for (const ip of target.ips)
    try {
      return overSocket(await openSocket(world, ip, target.port, signal))
    } catch (error) {
      failures.push((error as Error).message)
    }
  if (target.netns !== undefined)
    try {
      return await throughHelper(world, target.netns, target.port, target.helper, signal)
    } catch (error) {
      failures.push((error as Error).message)
    }
  if (signal.aborted) throw signal.reason
  throw new RuntimeError('Unavailable', `cannot connect to port ${target.port} of the pod: ${failures.join('; ')}`)
}

async function openSocket(world: RuntimeWorld, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  using deadline = world.clock.deadline(connectTimeoutMs, signal)
  const socket = connect({ host, port, allowHalfOpen: true })
  using _ = onAbort(deadline.signal, () => socket.destroy(new Error(`no answer from ${host}:${port}`)))
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function overSocket(socket: Socket): PodConnection {
  // An error ends `read`; without a listener it would end the process when nobody reads.
  socket.on('error', () => {})
  return connection(socket, socket, () => socket.destroy())
}

async function throughHelper(
  world: RuntimeWorld,
  netns: string,
  port: number,
  helper: string | undefined,
  signal: AbortSignal,
): Promise<PodConnection> {
  const child =
    helper === undefined
      ? spawn('nsenter', [`--net=${netns}`, 'socat', '-d', '-d', '-', `TCP4:127.0.0.1:${port}`])
      : spawn(helper, ['dial', netns, String(port)])
  const { stdin, stdout, stderr } = child
  stdin.on('error', () => {})
  stdout.on('error', () => {})
  try {
    await connected(world, child, stderr, signal)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return connection(stdout, stdin, () => child.kill('SIGKILL'))
}

/** Both helpers say on stderr when they have connected, or why not. */
async function connected(
  world: RuntimeWorld,
  child: ChildProcess,
  stderr: Readable,
  signal: AbortSignal,
): Promise<void> {
  using deadline = world.clock.deadline(helperTimeoutMs, signal)
  let said = ''
  const outcome = Promise.withResolvers<void>()
  using _ = onAbort(deadline.signal, () => outcome.reject(new Error('the helper in the pod does not answer')))
  child.once('error', error => outcome.reject(error))
  child.once('close', () => outcome.reject(new Error(lastLine(said) || 'nothing listens there')))
  stderr.on('data', (chunk: Buffer) => {
    if (said.length < 4_096) said += chunk.toString()
    if (/^connected$|starting data transfer loop/m.test(said)) outcome.resolve()
  })
  await outcome.promise
}

function lastLine(said: string): string {
  return said.trim().split('\n').at(-1) ?? ''
}

function connection(from: Readable, to: Writable, abort: () => void): PodConnection {
  return {
    async *read() {
      for await (const chunk of from) yield chunk as Bytes
    },
    async write(bytes) {
      if (to.destroyed || to.writableEnded) throw new RuntimeError('Unavailable', 'the connection to the pod is closed')
      if (!to.write(bytes)) await Promise.race([once(to, 'drain'), once(to, 'close')])
    },
    async closeWrite() {
      if (!to.destroyed && !to.writableEnded) to.end()
    },
    abort,
  }
}
