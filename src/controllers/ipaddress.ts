// Shows each address that a Service has as an IPAddress, as clusters do whose Services take their addresses from them. Here
// the addresses are keys of the store that are written with the Service (apiserver/services.ts): these objects follow.
// https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
import { type IpAddress, ipAddress } from '../api/kinds/ipaddress.ts'
import { type Service, service as serviceKind } from '../api/kinds/service.ts'
import type { Draft } from '../api/schema.ts'
import { isDeleting } from '../client/objects.ts'
import { parseIp } from '../lib/ip.ts'
import { type Change, create, defineSweep, type Plan, remove } from './controller.ts'

const managedLabel = 'app.kubernetes.io/managed-by'
const managedBy = 'ipallocator.k8s.io'

export const ipAddressController = defineSweep({
  name: 'ipaddress',
  delayMs: 500,
  reads: { services: serviceKind, addresses: ipAddress },
  reconcile({ services, addresses }): Plan {
    const owners = new Map(services.list().flatMap(one => addressesOf(one).map((ip): [string, Service] => [ip, one])))
    const shown = new Set<string>()
    const changes: Change[] = []
    for (const address of addresses.list()) {
      const ip = address.metadata.name
      shown.add(ip)
      const owner = owners.get(ip)
      const isRight = owner !== undefined && isOf(address, owner)
      // What people made themselves is theirs. The name is free for the next owner once this one is gone.
      if (address.metadata.labels?.[managedLabel] !== managedBy || isRight || isDeleting(address)) continue
      changes.push(remove(ipAddress, address))
    }
    for (const [ip, owner] of owners) if (!shown.has(ip)) changes.push(create(ipAddress, shownAs(ip, owner)))
    return { changes }
  },
})

function addressesOf({ spec }: Service): readonly string[] {
  const all = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP])
  return all.filter(ip => parseIp(ip) !== undefined)
}

function isOf({ spec }: IpAddress, { metadata }: Service): boolean {
  const { resource, namespace, name } = spec.parentRef
  return resource === serviceKind.plural && namespace === metadata.namespace && name === metadata.name
}

function shownAs(ip: string, { metadata }: Service): Draft<IpAddress> {
  const { namespace = '', name } = metadata
  const family = `IPv${parseIp(ip)?.family ?? 4}`
  return {
    metadata: { name: ip, labels: { [managedLabel]: managedBy, 'ipaddress.kubernetes.io/ip-family': family } },
    spec: { parentRef: { resource: serviceKind.plural, namespace, name } },
  }
}
