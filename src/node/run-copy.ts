// A stopped store as a whole: what it holds, and a cluster that begins again from it or from a backup. The new store is
// written into a folder of its own and counts once cluster.json names it, so an end at any moment leaves either the old one or
// the new one, whole. The old folder is then kept aside.
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { openDisk } from '../drivers/disk.ts'
import type { Bytes } from '../lib/bytes.ts'
import { memberId } from '../raft/types.ts'
import { type Copy, inspectStore, recoverStore, restoreBackup } from '../store/run-recover.ts'
import type { Log } from '../world/log.ts'
import type { PeerId } from '../world/network.ts'
import { type ClusterRecord, storeFolderOf } from './config.ts'
import * as files from './run-files.ts'
import type { Succession } from './succession.ts'

/** What a copy of the cluster holds, for the person who must choose between copies: the later term, then index, is newer. */
export type CopyReport = {
  readonly clusterName: string
  readonly clusterId: string
  readonly node: string
  readonly peer: PeerId
  readonly term: number
  readonly index: number
  readonly revision: number
  /** Of the state at `index`, or what of it is applied. */
  readonly hash: string
  readonly keyCount: number | undefined
  /** Wall clock: when this copy was last written. */
  readonly writtenMs: number
  readonly members: readonly {
    readonly member: string
    readonly role: string
    readonly peer?: PeerId
    readonly node?: string
  }[]
  /** The leader that this peer sees; then nothing is lost, and nothing needs to be recovered. */
  readonly leader: PeerId | undefined
  /** The cluster that took the place of this one, in words. */
  readonly abandoned?: string
}

export const hashText = (hash: number): string => (hash >>> 0).toString(16).padStart(8, '0')

/** Reads the stopped store of this data directory. Throws StoreDamage, or DiskError while another process has it. */
export async function inspectCopy(dataDir: string, record: ClusterRecord, peer: PeerId, log: Log): Promise<CopyReport> {
  const disk = await openDisk(files.storeDir(dataDir, record))
  const copy = await inspectStore(disk, identityOf(record), log)
  const { voters, learners } = copy.membership
  const known = new Map((await files.readPeers(dataDir)).map(one => [one.member, one]))
  const members = [
    ...voters.map(member => ({ member, role: 'voter' })),
    ...learners.map(member => ({ member, role: 'learner' })),
  ]
  return {
    ...labelOf(record, peer),
    term: copy.term,
    index: copy.index,
    revision: copy.revision,
    hash: hashText(copy.hash),
    keyCount: copy.keyCount,
    writtenMs: await lastWrittenMs(dataDir, record),
    members: members.map(one => {
      const found = known.get(one.member)
      return { ...one, ...(found && { peer: found.peer }), ...(found?.node !== undefined && { node: found.node }) }
    }),
    leader: undefined,
  }
}

export function labelOf({ clusterName, clusterId, nodeName }: ClusterRecord, peer: PeerId) {
  return { clusterName, clusterId, node: nodeName, peer }
}

/** When anything of the log was last written. */
export async function lastWrittenMs(dataDir: string, record: ClusterRecord): Promise<number> {
  const dir = path.join(files.storeDir(dataDir, record), 'log')
  const names = await fs.readdir(dir).catch(() => [])
  const times = await Promise.all(names.map(async name => (await fs.stat(path.join(dir, name))).mtimeMs))
  return Math.max(0, ...times)
}

const identityOf = (record: ClusterRecord) => ({ cluster: record.clusterId, member: memberId(record.memberId) })

export type BegunAgain = {
  readonly record: ClusterRecord
  readonly copy: Copy
  /** Where the old store is now; undefined when there was none. */
  readonly aside: string | undefined
}

/** The cluster begins again from the stopped store of this data directory, with this peer as its only member. */
export async function recoverHere(
  dataDir: string,
  old: ClusterRecord,
  peer: PeerId,
  nowMs: number,
  log: Log,
): Promise<BegunAgain> {
  const from = await openDisk(files.storeDir(dataDir, old))
  return await beginAgain(dataDir, old, 'recover', peer, nowMs, async (to, recovered) =>
    recoverStore(from, identityOf(old), to, recovered, log),
  )
}

/** The same from the chunks of a backup that was read to its end before; `old` is the cluster as the backup's head names it. */
export async function restoreHere(
  dataDir: string,
  old: ClusterRecord,
  chunks: AsyncIterable<Bytes>,
  peer: PeerId,
  nowMs: number,
  log: Log,
): Promise<BegunAgain> {
  return await beginAgain(dataDir, old, 'restore', peer, nowMs, (to, recovered) =>
    restoreBackup(chunks, to, recovered, log),
  )
}

async function beginAgain(
  dataDir: string,
  old: ClusterRecord,
  how: Succession['how'],
  peer: PeerId,
  nowMs: number,
  write: (to: Awaited<ReturnType<typeof openDisk>>, recovered: Parameters<typeof recoverStore>[3]) => Promise<Copy>,
): Promise<BegunAgain> {
  const clusterId = randomUUID()
  const member = randomUUID()
  const store = storeFolderOf(member)
  const folder = path.join(dataDir, store)
  const identity = { cluster: clusterId, member: memberId(member) }
  let copy: Copy
  try {
    copy = await write(await openDisk(folder), { identity, peer })
  } catch (error) {
    // Nothing has changed yet: what was begun is of no use to anybody.
    await fs.rm(folder, { recursive: true, force: true })
    throw error
  }
  const past = [...old.past, old.clusterId]
  const { term, index, revision } = copy
  const succession = { from: past, to: clusterId, how, peer, node: old.nodeName, atMs: nowMs, term, index, revision }
  const { abandoned: _, ...rest } = old
  const record: ClusterRecord = {
    ...rest,
    clusterId,
    past,
    memberId: member,
    store,
    founded: false,
    ran: true,
    succession,
  }
  // Another cluster's keys must not be read by the new one; where it is the same cluster, its store holds them too.
  const aside = how === 'restore' ? await files.setAside(dataDir, ['pki'], `before-${how}`, nowMs) : undefined
  const before = await files.readCluster(dataDir).catch(() => undefined)
  await files.writeCluster(dataDir, record)
  const stale = (await files.storeFolders(dataDir)).filter(name => name !== store)
  if (how === 'restore') stale.push('peers.json')
  const kept = await files.setAside(dataDir, stale, `before-${how}`, nowMs, aside)
  if (kept !== undefined && before !== undefined) {
    await files.replaceFile(path.join(kept, 'cluster.json'), `${JSON.stringify(before, null, 2)}\n`, 0o600)
  }
  return { record, copy, aside: kept ?? aside }
}
