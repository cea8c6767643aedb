// What nobody should send, for the tests and for the bench that looks how long the event loop is held by it.
import type { Ask } from '../../apiserver/setup.ts'

export const maps = '/api/v1/namespaces/default/configmaps'
export const pods = '/api/v1/namespaces/default/pods'
export const yaml = 'application/yaml'
const protobuf = 'application/vnd.kubernetes.protobuf'

export const body = (more: string) => `{"metadata":{"name":"bad"},${more}}`
export const many = (count: number, one: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => one(i)).join(',')
export const bytes = (...values: readonly number[]) => Uint8Array.from(values)
export const magic = [0x6b, 0x38, 0x73, 0]
/** runtime.Unknown of a v1 ConfigMap around these bytes. */
export const enveloped = (raw: readonly number[]) => {
  const type = [0x0a, 2, 0x76, 0x31, 0x12, 9, ...Buffer.from('ConfigMap')]
  return bytes(...magic, 0x0a, type.length, ...type, 0x12, raw.length, ...raw)
}

export const containers = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `c${i}`, image: 'a' }))

export function podWith(more: string): string {
  return `{"metadata":{"name":"x"},"spec":{"containers":[{"name":"a","image":"a",${more}}]}}`
}

export function bomb(): string {
  const levels = 'abcdefghi'.split('')
  const lines = levels.map((name, i) => `${name}: &${name} [${many(9, () => (i === 0 ? 'x' : `*${levels[i - 1]}`))}]`)
  return lines.join('\n')
}

export function mergeBomb(): string {
  const lines = Array.from({ length: 400 }, (_, i) => `b${i}: &b${i} {<<: *${i === 0 ? 'a' : `b${i - 1}`}, k${i}: 1}`)
  return ['a: &a {x: 1}', ...lines].join('\n')
}

/** A name, where it is posted, and the request of about so many bytes. Each is refused, whatever its size. */
export const growing: readonly (readonly [string, string, (size: number) => Ask])[] = [
  ['nested lists', maps, size => ({ body: '['.repeat(size / 2) + ']'.repeat(size / 2) })],
  [
    'nested objects in free data',
    '/apis/apps/v1/namespaces/default/controllerrevisions',
    size => ({
      body: `{"metadata":{"name":"x"},"revision":1,"data":${'{"a":'.repeat(size / 6)}1${'}'.repeat(size / 6)}}`,
    }),
  ],
  ['one text', `${maps}?fieldValidation=Strict`, size => ({ body: body(`"unknown":"${'x'.repeat(size)}"`) })],
  ['backslashes', `${maps}?fieldValidation=Strict`, size => ({ body: body(`"unknown":"${'\\\\'.repeat(size / 2)}"`) })],
  [
    'a key again and again',
    `${maps}?fieldValidation=Strict`,
    size => ({ body: body(`"x":[${many(size / 12, () => '{"a":1,"a":1}')}]`) }),
  ],
  [
    'one key, repeated in one object',
    `${maps}?fieldValidation=Strict`,
    size => ({ body: body(`"data":{${many(size / 8, () => '"a":"b"')}}`) }),
  ],
  ['many keys', maps, size => ({ body: body(`"data":{${many(size / 16, i => `"${i} not a key":""`)}}`) })],
  [
    'many unknown fields',
    `${maps}?fieldValidation=Strict`,
    size => ({ body: body(many(size / 12, i => `"u${i}":1`)) }),
  ],
  [
    'many labels',
    maps,
    size => ({ body: `{"metadata":{"name":"x","labels":{${many(size / 16, i => `"l ${i}":""`)}}}}` }),
  ],
  [
    'many containers',
    pods,
    size => ({
      body: `{"metadata":{"name":"x"},"spec":{"containers":[${many(size / 64, i => `{"name":"c${i % 9}","image":"a"}`)}]}}`,
    }),
  ],
  ['YAML faults in one line', maps, size => ({ type: yaml, body: `[${','.repeat(size / 24)}]` })],
  ['YAML quotes', maps, size => ({ type: yaml, body: '"'.repeat(size / 24) })],
  [
    'YAML keys',
    maps,
    size => ({
      type: yaml,
      body: `data:\n${Array.from({ length: size / 400 }, (_, i) => `  k ${i}: v\n`).join('')}`,
    }),
  ],
  ['YAML dashes', maps, size => ({ type: yaml, body: '- '.repeat(size / 48) })],
  ['YAML colons', maps, size => ({ type: yaml, body: ': '.repeat(size / 48) })],
  [
    'protobuf fields that nobody knows',
    maps,
    size => ({
      type: protobuf,
      body: Buffer.concat([Buffer.from(magic), Buffer.alloc(size, Buffer.from([0x7a, 0]))]),
    }),
  ],
]
