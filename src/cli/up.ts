// `flotilla up` and `flotilla join`: run the agent, in the foreground, until a signal ends it.
import type { Command } from 'commander'
import type { JoinWish } from '../node/run.ts'
import { addNodeOptions, type NodeFlags, nodeConfigOf } from './options.ts'

export function addUpCommand(program: Command): void {
  addNodeOptions(
    program
      .command('up')
      .description('run this machine: founds a cluster when there is none in the data directory, else goes on with it'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  flotilla up\n  flotilla up --name nuc1 --node-ip 192.168.1.10\n  flotilla up --datastore https://10.0.0.5:2379 https://10.0.0.6:2379 --datastore-ca ca.pem --datastore-cert c.pem --datastore-key k.pem',
    )
    .action(async (flags: NodeFlags) => await run(flags, undefined))
}

export function addJoinCommand(program: Command): void {
  addNodeOptions(
    program
      .command('join [target]')
      .description('run this machine as a new peer of a cluster; target is a peer ID (found by mDNS) or a multiaddr')
      .requiredOption('--token <join string>', 'from `flotilla token create` on any peer')
      .option('--anew', 'although this machine is a peer already: what it holds is set aside, and it begins empty'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  flotilla join --token flotilla.…\n  flotilla join /ip4/192.168.1.10/tcp/4001/p2p/12D3Koo… --token flotilla.…\n  flotilla join --witness --token flotilla.…',
    )
    .action(async (target: string | undefined, flags: NodeFlags & { token: string; anew?: true }) => {
      const { token, anew = false } = flags
      await run(flags, { token, anew, ...(target !== undefined && { target }) })
    })
}

async function run(flags: NodeFlags, join: JoinWish | undefined): Promise<void> {
  const stop = new AbortController()
  let asked = 0
  const end = () => {
    asked += 1
    // A second Ctrl-C does not wait for the hand-over.
    if (asked > 1) process.exit(130)
    stop.abort()
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  if (flags.endWithStdin === true) process.stdin.once('close', end).resume()
  // The agent is most of the program: the other commands do without it.
  const { runNode } = await import('../node/run.ts')
  await runNode(nodeConfigOf(flags), join, line => console.log(line), stop.signal)
  process.exit(0)
}
