// What people and other peers may ask of this member: admission, backups, leaving and removing, and the control socket that the
// commands use. On the leader, the scheduled backups.
import { namespace as namespaceKind } from '../api/kinds/namespace.ts'
import type { Apiserver } from '../apiserver/run.ts'
import { timeMs } from '../client/objects.ts'
import { certificateHash } from '../drivers/pki.ts'
import type { Gossip } from '../gossip/gossip.ts'
import { aborted } from '../lib/abort.ts'
import type { PeerId } from '../world/network.ts'
import { defaultCopies, type Schedule } from './backup.ts'
import { openAdmission } from './run-admission.ts'
import { type BackupInfo, openBackups, readSchedule, runSchedule, writeSchedule } from './run-backup.ts'
import { type ControlHandler, Download, Told } from './run-control.ts'
import { type CopyReport, hashText, labelOf, lastWrittenMs } from './run-copy.ts'
import type { Fitness } from './run-fitness.ts'
import { runLeaderTasks } from './run-leader.ts'
import { type LeaveParts, leave, remove, serveLeave } from './run-leave.ts'
import type { Member, Peer } from './run-member.ts'
import type { Members } from './run-members.ts'
import { peerOf, type StatusReport } from './status.ts'

const controlMs = 25_000
const askMs = 5_000

export type AdminParts = {
  readonly peer: Peer
  readonly member: Member
  readonly apiserver: Apiserver
  readonly members: Members
  readonly gossip: Gossip
  readonly fitness: Fitness
  readonly caPem: string
  readonly program: string
  readonly report: () => StatusReport
}

/** Until the signal. */
export async function runAdmin(admin: AdminParts, signal: AbortSignal): Promise<void> {
  const { peer, member, apiserver, members, gossip, fitness, caPem, report } = admin
  const { network, questions, config, control } = peer
  const { world, store, cluster } = member
  const administrator = apiserver.client({ user: 'flotilla:admission', groups: ['system:masters'] })
  const parts = { world, client: administrator, store, cluster, questions, caPem, caHash: certificateHash(caPem) }
  using admission = openAdmission(parts, signal)
  using backups = openBackups({ world, network, store, cluster, dataDir: config.dataDir, program: admin.program })
  const leaving: LeaveParts = {
    ...parts,
    nodeName: cluster.nodeName,
    gossip: () => gossip.view(),
  }
  using _leave = serveLeave(leaving, signal)
  using _backups = questions.on('backups', () => backups.list())

  const handle: ControlHandler = async (method, path, body, gone) => {
    const until = AbortSignal.any([signal, gone])
    using deadline = world.clock.deadline(controlMs, until)
    const said = (body ?? {}) as Readonly<Record<string, unknown>>
    switch (`${method} ${path}`) {
      case 'GET /status':
        return report()
      case 'GET /copy':
        return await copyReport()
      case 'GET /tokens':
        return await admission.listTokens(deadline.signal)
      case 'POST /tokens': {
        const { ttlMs, replaces } = said
        if (typeof ttlMs !== 'number' || !(ttlMs > 0)) throw new Error('ttlMs must be a number of milliseconds')
        return await admission.createToken(ttlMs, typeof replaces === 'string' ? replaces : undefined, deadline.signal)
      }
      case 'GET /backup':
        return new Download((await backups.make(false, until)).bytes)
      case 'POST /backup':
        return new Told(say => backUp(namesIn(said['to']), say, until))
      case 'GET /backups':
        return await allBackups(deadline.signal)
      case 'GET /backup-schedule':
        return await readSchedule(administrator, deadline.signal)
      case 'POST /backup-schedule':
        await writeSchedule(administrator, said as unknown as Schedule, deadline.signal)
        return {}
      case 'POST /recover':
        if (store.status().leader === undefined) return undefined
        throw new Error(
          'the cluster has a leader, so a majority of its voters is there and nothing needs to be recovered. To take a lost peer ' +
            'out: `flotilla remove`. To go back to an older state: `flotilla restore`',
        )
      case 'POST /leave':
        return new Told(async say => {
          await leave(leaving, said['abandonPods'] === true, say, signal)
          member.left()
        })
      case 'POST /remove':
        return new Told(say => remove(leaving, String(said['target']), said['force'] === true, say, signal))
      default:
        if (method !== 'DELETE' || !path.startsWith('/tokens/')) return undefined
        await admission.revokeToken(decodeURIComponent(path.slice('/tokens/'.length)), deadline.signal)
        return {}
    }
  }
  using _control = control.use(handle)
  let foundedAtMs: number | undefined
  void learnFounding()
  const foundedMs = () => foundedAtMs
  const schedule = (inner: AbortSignal) =>
    runSchedule({ world, store, client: administrator, backups, others, copies: defaultCopies, foundedMs }, inner)
  await runLeaderTasks({ world, store, apiserver, gossip, members, fitness, caPem, cluster, config, schedule }, signal)
  await aborted(signal)

  /** Peers that are there, by the names of their nodes. */
  function others(): readonly { readonly node: string; readonly peer: PeerId }[] {
    const connected = new Set(network.connected())
    return members.nodes.view.list().flatMap(node => {
      const its = peerOf(node)
      return its === undefined || !connected.has(its) ? [] : [{ node: node.metadata.name, peer: its }]
    })
  }

  /** A backup is due some time after the cluster began: as old as its first namespace. */
  async function learnFounding(): Promise<void> {
    while (!signal.aborted && foundedAtMs === undefined) {
      try {
        const system = await administrator.get(namespaceKind, { name: 'kube-system' }, signal)
        foundedAtMs = timeMs(system.metadata.creationTimestamp)
      } catch (error) {
        world.log.debug('the age of the cluster is not known yet', { error: String(error) })
        await world.clock.sleep(askMs, signal)
      }
    }
  }
  /** Makes one here and copies it to the peers that were named. */
  async function backUp(
    to: readonly string[],
    say: (line: string) => void,
    until: AbortSignal,
  ): Promise<{ readonly info: BackupInfo; readonly copies: readonly string[] }> {
    const targets = to.map(name => {
      const found = others().find(one => one.node === name || one.peer === name)
      if (found === undefined) throw new Error(`${name} is not there: \`flotilla status\` lists the peers`)
      return found
    })
    const { keep } = await readSchedule(administrator, until)
    const info = await backups.save(false, keep, until)
    say(`made ${info.name}, ${info.bytes} bytes`)
    const copies: string[] = []
    for (const { node, peer: its } of targets) {
      say(`copying it to ${node}`)
      await backups.send(its, info.name, keep, until)
      copies.push(node)
    }
    return { info, copies }
  }

  /** Of every peer that answers. */
  async function allBackups(until: AbortSignal): Promise<readonly BackupInfo[]> {
    const lists = others().map(async ({ node, peer: its }) => {
      try {
        using deadline = world.clock.deadline(askMs, until)
        return await questions.ask<readonly BackupInfo[]>(its, 'backups', {}, deadline.signal)
      } catch (error) {
        world.log.debug('a peer did not tell of its backups', { node, error: String(error) })
        return []
      }
    })
    return [await backups.list(), ...(await Promise.all(lists))].flat()
  }

  async function copyReport(): Promise<CopyReport> {
    const { term, revision, leader, members: all } = store.status()
    const { index, hash } = store.hash()
    const nodes = members.nodes.view.list()
    return {
      ...labelOf(cluster, network.self),
      term,
      index,
      revision,
      hash: hashText(hash),
      keyCount: undefined,
      writtenMs: await lastWrittenMs(config.dataDir, cluster),
      members: all.map(({ member: id, peer: its, role }) => {
        const node = nodes.find(one => peerOf(one) === its)?.metadata.name
        return { member: id, role, peer: its, ...(node !== undefined && { node }) }
      }),
      leader,
    }
  }
}

function namesIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}
