// Agents as real processes on loopback, with the process runtime and no privileges: what the commands are tested on.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { onTestFailed } from 'vitest'
import { ask } from '../../src/cli/control.ts'
import type { StatusReport } from '../../src/node/status.ts'
import { freePort } from '../ports.ts'

const main = path.resolve(import.meta.dirname, '../../src/main.ts')
/** A busy machine may take its time. */
export const patienceMs = 120_000

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  readonly code: number
  readonly said: string
  constructor(args: readonly string[], code: number, said: string) {
    super(`flotilla ${args.join(' ')} ended with ${code}: ${said}`)
    this.code = code
    this.said = said
  }
}

/** Runs a command; gives all that it said. Rejects with CommandFailed. */
export function flotilla(...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: patienceMs, maxBuffer: 16 * 1024 * 1024 }
    const child = execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr)
      else reject(new CommandFailed(args, typeof error.code === 'number' ? error.code : -1, stdout + stderr))
    })
    child.stdin?.end()
  })
}

export async function until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const endMs = performance.now() + patienceMs
  let last: unknown
  while (performance.now() < endMs) {
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (error) {
      last = error
    }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`not within ${patienceMs / 1_000} s: ${what}${last === undefined ? '' : ` (last: ${String(last)})`}`)
}

export type Agent = {
  readonly name: string
  readonly dataDir: string
  /** `up`, or `join` with a token; resolves when it answers. */
  start(...args: readonly string[]): Promise<void>
  /** The same without waiting. */
  launch(...args: readonly string[]): void
  stop(): Promise<void>
  kill(): Promise<void>
  /** Resolves when the process has ended by itself, with its exit code. */
  ended(): Promise<number>
  /** A command with this agent's data directory. */
  run(...args: readonly string[]): Promise<string>
  status(): Promise<StatusReport>
  /** All that it printed, over all its starts. */
  said(): string
}

export interface Agents extends AsyncDisposable {
  readonly dir: string
  agent(name: string): Promise<Agent>
  /** Agents of one cluster: the first founds it, the others join. */
  cluster(...names: readonly string[]): Promise<readonly Agent[]>
}

export function openAgents(): Agents {
  const dir = mkdtempSync(path.join(tmpdir(), 'flotilla-agents-'))
  const all: Agent[] = []
  const last = new Map<string, string>()
  onTestFailed(() => {
    for (const [name, words] of last) console.log(`--- the last that ${name} said:\n${words}`)
  })

  async function agent(name: string): Promise<Agent> {
    const dataDir = path.join(dir, name)
    const logFile = path.join(dir, `${name}.log`)
    const port = await freePort()
    let child: ChildProcess | undefined

    function launch(...args: readonly string[]): void {
      const out = openSync(logFile, 'a')
      const [verb = 'up', ...rest] = args
      const flags = [
        `--data-dir=${dataDir}`,
        `--name=${name}`,
        '--node-ip=127.0.0.1',
        `--listen=/ip4/127.0.0.1/tcp/${port}`,
        '--no-mdns',
        '--api-host=127.0.0.1',
        '--api-port=0',
        '--runtime=process',
        '--dataplane=userspace',
        '--dns-address=none',
        '--end-with-stdin',
      ]
      child = spawn(process.execPath, [main, verb, ...rest, ...flags], { stdio: ['pipe', out, out] })
    }

    async function signalled(signal: NodeJS.Signals): Promise<void> {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise(resolve => child?.once('exit', resolve))
      child.kill(signal)
      await gone
    }

    const it: Agent = {
      name,
      dataDir,
      launch,
      async start(...args) {
        launch(...args)
        await until(`${name} answers`, async () => {
          if (child?.exitCode !== null) throw new Error(`${name} ended: ${it.said().slice(-500)}`)
          return await it.status()
        })
      },
      stop: () => signalled('SIGTERM'),
      kill: () => signalled('SIGKILL'),
      async ended() {
        return await until(`${name} ends`, () => child?.exitCode ?? undefined)
      },
      run: (...args) => flotilla(...args, `--data-dir=${dataDir}`),
      // What `flotilla status` asks, without a process for each look.
      status: () => ask<StatusReport>(dataDir, 'GET', '/status'),
      said: () => readFileSync(logFile, 'utf8'),
    }
    all.push(it)
    return it
  }

  return {
    dir,
    agent,
    async cluster(...names) {
      const members: Agent[] = []
      for (const name of names) {
        const one = await agent(name)
        const [first] = members
        if (first === undefined) await one.start('up', '--cluster-name=home')
        else await one.start('join', `--token=${(await first.run('token', 'create', '--quiet')).trim()}`)
        members.push(one)
      }
      return members
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map(one => one.kill()))
      for (const one of all) last.set(one.name, one.said().split('\n').slice(-40).join('\n'))
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
