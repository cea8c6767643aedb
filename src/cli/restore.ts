// `flotilla restore`: the cluster begins again from a backup, on this machine, as one peer.
import * as path from 'node:path'
import type { Command } from 'commander'
import { describeHead } from './backup.ts'
import { confirmCluster, yesClusterOption } from './confirm.ts'
import { agentRuns } from './control.ts'
import { dataDirOption } from './options.ts'
import { progress } from './progress.ts'

type Flags = { dataDir: string; name?: string; yesCluster?: string }

export function addRestoreCommand(program: Command): void {
  program
    .command('restore <file>')
    .description('begin the cluster again from a backup: on a new machine, or on a peer whose agent is stopped')
    .addOption(dataDirOption())
    .option('--name <name>', "which of the cluster's nodes this machine is (default: as before, else its host name)")
    .addOption(yesClusterOption())
    .addHelpText(
      'after',
      `
The file is checked as a whole before anything is touched, and what was here is kept in the data directory, under aside/. The
new cluster has this peer alone; its revision is far above the old one's, so that no client sees it go backwards. Stop the
agents of the other peers first, for a cluster that is alive does not give way. When they are started again they notice, and
come back by themselves as new members under their old names; a machine that lost its key comes back with a token made by
\`flotilla token create --replaces <node>\`. Containers run on throughout.

Example:
  flotilla restore /mnt/usb/home.backup
  flotilla up`,
    )
    .action(restore)
}

async function restore(file: string, flags: Flags): Promise<void> {
  const [{ statSync, mkdirSync }, { hostname }] = await Promise.all([import('node:fs'), import('node:os')])
  const { readBackup, backupChunks } = await import('../node/run-backup.ts')
  const { restoreHere } = await import('../node/run-copy.ts')
  const { identityFile, readCluster } = await import('../node/run-files.ts')
  const { nodeNameFrom, firstStore } = await import('../node/config.ts')
  const { loadIdentity } = await import('../drivers/identity.ts')
  const { realLog } = await import('../drivers/log.ts')
  const { externalWords } = await import('../node/datastore.ts')
  const dataDir = path.resolve(flags.dataDir)
  if (await agentRuns(dataDir)) {
    throw new Error(`the agent runs with ${dataDir}: stop it first, here and on the other peers`)
  }
  const checking = progress('checking the backup', statSync(file).size)
  const head = await readBackup(
    file,
    () => undefined,
    bytes => checking.bytes(bytes),
  )
  checking.end()
  console.log(describeHead(head))
  if (!head.newest)
    console.log('no leader confirmed this backup when it was made: it may lack the last writes of its time')
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  // A cluster.json that cannot be read is no reason not to begin again.
  const before = await readCluster(dataDir).catch(() => undefined)
  if (before?.datastore !== undefined) throw new Error(externalWords)
  if (before !== undefined && before.origin !== head.origin) {
    console.log(`this machine belongs to ${before.clusterName}, another cluster: what it holds of that is kept aside`)
  }
  await confirmCluster(head.clusterName, flags.yesCluster)
  const { peer } = await loadIdentity(identityFile(dataDir))
  const nodeName = flags.name ?? before?.nodeName ?? nodeNameFrom(hostname())
  const { clusterId, clusterName, origin, past, clusterCidr, serviceCidr } = head
  // A copy of this cluster that went on after the backup is the past too.
  const known = before?.origin === origin ? [...before.past, before.clusterId] : []
  const old = {
    ...{ clusterId, clusterName, origin, clusterCidr, serviceCidr, nodeName },
    past: [...new Set([...past, ...known])].filter(id => id !== clusterId),
    memberId: '',
    store: firstStore,
    founded: false,
    ran: false,
    witness: false,
  }
  const log = realLog({ level: 'warn', format: 'text' })
  const begun = await restoreHere(dataDir, old, backupChunks(file), peer, Date.now(), log)
  if (begun.copy.hash !== head.hash) {
    throw new Error('what was restored has another hash than the backup says: do not use it, and report this')
  }
  console.log(`restored as ${begun.record.clusterId}, revision ${begun.copy.revision}, node ${nodeName}`)
  if (begun.aside !== undefined) console.log(`what was here before is kept in ${begun.aside}`)
  console.log('now start it: flotilla up. Then start the agents of the other peers: they come back by themselves')
}
