// Secret (v1): passwords, keys and tokens for pods and programs, by key; some types say which keys there are.

import { base64OfText } from '../base64.ts'
import { invalidValue, requiredValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { configKey } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed } from '../workload.ts'
import { configSizeMax, validateFrozen } from './configmap.ts'

export const secretSchema = s.object(
  'io.k8s.api.core.v1.Secret',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Pods of the same namespace use it by its name.' }),
    data: s.map(
      2,
      scalars.bytes,
      'Bytes by key, base64 in JSON, at most 1 MiB together; keys are of letters, digits, -, _ and dots.',
    ),
    type: s.string(3, {
      default: 'Opaque',
      description:
        'What it holds, as in kubernetes.io/tls: some types need certain keys. Default Opaque, for anything; immutable.',
    }),
    stringData: s.map(4, scalars.string, 'Texts that are written into data, where they win. Never read back.'),
    immutable: s.boolean(5, {
      pointer: true,
      description: 'true fixes the data for good, itself included; only a new Secret changes it then.',
    }),
  },
  { description: 'Passwords, keys and tokens for pods and programs. Whoever may read it sees them as they are.' },
)
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
