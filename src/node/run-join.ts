// The join protocol on the mesh: the peer that is asked, and the machine that asks. See proto/flotilla/v1/join.proto.
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { parsePeerId } from '../drivers/identity.ts'
import type { MeshNetwork } from '../drivers/network/libp2p.ts'
import { certificateHash } from '../drivers/pki.ts'
import { onAbort } from '../lib/abort.ts'
import type { Bytes } from '../lib/bytes.ts'
import {
  JoinGrantSchema,
  type JoinProof,
  type JoinRequest,
  JoinRequestSchema,
  type JoinResponse,
  JoinResponseSchema,
} from '../wire/gen/flotilla/v1/join_pb.ts'
import { type AdmittedPeer, MeshError, type Network, type PeerId, peerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { JoinQuestion, JoinRefusal } from './join.ts'
import {
  parseToken,
  proveToken,
  signGrant,
  type Token,
  type TokenRecord,
  type Transcript,
  verifyGrant,
  verifyProof,
} from './token.ts'

export type JoinPeer = AdmittedPeer & { readonly control: boolean }

/** What a new member needs to know of its cluster. */
export type JoinGrant = {
  readonly clusterId: string
  readonly memberId: string
  readonly caPem: string
  readonly peers: readonly JoinPeer[]
  readonly clusterCidr: string
  readonly serviceCidr: string
  readonly clusterName: string
  readonly origin: string
  readonly past: readonly string[]
  /** Of an external etcd that holds the cluster's state. */
  readonly datastore?: { readonly prefix: string }
}

export type JoinAnswer =
  | { readonly kind: 'admitted'; readonly grant: JoinGrant }
  | { readonly kind: 'refused'; readonly why: JoinRefusal; readonly message: string }

export type JoinServer = {
  /** The record of a token, from the replica or a control peer. */
  readonly lookup: (tokenId: string, signal: AbortSignal) => Promise<TokenRecord | undefined>
  /** Asks the leader: decideJoin on the newest state, then the command. The proof has been checked here. */
  readonly admit: (question: JoinQuestion, signal: AbortSignal) => Promise<JoinAnswer>
}

const nonceBytes = 32
const challengeMs = 30_000
/** Wrong proofs per peer and minute; the secret has 160 bits, this only keeps the log and the CPU quiet. */
const failureCountMax = 5
const peerCountMax = 256
const minuteMs = 60_000

/** Answers machines that ask to join, until disposed. */
export function serveJoin(
  world: Pick<World, 'clock' | 'random' | 'log'> & { readonly network: Network },
  server: JoinServer,
): Disposable {
  const { clock, random, network } = world
  const log = world.log.with({ component: 'join' })
  const challenges = new Map<PeerId, { tokenId: string; nonce: Bytes; challenge: Bytes; untilMs: number }>()
  const failures = new Map<PeerId, { count: number; sinceMs: number }>()

  async function answer(from: PeerId, request: JoinRequest, signal: AbortSignal): Promise<ResponseInit> {
    const nowMs = clock.monotonicMs()
    const failed = failures.get(from)
    if (failed !== undefined && nowMs - failed.sinceMs > minuteMs) failures.delete(from)
    else if (failed !== undefined && failed.count >= failureCountMax) {
      return refused('slow-down', 'too many wrong proofs; try again in a minute')
    }
    switch (request.ask.case) {
      case 'hello': {
        const { tokenId, nonce } = request.ask.value
        if (nonce.length !== nonceBytes) return refused('malformed', 'the nonce has the wrong length')
        const challenge = random.bytes(nonceBytes)
        makeRoom(challenges)
        challenges.set(from, { tokenId, nonce, challenge, untilMs: nowMs + challengeMs })
        return { answer: { case: 'challenge', value: { challenge } } }
      }
      case 'proof':
        return await check(from, request.ask.value, signal)
      case undefined:
        return refused('malformed', 'the question is empty')
    }
  }

  async function check(from: PeerId, asked: JoinProof, signal: AbortSignal): Promise<ResponseInit> {
    const given = challenges.get(from)
    challenges.delete(from) // good for one attempt
    if (given === undefined || clock.monotonicMs() > given.untilMs || given.tokenId !== asked.tokenId) {
      return refused('malformed', 'there is no open challenge for this proof')
    }
    const { tokenId, nonce, challenge } = given
    const { nodeName, addresses, proof, witness, externalStore } = asked
    const named = { nodeName, addresses, witness }
    const transcript: Transcript = { joiner: from, asked: network.self, tokenId, nonce, challenge, ...named }
    const record = await server.lookup(tokenId, signal)
    if (record === undefined) {
      return refused('unknown-token', 'this cluster does not know the token: it was revoked, or is of another cluster')
    }
    if (!verifyProof(record, transcript, proof)) {
      const failed = failures.get(from) ?? { count: 0, sinceMs: clock.monotonicMs() }
      makeRoom(failures)
      failures.set(from, { ...failed, count: failed.count + 1 })
      log.warn('a machine asked to join with a wrong token', { peer: from, token: tokenId })
      return refused('wrong-token', 'the token is wrong')
    }
    const decided = await server.admit({ peer: from, tokenId, externalStore, ...named }, signal)
    if (decided.kind === 'refused') {
      log.warn('a machine was not admitted', { peer: from, node: nodeName, why: decided.why })
      return refused(decided.why, decided.message)
    }
    const grant = encodeGrant(decided.grant)
    log.info('a machine joined', { peer: from, node: nodeName })
    return { answer: { case: 'admitted', value: { grant, signature: signGrant(record, transcript, grant) } } }
  }

  return network.onRequest('join', async (from, body, signal) => {
    let request: JoinRequest
    try {
      request = fromBinary(JoinRequestSchema, body)
    } catch {
      return encodeResponse(refused('malformed', 'the question cannot be read; is it another version?'))
    }
    return encodeResponse(await answer(from, request, signal))
  })
}

export class JoinError extends Error {
  override readonly name = 'JoinError'
  readonly reason:
    | JoinRefusal
    | 'bad-token'
    | 'bad-target'
    | 'peer-not-found'
    | 'unreachable'
    | 'wrong-peer'
    | 'other-cluster'
    | 'no-answer'
  constructor(reason: JoinError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export type JoinReply = JoinGrant & {
  /** The peer that answered; in `peers` too, with the address that worked first. */
  readonly via: PeerId
}

export type JoinWish = {
  /** A peer ID, a multiaddr or host:port. Undefined: the peers that the token names, then whoever mDNS finds. */
  readonly target: string | undefined
  readonly token: string
  readonly nodeName: string
  readonly witness?: boolean
  /** This machine was told of an etcd that holds the cluster's state. */
  readonly externalStore?: boolean
  /** Default: all that the network listens on. */
  readonly addresses?: readonly string[]
  /** How long mDNS may look for a peer without a known address. Default 15 s. */
  readonly discoverMs?: number
}

const dialMs = 8_000
const askMs = 10_000
/** The leader may be electing; the command must commit. */
const admitMs = 40_000
const notReadyMs = 30_000
const askAgainMs = 1_000

/**
 * Asks to join. On success the network is still connected to the answering peer: `admit` the peers of the reply. Rejects with
 * JoinError, whose message can be shown as it is.
 */
export async function joinCluster(
  world: Pick<World, 'clock' | 'random' | 'log'>,
  network: MeshNetwork,
  wish: JoinWish,
  signal: AbortSignal,
): Promise<JoinReply> {
  const parsed = parseToken(wish.token)
  if (parsed.kind === 'bad') {
    throw new JoinError(
      'bad-token',
      {
        'not-a-token': 'this is not a join token: it should begin with "flotilla1."',
        'other-version': 'this token is of another version of flotilla than this program',
        damaged: 'this token is incomplete or mistyped: copy all of it, in one piece',
      }[parsed.why],
    )
  }
  const { token } = parsed
  let first: JoinError | undefined
  let tried = 0
  for await (const { address, proved } of candidates(world, network, token, wish, signal)) {
    tried++
    try {
      return await askPatiently(world, network, address, token, wish, signal)
    } catch (error) {
      if (signal.aborted || !(error instanceof JoinError)) throw error
      // Somebody on the network who was only discovered cannot end the search by refusing; who was named can.
      const final = proved && !['unreachable', 'wrong-peer', 'no-answer', 'not-ready'].includes(error.reason)
      if (final) throw error
      if (first === undefined || (first.reason === 'unreachable' && error.reason !== 'unreachable')) first = error
      world.log.debug('could not join there', { address, error: error.message })
    }
  }
  if (first !== undefined && tried === 1) throw first
  if (first !== undefined) throw new JoinError(first.reason, `none of ${tried} addresses let us join: ${first.message}`)
  throw new JoinError(
    'peer-not-found',
    `no peer of the cluster was found${wish.target === undefined ? '' : ` under ${wish.target}`}: none is known by address, ` +
      'and none answered on the local network. Give an address: flotilla join /ip4/<address>/tcp/<port>/p2p/<peer ID>',
  )
}

type Candidate = { readonly address: string; readonly proved: boolean }

/** Where to ask, best first, each address once. */
async function* candidates(
  { clock }: Pick<World, 'clock'>,
  network: MeshNetwork,
  token: Token,
  wish: JoinWish,
  signal: AbortSignal,
): AsyncGenerator<Candidate> {
  const tried = new Set<string>()
  const fresh = (peer: PeerId, addresses: readonly string[]): string[] =>
    addresses
      .map(address => (address.includes('/p2p/') ? address : `${address}/p2p/${peer}`))
      .filter(address => peer !== network.self && !tried.has(address) && tried.add(address))
  const { target } = wish
  const named = target === undefined ? undefined : parsePeerId(target)
  if (target !== undefined && named === undefined) {
    yield { address: addressOf(target), proved: true }
    return
  }
  for (const { peer, addresses } of token.seeds) {
    if (named !== undefined && peer !== named) continue
    for (const address of fresh(peer, addresses)) yield { address, proved: true }
  }
  // mDNS: hints come in while we wait.
  using deadline = clock.deadline(wish.discoverMs ?? 15_000, signal)
  let news = Promise.withResolvers<void>()
  using _discovered = network.onDiscovered(() => news.resolve())
  using _late = onAbort(deadline.signal, () => news.resolve())
  while (true) {
    const isSeed = (peer: PeerId) => peer === named || token.seeds.some(seed => seed.peer === peer)
    const found = [...network.discovered()]
      .filter(([peer]) => named === undefined || peer === named)
      .sort(([a], [b]) => Number(isSeed(b)) - Number(isSeed(a)))
    for (const [peer, addresses] of found) {
      for (const address of fresh(peer, addresses)) yield { address, proved: isSeed(peer) }
    }
    if (deadline.signal.aborted) return
    await news.promise
    if (deadline.signal.aborted) return
    news = Promise.withResolvers<void>()
  }
}

/** A multiaddr, or host:port as people write it. */
function addressOf(target: string): string {
  if (target.startsWith('/')) return target
  const found = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s/]+)):([0-9]{1,5})$/.exec(target)
  if (found === null) {
    throw new JoinError('bad-target', `${target} is neither a peer ID, a multiaddr, nor host:port`)
  }
  const [, six, host = '', port] = found
  if (six !== undefined) return `/ip6/${six}/tcp/${port}`
  return /^[0-9.]+$/.test(host) ? `/ip4/${host}/tcp/${port}` : `/dns/${host}/tcp/${port}`
}

/** A cluster that is there but cannot decide at this moment (an election, another machine that joins) is asked again. */
async function askPatiently(...[world, network, address, token, wish, signal]: Parameters<typeof askAt>) {
  const startedMs = world.clock.monotonicMs()
  for (;;) {
    try {
      return await askAt(world, network, address, token, wish, signal)
    } catch (error) {
      const passes = error instanceof JoinError && error.reason === 'not-ready'
      if (!passes || signal.aborted || world.clock.monotonicMs() - startedMs > notReadyMs) throw error
      world.log.info('the cluster cannot admit anybody now, asking again', { why: error.message })
      await world.clock.sleep(askAgainMs, signal)
    }
  }
}

async function askAt(
  { clock, random }: Pick<World, 'clock' | 'random' | 'log'>,
  network: MeshNetwork,
  address: string,
  token: Token,
  wish: JoinWish,
  signal: AbortSignal,
): Promise<JoinReply> {
  let asked: PeerId
  {
    using deadline = clock.deadline(dialMs, signal)
    try {
      asked = await network.dial(address, deadline.signal)
    } catch (error) {
      throw joinErrorOf(error, address)
    }
  }
  try {
    const nonce = random.bytes(nonceBytes)
    const hello = await ask(
      clock,
      network,
      asked,
      { ask: { case: 'hello', value: { tokenId: token.id, nonce } } },
      askMs,
      signal,
    )
    if (hello.answer.case !== 'challenge') throw unexpected(asked, hello)
    const { challenge } = hello.answer.value
    if (challenge.length !== nonceBytes) throw new JoinError('no-answer', `${asked} gave a malformed challenge`)
    const { nodeName, witness = false, externalStore = false } = wish
    const addresses = [...(wish.addresses ?? network.addresses())]
    const transcript: Transcript = {
      joiner: network.self,
      asked,
      tokenId: token.id,
      nonce,
      challenge,
      nodeName,
      addresses,
      witness,
    }
    const proof = proveToken(token, transcript)
    const value = { tokenId: token.id, nonce, challenge, nodeName, addresses, witness, externalStore, proof }
    const answer = await ask(clock, network, asked, { ask: { case: 'proof', value } }, admitMs, signal)
    if (answer.answer.case !== 'admitted') throw unexpected(asked, answer)
    const { grant, signature } = answer.answer.value
    if (!verifyGrant(token, transcript, grant, signature)) {
      throw new JoinError(
        'other-cluster',
        `${asked} could not prove that it belongs to the cluster that made the token`,
      )
    }
    const read = decodeGrant(grant)
    if (read === undefined || certificateHash(read.caPem) !== token.caHash) {
      throw new JoinError('other-cluster', `${asked} showed another certificate authority than the token names`)
    }
    const bare = address.includes('/p2p/') ? address : `${address}/p2p/${asked}`
    const rest = read.peers.find(({ peer }) => peer === asked)
    const via: JoinPeer = {
      peer: asked,
      addresses: [...new Set([bare, ...(rest?.addresses ?? [])])],
      control: rest?.control ?? false,
    }
    return { ...read, peers: [via, ...read.peers.filter(({ peer }) => peer !== asked)], via: asked }
  } catch (error) {
    network.hangUp(asked)
    throw joinErrorOf(error, address)
  }
}

async function ask(
  clock: World['clock'],
  network: MeshNetwork,
  peer: PeerId,
  request: MessageInitShape<typeof JoinRequestSchema>,
  ms: number,
  signal: AbortSignal,
): Promise<JoinResponse> {
  using deadline = clock.deadline(ms, signal)
  const body = toBinary(JoinRequestSchema, create(JoinRequestSchema, request))
  const answer = await network.request(peer, 'join', body, deadline.signal)
  try {
    return fromBinary(JoinResponseSchema, answer)
  } catch (error) {
    throw new JoinError('no-answer', `${peer} gave an answer that cannot be read`, { cause: error })
  }
}

function unexpected(peer: PeerId, { answer }: JoinResponse): JoinError {
  if (answer.case !== 'refused') return new JoinError('no-answer', `${peer} gave no proper answer`)
  const reason = refusals.find(one => one === answer.value.reason)
  const words = answer.value.message.slice(0, 512)
  return new JoinError(reason ?? 'no-answer', `${peer} does not let this machine join: ${words}`)
}

const refusals: readonly JoinRefusal[] = [
  'bad-name',
  'bad-addresses',
  'unknown-token',
  'wrong-token',
  'expired',
  'used-up',
  'name-taken',
  'peer-renamed',
  'other-store',
  'not-ready',
  'slow-down',
  'malformed',
]

function joinErrorOf(error: unknown, address: string): unknown {
  if (!(error instanceof MeshError)) return error
  switch (error.reason) {
    case 'wrong-peer':
      return new JoinError(
        'wrong-peer',
        `another machine than the one named answered at ${address}: its address was given to somebody else, or somebody is ` +
          'in between. Nothing was told to it.',
        { cause: error },
      )
    case 'unreachable':
      return new JoinError('unreachable', `${error.message}. Is it running, and is its port open?`, { cause: error })
    case 'aborted':
      return new JoinError('unreachable', `no answer in time from ${address}`, { cause: error })
    case 'refused':
    case 'failed':
    case 'too-large':
    case 'broken':
    case 'stopped':
      return new JoinError('no-answer', `${address} did not answer: ${error.message}`, { cause: error })
  }
}

type ResponseInit = MessageInitShape<typeof JoinResponseSchema>

function refused(reason: JoinRefusal, message: string): ResponseInit {
  return { answer: { case: 'refused', value: { reason, message } } }
}

function encodeResponse(response: ResponseInit): Bytes {
  return toBinary(JoinResponseSchema, create(JoinResponseSchema, response))
}

export function encodeGrant(grant: JoinGrant): Bytes {
  const peers = grant.peers.map(({ peer, addresses, control }) => ({ peer, addresses: [...addresses], control }))
  const { datastore, past, ...rest } = grant
  const datastorePrefix = datastore?.prefix ?? ''
  return toBinary(JoinGrantSchema, create(JoinGrantSchema, { ...rest, peers, past: [...past], datastorePrefix }))
}

/** Total; undefined when the bytes are no grant. */
export function decodeGrant(bytes: Bytes): JoinGrant | undefined {
  try {
    const read = fromBinary(JoinGrantSchema, bytes)
    const { clusterId, memberId, caPem, peers, clusterCidr, serviceCidr, clusterName, origin, past, datastorePrefix } =
      read
    if ([clusterId, memberId, caPem, clusterName, origin].includes('')) return undefined
    const named = peers.filter(({ peer }) => peer !== '')
    return {
      clusterId,
      memberId,
      caPem,
      peers: named.map(({ peer, addresses, control }) => ({ peer: peerId(peer), addresses, control })),
      clusterCidr,
      serviceCidr,
      clusterName,
      origin,
      past,
      ...(datastorePrefix !== '' && { datastore: { prefix: datastorePrefix } }),
    }
  } catch {
    // Not a grant of this version.
    return undefined
  }
}

function makeRoom<V>(map: Map<PeerId, V>): void {
  const oldest = map.keys().next()
  if (map.size >= peerCountMax && oldest.done !== true) map.delete(oldest.value)
}
