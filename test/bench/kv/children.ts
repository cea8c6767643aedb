// Every process that the bench starts is known here and is ended by its ID when the bench ends, however it ends.
import type { ChildProcess } from 'node:child_process'

const pids = new Set<number>()
let prepared = false

/** To be called right after a start. */
export function keepChild(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  keepPid(pid)
  child.once('exit', () => forgetPid(pid))
}

/** A process that is not a child of this one, such as what a child of ours traces. */
export function keepPid(pid: number): void {
  prepare()
  pids.add(pid)
}

export function forgetPid(pid: number): void {
  pids.delete(pid)
}

function prepare(): void {
  if (prepared) return
  prepared = true
  process.on('exit', () => {
    // The youngest first: what strace runs must end before strace, or it lives on without it.
    for (const pid of [...pids].reverse()) kill(pid, 'SIGKILL')
  })
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  process.once('SIGHUP', () => process.exit(129))
}

/** False when there is no such process. */
export function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}
