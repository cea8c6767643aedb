// A Store of one replica in memory, on the real kv: for tests of what is above the store. No log, no disk, no peers;
// it leads unless told otherwise.
import { encodeCommand } from '../../src/kv/codec.ts'
import { apply, createKv } from '../../src/kv/kv.ts'
import { get, range } from '../../src/kv/read.ts'
import {
  type Leadership,
  type Revision,
  type Store,
  StoreError,
  type StoreStatus,
  type WatchBatch,
  type Write,
  type WriteResult,
} from '../../src/kv/store.ts'
import { onAbort } from '../../src/lib/abort.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'

export type MemoryStore = Store & {
  /** Forgets the history up to and with `revision`. */
  compact(revision: Revision): void
  setTerm(term: number): void
  /** undefined: nobody leads. */
  setLeader(leader: PeerId | undefined): void
}

export function memoryStore(options: { readonly self?: PeerId } = {}): MemoryStore {
  const self = options.self ?? peerId('memory')
  const kv = createKv()
  let leader: PeerId | undefined = self
  let term = 1
  let index = 0
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const each of [...waiting]) each()
  }
  const changed = (signal: AbortSignal) =>
    new Promise<void>(resolve => {
      const end = () => {
        waiting.delete(end)
        listener[Symbol.dispose]()
        resolve()
      }
      waiting.add(end)
      const listener = onAbort(signal, () => queueMicrotask(end))
    })
  const run = (command: Uint8Array) => {
    index += 1
    const applied = apply(kv, { index, term, command }, true)
    wake()
    return applied.answer
  }
  return {
    get: (key, { revision } = {}) => Promise.resolve().then(() => get(kv, key, revision)),
    range: asked => Promise.resolve().then(() => range(kv, asked)),
    async *watch(asked, signal): AsyncGenerator<WatchBatch> {
      let after = asked.after
      while (!signal.aborted) {
        const batch = kv.versions.since(asked, after, kv.revision, 1_000)
        if (batch.revision > after || batch.events.length > 0) {
          after = batch.revision
          yield batch
        } else await changed(signal)
      }
    },
    async write(write: Write, signal): Promise<WriteResult> {
      signal.throwIfAborted()
      if (leader !== self) throw new StoreError('not-leader', 'another leads', leader)
      const answer = run(encodeCommand({ kind: 'write', write }))
      if (answer.kind === 'write') return answer.result
      throw new Error(`the store answered ${answer.kind}`)
    },
    async newest(signal) {
      signal?.throwIfAborted()
      if (leader === undefined) throw new StoreError('unavailable', 'there is no leader')
      return kv.revision
    },
    async applied(revision, signal) {
      while (kv.revision < revision) {
        if (signal.aborted) throw new StoreError('unavailable', `revision ${revision} has not come`)
        await changed(signal)
      }
    },
    revision: () => kv.revision,
    status: (): StoreStatus => ({
      term,
      leader,
      role: leader === self ? 'leader' : 'follower',
      appliedIndex: index,
      commitIndex: index,
      revision: kv.revision,
      compactedRevision: kv.versions.compacted,
      members: [{ member: 'a', peer: self, role: 'voter' }],
      matchIndex: {},
    }),
    async *leadership(signal): AsyncGenerator<Leadership> {
      yield { mine: true, term, ended: signal }
      await new Promise<void>(resolve => void onAbort(signal, resolve))
    },
    changeMembership: () => Promise.reject(new StoreError('closed', 'one member is all there is')),
    transferLeadership: () => Promise.reject(new StoreError('closed', 'one member is all there is')),
    compact(revision) {
      run(encodeCommand({ kind: 'compact', revision }))
    },
    setTerm(to) {
      term = to
    },
    setLeader(to) {
      leader = to
    },
  }
}
