// What a Node object says of its machine, and when it moves.
import { expect, test } from 'vitest'
import { allocatableOf, type Health, labelsOf, type Machine, nodeStatusOf } from '../../src/kubelet/node.ts'

const machine: Machine = {
  hostname: 'pi',
  ip: '192.0.2.7',
  cpus: 4,
  memoryBytes: 8 * 2 ** 30,
  diskBytes: 64 * 2 ** 30,
  podsMax: 110,
  machineId: 'm',
  systemUuid: 's',
  bootId: 'b',
  kernel: '6.1',
  osImage: 'Debian',
  operatingSystem: 'linux',
  architecture: 'arm64',
  runtime: 'docker://20',
  version: 'v1.33.0',
}
const well: Health = {
  runtimeReady: true,
  runtimeMessage: '',
  networkReady: true,
  networkMessage: '',
  diskPressure: false,
  memoryPressure: false,
}
const firstMs = Date.parse('2026-01-02T03:04:05Z')
const ready = (status: ReturnType<typeof nodeStatusOf>) => status.conditions?.find(one => one.type === 'Ready')

test('a healthy machine is Ready, with its capacity, addresses and what is left for pods', () => {
  const status = nodeStatusOf({}, machine, well, firstMs)
  expect(ready(status)).toMatchObject({
    status: 'True',
    reason: 'KubeletReady',
    lastTransitionTime: '2026-01-02T03:04:05Z',
  })
  expect(status.capacity).toEqual({ cpu: '4', memory: '8388608Ki', pods: '110', 'ephemeral-storage': '67108864Ki' })
  expect(status.addresses).toEqual([
    { type: 'InternalIP', address: '192.0.2.7' },
    { type: 'Hostname', address: 'pi' },
  ])
  expect(allocatableOf(machine).memoryBytes).toBeLessThan(machine.memoryBytes)
  expect(labelsOf(machine)['kubernetes.io/arch']).toBe('arm64')
})

test('nothing moves while nothing changes: an idle node writes nothing', () => {
  const first = nodeStatusOf({}, machine, well, firstMs)
  expect(nodeStatusOf(first, machine, well, firstMs + 3_600_000)).toEqual(first)
})

test('a dead runtime or a missing pod network makes it NotReady and says why; the way back is a transition too', () => {
  const first = nodeStatusOf({}, machine, well, firstMs)
  const ill = {
    ...well,
    runtimeReady: false,
    runtimeMessage: 'container runtime is down: gone',
    networkReady: false,
    networkMessage: 'this node has no pod CIDR yet',
  }
  const second = nodeStatusOf(first, machine, ill, firstMs + 60_000)
  expect(ready(second)).toMatchObject({
    status: 'False',
    reason: 'KubeletNotReady',
    message: 'container runtime is down: gone; this node has no pod CIDR yet',
    lastTransitionTime: '2026-01-02T03:05:05Z',
  })
  expect(ready(nodeStatusOf(second, machine, well, firstMs + 120_000))).toMatchObject({
    status: 'True',
    lastTransitionTime: '2026-01-02T03:06:05Z',
  })
})

test('conditions of others stay, and a Ready that somebody else made Unknown is taken back', () => {
  const before = {
    conditions: [
      { type: 'Extra', status: 'True' as const },
      { type: 'Ready', status: 'Unknown' as const, reason: 'NodeStatusUnknown', message: 'silent' },
    ],
  }
  const status = nodeStatusOf(before, machine, well, firstMs)
  expect(status.conditions?.find(one => one.type === 'Extra')).toEqual({ type: 'Extra', status: 'True' })
  expect(ready(status)?.status).toBe('True')
})
