// What a store is told when it opens, and what it assumes where it is told nothing.
import type { MemberId, RaftConfig } from '../raft/types.ts'
import type { PeerId } from '../world/network.ts'
import { segmentBytes, zeroBytesAhead } from './log.ts'

export type StoreConfig = {
  readonly clusterId: string
  /** Fresh for each admission; the disk must belong to this member. */
  readonly member: MemberId
  /** An empty disk founds a new cluster with this one voter. Never when the disk is not empty. */
  readonly bootstrap: boolean
  /** This member has run before, says something that is not on this disk: then an empty disk is a loss and is refused. */
  readonly expectExisting?: boolean
  readonly tickMs?: number
  readonly electionTicks?: number
  readonly heartbeatTicks?: number
  /** Votes and never campaigns. */
  readonly witness?: boolean
  readonly requestTimeoutMs?: number
  /** Which peers may speak raft at all; the layers above know the roles. Default: all that the network lets in. */
  readonly mayRaft?: (peer: PeerId) => boolean
  /** The applied state is written to disk behind the log, after so many entries or bytes. */
  readonly flushCountMax?: number
  readonly flushBytesMax?: number
  /** How much of the log is kept for members that are behind. */
  readonly logCountMax?: number
  readonly logBytesMax?: number
  /** A segment of the log is full at so many bytes, and is filled with zeros so far ahead; tests make both small. */
  readonly segmentBytesMax?: number
  readonly zeroBytesAhead?: number
  /** Room on the disk that is kept for the day when it is full; less on a small disk, 0 for none. */
  readonly reserveBytes?: number
  readonly historyCountMax?: number
  readonly historyBytesMax?: number
  /** The leader lets all replicas forget changes older than this, and the oldest of what is more than the two above. */
  readonly historyAgeMs?: number
  readonly bookmarkMs?: number
  /** How often a member compares the hash of its state with the others'. */
  readonly auditMs?: number
}

export type Settings = Required<StoreConfig>

export function settingsOf(config: StoreConfig): Settings {
  return {
    expectExisting: false,
    tickMs: 50,
    // 0.6 s: heartbeats and their answers wait for no disk, so four of them are lost only by who is gone, or held up.
    electionTicks: 12,
    heartbeatTicks: 3,
    witness: false,
    requestTimeoutMs: 5_000,
    mayRaft: () => true,
    flushCountMax: 100_000,
    flushBytesMax: 32 * 1024 * 1024,
    logCountMax: 5_000,
    logBytesMax: 16 * 1024 * 1024,
    segmentBytesMax: segmentBytes,
    zeroBytesAhead,
    reserveBytes: 64 * 1024 * 1024,
    historyCountMax: 100_000,
    historyBytesMax: 32 * 1024 * 1024,
    historyAgeMs: 5 * 60_000,
    bookmarkMs: 2_000,
    auditMs: 60_000,
    ...config,
  }
}

/** What one entry of the log may hold: Kubernetes objects are at most 1.5 MB in etcd, and a command may hold a few keys. */
export const commandBytesMax = 2 * 1024 * 1024

export function raftConfig(settings: Settings): RaftConfig {
  return {
    self: settings.member,
    electionTicks: settings.electionTicks,
    heartbeatTicks: settings.heartbeatTicks,
    // Few in flight make larger batches (hashicorp/raft#541); these are for links with a long way.
    inflightCountMax: 16,
    appendBytesMax: 1024 * 1024,
    uncommittedBytesMax: 32 * 1024 * 1024,
    // With one writer after the other it would be every second message.
    lazyCommit: true,
    witness: settings.witness,
  }
}
