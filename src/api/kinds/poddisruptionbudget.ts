// PodDisruptionBudget (policy/v1): how many of some pods may be evicted at once.
import { invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { validateSelector } from '../pod/selector.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { condition, labelSelector, objectMeta } from '../types/meta.ts'
import { validatePart } from '../workload.ts'

const caution =
  'no controller of this version fills the status of PodDisruptionBudgets: evictions of the pods that one selects are refused'

export const podDisruptionBudgetSpec = s.object(
  'io.k8s.api.policy.v1.PodDisruptionBudgetSpec',
  {
    minAvailable: s.intOrString(
      1,
      'Healthy pods that an eviction must leave: a count, or a percentage of the pods expected, rounded up. Excludes maxUnavailable.',
    ),
    selector: s.of(
      2,
      labelSelector,
      'The pods that are guarded, of this namespace; {} takes all of them, absent takes none.',
    ),
    maxUnavailable: s.intOrString(
      3,
      'Pods that may be missing after an eviction: a count, or a percentage of the pods expected, rounded up. Excludes minAvailable.',
    ),
    unhealthyPodEvictionPolicy: s.oneOf(4, ['IfHealthyBudget', 'AlwaysAllow'], {
      pointer: true,
      description:
        'When an eviction of a running pod that is not ready is free: IfHealthyBudget (the default) while enough are healthy, AlwaysAllow always.',
    }),
  },
  { description: 'Which pods are guarded, and how many of them must stay. One bound is given, not both.' },
)
export type PodDisruptionBudgetSpec = TypeOf<typeof podDisruptionBudgetSpec>
export const podDisruptionBudgetStatus = s.object(
  'io.k8s.api.policy.v1.PodDisruptionBudgetStatus',
  {
    observedGeneration: s.int64(
      1,
      'The metadata.generation that the counts belong to; while it is lower, evictions are refused.',
    ),
    disruptedPods: s.map(
      2,
      scalars.time,
      'Pods whose eviction was granted and that have not gone yet: by name, the time of the grant.',
    ),
    disruptionsAllowed: s.int32(3, {
      required: true,
      description: 'Pods that may be evicted now; with 0 an eviction is refused.',
    }),
    currentHealthy: s.int32(4, { required: true, description: 'Guarded pods that are ready.' }),
    desiredHealthy: s.int32(5, { required: true, description: 'Guarded pods that must stay ready.' }),
    expectedPods: s.int32(6, { required: true, description: 'Pods that there are to be, by what their owners want.' }),
    conditions: s.list(7, condition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'Whether evictions are allowed, and if not why; one entry of each type.',
    }),
  },
  { description: 'How many evictions the budget still allows. Each that the API server grants is taken off.' },
)
export type PodDisruptionBudgetStatus = TypeOf<typeof podDisruptionBudgetStatus>
export const podDisruptionBudgetSchema = s.object(
  'io.k8s.api.policy.v1.PodDisruptionBudget',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name, namespace, labels and the like.' }),
    spec: s.of(2, podDisruptionBudgetSpec, { default: {}, description: 'What is guarded.' }),
    status: s.of(3, podDisruptionBudgetStatus, { default: {}, description: 'What may still be evicted.' }),
  },
  { description: `Bounds how many of the pods of an application may be evicted at once; ${caution}.` },
)
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
  caution,
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
