// etcd's Watch service: streams with any number of watchers each. What is applied goes through the hub to all who keep up;
// who does not is brought up to date from the history, a slice at a time, and joins the others again.
import type { ChangeEvent, Revision } from '../kv/store.ts'
import { StoreError } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { StreamCall, StreamHandler } from '../world/grpc.ts'
import { type Context, malformed } from './context.ts'
import { errors, etcdError } from './errors.ts'
import { keyRange } from './kv.ts'
import { readWatch, type WatchCreate, type WatchNews, writeNews } from './watch-codec.ts'
import { Hub, type Interest, type Piece, piecesOf, type Receiver, type Watcher } from './watch-hub.ts'
import { WireWriter } from './wire.ts'

/** What one message may be before a watcher that asked for fragments gets them; as etcd counts it. */
const fragmentBytesMax = 2 * 1024 * 1024
/** Of the history, per look and per turn. */
const catchUpCountMax = 1_000
const sliceCountMax = 4_000
/** A look costs about as much as so many events. */
const lookCost = 4

const emptyReason = 'mvcc: watcher range is empty'
const duplicateReason = 'mvcc: duplicate watch ID provided on the WatchStream'

type StreamWatcher = Watcher & {
  readonly fragment: boolean
  readonly progressNotify: boolean
  /** It got something since progress was last told. */
  wasServed: boolean
  /** In the hub, or waiting to get there; false once it was cancelled. */
  isActive: boolean
}

export type WatchConfig = {
  /** How often those that asked for it are told that nothing happened. */
  readonly progressMs: number
}

export type WatchService = {
  open(call: StreamCall): StreamHandler
  readonly hub: Hub
}

/** Lives until the context's signal. */
export function openWatch(context: Context, config: WatchConfig): WatchService {
  const { store, clock, header, signal } = context
  const hub = new Hub(store.revision())
  const streams = new Set<WatchStream>()
  /** Streams with watchers that are behind, and whose clients have room. */
  let waiting = new Set<WatchStream>()
  let isScheduled = false

  const applied = store.onApplied(change => {
    if (change.kind === 'break') hub.interrupt(change.revision)
    else hub.publish(change.events, change.revision)
  })
  onAbort(signal, () => applied[Symbol.dispose]())
  tellProgress()

  // ---- messages ----

  /** The header of a revision stands at the front; what follows is written over again and again. */
  const head = new WireWriter()
  let headRevision: Revision = -1
  let headTerm = 0
  let headEnd = 0

  function beginHead(revision: Revision): void {
    if (revision !== headRevision || header.term !== headTerm) {
      head.reset()
      header.write(head, revision)
      headRevision = revision
      headTerm = header.term
      headEnd = head.at
    }
    head.at = headEnd
  }

  class WatchStream implements Receiver, StreamHandler {
    readonly #call: StreamCall
    readonly #watchers = new Map<number, StreamWatcher>()
    #behind: StreamWatcher[] = []
    #nextId = 0
    #progressAsked = false
    isSlow = false

    constructor(call: StreamCall) {
      this.#call = call
    }

    // ---- what the client says ----

    message(bytes: Bytes, start: number, end: number): void {
      const request = readWatch(bytes, start, end)
      if (request === undefined) {
        const { code, message } = malformed()
        this.#call.fail(code, message)
      } else if (request.kind === 'create') this.#create(request)
      else if (request.kind === 'cancel') this.#cancel(request.id)
      else if (request.kind === 'progress') {
        this.#progressAsked = true
        this.#tellAsked()
      }
    }

    halfClosed(): void {
      // Who asks nothing more still wants what it asked for.
    }

    drained(): void {
      this.isSlow = false
      this.#wake()
    }

    ended(): void {
      streams.delete(this)
      waiting.delete(this)
      for (const watcher of this.#watchers.values()) this.#drop(watcher)
      this.#behind = []
    }

    #create(create: WatchCreate): void {
      const revision = store.revision()
      const { from, to } = keyRange(create.key === '' ? '\0' : create.key, create.end)
      const isEmpty = to !== undefined && from >= to
      if (isEmpty || this.#watchers.has(create.id === 0 ? -1 : create.id)) {
        const cancelReason = isEmpty ? emptyReason : duplicateReason
        this.#news(revision, -1, { created: true, canceled: true, cancelReason })
        return
      }
      const watcher: StreamWatcher = {
        id: create.id === 0 ? this.#freeId() : create.id,
        interest: { range: { from, to }, previous: create.previous, noPut: create.noPut, noDelete: create.noDelete },
        receiver: this,
        next: create.startRevision > 0 ? create.startRevision : revision + 1,
        group: undefined,
        place: 0,
        fragment: create.fragment,
        progressNotify: create.progressNotify,
        wasServed: false,
        isActive: true,
      }
      this.#watchers.set(watcher.id, watcher)
      this.#news(revision, watcher.id, { created: true })
      if (watcher.next > hub.revision) hub.add(watcher)
      else this.fellBehind(watcher)
    }

    #freeId(): number {
      while (this.#watchers.has(this.#nextId)) this.#nextId += 1
      return this.#nextId++
    }

    #cancel(id: number): void {
      const watcher = this.#watchers.get(id)
      if (watcher === undefined) return
      this.#drop(watcher)
      this.#news(store.revision(), id, { canceled: true })
      this.#tellAsked()
    }

    #drop(watcher: StreamWatcher): void {
      this.#watchers.delete(watcher.id)
      watcher.isActive = false
      hub.remove(watcher)
    }

    // ---- what the client is told ----

    #news(revision: Revision, id: number, news: WatchNews): void {
      beginHead(revision)
      writeNews(head, id, news)
      this.#sent(this.#call.send(head.buffer, head.at))
    }

    #sent(hasRoom: boolean): void {
      if (!hasRoom) this.isSlow = true
    }

    deliver(watcher: StreamWatcher, revision: Revision, piece: Piece): void {
      watcher.wasServed = true
      if (watcher.fragment && piece.bytes.length > fragmentBytesMax) {
        this.#deliverFragments(watcher, revision, piece)
        return
      }
      beginHead(revision)
      head.number(2, watcher.id)
      this.#sent(this.#call.send(head.buffer, head.at, piece.bytes))
    }

    #deliverFragments(watcher: StreamWatcher, revision: Revision, { bytes, starts }: Piece): void {
      let from = 0
      for (let i = 1; i <= starts.length; i++) {
        const end = starts[i] ?? bytes.length
        const isLast = i === starts.length
        if (!isLast && (starts[i + 1] ?? bytes.length) - from <= fragmentBytesMax) continue
        beginHead(revision)
        writeNews(head, watcher.id, { fragment: !isLast })
        this.#sent(this.#call.send(head.buffer, head.at, bytes.subarray(from, end)))
        from = end
      }
    }

    // ---- catching up ----

    fellBehind(watcher: Watcher): void {
      this.#behind.push(watcher as StreamWatcher)
      this.#wake()
    }

    #wake(): void {
      if (this.isSlow) return
      if (this.#behind.length === 0) this.#tellAsked()
      else {
        waiting.add(this)
        schedule()
      }
    }

    /** Brings watchers up to date until the budget is spent, the client is slow, or none is behind. */
    catchUp(budget: { left: number }, look: Look): void {
      try {
        while (budget.left > 0 && !this.isSlow) {
          const watcher = this.#behind.shift()
          if (watcher === undefined) break
          if (watcher.isActive) this.#advance(watcher, budget, look)
        }
        this.#wake()
      } catch (error) {
        const { code, message } = etcdError(error, context.hasLeader())
        this.#call.fail(code, message)
      }
    }

    #advance(watcher: StreamWatcher, budget: { left: number }, look: Look): void {
      const found = look(watcher.interest, watcher.next - 1)
      budget.left -= found.count + lookCost
      if (found.compacted !== undefined) {
        this.#drop(watcher)
        this.#news(store.revision(), watcher.id, { canceled: true, compactRevision: found.compacted })
        return
      }
      for (const piece of found.pieces) this.deliver(watcher, Math.max(found.revision, piece.last), piece)
      watcher.next = found.revision + 1
      if (watcher.next > hub.revision) hub.add(watcher)
      else this.#behind.push(watcher)
    }

    // ---- progress ----

    /** Says that all watchers of the stream have all up to now, once that is so. */
    #tellAsked(): void {
      if (!this.#progressAsked || this.isSlow || this.#behind.length > 0) return
      this.#progressAsked = false
      this.#news(hub.revision, -1, {})
    }

    tellProgress(): void {
      for (const watcher of this.#watchers.values()) {
        if (!watcher.progressNotify) continue
        if (!watcher.wasServed && watcher.group !== undefined && !this.isSlow) this.#news(hub.revision, watcher.id, {})
        watcher.wasServed = false
      }
    }
  }

  // ---- the history ----

  type Found = {
    readonly revision: Revision
    readonly pieces: readonly Piece[]
    readonly count: number
    /** The history begins after what was asked for. */
    readonly compacted: Revision | undefined
  }
  type Look = (interest: Interest, after: Revision) => Found

  /** Watchers that fell behind together miss the same: for those of one slice it is looked up once. */
  function createLook(): Look {
    let last: { readonly interest: Interest; readonly after: Revision; readonly found: Found } | undefined
    return (interest, after) => {
      if (last === undefined || last.after !== after || !isSame(last.interest, interest)) {
        last = { interest, after, found: lookUp(interest, after) }
      }
      return last.found
    }
  }

  function lookUp(interest: Interest, after: Revision): Found {
    try {
      const { revision, events } = store.since(interest.range, after, catchUpCountMax)
      const wanted = events.filter(event => isWanted(interest, event))
      return { revision, pieces: piecesOf(wanted, interest.previous), count: events.length, compacted: undefined }
    } catch (error) {
      if (!(error instanceof StoreError) || error.reason !== 'compacted') throw error
      const compacted = Math.max(store.status().compactedRevision, after + 1)
      return { revision: after, pieces: [], count: 0, compacted }
    }
  }

  function schedule(): void {
    if (isScheduled || signal.aborted) return
    isScheduled = true
    clock.soon(() => {
      isScheduled = false
      const now = waiting
      waiting = new Set()
      const budget = { left: sliceCountMax }
      const look = createLook()
      for (const stream of now) {
        if (budget.left > 0) stream.catchUp(budget, look)
        else waiting.add(stream)
      }
      if (waiting.size > 0) schedule()
    })
  }

  async function tellProgress(): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(config.progressMs, signal)
      if (!signal.aborted) for (const stream of streams) stream.tellProgress()
    }
  }

  return {
    hub,
    open(call) {
      const stream = new WatchStream(call)
      streams.add(stream)
      if (!context.requireLeader(call)) {
        const { code, message } = errors.noLeader()
        call.fail(code, message)
      }
      return stream
    },
  }
}

function isWanted({ noPut, noDelete }: Interest, event: ChangeEvent): boolean {
  return !(event.kind === 'put' ? noPut : noDelete)
}

function isSame(a: Interest, b: Interest): boolean {
  return (
    a.range.from === b.range.from &&
    a.range.to === b.range.to &&
    a.previous === b.previous &&
    a.noPut === b.noPut &&
    a.noDelete === b.noDelete
  )
}
