// Worker processes that answer questions (worker.ts), one each at a time. Which one runs a seed makes no difference to it.
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { execArgv } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Outcome } from './outcome.ts'
import type { Question } from './worker.ts'

export type Pool = {
  readonly size: number
  /** In any order of answers. */
  readonly ask: (question: Question) => Promise<Outcome>
  readonly close: () => void
}

/**
 * A member that is killed never ends what it waits for, and Node keeps a signal that is made of others as long as somebody
 * listens to it: each run leaves its clusters behind. So a process does no more than this.
 */
const runCountMax = 20

type Worker = { readonly process: ChildProcess; runs: number }

export function createPool(size = availableParallelism()): Pool {
  const idle: Worker[] = []
  const all = new Set<Worker>()
  const waiting: ((worker: Worker) => void)[] = []

  function free(worker: Worker): void {
    const isSpent = worker.runs >= runCountMax
    if (isSpent) end(worker)
    const one = isSpent ? begin() : worker
    const next = waiting.shift()
    if (next === undefined) idle.push(one)
    else next(one)
  }

  function end(worker: Worker): void {
    all.delete(worker)
    // One that ended by itself has been heard of where it was asked.
    if (worker.process.connected) worker.process.disconnect()
  }

  function begin(): Worker {
    const process = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), {
      serialization: 'advanced',
      // Runs leave much garbage behind, and several of these share a machine.
      execArgv: [...execArgv, '--max-old-space-size=768'],
    })
    const worker = { process, runs: 0 }
    all.add(worker)
    return worker
  }

  for (let i = 0; i < size; i++) idle.push(begin())

  return {
    size,
    async ask(question) {
      const worker = idle.pop() ?? (await new Promise<Worker>(resolve => waiting.push(resolve)))
      worker.runs += 1
      try {
        return await new Promise<Outcome>((resolve, reject) => {
          const ended = (code: number | null) =>
            reject(new Error(`the process that ran ${question.where} seed ${question.seed} ended with ${code}`))
          worker.process.once('exit', ended)
          worker.process.once('message', (outcome: Outcome) => {
            worker.process.off('exit', ended)
            resolve(outcome)
          })
          worker.process.send(question)
        })
      } finally {
        free(worker)
      }
    },
    close() {
      for (const worker of all) end(worker)
    },
  }
}
