// Pod (v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { podSpec } from '../types/podspec.ts'
import { podStatus } from '../types/podstatus.ts'

export const podSchema = s.object('io.k8s.api.core.v1.Pod', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, podSpec, { default: {} }),
  status: s.of(3, podStatus, { default: {} }),
})
export type Pod = TypeOf<typeof podSchema>

export const pod = defineKind({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status'],
  schema: podSchema,
})
