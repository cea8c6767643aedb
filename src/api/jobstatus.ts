// What is wrong with the status that somebody writes for a Job, the controller of the cluster or one of another
// (spec.managedBy). A rule counts only where a field that it is about changes: what was wrong before may stay, and a status
// that a change of the spec has overtaken can still be written. Upstream: ValidateJobStatusUpdate in
// pkg/apis/batch/validation, with the options of pkg/registry/batch/job/strategy.go (feature JobManagedBy).
import { parseRfc3339 } from '../lib/duration.ts'
import { equalJson } from './equal.ts'
import { duplicateValue, invalidValue, requiredValue } from './field.ts'
import { countIndexes, wrongAltogether } from './jobs.ts'
import type { FieldError } from './kind.ts'
import type { Job, JobStatus, UncountedTerminatedPods } from './kinds/job.ts'
import { validateCounts } from './workload.ts'

/** The conditions that say how a job ends, or will. */
const endings = ['Complete', 'Failed', 'FailureTarget', 'SuccessCriteriaMet'] as const
type Ending = (typeof endings)[number]

export function validateJobStatus(job: Job, before: Job): readonly FieldError[] {
  const change = { job, now: statusOf(job), old: statusOf(before) }
  return [
    ...validateNumbers(change),
    ...validateUncounted(change.now.uncountedTerminatedPods),
    ...validateEndings(change),
    ...validateTimes(change),
    ...validateFinished(change),
    ...validateIndexes(change),
  ]
}

/** All that the rules ask of a status, with its conditions as yes or no. */
type State = JobStatus & { readonly is: Readonly<Record<Ending, boolean>>; readonly isFinished: boolean }
type Change = { readonly job: Job; readonly now: State; readonly old: State }

function statusOf({ status }: Job): State {
  const holds = (type: Ending) =>
    (status?.conditions ?? []).some(condition => condition.type === type && condition.status === 'True')
  const is = Object.fromEntries(endings.map(type => [type, holds(type)])) as State['is']
  return { ...status, is, isFinished: is.Complete || is.Failed }
}

function differs({ now, old }: Change, ...fields: readonly (keyof State)[]): boolean {
  return fields.some(field => !equalJson(now[field] ?? null, old[field] ?? null))
}

const turns = ({ now, old }: Change, ...types: readonly Ending[]): boolean =>
  types.some(type => now.is[type] !== old.is[type])

const secondsOf = (time: string | undefined): number | undefined =>
  time === undefined ? undefined : parseRfc3339(time)
const isOtherTime = (a: string | undefined, b: string | undefined): boolean => secondsOf(a) !== secondsOf(b)

function validateNumbers(change: Change): readonly FieldError[] {
  const { job, now, old } = change
  const { active = 0, succeeded = 0, failed = 0, ready = 0, terminating } = now
  const errors = [
    ...validateCounts({
      'status.active': active,
      'status.succeeded': succeeded,
      'status.failed': failed,
      'status.ready': ready,
      'status.terminating': terminating,
    }),
  ]
  if (ready > active && differs(change, 'ready', 'active')) {
    errors.push(invalidValue('status.ready', ready, 'cannot set more ready pods than active'))
  }
  if (failed < (old.failed ?? 0)) {
    errors.push(invalidValue('status.failed', failed, 'cannot decrease the failed counter'))
  }
  // One whose pods are numbered may shrink, and has fewer successes then.
  const { completionMode, completions, parallelism } = job.spec
  const mayShrink = completionMode === 'Indexed' && completions === parallelism
  if (succeeded < (old.succeeded ?? 0) && !mayShrink) {
    errors.push(invalidValue('status.succeeded', succeeded, 'cannot decrease the succeeded counter'))
  }
  return errors
}

function validateUncounted(uncounted: UncountedTerminatedPods | undefined): readonly FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const list of ['succeeded', 'failed'] as const) {
    for (const [i, uid] of (uncounted?.[list] ?? []).entries()) {
      const at = `status.uncountedTerminatedPods.${list}[${i}]`
      if (uid === '') errors.push(invalidValue(at, uid, 'must not be empty'))
      else if (seen.has(uid)) errors.push(duplicateValue(at, uid))
      seen.add(uid)
    }
  }
  return errors
}

/** A job ends once, in one way, which it has announced. */
function validateEndings(change: Change): readonly FieldError[] {
  const { job, now, old } = change
  const { Complete, Failed, FailureTarget, SuccessCriteriaMet } = now.is
  const wrong: string[] = []
  if (Complete && Failed && turns(change, 'Complete', 'Failed')) {
    wrong.push('cannot set Complete=True and Failed=true conditions')
  }
  if (Complete && FailureTarget && turns(change, 'Complete', 'FailureTarget')) {
    wrong.push('cannot set Complete=True and FailureTarget=true conditions')
  }
  if (Failed && !FailureTarget && turns(change, 'Failed', 'FailureTarget')) {
    wrong.push('cannot set Failed=True condition without the FailureTarget=true condition')
  }
  if (Complete && !SuccessCriteriaMet && turns(change, 'Complete', 'SuccessCriteriaMet')) {
    wrong.push('cannot set Complete=True condition without the SuccessCriteriaMet=true condition')
  }
  if (SuccessCriteriaMet && Failed) wrong.push('cannot set SuccessCriteriaMet=True and Failed=true conditions')
  if (SuccessCriteriaMet && FailureTarget) {
    wrong.push('cannot set SuccessCriteriaMet=True and FailureTarget=true conditions')
  }
  if (job.spec.successPolicy && !SuccessCriteriaMet && Complete) {
    wrong.push('cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True')
  }
  for (const type of ['Failed', 'Complete', 'FailureTarget'] as const) {
    if (old.is[type] && !now.is[type]) wrong.push(`cannot disable the terminal ${type}=True condition`)
  }
  if (old.is.SuccessCriteriaMet && !SuccessCriteriaMet) {
    wrong.push('cannot disable the SuccessCriteriaMet=True condition')
  }
  if (old.is.Complete && !old.is.SuccessCriteriaMet && SuccessCriteriaMet) {
    wrong.push('cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions')
  }
  return wrong.map(why => wrongAltogether('status.conditions', why))
}

function validateTimes(change: Change): readonly FieldError[] {
  const { job, now, old } = change
  const { startTime, completionTime } = now
  const startDiffers = isOtherTime(startTime, old.startTime)
  const endDiffers = isOtherTime(completionTime, old.completionTime)
  const errors: FieldError[] = []
  const wrongEnd = (why: string) => errors.push(invalidValue('status.completionTime', completionTime, why))
  if (turns(change, 'Complete') || endDiffers) {
    if (completionTime !== undefined && !now.is.Complete) {
      wrongEnd('cannot set completionTime when there is no Complete=True condition')
    }
    if (completionTime === undefined && now.is.Complete) {
      errors.push(requiredValue('status.completionTime', 'completionTime is required for Complete jobs'))
    }
  }
  const [start, end] = [secondsOf(startTime), secondsOf(completionTime)]
  if (start !== undefined && end !== undefined && end < start && (startDiffers || endDiffers)) {
    wrongEnd('completionTime cannot be set before startTime')
  }
  if (completionTime !== undefined && old.completionTime !== undefined && endDiffers) {
    wrongEnd('completionTime cannot be mutated')
  }
  if (old.startTime !== undefined && startDiffers && job.spec.suspend !== true) {
    errors.push(requiredValue('status.startTime', 'startTime cannot be removed for unsuspended job'))
  }
  return errors
}

/** Of a job that has ended nothing runs any more, and nothing is left to count. */
function validateFinished(change: Change): readonly FieldError[] {
  const { job, now, old } = change
  if (!now.isFinished) return []
  const { active = 0, terminating = 0, startTime, uncountedTerminatedPods: uncounted } = now
  const ends = !old.isFinished
  const errors: FieldError[] = []
  if (active > 0 && (ends || differs(change, 'active'))) {
    errors.push(invalidValue('status.active', active, 'active>0 is invalid for finished job'))
  }
  // One that was suspended all along may be complete without having begun.
  const maySkipStart = job.spec.suspend === true
  if (startTime === undefined && !maySkipStart && (ends || old.startTime !== undefined)) {
    errors.push(requiredValue('status.startTime', 'startTime is required for finished job'))
  }
  const left = (uncounted?.failed ?? []).length + (uncounted?.succeeded ?? []).length
  if (left > 0 && (ends || differs(change, 'uncountedTerminatedPods'))) {
    const why = 'uncountedTerminatedPods needs to be empty for finished job'
    errors.push(invalidValue('status.uncountedTerminatedPods', uncounted, why))
  }
  if (terminating > 0 && (ends || differs(change, 'terminating'))) {
    errors.push(invalidValue('status.terminating', terminating, 'terminating>0 is invalid for finished job'))
  }
  return errors
}

function validateIndexes(change: Change): readonly FieldError[] {
  const { spec } = change.job
  const { completedIndexes: completed = '', failedIndexes: failed } = change.now
  const { completions, backoffLimitPerIndex, completionMode } = spec
  const isCompleted = differs(change, 'completedIndexes')
  const isFailed = differs(change, 'failedIndexes')
  const errors: FieldError[] = []
  const wrong = (field: 'completedIndexes' | 'failedIndexes', why: string) =>
    errors.push(invalidValue(`status.${field}`, field === 'failedIndexes' ? failed : completed, why))
  const checkFormat = (field: 'completedIndexes' | 'failedIndexes', text: string) => {
    const counted = completions === undefined ? 0 : countIndexes(text, completions)
    if (typeof counted === 'string') wrong(field, `error parsing ${field}: ${counted}`)
  }
  if (isCompleted) checkFormat('completedIndexes', completed)
  if (isFailed && failed !== undefined && backoffLimitPerIndex !== undefined) checkFormat('failedIndexes', failed)
  if (isCompleted && completed !== '' && completionMode !== 'Indexed') {
    wrong('completedIndexes', 'cannot set non-empty completedIndexes when non-indexed completion mode')
  }
  if (isFailed && failed !== undefined && backoffLimitPerIndex === undefined) {
    wrong('failedIndexes', 'cannot set non-null failedIndexes when backoffLimitPerIndex is null')
  }
  const common = isFailed || isCompleted ? commonIndex(completed, failed ?? '', completions) : undefined
  if (common !== undefined) wrong('failedIndexes', `failedIndexes and completedIndexes overlap at index: ${common}`)
  return errors
}

/** The first index that two lists share. What cannot be read is told elsewhere. */
function commonIndex(a: string, b: string, completions: number | undefined): number | undefined {
  if (completions === undefined) return undefined
  const [one, other] = [intervalsOf(a, completions), intervalsOf(b, completions)]
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const [first, last] = one[i] ?? [0, 0]
    const [from, to] = other[j] ?? [0, 0]
    if (first <= to && from <= last) return Math.max(first, from)
    if (first <= from) i += 1
    else j += 1
  }
  return undefined
}

function intervalsOf(text: string, completions: number): readonly (readonly [number, number])[] {
  return text.split(',').flatMap(part => {
    if (part === '' || typeof countIndexes(part, completions) === 'string') return []
    const [first = 0, last = first] = part.split('-').map(Number)
    return [[first, last] as const]
  })
}
