// Who may join. Pure: asked by the peer that a machine came to (node/run-join.ts), for a clear answer at once, and again by the
// leader on the newest state, whose answer counts: it creates the Node and uses up the token in one command.
import type { PeerId } from '../world/network.ts'
import type { ClusterRecord } from './config.ts'
import { whyNotJoinWith } from './datastore.ts'
import type { TokenRecord } from './token.ts'

export type JoinQuestion = {
  readonly peer: PeerId
  readonly nodeName: string
  readonly addresses: readonly string[]
  readonly tokenId: string
  readonly witness: boolean
  /** It was told of an etcd that holds the cluster's state. */
  readonly externalStore: boolean
}

export type JoinRefusal =
  | 'bad-name'
  | 'bad-addresses'
  | 'unknown-token'
  | 'wrong-token'
  | 'expired'
  | 'used-up'
  | 'name-taken'
  | 'peer-renamed'
  | 'other-store'
  | 'not-ready'
  | 'slow-down'
  | 'malformed'

export type JoinDecision =
  /** `token`: its record afterwards. */
  | {
      readonly kind: 'admit'
      /** This peer is this Node already, so nothing is created and the token not used. */
      readonly again: boolean
      /** The peer that the Node stood for until now; the token says that this one takes its place. */
      readonly instead?: PeerId
      readonly token: TokenRecord
    }
  | { readonly kind: 'refuse'; readonly why: JoinRefusal; readonly message: string }

export type Cluster = {
  readonly record: Pick<ClusterRecord, 'clusterName' | 'datastore'>
  readonly peerOfNode: (nodeName: string) => PeerId | undefined
  readonly nodeOfPeer: (peer: PeerId) => string | undefined
}

const addressCountMax = 32
const addressLengthMax = 256

/** `token` is the record that `question.tokenId` names, its proof already checked; undefined when there is none. */
export function decideJoin(
  question: JoinQuestion,
  token: TokenRecord | undefined,
  cluster: Cluster,
  nowMs: number,
): JoinDecision {
  const { peer, nodeName, addresses } = question
  if (!isNodeName(nodeName)) {
    return refuse('bad-name', `${JSON.stringify(nodeName)} is no node name: lower-case letters, digits, "-" and "."`)
  }
  if (addresses.length > addressCountMax || addresses.some(one => one.length > addressLengthMax || one[0] !== '/')) {
    return refuse('bad-addresses', `the addresses must be at most ${addressCountMax} multiaddrs`)
  }
  if (token === undefined) {
    return refuse('unknown-token', 'this cluster does not know the token: it was revoked, or is of another cluster')
  }
  const otherStore = whyNotJoinWith(cluster.record, question.externalStore)
  if (otherStore !== undefined) return refuse('other-store', otherStore)
  const holder = cluster.peerOfNode(nodeName)
  const otherName = cluster.nodeOfPeer(peer)
  // A machine whose first answer got lost asks again, perhaps after the token ran out.
  if (holder === peer) return { kind: 'admit', again: true, token }
  if (nowMs > token.expiresMs) {
    return refuse('expired', `the token expired at ${new Date(token.expiresMs).toISOString()}; make a new one`)
  }
  if (token.usesLeft !== undefined && token.usesLeft <= 0) {
    return refuse('used-up', 'the token has been used as often as it may be; make a new one')
  }
  const isReplacement = holder !== undefined && token.replaces === nodeName
  // First come, first served, until an administrator says otherwise: a name decides which pods and Secrets one gets.
  if (holder !== undefined && !isReplacement) {
    return refuse(
      'name-taken',
      `the node name ${nodeName} belongs to the peer ${holder}. If that machine lost its key, make a token for its return: ` +
        `flotilla token create --replaces ${nodeName}. If it is another machine, choose another --name`,
    )
  }
  if (token.replaces !== undefined && token.replaces !== nodeName) {
    return refuse(
      'bad-name',
      `this token is for the return of ${token.replaces} alone: join with --name ${token.replaces}`,
    )
  }
  if (otherName !== undefined) {
    return refuse('peer-renamed', `this machine is already the node ${otherName}; delete that Node first to rename it`)
  }
  const { usesLeft } = token
  return {
    kind: 'admit',
    again: false,
    ...(isReplacement && { instead: holder }),
    token: usesLeft === undefined ? token : { ...token, usesLeft: usesLeft - 1 },
  }
}

/** A DNS subdomain (RFC 1123), as Kubernetes wants of node names. */
export function isNodeName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name)
}

function refuse(why: JoinRefusal, message: string): JoinDecision {
  return { kind: 'refuse', why, message }
}
