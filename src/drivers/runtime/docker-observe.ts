// From what Docker says of its containers to what a runtime observes. Called by docker.ts.
import { readFile } from 'node:fs/promises'
import type { Observed, ObservedContainer } from '../../world/runtime.ts'
import type { Identity, Labels } from './labels.ts'

/** An entry of /containers/json. */
export type Listed = {
  readonly Id: string
  readonly Labels: Labels
  readonly State: string
}
/** The answer of /containers/ID/json, as far as we read it. */
export type Inspected = {
  readonly Id: string
  readonly Created: string
  readonly Image: string
  readonly State: {
    readonly Status: string
    readonly Pid: number
    readonly ExitCode: number
    readonly Error: string
    readonly OOMKilled: boolean
    readonly StartedAt: string
    readonly FinishedAt: string
  }
  readonly Config: { readonly Labels: Labels | null }
  readonly HostConfig: { readonly NetworkMode: string; readonly PidMode: string; readonly IpcMode: string }
  readonly NetworkSettings: { readonly IPAddress?: string; readonly Networks?: Record<string, { IPAddress?: string }> }
}

type ObservedSandbox = NonNullable<Observed['sandbox']>

/** Of several sandboxes of a pod: the running one, the newest. */
export function better(a: ObservedSandbox, b: ObservedSandbox | undefined): boolean {
  return b === undefined || (a.running === b.running ? a.attempt > b.attempt : a.running)
}

export function observedContainer(
  found: Inspected,
  identity: Identity & { type: 'container' },
  imageId: string,
): ObservedContainer {
  const { name, kind, attempt, specHash, image, annotations } = identity
  const createdMs = timeMs(found.Created)
  return {
    id: found.Id,
    statusId: `docker://${found.Id}`,
    ...{ name, kind, attempt, specHash, image, imageId, annotations, createdMs },
    state: stateOf(found.State, createdMs),
  }
}

function stateOf(state: Inspected['State'], createdMs: number): ObservedContainer['state'] {
  const { Status, Pid, ExitCode, Error: error, OOMKilled } = state
  const startedMs = timeMs(state.StartedAt)
  if (Status === 'running' || Status === 'paused' || Status === 'restarting')
    return { kind: 'running', startedMs, pid: Pid }
  // A start that failed leaves the state "created" with the error: this attempt is over.
  if (Status === 'created' && error === '') return { kind: 'created' }
  const failedToStart = Status === 'created'
  return {
    kind: 'exited',
    startedMs: failedToStart ? createdMs : startedMs,
    // Docker stamps the start after the process is there: one that ends at once may have ended a moment before it.
    finishedMs: failedToStart ? createdMs : Math.max(timeMs(state.FinishedAt), startedMs),
    exitCode: failedToStart && ExitCode === 0 ? 128 : ExitCode,
    // Docker also says it when a child was killed and the main process went on to its own end.
    oomKilled: OOMKilled && ExitCode === 137,
    ...(error === '' ? {} : { error }),
  }
}

/** Docker writes the year 1 for never. */
export function timeMs(stamp: string): number {
  return Math.max(0, Date.parse(stamp))
}

/** Whether the address is up in the process's network namespace. */
export async function hasAddress(pid: number, ip: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/net/fib_trie`, 'utf8')).includes(`-- ${ip}\n`)
  } catch {
    return false
  }
}
