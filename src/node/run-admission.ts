// The cluster's side of a join: tokens as Secrets, the decision, and the command that admits. Any peer may be asked; Node and
// token are written through the API, and the new machine gets a member ID (run-seats.ts). A peer that is a Node already and
// lost its store is admitted again without a token: its key proves who it is. It gets another member, never the old one back.
import { addressesAnnotation, peerAnnotation, witnessAnnotation } from '../api/annotations.ts'
import { ApiError } from '../api/error.ts'
import { type Node, node as nodeKind } from '../api/kinds/node.ts'
import { type Secret, secret as secretKind } from '../api/kinds/secret.ts'
import type { Draft } from '../api/schema.ts'
import type { Client } from '../client/client.ts'
import { type Store, StoreError } from '../kv/store.ts'
import { MeshError, type PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { ClusterRecord } from './config.ts'
import { decideJoin, type JoinQuestion } from './join.ts'
import { type JoinAnswer, type JoinGrant, type JoinPeer, serveJoin } from './run-join.ts'
import { QuestionError, type Questions } from './run-questions.ts'
import type { Seats } from './run-seats.ts'
import { addressesOf, isWitness, peerOf } from './status.ts'
import { makeToken, type Seed, type TokenRecord } from './token.ts'

export const tokenNamespace = 'kube-system'
const namespaceWaitMs = 100
export const tokenType = 'flotilla.dev/join-token'
const tokenName = (id: string) => `flotilla-token-${id}`

export type AdmissionParts = {
  readonly world: World
  readonly client: Client
  readonly store: Pick<Store, 'status'>
  readonly cluster: ClusterRecord
  readonly questions: Questions
  readonly seats: Seats
  readonly caPem: string
  readonly caHash: string
}

/** What a peer is told that asks to be admitted again. */
export type RejoinAnswer =
  | { readonly kind: 'admitted'; readonly nodeName: string; readonly grant: JoinGrant }
  | { readonly kind: 'refused'; readonly why: 'no-node' | 'not-ready'; readonly message: string }

export interface Admission {
  /** With `replaces`, good once, for a machine that takes over this Node. */
  createToken(
    lifeMs: number,
    replaces: string | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly token: string; readonly expires: string }>
  listTokens(signal: AbortSignal): Promise<readonly { id: string; expires: string; usesLeft?: number }[]>
  revokeToken(id: string, signal: AbortSignal): Promise<void>
}

/** Serves joins until it is disposed. */
export function openAdmission(parts: AdmissionParts): Admission & Disposable {
  const { world, client, store, cluster, questions, seats } = parts

  async function lookup(id: string, until: AbortSignal): Promise<{ record: TokenRecord; secret: Secret } | undefined> {
    try {
      const secret = await client.get(secretKind, { namespace: tokenNamespace, name: tokenName(id) }, until)
      const encoded = secret.data?.['record']
      return encoded === undefined || secret.type !== tokenType
        ? undefined
        : { record: JSON.parse(Buffer.from(encoded, 'base64').toString('utf8')) as TokenRecord, secret }
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'NotFound') return undefined
      throw error
    }
  }

  /** The namespace is made by the first leader in its first moment, which may still be to come. */
  async function keep(secret: Draft<Secret>, until: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await client.create(secretKind, secret, until)
        return
      } catch (error) {
        if (!(error instanceof ApiError) || error.reason !== 'NotFound' || until.aborted) throw error
        await world.clock.sleep(namespaceWaitMs, until)
      }
    }
  }

  async function admit(question: JoinQuestion, until: AbortSignal): Promise<JoinAnswer> {
    try {
      return await decide(question, until)
    } catch (error) {
      return { kind: 'refused', why: 'not-ready', message: notNow(error) }
    }
  }

  async function admitAgain(peer: PeerId, until: AbortSignal): Promise<RejoinAnswer> {
    try {
      const { items: nodes } = await client.list(nodeKind, {}, until)
      const node = nodes.find(one => peerOf(one) === peer)
      if (node === undefined) {
        const message =
          'no Node stands for this peer any more: it was removed. Stop it, and let it join with a token: flotilla join --anew --token …'
        return { kind: 'refused', why: 'no-node', message }
      }
      const memberId = await seats.give(peer, { anew: true, witness: isWitness(node) }, until)
      world.log.info('a peer is admitted again, as a new member', { peer, node: node.metadata.name })
      return { kind: 'admitted', nodeName: node.metadata.name, grant: grantOf(memberId, nodes) }
    } catch (error) {
      return { kind: 'refused', why: 'not-ready', message: notNow(error) }
    }
  }

  async function decide(question: JoinQuestion, until: AbortSignal): Promise<JoinAnswer> {
    const { items: nodes } = await client.list(nodeKind, {}, until)
    const found = await lookup(question.tokenId, until)
    const decided = decideJoin(
      question,
      found?.record,
      {
        record: cluster,
        peerOfNode: name => {
          const node = nodes.find(one => one.metadata.name === name)
          return node === undefined ? undefined : peerOf(node)
        },
        nodeOfPeer: peer => nodes.find(one => peerOf(one) === peer)?.metadata.name,
      },
      world.clock.nowMs(),
    )
    if (decided.kind === 'refuse') return { kind: 'refused', why: decided.why, message: decided.message }
    const { instead } = decided
    if (instead !== undefined && world.network.connected().includes(instead)) {
      const message = `${question.nodeName} is there, as the peer ${instead}: it can be replaced when it is gone`
      return { kind: 'refused', why: 'name-taken', message }
    }
    if (!decided.again) {
      if (found !== undefined && decided.token.usesLeft !== found.record.usesLeft) {
        // A compare-and-set on the Secret: of two machines with the last use of a token, one is refused.
        await client.update(secretKind, withRecord(found.secret, decided.token), until)
      }
      if (instead === undefined) await createNode(question, until)
      else await takeOver(nodes, question, until)
    }
    // The members of a peer that does not come back under its key are taken out.
    if (instead !== undefined) await seats.take(instead, until)
    const memberId = await seats.give(question.peer, { anew: decided.again, witness: question.witness }, until)
    return { kind: 'admitted', grant: grantOf(memberId, nodes) }
  }

  async function createNode(question: JoinQuestion, until: AbortSignal): Promise<void> {
    await client.create(
      nodeKind,
      { metadata: { name: question.nodeName, annotations: annotationsOf(question) } },
      until,
    )
  }

  /** The Node stays, with its pods; another peer stands behind it. A compare-and-set, should two come for it. */
  async function takeOver(nodes: readonly Node[], question: JoinQuestion, until: AbortSignal): Promise<void> {
    const node = nodes.find(one => one.metadata.name === question.nodeName)
    if (node === undefined) throw new ApiError('Conflict', `the Node ${question.nodeName} is gone`)
    const annotations = { ...node.metadata.annotations, ...annotationsOf(question) }
    await client.update(nodeKind, { ...node, metadata: { ...node.metadata, annotations } }, until)
    world.log.warn('another machine takes over a Node', { node: question.nodeName, peer: question.peer })
  }

  function grantOf(memberId: string, nodes: readonly Node[]): JoinGrant {
    const { clusterId, clusterName, origin, past, clusterCidr, serviceCidr, datastore } = cluster
    const { caPem } = parts
    return {
      ...{ clusterId, memberId, caPem, peers: peers(nodes), clusterCidr, serviceCidr, clusterName, origin, past },
      ...(datastore !== undefined && { datastore }),
    }
  }

  function peers(nodes: readonly Node[]): JoinPeer[] {
    const members = store.status().members
    return nodes.flatMap(node => {
      const peer = peerOf(node)
      if (peer === undefined) return []
      return [{ peer, addresses: addressesOf(node), control: members.some(member => member.peer === peer) }]
    })
  }

  const handlers = [
    serveJoin(world, { lookup: async (id, until) => (await lookup(id, until))?.record, admit }),
    questions.on('rejoin', (from, _, until) => admitAgain(from, until)),
  ]

  return {
    async createToken(lifeMs, replaces, until) {
      const { items: nodes } = await client.list(nodeKind, {}, until)
      const seeds: readonly Seed[] = nodes.flatMap(node => {
        const peer = peerOf(node)
        return peer === undefined ? [] : [{ peer, addresses: addressesOf(node) }]
      })
      const nowMs = world.clock.nowMs()
      const { text: token, record } = makeToken(count => world.random.bytes(count), {
        caHash: parts.caHash,
        seeds: seeds.slice(0, 8),
        role: 'control',
        nowMs,
        lifeMs,
        ...(replaces !== undefined && { replaces, uses: 1 }),
      })
      const draft = { metadata: { namespace: tokenNamespace, name: tokenName(record.id) }, type: tokenType }
      await keep({ ...draft, data: { record: encoded(record) } }, until)
      return { token, expires: new Date(record.expiresMs).toISOString() }
    },
    async listTokens(until) {
      const { items } = await client.list(secretKind, { namespace: tokenNamespace }, until)
      const nowMs = world.clock.nowMs()
      return items
        .filter(secret => secret.type === tokenType)
        .map(secret => JSON.parse(Buffer.from(secret.data?.['record'] ?? '', 'base64').toString('utf8')) as TokenRecord)
        .filter(record => record.expiresMs > nowMs)
        .map(record => ({
          id: record.id,
          expires: new Date(record.expiresMs).toISOString(),
          ...(record.usesLeft !== undefined && { usesLeft: record.usesLeft }),
        }))
    },
    async revokeToken(id, until) {
      await client.delete(secretKind, { namespace: tokenNamespace, name: tokenName(id) }, {}, until)
    },
    [Symbol.dispose]() {
      for (const handler of handlers) handler[Symbol.dispose]()
    },
  }
}

/** What passes: no quorum, a change of membership under way, a peer out of reach. Anything else is thrown on. */
function notNow(error: unknown): string {
  const passes =
    error instanceof ApiError ||
    error instanceof StoreError ||
    error instanceof QuestionError ||
    error instanceof MeshError
  if (!passes) throw error
  return `the cluster cannot admit anybody now: ${error.message}`
}

function annotationsOf({ peer, addresses, witness }: JoinQuestion): Record<string, string> {
  return {
    [peerAnnotation]: peer,
    [addressesAnnotation]: addresses.join(','),
    ...(witness && { [witnessAnnotation]: 'true' }),
  }
}

function encoded(record: TokenRecord): string {
  return Buffer.from(JSON.stringify(record)).toString('base64')
}

function withRecord(secret: Secret, record: TokenRecord): Secret {
  return { ...secret, data: { ...secret.data, record: encoded(record) } }
}
