// Runs one short program and gives back what it said. All of `ip`, `nft`, `iptables`, `conntrack`, `sysctl` goes through
// here: no shell, a time-out, the text on stdin, and an error that says the command, its exit code and its stderr.
import { type ChildProcess, spawn } from 'node:child_process'
import { onAbort } from '../../lib/abort.ts'

export const commandTimeoutMs = 20_000
const outputBytesMax = 64 * 1024 * 1024

export class CommandError extends Error {
  override readonly name = 'CommandError'
  /** The exit code; undefined when it was killed or could not be started. */
  readonly code: number | undefined
  readonly stderr: string
  /** The program is not there (ENOENT), or this process may not run it (EACCES). */
  readonly missing: boolean
  constructor(message: string, code: number | undefined, stderr: string, missing: boolean, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.stderr = stderr
    this.missing = missing
  }
}

export type CommandOptions = {
  readonly stdin?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const quoted = (args: readonly string[]) => args.map(a => (/^[\w@%+=:,./-]+$/.test(a) ? a : `'${a}'`)).join(' ')

/** Resolves with stdout when the program exits with 0; rejects with CommandError otherwise. */
export function command(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const line = quoted([file, ...args])
  const { signal, timeoutMs = commandTimeoutMs } = options
  return new Promise((resolve, reject) => {
    let stopped: string | undefined
    let child: ChildProcess
    const failed = (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT' || error.code === 'EACCES'
      reject(new CommandError(`${line}: ${error.message}`, undefined, '', missing, { cause: error }))
    }
    if (signal?.aborted === true) {
      reject(new CommandError(`${line}: not started, aborted`, undefined, '', false))
      return
    }
    try {
      // The C locale keeps messages the same everywhere; some errors are told apart by their text.
      child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
    } catch (error) {
      failed(error as NodeJS.ErrnoException)
      return
    }
    const stop = (why: string) => {
      stopped ??= why
      child.kill('SIGKILL')
    }
    const timer = setTimeout(() => stop(`no answer after ${timeoutMs} ms`), timeoutMs)
    const listener = signal === undefined ? undefined : onAbort(signal, () => stop('aborted'))
    const output: Buffer[] = []
    const errors: Buffer[] = []
    let outputBytes = 0
    child.stdout?.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length
      if (outputBytes > outputBytesMax) stop('it says too much')
      else output.push(chunk)
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      if (errors.length < 64) errors.push(chunk)
    })
    // A program that ends without reading all of its stdin breaks the pipe; its exit code tells the reason.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.stdin ?? '')
    const done = () => {
      clearTimeout(timer)
      listener?.[Symbol.dispose]()
    }
    child.on('error', error => {
      done()
      failed(error)
    })
    child.on('close', (code, killedBy) => {
      done()
      if (code === 0 && stopped === undefined) {
        resolve(Buffer.concat(output).toString('utf8'))
        return
      }
      const stderr = Buffer.concat(errors).toString('utf8').trim()
      const why = stopped ?? (code === null ? `killed by ${killedBy}` : `exit code ${code}`)
      const said = stderr === '' ? '' : `: ${stderr.slice(0, 2_000)}`
      reject(new CommandError(`${line}: ${why}${said}`, code ?? undefined, stderr, false))
    })
  })
}
