// PodDisruptionBudget (policy/v1).
import { invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { validateSelector } from '../pod/selector.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { condition, labelSelector, objectMeta } from '../types/meta.ts'
import { validatePart } from '../workload.ts'

export const podDisruptionBudgetSpec = s.object('io.k8s.api.policy.v1.PodDisruptionBudgetSpec', {
  minAvailable: s.intOrString(1),
  selector: s.of(2, labelSelector),
  maxUnavailable: s.intOrString(3),
  unhealthyPodEvictionPolicy: s.oneOf(4, ['IfHealthyBudget', 'AlwaysAllow'], { pointer: true }),
})
export type PodDisruptionBudgetSpec = TypeOf<typeof podDisruptionBudgetSpec>
export const podDisruptionBudgetStatus = s.object('io.k8s.api.policy.v1.PodDisruptionBudgetStatus', {
  observedGeneration: s.int64(1),
  disruptedPods: s.map(2, scalars.time),
  disruptionsAllowed: s.int32(3, { required: true }),
  currentHealthy: s.int32(4, { required: true }),
  desiredHealthy: s.int32(5, { required: true }),
  expectedPods: s.int32(6, { required: true }),
  conditions: s.list(7, condition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
})
export type PodDisruptionBudgetStatus = TypeOf<typeof podDisruptionBudgetStatus>
export const podDisruptionBudgetSchema = s.object('io.k8s.api.policy.v1.PodDisruptionBudget', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, podDisruptionBudgetSpec, { default: {} }),
  status: s.of(3, podDisruptionBudgetStatus, { default: {} }),
})
export type PodDisruptionBudget = TypeOf<typeof podDisruptionBudgetSchema>

function validateBudget(spec: PodDisruptionBudgetSpec): readonly FieldError[] {
  const { minAvailable, maxUnavailable, selector } = spec
  const errors: FieldError[] = []
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    errors.push(invalidValue('spec', spec, 'minAvailable and maxUnavailable cannot be both set'))
  }
  return [
    ...errors,
    ...validatePart(minAvailable, 'spec.minAvailable'),
    ...validatePart(maxUnavailable, 'spec.maxUnavailable'),
    ...validateSelector(selector, 'spec.selector'),
  ]
}

export const podDisruptionBudget = defineKind({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  shortNames: ['pdb'],
  categories: [],
  scope: 'Namespaced',
  updateNeedsVersion: true,
  caution:
    'no controller of this version fills the status of PodDisruptionBudgets: evictions of the pods that one selects are refused',
  stored: true,
  subresources: ['status'],
  schema: podDisruptionBudgetSchema,
  columns: () => [
    { name: 'Min Available', type: 'string', cell: ({ spec }) => String(spec.minAvailable ?? 'N/A') },
    { name: 'Max Unavailable', type: 'string', cell: ({ spec }) => String(spec.maxUnavailable ?? 'N/A') },
    { name: 'Allowed Disruptions', type: 'integer', cell: ({ status }) => status?.disruptionsAllowed ?? 0 },
  ],
  validate: ({ spec }) => validateBudget(spec),
})
