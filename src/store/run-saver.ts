// What must be on disk before something may be said: saves go to the log in order, all that wait in one append with one
// sync, then the messages that waited for them leave. Also the log's housekeeping, because the log does one thing at a
// time. The store's loop goes on meanwhile: a slow disk must not keep a leader from its heartbeats.
import type { Entry, HardState } from '../raft/types.ts'
import { createBell, createThresholds } from './pending.ts'
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
  push(save: Save): void
  /** Resolves when everything pushed before is durable. */
  saved(signal: AbortSignal): Promise<void>
  /** Write the watermark when there is time. */
  mark(): void
  /** Delete segments up to this index when there is time. */
  drop(index: number): void
  /** Ends `run` once what was pushed is durable. */
  finish(): void
  /** Rejects when the disk fails. `durable` hears of the last entry of each append. */
  run(durable: (entry: Entry | undefined) => void): Promise<void>
}

export function createSaver(log: RunLog): Saver {
  let waiting: Save[] = []
  let isBusy = false
  let hardCount = 0
  let pushedCount = 0
  let doneCount = 0
  let wantsMark = false
  let dropTo = 0
  let droppedTo = 0
  let isFinished = false
  const bell = createBell()
  const done = createThresholds('save')

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
      bell.ring()
    },
    saved: signal => (doneCount >= pushedCount ? Promise.resolve() : done.wait(pushedCount, signal)),
    mark() {
      wantsMark = true
      bell.ring()
    },
    drop(index) {
      dropTo = Math.max(dropTo, index)
      bell.ring()
    },
    finish() {
      isFinished = true
      bell.ring()
    },
    async run(durable) {
      try {
        await work(durable)
      } catch (error) {
        done.rejectAll(() => (error instanceof Error ? error : new Error(String(error))))
        throw error
      }
    },
  }

  async function work(durable: (entry: Entry | undefined) => void): Promise<void> {
    for (;;) {
      if (waiting.length > 0) {
        isBusy = true
        const batch = takeBatch()
        const append = merge(batch)
        if (append.hard !== undefined || append.base !== undefined || append.entries.length > 0)
          await log.append(append)
        isBusy = false
        for (const save of batch) {
          if (save.hard !== undefined) hardCount -= 1
          save.afterwards()
        }
        doneCount += batch.length
        durable(append.entries.at(-1))
        done.reached(doneCount)
      } else if (isFinished) return
      else if (dropTo > droppedTo) {
        droppedTo = dropTo
        await log.drop(dropTo)
      } else if (wantsMark) {
        wantsMark = false
        await log.mark()
      } else await bell.wait()
    }
  }
}
