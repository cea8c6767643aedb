// What must be on disk before something may be said: saves go to the log in order, all that wait in one append with one
// sync, then the messages that waited for them leave. Also the log's housekeeping, because the log does one thing at a
// time. The store's loop goes on meanwhile: a slow disk must not keep a leader from its heartbeats. An append begins only
// when what this turn sends and answers has left: a quick disk is waited for on the spot.
import type { Entry, HardState } from '../raft/types.ts'
import type { Clock } from '../world/clock.ts'
import { createThresholds } from './pending.ts'
import type { Append, RunLog } from './run-log.ts'

export type Save = {
  readonly hard: HardState | undefined
  readonly base: Append['base']
  readonly entries: readonly Entry[]
  /** Called when this save and all before it are durable. */
  readonly afterwards: () => void
}

export interface Saver {
  /** Nothing waits and nothing is under way. */
  readonly isIdle: boolean
  /** A new term or vote waits, so nothing may be said in its name yet. */
  readonly holdsHard: boolean
  /** Begins at the end of this turn. */
  push(save: Save): void
  /** Begins with what waits now, unless something is under way. */
  hurry(): void
  /** Resolves when everything pushed before is durable. */
  saved(signal: AbortSignal): Promise<void>
  /** Write the watermark when there is time. */
  mark(): void
  /** Delete segments up to this index when there is time. */
  drop(index: number): void
  /** Ends `run` once what was pushed is durable. */
  finish(): void
  /** Works until `finish`; rejects when the disk fails. `durable` hears of the last entry of each append. */
  run(durable: (entry: Entry | undefined) => void): Promise<void>
}

export function createSaver(log: RunLog, clock: Pick<Clock, 'soon'>): Saver {
  let waiting: Save[] = []
  let isBusy = false
  let isDue = false
  let hardCount = 0
  let pushedCount = 0
  let doneCount = 0
  let wantsMark = false
  let dropTo = 0
  let droppedTo = 0
  let isFinished = false
  let hasFailed = false
  let durable: (entry: Entry | undefined) => void = () => {}
  const done = createThresholds('save')
  const { promise: ended, resolve: end, reject: failed } = Promise.withResolvers<void>()

  function wake(): void {
    if (isBusy || isDue || hasFailed) return
    isDue = true
    clock.soon(() => {
      isDue = false
      if (!isBusy) work()
    })
  }

  function fail(error: unknown): void {
    hasFailed = true
    done.rejectAll(() => (error instanceof Error ? error : new Error(String(error))))
    failed(error)
  }

  /** Goes on as long as there is something to do and the disk is waited for on the spot. */
  function work(): void {
    while (!hasFailed) {
      const next = nextWork()
      if (next === undefined) return
      try {
        const working = next.act()
        if (working === undefined) {
          next.afterwards()
          continue
        }
        isBusy = true
        working.then(() => {
          isBusy = false
          next.afterwards()
          work()
        }, fail)
        return
      } catch (error) {
        fail(error)
      }
    }
  }

  type Work = { readonly act: () => Promise<void> | void; readonly afterwards: () => void }

  function nextWork(): Work | undefined {
    if (waiting.length > 0) {
      const batch = takeBatch()
      const append = merge(batch)
      const isEmpty = append.hard === undefined && append.base === undefined && append.entries.length === 0
      return {
        act: () => (isEmpty ? undefined : log.append(append)),
        afterwards: () => settle(batch, append.entries.at(-1)),
      }
    }
    if (isFinished) end()
    else if (dropTo > droppedTo) {
      droppedTo = dropTo
      return { act: () => log.drop(droppedTo), afterwards: () => {} }
    } else if (wantsMark) {
      wantsMark = false
      return { act: () => log.mark(), afterwards: () => {} }
    }
    return undefined
  }

  /** A new base starts an append of its own, because records before and after it mean different logs. */
  function takeBatch(): Save[] {
    const next = waiting.findIndex((save, i) => i > 0 && save.base !== undefined)
    const batch = next < 0 ? waiting : waiting.slice(0, next)
    waiting = next < 0 ? [] : waiting.slice(next)
    return batch
  }

  function merge(batch: readonly Save[]): Append {
    const hard = batch.findLast(save => save.hard !== undefined)?.hard
    const base = batch[0]?.base
    const entries = batch.length === 1 ? (batch[0]?.entries ?? []) : batch.flatMap(save => save.entries)
    return { entries, ...(hard === undefined ? {} : { hard }), ...(base === undefined ? {} : { base }) }
  }

  function settle(batch: readonly Save[], last: Entry | undefined): void {
    for (const save of batch) {
      if (save.hard !== undefined) hardCount -= 1
      save.afterwards()
    }
    doneCount += batch.length
    durable(last)
    done.reached(doneCount)
  }

  return {
    get isIdle() {
      return !isBusy && waiting.length === 0
    },
    get holdsHard() {
      return hardCount > 0
    },
    push(save) {
      waiting.push(save)
      pushedCount += 1
      if (save.hard !== undefined) hardCount += 1
      wake()
    },
    hurry() {
      if (!isBusy) work()
    },
    saved: signal => (doneCount >= pushedCount ? Promise.resolve() : done.wait(pushedCount, signal)),
    mark() {
      wantsMark = true
      wake()
    },
    drop(index) {
      dropTo = Math.max(dropTo, index)
      wake()
    },
    finish() {
      isFinished = true
      wake()
    },
    run(listener) {
      durable = listener
      return ended
    },
  }
}
