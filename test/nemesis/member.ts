// One member as a process: started, killed, stopped, asked how it is. A member has lives: each start is the next one.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeStatus, paths, type Status } from './api.ts'
import { Channel } from './channel.ts'
import { now } from './command.ts'
import { clientUrlOf, onHost } from './lab.ts'
import type { SystemUnderTest } from './systems.ts'

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

const statusMs = 1_000

export class Member {
  readonly index: number
  /** Where all of it lies: its data in `data`, what it printed in `log`. */
  readonly dir: string
  readonly channel: Channel
  life = 0
  /** True while a fault may be the reason for which it ends; else its end is an anomaly. */
  mayEnd = false
  /** How it ended without being told to, when it might not. */
  readonly unexpected: string[] = []
  private readonly system: SystemUnderTest
  private child: ChildProcess | undefined
  private ended: Promise<Exit> = Promise.resolve({ code: null, signal: null })

  constructor(system: SystemUnderTest, index: number, dir: string) {
    this.system = system
    this.index = index
    this.dir = dir
    this.channel = new Channel(clientUrlOf(index))
  }

  get name(): string {
    return `m${this.index}`
  }
  /** Tells lives apart: what a member knew before it ended it may have to learn again. */
  get label(): string {
    return `${this.name}#${this.life}`
  }
  get dataDir(): string {
    return join(this.dir, 'data')
  }
  get pid(): number | undefined {
    return this.child?.pid
  }
  get isRunning(): boolean {
    return this.child !== undefined
  }

  async start(): Promise<void> {
    if (this.child !== undefined) throw new Error(`${this.name} runs already`)
    this.life++
    await mkdir(this.dataDir, { recursive: true })
    const { command, environment } = this.system.commandOf(this)
    const [program, ...args] = onHost(this.index, command)
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    })
    const log = createWriteStream(join(this.dir, 'log'), { flags: 'a' })
    log.write(`--- ${now()} life ${this.life}: ${command.join(' ')}\n`)
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    this.child = child
    this.ended = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        this.child = undefined
        log.write(`--- ${now()} life ${this.life} ended with ${code ?? signal}\n`)
        if (!this.mayEnd) this.unexpected.push(`${this.label} ended with ${code ?? signal}`)
        resolve({ code, signal })
      })
      child.once('error', error => {
        this.child = undefined
        this.unexpected.push(`${this.name} cannot be started: ${error.message}`)
        resolve({ code: null, signal: null })
      })
    })
  }

  /** Ends it at once, and waits until it is gone. False when it did not run. */
  async kill(): Promise<boolean> {
    if (this.child === undefined) return false
    this.mayEnd = true
    this.child.kill('SIGKILL')
    const { signal } = await this.ended
    this.mayEnd = false
    return signal === 'SIGKILL'
  }

  /** Its end, or undefined when it still runs after so long. */
  async exitWithin(ms: number): Promise<Exit | undefined> {
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => late.resolve(undefined), ms)
    const exit = await Promise.race([this.ended, late.promise])
    clearTimeout(timer)
    return exit
  }

  /** It stands still, with its connections open. False when it does not run. */
  pause(): boolean {
    return this.child?.kill('SIGSTOP') ?? false
  }
  resume(): void {
    this.child?.kill('SIGCONT')
  }

  /** Whether the kernel says that it stands still. */
  isPaused(): boolean {
    try {
      return /^State:\s+[Tt]/m.test(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
    } catch {
      // It is gone.
      return false
    }
  }

  /** Processor time since this life began, in the kernel's ticks of 10 ms. */
  cpuMs(): number {
    try {
      const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
      return (Number(fields[11]) + Number(fields[12])) * 10
    } catch {
      // It is gone.
      return 0
    }
  }

  async status(): Promise<Status | undefined> {
    const reply = await this.channel.unary(paths.status, Buffer.alloc(0), statusMs)
    return reply.kind === 'answer' ? decodeStatus(reply.bytes) : undefined
  }

  /** The end of what it printed, for reports. */
  lastLines(count: number): string {
    return readFileSync(join(this.dir, 'log'), 'utf8').trimEnd().split('\n').slice(-count).join('\n')
  }
}
