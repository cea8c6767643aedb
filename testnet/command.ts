// Running commands of the host for the testnet: bounded in time, with what they said in the error.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'

export const commandMsMax = 60_000

export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  constructor(command: readonly string[], code: number | null, stdout: string, stderr: string) {
    super(`${command.join(' ')} ended with ${code}: ${(stderr || stdout).trim().slice(0, 2_000)}`)
    this.code = code
    this.stdout = stdout
    this.stderr = stderr
  }
}

export type Output = { readonly stdout: string; readonly stderr: string }

/** Rejects with CommandError when it ends other than with 0, or takes longer than `timeoutMs`. */
export function run(
  command: readonly string[],
  options: { readonly input?: string; readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  const [file = '', ...args] = command
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        timeout: options.timeoutMs ?? commandMsMax,
        maxBuffer: 64 * 1024 * 1024,
        killSignal: 'SIGKILL',
        env: options.env ?? process.env,
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ stdout, stderr })
        const code = typeof error.code === 'number' ? error.code : null
        reject(new CommandError(command, code, stdout, error.killed ? `${stderr}\n(killed: too slow)` : stderr))
      },
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
  })
}

/** A process that outlives us, writing to a file; gives its identity, which a reused pid cannot have. */
export async function daemon(
  command: readonly string[],
  logFile: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ProcessId> {
  const [file = '', ...args] = command
  const out = openSync(logFile, 'a')
  const child: ChildProcess = spawn(file, args, { detached: true, stdio: ['ignore', out, out], env })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  child.unref()
  const pid = child.pid ?? 0
  return { pid, started: startOf(pid) ?? '' }
}

export type ProcessId = { readonly pid: number; readonly started: string }

/** The start time in clock ticks since boot, from /proc; undefined when there is no such process. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

export function isAlive(process: ProcessId): boolean {
  return process.pid > 0 && startOf(process.pid) === process.started
}

/** Signals a process that we started, and only that; resolves when it has ended. */
export async function end(id: ProcessId, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  if (!isAlive(id)) return
  process.kill(id.pid, signal)
  await until(`process ${id.pid} ends on ${signal}`, timeoutMs, async () => !isAlive(id))
}

/** Thrown inside `until`: asking again is of no use. */
export class Hopeless extends Error {
  override readonly name = 'Hopeless'
}

/** Asks until `holds` says yes; rejects with `what` and the last error after `timeoutMs`. */
export async function until(what: string, timeoutMs: number, holds: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + timeoutMs
  let last: unknown
  while (Date.now() < endMs) {
    try {
      if (await holds()) return
      last = undefined
    } catch (error) {
      if (error instanceof Hopeless) throw error
      last = error
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}${last === undefined ? '' : ` (last: ${String(last)})`}`)
}
