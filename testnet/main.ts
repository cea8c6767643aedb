// `npm run testnet -- COMMAND`: several hosts on one machine, each with its own network, Docker and peer.
import { spawn } from 'node:child_process'
import { Command } from 'commander'
import { killAgent, stopAgent } from './agent.ts'
import { cut, cutPair, delay, heal, lossy, onHost } from './hosts.ts'
import { defaultDir, down, kubectlCommand, load, powerOff, restartAgent, up } from './testnet.ts'

const program = new Command('testnet')
  .description(
    'Several hosts on this machine, each a network namespace with its own Docker and its own peer. Needs root.',
  )
  .option('--dir <folder>', 'where the testnet lives', defaultDir)
  .addHelpText(
    'after',
    '\nExample:\n  npm run testnet -- up --hosts 3\n  npm run testnet -- kubectl get nodes\n  npm run testnet -- cut host2\n',
  )
  .enablePositionalOptions()

const dir = () => program.opts<{ dir: string }>().dir

function number(host: string): number {
  const i = Number(host.replace(/^host/, ''))
  if (!Number.isInteger(i) || i < 1) throw new Error(`"${host}" is no host: say host1, host2, …`)
  return i
}

program
  .command('up')
  .description('make the hosts and start everything')
  .option('--hosts <count>', 'how many', '3')
  .option('--name <prefix>', 'prefix of the namespaces, at most six characters', 'ft')
  .option('--runtime <runtime>', 'docker, runc or process', 'docker')
  .option('--image <archive...>', 'docker-archive files to load on every host', [])
  .option('--flag <flag...>', 'more flags for the agents, for example --flag=--log-level=debug', [])
  .action(async (options: { hosts: string; name: string; runtime: 'docker'; image: string[]; flag: string[] }) => {
    const say = (line: string) => console.log(line)
    const { hosts, name, runtime, image, flag } = options
    await up({ name, dir: dir(), hosts: Number(hosts), runtime, flags: flag, images: image, say })
    console.log(`up. Try: npm run testnet -- kubectl get nodes`)
  })

program
  .command('down')
  .description('end everything and take it away')
  .action(async () => await down(await load(dir())))

program
  .command('cut <host> [other]')
  .description('let nothing pass to or from a host, or between two')
  .action(async (host: string, other?: string) => {
    const { net } = await load(dir())
    if (other === undefined) await cut(net, number(host))
    else await cutPair(net, number(host), number(other))
  })

program
  .command('lossy <host> <percent>')
  .description('drop this share of the packets to a host')
  .action(async (host: string, percent: string) => await lossy((await load(dir())).net, number(host), Number(percent)))

program
  .command('delay <host> <ms>')
  .description('hold packets to a host back (needs netem in the kernel)')
  .action(async (host: string, ms: string) => await delay((await load(dir())).net, number(host), Number(ms)))

program
  .command('heal')
  .description('end all cuts, loss and delays')
  .action(async () => await heal((await load(dir())).net))

for (const [verb, what] of [
  ['kill', 'kill -9 the agent'],
  ['stop', 'stop the agent gracefully'],
] as const) {
  program
    .command(`${verb} <host>`)
    .description(`${what} of a host; its containers go on`)
    .action(async (host: string) => {
      const id = (await load(dir())).agents[number(host)]
      if (id === undefined) throw new Error(`${host} has no agent`)
      await (verb === 'kill' ? killAgent(id) : stopAgent(id))
    })
}

program
  .command('start <host>')
  .description('start the agent of a host again')
  .action(async (host: string) => await restartAgent(await load(dir()), number(host)))

program
  .command('power-off <host>')
  .description('as a pulled plug: agent, Docker and all containers end at once')
  .action(async (host: string) => await powerOff(await load(dir()), number(host)))

program
  .command('exec <host> <command...>')
  .description('run a command on a host')
  .passThroughOptions()
  .action(async (host: string, command: string[]) => {
    const { net } = await load(dir())
    await inherit(onHost(net, number(host), command))
  })

program
  .command('kubectl [arguments...]')
  .description('kubectl against a peer, from its host')
  .option('--peer <host>', 'which peer', 'host1')
  .allowUnknownOption()
  .passThroughOptions()
  .action(async (args: string[], options: { peer: string }) => {
    const i = number(options.peer)
    await inherit(kubectlCommand(await load(dir()), i, i, args))
  })

async function inherit(command: readonly string[]): Promise<void> {
  const [file = '', ...args] = command
  const child = spawn(file, args, { stdio: 'inherit' })
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => resolve(code ?? 1))
  })
}

try {
  await program.parseAsync()
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
