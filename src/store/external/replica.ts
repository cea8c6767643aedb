// What one peer knows of the external etcd: the store's keys and their last changes, in the same form as the embedded
// store has them, who leads, and who is there. Made of all keys at one revision, and of every event since.
import { type Kv, restoreKv } from '../../kv/kv.ts'
import { tombstone } from '../../kv/record.ts'
import type { ChangeEvent, KeyValue, Revision } from '../../kv/store.ts'
import type { EtcdEvent, EtcdItem, EtcdLease } from '../../world/etcd.ts'
import { type Network, type PeerId, peerId } from '../../world/network.ts'
import type { World } from '../../world/world.ts'
import { innerKey, type Names } from './names.ts'

/** It keeps nothing on the disk and says nothing to other peers. */
export type OwnWorld = Pick<World, 'clock' | 'random' | 'log'> & { readonly network: Pick<Network, 'self'> }

export type Leader = {
  readonly peer: PeerId
  /** The revision at which this leadership began: no two have the same, and a later one has a higher. */
  readonly term: number
  /** Of the session that leads: a peer that was started again is another one. */
  readonly lease: EtcdLease
}

/** A peer that has a session, and the revision at which that began. */
export type Present = { readonly peer: PeerId; readonly since: Revision }

export type Replica = {
  readonly kv: Kv
  leader: Leader | undefined
  readonly peers: Map<PeerId, Present>
  /** Of the newest leader that was ever seen. */
  term: number
}

/** `items` are all keys of the cluster as they were at `revision`, in order. */
export function replicaOf(names: Names, items: readonly EtcdItem[], revision: Revision): Replica {
  const base = items.flatMap(item => {
    const key = innerKey(names, item.key)
    return key === undefined ? [] : [keyValue(item, key)]
  })
  const kv = restoreKv({
    revision,
    index: revision,
    term: 0,
    hash: 0,
    done: [],
    doneTotal: 0,
    leases: [],
    start: revision,
    compacted: revision,
    base,
    baseRevision: revision,
    changes: [],
  })
  const replica: Replica = { kv, leader: undefined, peers: new Map(), term: 0 }
  for (const item of items) foldOther(replica, names, { kind: 'put', item })
  return replica
}

/** Events of whole revisions, in order. What is known already is skipped. Throws when something before them is missing. */
export function fold(replica: Replica, names: Names, events: readonly EtcdEvent[]): ChangeEvent[] {
  const { kv } = replica
  const known = kv.revision
  const changes: ChangeEvent[] = []
  for (const event of events) {
    const revision = revisionOf(event)
    if (revision <= known) continue
    const change = foldEvent(replica, names, event)
    if (change !== undefined) changes.push(change)
    kv.revision = revision
    kv.index = revision
  }
  return changes
}

function revisionOf(event: EtcdEvent): Revision {
  return event.kind === 'put' ? event.item.modRevision : event.revision
}

function foldEvent(replica: Replica, names: Names, event: EtcdEvent): ChangeEvent | undefined {
  const key = innerKey(names, event.kind === 'put' ? event.item.key : event.key)
  if (key === undefined) {
    foldOther(replica, names, event)
    return undefined
  }
  const { versions } = replica.kv
  const slot = versions.slot(key)
  if (event.kind === 'delete') {
    if (slot === undefined) throw new Error(`etcd deleted a key at revision ${event.revision} that is not known here`)
    return versions.push(tombstone(slot.key, event.revision), slot)
  }
  if ((slot?.item.version ?? 0) + 1 !== event.item.version) {
    throw new Error(`etcd changed a key at revision ${event.item.modRevision} whose last version is not known here`)
  }
  return versions.push(keyValue(event.item, slot?.key ?? key), slot)
}

function keyValue(item: EtcdItem, key: string): KeyValue {
  const { value, createRevision, modRevision, version } = item
  // Leases are etcd's own affair: what they delete comes as events.
  return { key, value, createRevision, modRevision, version, lease: 0 }
}

function foldOther(replica: Replica, { leader, peers }: Names, event: EtcdEvent): void {
  const key = event.kind === 'put' ? event.item.key : event.key
  if (key === leader) {
    replica.leader = event.kind === 'put' ? leaderOf(event.item) : undefined
    replica.term = Math.max(replica.term, replica.leader?.term ?? 0)
  } else if (key.startsWith(peers) && key.length > peers.length) {
    const peer = peerId(key.slice(peers.length))
    if (event.kind === 'put') replica.peers.set(peer, { peer, since: event.item.modRevision })
    else replica.peers.delete(peer)
  }
}

/** The value of the leader's key is the name of its peer. */
function leaderOf({ value, createRevision, lease }: EtcdItem): Leader | undefined {
  return value === '' ? undefined : { peer: peerId(value), term: createRevision, lease }
}
