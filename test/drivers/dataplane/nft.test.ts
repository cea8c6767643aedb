import { expect, test } from 'vitest'
import { change, replacement } from '../../../src/drivers/dataplane/nft-change.ts'
import { type Rendered, render } from '../../../src/drivers/dataplane/nft-render.ts'
import type { Backend, RouteTable, ServiceRoute } from '../../../src/world/dataplane.ts'

const backend = (ip: string): Backend => ({ ip, port: 8080, local: ip.startsWith('10.42.1.') })
const route = (i: number, backends: readonly Backend[], more: Partial<ServiceRoute> = {}): ServiceRoute => ({
  id: `default/s${i}:http`,
  protocol: 'tcp',
  vips: [`10.96.${i >> 8}.${i & 255}`],
  port: 80,
  backends,
  ...more,
})
const table = (...services: readonly ServiceRoute[]): RouteTable => ({
  services,
  hostPorts: [],
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.96.0.0/16',
})
const three = ['10.42.1.2', '10.42.2.2', '10.42.3.2'].map(backend)

test('services share one picker per number of endpoints', () => {
  const services = Array.from({ length: 100 }, (_, i) => route(i, three.slice(0, 1 + (i % 3))))
  expect([...render(table(...services)).chains.keys()].sort()).toEqual(['vc1', 'vc2', 'vc3'])
})

test('one endpoint less touches the elements of its service alone', () => {
  const services = Array.from({ length: 1_000 }, (_, i) => route(i, three))
  const before = render(table(...services))
  const after = render(table(route(0, three.slice(0, 2)), ...services.slice(1)))
  const step = change('flotilla', before, after)
  if (step.kind !== 'edit') throw new Error(step.kind)
  expect(step.text).toContain('add element ip flotilla vip { 10.96.0.0 . tcp . 80 : goto vc2 }')
  expect(step.text).not.toContain('10.96.0.1 ')
  expect(step.text.split('\n').length).toBeLessThan(12)
})

test('the same table is no change, whatever the order of its services', () => {
  const [a, b] = [route(1, three), route(2, three)]
  expect(change('flotilla', render(table(a, b)), render(table(b, a)))).toEqual({ kind: 'none' })
})

test('another frame, or most of a big table, is a replacement', () => {
  const services = Array.from({ length: 600 }, (_, i) => route(i, three))
  const moved = services.map(s => ({ ...s, port: 81 }))
  expect(change('flotilla', render(table(...services)), render(table(...moved)))).toEqual({ kind: 'replace' })
  const other = { ...table(...services), clusterCidr: '10.43.0.0/16' }
  expect(change('flotilla', render(table(...services)), render(other))).toEqual({ kind: 'replace' })
})

test('two services with one address and port do not mix: the first keeps it', () => {
  const vips = ['10.96.0.9']
  const rendered = render(table(route(2, three, { vips }), route(1, three.slice(0, 1), { vips })))
  expect(rendered.flat.vip.get('10.96.0.9 . tcp . 80')).toBe('goto vc1')
  expect(rendered.flat.be.size).toBe(1)
})

test('chains of affinity are taken away when nothing leads there any more, and clients are carried over', () => {
  const sticky = (backends: readonly Backend[]) => render(table(route(1, backends, { affinitySeconds: 60 })))
  const [before, after] = [sticky(three), sticky(three.slice(0, 2))]
  const step = change('flotilla', before, after)
  if (step.kind !== 'edit') throw new Error(step.kind)
  expect(step.text.match(/^delete set /gm)).toHaveLength(1)
  expect(step.text.match(/^delete chain /gm)).toHaveLength(2)
  const [set = ''] = after.affinitySets.keys()
  const text = replacement('flotilla', after, new Map([[set, ['10.42.1.9 expires 9s']]]))
  expect(text).toContain(`add element ip flotilla ${set} { 10.42.1.9 expires 9s }`)
})

test('source ranges stand before the load balancer address alone', () => {
  const guarded = route(1, three, { vips: [], externalVips: ['192.0.2.1'], sourceRanges: ['203.0.113.0/24'] })
  const { flat, chains }: Rendered = render(table(guarded))
  const chain = flat.vip.get('192.0.2.1 . tcp . 80')?.replace('goto ', '') ?? ''
  expect(chains.get(chain)).toEqual(['ip saddr 203.0.113.0/24 goto ve3', 'drop'])
})
