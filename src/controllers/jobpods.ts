// Questions about the pods of a Job, and the pods that it makes. Pure.
// After kubernetes pkg/controller/job/{indexed_job_utils,pod_failure_policy,job_controller}.go.
import { type Job, job as jobKind, type PodFailurePolicyRule } from '../api/kinds/job.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { Draft } from '../api/schema.ts'
import type { ContainerStatus } from '../api/types/podstatus.ts'
import { controllerReference, createdMs, isDeleting, podCondition, timeMs } from '../client/objects.ts'
import { podFromTemplate } from './podtemplate.ts'

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
export const indexAnnotation = 'batch.kubernetes.io/job-completion-index'
export const failureCountAnnotation = 'batch.kubernetes.io/job-index-failure-count'

export function isIndexed({ spec }: Job): boolean {
  return spec.completionMode === 'Indexed'
}

/** The pod's completion index; undefined when it has none that fits. */
export function indexOf(job: Job, pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[indexAnnotation] ?? ''
  const index = /^\d+$/.test(text) ? Number(text) : undefined
  return index !== undefined && index < (job.spec.completions ?? 0) ? index : undefined
}

export function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) === true
}

/** Only pods that have ended make room for others, or deleted ones too. */
function replacesOnlyFailed({ spec }: Job): boolean {
  return (
    spec.podReplacementPolicy === 'Failed' ||
    (spec.podReplacementPolicy === undefined && spec.podFailurePolicy !== undefined)
  )
}

/** A deleted pod counts as failed, because it may never say so itself; unless the Job waits until it does. */
export function hasFailed(job: Job, pod: Pod): boolean {
  if (pod.status.phase === 'Failed') return true
  return !replacesOnlyFailed(job) && isDeleting(pod) && pod.status.phase !== 'Succeeded'
}

export function hasSucceeded({ status }: Pod): boolean {
  return status.phase === 'Succeeded'
}

/** Deleting pods still hold their places where the Job waits for them to end. */
export function holdsPlace(job: Job, pod: Pod): boolean {
  return replacesOnlyFailed(job) && isDeleting(pod) && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed'
}

function statuses({ status }: Pod): readonly ContainerStatus[] {
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
}

export function finishedMs(pod: Pod): number {
  const times = statuses(pod).map(({ state }) => timeMs(state?.terminated?.finishedAt))
  const known = times.filter(ms => !Number.isNaN(ms))
  if (known.length > 0) return Math.max(...known)
  const changed = timeMs(podCondition(pod, 'Ready')?.lastTransitionTime)
  return Number.isNaN(changed) ? timeMs(pod.metadata.deletionTimestamp) || createdMs(pod) : changed
}

export function restartsOf(pod: Pod): number {
  return statuses(pod).reduce((sum, { restartCount }) => sum + restartCount, 0)
}

/** How often the pod's index had failed when the pod was made, and once more if it failed itself. */
export function failuresWith(job: Job, pod: Pod): number {
  const before = Number(pod.metadata.annotations?.[failureCountAnnotation] ?? 0) || 0
  return before + (hasFailed(job, pod) ? 1 : 0)
}

export type Verdict =
  | { readonly kind: 'count' }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'fail-index' }
  | { readonly kind: 'fail-job'; readonly message: string }

/** What the pod failure policy says of a failed pod: the first rule that matches decides. */
export function verdictOn(job: Job, pod: Pod): Verdict {
  const rules = job.spec.podFailurePolicy?.rules ?? []
  for (const [i, rule] of rules.entries()) {
    const why = matches(rule, pod)
    if (why === undefined) continue
    switch (rule.action) {
      case 'Ignore':
        return { kind: 'ignore' }
      case 'FailIndex':
        return { kind: 'fail-index' }
      case 'FailJob':
        return { kind: 'fail-job', message: `${why} matching FailJob rule at index ${i}` }
      default:
        return { kind: 'count' }
    }
  }
  return { kind: 'count' }
}

function matches({ onExitCodes, onPodConditions }: PodFailurePolicyRule, pod: Pod): string | undefined {
  const name = `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`
  if (onExitCodes !== undefined) {
    for (const { name: container, state } of statuses(pod)) {
      const exitCode = state?.terminated?.exitCode
      if (exitCode === undefined || exitCode === 0) continue
      if (onExitCodes.containerName !== undefined && onExitCodes.containerName !== container) continue
      const isListed = onExitCodes.values.includes(exitCode)
      if (isListed === (onExitCodes.operator === 'In')) {
        return `Container ${container} for pod ${name} failed with exit code ${exitCode}`
      }
    }
    return undefined
  }
  for (const { type, status } of onPodConditions ?? []) {
    if (podCondition(pod, type)?.status === status) return `Pod ${name} has condition ${type}`
  }
  return undefined
}

const generateNameMax = 63 - 5

/** `index` for an indexed Job: known to the pod by annotation, label, hostname and environment. */
export function podOf(job: Job, index: number | undefined, failures: number): Draft<Pod> {
  const made = podFromTemplate(job, job.spec.template, controllerReference(jobKind, job))
  const finalizers = [...(made.metadata?.finalizers ?? []), trackingFinalizer]
  if (index === undefined) return { ...made, metadata: { ...made.metadata, finalizers } }
  const text = String(index)
  const perIndex = job.spec.backoffLimitPerIndex === undefined ? {} : { [failureCountAnnotation]: String(failures) }
  const prefix = job.metadata.name.slice(0, generateNameMax - text.length - 2)
  const { spec } = job.spec.template
  const withIndex = <C extends { readonly env?: readonly object[] }>(container: C): C => ({
    ...container,
    env: [...(container.env ?? []), indexVariable],
  })
  return {
    metadata: {
      ...made.metadata,
      generateName: `${prefix}-${text}-`,
      annotations: { ...made.metadata?.annotations, [indexAnnotation]: text, ...perIndex },
      labels: { ...made.metadata?.labels, [indexAnnotation]: text },
      finalizers,
    },
    spec: {
      ...spec,
      hostname: `${job.metadata.name}-${text}`,
      containers: spec.containers.map(withIndex),
      ...(spec.initContainers && { initContainers: spec.initContainers.map(withIndex) }),
    },
  }
}

const indexVariable = {
  name: 'JOB_COMPLETION_INDEX',
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: `metadata.annotations['${indexAnnotation}']` } },
}
