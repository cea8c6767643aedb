import { expect, test, vi } from 'vitest'
import { node } from '../../src/api/kinds/node.ts'
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import { ownSubnets, runOverlay } from '../../src/overlay/run.ts'
import type { Dataplane, OverlayPlan } from '../../src/world/dataplane.ts'
import { type Line, testWorld } from '../apiserver/world.ts'
import { memoryClient } from '../client/memory-client.ts'

const eventually = { timeout: 20_000, interval: 20 }

test('nodes that come get routes, their status changes cost nothing, and a failure is done again', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const lines: Line[] = []
  const client = memoryClient({ clock: realClock(), random: realRandom() })
  const plans: OverlayPlan[] = []
  let failures = 0
  const dataplane: Dataplane = {
    name: 'nftables',
    apply: () => Promise.reject(new Error('not asked for')),
    async connect(plan) {
      if (failures-- > 0) throw new Error('no such device')
      plans.push(plan)
    },
    clear: async () => {},
  }
  const config = {
    node: 'n1',
    clusterCidr: '10.42.0.0/16',
    serviceCidr: '10.96.0.0/16',
    dnsIp: '169.254.20.10',
    mode: 'auto',
  } as const
  const running = runOverlay(testWorld('a', undefined, lines), config, client, dataplane, signal, () => [
    '10.99.0.1/24',
  ])
  await vi.waitFor(
    () => expect(lines.map(line => line.message)).toContain('no pod network yet: there is no Node n1 yet'),
    eventually,
  )

  async function join(name: string, podCIDR: string, address: string) {
    const made = await client.create(node, { metadata: { name }, spec: { podCIDR } }, signal)
    return await client.updateStatus(
      node,
      { ...made, status: { addresses: [{ type: 'InternalIP', address }] } },
      signal,
    )
  }
  await join('n1', '10.42.1.0/24', '10.99.0.1')
  await vi.waitFor(() => expect(plans.at(-1)?.nodePodIp).toBe('10.42.1.1'), eventually)
  failures = 1
  const n2 = await join('n2', '10.42.2.0/24', '10.99.0.2')
  await vi.waitFor(
    () => expect(plans.at(-1)?.routes).toEqual([{ kind: 'direct', podCidr: '10.42.2.0/24', via: '10.99.0.2' }]),
    eventually,
  )
  expect(lines.some(line => line.level === 'warn' && line.message === 'not all routes are set')).toBe(true)
  const count = plans.length
  await client.updateStatus(node, { ...n2, status: { ...n2.status, phase: 'Running' } }, signal)
  await realClock().sleep(200, signal)
  expect(plans).toHaveLength(count)
  await client.delete(node, { name: 'n2' }, {}, signal)
  await vi.waitFor(() => expect(plans.at(-1)?.routes).toEqual([]), eventually)
  controller.abort()
  await running
})

test('the subnets of this machine are CIDR blocks without the loopback', () => {
  for (const subnet of ownSubnets()) expect(subnet).toMatch(/^(?!127)\d+\.\d+\.\d+\.\d+\/\d+$/)
})
