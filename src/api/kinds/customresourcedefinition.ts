// CustomResourceDefinition (apiextensions.k8s.io/v1): a kind that somebody else defines. What it says of its objects is
// checked by custom/definition.ts and custom/structural.ts; custom/kind.ts makes the kinds that it defines, one a version.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/

import { rfc3339 } from '../../lib/duration.ts'
import { rounded } from '../../lib/json.ts'
import { nameColumn } from '../cells.ts'
import { validateDefinition } from '../custom/definition.ts'
import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import {
  clientConfigAbout,
  clientConfigFields,
  clientConfigServiceText,
  serviceReferenceAbout,
  serviceReferenceFields,
} from '../types/admission.ts'
import { jsonSchemaProps } from '../types/jsonschema.ts'
import { objectMeta } from '../types/meta.ts'

const prefix = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'

const serviceReference = s.object(`${prefix}.ServiceReference`, serviceReferenceFields, serviceReferenceAbout)
const webhookClientConfig = s.object(
  `${prefix}.WebhookClientConfig`,
  {
    url: clientConfigFields.url,
    service: s.of(1, serviceReference, clientConfigServiceText),
    caBundle: clientConfigFields.caBundle,
  },
  clientConfigAbout,
)
export type WebhookClientConfig = TypeOf<typeof webhookClientConfig>

const webhookConversion = s.object(
  `${prefix}.WebhookConversion`,
  {
    clientConfig: s.of(2, webhookClientConfig, 'Where the webhook is. Must be given.'),
    conversionReviewVersions: s.list(3, scalars.string, {
      required: true,
      description: 'Versions of ConversionReview that it reads, the best first; one at least of v1 and v1beta1.',
    }),
  },
  { description: 'How a webhook is asked to convert objects.' },
)
const customResourceConversion = s.object(
  `${prefix}.CustomResourceConversion`,
  {
    strategy: s.oneOf(1, ['None', 'Webhook'], {
      required: true,
      description: 'None changes apiVersion alone; Webhook asks a server of yours.',
    }),
    webhook: s.of(2, webhookConversion, 'For the strategy Webhook only.'),
  },
  { description: 'How objects of one version are made into those of another.' },
)
const customResourceDefinitionNames = s.object(
  `${prefix}.CustomResourceDefinitionNames`,
  {
    plural: s.string(1, {
      required: true,
      description: 'In lower case, as in the path: /apis/<group>/<version>/<plural>. Immutable.',
    }),
    singular: s.string(2, 'In lower case; kubectl takes it for the plural. The kind in lower case when absent.'),
    shortNames: s.list(3, scalars.string, 'Abbreviations that kubectl takes for the plural.'),
    kind: s.string(4, {
      required: true,
      description: 'In CamelCase, as manifests have it. Immutable once the definition is established.',
    }),
    listKind: s.string(5, 'Kind of a list of the objects; the kind with List behind it when absent.'),
    categories: s.list(6, scalars.string, 'Names by which kubectl gets objects of several kinds at once, such as all.'),
  },
  { description: 'What the kind is called. But for the categories, no other kind of the group may have one of these.' },
)
export type CustomResourceDefinitionNames = TypeOf<typeof customResourceDefinitionNames>

const customResourceValidation = s.object(
  `${prefix}.CustomResourceValidation`,
  {
    openAPIV3Schema: s.of(
      1,
      jsonSchemaProps,
      'Of whole objects. Must be given; fields that it does not know are dropped from what is written.',
    ),
  },
  { description: 'What the objects of a version look like.' },
)
const customResourceSubresourceScale = s.object(
  `${prefix}.CustomResourceSubresourceScale`,
  {
    specReplicasPath: s.string(1, {
      required: true,
      description: 'Of the number that is wanted, below .spec: .spec.replicas.',
    }),
    statusReplicasPath: s.string(2, {
      required: true,
      description: 'Of the number that there is, below .status: .status.replicas. Nothing there counts as 0.',
    }),
    labelSelectorPath: s.string(3, {
      pointer: true,
      description: 'Of a text, below .spec or .status, that selects the pods; a HorizontalPodAutoscaler needs it.',
    }),
  },
  { description: 'Where the subresource scale finds its numbers. Paths name fields only, without indexes of lists.' },
)
export type ScalePaths = TypeOf<typeof customResourceSubresourceScale>

const customResourceSubresources = s.object(
  `${prefix}.CustomResourceSubresources`,
  {
    status: s.of(
      1,
      s.object(`${prefix}.CustomResourceSubresourceStatus`, {}, { description: 'Empty; it only has to be there.' }),
      'With it, status is written through /status alone, and nothing else is written there.',
    ),
    scale: s.of(
      2,
      customResourceSubresourceScale,
      'With it, kubectl scale and autoscalers can read and set the number of replicas.',
    ),
  },
  { description: 'Which subresources the objects have.' },
)
const customResourceColumnDefinition = s.object(
  `${prefix}.CustomResourceColumnDefinition`,
  {
    name: s.string(1, { required: true, description: 'Title of the column.' }),
    type: s.string(2, {
      required: true,
      description:
        'string, which shows any value; integer, number, boolean or date, which show none of another type. A date is shown as an age.',
    }),
    format: s.string(
      3,
      'int32, int64, float, double, byte, date, date-time or password; a hint for whoever shows the column.',
    ),
    description: s.string(4, 'What the column shows; clients get it beside the title.'),
    priority: s.int32(5, 'Above 0, the column is left out where space is short: kubectl prints it with -o wide.'),
    jsonPath: s.string(6, {
      required: true,
      description:
        'Where in the object the value is, beginning with a dot: .spec.replicas. Of several matches the first counts.',
    }),
  },
  { description: 'A column of what kubectl get prints.' },
)
export type CustomResourceColumnDefinition = TypeOf<typeof customResourceColumnDefinition>

const selectableField = s.object(
  `${prefix}.SelectableField`,
  {
    jsonPath: s.string(1, {
      required: true,
      description: 'Path to a string, boolean or integer outside of metadata, without indexes of lists: .spec.color.',
    }),
  },
  { description: 'A field that field selectors may name.' },
)

const customResourceDefinitionVersion = s.object(
  `${prefix}.CustomResourceDefinitionVersion`,
  {
    name: s.string(1, {
      required: true,
      description: 'As in the path: /apis/<group>/<name>. Unique in the definition.',
    }),
    served: s.boolean(2, { required: true, description: 'Whether objects can be read and written in this version.' }),
    storage: s.boolean(3, {
      required: true,
      description: 'Whether objects are stored in this version; true of exactly one.',
    }),
    deprecated: s.boolean(7, 'Whether clients that use the version are warned.'),
    deprecationWarning: s.string(8, {
      pointer: true,
      description: 'Text of the warning, at most 256 characters; a general one when absent. Only with deprecated.',
    }),
    schema: s.of(4, customResourceValidation, 'What objects look like in this version.'),
    subresources: s.of(
      5,
      customResourceSubresources,
      'Subresources that objects have in this version; without it none.',
    ),
    additionalPrinterColumns: s.list(
      6,
      customResourceColumnDefinition,
      'What kubectl get prints beside the name; the age when empty.',
    ),
    selectableFields: s.list(9, selectableField, 'At most 8, each once.'),
  },
  { description: 'A version of the kind, with a schema of its own.' },
)
export type CustomResourceDefinitionVersion = TypeOf<typeof customResourceDefinitionVersion>

const customResourceDefinitionSpec = s.object(
  `${prefix}.CustomResourceDefinitionSpec`,
  {
    group: s.string(1, { required: true, description: 'Domain with a dot in it, such as example.com. Immutable.' }),
    names: s.of(3, customResourceDefinitionNames, {
      required: true,
      description: 'What paths, manifests and kubectl call the kind.',
    }),
    scope: s.oneOf(4, ['Cluster', 'Namespaced'], {
      required: true,
      description: 'Whether the objects lie in namespaces. Immutable once the definition is established.',
    }),
    versions: s.list(7, customResourceDefinitionVersion, {
      required: true,
      description: 'Of different names; objects are stored in exactly one of them.',
    }),
    conversion: s.of(9, customResourceConversion, {
      default: { strategy: 'None' },
      description: 'How objects are shown in another version than they are stored in.',
    }),
    preserveUnknownFields: s.boolean(
      10,
      'Must not be true; x-kubernetes-preserve-unknown-fields in the schema does the same.',
    ),
  },
  { description: 'What the kind is called, where its objects lie and what they look like.' },
)
export type CustomResourceDefinitionSpec = TypeOf<typeof customResourceDefinitionSpec>

const customResourceDefinitionCondition = s.object(
  `${prefix}.CustomResourceDefinitionCondition`,
  {
    type: s.string(1, { required: true, description: 'NamesAccepted, Established or Terminating, among others.' }),
    status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it is so.' }),
    lastTransitionTime: s.time(3, 'When status changed last.'),
    reason: s.string(4, 'Why, as one word in CamelCase for programs.'),
    message: s.string(5, 'Why, as a sentence for people.'),
  },
  { description: 'A state of the definition.' },
)
export type CustomResourceDefinitionCondition = TypeOf<typeof customResourceDefinitionCondition>

const customResourceDefinitionStatus = s.object(
  `${prefix}.CustomResourceDefinitionStatus`,
  {
    conditions: s.list(1, customResourceDefinitionCondition, {
      listType: 'map',
      mapKeys: ['type'],
      description: 'Once Established is True, the kind is served and stays so.',
    }),
    acceptedNames: s.of(2, customResourceDefinitionNames, {
      stored: true,
      description: 'Names in force; those of spec.names, but for what another kind of the group has already.',
    }),
    storedVersions: s.list(3, scalars.string, {
      stored: true,
      pointer: true,
      description:
        'In which objects may still be stored. Before one can go from spec.versions, write all objects anew and take it out here.',
    }),
  },
  { description: 'What the server has made of the definition.' },
)
export type CustomResourceDefinitionStatus = TypeOf<typeof customResourceDefinitionStatus>

export const customResourceDefinitionSchema = s.object(
  `${prefix}.CustomResourceDefinition`,
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'The name must be <plural>.<group>.' }),
    spec: s.of(2, customResourceDefinitionSpec, { required: true, description: 'The kind that is added.' }),
    status: s.of(3, customResourceDefinitionStatus, { stored: true, description: 'Written by the server.' }),
  },
  { description: 'Adds a kind of objects to the API.' },
)
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
