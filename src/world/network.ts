// The mesh between peers. The real one is drivers/network/libp2p.ts; the simulated one loses, delays, doubles and cuts.
// Every peer is proved to be who its PeerId says before a byte of a protocol is read. The driver enforces size limits,
// time-outs and the admission gate; what a protocol may ask for is checked again by its handler.

import { assert } from '../lib/assert.ts'
import type { Bytes } from '../lib/bytes.ts'

declare const brand: unique symbol
/** The libp2p peer ID in its text form (base58btc), the only name a machine has. */
export type PeerId = string & { readonly [brand]: 'PeerId' }
export function peerId(text: string): PeerId {
  assert(text.length > 0, 'peer id is empty')
  return text as PeerId
}

/** A protocol name without prefix and version: the driver speaks `/flotilla/<name>/1/<send, ask or open>`. */
export type Protocol = 'raft' | 'snapshot' | 'store' | 'api' | 'kubelet' | 'join' | 'status' | 'tunnel'

/** Why a peer could not be asked. `refused`: it, or our own gate, does not let us; `failed`: its handler threw. */
export class MeshError extends Error {
  override readonly name = 'MeshError'
  readonly reason: 'unreachable' | 'wrong-peer' | 'refused' | 'failed' | 'too-large' | 'broken' | 'aborted' | 'stopped'
  constructor(reason: MeshError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** Bytes both ways between two peers. Reading pulls; writing waits for room. Either end may half-close. */
export interface MeshStream {
  readonly remote: PeerId
  /** Ends when the other side closed its writing half; throws when the stream broke. */
  read(): AsyncIterable<Bytes>
  /** Resolves when there is room for more. Rejects when the stream broke. The bytes must not be changed afterwards. */
  write(bytes: Bytes): Promise<void>
  /** Ends our writing half; reading goes on. */
  closeWrite(): Promise<void>
  /** Ends both halves at once. Idempotent. */
  abort(): void
}

export interface Network {
  readonly self: PeerId
  /**
   * Fire and forget on one long-lived stream per peer and protocol, batched per event-loop turn. A message may be
   * lost, and may come late; those that come, come in order within one connection. Never throws.
   */
  send(to: PeerId, protocol: Protocol, message: Bytes): void
  /** Messages of `send` from admitted peers. One handler per protocol. Disposing ends it. */
  onMessage(protocol: Protocol, handler: (from: PeerId, message: Bytes) => void): Disposable
  /** One question, one answer. Rejects when the peer cannot be reached, refuses, or the signal aborts. */
  request(to: PeerId, protocol: Protocol, body: Bytes, signal: AbortSignal): Promise<Bytes>
  onRequest(protocol: Protocol, handler: (from: PeerId, body: Bytes, signal: AbortSignal) => Promise<Bytes>): Disposable
  /** A stream of bytes, for exec, logs, watches, snapshots. */
  open(to: PeerId, protocol: Protocol, signal: AbortSignal): Promise<MeshStream>
  onStream(protocol: Protocol, handler: (stream: MeshStream, signal: AbortSignal) => Promise<void>): Disposable
  /** Gossip to all admitted peers that listen; carries no authority. Best effort. */
  publish(topic: string, message: Bytes): void
  onGossip(topic: string, handler: (from: PeerId, message: Bytes) => void): Disposable
  /** The peers that a connection stands to at this moment. */
  connected(): readonly PeerId[]
  /** Called on each connect and disconnect, after `connected()` has changed. A hint: read `connected()`. */
  onConnectionChange(handler: (peer: PeerId, connected: boolean) => void): Disposable
  /** Who may connect and the addresses to try; the gate follows it at once, and connections to others are closed. */
  admit(peers: readonly AdmittedPeer[]): void
}

export type AdmittedPeer = { readonly peer: PeerId; readonly addresses: readonly string[] }
