// A whole testnet, kept in a file between commands: hosts, Docker daemons, agents. Used by main.ts and test/e2e.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { type AgentOptions, flotillaOn, killAgent, kubeconfig, startAgent, stopAgent } from './agent.ts'
import { type ProcessId, run } from './command.ts'
import { loadImage, powerOffDocker, startDocker, stopDocker } from './docker.ts'
import { addressOf, makeNet, type Net, onHost, removeNet } from './hosts.ts'

export const defaultDir = '/tmp/flotilla-testnet'

export type Testnet = {
  readonly net: Net
  readonly options: AgentOptions
  readonly docker: { [host: number]: ProcessId }
  readonly agents: { [host: number]: ProcessId }
}

const stateFile = (dir: string) => path.join(dir, 'testnet.json')

export async function save(testnet: Testnet): Promise<void> {
  await fs.writeFile(stateFile(testnet.net.dir), JSON.stringify(testnet, null, 2))
}

/** Throws with what to do when there is none. */
export async function load(dir: string): Promise<Testnet> {
  const text = await fs.readFile(stateFile(dir), 'utf8').catch(() => undefined)
  if (text === undefined) throw new Error(`no testnet in ${dir}: make one with \`npm run testnet -- up --hosts 3\``)
  return JSON.parse(text) as Testnet
}

export type UpOptions = {
  readonly name: string
  readonly dir: string
  readonly hosts: number
  readonly runtime: AgentOptions['runtime']
  readonly flags: readonly string[]
  /** docker-archive files, loaded on every host before its agent starts. */
  readonly images: readonly string[]
  say(line: string): void
}

/** Everything up; on an error all that was started is taken down again. */
export async function up(options: UpOptions): Promise<Testnet> {
  const net: Net = { name: options.name, dir: options.dir, hosts: options.hosts }
  if ((await fs.stat(stateFile(net.dir)).catch(() => undefined)) !== undefined) {
    throw new Error(`a testnet stands in ${net.dir} already: \`npm run testnet -- down\` first, or name another --dir`)
  }
  await fs.mkdir(net.dir, { recursive: true })
  const testnet: Testnet = { net, options: { runtime: options.runtime, flags: options.flags }, docker: {}, agents: {} }
  await save(testnet)
  try {
    options.say(`making ${net.hosts} hosts`)
    await makeNet(net)
    const hosts = Array.from({ length: net.hosts }, (_, k) => k + 1)
    if (options.runtime === 'docker') {
      options.say('starting a Docker daemon on each')
      for (const i of hosts) {
        testnet.docker[i] = await startDocker(net, i)
        await save(testnet)
        for (const image of options.images) await loadImage(net, i, image)
      }
    }
    for (const i of hosts) {
      options.say(`starting the agent of host${i}`)
      testnet.agents[i] = await startAgent(net, i, testnet.options, i === 1 ? undefined : await invitation(testnet))
      await save(testnet)
    }
    return testnet
  } catch (error) {
    await down(testnet)
    throw error
  }
}

/** How a new host joins: the first one's address and a fresh token. */
async function invitation(testnet: Testnet): Promise<{ target: string; token: string }> {
  const { net } = testnet
  const status = JSON.parse(await flotillaOn(net, 1, ['status', '--output=json'])) as { self: string }
  const token = (await flotillaOn(net, 1, ['token', 'create', '--quiet'])).trim()
  return { target: `/ip4/${addressOf(1)}/tcp/4001/p2p/${status.self}`, token }
}

/** Starts a host's agent again after it was stopped or killed. */
export async function restartAgent(testnet: Testnet, i: number): Promise<void> {
  testnet.agents[i] = await startAgent(testnet.net, i, testnet.options, undefined)
  await save(testnet)
}

export async function down(testnet: Testnet): Promise<void> {
  for (const id of Object.values(testnet.agents)) await stopAgent(id)
  for (const [i, id] of Object.entries(testnet.docker)) await stopDocker(testnet.net, Number(i), id)
  await removeNet(testnet.net)
  await removeDir(testnet.net.dir)
}

/** Docker's data holds mounts now and then; they go first. */
async function removeDir(dir: string): Promise<void> {
  const mounts = await fs.readFile('/proc/self/mounts', 'utf8')
  const below = mounts
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(at => at.startsWith(`${dir}/`))
  for (const at of below.toReversed()) await run(['umount', '-l', at])
  await fs.rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}

/** As a pulled plug: agent, Docker and every container of the host end at once. */
export async function powerOff(testnet: Testnet, i: number): Promise<void> {
  const agent = testnet.agents[i]
  const docker = testnet.docker[i]
  if (agent !== undefined) await killAgent(agent)
  if (docker !== undefined) await powerOffDocker(testnet.net, i, docker)
}

/** kubectl as a person on host `on` would use it, against the peer of host `peer`. */
export function kubectlCommand(
  testnet: Testnet,
  on: number,
  peer: number,
  args: readonly string[],
  binary = 'kubectl',
) {
  return onHost(testnet.net, on, [binary, `--kubeconfig=${kubeconfig(testnet.net, peer)}`, ...args])
}
