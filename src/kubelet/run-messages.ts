// The termination messages of one pod's containers: a file of ours that each attempt may write, read once it has ended.
// https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { text } from '../lib/bytes.ts'
import type { ContainerRuntime, Observed, ObservedContainer } from '../world/runtime.ts'
import { containersOf, type Pod } from './plan.ts'

export const messageBytesMax = 4_096
export const messageLogBytesMax = 2_048
export const messageLogLines = 80
/** Files of earlier attempts that are kept: the status shows the newest attempt and the one before. */
const attemptsKept = 3

export interface Messages {
  /** By runtime ID. */
  readonly texts: ReadonlyMap<string, string>
  /** An empty file for this attempt, writable by any user of the container. */
  file(container: string, attempt: number): Promise<string>
  /** Reads those of the containers that have ended since. What cannot be read is said in the message, as upstream. */
  read(pod: Pod, observed: Observed | undefined, signal: AbortSignal): Promise<void>
}

export function openMessages(runtime: ContainerRuntime, podFolder: string): Messages {
  const texts = new Map<string, string>()
  const placeOf = (container: string) => path.join(podFolder, 'containers', container)

  async function messageOf(pod: Pod, one: ObservedContainer, signal: AbortSignal): Promise<string> {
    const message = await head(path.join(placeOf(one.name), String(one.attempt)))
    const spec = containersOf(pod).find(container => container.name === one.name)
    const failed = one.state.kind === 'exited' && one.state.exitCode !== 0
    if (message !== '' || !failed || spec?.terminationMessagePolicy !== 'FallbackToLogsOnError') return message
    let tail = ''
    const options = { follow: false, timestamps: false, tailLines: messageLogLines }
    for await (const bytes of runtime.logs(one.id, options, signal)) {
      tail = (tail + text(bytes)).slice(-messageLogBytesMax)
    }
    return tail
  }

  return {
    texts,
    async file(container, attempt) {
      const place = placeOf(container)
      await fs.mkdir(place, { recursive: true })
      for (const old of await fs.readdir(place)) {
        if (Number(old) + attemptsKept <= attempt) await fs.rm(path.join(place, old), { force: true })
      }
      // The same name when the same attempt is begun again: the container may have been made with it already.
      const file = path.join(place, String(attempt))
      await fs.writeFile(file, '')
      await fs.chmod(file, 0o666)
      return file
    },
    async read(pod, observed, signal) {
      const containers = observed?.containers ?? []
      const ids = new Set(containers.map(one => one.id))
      for (const id of texts.keys()) if (!ids.has(id)) texts.delete(id)
      for (const one of containers) {
        if (one.state.kind !== 'exited' || texts.has(one.id)) continue
        try {
          texts.set(one.id, await messageOf(pod, one, signal))
        } catch (error) {
          if (signal.aborted) return
          texts.set(one.id, `Error on reading termination message: ${error instanceof Error ? error.message : error}`)
        }
      }
    },
  }
}

/** The beginning of a file that its container may have made large, or tried to replace; '' when there is none. */
async function head(file: string): Promise<string> {
  let handle: fs.FileHandle
  try {
    handle = await fs.open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
  try {
    if (!(await handle.stat()).isFile()) return ''
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(messageBytesMax), 0, messageBytesMax, 0)
    return buffer.subarray(0, bytesRead).toString('utf8')
  } finally {
    await handle.close()
  }
}
