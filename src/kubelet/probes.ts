// Which probes a pod's containers need right now. Pure: run.ts starts and stops the askers by it.
import type { Container, Probe } from '../api/types/container.ts'
import type { Observed } from '../world/runtime.ts'
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
    const one = (kind: ProbeKind, probe: Probe | undefined): WantedProbe[] =>
      probe === undefined ? [] : [{ key: `${id}/${kind}`, containerId: id, container, kind, probe }]
    // Until the startup probe has passed, the others wait.
    if (container.startupProbe !== undefined && answers(id, 'startup')?.holds !== true) {
      return one('startup', container.startupProbe)
    }
    return [...one('liveness', container.livenessProbe), ...one('readiness', container.readinessProbe)]
  })
}

export function verdictsOf(pod: Pod, observed: Observed | undefined, answers: ProbeAnswers): ProbeVerdicts {
  const ready = new Set<string>()
  const started = new Set<string>()
  const unhealthy = new Set<string>()
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
    const { newest } = historyOf(observed, container.name)
    if (newest?.state.kind !== 'running') continue
    const { id } = newest
    if (container.startupProbe === undefined || answers(id, 'startup')?.holds === true) started.add(id)
    if (container.readinessProbe === undefined || answers(id, 'readiness')?.holds === true) ready.add(id)
    if (answers(id, 'startup')?.failed === true || answers(id, 'liveness')?.failed === true) unhealthy.add(id)
  }
  return { ready, started, unhealthy }
}
