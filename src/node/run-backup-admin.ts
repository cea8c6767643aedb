// What people may ask of the peers' own store, while it is open: backups and their schedule, and what this copy holds.
import { namespace as namespaceKind } from '../api/kinds/namespace.ts'
import type { Client } from '../client/client.ts'
import { timeMs } from '../client/objects.ts'
import type { RunningStore } from '../store/run.ts'
import type { PeerId } from '../world/network.ts'
import { defaultCopies, type Schedule } from './backup.ts'
import { type BackupInfo, openBackups, readSchedule, runSchedule, writeSchedule } from './run-backup.ts'
import { type ControlHandler, Download, Told } from './run-control.ts'
import { type CopyReport, hashText, labelOf, lastWrittenMs } from './run-copy.ts'
import type { Member, Peer } from './run-member.ts'
import type { Members } from './run-members.ts'
import { peerOf } from './status.ts'

const controlMs = 25_000
const askMs = 5_000

export type BackupAdminParts = {
  readonly peer: Peer
  readonly member: Member
  readonly store: RunningStore
  readonly members: Members
  /** May do all. */
  readonly client: Client
  readonly program: string
}

export interface BackupAdmin extends Disposable {
  readonly handle: ControlHandler
  /** Makes the scheduled backups until the signal: the leader's task. */
  schedule(signal: AbortSignal): Promise<void>
}

/** Answers other peers until it is disposed; what it does on its own ends with the signal. */
export function openBackupAdmin(parts: BackupAdminParts, signal: AbortSignal): BackupAdmin {
  const { peer, member, store, members, client, program } = parts
  const { network, questions, config } = peer
  const { world, cluster } = member
  const backups = openBackups({ world, network, store, cluster, dataDir: config.dataDir, program })
  const answering = questions.on('backups', () => backups.list())
  let foundedAtMs: number | undefined
  void learnFounding()

  async function handle(...[method, path, body, gone]: Parameters<ControlHandler>): Promise<unknown> {
    const until = AbortSignal.any([signal, gone])
    using deadline = world.clock.deadline(controlMs, until)
    const said = (body ?? {}) as Readonly<Record<string, unknown>>
    switch (`${method} ${path}`) {
      case 'GET /copy':
        return await copyReport()
      case 'GET /backup':
        return new Download((await backups.make(false, until)).bytes)
      case 'POST /backup':
        return new Told(say => backUp(namesIn(said['to']), say, until))
      case 'GET /backups':
        return await allBackups(deadline.signal)
      case 'GET /backup-schedule':
        return await readSchedule(client, deadline.signal)
      case 'POST /backup-schedule':
        await writeSchedule(client, said as unknown as Schedule, deadline.signal)
        return {}
      case 'POST /recover':
        if (store.status().leader === undefined) return undefined
        throw new Error(
          'the cluster has a leader, so a majority of its voters is there and nothing needs to be recovered. To take a lost peer ' +
            'out: `flotilla remove`. To go back to an older state: `flotilla restore`',
        )
      default:
        return undefined
    }
  }

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
        const system = await client.get(namespaceKind, { name: 'kube-system' }, signal)
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
    const { keep } = await readSchedule(client, until)
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

  return {
    handle,
    schedule: inner =>
      runSchedule(
        { world, store, client, backups, others, copies: defaultCopies, foundedMs: () => foundedAtMs },
        inner,
      ),
    [Symbol.dispose]() {
      answering[Symbol.dispose]()
      backups[Symbol.dispose]()
    },
  }
}

function namesIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}
