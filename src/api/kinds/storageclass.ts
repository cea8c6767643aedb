// StorageClass (storage.k8s.io/v1): how volumes of a class are made, and by whom.
// https://kubernetes.io/docs/concepts/storage/storage-classes/

import { ageColumn, nameColumn } from '../cells.ts'
import { equalJson } from '../equal.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { named } from '../storage.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed } from '../workload.ts'

export const topologySelectorLabelRequirement = s.object(
  'io.k8s.api.core.v1.TopologySelectorLabelRequirement',
  {
    key: s.string(1, { required: true, description: 'Label of nodes, such as topology.kubernetes.io/zone.' }),
    values: s.list(2, scalars.string, { required: true, description: 'Values of the label, any of which will do.' }),
  },
  { description: 'A label that nodes must have, with one of some values.' },
)
export type TopologySelectorLabelRequirement = TypeOf<typeof topologySelectorLabelRequirement>
export const topologySelectorTerm = s.object(
  'io.k8s.api.core.v1.TopologySelectorTerm',
  {
    matchLabelExpressions: s.list(1, topologySelectorLabelRequirement, 'All of these must hold; each key once.'),
  },
  { atomic: true, description: 'A part of the cluster, by the labels of its nodes.' },
)
export type TopologySelectorTerm = TypeOf<typeof topologySelectorTerm>
export const storageClassSchema = s.object(
  'io.k8s.api.storage.v1.StorageClass',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description:
        'Claims give the name. Annotation storageclass.kubernetes.io/is-default-class: "true" makes it the default.',
    }),
    provisioner: s.string(2, {
      required: true,
      description:
        'Who makes the volumes: the name of a CSI driver or of another program that watches claims. Immutable.',
    }),
    parameters: s.map(
      3,
      scalars.string,
      'What the provisioner is told of each volume; at most 512 keys and 256 KiB together. Immutable.',
    ),
    reclaimPolicy: s.string(4, {
      pointer: true,
      default: 'Delete',
      description:
        'What the volumes of the class get: Delete (with their claim) or Retain (for an administrator). Immutable.',
    }),
    mountOptions: s.list(5, scalars.string, 'Options for mount that the volumes get; nobody checks them before.'),
    allowVolumeExpansion: s.boolean(6, {
      pointer: true,
      description: 'Whether claims of the class may ask for more later; without true that is refused.',
    }),
    volumeBindingMode: s.string(7, {
      pointer: true,
      default: 'Immediate',
      description:
        'When a claim gets its volume: Immediate, or WaitForFirstConsumer, with the first pod and where it can run. Immutable.',
    }),
    allowedTopologies: s.list(
      8,
      topologySelectorTerm,
      'Parts of the cluster in which volumes may be made, any of them; everywhere when empty.',
    ),
  },
  {
    description:
      'A sort of storage that claims ask for by its name. Provisioners come from outside: this cluster brings none.',
  },
)
export type StorageClass = TypeOf<typeof storageClassSchema>

const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
]

/** Claims that name no class get this one. */
export function isDefaultClass({ metadata }: Pick<StorageClass, 'metadata'>): boolean {
  return defaultAnnotations.some(name => metadata.annotations?.[name] === 'true')
}

const reclaimPolicies = ['Delete', 'Retain']
const bindingModes = ['Immediate', 'WaitForFirstConsumer']
const parameterCountMax = 512
const parametersSizeMax = 256 * 1024

function validateParameters(parameters: Readonly<Record<string, string>>): readonly FieldError[] {
  const entries = Object.entries(parameters)
  if (entries.length > parameterCountMax) return [tooLong('parameters', parameterCountMax)]
  const size = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  return [
    ...(Object.hasOwn(parameters, '') ? [invalidValue('parameters', '', 'field can not be empty.')] : []),
    ...(size > parametersSizeMax ? [tooLong('parameters', parametersSizeMax)] : []),
  ]
}

function validateTopologies(terms: readonly TopologySelectorTerm[]): readonly FieldError[] {
  return terms.flatMap((term, i) => {
    const path = `allowedTopologies[${i}].matchLabelExpressions`
    const isSecond = terms.slice(0, i).some(other => equalJson(other, term))
    return [...validateTerm(term, path), ...(isSecond ? [duplicateValue(path, '')] : [])]
  })
}

function validateTerm({ matchLabelExpressions = [] }: TopologySelectorTerm, path: string): readonly FieldError[] {
  const keys = new Set<string>()
  return matchLabelExpressions.flatMap(({ key, values = [] }, i) => {
    const at = `${path}[${i}]`
    const errors = values.flatMap((value, j) =>
      values.indexOf(value) < j ? [duplicateValue(`${at}.values[${j}]`, value)] : [],
    )
    errors.push(...named(`${at}.key`, key, qualifiedName))
    if (keys.has(key)) errors.push(duplicateValue(`${at}.key`, key))
    keys.add(key)
    return errors
  })
}

function validateClass(object: StorageClass): readonly FieldError[] {
  const { provisioner, reclaimPolicy, volumeBindingMode } = object
  const wrong = provisioner ? qualifiedName(provisioner.toLowerCase()) : undefined
  return [
    ...(wrong === undefined ? [] : [invalidValue('provisioner', provisioner.toLowerCase(), wrong)]),
    ...validateParameters(object.parameters ?? {}),
    ...(reclaimPolicies.includes(reclaimPolicy) ? [] : [notSupported('reclaimPolicy', reclaimPolicy, reclaimPolicies)]),
    ...(volumeBindingMode === '' ? [requiredValue('volumeBindingMode')] : []),
    ...(volumeBindingMode === '' || bindingModes.includes(volumeBindingMode)
      ? []
      : [notSupported('volumeBindingMode', volumeBindingMode, bindingModes)]),
    ...validateTopologies(object.allowedTopologies ?? []),
  ]
}

function validateChange(object: StorageClass, old: StorageClass): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const name of ['parameters', 'provisioner', 'reclaimPolicy'] as const) {
    if (!equalJson(object[name], old[name])) errors.push(forbidden(name, `updates to ${name} are forbidden.`))
  }
  return [...errors, ...fixed('volumeBindingMode', object.volumeBindingMode, old, old.volumeBindingMode)]
}

export const storageClass = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  shortNames: ['sc'],
  categories: [],
  scope: 'Cluster',
  stored: true,
  subresources: [],
  schema: storageClassSchema,
  generation: false,
  columns: () => [
    { ...nameColumn, cell: object => `${object.metadata.name}${isDefaultClass(object) ? ' (default)' : ''}` },
    { name: 'Provisioner', type: 'string', cell: ({ provisioner }) => provisioner },
    { name: 'ReclaimPolicy', type: 'string', cell: ({ reclaimPolicy }) => reclaimPolicy },
    { name: 'VolumeBindingMode', type: 'string', cell: ({ volumeBindingMode }) => volumeBindingMode },
    { name: 'AllowVolumeExpansion', type: 'string', cell: ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false },
    ageColumn,
  ],
  validate: (object, old) => [...validateClass(object), ...(old ? validateChange(object, old) : [])],
})
