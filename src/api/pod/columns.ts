// How `kubectl get pods` shows a pod. The STATUS is a story told from the phase, the init containers and the containers, in
// upstream's order (pkg/printers/internalversion/printers.go printPod), so that scripts that read it go on working.
import { age, parseRfc3339 } from '../../lib/duration.ts'
import type { Column } from '../kind.ts'
import type { Pod } from '../kinds/pod.ts'
import type { ContainerState, ContainerStatus } from '../types/podstatus.ts'

type Told = {
  readonly reason: string
  readonly ready: number
  readonly total: number
  readonly restarts: number
  /** When a container last ended before it was started again. */
  readonly restartedAt: string | undefined
}

export function podColumns(): readonly Column<Pod>[] {
  return [
    { name: 'Ready', type: 'string', cell: pod => `${tell(pod).ready}/${tell(pod).total}` },
    { name: 'Status', type: 'string', cell: pod => tell(pod).reason },
    { name: 'Restarts', type: 'string', cell: (pod, nowMs) => restartsText(tell(pod), nowMs) },
    { name: 'IP', type: 'string', priority: 1, cell: pod => pod.status?.podIPs?.[0]?.ip || '<none>' },
    { name: 'Node', type: 'string', priority: 1, cell: pod => pod.spec.nodeName || '<none>' },
    { name: 'Nominated Node', type: 'string', priority: 1, cell: pod => pod.status?.nominatedNodeName || '<none>' },
    { name: 'Readiness Gates', type: 'string', priority: 1, cell: gatesText },
  ]
}

function restartsText({ restarts, restartedAt }: Told, nowMs: number): string {
  return restarts !== 0 && restartedAt !== undefined ? `${restarts} (${age(restartedAt, nowMs)} ago)` : String(restarts)
}

function gatesText(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? []
  const passed = gates.filter(gate => isTrue(pod, gate.conditionType))
  return gates.length === 0 ? '<none>' : `${passed.length}/${gates.length}`
}

function isTrue(pod: Pod, type: string): boolean {
  return (pod.status?.conditions ?? []).some(condition => condition.type === type && condition.status === 'True')
}

function later(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return (parseRfc3339(a) ?? 0) < (parseRfc3339(b) ?? 0) ? b : a
}

function tell(pod: Pod): Told {
  const { phase, reason: why, conditions = [] } = pod.status ?? {}
  const gated = conditions.some(({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated')
  const first = gated ? 'SchedulingGated' : why || phase || ''
  const init = tellInit(pod, first)
  const told = !init.initializing || isTrue(pod, 'Initialized') ? tellMain(pod, init) : init
  const { deletionTimestamp } = pod.metadata
  if (deletionTimestamp === undefined) return told
  if (why === 'NodeLost') return { ...told, reason: 'Unknown' }
  return phase === 'Succeeded' || phase === 'Failed' ? told : { ...told, reason: 'Terminating' }
}

type Init = Told & {
  readonly initializing: boolean
  /** Of the init containers that stay (sidecars). */
  readonly sidecars: { readonly restarts: number; readonly restartedAt: string | undefined }
}

function tellInit(pod: Pod, first: string): Init {
  const specs = pod.spec.initContainers ?? []
  const stays = new Set(specs.filter(container => container.restartPolicy === 'Always').map(({ name }) => name))
  let [ready, restarts, sidecarRestarts] = [0, 0, 0]
  let restartedAt: string | undefined
  let sidecarRestartedAt: string | undefined
  let reason: string | undefined
  for (const [i, container] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const { state, name, restartCount } = container
    const endedAt = container.lastState?.terminated?.finishedAt
    restarts += restartCount
    restartedAt = later(restartedAt, endedAt)
    if (stays.has(name)) {
      sidecarRestarts += restartCount
      sidecarRestartedAt = later(sidecarRestartedAt, endedAt)
    }
    if (state?.terminated?.exitCode === 0) continue
    if (stays.has(name) && container.started === true) {
      if (container.ready) ready++
      continue
    }
    reason = initReason(state, i, specs.length)
    break
  }
  return {
    reason: reason ?? first,
    initializing: reason !== undefined,
    ready,
    total: (pod.spec.containers ?? []).length + stays.size,
    restarts,
    restartedAt,
    sidecars: { restarts: sidecarRestarts, restartedAt: sidecarRestartedAt },
  }
}

function initReason(state: ContainerState | undefined, at: number, count: number): string {
  if (state?.terminated) return `Init:${endReason(state.terminated)}`
  const waiting = state?.waiting?.reason ?? ''
  return waiting !== '' && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${at}/${count}`
}

function endReason(terminated: NonNullable<ContainerState['terminated']>): string {
  const { reason, signal, exitCode } = terminated
  return reason || ((signal ?? 0) !== 0 ? `Signal:${signal}` : `ExitCode:${exitCode}`)
}

function tellMain(pod: Pod, init: Init): Told {
  let { reason, ready } = init
  let { restarts, restartedAt } = init.sidecars
  let running = false
  const statuses: readonly ContainerStatus[] = pod.status?.containerStatuses ?? []
  for (const container of statuses.toReversed()) {
    const { waiting, terminated, running: runs } = container.state ?? {}
    restarts += container.restartCount
    restartedAt = later(restartedAt, container.lastState?.terminated?.finishedAt)
    if (waiting?.reason) reason = waiting.reason
    else if (terminated) reason = endReason(terminated)
    else if (container.ready && runs) {
      running = true
      ready++
    }
  }
  if (reason === 'Completed' && running) reason = isTrue(pod, 'Ready') ? 'Running' : 'NotReady'
  return { reason, ready, total: init.total, restarts, restartedAt }
}
