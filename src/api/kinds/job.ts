// Job (batch/v1): pods that run until enough of them have succeeded.

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
import { withNodesOf } from '../pod/nodeterms.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { fixed } from '../workload.ts'

export const podFailurePolicyOnExitCodesRequirement = s.object(
  'io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement',
  {
    containerName: s.string(1, {
      pointer: true,
      description: 'Container or init container of the template whose code counts; any of them when absent.',
    }),
    operator: s.string(2, { required: true, description: 'In: the code is one of values. NotIn: it is none of them.' }),
    values: s.list(3, scalars.int32, {
      required: true,
      listType: 'set',
      description: 'Exit codes in ascending order, each once, at most 255 of them; 0 is refused with In.',
    }),
  },
  { description: 'Picks failed pods by the exit codes of their containers; a code of 0 is never looked at.' },
)
export type PodFailurePolicyOnExitCodesRequirement = TypeOf<typeof podFailurePolicyOnExitCodesRequirement>
export const podFailurePolicyOnPodConditionsPattern = s.object(
  'io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern',
  {
    status: s.string(2, { required: true, description: 'True, False or Unknown: what the condition has to say.' }),
    type: s.string(1, {
      required: true,
      description: 'The condition, as in DisruptionTarget, which evicted and preempted pods have.',
    }),
  },
  { description: 'Picks failed pods by one of their conditions.' },
)
export type PodFailurePolicyOnPodConditionsPattern = TypeOf<typeof podFailurePolicyOnPodConditionsPattern>
export const podFailurePolicyRule = s.object(
  'io.k8s.api.batch.v1.PodFailurePolicyRule',
  {
    action: s.string(1, {
      required: true,
      description:
        'FailJob ends the Job, FailIndex the index (it needs backoffLimitPerIndex), Ignore leaves the failure uncounted, Count counts it.',
    }),
    onExitCodes: s.of(
      2,
      podFailurePolicyOnExitCodesRequirement,
      'Fits when a container ended with such a code. Excludes onPodConditions.',
    ),
    onPodConditions: s.list(
      3,
      podFailurePolicyOnPodConditionsPattern,
      'Fits when the pod has any of these conditions; at most 20. Excludes onExitCodes.',
    ),
  },
  { description: 'What follows from certain failures; found by exit codes or by conditions, not both.' },
)
export type PodFailurePolicyRule = TypeOf<typeof podFailurePolicyRule>
export const podFailurePolicy = s.object(
  'io.k8s.api.batch.v1.PodFailurePolicy',
  {
    rules: s.list(1, podFailurePolicyRule, {
      required: true,
      description: 'At most 20, in order: the first that fits decides. A failure that fits none is counted.',
    }),
  },
  { description: 'Tells failures apart that backoffLimit would only count.' },
)
export type PodFailurePolicy = TypeOf<typeof podFailurePolicy>
export const successPolicyRule = s.object(
  'io.k8s.api.batch.v1.SuccessPolicyRule',
  {
    succeededIndexes: s.string(1, {
      pointer: true,
      description: 'Indexes that are looked at, as in 1,3-5,7; all of them when absent.',
    }),
    succeededCount: s.int32(2, {
      pointer: true,
      description: 'How many of these indexes must succeed; each that is named when absent.',
    }),
  },
  { description: 'Which successes are enough; at least one of the two is given.' },
)
export type SuccessPolicyRule = TypeOf<typeof successPolicyRule>
export const successPolicy = s.object(
  'io.k8s.api.batch.v1.SuccessPolicy',
  {
    rules: s.list(1, successPolicyRule, {
      required: true,
      description: 'At most 20: the first that is met completes the Job, and pods that still run are removed.',
    }),
  },
  { description: 'When a Job with numbered pods is done before all of them have succeeded.' },
)
export type SuccessPolicy = TypeOf<typeof successPolicy>
export const jobSpec = s.object(
  'io.k8s.api.batch.v1.JobSpec',
  {
    parallelism: s.int32(1, {
      pointer: true,
      description: 'Pods that may run at the same time; 1 by default. With 0 none is started.',
    }),
    completions: s.int32(2, {
      pointer: true,
      description:
        'Successful pods that make the Job complete; 1 by default. With parallelism alone, the first success is enough once the others have ended.',
    }),
    activeDeadlineSeconds: s.int64(3, {
      pointer: true,
      description:
        'Seconds from status.startTime after which the Job fails and its pods are removed; absent, without bound.',
    }),
    selector: s.of(
      4,
      labelSelector,
      'Labels by which the Job knows its pods. The server makes it, unless manualSelector is true. Immutable.',
    ),
    manualSelector: s.boolean(5, {
      pointer: true,
      description:
        'True: selector and the labels of the template are taken as given, and must fit no pod of another Job.',
    }),
    template: s.of(6, podTemplateSpec, {
      required: true,
      description:
        'The pods that do the work; restartPolicy is OnFailure or Never. Immutable but for the placement of a suspended Job.',
    }),
    backoffLimit: s.int32(7, {
      pointer: true,
      description:
        'Failures that are borne; one more fails the Job. 6 by default, any number when backoffLimitPerIndex is set.',
    }),
    ttlSecondsAfterFinished: s.int32(8, {
      pointer: true,
      description:
        'Seconds after its end until the Job and its pods are deleted; 0 deletes them at once, absent keeps them.',
    }),
    completionMode: s.oneOf(9, ['NonIndexed', 'Indexed'], {
      pointer: true,
      description:
        'NonIndexed (the default): one success is like another. Indexed: pods are numbered from 0, and each number has to succeed. Immutable.',
    }),
    suspend: s.boolean(10, {
      pointer: true,
      description:
        'True removes the running pods and makes none until it is false again. The deadline starts anew then.',
    }),
    podFailurePolicy: s.of(
      11,
      podFailurePolicy,
      'Answers to certain failures other than to count them. Needs restartPolicy Never. Immutable.',
    ),
    backoffLimitPerIndex: s.int32(12, {
      pointer: true,
      description:
        'As backoffLimit, for each index by itself: the others go on when one has failed. Only with Indexed. Immutable.',
    }),
    maxFailedIndexes: s.int32(13, {
      pointer: true,
      description:
        'Failed indexes that are borne; one more fails the whole Job at once. Needs backoffLimitPerIndex; absent, any number is borne.',
    }),
    podReplacementPolicy: s.oneOf(14, ['TerminatingOrFailed', 'Failed'], {
      pointer: true,
      description:
        'When a deleted pod is replaced: TerminatingOrFailed (the default) at once, Failed once it has ended. With podFailurePolicy it is Failed.',
    }),
    managedBy: s.string(15, {
      pointer: true,
      description:
        'Who runs the Job, as in example.com/queue. Other than kubernetes.io/job-controller, no pods are made for it here. Immutable.',
    }),
    successPolicy: s.of(
      16,
      successPolicy,
      'When the Job is complete though not every index has succeeded. Only with Indexed. Immutable.',
    ),
  },
  { description: 'What work is to be done, by how many pods at once, and when it has failed.' },
)
export type JobSpec = TypeOf<typeof jobSpec>
export const jobCondition = s.object(
  'io.k8s.api.batch.v1.JobCondition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it holds.' }),
    type: s.string(1, {
      required: true,
      description:
        'Complete or Failed: it is over. SuccessCriteriaMet or FailureTarget: that is decided, and pods are still ending. Suspended: it is held.',
    }),
    lastProbeTime: s.time(3, 'When the condition was last written; here the same as lastTransitionTime.'),
    lastTransitionTime: s.time(4, 'When status last took another value.'),
    reason: s.string(5, 'Why, in one word for programs, as in BackoffLimitExceeded.'),
    message: s.string(6, 'Why, in a sentence for people.'),
  },
  { description: 'One aspect of how a Job stands.' },
)
export type JobCondition = TypeOf<typeof jobCondition>
export const uncountedTerminatedPods = s.object(
  'io.k8s.api.batch.v1.UncountedTerminatedPods',
  {
    succeeded: s.list(1, scalars.string, {
      listType: 'set',
      description: 'Uids of ended pods that are yet to be added to the successes.',
    }),
    failed: s.list(2, scalars.string, {
      listType: 'set',
      description: 'Uids of ended pods that are yet to be added to the failures.',
    }),
  },
  {
    description:
      'Ended pods on their way into the counts: noted here until their finalizer is gone, so that none counts twice.',
  },
)
export type UncountedTerminatedPods = TypeOf<typeof uncountedTerminatedPods>
export const jobStatus = s.object(
  'io.k8s.api.batch.v1.JobStatus',
  {
    conditions: s.list(1, jobCondition, {
      mergeKey: 'type',
      description: 'Whether the Job is suspended, decided or over, and why.',
    }),
    startTime: s.time(2, 'When the controller took the Job up, or it was resumed last; absent while it is suspended.'),
    completionTime: s.time(3, 'When it was complete. A Job that fails has none.'),
    active: s.int32(4, 'Pods that have not ended and are not being deleted. Absent for none.'),
    succeeded: s.int32(5, 'Pods that have ended in success. Absent for none.'),
    failed: s.int32(6, 'Pods that have failed, but for those that podFailurePolicy ignores. Absent for none.'),
    completedIndexes: s.string(7, 'Indexes that have succeeded, as in 1,3-5,7. Only with Indexed.'),
    uncountedTerminatedPods: s.of(8, uncountedTerminatedPods, 'Ended pods that are noted, and not counted yet.'),
    ready: s.int32(9, { pointer: true, description: 'Active pods whose condition Ready is True.' }),
    failedIndexes: s.string(10, {
      pointer: true,
      description: 'Indexes that have failed for good, as in 1,3-5,7. Only with backoffLimitPerIndex.',
    }),
    terminating: s.int32(11, { pointer: true, description: 'Pods that are being deleted and have not ended yet.' }),
  },
  { description: 'What has become of the pods of a Job. Its controller counts each of them exactly once.' },
)
export type JobStatus = TypeOf<typeof jobStatus>
export const jobSchema = s.object(
  'io.k8s.api.batch.v1.Job',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace and the like; labels are those of the template where none are given.',
    }),
    spec: s.of(2, jobSpec, { default: {}, description: 'What is to be done.' }),
    status: s.of(3, jobStatus, { default: {}, description: 'How far it is done, as the controller saw it last.' }),
  },
  { description: 'Runs pods until enough of them have succeeded, or too many have failed.' },
)
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
function validateJobChange({ spec }: Job, { spec: old, status }: Job): readonly FieldError[] {
  const neverRan = old.suspend === true && status?.startTime === undefined
  const template = neverRan ? withPlace(spec.template, old.template) : spec.template
  return [
    ...validateCompletionsChange(spec, old),
    ...fixed('spec.selector', spec.selector, old, old.selector),
    ...fixed('spec.template', template, old, old.template),
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

/** The template with all that says where its pods may go, and what they are called, taken from `old`. */
function withPlace(template: Template, old: Template): Template {
  const { nodeSelector: _, affinity, tolerations: __, schedulingGates: ___, ...rest } = template.spec
  const { nodeSelector, tolerations, schedulingGates } = old.spec
  const placed = withNodesOf(affinity, old.spec.affinity)
  const { labels, annotations } = old.metadata ?? {}
  const { labels: ____, annotations: _____, ...metadata } = template.metadata ?? {}
  const spec = {
    ...rest,
    ...(nodeSelector && { nodeSelector }),
    ...(placed && { affinity: placed }),
    ...(tolerations && { tolerations }),
    ...(schedulingGates && { schedulingGates }),
  }
  return { metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) }, spec } as Template
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
  validate: (object, old) => [...validateJob(object), ...(old ? validateJobChange(object, old) : [])],
  validateStatus: validateJobStatus,
})
