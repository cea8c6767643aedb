// Beginning again from what is left: one copy of a cluster whose majority is lost, or a backup. Both write a new store on
// a blank disk, as a cluster of another name with one voter, so that the old majority, should it come back, cannot be
// taken for this one. The revision jumps far ahead and all before it is compacted, so that nobody who watched the old
// cluster sees it go backwards (etcd, op-guide/recovery). The caller swaps the folders by one rename when this is done.
import { apply, captureKv, createKv, type KvImage, restoreKv } from '../kv/kv.ts'
import { snapshotReader } from '../kv/snapshot.ts'
import type { Revision } from '../kv/store.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { MemberId, Membership } from '../raft/types.ts'
import type { Disk } from '../world/disk.ts'
import type { Log } from '../world/log.ts'
import type { PeerId } from '../world/network.ts'
import { unwrap } from './command.ts'
import { type Identity, StoreDamage } from './log.ts'
import { encodePeers } from './members.ts'
import { openLog } from './run-log.ts'
import { openState, writeState } from './run-state.ts'

export const recoveredRevisionJump = 1_000_000_000

/** Who the new store is: both IDs fresh. `openStore` is then called with them, and without `bootstrap`. */
export type Recovered = { readonly identity: Identity; readonly peer: PeerId }

/** What a copy holds, for the person who must choose between copies: the one with the later term, then index, is newer. */
export type Copy = {
  readonly term: number
  readonly index: number
  readonly revision: Revision
  readonly keyCount: number
  readonly hash: number
  readonly membership: Membership
}

/** Reads a stopped store without changing what it says. Throws StoreDamage as `openStore` does. */
export async function inspectStore(disk: Disk, identity: Identity, log: Log): Promise<Copy> {
  const { image, membership } = await readCopy(disk, identity, log)
  const { term, index, revision, hash } = image
  return { term, index, revision, keyCount: restoreKv(image).versions.size, hash, membership }
}

/** Makes a cluster of one on the blank disk `to` from the stopped store on `from`. */
export async function recoverStore(
  from: Disk,
  identity: Identity,
  to: Disk,
  recovered: Recovered,
  log: Log,
): Promise<Copy> {
  const { image, membership } = await readCopy(from, identity, log)
  const { voters, learners, removed } = membership
  return await found(to, image, [...new Set([...removed, ...voters, ...learners])], recovered, log)
}

/** Makes a cluster of one on the blank disk `to` from the chunks of a backup. Throws SnapshotError on a bent one. */
export async function restoreBackup(
  chunks: AsyncIterable<Bytes> | Iterable<Bytes>,
  to: Disk,
  recovered: Recovered,
  log: Log,
): Promise<Copy> {
  const reader = snapshotReader()
  for await (const chunk of chunks) reader.push(chunk)
  const result = reader.finish()
  if (result === undefined) throw new StoreDamage('corrupt', 'the backup ends before it is whole')
  return await found(to, result.image, [], recovered, log)
}

/**
 * Everything in the log counts, committed or not: this copy cannot know what the lost majority has acknowledged, and to
 * keep a write that nobody was promised is the lesser harm.
 */
async function readCopy(disk: Disk, identity: Identity, log: Log): Promise<{ image: KvImage; membership: Membership }> {
  const opened = await openLog(disk, identity, log)
  await opened.log.close()
  const { base, entries, generation } = opened.state
  const { loaded, state } = await openState(disk, generation)
  await state.close()
  const applied = loaded?.image.index ?? 0
  const last = entries.at(-1)?.index ?? base.index
  if (applied < base.index || applied > last) {
    throw new StoreDamage('missing', `the applied state reaches index ${applied}, the log ${base.index} to ${last}`)
  }
  if (last === 0) throw new StoreDamage('missing', 'there is nothing in this store')
  const kv = loaded === undefined ? createKv() : restoreKv(loaded.image)
  let membership = loaded?.membership ?? { voters: [], learners: [], removed: [] }
  for (const entry of entries.slice(applied - base.index)) {
    const { index, term } = entry
    apply(kv, { index, term, command: entry.kind === 'command' ? unwrap(entry.command).command : undefined }, false)
    if (entry.kind === 'membership') membership = entry.membership
  }
  return { image: captureKv(kv), membership }
}

async function found(
  to: Disk,
  old: KvImage,
  removed: readonly MemberId[],
  { identity, peer }: Recovered,
  log: Log,
): Promise<Copy> {
  const opened = await openLog(to, identity, log)
  try {
    if (opened.found !== 'new') throw new StoreDamage('foreign', 'the disk to begin again on is not blank')
    const membership = { voters: [identity.member], learners: [], removed }
    const image = jumped(old)
    const context = encodePeers(membership, new Map([[identity.member, peer]]))
    const state = await writeState(to, 0, { image, membership, context })
    await state.close()
    const { index, term } = image
    // The state counts from here on, as after an installed snapshot.
    await opened.log.append({
      hard: { term: term + 1, vote: undefined },
      base: { index, term, generation: 0, keep: false },
      entries: [],
    })
    return {
      term,
      index,
      revision: image.revision,
      keyCount: restoreKv(image).versions.size,
      hash: image.hash,
      membership,
    }
  } finally {
    await opened.log.close()
  }
}

/** Nothing of the history is kept: whoever knows an old revision must list again. */
function jumped(old: KvImage): KvImage {
  const revision = old.revision + recoveredRevisionJump
  const base = restoreKv(old).versions.all()
  return { ...old, revision, start: revision, compacted: revision, base, baseRevision: revision, changes: [] }
}
