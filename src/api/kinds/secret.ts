// Secret (v1).

import { base64OfText } from '../base64.ts'
import { invalidValue, requiredValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { configKey } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed } from '../workload.ts'
import { configSizeMax, validateFrozen } from './configmap.ts'

export const secretSchema = s.object('io.k8s.api.core.v1.Secret', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  data: s.map(2, scalars.bytes),
  type: s.string(3, { default: 'Opaque' }),
  stringData: s.map(4, scalars.string),
  immutable: s.boolean(5, { pointer: true }),
})
export type Secret = TypeOf<typeof secretSchema>

/** stringData is a convenience for writing: it goes into data, and is never stored. */
function withTexts({ stringData, ...object }: Secret): Secret {
  if (!stringData) return object
  const data = Object.entries(stringData).map(([key, text]): [string, string] => [key, base64OfText(text)])
  return { ...object, data: Object.fromEntries([...Object.entries(object.data ?? {}), ...data]) }
}

/** What some types must contain. */
const keysOfType: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
}

function validateSecret({ metadata, data = {}, type }: Secret): readonly FieldError[] {
  const errors: FieldError[] = []
  let size = 0
  for (const [key, value] of Object.entries(data)) {
    const wrong = configKey(key)
    if (wrong !== undefined) errors.push(invalidValue(`data[${key}]`, key, wrong))
    size += (value.length / 4) * 3
  }
  if (size > configSizeMax) errors.push(tooLong('data', configSizeMax))
  for (const key of keysOfType[type] ?? []) {
    if (!Object.hasOwn(data, key)) errors.push(requiredValue(`data[${key}]`))
  }
  if (type === 'kubernetes.io/basic-auth' && !Object.hasOwn(data, 'username') && !Object.hasOwn(data, 'password')) {
    errors.push(requiredValue('data[username]'), requiredValue('data[password]'))
  }
  const account = 'kubernetes.io/service-account.name'
  if (type === 'kubernetes.io/service-account-token' && !metadata.annotations?.[account]) {
    errors.push(requiredValue(`metadata.annotations[${account}]`))
  }
  return errors
}

export const secret = defineKind({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: secretSchema,
  generation: false,
  columns: () => [
    { name: 'Type', type: 'string', cell: ({ type }) => type },
    { name: 'Data', type: 'string', cell: ({ data }) => Object.keys(data ?? {}).length },
  ],
  fieldLabels: ['type'],
  fields: ({ type }) => ({ type }),
  prepare: withTexts,
  validate: (object, old) => [
    ...validateSecret(object),
    ...fixed('type', object.type, old, old?.type),
    ...(old?.immutable ? validateFrozen(object, old, ['data']) : []),
  ],
})
