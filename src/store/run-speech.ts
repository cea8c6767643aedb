// How members reach each other: which peer each one is, what leaves for whom, and which of what comes in is for us.
// Nothing here is trusted further than the network proved: a member that the log knows is heard from its own peer only.
import type { Bytes } from '../lib/bytes.ts'
import type { Entry, MemberId, Message } from '../raft/types.ts'
import type { Log } from '../world/log.ts'
import type { Network, PeerId } from '../world/network.ts'
import type { Settings } from './config.ts'
import { decodePeers, type Peers } from './members.ts'
import { decodeEnvelope, encodeEnvelope } from './message.ts'

const spokenCountMax = 64

export type Listener = {
  message(from: MemberId, message: Message): void
  /** The connection to this member's peer is gone. */
  lost(member: MemberId): void
  /** This member has nothing, not even a membership. */
  isBlank(): boolean
  /** More would only wait: it is dropped, as a network may. */
  isFull(): boolean
}

export interface Speech {
  /** Grows only: a member on its way out is still answered. */
  readonly peers: Peers
  peerOf(member: MemberId | undefined): PeerId | undefined
  know(member: MemberId, peer: PeerId): void
  /** The peers that a membership entry names. */
  learn(entry: Entry): void
  send(messages: readonly { readonly to: MemberId; readonly message: Message }[]): void
  listen(listener: Listener): Disposable
}

export function createSpeech(network: Network, settings: Settings, known: Peers, log: Log): Speech {
  const { clusterId: cluster, member: self, mayRaft } = settings
  const peers = new Map<MemberId, PeerId>(known)
  /** Who spoke to us before the log told who they are, as to a fresh learner. */
  const spoken = new Map<MemberId, PeerId>()
  const peerOf = (member: MemberId | undefined) =>
    member === undefined ? undefined : (peers.get(member) ?? spoken.get(member))

  function onMessage(listener: Listener, peer: PeerId, bytes: Bytes): void {
    if (!mayRaft(peer)) return
    const envelope = decodeEnvelope(bytes)
    if (envelope === undefined) {
      log.warn('dropped a message that does not decode', { from: peer, bytes: bytes.length })
      return
    }
    const { from, to, message } = envelope
    const its = peers.get(from)
    if (envelope.cluster !== cluster || to !== self || (its ?? peer) !== peer) {
      log.debug('dropped a message for another member', { from: peer, cluster: envelope.cluster, to })
      return
    }
    // One that has nothing has no say in who leads: its disk may have been cleared, and its promises with it.
    const isVote = message.kind === 'vote' || message.kind === 'preVote'
    if ((isVote && listener.isBlank()) || listener.isFull()) return
    if (its === undefined) {
      if (spoken.size >= spokenCountMax) spoken.clear()
      spoken.set(from, peer)
    }
    listener.message(from, message)
  }

  return {
    peers,
    peerOf,
    know: (member, peer) => void peers.set(member, peer),
    learn(entry) {
      if (entry.kind !== 'membership') return
      for (const [member, peer] of decodePeers(entry.context)) peers.set(member, peer)
    },
    send(messages) {
      for (const { to, message } of messages) {
        const peer = peerOf(to)
        if (peer !== undefined) network.send(peer, 'raft', encodeEnvelope({ cluster, from: self, to, message }))
      }
    },
    listen(listener) {
      const handlers = [
        network.onMessage('raft', (peer, bytes) => onMessage(listener, peer, bytes)),
        network.onConnectionChange((peer, isConnected) => {
          if (isConnected) return
          for (const [member, its] of peers) if (its === peer && member !== self) listener.lost(member)
        }),
      ]
      return {
        [Symbol.dispose]() {
          for (const handler of handlers) handler[Symbol.dispose]()
        },
      }
    },
  }
}
