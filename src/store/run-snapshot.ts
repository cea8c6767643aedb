// Snapshots between members, on a stream of their own so that they do not stand in front of heartbeats. The follower
// asks, the leader sends its applied state as of now in frames, the follower says when all of it is on its disk.
import type { KvImage } from '../kv/kv.ts'
import { encodeSnapshot, snapshotReader } from '../kv/snapshot.ts'
import { onAbort } from '../lib/abort.ts'
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { type MemberId, memberId, type SnapshotMeta } from '../raft/types.ts'
import { encodeFrame, frameDecoder } from '../wire/frame.ts'
import type { MeshStream, PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import { readMembership, writeMembership } from './entry.ts'
import { decodePeers, encodePeers, type Peers } from './members.ts'
import type { LoadedState } from './run-state.ts'

const snapshotAskVersion = 1
const installedMark = 1
/** A stream that moves nothing for this long is given up. */
export const snapshotStallMsMax = 30_000

export type SnapshotAsk = {
  readonly cluster: string
  readonly from: MemberId
  readonly to: MemberId
  readonly atLeast: number
}

export class SnapshotFailure extends Error {
  override readonly name = 'SnapshotFailure'
}

function encodeAsk(ask: SnapshotAsk): Bytes {
  const out = new ByteWriter()
  out.u8(snapshotAskVersion)
  out.text(ask.cluster)
  out.text(ask.from)
  out.text(ask.to)
  out.varint(ask.atLeast)
  return out.finish()
}

function decodeAsk(bytes: Bytes): SnapshotAsk {
  const input = new ByteReader(bytes)
  const version = input.u8()
  const ask = {
    cluster: input.text(),
    from: memberId(input.text()),
    to: memberId(input.text()),
    atLeast: input.varint(),
  }
  if (version !== snapshotAskVersion || !input.done) throw new SnapshotFailure('not a request for a snapshot')
  return ask
}

/** Frames of the stream, one by one; each is waited for only so long. */
async function* frames(world: World, stream: MeshStream, signal: AbortSignal): AsyncGenerator<Bytes, void, undefined> {
  const decoder = frameDecoder()
  const bytes = stream.read()[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await inTime(world, stream, signal, bytes.next())
    if (done === true) return
    for (const frame of decoder.push(value)) yield frame
  }
}

/** A stalled stream is aborted, so that what waits on it ends with an error. */
async function inTime<T>(world: World, stream: MeshStream, signal: AbortSignal, work: Promise<T>): Promise<T> {
  using deadline = world.clock.deadline(snapshotStallMsMax, signal)
  using _listener = onAbort(deadline.signal, () => stream.abort())
  return await work
}

/** A snapshot that came whole, with the membership that it says it was made under. */
export type Fetched = {
  readonly meta: SnapshotMeta
  readonly peers: Peers
  readonly loaded: LoadedState
  /** Tells the sender that it is on our disk. */
  installed(): Promise<void>
  abort(): void
}

export async function fetchSnapshot(
  world: World,
  peer: PeerId,
  ask: SnapshotAsk,
  signal: AbortSignal,
): Promise<Fetched> {
  const stream = await world.network.open(peer, 'snapshot', signal)
  try {
    await inTime(world, stream, signal, stream.write(encodeFrame(encodeAsk(ask))))
    const reader = snapshotReader()
    let result = reader.finish()
    for await (const frame of frames(world, stream, signal)) {
      reader.push(frame)
      result = reader.finish()
      if (result !== undefined) break
    }
    if (result === undefined) throw new SnapshotFailure('the stream ended before the snapshot did')
    const context = new ByteReader(result.context)
    const membership = readMembership(context)
    const peers = context.bytes()
    if (!context.done) throw new SnapshotFailure('the membership of the snapshot does not decode')
    const { image } = result
    return {
      meta: { index: image.index, term: image.term, membership },
      peers: decodePeers(peers),
      loaded: { image, membership, context: peers },
      async installed() {
        await inTime(world, stream, signal, stream.write(encodeFrame(Uint8Array.of(installedMark))))
        await stream.closeWrite()
      },
      abort: () => stream.abort(),
    }
  } catch (error) {
    stream.abort()
    throw error
  }
}

export type SnapshotGiver = {
  /** Undefined refuses: not ours to give, not asked by whom it says, or not new enough. */
  give(peer: PeerId, ask: SnapshotAsk): { image: KvImage; meta: SnapshotMeta; peers: Peers } | undefined
  /** The stream for this member is over; `ok` when it said that the snapshot is on its disk. */
  sent(to: MemberId, index: number, ok: boolean): void
}

export async function serveSnapshot(
  world: World,
  giver: SnapshotGiver,
  stream: MeshStream,
  signal: AbortSignal,
): Promise<void> {
  let given: { to: MemberId; index: number } | undefined
  let ok = false
  try {
    const incoming = frames(world, stream, signal)
    const first = await incoming.next()
    if (first.done === true) return
    const ask = decodeAsk(first.value)
    const found = giver.give(stream.remote, ask)
    if (found === undefined) return
    given = { to: ask.from, index: found.meta.index }
    const context = new ByteWriter(1024)
    writeMembership(context, found.meta.membership)
    context.bytes(encodePeers(found.meta.membership, found.peers))
    for (const chunk of encodeSnapshot(found.image, context.finish())) {
      if (signal.aborted) return
      await inTime(world, stream, signal, stream.write(encodeFrame(chunk)))
      // A stream with room takes a chunk at once: heartbeats must come between all the same.
      await world.clock.sleep(1, signal)
    }
    await stream.closeWrite()
    const answer = await incoming.next()
    ok = answer.done !== true && answer.value[0] === installedMark
  } finally {
    if (!ok) stream.abort()
    if (given !== undefined) giver.sent(given.to, given.index, ok)
  }
}
