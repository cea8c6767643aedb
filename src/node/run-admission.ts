// The cluster's side of a join: tokens as Secrets, the decision, and the command that admits. Any peer may be asked; Node and
// token are written through the API, and the leader gives the new machine its raft member.
import { addressesAnnotation, peerAnnotation } from '../api/annotations.ts'
import { ApiError } from '../api/error.ts'
import { type Node, node as nodeKind } from '../api/kinds/node.ts'
import { type Secret, secret as secretKind } from '../api/kinds/secret.ts'
import type { Client } from '../client/client.ts'
import type { Store } from '../kv/store.ts'
import { text, utf8 } from '../lib/bytes.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { ClusterRecord } from './config.ts'
import { decideJoin, type JoinQuestion } from './join.ts'
import { type JoinAnswer, type JoinPeer, serveJoin } from './run-join.ts'
import { addressesOf, peerOf } from './status.ts'
import { makeToken, type Seed, type TokenRecord } from './token.ts'

export const tokenNamespace = 'kube-system'
export const tokenType = 'flotilla.dev/join-token'
const tokenName = (id: string) => `flotilla-token-${id}`
const askLeaderMs = 20_000

export type AdmissionParts = {
  readonly world: World
  readonly client: Client
  readonly store: Store
  readonly cluster: ClusterRecord
  readonly caPem: string
  readonly caHash: string
}

export interface Admission {
  createToken(lifeMs: number, signal: AbortSignal): Promise<{ readonly token: string; readonly expires: string }>
  listTokens(signal: AbortSignal): Promise<readonly { id: string; expires: string; usesLeft?: number }[]>
  revokeToken(id: string, signal: AbortSignal): Promise<void>
}

/** Serves joins and the leader's part of them until the signal. */
export function openAdmission(parts: AdmissionParts, signal: AbortSignal): Admission & Disposable {
  const { world, client, store, cluster } = parts

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

  async function admit(question: JoinQuestion, until: AbortSignal): Promise<JoinAnswer> {
    try {
      return await decide(question, until)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return { kind: 'refused', why: 'not-ready', message: `the cluster cannot admit anybody now: ${error.message}` }
    }
  }

  async function decide(question: JoinQuestion, until: AbortSignal): Promise<JoinAnswer> {
    const { items: nodes } = await client.list(nodeKind, {}, until)
    const found = await lookup(question.tokenId, until)
    const decided = decideJoin(
      question,
      found?.record,
      {
        peerOfNode: name => {
          const node = nodes.find(one => one.metadata.name === name)
          return node === undefined ? undefined : peerOf(node)
        },
        nodeOfPeer: peer => nodes.find(one => peerOf(one) === peer)?.metadata.name,
      },
      world.clock.nowMs(),
    )
    if (decided.kind === 'refuse') return { kind: 'refused', why: decided.why, message: decided.message }
    if (!decided.again) {
      if (found !== undefined && decided.token.usesLeft !== found.record.usesLeft) {
        // A compare-and-set on the Secret: of two machines with the last use of a token, one is refused.
        await client.update(secretKind, withRecord(found.secret, decided.token), until)
      }
      await client.create(
        nodeKind,
        {
          metadata: {
            name: question.nodeName,
            annotations: { [peerAnnotation]: question.peer, [addressesAnnotation]: question.addresses.join(',') },
          },
        },
        until,
      )
    }
    const memberId = await memberFor(question.peer, decided.again, until)
    return {
      kind: 'admitted',
      grant: {
        clusterId: cluster.clusterId,
        memberId,
        caPem: parts.caPem,
        peers: peers(nodes),
        clusterCidr: cluster.clusterCidr,
        serviceCidr: cluster.serviceCidr,
      },
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

  /** The leader gives a peer its raft member; one that was here before and comes anew gets another. */
  async function memberFor(peer: PeerId, anew: boolean, until: AbortSignal): Promise<string> {
    const { leader } = store.status()
    if (leader === world.network.self) return await makeMember(peer, anew, until)
    if (leader === undefined) throw new ApiError('ServiceUnavailable', 'there is no leader at this moment')
    using deadline = world.clock.deadline(askLeaderMs, until)
    const answer = await world.network.request(leader, 'status', utf8(JSON.stringify({ peer, anew })), deadline.signal)
    const { memberId, error } = JSON.parse(text(answer)) as { memberId?: string; error?: string }
    if (memberId === undefined) throw new ApiError('ServiceUnavailable', error ?? 'the leader gave no answer')
    return memberId
  }

  async function makeMember(peer: PeerId, anew: boolean, until: AbortSignal): Promise<string> {
    const before = store.status().members.find(member => member.peer === peer)
    if (before !== undefined && anew) {
      if (before.role === 'voter') await store.changeMembership({ kind: 'demote', member: before.member }, until)
      await store.changeMembership({ kind: 'remove', member: before.member }, until)
    }
    const { member } = await store.changeMembership({ kind: 'add', peer }, until)
    return member
  }

  const serving = serveJoin(world, { lookup: async (id, until) => (await lookup(id, until))?.record, admit })
  const leading = world.network.onRequest('status', async (from, body, until) => {
    try {
      const { peer, anew } = JSON.parse(text(body)) as { peer?: unknown; anew?: unknown }
      if (typeof peer !== 'string' || typeof anew !== 'boolean') throw new Error('the question cannot be read')
      if (!store.status().members.some(member => member.peer === from)) throw new Error('only a member may ask this')
      return utf8(
        JSON.stringify({ memberId: await makeMember(peer as PeerId, anew, AbortSignal.any([until, signal])) }),
      )
    } catch (error) {
      return utf8(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }))
    }
  })

  return {
    async createToken(lifeMs, until) {
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
      })
      const draft = { metadata: { namespace: tokenNamespace, name: tokenName(record.id) }, type: tokenType }
      await client.create(secretKind, { ...draft, data: { record: encoded(record) } }, until)
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
      serving[Symbol.dispose]()
      leading[Symbol.dispose]()
    },
  }
}

function encoded(record: TokenRecord): string {
  return Buffer.from(JSON.stringify(record)).toString('base64')
}

function withRecord(secret: Secret, record: TokenRecord): Secret {
  return { ...secret, data: { ...secret.data, record: encoded(record) } }
}
