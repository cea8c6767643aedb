// Worker processes that answer questions (worker.ts), one each at a time. Which one runs a seed makes no difference to it.
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Outcome } from './outcome.ts'
import type { Question } from './worker.ts'

export type Pool = {
  readonly size: number
  /** In any order of answers. */
  readonly ask: (question: Question) => Promise<Outcome>
  readonly close: () => void
}

export function createPool(size = availableParallelism()): Pool {
  const idle: ChildProcess[] = []
  const all: ChildProcess[] = []
  const waiting: ((worker: ChildProcess) => void)[] = []

  function free(worker: ChildProcess): void {
    const next = waiting.shift()
    if (next === undefined) idle.push(worker)
    else next(worker)
  }

  for (let i = 0; i < size; i++) {
    const worker = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), {
      serialization: 'advanced',
      // Runs leave much garbage behind, and several of these share a machine.
      execArgv: [...process.execArgv, '--max-old-space-size=768'],
    })
    all.push(worker)
    idle.push(worker)
  }

  return {
    size,
    async ask(question) {
      const worker = idle.pop() ?? (await new Promise<ChildProcess>(resolve => waiting.push(resolve)))
      try {
        return await new Promise<Outcome>((resolve, reject) => {
          const ended = (code: number | null) =>
            reject(new Error(`the process that ran ${question.where} seed ${question.seed} ended with ${code}`))
          worker.once('exit', ended)
          worker.once('message', (outcome: Outcome) => {
            worker.off('exit', ended)
            resolve(outcome)
          })
          worker.send(question)
        })
      } finally {
        free(worker)
      }
    },
    close() {
      for (const worker of all) worker.disconnect()
    },
  }
}
