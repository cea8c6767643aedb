// Snapshots between members, on a stream of their own. The follower asks, the leader sends its applied state as of now in
// chunks, the follower says when all of it is on its disk.
//
// Heartbeats share the connection, so the leader keeps only so much under way that the line's queue stays short, and it
// keeps to a number of bytes a second over all followers. When a stream breaks, the follower asks again for what it
// lacks; the leader keeps what it was sending for a while. A program that starts again starts over.
import type { KvImage } from '../kv/kv.ts'
import { encodeSnapshot, SnapshotError, type SnapshotReader, snapshotReader } from '../kv/snapshot.ts'
import { onAbort } from '../lib/abort.ts'
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import { type Bytes, concat } from '../lib/bytes.ts'
import type { MemberId, SnapshotMeta } from '../raft/types.ts'
import { encodeFrame, frameDecoder } from '../wire/frame.ts'
import type { MeshStream, PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import { readMembership, writeMembership } from './entry.ts'
import { decodePeers, encodePeers, type Peers } from './members.ts'
import type { LoadedState } from './run-state.ts'
import { createWindow, type SendWindow } from './snapshot-window.ts'
import {
  type AskVersion,
  decodeAsk,
  decodeBegin,
  decodePiece,
  decodeWord,
  encodeAsk,
  encodeBegin,
  encodeWord,
  type Had,
  piecesOf,
  type SnapshotAsk,
} from './snapshot-wire.ts'

export type { SnapshotAsk } from './snapshot-wire.ts'

/** A stream that moves nothing for this long is given up. */
export const snapshotStallMsMax = 30_000
/** All streams of one leader together. */
export const snapshotBytesPerSecondMax = 32 * 1024 * 1024
/** How long a leader keeps what it was sending when the stream broke. */
const heldMsMax = 60_000
/** Streams that may break one after the other without a new chunk; after that the leader has to announce it again. */
const vainStreamsMax = 4
const retryMs = 500

export class SnapshotFailure extends Error {
  override readonly name = 'SnapshotFailure'
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

// ---- the follower ----

/** A snapshot that came whole, with the membership that it says it was made under. */
export type Fetched = {
  readonly meta: SnapshotMeta
  readonly peers: Peers
  readonly loaded: LoadedState
  /** Tells the sender that it is on our disk. */
  installed(): Promise<void>
  abort(): void
}

/** What has come so far, over all streams. */
type Received = { reader: SnapshotReader; chunks: number; crc: number; whole: ReturnType<SnapshotReader['finish']> }

const nothingYet = (): Received => ({ reader: snapshotReader(), chunks: 0, crc: 0, whole: undefined })

function take(received: Received, chunk: Bytes): void {
  received.reader.push(chunk)
  received.chunks++
  received.crc = new ByteReader(chunk).u32()
  received.whole = received.reader.finish()
}

/** Throws SnapshotError on what is not what was sent, SnapshotFailure when the leader refuses, or what ended the last stream. */
export async function fetchSnapshot(
  world: World,
  peer: PeerId,
  ask: SnapshotAsk,
  signal: AbortSignal,
): Promise<Fetched> {
  let received = nothingYet()
  let version: AskVersion = 2
  for (let vain = 0; ; vain++) {
    const { chunks } = received
    try {
      const stream = await world.network.open(peer, 'snapshot', signal)
      const end = await receive(world, stream, ask, version, received, signal)
      if (received.whole !== undefined) return fetched(world, stream, received.whole, signal)
      // It closed without a word: it refuses, or it knows the first version only.
      if (end === 'unanswered' && version === 1) throw new SnapshotFailure('the leader does not give its snapshot')
      if (end === 'unanswered') version = 1
    } catch (error) {
      const isFinal = error instanceof SnapshotError || error instanceof SnapshotFailure
      if (isFinal || signal.aborted || vain >= vainStreamsMax) throw error
    }
    // The first version cannot go on where it ended.
    if (version === 1) received = nothingYet()
    if (received.chunks > chunks) vain = 0
    await world.clock.sleep(retryMs * 2 ** vain, signal)
  }
}

/** Takes what comes on one stream into `received`. 'ended': there was something, though not all. */
async function receive(
  world: World,
  stream: MeshStream,
  ask: SnapshotAsk,
  version: AskVersion,
  received: Received,
  signal: AbortSignal,
): Promise<'ended' | 'unanswered'> {
  try {
    const had: Had | undefined = received.chunks > 0 ? { chunks: received.chunks, crc: received.crc } : undefined
    await inTime(world, stream, signal, stream.write(encodeFrame(encodeAsk(ask, version, had))))
    const incoming = frames(world, stream, signal)
    const first = await incoming.next()
    if (first.done === true) {
      stream.abort()
      return 'unanswered'
    }
    if (version === 1) await receiveChunks(incoming, first.value, received)
    else await receivePieces(world, stream, incoming, first.value, received, signal)
    if (received.whole === undefined) stream.abort()
    return 'ended'
  } catch (error) {
    stream.abort()
    throw error
  }
}

async function receiveChunks(incoming: AsyncIterable<Bytes>, first: Bytes, received: Received): Promise<void> {
  take(received, first)
  if (received.whole !== undefined) return
  for await (const chunk of incoming) {
    take(received, chunk)
    if (received.whole !== undefined) return
  }
}

async function receivePieces(
  world: World,
  stream: MeshStream,
  incoming: AsyncGenerator<Bytes, void, undefined>,
  first: Bytes,
  received: Received,
  signal: AbortSignal,
): Promise<void> {
  const skipped = decodeBegin(first)
  if (skipped === 0) Object.assign(received, nothingYet())
  else if (skipped !== received.chunks) throw new SnapshotFailure(`the leader leaves out ${skipped} chunks unasked`)
  let parts: Bytes[] = []
  let count = 0
  while (received.whole === undefined) {
    const next = await incoming.next()
    if (next.done === true) return
    const piece = decodePiece(next.value)
    if (piece === undefined) throw new SnapshotFailure('not a piece of a snapshot')
    parts.push(piece.part)
    if (piece.isLast) {
      take(received, concat(parts))
      parts = []
    }
    count++
    await inTime(world, stream, signal, stream.write(encodeFrame(encodeWord(count))))
  }
}

function fetched(
  world: World,
  stream: MeshStream,
  { image, context: bytes }: NonNullable<Received['whole']>,
  signal: AbortSignal,
): Fetched {
  const context = new ByteReader(bytes)
  const membership = readMembership(context)
  const peers = context.bytes()
  if (!context.done) {
    stream.abort()
    throw new SnapshotFailure('the membership of the snapshot does not decode')
  }
  return {
    meta: { index: image.index, term: image.term, membership },
    peers: decodePeers(peers),
    loaded: { image, membership, context: peers },
    async installed() {
      await inTime(world, stream, signal, stream.write(encodeFrame(encodeWord('installed'))))
      await stream.closeWrite()
    },
    abort: () => stream.abort(),
  }
}

// ---- the leader ----

export type SnapshotGiver = {
  /** Undefined refuses: not ours to give, not asked by whom it says, or not new enough. */
  give(peer: PeerId, ask: SnapshotAsk): Given | undefined
  /** The stream for this member is over; `ok` when it said that the snapshot is on its disk. */
  sent(to: MemberId, index: number, ok: boolean): void
}

export type Given = { readonly image: KvImage; readonly meta: SnapshotMeta; readonly peers: Peers }

/** Its chunks are the same each time they are made, so that some of them can be left out. */
type Sending = { readonly image: KvImage; readonly index: number; readonly context: Bytes }

function sending({ image, meta, peers }: Given): Sending {
  const context = new ByteWriter(1024)
  writeMembership(context, meta.membership)
  context.bytes(encodePeers(meta.membership, peers))
  return { image, index: meta.index, context: context.finish() }
}

export type SnapshotServer = {
  /** Lives as long as the stream. Rejects with what broke it. */
  serve(stream: MeshStream, signal: AbortSignal): Promise<void>
}

export function createSnapshotServer(
  world: World,
  giver: SnapshotGiver,
  ending: AbortSignal,
  bytesPerSecondMax = snapshotBytesPerSecondMax,
): SnapshotServer {
  const pace = createPacer(world, bytesPerSecondMax)
  /** What was on its way to a member when its stream broke. */
  const held = new Map<MemberId, Sending>()

  function hold(to: MemberId, what: Sending): void {
    held.set(to, what)
    const forget = () => {
      if (held.get(to) === what) held.delete(to)
    }
    world.clock.sleep(heldMsMax, ending).then(forget, forget)
  }

  /** The chunks that the follower lacks; undefined when what it has are no chunks of this. */
  async function resume(asked: Had, { image, context }: Sending): Promise<Iterator<Bytes> | undefined> {
    const chunks = encodeSnapshot(image, context)
    for (let i = 1; ; i++) {
      const { done, value } = chunks.next()
      if (done === true) return undefined
      if (i === asked.chunks) return new ByteReader(value).u32() === asked.crc ? chunks : undefined
      await world.clock.sleep(1, ending)
    }
  }

  async function send(to: Outgoing, what: Sending, version: AskVersion, had: Had | undefined): Promise<void> {
    const rest = had === undefined ? undefined : await resume(had, what)
    if (version === 2) await to.write(encodeBegin(rest === undefined ? 0 : (had?.chunks ?? 0)))
    const chunks = rest ?? encodeSnapshot(what.image, what.context)
    for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
      if (version === 1) await to.write(next.value)
      else for (const piece of piecesOf(next.value)) await to.writePiece(piece)
      await pace(next.value.length, ending)
    }
  }

  return {
    async serve(stream, signal) {
      const incoming = frames(world, stream, signal)
      const first = await incoming.next()
      const asked = first.done === true ? undefined : decodeAsk(first.value)
      const fresh = asked === undefined ? undefined : giver.give(stream.remote, asked.ask)
      if (asked === undefined || fresh === undefined) {
        await stream.closeWrite()
        return
      }
      const { ask, had, version } = asked
      const old = had === undefined ? undefined : held.get(ask.from)
      const what = old !== undefined && old.index >= ask.atLeast ? old : sending(fresh)
      held.delete(ask.from)
      const to = outgoing(world, stream, incoming, signal)
      let ok = false
      try {
        await send(to, what, version, what === old ? had : undefined)
        ok = await to.finish()
      } finally {
        if (!ok) {
          stream.abort()
          hold(ask.from, what)
        }
        giver.sent(ask.from, what.index, ok)
      }
    },
  }
}

/** Waits so that over time no more than so many bytes a second go through, and a moment at least, for what else there is. */
function createPacer(world: World, bytesPerSecond: number): (bytes: number, signal: AbortSignal) => Promise<void> {
  let nextMs = 0
  return async (bytes, signal) => {
    const nowMs = world.clock.monotonicMs()
    nextMs = Math.max(nextMs, nowMs) + (bytes * 1_000) / bytesPerSecond
    await world.clock.sleep(Math.max(1, nextMs - nowMs), signal)
  }
}

type Outgoing = {
  write(frame: Bytes): Promise<void>
  /** Waits until the window has room. */
  writePiece(piece: Bytes): Promise<void>
  /** True when the follower says that it has installed it. */
  finish(): Promise<boolean>
}

/** Writes, while what the follower says in return is read beside it. */
function outgoing(
  world: World,
  stream: MeshStream,
  incoming: AsyncGenerator<Bytes, void, undefined>,
  signal: AbortSignal,
): Outgoing {
  const window: SendWindow = createWindow()
  let isInstalled = false
  let failure: unknown
  let isOver = false
  let wake = () => {}
  let listening: Promise<void> | undefined
  /** A follower that says nothing until the end is not waited for before: see `frames`. */
  const begin = () =>
    (listening ??= listen().then(
      () => over(undefined),
      error => over(error),
    ))

  async function listen(): Promise<void> {
    for await (const frame of incoming) {
      const word = decodeWord(frame)
      if (word === undefined) throw new SnapshotFailure('the follower says something else than how far it is')
      if (word === 'installed') {
        isInstalled = true
        return
      }
      window.received(word, world.clock.monotonicMs())
      wake()
    }
  }

  function over(error: unknown): void {
    failure = error
    isOver = true
    wake()
  }

  const write = (frame: Bytes) => inTime(world, stream, signal, stream.write(encodeFrame(frame)))

  return {
    write,
    async writePiece(piece) {
      begin()
      while (!window.hasRoom && !isOver) await new Promise<void>(resolve => (wake = resolve))
      if (isOver) throw failure ?? new SnapshotFailure('the follower closed the stream')
      window.sent(world.clock.monotonicMs())
      await write(piece)
    },
    async finish() {
      await stream.closeWrite()
      await begin()
      return isInstalled
    },
  }
}
