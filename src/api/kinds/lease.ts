// Lease (coordination.k8s.io/v1): a lock that has to be renewed, by which programs choose their leader.

import { invalidValue } from '../field.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { validateCounts } from '../workload.ts'

export const leaseSpec = s.object(
  'io.k8s.api.coordination.v1.LeaseSpec',
  {
    holderIdentity: s.string(1, {
      pointer: true,
      description: 'Who has it now, by a name that each candidate makes unique; empty: nobody.',
    }),
    leaseDurationSeconds: s.int32(2, {
      pointer: true,
      description: 'Seconds after renewTime that others let pass before they take it over; greater than 0.',
    }),
    acquireTime: s.microTime(3, 'When the holder got it.'),
    renewTime: s.microTime(4, 'When the holder last said that it still is there.'),
    leaseTransitions: s.int32(5, { pointer: true, description: 'How often it has gone from one holder to another.' }),
    strategy: s.string(6, {
      pointer: true,
      description: 'How a coordinator is to choose the holder. Stored, without effect here.',
    }),
    preferredHolder: s.string(7, {
      pointer: true,
      description: 'For whom a coordinator wants the holder to step back. Stored, without effect here.',
    }),
  },
  { description: 'Who holds a lease, and until when.' },
)
export type LeaseSpec = TypeOf<typeof leaseSpec>
export const leaseSchema = s.object(
  'io.k8s.api.coordination.v1.Lease',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Update it with its resourceVersion, so that of two candidates one loses.',
    }),
    spec: s.of(2, leaseSpec, { default: {}, description: 'Who holds it, and until when.' }),
  },
  {
    description:
      'A lock that its holder has to renew, by which programs agree on one leader. The programs judge it; the server does not.',
  },
)
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
