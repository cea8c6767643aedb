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

export const replicationControllerSpec = s.object('io.k8s.api.core.v1.ReplicationControllerSpec', {
  replicas: s.int32(1, { pointer: true, default: 1 }),
  selector: s.map(2, scalars.string, { atomic: true }),
  template: s.of(3, podTemplateSpec),
  minReadySeconds: s.int32(4),
})
export type ReplicationControllerSpec = TypeOf<typeof replicationControllerSpec>
export const replicationControllerCondition = s.object('io.k8s.api.core.v1.ReplicationControllerCondition', {
  type: s.string(1, { required: true }),
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  lastTransitionTime: s.time(3),
  reason: s.string(4),
  message: s.string(5),
})
export type ReplicationControllerCondition = TypeOf<typeof replicationControllerCondition>
export const replicationControllerStatus = s.object('io.k8s.api.core.v1.ReplicationControllerStatus', {
  replicas: s.int32(1, { required: true }),
  fullyLabeledReplicas: s.int32(2),
  observedGeneration: s.int64(3),
  readyReplicas: s.int32(4),
  availableReplicas: s.int32(5),
  conditions: s.list(6, replicationControllerCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
})
export type ReplicationControllerStatus = TypeOf<typeof replicationControllerStatus>
export const replicationControllerSchema = s.object('io.k8s.api.core.v1.ReplicationController', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, replicationControllerSpec, { default: {} }),
  status: s.of(3, replicationControllerStatus, { default: {} }),
})
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
  caution: 'ReplicationControllers are stored, but no controller of this version makes their pods',
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
