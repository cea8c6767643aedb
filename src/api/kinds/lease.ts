// Lease (coordination.k8s.io/v1).

import { invalidValue } from '../field.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { validateCounts } from '../workload.ts'

export const leaseSpec = s.object('io.k8s.api.coordination.v1.LeaseSpec', {
  holderIdentity: s.string(1, { pointer: true }),
  leaseDurationSeconds: s.int32(2, { pointer: true }),
  acquireTime: s.microTime(3),
  renewTime: s.microTime(4),
  leaseTransitions: s.int32(5, { pointer: true }),
  strategy: s.string(6, { pointer: true }),
  preferredHolder: s.string(7, { pointer: true }),
})
export type LeaseSpec = TypeOf<typeof leaseSpec>
export const leaseSchema = s.object('io.k8s.api.coordination.v1.Lease', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, leaseSpec, { default: {} }),
})
export type Lease = TypeOf<typeof leaseSchema>

export const lease = defineKind({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  updateCreates: true,
  updateNeedsVersion: true,
  stored: true,
  subresources: [],
  schema: leaseSchema,
  generation: false,
  columns: () => [{ name: 'Holder', type: 'string', cell: ({ spec }) => spec?.holderIdentity ?? '' }],
  validate: ({ spec }) => [
    ...((spec?.leaseDurationSeconds ?? 1) > 0
      ? []
      : [invalidValue('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0')]),
    ...validateCounts({ 'spec.leaseTransitions': spec?.leaseTransitions }),
  ],
})
