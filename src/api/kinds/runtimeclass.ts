// RuntimeClass (node.k8s.io/v1): a way in which a node can run pods, chosen by a pod's runtimeClassName.
// https://kubernetes.io/docs/concepts/containers/runtime-class/

import { ageColumn } from '../cells.ts'
import { invalidValue } from '../field.ts'
import { defineKind } from '../kind.ts'
import { dnsLabel } from '../names.ts'
import { validateResources } from '../pod/resources.ts'
import { validateTolerations } from '../pod/validate.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { toleration } from '../types/affinity.ts'
import { objectMeta } from '../types/meta.ts'
import { validateLabels } from '../validate.ts'
import { fixed } from '../workload.ts'

export const overhead = s.object(
  'io.k8s.api.node.v1.Overhead',
  {
    podFixed: s.map(1, scalars.quantity, 'Cpu, memory and others, which become overhead of the pod.'),
  },
  { description: 'What a sandbox takes of a node.' },
)
export type Overhead = TypeOf<typeof overhead>
export const scheduling = s.object(
  'io.k8s.api.node.v1.Scheduling',
  {
    nodeSelector: s.map(1, scalars.string, {
      atomic: true,
      description: 'Labels added to nodeSelector of the pod; a pod that wants another value is refused.',
    }),
    tolerations: s.list(2, toleration, 'Added to those of the pod.'),
  },
  { description: 'What is added to pods so that they come to nodes that can run them.' },
)
export type Scheduling = TypeOf<typeof scheduling>
export const runtimeClassSchema = s.object(
  'io.k8s.api.node.v1.RuntimeClass',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name, which pods put into runtimeClassName.' }),
    handler: s.string(2, {
      required: true,
      default: '',
      description: 'What the runtime of a node calls this way, a DNS label; immutable. Without effect here.',
    }),
    overhead: s.of(3, overhead, 'What each such pod takes of its node besides its containers.'),
    scheduling: s.of(4, scheduling, 'Which nodes can run such pods. Default: all.'),
  },
  {
    description:
      'A way of running pods, chosen by runtimeClassName: what it costs and where it is found. How nodes run them is the same here.',
  },
)
export type RuntimeClass = TypeOf<typeof runtimeClassSchema>

export const runtimeClass = defineKind({
  group: 'node.k8s.io',
  version: 'v1',
  kind: 'RuntimeClass',
  plural: 'runtimeclasses',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  updateCreates: true,
  updateNeedsVersion: true,
  stored: true,
  subresources: [],
  schema: runtimeClassSchema,
  generation: false,
  columns: () => [{ name: 'Handler', type: 'string', cell: ({ handler }) => handler }, ageColumn],
  validate: ({ handler, overhead, scheduling }, old) => {
    const wrong = dnsLabel(handler)
    return [
      ...(wrong === undefined ? [] : [invalidValue('handler', handler, wrong)]),
      ...validateResources(overhead?.podFixed && { limits: overhead.podFixed }, 'overhead'),
      ...validateLabels(scheduling?.nodeSelector, 'scheduling.nodeSelector'),
      ...validateTolerations(scheduling?.tolerations ?? [], 'scheduling.tolerations'),
      ...fixed('handler', handler, old, old?.handler),
    ]
  },
})
