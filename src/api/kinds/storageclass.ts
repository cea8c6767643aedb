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

export const topologySelectorLabelRequirement = s.object('io.k8s.api.core.v1.TopologySelectorLabelRequirement', {
  key: s.string(1, { required: true }),
  values: s.list(2, scalars.string, { required: true }),
})
export type TopologySelectorLabelRequirement = TypeOf<typeof topologySelectorLabelRequirement>
export const topologySelectorTerm = s.object(
  'io.k8s.api.core.v1.TopologySelectorTerm',
  {
    matchLabelExpressions: s.list(1, topologySelectorLabelRequirement),
  },
  { atomic: true },
)
export type TopologySelectorTerm = TypeOf<typeof topologySelectorTerm>
export const storageClassSchema = s.object('io.k8s.api.storage.v1.StorageClass', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  provisioner: s.string(2, { required: true }),
  parameters: s.map(3, scalars.string),
  reclaimPolicy: s.string(4, { pointer: true, default: 'Delete' }),
  mountOptions: s.list(5, scalars.string),
  allowVolumeExpansion: s.boolean(6, { pointer: true }),
  volumeBindingMode: s.string(7, { pointer: true, default: 'Immediate' }),
  allowedTopologies: s.list(8, topologySelectorTerm),
})
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
