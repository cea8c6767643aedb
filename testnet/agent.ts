// One Flotilla agent per host, started as a person would start it: `flotilla up` on the first, `flotilla join` on the others.
import { readFileSync } from 'node:fs'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { daemon, end, Hopeless, isAlive, type ProcessId, run, until } from './command.ts'
import { dockerSocket } from './docker.ts'
import { addressOf, type Net, onHost } from './hosts.ts'

const flotilla = fileURLToPath(new URL('../src/main.ts', import.meta.url))

export const dataDir = (net: Net, i: number) => path.join(net.dir, `h${i}`, 'flotilla')
export const agentLog = (net: Net, i: number) => path.join(net.dir, `h${i}`, 'agent.log')
export const kubeconfig = (net: Net, i: number) => path.join(dataDir(net, i), 'kubeconfig')

export type AgentOptions = {
  readonly runtime: 'docker' | 'runc' | 'process'
  /** More flags for `flotilla up` and `join`. */
  readonly flags: readonly string[]
}

function commonFlags(net: Net, i: number, options: AgentOptions): readonly string[] {
  return [
    `--data-dir=${dataDir(net, i)}`,
    `--name=host${i}`,
    `--node-ip=${addressOf(i)}`,
    `--runtime=${options.runtime}`,
    `--docker-socket=${dockerSocket(net, i)}`,
    '--dataplane=nftables',
    '--no-mdns',
    ...options.flags,
  ]
}

/** Runs a `flotilla` command on the host and gives what it prints. */
export async function flotillaOn(net: Net, i: number, args: readonly string[]): Promise<string> {
  const command = [process.execPath, flotilla, ...args, `--data-dir=${dataDir(net, i)}`]
  return (await run(onHost(net, i, command))).stdout
}

/** Starts, or starts again, the agent of a host; `target` and `token` are used on its very first start alone. */
export async function startAgent(
  net: Net,
  i: number,
  options: AgentOptions,
  join: { readonly target: string; readonly token: string } | undefined,
): Promise<ProcessId> {
  const verb = join === undefined ? ['up'] : ['join', join.target, `--token=${join.token}`]
  const command = [process.execPath, flotilla, ...verb, ...commonFlags(net, i, options)]
  const id = await daemon(onHost(net, i, command), agentLog(net, i))
  try {
    await until(`the agent of host${i} answers; its log is ${agentLog(net, i)}`, 60_000, async () => {
      if (!isAlive(id)) throw new Hopeless(`the agent of host${i} ended:\n${lastLines(agentLog(net, i))}`)
      await flotillaStatus(net, i)
      return true
    })
  } catch (error) {
    // Nobody would know of it any more.
    await killAgent(id)
    throw error
  }
  return id
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-20).join('\n')
}

export async function flotillaStatus(net: Net, i: number): Promise<unknown> {
  return JSON.parse(await flotillaOn(net, i, ['status', '--output=json']))
}

export async function stopAgent(id: ProcessId): Promise<void> {
  await end(id, 'SIGTERM', 30_000).catch(() => end(id, 'SIGKILL', 10_000))
}

export async function killAgent(id: ProcessId): Promise<void> {
  await end(id, 'SIGKILL', 10_000)
}
