// A container's folder and the shim in it: a small detached process (pause/shim.c, or pause/shim-node.ts where that does not
// run) that starts the container, keeps its log and exit code, and outlives the agent. Called by shimmed.ts.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { onAbort } from '../../lib/abort.ts'
import type { Bytes } from '../../lib/bytes.ts'
import { type ExecOptions, RuntimeError, type Stdio } from '../../world/runtime.ts'
import type { RuntimeWorld } from './common.ts'
import { exists, readJson, writeJson } from './files.ts'
import { signalNumber } from './signals.ts'
import { demultiplexer, feed } from './streams.ts'

/** How the shim is called: the program and what comes before `run`. */
export type ShimCommand = readonly [string, ...string[]]

export type Launch = {
  readonly program: readonly string[]
  /** Of `shim run`, without the folder. */
  readonly flags: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export type Started = {
  readonly pid: number
  /** The kernel's tick at which it began: a number that is used again later does not fool us. */
  readonly start: number
  readonly shim: number
  readonly shimStart: number
  readonly startedMs: number
}
export type Ended = {
  readonly code: number
  readonly signal: number
  readonly oom: boolean
  readonly finishedMs: number
  readonly error?: string
}
export type ShimState =
  | { readonly kind: 'created' }
  | { readonly kind: 'failed'; readonly what: string; readonly code: number }
  | { readonly kind: 'running'; readonly started: Started }
  | { readonly kind: 'ended'; readonly started: Started; readonly ended: Ended }

const startTimeoutMs = 30_000

/** Resolves when started.json is there, for better or worse: read it with `shimState`. */
export async function startShim(
  world: RuntimeWorld,
  shim: ShimCommand,
  folder: string,
  launch: Launch,
  signal: AbortSignal,
): Promise<void> {
  const [file, ...before] = shim
  // Its stdout closes when started.json is there; nothing else of ours is left open in it.
  const child = spawn(file, [...before, 'run', ...launch.flags, folder, '--', ...launch.program], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: launch.env,
  })
  child.unref()
  using deadline = world.clock.deadline(startTimeoutMs, signal)
  const ready = Promise.withResolvers<void>()
  child.once('error', ready.reject)
  child.stdout.once('end', ready.resolve)
  child.stdout.once('error', ready.reject)
  child.stdout.resume()
  using _ = onAbort(deadline.signal, () => ready.reject(new Error('the shim does not start the program')))
  try {
    await ready.promise
  } catch (error) {
    // What cannot be started now must not start later on its own.
    if (!(await exists(join(folder, 'started.json')))) child.kill('SIGKILL')
    throw error
  } finally {
    child.stdout.destroy()
  }
}

/** `sameBoot` false: the machine was started anew since, and nothing of then runs. */
export async function shimState(world: RuntimeWorld, folder: string, sameBoot: boolean): Promise<ShimState> {
  const started = await readJson<Started & { failed?: string; code?: number }>(join(folder, 'started.json'))
  if (started === undefined) return { kind: 'created' }
  if (started.failed !== undefined) return { kind: 'failed', what: started.failed, code: started.code ?? 0 }
  const path = join(folder, 'exit.json')
  let ended = await readJson<Ended>(path)
  if (ended === undefined) {
    const lives =
      sameBoot && ((await runs(started.pid, started.start)) || (await runs(started.shim, started.shimStart)))
    if (lives) return { kind: 'running', started }
    // The shim may have ended between the two looks, as it should.
    ended = await readJson<Ended>(path)
  }
  if (ended === undefined) {
    ended = {
      code: 255,
      signal: 0,
      oom: false,
      finishedMs: world.clock.nowMs(),
      error: sameBoot ? 'it was killed together with its shim' : 'the machine was started anew',
    }
    await writeJson(path, ended)
  }
  return { kind: 'ended', started, ended }
}

/** Whether the process of that number is the one that began then, and not a zombie. */
export async function runs(pid: number, start: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    try {
      process.kill(pid, 0)
      return true
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM'
    }
  }
  const stat = await processStat(pid)
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X' && (start === 0 || stat.start === start)
}

export async function processStat(
  pid: number,
): Promise<{ state: string; group: number; start: number; ticks: number; pages: number } | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name is in parentheses and may hold anything; the state is field 3.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const at = (field: number) => Number(fields[field - 3])
    return {
      state: fields[0] ?? '',
      group: at(5),
      start: at(22),
      ticks: at(14) + at(15) + at(16) + at(17),
      pages: at(24),
    }
  } catch {
    return undefined
  }
}

/** Sends a signal to the very process that was started; false when it is gone. */
export async function signalProcess(started: Started, name: NodeJS.Signals | number): Promise<boolean> {
  if (!(await runs(started.pid, started.start))) return false
  try {
    process.kill(started.pid, name)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Carries bytes between a client and the container's own stdio until it ends or the signal aborts. */
export async function attachShim(
  folder: string,
  options: Omit<ExecOptions, 'command'>,
  stdio: Stdio,
  signal: AbortSignal,
): Promise<void> {
  const socket = await connectAttach(folder)
  using _ = onAbort(signal, () => socket.destroy())
  if (options.stdin)
    sendStdin(socket, stdio).catch(() => {
      socket.destroy()
    })
  if (options.tty)
    (async () => {
      for await (const size of stdio.resizes) socket.write(frame(3, sizeBytes(size)))
    })().catch(() => {})
  const demultiplex = demultiplexer()
  try {
    for await (const chunk of socket)
      for (const { stream, bytes } of demultiplex(chunk as Bytes)) await stdio[stream](bytes)
  } catch (error) {
    if (!signal.aborted)
      throw new RuntimeError('Unavailable', `the stream broke: ${(error as Error).message}`, { cause: error })
  } finally {
    socket.destroy()
  }
}

async function sendStdin(socket: Socket, stdio: Stdio): Promise<void> {
  const frameBytesMax = 8_192
  for await (const bytes of stdio.input)
    for (let at = 0; at < bytes.length; at += frameBytesMax) {
      if (socket.destroyed) return
      if (!socket.write(frame(0, bytes.subarray(at, at + frameBytesMax))))
        await Promise.race([once(socket, 'drain'), once(socket, 'close')])
    }
  if (!socket.destroyed) socket.write(frame(4, new Uint8Array(0)))
}

async function connectAttach(folder: string): Promise<Socket> {
  // A socket's path may have 107 characters; a folder of any depth has a short name in /proc.
  await using handle = process.platform === 'linux' ? await open(folder, 'r') : undefined
  const path = join(handle === undefined ? folder : `/proc/self/fd/${handle.fd}`, 'attach.sock')
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    socket.destroy()
    throw new RuntimeError('NotFound', 'the container does not run', { cause: error })
  }
}

function frame(kind: number, payload: Bytes): Buffer {
  const bytes = Buffer.alloc(8 + payload.length)
  bytes[0] = kind
  bytes.writeUInt32BE(payload.length, 4)
  bytes.set(payload, 8)
  return bytes
}

function sizeBytes({ width, height }: { readonly width: number; readonly height: number }): Bytes {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16LE(Math.min(65_535, height), 0)
  bytes.writeUInt16LE(Math.min(65_535, width), 2)
  return bytes
}

export type ExecCommand = {
  readonly program: readonly string[]
  readonly cwd?: string
  readonly env: Readonly<Record<string, string>>
  /** Ends the process that runs inside; the one that we started ends with it. */
  readonly kill?: () => Promise<void>
  /** The exit code as Kubernetes has it, from the one of what we started. */
  readonly code?: (code: number) => Promise<number>
}

/** Runs a program beside the container with the client's stdio. Rejects with the signal's reason when it aborts. */
export async function execBeside(
  shim: ShimCommand,
  command: ExecCommand,
  options: ExecOptions,
  stdio: Stdio,
  signal: AbortSignal,
): Promise<number> {
  const [shimFile, ...before] = shim
  const program = options.tty ? [shimFile, ...before, 'pty', '--', ...command.program] : command.program
  const [file = '', ...args] = program
  const child: ChildProcess = spawn(file, args, {
    detached: true,
    stdio: [
      options.stdin || options.tty ? 'pipe' : 'ignore',
      'pipe',
      'pipe',
      ...(options.tty ? (['pipe'] as const) : []),
    ],
    env: command.env,
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
  })
  const ended = Promise.withResolvers<number>()
  let missing: NodeJS.ErrnoException | undefined
  child.once('error', error => {
    missing = error
    ended.resolve(127)
  })
  child.once('exit', (code, name) => ended.resolve(code ?? 128 + (signalNumber(name) ?? 0)))
  using _ = onAbort(signal, () => {
    void endExec(child, options.tty, command)
  })
  const { stdin, stdout, stderr } = child
  stdin?.on('error', () => {})
  if (options.stdin && stdin !== null) feed(stdio.input, stdin, !options.tty).catch(() => stdin.destroy())
  const sizes = child.stdio[3] as Socket | null | undefined
  if (sizes !== null && sizes !== undefined) {
    sizes.on('error', () => {})
    ;(async () => {
      for await (const size of stdio.resizes) sizes.write(sizeBytes(size))
    })().catch(() => {})
  }
  // Descendants that go on may keep the pipes open: the exit counts, after a moment for what is still in them.
  const drained = Promise.all([
    drain(stdout, bytes => stdio.stdout(bytes)),
    drain(stderr, bytes => stdio.stderr(bytes)),
  ])
  const ownCode = await ended.promise
  await Promise.race([drained, new Promise(resolve => setTimeout(resolve, 1_000).unref())])
  stdout?.destroy()
  stderr?.destroy()
  stdin?.destroy()
  sizes?.destroy()
  const code = (await command.code?.(ownCode)) ?? ownCode
  if (signal.aborted) throw signal.reason
  if (missing !== undefined) {
    const why = missing.code === 'ENOENT' ? 'no such file or directory' : missing.message
    await stdio.stderr(Buffer.from(`cannot run ${options.command[0]}: ${why}\n`))
  }
  return code
}

async function endExec(child: ChildProcess, tty: boolean, command: ExecCommand): Promise<void> {
  try {
    await command.kill?.()
  } catch {
    // It is gone already, or never began: what we started is ended below either way.
  }
  const { pid } = child
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    // The terminal's keeper passes it on to the program's group; else the group is the child's own.
    if (tty) child.kill('SIGTERM')
    else process.kill(-pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

async function drain(from: AsyncIterable<unknown> | null, write: (bytes: Bytes) => Promise<void>): Promise<void> {
  if (from === null) return
  try {
    for await (const chunk of from) await write(chunk as Bytes)
  } catch {
    // The reader has gone, or we closed it.
  }
}
