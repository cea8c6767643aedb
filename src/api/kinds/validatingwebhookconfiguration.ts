// ValidatingWebhookConfiguration (admissionregistration.k8s.io/v1): whom the server asks whether it may let a request pass.
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { admissionGroup, byObject, matchConditionsField, validateWebhooks, webhookFields } from '../types/admission.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'

export const validatingWebhook = s.object(
  'io.k8s.api.admissionregistration.v1.ValidatingWebhook',
  {
    ...webhookFields,
    objectSelector: s.of(10, labelSelector, {
      default: {},
      description: byObject,
    }),
    matchConditions: matchConditionsField(11),
  },
  { description: 'A webhook that lets requests pass or refuses them, and changes nothing.' },
)
export type ValidatingWebhook = TypeOf<typeof validatingWebhook>

export const validatingWebhookConfigurationSchema = s.object(
  'io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'The name is free to choose; the webhooks have names of their own.',
    }),
    webhooks: s.list(2, validatingWebhook, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Asked all at once; a single refusal is enough.',
    }),
  },
  { description: 'Webhooks that judge requests after all changes are made.' },
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
