// CustomResourceDefinition (apiextensions.k8s.io/v1): a kind that somebody else defines. What it says of its objects is
// checked by custom/definition.ts and custom/structural.ts; custom/kind.ts makes the kinds that it defines, one a version.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/

import { rfc3339 } from '../../lib/duration.ts'
import { rounded } from '../../lib/json.ts'
import { nameColumn } from '../cells.ts'
import { validateDefinition } from '../custom/definition.ts'
import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { jsonSchemaProps } from '../types/jsonschema.ts'
import { objectMeta } from '../types/meta.ts'

const prefix = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'

const serviceReference = s.object(`${prefix}.ServiceReference`, {
  namespace: s.string(1, { required: true }),
  name: s.string(2, { required: true }),
  path: s.string(3, { pointer: true }),
  port: s.int32(4, { pointer: true, default: 443, description: 'The port on which the service offers the webhook.' }),
})
const webhookClientConfig = s.object(`${prefix}.WebhookClientConfig`, {
  url: s.string(3, { pointer: true, description: 'https://host:port/path; excludes service.' }),
  service: s.of(1, serviceReference),
  caBundle: s.bytes(2, { description: 'PEM of the CAs that the webhook is verified by.' }),
})
export type WebhookClientConfig = TypeOf<typeof webhookClientConfig>

const webhookConversion = s.object(`${prefix}.WebhookConversion`, {
  clientConfig: s.of(2, webhookClientConfig),
  conversionReviewVersions: s.list(3, scalars.string, { required: true }),
})
const customResourceConversion = s.object(`${prefix}.CustomResourceConversion`, {
  strategy: s.oneOf(1, ['None', 'Webhook'], {
    required: true,
    description: 'None changes the apiVersion alone; Webhook asks.',
  }),
  webhook: s.of(2, webhookConversion),
})
const customResourceDefinitionNames = s.object(`${prefix}.CustomResourceDefinitionNames`, {
  plural: s.string(1, { required: true, description: 'As in the path: /apis/<group>/<version>/<plural>.' }),
  singular: s.string(2),
  shortNames: s.list(3, scalars.string),
  kind: s.string(4, { required: true }),
  listKind: s.string(5),
  categories: s.list(6, scalars.string),
})
export type CustomResourceDefinitionNames = TypeOf<typeof customResourceDefinitionNames>

const customResourceValidation = s.object(`${prefix}.CustomResourceValidation`, {
  openAPIV3Schema: s.of(1, jsonSchemaProps),
})
const customResourceSubresourceScale = s.object(`${prefix}.CustomResourceSubresourceScale`, {
  specReplicasPath: s.string(1, { required: true }),
  statusReplicasPath: s.string(2, { required: true }),
  labelSelectorPath: s.string(3, { pointer: true }),
})
export type ScalePaths = TypeOf<typeof customResourceSubresourceScale>

const customResourceSubresources = s.object(`${prefix}.CustomResourceSubresources`, {
  status: s.of(1, s.object(`${prefix}.CustomResourceSubresourceStatus`, {})),
  scale: s.of(2, customResourceSubresourceScale),
})
const customResourceColumnDefinition = s.object(`${prefix}.CustomResourceColumnDefinition`, {
  name: s.string(1, { required: true }),
  type: s.string(2, { required: true }),
  format: s.string(3),
  description: s.string(4),
  priority: s.int32(5),
  jsonPath: s.string(6, { required: true }),
})
export type CustomResourceColumnDefinition = TypeOf<typeof customResourceColumnDefinition>

const selectableField = s.object(`${prefix}.SelectableField`, { jsonPath: s.string(1, { required: true }) })

const customResourceDefinitionVersion = s.object(`${prefix}.CustomResourceDefinitionVersion`, {
  name: s.string(1, { required: true }),
  served: s.boolean(2, { required: true }),
  storage: s.boolean(3, { required: true, description: 'Exactly one version is the one that objects are stored in.' }),
  deprecated: s.boolean(7),
  deprecationWarning: s.string(8, { pointer: true }),
  schema: s.of(4, customResourceValidation),
  subresources: s.of(5, customResourceSubresources),
  additionalPrinterColumns: s.list(6, customResourceColumnDefinition),
  selectableFields: s.list(9, selectableField),
})
export type CustomResourceDefinitionVersion = TypeOf<typeof customResourceDefinitionVersion>

const customResourceDefinitionSpec = s.object(`${prefix}.CustomResourceDefinitionSpec`, {
  group: s.string(1, { required: true }),
  names: s.of(3, customResourceDefinitionNames, { required: true }),
  scope: s.oneOf(4, ['Cluster', 'Namespaced'], { required: true }),
  versions: s.list(7, customResourceDefinitionVersion, { required: true }),
  conversion: s.of(9, customResourceConversion, { default: { strategy: 'None' } }),
  preserveUnknownFields: s.boolean(10),
})
export type CustomResourceDefinitionSpec = TypeOf<typeof customResourceDefinitionSpec>

const customResourceDefinitionCondition = s.object(`${prefix}.CustomResourceDefinitionCondition`, {
  type: s.string(1, { required: true }),
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  lastTransitionTime: s.time(3),
  reason: s.string(4),
  message: s.string(5),
})
export type CustomResourceDefinitionCondition = TypeOf<typeof customResourceDefinitionCondition>

const customResourceDefinitionStatus = s.object(`${prefix}.CustomResourceDefinitionStatus`, {
  conditions: s.list(1, customResourceDefinitionCondition, { listType: 'map', mapKeys: ['type'] }),
  acceptedNames: s.of(2, customResourceDefinitionNames, { stored: true }),
  storedVersions: s.list(3, scalars.string, { stored: true, pointer: true }),
})
export type CustomResourceDefinitionStatus = TypeOf<typeof customResourceDefinitionStatus>

export const customResourceDefinitionSchema = s.object(`${prefix}.CustomResourceDefinition`, {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, customResourceDefinitionSpec, { required: true }),
  status: s.of(3, customResourceDefinitionStatus, { stored: true }),
})
export type CustomResourceDefinition = TypeOf<typeof customResourceDefinitionSchema>

/** Put on as deletion begins: the definition stays until its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io'

export function hasCondition(definition: CustomResourceDefinition, type: string): boolean {
  return definition.status?.conditions?.some(one => one.type === type && one.status === 'True') ?? false
}

/** As deletion begins: its objects go first, which a controller sees to. */
export function doomed(definition: CustomResourceDefinition, nowMs: number): CustomResourceDefinition {
  const { metadata, status } = definition
  if (metadata.deletionTimestamp !== undefined) return definition
  const finalizers = metadata.finalizers ?? []
  const condition = {
    type: 'Terminating',
    status: 'True' as const,
    lastTransitionTime: rfc3339(nowMs),
    reason: 'InstanceDeletionPending',
    message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
  }
  const others = (status?.conditions ?? []).filter(({ type }) => type !== condition.type)
  return {
    ...definition,
    metadata: {
      ...metadata,
      finalizers: finalizers.includes(cleanupFinalizer) ? finalizers : [...finalizers, cleanupFinalizer],
    },
    status: { ...status, conditions: [...others, condition] },
  }
}

/** The versions that objects may be stored in grow by each one that becomes the storage version; people take them away. */
function withStoredVersion(object: CustomResourceDefinition): CustomResourceDefinition {
  const status: CustomResourceDefinitionStatus = {
    conditions: [],
    ...object.status,
    acceptedNames: object.status?.acceptedNames ?? { plural: '', kind: '' },
    storedVersions: object.status?.storedVersions ?? [],
  }
  const storage = object.spec?.versions?.find(version => version.storage)?.name
  if (storage === undefined || status.storedVersions.includes(storage)) return { ...object, status }
  return { ...object, status: { ...status, storedVersions: [...status.storedVersions, storage] } }
}

function withNames(object: CustomResourceDefinition): CustomResourceDefinition {
  const { names } = object.spec ?? {}
  if (names?.kind === undefined) return object
  const { singular = names.kind.toLowerCase(), listKind = `${names.kind}List` } = names
  return { ...object, spec: { ...object.spec, names: { ...names, singular, listKind } } }
}

export const customResourceDefinition = defineKind({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  scope: 'Cluster',
  updateNeedsVersion: true,
  stored: true,
  subresources: ['status'],
  schema: customResourceDefinitionSchema,
  columns: () => [
    nameColumn,
    {
      name: 'Created At',
      type: 'date',
      description: 'CreationTimestamp is the time at which the object was created.',
      cell: ({ metadata }) => metadata.creationTimestamp,
    },
  ],
  ageColumn: false,
  prepare: (object, _old, subresource) => (subresource === 'status' ? object : withStoredVersion(object)),
  defaults: withNames,
  // What a rule costs is computed from the lengths that a schema allows.
  validate: (object, old, subresource) => validateDefinition(rounded(object), old, subresource),
})
