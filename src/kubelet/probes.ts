// Which probes a pod's containers need right now. Pure: run.ts starts and stops the askers by it.
import type { Container } from '../api/types/container.ts'
import type { Probe } from '../api/types/probe.ts'
import type { Observed, ObservedContainer } from '../world/runtime.ts'
import { historyOf } from './history.ts'
import type { Pod } from './plan.ts'
import type { ProbeKind } from './probe.ts'

export type WantedProbe = {
  /** Runtime ID and kind: one asker each. */
  readonly key: string
  readonly containerId: string
  readonly container: Container
  readonly kind: ProbeKind
  readonly probe: Probe
  /** When the container was started: the initial delay counts from there. */
  readonly startedMs: number
  /** The pod's status says that it holds for this very container: an agent before this one has asked. */
  readonly held: boolean
}

export type ProbeVerdicts = {
  readonly ready: ReadonlySet<string>
  readonly started: ReadonlySet<string>
  readonly unhealthy: ReadonlySet<string>
}

/** What a probe says of a container; undefined: not asked yet. */
export type ProbeAnswers = (containerId: string, kind: ProbeKind) => { holds: boolean; failed: boolean } | undefined

/** A pod that is ending is probed no more. */
export function probesOf(pod: Pod, observed: Observed | undefined, answers: ProbeAnswers): readonly WantedProbe[] {
  if (pod.metadata.deletionTimestamp !== undefined) return []
  const probed = [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter(c => c.restartPolicy === 'Always')]
  return probed.flatMap(container => {
    const { newest } = historyOf(observed, container.name)
    if (newest?.state.kind !== 'running') return []
    const { id } = newest
    const { startedMs } = newest.state
    const one = (kind: ProbeKind, probe: Probe | undefined): WantedProbe[] => {
      const held = heldBefore(pod, newest, kind)
      const key = `${id}/${kind}`
      return probe === undefined ? [] : [{ key, containerId: id, container, kind, probe, startedMs, held }]
    }
    // Until the startup probe has passed, the others wait. Once passed it is not asked again.
    if (container.startupProbe !== undefined && !holds(pod, newest, 'startup', answers)) {
      return one('startup', container.startupProbe)
    }
    return [...one('liveness', container.livenessProbe), ...one('readiness', container.readinessProbe)]
  })
}

/** What the API says of this very container; a restarted agent goes on from there instead of taking it out of service. */
function heldBefore(pod: Pod, container: ObservedContainer, kind: ProbeKind): boolean {
  const all = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])]
  const told = all.find(one => one.name === container.name && one.containerID === container.statusId)
  if (kind === 'readiness') return told?.ready === true
  return kind === 'startup' && told?.started === true
}

function holds(pod: Pod, container: ObservedContainer, kind: ProbeKind, answers: ProbeAnswers): boolean {
  return answers(container.id, kind)?.holds ?? heldBefore(pod, container, kind)
}

export function verdictsOf(pod: Pod, observed: Observed | undefined, answers: ProbeAnswers): ProbeVerdicts {
  const ready = new Set<string>()
  const started = new Set<string>()
  const unhealthy = new Set<string>()
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
    const { newest } = historyOf(observed, container.name)
    if (newest?.state.kind !== 'running') continue
    const { id } = newest
    if (container.startupProbe === undefined || holds(pod, newest, 'startup', answers)) started.add(id)
    if (container.readinessProbe === undefined || holds(pod, newest, 'readiness', answers)) ready.add(id)
    if (answers(id, 'startup')?.failed === true || answers(id, 'liveness')?.failed === true) unhealthy.add(id)
  }
  return { ready, started, unhealthy }
}
