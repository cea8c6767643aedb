import { expect, test } from 'vitest'
import type { Node } from '../../src/api/kinds/node.ts'
import { type OverlayConfig, planOverlay } from '../../src/overlay/plan.ts'

const config: OverlayConfig = {
  node: 'n1',
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.96.0.0/16',
  dnsIp: '169.254.20.10',
  mode: 'auto',
}
const node = (name: string, ip: string | undefined, podCIDR: string | undefined): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: podCIDR === undefined ? {} : { podCIDR },
  status:
    ip === undefined
      ? {}
      : {
          addresses: [
            { type: 'Hostname', address: name },
            { type: 'InternalIP', address: ip },
          ],
        },
})
const n1 = node('n1', '192.168.1.10', '10.42.1.0/24')
const planned = (nodes: readonly Node[], subnets: readonly string[], more: Partial<OverlayConfig> = {}) => {
  const result = planOverlay(nodes, subnets, { ...config, ...more })
  if (result.kind === 'wait') throw new Error(result.why)
  return result
}

test('neighbours on a subnet of this machine are reached directly, others by VXLAN', () => {
  const { plan } = planned(
    [n1, node('n2', '192.168.1.11', '10.42.2.0/24'), node('n3', '203.0.113.7', '10.42.3.0/24')],
    ['192.168.1.10/24'],
  )
  expect(plan.nodePodIp).toBe('10.42.1.1')
  expect(plan.mac).toBe('0a:58:0a:2a:01:01')
  expect(plan.routes).toEqual([
    { kind: 'direct', podCidr: '10.42.2.0/24', via: '192.168.1.11' },
    { kind: 'vxlan', podCidr: '10.42.3.0/24', via: '10.42.3.1', mac: '0a:58:0a:2a:03:01', vtep: '203.0.113.7' },
  ])
})

test('two nodes agree on the hardware address of each end', () => {
  const far = node('n2', '203.0.113.7', '10.42.2.0/24')
  const [toFar] = planned([n1, far], []).plan.routes
  expect(toFar).toMatchObject({ kind: 'vxlan', mac: planned([n1, far], [], { node: 'n2' }).plan.mac })
})

test('the mode vxlan makes no direct route, and an address of /32 makes nobody a neighbour', () => {
  const nodes = [n1, node('n2', '192.168.1.11', '10.42.2.0/24')]
  expect(planned(nodes, ['192.168.1.10/24'], { mode: 'vxlan' }).plan.routes[0]?.kind).toBe('vxlan')
  expect(planned(nodes, ['192.168.1.11/32']).plan.routes[0]?.kind).toBe('vxlan')
})

test('a node that is not complete is left out, one that would take over pods is named', () => {
  const { plan, skipped } = planned(
    [
      n1,
      node('n2', undefined, '10.42.2.0/24'),
      node('n3', '192.168.1.12', undefined),
      node('n4', '192.168.1.13', '10.42.1.128/25'),
      node('n5', '192.168.1.10', '10.42.5.0/24'),
    ],
    [],
  )
  expect(plan.routes).toEqual([])
  expect(skipped).toEqual(['n4: its podCIDR is taken', "n5: has this node's own address"])
})

test('without its own Node, podCIDR or address a node waits and says for what', () => {
  expect(planOverlay([], [], config)).toEqual({ kind: 'wait', why: 'there is no Node n1 yet' })
  expect(planOverlay([node('n1', '192.168.1.10', undefined)], [], config)).toMatchObject({
    why: 'this Node has no podCIDR yet',
  })
  expect(planOverlay([node('n1', undefined, '10.42.1.0/24')], [], config)).toMatchObject({
    why: 'this Node has no InternalIP yet',
  })
})
