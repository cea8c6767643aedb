// Environment, volumes and specs from what a pod says and refers to.
import { expect, test } from 'vitest'
import { configMap as configMapKind } from '../../src/api/kinds/configmap.ts'
import { secret as secretKind } from '../../src/api/kinds/secret.ts'
import { service as serviceKind } from '../../src/api/kinds/service.ts'
import { parseObject } from '../../src/api/parse.ts'
import type { Json } from '../../src/api/schema.ts'
import { environmentOf, expand } from '../../src/kubelet/env.ts'
import { refersTo } from '../../src/kubelet/references.ts'
import { volumeOf } from '../../src/kubelet/volume.ts'
import { podOf, references } from './cases.ts'

const named = (name: string) => ({ name, namespace: 'default' })
const map = (data: Record<string, string>, binaryData?: Record<string, string>) =>
  parseObject(
    configMapKind,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: named('m'), data, ...(binaryData && { binaryData }) } as Json,
    'Strict',
  ).object
const secret = (data: Record<string, string>) =>
  parseObject(secretKind, { apiVersion: 'v1', kind: 'Secret', metadata: named('s'), data } as Json, 'Strict').object
const base64 = (text: string) => Buffer.from(text).toString('base64')

function environment(container: object, more: Parameters<typeof references>[0] = {}, spec: object = {}) {
  const labels = { app: 'web', 'a/b': 'x "y"' }
  const pod = podOf({
    metadata: { labels },
    spec: { ...spec, containers: [{ name: 'main', image: 'app', ...container }] },
  })
  const [main] = pod.spec.containers
  if (main === undefined) throw new Error('no container')
  return Object.fromEntries(environmentOf(pod, main, references(more)))
}

test.each([
  ['$(A)', 'one'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$one'],
  ['$(NO)', '$(NO)'],
  ['$(NO$(A))', '$(NO$(A))'],
  ['$A $( (A) $', '$A $( (A) $'],
  ['$(A)$(B)', 'one$(A)'],
])('expand %s gives %s', (text, expected) => {
  expect(
    expand(
      text,
      new Map([
        ['A', 'one'],
        ['B', '$(A)'],
      ]),
    ),
  ).toBe(expected)
})

test('env wins over envFrom, envFrom over services, and refers only to what stands before it', () => {
  const configMap = () => map({ A: 'map', B: 'map' })
  const env = [
    { name: 'LATE', value: '$(C)' },
    { name: 'A', value: 'own' },
    { name: 'C', value: '$(A)-$(P_B)' },
  ]
  const envFrom = [{ configMapRef: { name: 'm' } }, { prefix: 'P_', configMapRef: { name: 'm' } }]
  expect(environment({ env, envFrom }, { configMap })).toEqual({
    ...{ A: 'own', B: 'map', P_A: 'map', P_B: 'map', C: 'own-map', LATE: '$(C)' },
  })
})

test('keys of configMaps and secrets, optional or not', () => {
  const from = (valueFrom: object) => ({ env: [{ name: 'X', valueFrom }] })
  const found = { configMap: () => map({ k: 'v' }), secret: () => secret({ k: base64('hidden') }) }
  expect(environment(from({ secretKeyRef: { name: 's', key: 'k' } }), found)).toEqual({ X: 'hidden' })
  expect(environment(from({ configMapKeyRef: { name: 'm', key: 'no', optional: true } }), found)).toEqual({})
  expect(() => environment(from({ configMapKeyRef: { name: 'm', key: 'no' } }), found)).toThrow(
    "couldn't find key no in ConfigMap default/m",
  )
  expect(() => environment(from({ secretKeyRef: { name: 's', key: 'k' } }))).toThrow('secret "s" not found')
  expect(() => environment({ envFrom: [{ configMapRef: { name: 'm' } }] })).toThrow('configmap "m" not found')
  expect(environment({ envFrom: [{ secretRef: { name: 's', optional: true } }] })).toEqual({})
})

test.each([
  ['metadata.name', 'web'],
  ['metadata.namespace', 'default'],
  ["metadata.labels['app']", 'web'],
  ["metadata.labels['no']", ''],
  ['spec.nodeName', 'one'],
  ['status.hostIP', '192.168.1.10'],
  ['status.podIP', '10.42.0.5'],
  ['spec.serviceAccountName', 'builder'],
])('the downward API gives %s as %s', (fieldPath, expected) => {
  const env = [{ name: 'X', valueFrom: { fieldRef: { fieldPath } } }]
  expect(environment({ env }, {}, { serviceAccountName: 'builder' })).toEqual({ X: expected })
})

test.each([
  ['limits.cpu', '1', '2'],
  ['limits.cpu', '1m', '1500'],
  ['requests.cpu', '1m', '250'],
  ['limits.memory', '1Mi', '1024'],
  ['requests.memory', '1', '0'],
])('the resource %s in units of %s is %s', (resource, divisor, expected) => {
  const env = [{ name: 'X', valueFrom: { resourceFieldRef: { resource, divisor } } }]
  // The memory limit stands in from the node; the request for it does not.
  const resources = { limits: { cpu: '1500m' }, requests: { cpu: '250m' } }
  expect(environment({ env, resources })).toEqual({ X: expected })
})

test('services of the namespace and the API are in the environment, headless ones are not', () => {
  const service = (name: string, clusterIP: string, uid: string) => {
    const spec = {
      clusterIP,
      ports: [
        { name: 'http', port: 80, protocol: 'TCP' },
        { name: 'dns-udp', port: 53, protocol: 'UDP' },
      ],
    }
    const text = { apiVersion: 'v1', kind: 'Service', metadata: { ...named(name), uid }, spec }
    return parseObject(serviceKind, text as unknown as Json, 'Strict').object
  }
  const services = [service('my-db', '10.43.0.7', '1'), service('quiet', 'None', '2')]
  const apiService = service('kubernetes', '10.43.0.1', '3')
  const all = environment({}, { services, apiService })
  expect(all).toMatchObject({
    MY_DB_SERVICE_HOST: '10.43.0.7',
    MY_DB_SERVICE_PORT: '80',
    MY_DB_SERVICE_PORT_DNS_UDP: '53',
    MY_DB_PORT: 'tcp://10.43.0.7:80',
    MY_DB_PORT_53_UDP: 'udp://10.43.0.7:53',
    MY_DB_PORT_53_UDP_ADDR: '10.43.0.7',
    KUBERNETES_SERVICE_HOST: '10.43.0.1',
  })
  expect(Object.keys(all).filter(name => name.startsWith('QUIET'))).toEqual([])
  const without = environment({}, { services, apiService }, { enableServiceLinks: false })
  expect(Object.keys(without).every(name => name.startsWith('KUBERNETES'))).toBe(true)
})

function files(volume: object, more: Parameters<typeof references>[0] = {}, spec: object = {}) {
  const pod = podOf({
    metadata: { labels: { b: '2', a: 'x "y"' } },
    spec: { ...spec, volumes: [{ name: 'v', ...volume }], containers: [{ name: 'main', image: 'app' }] },
  })
  const [first] = pod.spec.volumes ?? []
  if (first === undefined) throw new Error('no volume')
  const planned = volumeOf(pod, first, references(more), (audience, seconds) => `token of ${audience} for ${seconds}`)
  if (planned.kind !== 'files') return planned
  return planned.files.map(({ path, mode, content }) => {
    const text = content.kind === 'text' ? content.text : Buffer.from(content.base64, 'base64').toString()
    return `${path} ${mode.toString(8)} ${text}`
  })
}

test('a configMap volume has all keys, or the picked ones with their modes', () => {
  const more = { configMap: () => map({ a: '1', b: '2' }, { c: base64('3') }) }
  expect(files({ configMap: { name: 'm' } }, more)).toEqual(['a 644 1', 'b 644 2', 'c 644 3'])
  const items = [{ key: 'b', path: 'deep/er', mode: 0o400 }]
  expect(files({ configMap: { name: 'm', items, defaultMode: 0o600 } }, more)).toEqual(['deep/er 400 2'])
  expect(() => files({ configMap: { name: 'm', items: [{ key: 'no', path: 'x' }] } }, more)).toThrow(
    'non-existent key: no',
  )
  expect(files({ configMap: { name: 'm', optional: true } })).toEqual([])
  expect(() => files({ secret: { secretName: 's' } })).toThrow('secret "s" not found')
})

test('a projected volume joins its sources', () => {
  const sources = [
    { configMap: { name: 'm' } },
    { secret: { name: 's' } },
    { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
    { serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 700 } },
  ]
  const more = { configMap: () => map({ a: '1' }), secret: () => secret({ k: base64('hidden') }) }
  const expected = ['a 644 1', 'k 644 hidden', 'labels 644 a="x \\"y\\""\nb="2"']
  expect(files({ projected: { sources } }, more)).toEqual([...expected, 'token 644 token of vault for 700'])
  const grouped = files({ projected: { sources } }, more, { securityContext: { fsGroup: 5 } })
  expect(grouped).toContain('token 600 token of vault for 700')
})

test('a configMap key cannot name a place outside the volume, nor what the swap of its files needs', () => {
  for (const key of ['../x', '..data', '/etc/x', 'a/../../x']) {
    expect(() =>
      files({ configMap: { name: 'm' } }, { configMap: () => ({ ...map({}), data: { [key]: '' } }) }),
    ).toThrow('is no path inside a volume')
  }
})

test('a pod is woken by what it refers to, and by nothing else', () => {
  const pod = podOf({
    spec: {
      imagePullSecrets: [{ name: 'pull' }],
      volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 'projected' } }] } }],
      initContainers: [{ name: 'i', image: 'app', envFrom: [{ configMapRef: { name: 'from' } }] }],
      containers: [
        { name: 'main', image: 'app', env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'key', key: 'k' } } }] },
      ],
    },
  })
  expect(['pull', 'projected', 'key'].every(name => refersTo(pod, 'Secret', name))).toBe(true)
  expect(refersTo(pod, 'ConfigMap', 'from')).toBe(true)
  expect(refersTo(pod, 'ConfigMap', 'pull') || refersTo(pod, 'Secret', 'from')).toBe(false)
})
