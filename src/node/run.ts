// One peer, from its key to its end: who it is, which cluster it belongs to, and what happens when its store cannot go on as
// it is. The key, the mesh, and the control socket last as long as the process; a membership may end and another begin
// (run-member.ts), in the same process and without a container noticing:
//
//   founded, joined, or known ──► member ──► stopped
//     member ── its store is damaged, its cluster abandoned, or somebody asked ──► asks to be admitted again ──► member
//     member, or waiting ── `flotilla recover` ──► begins the cluster again ──► member
//     member ── `flotilla leave` ──► takes its containers and its data away ──► stopped
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { realClock } from '../drivers/clock.ts'
import { loadIdentity } from '../drivers/identity.ts'
import { realLog } from '../drivers/log.ts'
import { openNetwork } from '../drivers/network/libp2p.ts'
import { realRandom } from '../drivers/random.ts'
import { type ClusterRecord, defaultClusterName, firstStore, type NodeConfig } from './config.ts'
import { defaultPrefix, externalWords, whyNotStartWith } from './datastore.ts'
import { openControl, Told } from './run-control.ts'
import { inspectCopy, recoverHere } from './run-copy.ts'
import { isVacant } from './run-datastore.ts'
import { farewell } from './run-farewell.ts'
import * as files from './run-files.ts'
import { joinCluster } from './run-join.ts'
import { type Ending, type Peer, runMember } from './run-member.ts'
import { openQuestions } from './run-questions.ts'
import { admittedAgain, type Reason, recordOf } from './run-rejoin.ts'

export type JoinWish = {
  readonly token: string
  readonly target?: string
  /** Although this machine is a peer of some cluster already: what it holds is set aside. */
  readonly anew?: boolean
}

/** What somebody asked of the running agent that ends its membership as it is. */
type Wish = { readonly kind: 'recover' | 'rejoin'; readonly done: PromiseWithResolvers<string> }

/** Lives until the signal; then hands leadership over and stops. Rejects with what a person can do about it. */
export async function runNode(
  config: NodeConfig,
  join: JoinWish | undefined,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { dataDir } = config
  await fs.mkdir(dataDir, { recursive: true, mode: 0o700 })
  const clock = realClock()
  const random = realRandom()
  const log = realLog({ level: config.logLevel, format: 'text' })
  const control = await openControl(files.controlSocket(dataDir), log)
  const networkEnd = new AbortController()
  try {
    const identity = await loadIdentity(files.identityFile(dataDir))
    // The network outlives everything that speaks over it, so that leadership can be handed over at the end.
    const listen = { privateKey: identity.privateKey, listen: config.listen, mdns: config.mdns }
    const network = await openNetwork({ clock, random, log }, listen, networkEnd.signal)
    try {
      network.admit(await files.readPeers(dataDir))
      using questions = openQuestions(network)
      const peer: Peer = { clock, random, log, network, questions, control, config, say }
      const cluster = await enterCluster(peer, join, signal)
      if (cluster !== undefined) await live(peer, cluster, signal)
    } finally {
      await network.stop()
    }
  } finally {
    networkEnd.abort()
    await control.close()
  }
}

/** What can be asked only of a store that the peers keep themselves. */
const ofOwnStore = /^\/(copy|recover|rejoin|backups?|backup-schedule)$/

/** One membership after the other. */
async function live(peer: Peer, first: ClusterRecord, signal: AbortSignal): Promise<void> {
  const { config, control, log, network, clock } = peer
  const { dataDir } = config
  let record = first
  let again: Reason | undefined = record.abandoned === undefined ? undefined : { kind: 'abandoned' }
  let wish: Wish | undefined
  let phase = new AbortController()
  let isOpen = false

  function ask(kind: Wish['kind']): Promise<string> {
    if (wish !== undefined)
      throw new Error('something else was asked of this peer a moment ago: try again when it is done')
    wish = { kind, done: Promise.withResolvers<string>() }
    phase.abort()
    return wish.done.promise
  }

  using _ = control.use(async (method, path, body) => {
    if (record.datastore !== undefined && ofOwnStore.test(path)) throw new Error(externalWords)
    if (method === 'GET' && path === '/copy' && !isOpen) return await inspectCopy(dataDir, record, network.self, log)
    if (method !== 'POST' || (path !== '/recover' && path !== '/rejoin')) return undefined
    const { clusterName } = (body ?? {}) as { clusterName?: unknown }
    if (clusterName !== record.clusterName) throw new Error(`this peer belongs to ${record.clusterName}: name that one`)
    return new Told(async tell => {
      tell('stopping the store')
      return await ask(path === '/recover' ? 'recover' : 'rejoin')
    })
  })

  while (!signal.aborted) {
    phase = new AbortController()
    // Asked while the last wish was carried out.
    if (wish !== undefined) phase.abort()
    const until = AbortSignal.any([signal, phase.signal])
    let ending: Ending | { readonly kind: 'admitted' }
    if (again === undefined) {
      isOpen = true
      ending = await runMember(peer, record, until)
      isOpen = false
    } else {
      const pem = (await files.readAuthority(dataDir))?.certificatePem
      const admitted: ClusterRecord | undefined = await admittedAgain(peer, record, pem, again, until)
      ending = { kind: admitted === undefined ? 'stopped' : 'admitted' }
    }
    const asked = wish
    wish = undefined
    if (asked !== undefined && !signal.aborted) {
      try {
        const next = await carryOut(asked.kind)
        record = next.record
        again = next.again
        asked.done.resolve(next.words)
      } catch (error) {
        // What was there still is: it goes on as before.
        asked.done.reject(error)
      }
      continue
    }
    asked?.done.reject(new Error('the agent was stopped meanwhile'))
    // Its file is the word that counts: it says by now that the store has run.
    record = (await files.readCluster(dataDir)) ?? record
    switch (ending.kind) {
      case 'stopped':
        break
      case 'admitted':
        again = undefined
        break
      case 'abandoned':
        record = { ...record, abandoned: ending.by }
        // From here on the old store is barred, whatever happens next.
        await files.writeCluster(dataDir, record)
        again = { kind: 'abandoned' }
        break
      case 'damaged':
        again = { kind: 'damaged', what: ending.what }
        break
      case 'left':
        await farewell(peer, record)
        return
    }
  }

  async function carryOut(
    kind: Wish['kind'],
  ): Promise<{ readonly record: ClusterRecord; readonly again: Reason | undefined; readonly words: string }> {
    if (kind === 'rejoin')
      return { record, again: { kind: 'asked' }, words: 'this peer asks the others to be admitted again' }
    control.setState('this peer begins the cluster again from its own copy')
    const begun = await recoverHere(dataDir, record, network.self, clock.nowMs(), log)
    return { record: begun.record, again: undefined, words: `the old store is kept in ${begun.aside ?? 'no folder'}` }
  }
}

/** Which cluster this peer belongs to: the one on its disk, the one it joins now, or one that it founds. Undefined: stopped. */
async function enterCluster(
  peer: Peer,
  join: JoinWish | undefined,
  signal: AbortSignal,
): Promise<ClusterRecord | undefined> {
  const { config, say } = peer
  const known = await files.readCluster(config.dataDir)
  if (known !== undefined && join?.anew !== true) {
    const unfit = whyNotStartWith(known, config.datastore)
    if (unfit !== undefined) throw new Error(unfit)
    if (join !== undefined)
      say(`this peer belongs to ${known.clusterName} (${known.clusterId}) already: going on with it`)
    return known
  }
  const record = join === undefined ? await found(peer, signal) : await enterByToken(peer, join, signal)
  if (record !== undefined) await files.writeCluster(config.dataDir, record)
  return record
}

/** A data directory that lost its cluster.json must not become another cluster without anybody noticing. */
async function found(peer: Peer, signal: AbortSignal): Promise<ClusterRecord | undefined> {
  const { config } = peer
  const { datastore } = config
  const traces = await files.tracesOfCluster(config.dataDir)
  if (traces.length > 0 && !config.newCluster) {
    throw new Error(
      `${config.dataDir} has no cluster.json, but ${traces.join(', ')}: this peer was in a cluster and lost track of it. To come ` +
        'back to it, make a token on another peer (`flotilla token create`) and say here `flotilla join --token …`. If all of it ' +
        'is lost: `flotilla restore <file>`. To found a new cluster all the same: `flotilla up --new-cluster`',
    )
  }
  const { nodeName, clusterCidr, serviceCidr, witness } = { ...config, nodeName: config.name }
  if (witness) throw new Error('a witness cannot found a cluster: found it on another machine and join this one to it')
  if (datastore !== undefined && !(await isVacant(peer, datastore, signal))) return undefined
  const clusterId = randomUUID()
  return {
    clusterId,
    clusterName: config.clusterName ?? defaultClusterName(clusterId),
    origin: clusterId,
    past: [],
    memberId: randomUUID(),
    nodeName,
    clusterCidr,
    serviceCidr,
    store: firstStore,
    founded: true,
    ran: false,
    witness: false,
    ...(datastore !== undefined && { datastore: { prefix: datastore.prefix ?? defaultPrefix } }),
  }
}

async function enterByToken(peer: Peer, join: JoinWish, signal: AbortSignal): Promise<ClusterRecord> {
  const { config, network, say } = peer
  const { dataDir, name, witness, datastore } = config
  say(`asking to join as ${name}`)
  const reply = await joinCluster(
    peer,
    network,
    { target: join.target, token: join.token, nodeName: name, witness, externalStore: datastore !== undefined },
    signal,
  )
  const unfit = whyNotStartWith(reply, datastore)
  if (unfit !== undefined) throw new Error(unfit)
  // Left behind by another life of this machine: it must not be taken for this cluster's.
  const stale = [...(await files.storeFolders(dataDir)), 'pki', 'cluster.json']
  const aside = await files.setAside(dataDir, stale, 'before-join', peer.clock.nowMs())
  if (aside !== undefined) say(`what an earlier membership left is kept in ${aside}`)
  const peers = reply.peers.map(({ peer: one, addresses }) => ({ peer: one, addresses }))
  network.admit(peers)
  await files.writePeers(dataDir, peers)
  return recordOf(reply, name, witness, firstStore)
}
