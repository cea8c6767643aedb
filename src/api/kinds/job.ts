// Job (batch/v1).

import { humanDuration, parseRfc3339 } from '../../lib/duration.ts'
import { selects } from '../../lib/selector.ts'
import { containerColumns, selectorText } from '../cells.ts'
import { invalidValue, requiredValue } from '../field.ts'
import { validateJobTemplate } from '../jobs.ts'
import { validateJobStatus } from '../jobstatus.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsLabel } from '../names.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { fixed } from '../workload.ts'

export const podFailurePolicyOnExitCodesRequirement = s.object(
  'io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement',
  {
    containerName: s.string(1, { pointer: true }),
    operator: s.string(2, { required: true }),
    values: s.list(3, scalars.int32, { required: true, listType: 'set' }),
  },
)
export type PodFailurePolicyOnExitCodesRequirement = TypeOf<typeof podFailurePolicyOnExitCodesRequirement>
export const podFailurePolicyOnPodConditionsPattern = s.object(
  'io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern',
  {
    status: s.string(2, { required: true }),
    type: s.string(1, { required: true }),
  },
)
export type PodFailurePolicyOnPodConditionsPattern = TypeOf<typeof podFailurePolicyOnPodConditionsPattern>
export const podFailurePolicyRule = s.object('io.k8s.api.batch.v1.PodFailurePolicyRule', {
  action: s.string(1, { required: true }),
  onExitCodes: s.of(2, podFailurePolicyOnExitCodesRequirement),
  onPodConditions: s.list(3, podFailurePolicyOnPodConditionsPattern),
})
export type PodFailurePolicyRule = TypeOf<typeof podFailurePolicyRule>
export const podFailurePolicy = s.object('io.k8s.api.batch.v1.PodFailurePolicy', {
  rules: s.list(1, podFailurePolicyRule, { required: true }),
})
export type PodFailurePolicy = TypeOf<typeof podFailurePolicy>
export const successPolicyRule = s.object('io.k8s.api.batch.v1.SuccessPolicyRule', {
  succeededIndexes: s.string(1, { pointer: true }),
  succeededCount: s.int32(2, { pointer: true }),
})
export type SuccessPolicyRule = TypeOf<typeof successPolicyRule>
export const successPolicy = s.object('io.k8s.api.batch.v1.SuccessPolicy', {
  rules: s.list(1, successPolicyRule, { required: true }),
})
export type SuccessPolicy = TypeOf<typeof successPolicy>
export const jobSpec = s.object('io.k8s.api.batch.v1.JobSpec', {
  parallelism: s.int32(1, { pointer: true }),
  completions: s.int32(2, { pointer: true }),
  activeDeadlineSeconds: s.int64(3, { pointer: true }),
  selector: s.of(4, labelSelector),
  manualSelector: s.boolean(5, { pointer: true }),
  template: s.of(6, podTemplateSpec, { required: true }),
  backoffLimit: s.int32(7, { pointer: true }),
  ttlSecondsAfterFinished: s.int32(8, { pointer: true }),
  completionMode: s.oneOf(9, ['NonIndexed', 'Indexed'], { pointer: true }),
  suspend: s.boolean(10, { pointer: true }),
  podFailurePolicy: s.of(11, podFailurePolicy),
  backoffLimitPerIndex: s.int32(12, { pointer: true }),
  maxFailedIndexes: s.int32(13, { pointer: true }),
  podReplacementPolicy: s.oneOf(14, ['TerminatingOrFailed', 'Failed'], { pointer: true }),
  managedBy: s.string(15, { pointer: true }),
  successPolicy: s.of(16, successPolicy),
})
export type JobSpec = TypeOf<typeof jobSpec>
export const jobCondition = s.object('io.k8s.api.batch.v1.JobCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  lastProbeTime: s.time(3),
  lastTransitionTime: s.time(4),
  reason: s.string(5),
  message: s.string(6),
})
export type JobCondition = TypeOf<typeof jobCondition>
export const uncountedTerminatedPods = s.object('io.k8s.api.batch.v1.UncountedTerminatedPods', {
  succeeded: s.list(1, scalars.string, { listType: 'set' }),
  failed: s.list(2, scalars.string, { listType: 'set' }),
})
export type UncountedTerminatedPods = TypeOf<typeof uncountedTerminatedPods>
export const jobStatus = s.object('io.k8s.api.batch.v1.JobStatus', {
  conditions: s.list(1, jobCondition, { mergeKey: 'type' }),
  startTime: s.time(2),
  completionTime: s.time(3),
  active: s.int32(4),
  succeeded: s.int32(5),
  failed: s.int32(6),
  completedIndexes: s.string(7),
  uncountedTerminatedPods: s.of(8, uncountedTerminatedPods),
  ready: s.int32(9, { pointer: true }),
  failedIndexes: s.string(10, { pointer: true }),
  terminating: s.int32(11, { pointer: true }),
})
export type JobStatus = TypeOf<typeof jobStatus>
export const jobSchema = s.object('io.k8s.api.batch.v1.Job', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, jobSpec, { default: {} }),
  status: s.of(3, jobStatus, { default: {} }),
})
export type Job = TypeOf<typeof jobSchema>

function hasCondition({ status }: Job, type: string): boolean {
  return (status?.conditions ?? []).some(condition => condition.type === type && condition.status === 'True')
}

function statusText(object: Job): string {
  if (hasCondition(object, 'Complete')) return 'Complete'
  if (hasCondition(object, 'Failed')) return 'Failed'
  if (object.metadata.deletionTimestamp !== undefined) return 'Terminating'
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(type => hasCondition(object, type)) ?? 'Running'
}

function completionsText({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`
  const parallelism = spec.parallelism ?? 0
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`
}

function durationText({ status }: Job, nowMs: number): string {
  const started = parseRfc3339(status?.startTime ?? '')
  if (started === undefined) return ''
  return humanDuration((parseRfc3339(status?.completionTime ?? '') ?? nowMs) - started)
}

const uidLabel = 'batch.kubernetes.io/controller-uid'

/** A job selects its pods by its own uid, so that two jobs never share one, unless its author manages that himself. */
function withOwnLabels(object: Job): Job {
  const { spec, metadata } = object
  if (spec?.manualSelector === true || !spec?.template) return object
  const { uid, name } = metadata
  const labels = {
    ...spec.template.metadata?.labels,
    [uidLabel]: uid,
    'batch.kubernetes.io/job-name': name,
    // The names of old, for those who still select by them.
    'controller-uid': uid,
    'job-name': name,
  }
  const matchLabels = { ...spec.selector?.matchLabels, [uidLabel]: uid }
  const template = { ...spec.template, metadata: { ...spec.template.metadata, labels } }
  return { ...object, spec: { ...spec, selector: { ...spec.selector, matchLabels }, template } }
}

const backoffLimitDefault = 6
const noLimit = 2_147_483_647

export function jobSpecDefaults(spec: JobSpec): JobSpec {
  const { completions, parallelism, backoffLimit, backoffLimitPerIndex } = spec
  return {
    ...spec,
    ...(completions === undefined && parallelism === undefined && { completions: 1 }),
    parallelism: parallelism ?? 1,
    backoffLimit: backoffLimit ?? (backoffLimitPerIndex === undefined ? backoffLimitDefault : noLimit),
    completionMode: spec.completionMode ?? 'NonIndexed',
    suspend: spec.suspend ?? false,
    manualSelector: spec.manualSelector ?? false,
    podReplacementPolicy: spec.podReplacementPolicy ?? (spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed'),
    ...(spec.template && { template: templateDefaults(spec.template) }),
  }
}

function jobDefaults(object: Job): Job {
  const spec = jobSpecDefaults(object.spec)
  const labels = object.metadata.labels ?? spec.template?.metadata?.labels
  return { ...object, metadata: { ...object.metadata, ...(labels && { labels }) }, spec }
}

function validateJob({ metadata, spec }: Job): readonly FieldError[] {
  const errors = [...validateJobTemplate(spec, 'spec')]
  const { selector, template } = spec
  if (!selector) errors.push(requiredValue('spec.selector'))
  else {
    // What a job is given to select its pods by is enough; whoever wants more says so by manualSelector.
    const own = { [uidLabel]: metadata.uid, 'batch.kubernetes.io/job-name': metadata.name }
    const legacy = { 'controller-uid': metadata.uid, 'job-name': metadata.name }
    if (spec.manualSelector !== true && !selects(selector, { ...own, ...legacy })) {
      errors.push(invalidValue('spec.selector', selector, '`selector` not auto-generated'))
    }
    const labels = template?.metadata?.labels
    if (template && !selects(selector, labels)) {
      const why = '`selector` does not match template `labels`'
      errors.push(invalidValue('spec.template.metadata.labels', labels ?? null, why))
    }
  }
  const { completionMode, completions = 0 } = spec
  const longest = `${metadata.name}-${completions - 1}`
  if (completionMode === 'Indexed' && completions > 0 && dnsLabel(longest) !== undefined) {
    const why = `will not able to create pod with invalid DNS label: ${longest}`
    errors.push(invalidValue('metadata.name', metadata.name, why))
  }
  return errors
}

/** Of a suspended job that never ran, where its pods may go can still be changed. */
function validateJobChange(spec: JobSpec, old: JobSpec): readonly FieldError[] {
  const placed = old.suspend ? withPlace(spec.template, old.template) : spec.template
  return [
    ...validateCompletionsChange(spec, old),
    ...fixed('spec.selector', spec.selector, old, old.selector),
    ...fixed('spec.template', placed, old, old.template),
    ...fixed('spec.completionMode', spec.completionMode, old, old.completionMode),
    ...fixed('spec.podFailurePolicy', spec.podFailurePolicy, old, old.podFailurePolicy),
    ...fixed('spec.backoffLimitPerIndex', spec.backoffLimitPerIndex, old, old.backoffLimitPerIndex),
    ...fixed('spec.managedBy', spec.managedBy, old, old.managedBy),
    ...fixed('spec.successPolicy', spec.successPolicy, old, old.successPolicy),
  ]
}

/** A job whose pods are numbered may grow and shrink, with all its pods at once. */
function validateCompletionsChange({ completions, completionMode, parallelism }: JobSpec, old: JobSpec) {
  if (completionMode !== 'Indexed') return fixed('spec.completions', completions, old, old.completions)
  if (completions === undefined || completions === old.completions || completions === parallelism) return []
  return [invalidValue('spec.completions', completions, 'can only be modified in tandem with spec.parallelism')]
}

type Template = JobSpec['template']

function withPlace(template: Template, old: Template): Template {
  const { nodeSelector, affinity, tolerations, schedulingGates } = old.spec
  const { nodeSelector: _, affinity: __, tolerations: ___, schedulingGates: ____, ...rest } = template.spec
  const spec = {
    ...rest,
    ...(nodeSelector && { nodeSelector }),
    ...(affinity && { affinity }),
    ...(tolerations && { tolerations }),
    ...(schedulingGates && { schedulingGates }),
  }
  return { metadata: old.metadata, spec }
}

export const job = defineKind({
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  shortNames: [],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status'],
  schema: jobSchema,
  columns: () => [
    { name: 'Status', type: 'string', cell: statusText },
    { name: 'Completions', type: 'string', cell: completionsText },
    { name: 'Duration', type: 'string', cell: durationText },
    ...containerColumns<Job>(({ spec }) => spec.template?.spec),
    { name: 'Selector', type: 'string', priority: 1, cell: ({ spec }) => selectorText(spec.selector) },
  ],
  fieldLabels: ['status.successful'],
  fields: ({ status }) => ({ 'status.successful': String(status?.succeeded ?? 0) }),
  prepare: (object, old) => (old ? object : withOwnLabels(object)),
  defaults: jobDefaults,
  validate: (object, old) => [...validateJob(object), ...(old ? validateJobChange(object.spec, old.spec) : [])],
  validateStatus: validateJobStatus,
})
