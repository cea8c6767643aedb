// MutatingWebhookConfiguration (admissionregistration.k8s.io/v1): whom the server asks to change what is to be written.
import { notSupported } from '../field.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { admissionGroup, byObject, matchConditionsField, validateWebhooks, webhookFields } from '../types/admission.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'

export const mutatingWebhook = s.object(
  'io.k8s.api.admissionregistration.v1.MutatingWebhook',
  {
    ...webhookFields,
    reinvocationPolicy: s.string(10, {
      pointer: true,
      default: 'Never',
      description: 'Never or IfNeeded: whether it is asked once more when others have changed the object after it.',
    }),
    objectSelector: s.of(11, labelSelector, {
      default: {},
      description: byObject,
    }),
    matchConditions: matchConditionsField(12),
  },
  { description: 'A webhook that may change objects before they are written, or refuse the request.' },
)
export type MutatingWebhook = TypeOf<typeof mutatingWebhook>

export const mutatingWebhookConfigurationSchema = s.object(
  'io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Configurations are gone through in the order of their names.',
    }),
    webhooks: s.list(2, mutatingWebhook, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description: 'Asked one after the other, each shown what those before it have made of the object.',
    }),
  },
  { description: 'Webhooks that are asked to change what is to be written.' },
)
export type MutatingWebhookConfiguration = TypeOf<typeof mutatingWebhookConfigurationSchema>

const policies = ['IfNeeded', 'Never']

export const mutatingWebhookConfiguration = defineKind({
  group: admissionGroup,
  version: 'v1',
  kind: 'MutatingWebhookConfiguration',
  plural: 'mutatingwebhookconfigurations',
  categories: ['api-extensions'],
  scope: 'Cluster',
  updateNeedsVersion: true,
  schema: mutatingWebhookConfigurationSchema,
  columns: () => [
    {
      name: 'Webhooks',
      type: 'integer',
      description: 'Webhooks indicates the number of webhooks configured in this configuration.',
      cell: ({ webhooks = [] }) => webhooks.length,
    },
  ],
  validate: ({ webhooks = [] }) => [
    ...validateWebhooks(webhooks),
    ...webhooks.flatMap(({ reinvocationPolicy }, i) =>
      policies.includes(reinvocationPolicy)
        ? []
        : [notSupported(`webhooks[${i}].reinvocationPolicy`, reinvocationPolicy, policies)],
    ),
  ],
})
