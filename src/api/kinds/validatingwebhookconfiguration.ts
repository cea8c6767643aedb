// ValidatingWebhookConfiguration (admissionregistration.k8s.io/v1): whom the server asks whether it may let a request pass.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { admissionGroup, matchConditionsField, validateWebhooks, webhookFields } from '../types/admission.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'

export const validatingWebhook = s.object('io.k8s.api.admissionregistration.v1.ValidatingWebhook', {
  ...webhookFields,
  objectSelector: s.of(10, labelSelector, { default: {} }),
  matchConditions: matchConditionsField(11),
})
export type ValidatingWebhook = TypeOf<typeof validatingWebhook>

export const validatingWebhookConfigurationSchema = s.object(
  'io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true }),
    webhooks: s.list(2, validatingWebhook, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  },
)
export type ValidatingWebhookConfiguration = TypeOf<typeof validatingWebhookConfigurationSchema>

export const validatingWebhookConfiguration = defineKind({
  group: admissionGroup,
  version: 'v1',
  kind: 'ValidatingWebhookConfiguration',
  plural: 'validatingwebhookconfigurations',
  categories: ['api-extensions'],
  scope: 'Cluster',
  updateNeedsVersion: true,
  schema: validatingWebhookConfigurationSchema,
  columns: () => [
    {
      name: 'Webhooks',
      type: 'integer',
      description: 'Webhooks indicates the number of webhooks configured in this configuration.',
      cell: ({ webhooks = [] }) => webhooks.length,
    },
  ],
  validate: ({ webhooks }) => validateWebhooks(webhooks),
})
