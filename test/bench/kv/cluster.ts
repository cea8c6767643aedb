// Three members of a system under test, each a process of its own: started, asked who leads, killed, stopped, started
// again and ended. What differs between systems is how to start a member, and stands in systems.ts.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, rmSync, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePorts } from '../../ports.ts'
import { forgetPid, keepChild, keepPid, kill } from './children.ts'
import { monotonicMs, sleep } from './clock.ts'
import { childrenOf, programOf } from './proc.ts'
import { put, range, status } from './single.ts'

export const memberCount = 3
const readyMs = 60_000
const stopMs = 10_000
const pollMs = 20
/** How long one question to a member may take while it is starting. */
const askMs = 1_000

export type Ports = { readonly client: number; readonly peer: number }

/** Where a member lives. */
export type Place = { readonly index: number; readonly dir: string; readonly ports: readonly Ports[] }

export type SystemKind = {
  readonly name: string
  /** Program and arguments of one member; the same when it is started again. */
  readonly commandOf: (place: Place) => readonly string[]
  /** Whether a member prints `{"ready":true}` on its standard output once it serves. */
  readonly saysReady: boolean
}

/** What a member measured of itself since it was last asked: delays of its event loop, its longest pause, memory in use. */
export type SelfReport = {
  readonly loopP99Ms: number
  readonly loopMaxMs: number
  /** CPU time of its main thread between two ticks: busy.ts. */
  readonly busyMaxMs: number
  readonly gcMaxMs: number
  readonly heldBytes: number
}

type Running = {
  /** The member itself, also when strace started it. */
  readonly pid: number
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

export class Member {
  readonly index: number
  readonly clientPort: number
  readonly #kind: SystemKind
  readonly #command: readonly string[]
  readonly #logFile: string
  readonly #syncFile: string | undefined
  #running: Running | undefined
  #ready = Promise.withResolvers<void>()
  #reports = false
  #report = Promise.withResolvers<SelfReport>()

  constructor(kind: SystemKind, place: Place, syncDelayMs: number | undefined) {
    this.index = place.index
    this.clientPort = place.ports[place.index]?.client ?? 0
    this.#kind = kind
    mkdirSync(place.dir, { recursive: true })
    this.#logFile = join(place.dir, 'log')
    this.#syncFile = syncDelayMs === undefined ? undefined : join(place.dir, 'syncs')
    const command = kind.commandOf(place)
    this.#command =
      syncDelayMs === undefined || this.#syncFile === undefined
        ? command
        : [...delayedSyncs(syncDelayMs, this.#syncFile), ...command]
  }

  get pid(): number {
    if (this.#running === undefined) throw new Error(`member ${this.index} of ${this.#kind.name} does not run`)
    return this.#running.pid
  }

  async start(): Promise<void> {
    const [file = '', ...args] = this.#command
    this.#ready = Promise.withResolvers()
    const log = createWriteStream(this.#logFile, { flags: 'a' })
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    keepChild(child)
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
    child.stderr.on('data', (bytes: Buffer) => log.write(bytes))
    createInterface(child.stdout).on('line', line => this.#onLine(line, log))
    child.once('close', () => log.end())
    const pid = await Promise.race([failed, this.#syncFile === undefined ? child.pid : traced(child)])
    if (pid === undefined) throw new Error(`${file} did not start`)
    this.#running = { pid, child, ended }
    const ready = this.#ready
    ended.then(() => {
      forgetPid(pid)
      ready.reject(this.#complaint('ended'))
      if (this.#running?.child === child) this.#running = undefined
    })
    if (!this.#kind.saysReady) ready.resolve()
    const late = setTimeout(() => ready.reject(this.#complaint(`was not ready within ${readyMs} ms`)), readyMs)
    try {
      await ready.promise
    } finally {
      clearTimeout(late)
    }
  }

  signal(signal: NodeJS.Signals): void {
    kill(this.pid, signal)
  }

  /** Resolves when the process is gone: by SIGTERM, and by SIGKILL if that takes too long. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    kill(running.pid, signal)
    const late = setTimeout(() => {
      kill(running.pid, 'SIGKILL')
      running.child.kill('SIGKILL')
    }, stopMs)
    await running.ended
    clearTimeout(late)
  }

  /** How many delayed syncs have ended so far. */
  syncs(): number {
    if (this.#syncFile === undefined) throw new Error('syncs are not counted')
    return readFileSync(this.#syncFile, 'latin1').split('(DELAYED)').length - 1
  }

  /** Undefined when the member does not offer it. Each report begins anew. */
  async selfReport(): Promise<SelfReport | undefined> {
    if (!this.#reports) return undefined
    this.#report = Promise.withResolvers()
    this.signal('SIGUSR2')
    return await Promise.race([this.#report.promise, sleep(askMs).then(() => undefined)])
  }

  /** The end of what the member said, for whoever looks for a reason. */
  logTail(): string {
    return readFileSync(this.#logFile, 'utf8').split('\n').slice(-12).join('\n')
  }

  #complaint(what: string): Error {
    return new Error(`member ${this.index} of ${this.#kind.name} ${what}; the end of its log:\n${this.logTail()}`)
  }

  #onLine(line: string, log: WriteStream): void {
    log.write(`${line}\n`)
    if (!line.startsWith('{')) return
    const said = JSON.parse(line)
    if (said.ready === true) {
      this.#reports = said.reports === true
      this.#ready.resolve()
    }
    if (said.loopP99Ms !== undefined) this.#report.resolve(said)
  }
}

export class Cluster {
  readonly name: string
  readonly members: readonly Member[]
  readonly #dir: string
  #marks = 0

  /** In `dir`, which is removed again at the end. `syncDelayMs` is added to every fsync and fdatasync. */
  static async start(kind: SystemKind, dir: string, syncDelayMs?: number): Promise<Cluster> {
    const ports = await memberPorts()
    const members = ports.map(
      (_, index) => new Member(kind, { index, dir: join(dir, `member-${index}`), ports }, syncDelayMs),
    )
    const cluster = new Cluster(kind.name, members, dir)
    await cluster.#startAll()
    return cluster
  }

  private constructor(name: string, members: readonly Member[], dir: string) {
    this.name = name
    this.members = members
    this.#dir = dir
  }

  /** The one that at least two members call leader; waits until there is one. */
  async leader(): Promise<Member> {
    const until = monotonicMs() + readyMs
    while (monotonicMs() < until) {
      const said = await Promise.all(
        this.members.map(member => status(member.clientPort, askMs).catch(() => undefined)),
      )
      for (const [index, answer] of said.entries()) {
        const votes = said.filter(other => other !== undefined && other.leader === answer?.member).length
        const leader = this.members[index]
        if (answer !== undefined && answer.leader === answer.member && votes > 1 && leader !== undefined) return leader
      }
      await sleep(pollMs)
    }
    throw new Error(`${this.name} has no leader; the end of a log:\n${this.members[0]?.logTail()}`)
  }

  /** Resolves when each member, by itself, shows what the leader has just committed. */
  async caughtUp(): Promise<void> {
    const key = `bench-mark-${this.#marks++}`
    const until = monotonicMs() + readyMs
    await put((await this.leader()).clientPort, key, Buffer.from('x'))
    for (const member of this.members) {
      for (;;) {
        const seen = await range(member.clientPort, key, { serializable: true }, askMs).catch(() => undefined)
        if (seen?.keyValues.length === 1) break
        if (monotonicMs() > until) throw new Error(`member ${member.index} of ${this.name} does not catch up`)
        await sleep(pollMs)
      }
    }
  }

  /** Ends all members in order and starts them again on what they stored. */
  async restart(): Promise<void> {
    await Promise.all(this.members.map(member => member.end('SIGTERM')))
    await this.#startAll()
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(member => member.end('SIGTERM')))
    rmSync(this.#dir, { recursive: true, force: true })
  }

  async #startAll(): Promise<void> {
    await Promise.all(this.members.map(member => member.start()))
    await this.leader()
  }
}

/** `--seccomp-bpf` stops the program at these two calls only; every other runs at full speed. */
const delayedSyncs = (ms: number, logFile: string): readonly string[] => [
  'strace',
  '-f',
  '--seccomp-bpf',
  '-qq',
  '-o',
  logFile,
  '-e',
  'trace=fdatasync,fsync',
  '-e',
  `inject=fdatasync,fsync:delay_enter=${ms * 1_000}`,
  '--',
]

/** The process that a fresh strace runs, once it is no longer a copy of strace itself. */
async function traced(strace: ChildProcess): Promise<number | undefined> {
  for (let tries = 0; tries < 500 && strace.exitCode === null && strace.pid !== undefined; tries++) {
    const tracer = programOf(strace.pid)
    const pid = childrenOf(strace.pid).find(child => ![tracer, ''].includes(programOf(child)))
    if (pid !== undefined) {
      keepPid(pid)
      return pid
    }
    await sleep(10)
  }
  return undefined
}

/** Two for each member. */
async function memberPorts(): Promise<readonly Ports[]> {
  const ports = await freePorts(memberCount * 2)
  return Array.from({ length: memberCount }, (_, i) => ({ client: ports[2 * i] ?? 0, peer: ports[2 * i + 1] ?? 0 }))
}
