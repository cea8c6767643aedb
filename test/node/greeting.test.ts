// Greetings over real networks: what they leave behind of the way to a peer.
import { expect, test } from 'vitest'
import type { MeshNetwork } from '../../src/drivers/network/libp2p.ts'
import { type Greeter, openGreeter, type Self } from '../../src/node/run-greeting.ts'
import { openQuestions, type Questions } from '../../src/node/run-questions.ts'
import type { PeerId } from '../../src/world/network.ts'
import { admitAll, clock, log, openMesh, random, until } from '../conformance/mesh.ts'
import { memoryDisk } from '../store/disk.ts'

const self = async (): Promise<Self> => ({ clusterId: 'c', node: 'n', led: false, authorityPem: undefined })
const open = (network: MeshNetwork, questions: Questions, signal: AbortSignal) =>
  openGreeter({ clock, random, log, network, disk: memoryDisk() }, network, questions, self, signal)
const failuresOf = (greeter: Greeter, peer: PeerId) => greeter.links().get(peer)?.failures
const hasAnswer = (greeter: Greeter, peer: PeerId) => (greeter.links().get(peer)?.roundTripsMs.length ?? 0) > 0

test('a link that breaks counts against the peer at its end, one that only refuses to be greeted does not', async () => {
  await using mesh = openMesh()
  const [one, two, three] = [await mesh.open('one'), await mesh.open('two'), await mesh.open('three')]
  using ofOne = openQuestions(one)
  using ofTwo = openQuestions(two)
  using ofThree = openQuestions(three)
  using greeter = open(one, ofOne, mesh.signal)
  using _other = open(two, ofTwo, mesh.signal)
  let refused = 0
  using _refusing = ofThree.on('greet', () => {
    refused += 1
    throw new Error('not now')
  })
  admitAll(one, two, three)
  await until('one is answered and one is refused', () => hasAnswer(greeter, two.self) && refused > 0)
  await expect(ofOne.ask(three.self, 'greet', {}, mesh.signal)).rejects.toThrow(/not now/)
  expect(failuresOf(greeter, two.self)).toBe(0)
  expect(failuresOf(greeter, three.self)).toBe(0)
  await two.stop()
  await until('the link is gone', () => !one.connected().includes(two.self))
  expect(failuresOf(greeter, two.self)).toBeGreaterThan(0)
})
