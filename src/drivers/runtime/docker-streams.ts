// Logs, exec and attach of Docker: the framing of its streams and the life of its connections. Called by docker.ts.
import { readFile } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { onAbort } from '../../lib/abort.ts'
import type { Bytes } from '../../lib/bytes.ts'
import { type ExecOptions, type LogOptions, RuntimeError, type Stdio } from '../../world/runtime.ts'
import type { RuntimeWorld } from './common.ts'
import { type DockerApi, DockerError } from './docker-api.ts'
import { detachKeys } from './docker-spec.ts'
import { demultiplexer, type Frame, feed } from './streams.ts'

/** Lines over 16 KiB come as several records, each with a stamp: takes off all but the first of a line. Pure. */
export function joinStamped(): (frame: Frame) => Bytes {
  const within = { stdout: false, stderr: false }
  return ({ stream, bytes }) => {
    const continued = within[stream]
    within[stream] = bytes.at(-1) !== 10
    return continued ? bytes.subarray(bytes.indexOf(32) + 1) : bytes
  }
}

export async function* dockerLogs(
  api: DockerApi,
  id: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Bytes> {
  const { Config } = await api.json<{ Config: { Tty: boolean } }>(
    { method: 'GET', path: `/containers/${id}/json` },
    signal,
  )
  const stream = await api.stream(
    {
      method: 'GET',
      path: `/containers/${id}/logs`,
      query: {
        follow: options.follow,
        timestamps: options.timestamps,
        stdout: options.stream !== 'stderr',
        stderr: options.stream !== 'stdout',
        ...(options.tailLines === undefined ? {} : { tail: options.tailLines }),
        ...(options.sinceMs === undefined ? {} : { since: (options.sinceMs / 1_000).toFixed(3) }),
      },
    },
    signal,
  )
  using _ = onAbort(signal, () => stream.destroy())
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  const demultiplex = demultiplexer()
  const join = options.timestamps ? joinStamped() : (frame: Frame) => frame.bytes
  try {
    for await (const chunk of stream) {
      const frames = Config.Tty ? [{ stream: 'stdout' as const, bytes: chunk as Bytes }] : demultiplex(chunk as Bytes)
      for (const frame of frames) {
        const bytes = Config.Tty ? frame.bytes : join(frame)
        if (bytes.length === 0) continue
        yield bytes.subarray(0, left)
        left -= bytes.length
        if (left <= 0) return
      }
    }
  } catch (error) {
    if (!signal.aborted)
      throw new RuntimeError('Unavailable', `the log broke off: ${(error as Error).message}`, { cause: error })
  } finally {
    stream.destroy()
  }
}

export async function dockerExec(
  world: RuntimeWorld,
  api: DockerApi,
  id: string,
  options: ExecOptions,
  stdio: Stdio,
  signal: AbortSignal,
): Promise<number> {
  const { Id: exec } = await api.json<{ Id: string }>(
    {
      method: 'POST',
      path: `/containers/${id}/exec`,
      body: {
        Cmd: options.command,
        Tty: options.tty,
        AttachStdin: options.stdin,
        AttachStdout: true,
        AttachStderr: true,
        DetachKeys: detachKeys,
      },
    },
    signal,
  )
  // The connection must outlive an abort until the process is dead: it is what tells us that it has ended.
  const connection = await api.hijack(
    { method: 'POST', path: `/exec/${exec}/start`, body: { Detach: false, Tty: options.tty } },
    new AbortController().signal,
  )
  const never = new AbortController().signal
  const state = () => api.json<ExecState>({ method: 'GET', path: `/exec/${exec}/json` }, never)
  using _ = onAbort(signal, () => {
    // Closing the connection does not end the process.
    killExec(world, id, state)
      .catch(error => world.log.warn('cannot kill an exec', { container: id, error: (error as Error).message }))
      .finally(() => connection.destroy())
  })
  const resize = (size: { width: number; height: number }) =>
    api.json({ method: 'POST', path: `/exec/${exec}/resize`, query: { w: size.width, h: size.height } }, signal)
  await join(world, connection, options, stdio, resize, signal)
  if (signal.aborted) throw signal.reason
  for (let round = 0; round < 100; round++) {
    // The stream may end a moment before the exit code is written down.
    const { Running, ExitCode } = await state()
    if (!Running && ExitCode !== null) return ExitCode
    await world.clock.sleep(20, signal)
    if (signal.aborted) throw signal.reason
  }
  throw new RuntimeError('Unavailable', 'the exec closed its streams and goes on running')
}

export async function dockerAttach(
  world: RuntimeWorld,
  api: DockerApi,
  id: string,
  options: Omit<ExecOptions, 'command'>,
  stdio: Stdio,
  signal: AbortSignal,
): Promise<void> {
  const { State } = await api.json<{ State: { Running: boolean } }>(
    { method: 'GET', path: `/containers/${id}/json` },
    signal,
  )
  // Docker would attach to one that has ended, and wait for ever.
  if (!State.Running) throw new RuntimeError('NotFound', 'the container does not run')
  const connection = await api.hijack(
    {
      method: 'POST',
      path: `/containers/${id}/attach`,
      query: { stream: true, stdin: options.stdin, stdout: true, stderr: true, detachKeys },
      // Ignored by the daemon; without a body the request would not leave before the first byte of stdin.
      body: { stream: true },
    },
    signal,
  )
  using _ = onAbort(signal, () => connection.destroy())
  const resize = (size: { width: number; height: number }) =>
    api.json({ method: 'POST', path: `/containers/${id}/resize`, query: { w: size.width, h: size.height } }, signal)
  await join(world, connection, options, stdio, resize, signal)
}

/** Carries bytes and sizes both ways until the daemon closes its side. */
async function join(
  world: RuntimeWorld,
  connection: Duplex,
  options: Omit<ExecOptions, 'command'>,
  stdio: Stdio,
  resize: (size: { width: number; height: number }) => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  // These two may wait for the client for ever; they end with the connection or hold nothing.
  // On a terminal the end of input is a character that people type; closing would hang up on the process.
  if (options.stdin) feed(stdio.input, connection, !options.tty).catch(() => connection.destroy())
  if (options.tty) follow(world, stdio.resizes, resize, connection, signal).catch(() => {})
  const demultiplex = demultiplexer()
  try {
    for await (const chunk of connection) {
      if (options.tty) await stdio.stdout(chunk as Bytes)
      else for (const frame of demultiplex(chunk as Bytes)) await stdio[frame.stream](frame.bytes)
    }
  } catch (error) {
    if (!signal.aborted)
      throw new RuntimeError('Unavailable', `the stream broke: ${(error as Error).message}`, { cause: error })
  } finally {
    connection.destroy()
  }
}

async function follow(
  world: RuntimeWorld,
  sizes: AsyncIterable<{ readonly width: number; readonly height: number }>,
  resize: (size: { width: number; height: number }) => Promise<unknown>,
  connection: Duplex,
  signal: AbortSignal,
): Promise<void> {
  for await (const size of sizes) {
    // The client's first size comes before the process runs; Docker then refuses, and nobody would ask again.
    for (let round = 0; round < 20 && !connection.destroyed && !signal.aborted; round++) {
      try {
        await resize(size)
        break
      } catch (error) {
        if (!(error instanceof DockerError)) return
        await world.clock.sleep(50, signal)
      }
    }
  }
}

type ExecState = { readonly Running: boolean; readonly ExitCode: number | null; readonly Pid: number }

/** The daemon may take a moment to know the process that it has just started. */
async function killExec(world: RuntimeWorld, containerId: string, state: () => Promise<ExecState>): Promise<void> {
  const { signal } = new AbortController()
  for (let round = 0; round < 100; round++) {
    const { Pid, Running } = await state()
    if (!Running) return
    if (Pid > 0) return await killWithin(containerId, Pid)
    await world.clock.sleep(50, signal)
  }
  throw new Error('the daemon knows no process')
}

/** Kills `pid`, and its group if it leads one, after a look that it really is a process of this container. */
async function killWithin(containerId: string, pid: number): Promise<void> {
  const cgroups = await readFile(`/proc/${pid}/cgroup`, 'utf8')
  if (!cgroups.includes(containerId)) throw new Error(`process ${pid} is not in the container, or not on this machine`)
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2])
  process.kill(group === pid ? -pid : pid, 'SIGKILL')
}
