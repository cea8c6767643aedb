// The pure parts of the network driver. The whole of it is in test/conformance.
import { expect, test } from 'vitest'
import { hintTable } from '../../src/drivers/network/address.ts'
import { gate, gateDefaults } from '../../src/drivers/network/gate.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'

const peer = (i: number): PeerId => peerId(`peer-${i}`)

test('the gate knows whom it was told, and each admission replaces the one before', () => {
  const door = gate(gateDefaults)
  expect(door.admitted(peer(1))).toBe(false)
  door.replace([{ peer: peer(1), addresses: ['/ip4/192.0.2.1/tcp/1'] }])
  expect([door.admitted(peer(1)), door.addresses(peer(1)), door.addresses(peer(2))]).toEqual([
    true,
    ['/ip4/192.0.2.1/tcp/1'],
    [],
  ])
  door.replace([{ peer: peer(2), addresses: [] }])
  expect([door.admitted(peer(1)), door.admitted(peer(2)), [...door.peers()]]).toEqual([false, true, [peer(2)]])
  door.expect(peer(3))
  expect([door.expected(peer(3)), door.admitted(peer(3))]).toEqual([true, false])
  door.forget(peer(3))
  expect(door.expected(peer(3))).toBe(false)
})

test('few strangers at a time, few per minute from one address, whatever names they make up', () => {
  const door = gate({ strangerCountMax: 2, strangerMs: 1_000, strangersPerMinuteMax: 4 })
  expect([1, 2, 3].map(i => door.letStrangerIn(peer(i), '192.0.2.1', 0))).toEqual([true, true, false])
  door.strangerLeft(peer(1))
  door.strangerLeft(peer(2))
  expect([4, 5].map(i => door.letStrangerIn(peer(i), '192.0.2.1', 10))).toEqual([true, true])
  door.strangerLeft(peer(4))
  expect(door.letStrangerIn(peer(6), '192.0.2.1', 20)).toBe(false)
  expect(door.letStrangerIn(peer(6), '192.0.2.2', 20)).toBe(true)
  door.strangerLeft(peer(6))
  expect(door.letStrangerIn(peer(7), '192.0.2.1', 70_000)).toBe(true)
  expect([...door.strangers().keys()]).toEqual([peer(5), peer(7)])
})

test('a flood of made-up hints neither grows the table nor pushes out whom we know', () => {
  const hints = hintTable(one => one === peer(0))
  hints.add(peer(0), ['/ip4/192.0.2.1/tcp/1'])
  for (let i = 1; i < 5_000; i++) hints.add(peer(i), [`/ip4/203.0.113.1/tcp/${i}`])
  expect(hints.all().size).toBe(256)
  expect(hints.of(peer(0))).toEqual(['/ip4/192.0.2.1/tcp/1'])
  for (let i = 0; i < 100; i++) hints.add(peer(0), [`/ip4/203.0.113.1/tcp/${i}`])
  expect(hints.of(peer(0)).length).toBe(16)
})
