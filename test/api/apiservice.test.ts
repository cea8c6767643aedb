import { describe, expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import { apiService } from '../../src/api/kinds/apiservice.ts'
import { kinds } from '../../src/api/kinds.ts'
import { decodeBody, encodeBody, schemaLookup } from '../../src/api/protobuf.ts'
import type { JsonObject } from '../../src/api/schema.ts'
import { toTable } from '../../src/api/table.ts'
import { created, nowMs } from './make.ts'

const remote = {
  group: 'metrics.k8s.io',
  version: 'v1beta1',
  groupPriorityMinimum: 100,
  versionPriority: 10,
  service: { namespace: 'kube-system', name: 'metrics' },
}
const object = (name: string, spec: JsonObject) => ({
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name },
  spec,
})

// From the .proto of kube-aggregator: APIServiceSpec { service = 1, group = 2, version = 3, insecureSkipTLSVerify = 4,
// caBundle = 5, groupPriorityMinimum = 7, versionPriority = 8 }, ServiceReference { namespace = 1, name = 2, port = 3 }.
test('the fields have the numbers of the aggregator', () => {
  const spec = { ...remote, service: { ...remote.service, port: 443 }, caBundle: 'AQ==' }
  const bytes = Buffer.from(encodeBody(apiService.schema, object('a', spec)))
  const service = '0a0b6b7562652d73797374656d' + '12076d657472696373' + '18bb03'
  const group = '120e6d6574726963732e6b38732e696f'
  const version = '1a0776316265746131'
  expect(bytes.toString('hex')).toContain(`0a19${service}${group}${version}2a01013864400a`)
  expect(decodeBody(new Uint8Array(bytes), schemaLookup(kinds)).value).toMatchObject({ spec })
})

test('a service has a port, and what has none is answered here and is there at once', () => {
  expect(created(apiService, object('v1beta1.metrics.k8s.io', remote)).spec.service).toEqual({
    namespace: 'kube-system',
    name: 'metrics',
    port: 443,
  })
  const { service: _, ...local } = remote
  const made = created(apiService, object('v1beta1.metrics.k8s.io', local))
  expect(made.status.conditions).toMatchObject([{ type: 'Available', status: 'True', reason: 'Local' }])
})

describe('what is refused', () => {
  const { service: _, ...local } = remote
  test.each([
    ['metadata.name', 'other', remote],
    ['spec.group', 'v1beta1.', { ...remote, group: '' }],
    ['spec.version', 'V1.metrics.k8s.io', { ...remote, version: 'V1' }],
    ['spec.groupPriorityMinimum', 'v1beta1.metrics.k8s.io', { ...remote, groupPriorityMinimum: 20_001 }],
    ['spec.versionPriority', 'v1beta1.metrics.k8s.io', { ...remote, versionPriority: 0 }],
    ['spec.service.name', 'v1beta1.metrics.k8s.io', { ...remote, service: { namespace: 'a' } }],
    ['spec.caBundle', 'v1beta1.metrics.k8s.io', { ...local, caBundle: 'AQ==' }],
    [
      'spec.insecureSkipTLSVerify',
      'v1beta1.metrics.k8s.io',
      { ...remote, caBundle: 'AQ==', insecureSkipTLSVerify: true },
    ],
  ])('%s', (field, name, spec) => {
    const make = () => created(apiService, object(name, spec))
    expect(make).toThrow(ApiError)
    try {
      make()
    } catch (error) {
      expect((error as ApiError).details?.causes?.map(cause => cause.field)).toContain(field)
    }
  })
})

test('the table tells who answers and whether they do', () => {
  const made = created(apiService, object('v1beta1.metrics.k8s.io', remote))
  const failed = { type: 'Available', status: 'False' as const, reason: 'MissingEndpoints' }
  const { service: _, ...local } = remote
  const rows = toTable(
    apiService,
    [made, { ...made, status: { conditions: [failed] } }, created(apiService, object('v1beta1.metrics.k8s.io', local))],
    nowMs,
    { includeObject: 'None' },
  )['rows']
  expect(rows).toEqual([
    { cells: ['v1beta1.metrics.k8s.io', 'kube-system/metrics', 'Unknown', '0s'] },
    { cells: ['v1beta1.metrics.k8s.io', 'kube-system/metrics', 'False (MissingEndpoints)', '0s'] },
    { cells: ['v1beta1.metrics.k8s.io', 'Local', 'True', '0s'] },
  ])
})
