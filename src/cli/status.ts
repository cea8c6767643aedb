// `flotilla status`: the peers, their roles and health, from any peer's point of view.
import type { Command } from 'commander'
import { Option } from 'commander'
import type { PeerStatus, StatusReport } from '../node/status.ts'
import { ask } from './control.ts'
import { dataDirOption } from './options.ts'
import { table } from './table.ts'

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('the peers of the cluster: roles, leader, health')
    .addOption(dataDirOption())
    .addOption(new Option('-o, --output <format>', 'table or json').choices(['table', 'json']).default('table'))
    .addHelpText('after', '\nExample:\n  flotilla status\n  flotilla status --output=json')
    .action(async (options: { dataDir: string; output: string }) => {
      const report = await ask<StatusReport>(options.dataDir, 'GET', '/status')
      console.log(options.output === 'json' ? JSON.stringify(report, null, 2) : describe(report))
    })
}

/** Pure: what a person reads. */
export function describe(report: StatusReport): string {
  const head = [
    report.notice === undefined ? '' : `ATTENTION: ${report.notice}`,
    `cluster ${report.clusterName} (${report.clusterId}), term ${report.term}, revision ${report.revision}`,
    report.datastore === undefined ? '' : `state in the etcd at ${report.datastore}`,
    report.leader === undefined ? `no leader: writes wait until ${awaited(report)}` : '',
  ]
  const row = (peer: PeerStatus) => [
    peer.self ? `${peer.node} (this peer)` : peer.node,
    peer.leader ? 'leader' : peer.witness && peer.role === 'voter' ? 'witness' : peer.role,
    peer.health,
    peer.ready,
    peer.address,
    peer.peer,
  ]
  const lines = table(['NODE', 'ROLE', 'HEALTH', 'READY', 'ADDRESS', 'PEER ID'], report.peers.map(row))
  return [...head.filter(line => line !== ''), '', lines].join('\n')
}

function awaited({ datastore }: StatusReport): string {
  return datastore === undefined ? 'a majority of voters is reachable' : 'that etcd answers'
}
