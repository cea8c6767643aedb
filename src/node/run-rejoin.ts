// How a peer whose store is lost, damaged or of an abandoned cluster comes back: it asks the others to be admitted again, its
// key being its credential, and begins with an empty store as a new member under its old Node name. What it had is moved aside,
// never deleted. The agent's other parts do not run meanwhile; containers and the kernel's routes go on as they are.
import type { PeerId } from '../world/network.ts'
import { type ClusterRecord, storeFolderOf } from './config.ts'
import type { RejoinAnswer } from './run-admission.ts'
import * as files from './run-files.ts'
import type { JoinGrant } from './run-join.ts'
import type { Peer } from './run-member.ts'
import { describeSuccession, type Greeting } from './succession.ts'

const roundMs = 1_000
const greetMs = 5_000
const askMs = 30_000
const sayAgainMs = 30_000

export type Reason =
  /** Its own cluster admits it again. */
  | { readonly kind: 'damaged'; readonly what: string }
  /** The cluster that took the place of its own admits it. */
  | { readonly kind: 'abandoned' }
  /** Somebody asked for it: any cluster of these peers that has the same authority. */
  | { readonly kind: 'asked' }

/** Asks until a cluster admits this peer; undefined when the signal came first. */
export async function admittedAgain(
  peer: Peer,
  record: ClusterRecord,
  authorityPem: string | undefined,
  reason: Reason,
  signal: AbortSignal,
): Promise<ClusterRecord | undefined> {
  const { clock, network, questions, control, say } = peer
  const others = (await files.readPeers(peer.config.dataDir)).filter(one => one.peer !== network.self)
  if (others.length === 0) throw new Error(aloneWords(reason))
  say(beginWords(record, reason))
  let saidMs = clock.monotonicMs()
  while (!signal.aborted) {
    const refusals: string[] = []
    for (const other of await candidates(refusals)) {
      const answer = await askOne(other)
      if (typeof answer === 'string') refusals.push(answer)
      else return await enter(peer, record, answer, reason, authorityPem)
    }
    const why = refusals.length === 0 ? 'no other peer is reachable' : [...new Set(refusals)].join('; ')
    control.setState(`${waitingWords(reason)}: ${why}`)
    if (clock.monotonicMs() - saidMs >= sayAgainMs) {
      saidMs = clock.monotonicMs()
      say(`still waiting to be admitted again: ${why}.${adviceFor(reason)}`)
    }
    await clock.sleep(roundMs, signal)
  }
  return undefined

  /** Whom to ask: nobody of an abandoned cluster; who was told to rejoin goes back to its own only where there is no other. */
  async function candidates(refusals: string[]): Promise<readonly Met[]> {
    const met: Met[] = []
    for (const one of await Promise.all(network.connected().map(greet))) {
      if (typeof one === 'string') refusals.push(one)
      else met.push(one)
    }
    const others = met.filter(({ greeting }) => greeting.clusterId !== record.clusterId)
    if (reason.kind === 'damaged' || (reason.kind === 'asked' && others.length === 0)) return met
    for (const { greeting } of met.filter(one => !others.includes(one))) {
      refusals.push(`${greeting.node} is of the cluster that is given up too`)
    }
    return others
  }

  async function greet(other: PeerId): Promise<Met | string> {
    try {
      using deadline = clock.deadline(greetMs, signal)
      return { peer: other, greeting: await questions.ask<Greeting>(other, 'greet', {}, deadline.signal) }
    } catch (error) {
      return `${other}: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  /** The answer of a peer that may be believed, or why there is none. */
  async function askOne({ peer: other, greeting }: Met): Promise<Admitted | string> {
    try {
      using deadline = clock.deadline(askMs, signal)
      const answer = await questions.ask<RejoinAnswer>(other, 'rejoin', {}, deadline.signal)
      if (answer.kind === 'refused') return `${greeting.node}: ${answer.message}`
      const { grant } = answer
      if (authorityPem !== undefined && grant.caPem !== authorityPem) return `${greeting.node} has another authority`
      if (!isSuccessor(record, reason, grant))
        return `${greeting.node} is of a cluster that has nothing to do with ours`
      return answer
    } catch (error) {
      return `${greeting.node}: ${error instanceof Error ? error.message : String(error)}`
    }
  }
}

type Met = { readonly peer: PeerId; readonly greeting: Greeting }
type Admitted = { readonly nodeName: string; readonly grant: JoinGrant }

function isSuccessor(record: ClusterRecord, reason: Reason, grant: JoinGrant): boolean {
  if (grant.origin !== record.origin) return false
  const line = [...grant.past, grant.clusterId]
  switch (reason.kind) {
    case 'damaged':
      return line.includes(record.clusterId)
    case 'abandoned':
      return record.abandoned !== undefined && line.includes(record.abandoned.succession.to)
    case 'asked':
      return true
  }
}

async function enter(
  peer: Peer,
  old: ClusterRecord,
  { nodeName, grant }: Admitted,
  reason: Reason,
  authorityPem: string | undefined,
): Promise<ClusterRecord> {
  const { clock, network, config, say } = peer
  const { dataDir } = config
  const record = recordOf(grant, nodeName, old.witness, storeFolderOf(grant.memberId))
  await files.writeCluster(dataDir, record)
  const stale = (await files.storeFolders(dataDir)).filter(name => name !== record.store)
  if (grant.caPem !== authorityPem) stale.push('pki')
  const why = reason.kind === 'abandoned' ? 'of-abandoned-cluster' : reason.kind
  const aside = await files.setAside(dataDir, stale, why, clock.nowMs())
  const known = grant.peers.map(({ peer, addresses }) => ({ peer, addresses }))
  await files.writePeers(dataDir, known)
  network.admit(known)
  say(
    `admitted again as ${nodeName}, as a new member${aside === undefined ? '' : `; the old store is kept in ${aside}`}`,
  )
  return record
}

/** What a peer keeps of a cluster that has just admitted it. */
export function recordOf(grant: JoinGrant, nodeName: string, witness: boolean, store: string): ClusterRecord {
  const { clusterId, memberId, clusterCidr, serviceCidr, clusterName, origin, past, datastore } = grant
  return {
    ...{ clusterId, clusterName, origin, past, memberId, nodeName, clusterCidr, serviceCidr, store, witness },
    founded: false,
    ran: false,
    ...(datastore !== undefined && { datastore }),
  }
}

function beginWords(record: ClusterRecord, reason: Reason): string {
  const runOn = 'its pods run on meanwhile'
  switch (reason.kind) {
    case 'damaged':
      return `this peer's store cannot be used: ${reason.what}. It asks the others to be admitted again; ${runOn}`
    case 'abandoned': {
      const by = record.abandoned === undefined ? '' : `: ${describeSuccession(record.abandoned.succession)}`
      return `this peer is of a cluster that was abandoned${by}. It asks to be admitted there; ${runOn}`
    }
    case 'asked':
      return `this peer gives its store up and asks the others to be admitted again; ${runOn}`
  }
}

function waitingWords(reason: Reason): string {
  return reason.kind === 'damaged'
    ? `this peer's store cannot be used (${reason.what}); it waits to be admitted again`
    : 'this peer waits to be admitted again'
}

function adviceFor({ kind }: Reason): string {
  if (kind !== 'damaged') return ''
  return ' If the others have no majority without this peer, stop it and run `flotilla recover` on one of them'
}

function aloneWords(reason: Reason): string {
  const what = reason.kind === 'damaged' ? reason.what : 'its store was given up'
  return (
    `this peer's store cannot be used: ${what}. It knows no other peer that could have a copy. Restore a backup: ` +
    '`flotilla backup list`, then `flotilla restore <file>`. Without one, `flotilla check` says what is left, and ' +
    '`flotilla recover` begins again from it where it can be read. Nothing was changed; its pods run on'
  )
}
