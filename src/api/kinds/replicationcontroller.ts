// ReplicationController (v1): what came before ReplicaSets; its selector is a plain map of labels.
// https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/

import { selects } from '../../lib/selector.ts'
import { containerColumns, labelsText } from '../cells.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { validateTemplate } from '../pod/validate.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { validateLabels } from '../validate.ts'
import { validateCounts, validateReplicas } from '../workload.ts'

const caution = 'ReplicationControllers are stored, but no controller of this version makes their pods'

export const replicationControllerSpec = s.object(
  'io.k8s.api.core.v1.ReplicationControllerSpec',
  {
    replicas: s.int32(1, { pointer: true, default: 1, description: 'Number of pods wanted; 1 by default.' }),
    selector: s.map(2, scalars.string, {
      atomic: true,
      description:
        'Labels that its pods have, each with the value given; those of the template when empty. It can be changed.',
    }),
    template: s.of(
      3,
      podTemplateSpec,
      'The pods to make. A change touches none that run already; their restartPolicy must be Always.',
    ),
    minReadySeconds: s.int32(4, 'Seconds that a pod must have been ready to count as available; 0 counts it at once.'),
  },
  { description: 'How many pods of which template there are to be.' },
)
export type ReplicationControllerSpec = TypeOf<typeof replicationControllerSpec>
export const replicationControllerCondition = s.object(
  'io.k8s.api.core.v1.ReplicationControllerCondition',
  {
    type: s.string(1, { required: true, description: 'ReplicaFailure: the last pods could not be made or deleted.' }),
    status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it holds.' }),
    lastTransitionTime: s.time(3, 'When status last took another value.'),
    reason: s.string(4, 'Why, in one word for programs.'),
    message: s.string(5, 'Why, in a sentence for people.'),
  },
  { description: 'One aspect of how a ReplicationController stands.' },
)
export type ReplicationControllerCondition = TypeOf<typeof replicationControllerCondition>
export const replicationControllerStatus = s.object(
  'io.k8s.api.core.v1.ReplicationControllerStatus',
  {
    replicas: s.int32(1, { required: true, description: 'Pods that have not ended and are not being deleted.' }),
    fullyLabeledReplicas: s.int32(2, 'Of these, those that carry every label of the template.'),
    observedGeneration: s.int64(
      3,
      'The metadata.generation that the counts belong to; a lower one means that the last change is not seen yet.',
    ),
    readyReplicas: s.int32(4, 'Of these, those whose condition Ready is True.'),
    availableReplicas: s.int32(5, 'Of these, those that have been ready for minReadySeconds.'),
    conditions: s.list(6, replicationControllerCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What hinders it, one entry of each type.',
    }),
  },
  { description: 'Counts of the pods of a ReplicationController.' },
)
export type ReplicationControllerStatus = TypeOf<typeof replicationControllerStatus>
export const replicationControllerSchema = s.object(
  'io.k8s.api.core.v1.ReplicationController',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace and the like; labels are those of the template where none are given.',
    }),
    spec: s.of(2, replicationControllerSpec, { default: {}, description: 'What is to run.' }),
    status: s.of(3, replicationControllerStatus, { default: {}, description: 'What runs.' }),
  },
  { description: `Keeps a number of equal pods running; ReplicaSets have taken its place. ${caution}.` },
)
export type ReplicationController = TypeOf<typeof replicationControllerSchema>

const isEmpty = (labels: object | undefined): boolean => Object.keys(labels ?? {}).length === 0

/** Without a selector it selects what its template makes, and without labels it has those of the template. */
function withTemplateLabels(object: ReplicationController): ReplicationController {
  const labels = object.spec.template?.metadata?.labels
  if (labels === undefined || isEmpty(labels)) return object
  return {
    ...object,
    metadata: isEmpty(object.metadata.labels) ? { ...object.metadata, labels } : object.metadata,
    spec: isEmpty(object.spec.selector) ? { ...object.spec, selector: labels } : object.spec,
  }
}

function validateController(spec: ReplicationControllerSpec): readonly FieldError[] {
  const { selector, template } = spec
  const errors = [
    ...validateCounts({ 'spec.minReadySeconds': spec.minReadySeconds }),
    ...(isEmpty(selector) ? [requiredValue('spec.selector')] : validateLabels(selector, 'spec.selector')),
    ...validateCounts({ 'spec.replicas': spec.replicas }),
  ]
  if (!template) return [...errors, requiredValue('spec.template')]
  const labels = template.metadata?.labels
  if (!isEmpty(selector) && !selects({ matchLabels: selector ?? {} }, labels)) {
    const why = '`selector` does not match template `labels`'
    errors.push(invalidValue('spec.template.metadata.labels', labels ?? null, why))
  }
  errors.push(...validateTemplate(template, 'spec.template'))
  const { restartPolicy, activeDeadlineSeconds } = template.spec ?? {}
  if (restartPolicy !== undefined && restartPolicy !== 'Always') {
    errors.push(notSupported('spec.template.spec.restartPolicy', restartPolicy, ['Always']))
  }
  if (activeDeadlineSeconds !== undefined) {
    const why = 'activeDeadlineSeconds in ReplicationController is not Supported'
    errors.push(forbidden('spec.template.spec.activeDeadlineSeconds', why))
  }
  return errors
}

export const replicationController = defineKind({
  group: '',
  version: 'v1',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  shortNames: ['rc'],
  categories: ['all'],
  scope: 'Namespaced',
  caution,
  stored: true,
  subresources: ['status', 'scale'],
  schema: replicationControllerSchema,
  columns: () => [
    { name: 'Desired', type: 'integer', cell: ({ spec }) => spec.replicas },
    { name: 'Current', type: 'integer', cell: ({ status }) => status?.replicas ?? 0 },
    { name: 'Ready', type: 'integer', cell: ({ status }) => status?.readyReplicas ?? 0 },
    ...containerColumns<ReplicationController>(({ spec }) => spec.template?.spec),
    { name: 'Selector', type: 'string', priority: 1, cell: ({ spec }) => labelsText(spec.selector) },
  ],
  fieldLabels: ['status.replicas'],
  fields: ({ status }) => ({ 'status.replicas': String(status?.replicas ?? 0) }),
  defaults: object => {
    const { template } = object.spec
    const filled = template ? { ...object, spec: { ...object.spec, template: templateDefaults(template) } } : object
    return withTemplateLabels(filled)
  },
  validate: ({ spec }) => validateController(spec),
  validateStatus: ({ status }) =>
    validateReplicas(status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']),
})
