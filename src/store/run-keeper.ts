// The state machine and its copy on disk. The copy is written behind the log, in large pieces and not often, because the
// log can give it again; a snapshot from the leader replaces both as a whole. What the log holds in memory is kept short
// for its own reason: members that are a little behind need the end of it, those that are far behind a snapshot.
import { captureHead, captureKv, createKv, type Kv, restoreKv, restoring } from '../kv/kv.ts'
import type { ChangeEvent } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import { type Raft, snapshotMeta, step, wantsSnapshot } from '../raft/raft.ts'
import type { Effects, MemberId, RaftEvent, SnapshotMeta } from '../raft/types.ts'
import type { Log } from '../world/log.ts'
import type { World } from '../world/world.ts'
import type { Settings } from './config.ts'
import { encodePeers } from './members.ts'
import type { Boot } from './run-boot.ts'
import type { Append } from './run-log.ts'
import type { Saver } from './run-saver.ts'
import { fetchSnapshot, type SnapshotGiver } from './run-snapshot.ts'
import type { Speech } from './run-speech.ts'
import { clearState, writeState } from './run-state.ts'

/** What a flush of the applied state may need besides what it writes: LevelDB rewrites its tables now and then. */
const flushBytesSpare = 4 * 1024 * 1024

export type KeeperConfig = {
  readonly settings: Settings
  readonly raft: Raft
  readonly saver: Saver
  readonly speech: Speech
  readonly leads: () => boolean
  readonly ending: AbortSignal
  readonly push: (event: RaftEvent) => void
  readonly carryOut: (effects: Effects, base: Append['base']) => void
  /** The state machine is another one now. */
  readonly replaced: () => void
  readonly fail: (error: unknown) => void
}

export interface Keeper {
  readonly kv: Kv
  /** What an entry changed; all are told, in order. */
  note(events: readonly ChangeEvent[]): void
  /** After a batch of entries of so many bytes: writes the state, and shortens the log, when it is time. */
  applied(bytes: number): void
  fetch(from: MemberId, snapshot: SnapshotMeta): void
  readonly giver: SnapshotGiver
  /** Ends what is under way; `writes` the state once more, unless the disk has failed. */
  stop(writes: () => boolean): Promise<void>
}

export function createKeeper(world: World, log: Log, start: Boot, config: KeeperConfig): Keeper {
  const { settings, raft, saver, speech, ending, push } = config
  const { clusterId, member } = settings
  const { log: disklog, space } = start
  let { state } = start
  let kv = start.loaded === undefined ? createKv() : restoreKv(start.loaded.image)
  let flushedIndex = kv.index
  /** The log in memory begins after it, and holds about so many bytes of what is applied. */
  let droppedIndex = start.restored.base.index
  let heldBytes = 0
  let flushing: Promise<void> | undefined
  let fetching: { readonly from: MemberId; readonly end: AbortController; readonly done: Promise<void> } | undefined
  let isInstalling = false

  function startFlush(): void {
    if (flushing !== undefined || isInstalling || ending.aborted) return
    flushing = flush()
      .then(dropLog)
      .catch(config.fail)
      .then(() => {
        flushing = undefined
      })
  }

  async function flush(): Promise<void> {
    // What is on a full disk already must stay readable, and LevelDB does not outlive a write that finds no room.
    if (!(await space.hasRoom(3 * state.dirtyBytes + flushBytesSpare))) return
    const head = captureHead(kv)
    const into = state
    const { membership } = snapshotMeta(raft, head.index)
    const capture = into.capture(head, membership, encodePeers(membership, speech.peers))
    // The state must not know more than the log: at the next start it would look as if the log had lost something.
    await saver.saved(new AbortController().signal)
    await into.flush(capture, () => world.clock.sleep(1, ending))
    flushedIndex = head.index
  }

  /** Drops from the disk what the state there covers. */
  function dropLog(): void {
    if (!isInstalling) saver.drop(flushedIndex)
  }

  /** Drops from memory all but the end; seldom, for it moves what is left. */
  function shortenLog(): void {
    const count = kv.index - droppedIndex
    const isLong = count >= 2 * settings.logCountMax
    if (!(isLong || heldBytes >= settings.logBytesMax) || isInstalling) return
    const keep = Math.min(settings.logCountMax, Math.floor((count * settings.logBytesMax) / (2 * heldBytes + 1)))
    heldBytes *= keep / count
    droppedIndex = kv.index - keep
    push({ kind: 'compacted', snapshot: snapshotMeta(raft, droppedIndex) })
  }

  /** Heartbeats must come between. */
  async function inSlices<T>(steps: Generator<undefined, T, undefined>): Promise<T> {
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
      await world.clock.sleep(1, ending)
    }
  }

  async function install(fetched: Awaited<ReturnType<typeof fetchSnapshot>>): Promise<void> {
    const { meta, loaded } = fetched
    if (ending.aborted || !wantsSnapshot(raft, meta)) return fetched.abort()
    isInstalling = true
    await flushing
    const generation = state.generation === 0 ? 1 : 0
    await clearState(world.disk, generation)
    const next = await writeState(world.disk, generation, loaded)
    const restored = await inSlices(restoring(loaded.image))
    if (ending.aborted || !wantsSnapshot(raft, meta)) {
      isInstalling = false
      await next.close()
      return fetched.abort()
    }
    // From here to the push of the new base nothing else runs, so the state, the core and the log change as one.
    const old = state
    state = next
    kv = restored
    flushedIndex = kv.index
    droppedIndex = kv.index
    heldBytes = 0
    for (const [id, peer] of fetched.peers) speech.know(id, peer)
    const base = { index: meta.index, term: meta.term, generation, keep: false } as const
    config.carryOut(step(raft, [{ kind: 'installed', snapshot: meta }]), base)
    config.replaced()
    isInstalling = false
    log.info('installed a snapshot', { index: meta.index, revision: kv.revision, keys: kv.versions.size })
    await saver.saved(new AbortController().signal)
    // The leader hears of it by an answer too: this only frees its stream, so a failure of it is no news.
    await fetched.installed().catch(error => log.debug('the sender of the snapshot is gone', { why: String(error) }))
    await old.close()
    if (!ending.aborted) await clearState(world.disk, old.generation)
  }

  return {
    get kv() {
      return kv
    },
    note: events => state.note(events, kv.versions),
    applied(bytes) {
      heldBytes += bytes
      shortenLog()
      const isMuch = kv.index - flushedIndex >= settings.flushCountMax || state.dirtyBytes >= settings.flushBytesMax
      if (isMuch) startFlush()
    },
    fetch(from, snapshot) {
      const peer = speech.peerOf(from)
      // Who gave it leads no more, and may be gone without a word. The leader of now announces its own again.
      if (fetching !== undefined && fetching.from !== from && !isInstalling) fetching.end.abort()
      if (fetching !== undefined || peer === undefined || ending.aborted) return
      const end = new AbortController()
      const stopping = onAbort(ending, () => end.abort())
      const ask = { cluster: clusterId, from: member, to: from, atLeast: snapshot.index }
      log.info('fetching a snapshot', { from: peer, index: snapshot.index })
      const done = fetchSnapshot(world, peer, ask, end.signal)
        .then(
          fetched => install(fetched),
          error => log.warn('a snapshot could not be fetched', { from: peer, why: String(error) }),
        )
        .catch(config.fail)
        .then(() => {
          stopping[Symbol.dispose]()
          fetching = undefined
        })
      fetching = { from, end, done }
    },
    giver: {
      give(peer, ask) {
        const isAddressed = ask.cluster === clusterId && ask.to === member && settings.mayRaft(peer)
        if (!isAddressed || ending.aborted || !config.leads() || kv.index < ask.atLeast) return undefined
        if ((speech.peers.get(ask.from) ?? peer) !== peer) return undefined
        log.info('sending a snapshot', { to: peer, index: kv.index })
        return { image: captureKv(kv), meta: snapshotMeta(raft, kv.index), peers: speech.peers }
      },
      sent: (to, index, ok) => push({ kind: 'snapshotSent', to, index, ok }),
    },
    async stop(writes) {
      await fetching?.done
      await flushing
      if (writes() && kv.index > flushedIndex) await flush().catch(config.fail)
      if (writes()) await disklog.mark().catch(config.fail)
      await Promise.all([disklog.close(), state.close()]).catch(config.fail)
    },
  }
}
