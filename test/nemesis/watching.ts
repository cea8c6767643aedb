// The watchers of the run. One per member sees everything from the beginning and resumes elsewhere when its stream ends: what
// they see together is the log of the run. Others come and go, from a little before or after the newest revision, on one key
// or all, with filters.
import type { ClientHttp2Stream } from 'node:http2'
import { type Prng, prng } from '../../src/lib/prng.ts'
import { revisionOf, type WatchAnswer, type WatchRequest, type WatchSession } from '../check/watches.ts'
import { decodeWatchAnswer, encodeWatch, paths, progressRequest } from './api.ts'
import { Channel, frame, Unframer } from './channel.ts'
import { now, sleep } from './command.ts'
import { clientUrlOf } from './lab.ts'
import { keyPrefix, type Recorder } from './load.ts'
import type { Member } from './member.ts'

const visitorCount = 4
const reopenMs = 100
const bookmarkMs = 300

type Draft = { -readonly [name in keyof WatchSession]: WatchSession[name] } & { answers: WatchAnswer[] }

export class Watching {
  readonly sessions: Draft[] = []
  /** The newest revision that anybody was shown. */
  newest = 0
  private readonly members: readonly Member[]
  private readonly recorder: Recorder
  private readonly withBookmarks: boolean
  private readonly seed: number
  private readonly first: number
  private readonly reached: number[] = []
  private readonly loops: Promise<void>[] = []
  private readonly open = new Set<() => void>()
  private isStopping = false
  private areVisitorsStopping = false

  /** `first`: the first revision that the run will make. */
  constructor(members: readonly Member[], recorder: Recorder, withBookmarks: boolean, seed: number, first: number) {
    this.first = first
    this.members = members
    this.recorder = recorder
    this.withBookmarks = withBookmarks
    this.seed = seed
  }

  start(): void {
    for (const { index } of this.members) this.loops.push(this.follow(index))
    for (let i = 0; i < visitorCount; i++) this.loops.push(this.visit(i))
  }

  /** Waits until all that follow were shown this revision. False when that takes too long. */
  async untilAllReached(revision: number, withinMs: number): Promise<boolean> {
    const endMs = performance.now() + withinMs
    while (this.members.some(({ index }) => (this.reached[index] ?? 0) < revision)) {
      if (performance.now() > endMs) return false
      await sleep(50)
    }
    return true
  }

  stopVisitors(): void {
    this.areVisitorsStopping = true
  }

  /** Leaves the streams of those that follow open to the end: what they have not been shown by then is missing. */
  async stop(): Promise<void> {
    this.isStopping = true
    this.areVisitorsStopping = true
    for (const end of this.open) end()
    await Promise.all(this.loops)
  }

  private async follow(index: number): Promise<void> {
    let start = this.first
    for (let turn = 0; !this.isStopping; turn++) {
      const at = (index + turn) % this.members.length
      const request: WatchRequest = { range: { prefix: '' }, start, previous: true, without: 'nothing' }
      const session = await this.watch(at, `all-${index}`, request, answer => {
        for (const revision of revisionsOf(answer)) {
          this.reached[index] = Math.max(this.reached[index] ?? 0, revision)
          this.newest = Math.max(this.newest, revision)
        }
      })
      start = Math.max(start, (this.reached[index] ?? 0) + 1)
      for (const answer of session?.answers ?? [])
        if (answer.kind === 'compacted') start = Math.max(start, answer.revision)
      await sleep(reopenMs)
    }
  }

  private async visit(visitor: number): Promise<void> {
    const random = prng(this.seed * 1_000 + 500 + visitor)
    for (let turn = 0; !this.areVisitorsStopping; turn++) {
      const endMs = performance.now() + 300 + random.below(4_000)
      const request = drawRequest(random, this.recorder.newestRevision)
      const stop = () => performance.now() > endMs || this.areVisitorsStopping
      await this.watch(random.below(this.members.length), `visitor-${visitor}-${turn}`, request, () => {}, stop)
      await sleep(reopenMs)
    }
  }

  /** One session, until the stream ends, the run does, or `isOver` says so. Undefined when nobody answered. */
  private async watch(
    at: number,
    watcher: string,
    request: WatchRequest,
    look: (answer: WatchAnswer) => void,
    isOver: () => boolean = () => false,
  ): Promise<WatchSession | undefined> {
    const member = this.members[at]
    if (member === undefined) throw new Error(`no member ${at}`)
    const channel = new Channel(clientUrlOf(at))
    const session: Draft = { watcher, member: member.label, call: now(), request, answers: [] }
    let stream: ClientHttp2Stream
    try {
      stream = await channel.stream(paths.watch, encodeWatch(request))
    } catch {
      // The member is away.
      return undefined
    }
    this.sessions.push(session)
    const ended = Promise.withResolvers<void>()
    const messages = new Messages()
    // A stream without an answer for so long is given up: nobody notices a dead connection on which nothing is sent.
    let heardMs = performance.now()
    stream.on('data', (chunk: Buffer) => {
      heardMs = performance.now()
      for (const answer of messages.push(chunk)) {
        session.answers.push(answer)
        look(answer)
        if (answer.kind === 'compacted' || answer.kind === 'ended') ended.resolve()
      }
    })
    stream.on('error', () => {})
    stream.on('close', () => ended.resolve())
    let bookmarkAtMs = performance.now() + bookmarkMs
    const timer = setInterval(() => {
      if (isOver() || performance.now() - heardMs > silentMs) ended.resolve()
      if (!this.withBookmarks || performance.now() < bookmarkAtMs || stream.closed) return
      bookmarkAtMs = performance.now() + bookmarkMs
      stream.write(frame(progressRequest))
    }, 50)
    const end = () => ended.resolve()
    this.open.add(end)
    await ended.promise
    this.open.delete(end)
    clearInterval(timer)
    stream.removeAllListeners('data')
    channel.close()
    const isLast = this.isStopping && session.answers.at(-1)?.kind !== 'compacted'
    if (!isLast || watcher.startsWith('visitor')) session.answers.push({ kind: 'ended', time: now() })
    return session
  }
}

const silentMs = 3_000

const revisionsOf = (answer: WatchAnswer): readonly number[] =>
  answer.kind === 'events' ? answer.events.map(revisionOf) : answer.kind === 'bookmark' ? [answer.revision] : []

/** Puts the messages of a stream together: from frames, and from fragments. */
class Messages {
  private readonly unframer = new Unframer()
  private fragments: Extract<WatchAnswer, { kind: 'events' }>[] = []

  push(chunk: Buffer): WatchAnswer[] {
    return this.unframer.push(chunk).flatMap((message): WatchAnswer[] => {
      const { answer, isMore } = decodeWatchAnswer(message, now())
      if (answer.kind !== 'events') return [answer]
      this.fragments.push(answer)
      if (isMore) return []
      const whole = { ...answer, events: this.fragments.flatMap(({ events }) => events) }
      this.fragments = []
      return [whole]
    })
  }
}

function drawRequest(random: Prng, newest: number): WatchRequest {
  const start = random.chance(0.2) ? 0 : Math.max(1, newest - 100 + random.below(201))
  return {
    range: random.chance(0.6) ? { prefix: keyPrefix } : { key: `${keyPrefix}k${random.below(10)}` },
    start,
    previous: random.chance(0.5),
    without: random.chance(0.6) ? 'nothing' : random.chance(0.5) ? 'puts' : 'deletes',
  }
}
