// Reads YAML in a thread of its own: its parser holds whoever calls it for a microsecond per byte and more. The thread begins
// with the first text and ends when none has come for a while. One text is read after the other; one that takes too long
// ends the thread, and the next begins another.
import { Worker } from 'node:worker_threads'
import { ApiError } from '../api/error.ts'
import type { Read } from '../api/reader.ts'
import { onAbort } from '../lib/abort.ts'
import type { Said } from './yaml-worker.ts'

export type YamlThread = {
  /** As readYaml of api/parse.ts; a key that comes twice is always told. Rejects with ApiError. */
  read(text: string, signal: AbortSignal): Promise<Read>
}

export type YamlTimes = { readonly readMsMax: number; readonly idleMsMax: number }

const usual: YamlTimes = { readMsMax: 5_000, idleMsMax: 30_000 }

type Job = { readonly text: string; readonly tell: (said: Said | 'late' | 'gone') => void }

export function openYamlThread(signal: AbortSignal, { readMsMax, idleMsMax }: YamlTimes = usual): YamlThread {
  let jobs: Job[] = []
  let working: Job | undefined
  let thread: Worker | undefined
  let timer: NodeJS.Timeout | undefined

  function begin(): Worker {
    const made = new Worker(new URL('./yaml-worker.ts', import.meta.url))
    made.unref()
    made.on('message', (said: Said) => {
      if (thread === made) told(said)
    })
    made.on('error', error => {
      if (thread !== made) return
      thread = undefined
      told({ broken: String(error) })
    })
    return made
  }

  function end(): void {
    void thread?.terminate()
    thread = undefined
  }

  function after(ms: number, act: () => void): void {
    clearTimeout(timer)
    timer = setTimeout(act, ms)
    timer.unref()
  }

  function told(said: Parameters<Job['tell']>[0]): void {
    const job = working
    working = undefined
    after(idleMsMax, end)
    job?.tell(said)
    next()
  }

  function next(): void {
    if (working !== undefined) return
    working = jobs.shift()
    if (working === undefined) return
    thread ??= begin()
    after(readMsMax, () => {
      end()
      told('late')
    })
    thread.postMessage(working.text)
  }

  onAbort(signal, () => {
    end()
    clearTimeout(timer)
    const left = working === undefined ? jobs : [working, ...jobs]
    jobs = []
    working = undefined
    for (const { tell } of left) tell('gone')
  })

  return {
    async read(text, until) {
      const { promise, resolve } = Promise.withResolvers<Parameters<Job['tell']>[0]>()
      const job: Job = { text, tell: resolve }
      if (signal.aborted) resolve('gone')
      else jobs.push(job)
      using _ = onAbort(until, () => {
        jobs = jobs.filter(one => one !== job)
        resolve('gone')
      })
      next()
      const said = await promise
      if (said === 'gone') throw new ApiError('Timeout', 'the client is gone, or this peer is stopping')
      if (said === 'late') {
        throw new ApiError('BadRequest', `error converting YAML to JSON: it takes over ${readMsMax} ms; send JSON`)
      }
      if ('read' in said) return said.read
      if ('refused' in said) throw new ApiError('BadRequest', said.refused)
      throw new Error(`the thread that reads YAML broke: ${said.broken}`)
    },
  }
}
