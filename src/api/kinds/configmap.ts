// ConfigMap (v1): settings for pods, as texts or bytes by key.

import { forbidden, invalidValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { configKey } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed } from '../workload.ts'

export const configMapSchema = s.object(
  'io.k8s.api.core.v1.ConfigMap',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Pods of the same namespace use it by its name.' }),
    data: s.map(
      2,
      scalars.string,
      'Texts by key; keys are of letters, digits, -, _ and dots. With binaryData at most 1 MiB.',
    ),
    binaryData: s.map(3, scalars.bytes, 'Bytes by key, base64 in JSON; a key stands here or in data.'),
    immutable: s.boolean(4, {
      pointer: true,
      description: 'true fixes the data for good, itself included; only a new ConfigMap changes it then.',
    }),
  },
  {
    description:
      'Settings for pods, which see them as files or environment variables. For what is secret there is Secret.',
  },
)
export type ConfigMap = TypeOf<typeof configMapSchema>

/** The largest object that the store takes lightly. */
export const configSizeMax = 1024 * 1024

function validateKeys({ data = {}, binaryData = {} }: ConfigMap): readonly FieldError[] {
  const errors: FieldError[] = []
  let size = 0
  for (const [list, values] of Object.entries({ data, binaryData })) {
    for (const [key, value] of Object.entries(values)) {
      const wrong = configKey(key)
      if (wrong !== undefined) errors.push(invalidValue(`${list}[${key}]`, key, wrong))
      if (list === 'binaryData' && Object.hasOwn(data, key)) {
        errors.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'))
      }
      size += list === 'data' ? value.length : (value.length / 4) * 3
    }
  }
  return size > configSizeMax ? [...errors, tooLong('', configSizeMax)] : errors
}

/** Once immutable is set, neither it nor the data changes. */
export function validateFrozen<T extends { readonly immutable?: boolean }>(
  object: T,
  old: T,
  keys: readonly (keyof T & string)[],
): readonly FieldError[] {
  const why = 'field is immutable when `immutable` is set'
  return [
    ...(object.immutable ? [] : [forbidden('immutable', why)]),
    ...keys.flatMap(key => fixed(key, object[key], old, old[key]).map(() => forbidden(key, why))),
  ]
}

export const configMap = defineKind({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: configMapSchema,
  generation: false,
  columns: () => [
    {
      name: 'Data',
      type: 'string',
      cell: ({ data, binaryData }) => Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length,
    },
  ],
  validate: (object, old) => [
    ...validateKeys(object),
    ...(old?.immutable ? validateFrozen(object, old, ['data', 'binaryData']) : []),
  ],
})
