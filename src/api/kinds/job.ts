// Job (batch/v1).

import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'

export const podFailurePolicyOnExitCodesRequirement = s.object(
  'io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement',
  {
    containerName: s.string(1),
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
  succeededIndexes: s.string(1),
  succeededCount: s.int32(2),
})
export type SuccessPolicyRule = TypeOf<typeof successPolicyRule>
export const successPolicy = s.object('io.k8s.api.batch.v1.SuccessPolicy', {
  rules: s.list(1, successPolicyRule, { required: true }),
})
export type SuccessPolicy = TypeOf<typeof successPolicy>
export const jobSpec = s.object('io.k8s.api.batch.v1.JobSpec', {
  parallelism: s.int32(1),
  completions: s.int32(2),
  activeDeadlineSeconds: s.int64(3),
  selector: s.of(4, labelSelector),
  manualSelector: s.boolean(5),
  template: s.of(6, podTemplateSpec, { required: true }),
  backoffLimit: s.int32(7),
  ttlSecondsAfterFinished: s.int32(8),
  completionMode: s.oneOf(9, ['NonIndexed', 'Indexed'], { default: 'NonIndexed' }),
  suspend: s.boolean(10, { default: false }),
  podFailurePolicy: s.of(11, podFailurePolicy),
  backoffLimitPerIndex: s.int32(12),
  maxFailedIndexes: s.int32(13),
  podReplacementPolicy: s.oneOf(14, ['TerminatingOrFailed', 'Failed']),
  managedBy: s.string(15),
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
  ready: s.int32(9),
  failedIndexes: s.string(10),
  terminating: s.int32(11),
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
})
