// Namespace (v1): a space for names, with rights and quotas of its own, that is deleted with all that is in it.

import { defineKind } from '../kind.ts'
import { dnsLabel } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const namespaceSpec = s.object(
  'io.k8s.api.core.v1.NamespaceSpec',
  {
    finalizers: s.list(
      1,
      scalars.string,
      'Who has to be done with its contents first; kubernetes is always among them. Changed only by the subresource finalize.',
    ),
  },
  { description: 'What a namespace waits for before it goes.' },
)
export type NamespaceSpec = TypeOf<typeof namespaceSpec>
export const namespaceCondition = s.object(
  'io.k8s.api.core.v1.NamespaceCondition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], {
      required: true,
      description: 'Whether it is so; Unknown while nobody can tell.',
    }),
    type: s.string(1, {
      required: true,
      description: 'What is observed, as in NamespaceContentRemaining; most name what keeps it from going.',
    }),
    lastTransitionTime: s.time(4, 'When status last went from one value to another.'),
    reason: s.string(5, 'One CamelCase word for programs that says why.'),
    message: s.string(6, 'For people, as in how many objects of which kind are left.'),
  },
  { description: 'One thing that is observed while a namespace is being deleted.' },
)
export type NamespaceCondition = TypeOf<typeof namespaceCondition>
export const namespaceStatus = s.object(
  'io.k8s.api.core.v1.NamespaceStatus',
  {
    phase: s.oneOf(1, ['Active', 'Terminating'], {
      default: 'Active',
      description: 'Terminating once it is deleted: nothing can be made in it any more.',
    }),
    conditions: s.list(2, namespaceCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What is still there, while it is being deleted.',
    }),
  },
  { description: 'Whether a namespace is in use or on its way out.' },
)
export type NamespaceStatus = TypeOf<typeof namespaceStatus>
export const namespaceSchema = s.object(
  'io.k8s.api.core.v1.Namespace',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Gets the label kubernetes.io/metadata.name, for selectors.',
    }),
    spec: s.of(2, namespaceSpec, { default: {}, description: 'What it waits for when it is deleted.' }),
    status: s.of(3, namespaceStatus, { default: {}, description: 'Whether it is in use.' }),
  },
  { description: 'A space for names: objects in it have rights, quotas and an end in common.' },
)
export type Namespace = TypeOf<typeof namespaceSchema>

const held = 'kubernetes'

/** The finalizer in the spec holds a namespace until it is empty; /finalize alone takes it away. */
function prepareNamespace(object: Namespace, old: Namespace | undefined, subresource: string | undefined): Namespace {
  if (subresource === 'finalize') return { ...object, metadata: old?.metadata ?? object.metadata }
  if (old) return { ...object, spec: old.spec }
  const finalizers = object.spec?.finalizers ?? []
  return { ...object, spec: { finalizers: finalizers.includes(held) ? finalizers : [...finalizers, held] } }
}

/** Selectors of namespaces can name one. */
function labelled(object: Namespace): Namespace {
  const { name, labels } = object.metadata
  if (!name) return object
  return {
    ...object,
    metadata: { ...object.metadata, labels: { ...labels, 'kubernetes.io/metadata.name': name } },
  }
}

export const namespace = defineKind({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  categories: [],
  scope: 'Cluster',
  stored: true,
  subresources: ['status'],
  schema: namespaceSchema,
  nameRule: dnsLabel,
  generation: false,
  columns: () => [{ name: 'Status', type: 'string', cell: ({ status }) => status?.phase ?? '' }],
  fieldLabels: ['status.phase', 'name'],
  fields: ({ metadata, status }) => ({ 'status.phase': status?.phase ?? '', name: metadata.name }),
  prepare: prepareNamespace,
  defaults: labelled,
})
