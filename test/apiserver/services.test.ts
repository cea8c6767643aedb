import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Service } from '../../src/api/kinds/service.ts'
import { allocate, firstServiceIp, ipPrefix, portPrefix, release, type Taken } from '../../src/apiserver/services.ts'
import { prng } from '../../src/lib/prng.ts'
import { request, testApiserver } from './setup.ts'

const config = { serviceCidr: '10.0.0.0/27', nodePortRange: { from: 100, to: 110 } }

const service = (name: string, type: Service['spec']['type'], ports: number): Service =>
  ({
    metadata: { name, namespace: 'x' },
    spec: { type, ports: Array.from({ length: ports }, (_, i) => ({ port: i + 1, protocol: 'TCP' })) },
  }) as unknown as Service

function takenIn(keys: ReadonlyMap<string, string>): Taken {
  const under = (prefix: string) =>
    new Map(
      [...keys]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [
          key.slice(prefix.length),
          { key, value, createRevision: 1, modRevision: 1, version: 1, lease: 0 },
        ]),
    )
  return { ips: under(ipPrefix), ports: under(portPrefix) }
}

test('whatever is made, changed and removed, no address or port belongs to two Services, and none is lost', () => {
  const types = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    type: fc.constantFrom(...types, undefined),
    ports: fc.integer({ min: 1, max: 3 }),
    seed: fc.nat(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const keys = new Map<string, string>()
      const live = new Map<string, Service>()
      for (const { name, type, ports, seed } of steps) {
        const old = live.get(name)
        const operations = (() => {
          if (type === undefined) {
            live.delete(name)
            return old ? release(old) : []
          }
          try {
            const random = prng(seed)
            const { object, compare, operations } = allocate(
              service(name, type, ports),
              old,
              takenIn(keys),
              config,
              random.float,
            )
            for (const { key } of compare) expect(keys.has(key)).toBe(false)
            live.set(name, object)
            return operations
          } catch {
            return []
          }
        })()
        for (const { key, value } of operations) {
          if (value === undefined) keys.delete(key)
          else keys.set(key, value)
        }
        const held = [...live.values()].flatMap(({ spec }) => [
          ...(spec.clusterIP && spec.clusterIP !== 'None' ? [ipPrefix + spec.clusterIP] : []),
          ...(spec.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [`${portPrefix}${nodePort}`] : [])),
        ])
        expect(new Set(held).size).toBe(held.length)
        expect(held.toSorted()).toEqual([...keys.keys()].toSorted())
      }
    }),
  )
})

test('the first address is never chosen, and may be asked for', () => {
  const first = firstServiceIp(config.serviceCidr)
  expect(first).toBe('10.0.0.1')
  const keys = new Map<string, string>()
  for (let i = 0; i < 29; i++) {
    const { object } = allocate(service(`s${i}`, 'ClusterIP', 1), undefined, takenIn(keys), config, () => 0)
    expect(object.spec.clusterIP).not.toBe(first)
    keys.set(ipPrefix + object.spec.clusterIP, 'x')
  }
  expect(() => allocate(service('full', 'ClusterIP', 1), undefined, takenIn(keys), config, () => 0)).toThrow(
    'range is full',
  )
  const asked = service('kubernetes', 'ClusterIP', 1)
  const named = { ...asked, spec: { ...asked.spec, clusterIP: first } }
  expect(allocate(named, undefined, takenIn(keys), config, () => 0).object.spec.clusterIPs).toEqual([first])
})

test('what only the type of before could have goes with it', async () => {
  const { apiserver, stop } = await testApiserver()
  const path = '/api/v1/namespaces/default/services'
  const patch = async (body: unknown) => {
    const answer = await apiserver.handle(
      request(`${path}/web`, { method: 'PATCH', type: 'application/merge-patch+json', body }),
    )
    if (answer.kind !== 'whole') throw new Error(answer.kind)
    return { code: answer.code, spec: JSON.parse(String(answer.body)).spec as Service['spec'] }
  }
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', loadBalancerClass: 'a/b', ports: [{ port: 80 }] }
  await apiserver.handle(
    request(path, { body: { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec } }),
  )
  const nodePort = await patch({ spec: { type: 'NodePort' } })
  expect(nodePort).toMatchObject({ code: 200, spec: { externalTrafficPolicy: 'Local' } })
  expect(nodePort.spec.loadBalancerClass).toBeUndefined()
  expect(nodePort.spec.allocateLoadBalancerNodePorts).toBeUndefined()
  const plain = await patch({ spec: { type: 'ClusterIP' } })
  expect(plain.code).toBe(200)
  expect(plain.spec.externalTrafficPolicy).toBeUndefined()
  expect(plain.spec.ports?.[0]?.nodePort).toBeUndefined()
  stop()
})
