// Ways out of the cluster and back: `flotilla leave`, `flotilla remove`, `flotilla rejoin`.
import type { Command } from 'commander'
import type { CopyReport } from '../node/run-copy.ts'
import { confirmCluster, yesClusterOption } from './confirm.ts'
import { ask, askLong } from './control.ts'
import { dataDirOption } from './options.ts'

const say = (line: string) => console.error(line)

export function addLeaveCommand(program: Command): void {
  program
    .command('leave')
    .description(
      'take this peer out of the cluster: it hands over, loses its vote, its Node is deleted, its data moved aside',
    )
    .addOption(dataDirOption())
    .option('--abandon-pods', 'go although pods run here: they end, and are replaced on other nodes')
    .addHelpText(
      'after',
      `
Nothing is drained by force: move the pods first. Its key stays, so this machine is the same peer wherever it joins next. To call
it off before it is done: kubectl annotate node <node> flotilla.dev/leaving- and kubectl uncordon <node>.

Example:
  kubectl drain pi3 --ignore-daemonsets --delete-emptydir-data
  flotilla leave`,
    )
    .action(async (flags: { dataDir: string; abandonPods?: true }) => {
      const body = { abandonPods: flags.abandonPods === true }
      await askLong(flags.dataDir, 'POST', '/leave', body, say)
      console.log('left: the agent of this machine ends')
    })
}

export function addRemoveCommand(program: Command): void {
  program
    .command('remove <peer>')
    .description('take a dead peer out of the cluster, by the name of its node or its peer ID; run it on another peer')
    .addOption(dataDirOption())
    .option('--force', 'also when it is alive')
    .addHelpText(
      'after',
      `
Refused when those who are left would have no majority: then \`flotilla recover\` is the way. A machine that was removed comes back
with a token only.

Example:
  flotilla remove pi3`,
    )
    .action(async (target: string, flags: { dataDir: string; force?: true }) => {
      await askLong(flags.dataDir, 'POST', '/remove', { target, force: flags.force === true }, say)
      console.log(`${target} is no member of the cluster any more`)
    })
}

export function addRejoinCommand(program: Command): void {
  program
    .command('rejoin')
    .description('give this peer’s store up and ask the other peers to be admitted again, under the same Node name')
    .addOption(dataDirOption())
    .addOption(yesClusterOption())
    .addHelpText(
      'after',
      `
For when two clusters say that they are this one, and this peer is on the side to give up. Its store is kept aside; its pods run
on, but those that the other cluster does not know end.

Example:
  flotilla rejoin`,
    )
    .action(async (flags: { dataDir: string; yesCluster?: string }) => {
      const { clusterName } = await ask<CopyReport>(flags.dataDir, 'GET', '/copy')
      await confirmCluster(clusterName, flags.yesCluster)
      console.log(await askLong<string>(flags.dataDir, 'POST', '/rejoin', { clusterName }, say))
    })
}
