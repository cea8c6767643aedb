// The loop around the routes: the API in memory, a dataplane that writes down what it is given.
import { expect, test, vi } from 'vitest'
import { peerAnnotation } from '../../src/api/annotations.ts'
import { endpointSlice } from '../../src/api/kinds/endpointslice.ts'
import { node } from '../../src/api/kinds/node.ts'
import { service } from '../../src/api/kinds/service.ts'
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { Gossip, GossipView } from '../../src/gossip/gossip.ts'
import { onAbort } from '../../src/lib/abort.ts'
import { runProxy } from '../../src/proxy/run.ts'
import type { Dataplane, RouteTable } from '../../src/world/dataplane.ts'
import { peerId } from '../../src/world/network.ts'
import { type Line, testWorld } from '../apiserver/world.ts'
import { memoryClient } from '../client/memory-client.ts'

/** What the test says is what is heard. */
function spokenGossip(): Gossip & { say(view: GossipView): void } {
  let view: GossipView = { members: new Map(), endpoints: new Map() }
  let wake = () => {}
  return {
    view: () => view,
    announce() {},
    say(next) {
      view = next
      wake()
    },
    async *follow(signal) {
      while (!signal.aborted) {
        yield view
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        using _ = onAbort(signal, resolve)
        await promise
      }
    },
  }
}

async function start() {
  const controller = new AbortController()
  const { signal } = controller
  const lines: Line[] = []
  const world = testWorld('a', undefined, lines)
  const client = memoryClient({ clock: realClock(), random: realRandom() })
  const gossip = spokenGossip()
  const tables: RouteTable[] = []
  const state = { under: 0, underMax: 0, failures: 0, gate: Promise.resolve() }
  const dataplane: Dataplane = {
    name: 'nftables',
    async apply(table) {
      state.under++
      state.underMax = Math.max(state.underMax, state.under)
      await state.gate
      state.under--
      if (state.failures-- > 0) throw new Error('nft is not in the mood')
      tables.push(table)
    },
    connect: () => Promise.reject(new Error('not asked for')),
    clear: async () => {},
  }
  await client.create(node, { metadata: { name: 'n2', annotations: { [peerAnnotation]: 'p2' } } }, signal)
  const web = { clusterIP: '10.96.0.50', clusterIPs: ['10.96.0.50'], ports: [{ port: 80 }] }
  await client.create(service, { metadata: { name: 'web', namespace: 'default' }, spec: web }, signal)
  const slice = await client.create(
    endpointSlice,
    {
      metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ port: 8080 }],
      endpoints: [
        {
          addresses: ['10.42.2.2'],
          nodeName: 'n2',
          conditions: { ready: true },
          targetRef: { kind: 'Pod', name: 'a', uid: 'ua' },
        },
      ],
    },
    signal,
  )
  const config = { node: 'n1', clusterCidr: '10.42.0.0/16', serviceCidr: '10.96.0.0/16' }
  const running = runProxy(world, config, client, gossip, dataplane, signal)
  const stop = async () => {
    controller.abort()
    await running
  }
  const backends = () => tables.at(-1)?.services[0]?.backends.map(backend => backend.ip)
  return { client, gossip, tables, state, backends, signal, slice, stop, lines }
}

const eventually = { timeout: 20_000, interval: 20 }

test('what is listed is applied, and a change of slice or gossip shows in the next table', async () => {
  const { client, gossip, backends, signal, slice, stop } = await start()
  await vi.waitFor(() => expect(backends()).toEqual(['10.42.2.2']), eventually)
  const peer = peerId('p2')
  const member = { peer, sinceMs: 0, heardAtMs: 0 }
  gossip.say({ members: new Map([[peer, { ...member, state: 'dead' }]]), endpoints: new Map() })
  await vi.waitFor(() => expect(backends()).toEqual([]), eventually)
  gossip.say({ members: new Map([[peer, { ...member, state: 'alive' }]]), endpoints: new Map() })
  await vi.waitFor(() => expect(backends()).toEqual(['10.42.2.2']), eventually)
  const more = [...slice.endpoints, { addresses: ['10.42.3.3'], conditions: { ready: true } }]
  await client.update(endpointSlice, { ...slice, endpoints: more }, signal)
  await vi.waitFor(() => expect(backends()).toEqual(['10.42.2.2', '10.42.3.3']), eventually)
  await stop()
})

test('a burst of changes during an apply is one more apply, and never two at once', async () => {
  const { client, tables, state, signal, stop } = await start()
  await vi.waitFor(() => expect(tables).toHaveLength(1), eventually)
  const gate = Promise.withResolvers<void>()
  state.gate = gate.promise
  for (let i = 0; i < 20; i++)
    await client.create(
      service,
      { metadata: { name: `s${i}`, namespace: 'default' }, spec: { clusterIP: `10.96.1.${i}`, ports: [{ port: 80 }] } },
      signal,
    )
  await vi.waitFor(() => expect(state.under).toBe(1), eventually)
  gate.resolve()
  await vi.waitFor(() => expect(tables.at(-1)?.services).toHaveLength(21), eventually)
  expect(tables.length).toBeLessThanOrEqual(3)
  expect(state.underMax).toBe(1)
  await stop()
})

test('an apply that fails is said and done again', async () => {
  const { state, client, signal, tables, lines, stop } = await start()
  await vi.waitFor(() => expect(tables).toHaveLength(1), eventually)
  state.failures = 2
  await client.create(
    service,
    { metadata: { name: 's', namespace: 'default' }, spec: { clusterIP: '10.96.1.1', ports: [{ port: 80 }] } },
    signal,
  )
  await vi.waitFor(() => expect(tables.at(-1)?.services).toHaveLength(2), eventually)
  expect(lines.filter(line => line.level === 'warn').map(line => line.fields['retryMs'])).toEqual([500, 1000])
  await stop()
})

test('gossip that changes no route costs no apply', async () => {
  const { gossip, tables, stop } = await start()
  await vi.waitFor(() => expect(tables).toHaveLength(1), eventually)
  for (let i = 0; i < 5; i++) {
    gossip.say({ members: new Map(), endpoints: new Map() })
    await realClock().sleep(30, new AbortController().signal)
  }
  expect(tables).toHaveLength(1)
  await stop()
})
