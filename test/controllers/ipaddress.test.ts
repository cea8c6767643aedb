// The addresses of Services are shown as IPAddresses, and nobody else's are touched.
import { expect, test } from 'vitest'
import type { KubeObject } from '../../src/api/kind.ts'
import type { IpAddress } from '../../src/api/kinds/ipaddress.ts'
import { ipAddress as ipAddressKind } from '../../src/api/kinds/ipaddress.ts'
import { service as serviceKind } from '../../src/api/kinds/service.ts'
import { cache } from '../../src/client/cache.ts'
import type { Change, Context } from '../../src/controllers/controller.ts'
import { ipAddressController } from '../../src/controllers/ipaddress.ts'
import { created } from '../api/make.ts'

const service = (name: string, spec: object) =>
  stamped(
    created(serviceKind, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 80 }], ...spec },
    }),
  )
/** Caches know objects by their versions. */
const stamped = <T extends KubeObject>(object: T): T =>
  ({ ...object, metadata: { ...object.metadata, uid: object.metadata.name, resourceVersion: '1' } }) as T

function plan(services: readonly KubeObject[], addresses: readonly KubeObject[]): readonly Change[] {
  const views = { services: cache(), addresses: cache() }
  views.services.reset(services, 1)
  views.addresses.reset(addresses, 1)
  return ipAddressController.plan('*', views, { nowMs: 0 } as Context).changes
}

const words = (changes: readonly Change[]) =>
  changes.map(change =>
    change.kind === 'create'
      ? `create ${change.object.metadata?.name}`
      : change.kind === 'delete'
        ? `delete ${change.key.name}`
        : change.kind,
  )

/** What a plan makes, as it is then stored. */
function made(changes: readonly Change[]): readonly IpAddress[] {
  return changes.flatMap(change => {
    if (change.kind !== 'create') return []
    const typed = { apiVersion: 'networking.k8s.io/v1', kind: 'IPAddress', ...change.object }
    return [stamped(created(ipAddressKind, typed))]
  })
}

const web = service('web', { clusterIP: '10.96.0.5', clusterIPs: ['10.96.0.5'] })

test('each address gets an object that names its Service; then there is nothing to do', () => {
  const headless = service('headless', { clusterIP: 'None', clusterIPs: ['None'] })
  const outside = service('outside', { type: 'ExternalName', externalName: 'a.test', ports: [] })
  const changes = plan([web, headless, outside], [])
  expect(words(changes)).toEqual(['create 10.96.0.5'])
  const [address] = made(changes)
  expect(address?.spec.parentRef).toEqual({ resource: 'services', namespace: 'default', name: 'web' })
  expect(address?.metadata.labels).toEqual({
    'app.kubernetes.io/managed-by': 'ipallocator.k8s.io',
    'ipaddress.kubernetes.io/ip-family': 'IPv4',
  })
  expect(plan([web], made(changes))).toEqual([])
})

test('it goes with its Service, and before another may have the address', () => {
  const addresses = made(plan([web], []))
  expect(words(plan([], addresses))).toEqual(['delete 10.96.0.5'])
  const heir = service('heir', { clusterIP: '10.96.0.5', clusterIPs: ['10.96.0.5'] })
  expect(words(plan([heir], addresses))).toEqual(['delete 10.96.0.5'])
  expect(words(plan([heir], []))).toEqual(['create 10.96.0.5'])
})

test('what somebody else made stays', () => {
  const [address] = made(plan([web], []))
  if (!address) throw new Error('nothing was made')
  const { labels: _, ...metadata } = address.metadata
  const own = { ...address, metadata } as IpAddress
  expect(plan([], [own])).toEqual([])
  expect(plan([web], [own])).toEqual([])
})
