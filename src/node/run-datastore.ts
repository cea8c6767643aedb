// Opens the store of a cluster whose state is in an external etcd. Before that it is made sure that the etcd is there, waiting
// for it as long as it takes; that what lies under the prefix is this very cluster; and that this peer still belongs to it.
import { peerAnnotation } from '../api/annotations.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import { keyOf, resourcePrefix } from '../apiserver/stored.ts'
import { openEtcd } from '../drivers/etcd.ts'
import { onAbort } from '../lib/abort.ts'
import { type Names, namesOf, outerKey } from '../store/external/names.ts'
import { type ExternalStore, openExternalStore } from '../store/external/run.ts'
import { unlessAborted } from '../store/pending.ts'
import { EtcdError, type EtcdItem, type EtcdLink } from '../world/etcd.ts'
import type { PeerId } from '../world/network.ts'
import type { ClusterRecord } from './config.ts'
import {
  type Datastore,
  defaultPrefix,
  type Mark,
  markKey,
  markText,
  occupiedWords,
  readMark,
  whyNotTheEtcdOf,
} from './datastore.ts'
import type { Peer } from './run-member.ts'

const requestMs = 5_000
const againMs = 1_000
const sayAgainMs = 30_000

/**
 * Throws when something lies where a cluster is to be founded, or the etcd cannot be used; waits for one that is silent. False
 * when the signal came first.
 */
export async function isVacant(peer: Peer, datastore: Datastore, signal: AbortSignal): Promise<boolean> {
  const prefix = datastore.prefix ?? defaultPrefix
  const link = await openEtcd(datastore)
  try {
    const found = await patiently(peer, datastore, signal, () => occupant(link, prefix))
    if (found !== undefined) throw new Error(occupiedWords(whereOf(datastore), found.prefix, found.mark))
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  } finally {
    link.close()
  }
}

type Occupant = { readonly prefix: string; readonly mark: Mark | undefined }

/** What lies under the prefix; or the cluster that the prefix would lie in: its keys begin with all that comes before. */
async function occupant(link: EtcdLink, prefix: string): Promise<Occupant | undefined> {
  const names = namesOf(prefix)
  const { items } = await link.range({ from: `${prefix}/`, to: names.to, limit: 1, revision: 0 }, requestMs)
  if (items.length > 0) return { prefix, mark: readMark(await read(link, names, markKey)) }
  for (let end = prefix.lastIndexOf('/'); end > 0; end = prefix.lastIndexOf('/', end - 1)) {
    const outer = prefix.slice(0, end)
    const mark = readMark(await read(link, namesOf(outer), markKey))
    if (mark !== undefined) return { prefix: outer, mark }
  }
  return undefined
}

/** Lives until `life` or `stop`. Rejects when `signal` aborts before it is open, and when this peer must not open it. */
export async function openDatastore(
  peer: Peer,
  datastore: Datastore,
  record: ClusterRecord,
  life: AbortController,
  signal: AbortSignal,
): Promise<ExternalStore> {
  const prefix = record.datastore?.prefix ?? defaultPrefix
  const names = namesOf(prefix)
  const where = whereOf(datastore)
  const link = await openEtcd(datastore)
  try {
    const wrong = await patiently(peer, datastore, signal, async () => {
      if (record.founded && !record.ran) await leaveMark(link, names, record)
      const mark = readMark(await read(link, names, markKey))
      const other = whyNotTheEtcdOf(record, where, prefix, mark)
      return other ?? (await whyNotAdmitted(link, names, record, peer.network.self))
    })
    if (wrong !== undefined) throw new Error(wrong)
  } catch (error) {
    link.close()
    throw error
  }
  // From here on the store closes the link.
  using _stopped = onAbort(signal, () => life.abort())
  return await openExternalStore(peer, link, { prefix }, life.signal)
}

/** The first to come makes the mark; whoever founds there at the same moment finds it and is refused. */
async function leaveMark(link: EtcdLink, names: Names, record: ClusterRecord): Promise<void> {
  const key = outerKey(names, markKey)
  await link.txn(
    {
      compare: [{ key, target: 'create', revision: 0 }],
      success: [{ kind: 'put', key, value: markText(record), lease: '0' }],
      otherwise: [],
    },
    requestMs,
  )
}

/** Etcd lets in whoever has its credentials: that a peer was removed, it must see for itself. */
async function whyNotAdmitted(
  link: EtcdLink,
  names: Names,
  record: ClusterRecord,
  self: PeerId,
): Promise<string | undefined> {
  const { founded, ran, nodeName, clusterName } = record
  const own = await read(link, names, keyOf(nodeKind, undefined, nodeName))
  if (own !== undefined && peerIn(own) === self) return undefined
  if (own === undefined && founded) {
    const from = outerKey(names, resourcePrefix(nodeKind))
    const { items } = await link.range({ from, to: `${from}\xff`, limit: 1, revision: 0 }, requestMs)
    // It has not come to make its own yet.
    if (!ran || items.length === 0) return undefined
  }
  return removedWords(clusterName, nodeName)
}

export function removedWords(clusterName: string, nodeName: string): string {
  return (
    `this peer is not the node ${nodeName} of ${clusterName} any more: it was removed. To come back: \`flotilla token create\` on ` +
    'another peer, and here `flotilla join --anew --datastore … --token …`'
  )
}

function peerIn({ value }: EtcdItem): string | undefined {
  const { metadata } = JSON.parse(value) as { metadata?: { annotations?: Readonly<Record<string, string>> } }
  return metadata?.annotations?.[peerAnnotation]
}

async function read(link: EtcdLink, names: Names, key: string): Promise<EtcdItem | undefined> {
  const from = outerKey(names, key)
  return (await link.range({ from, to: `${from}\0`, limit: 1, revision: 0 }, requestMs)).items[0]
}

export function whereOf({ endpoints }: Datastore): string {
  return endpoints.join(', ')
}

/** Asks until etcd answers, and says so. Rejects with the signal, and when etcd refuses. */
async function patiently<T>(
  { clock, control, say }: Peer,
  datastore: Datastore,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  const where = whereOf(datastore)
  let saidMs = Number.NEGATIVE_INFINITY
  for (;;) {
    try {
      return await unlessAborted(ask(), signal)
    } catch (error) {
      if (signal.aborted) throw new Error(`stopped before the etcd at ${where} answered`, { cause: error })
      if (!(error instanceof EtcdError)) throw error
      if (error.reason !== 'unavailable' && error.reason !== 'not-done') {
        throw new Error(`the etcd at ${where} refuses this peer: ${error.message}`, { cause: error })
      }
      const words = `the etcd at ${where} does not answer (${error.message}); this peer waits for it`
      control.setState(words)
      if (clock.monotonicMs() - saidMs >= sayAgainMs) {
        saidMs = clock.monotonicMs()
        say(words)
      }
      await clock.sleep(againMs, signal)
    }
  }
}
