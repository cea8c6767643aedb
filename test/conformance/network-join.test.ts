// The moment in which two peers come to know each other: one of them always admits first.
import { expect, test } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { openMesh, until } from './mesh.ts'

test('gossip flows both ways after one peer admitted the other while it was still a stranger to it', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  const heard = { a: 0, b: 0 }
  a.onGossip('state', () => void heard.a++)
  b.onGossip('state', () => void heard.b++)
  a.onRequest('join', async () => {
    a.admit([{ peer: b.self, addresses: b.addresses() }])
    // Long enough for a to offer b its gossip stream, which b refuses: it does not know a as a peer yet.
    await until('a has met b', () => a.connected().includes(b.self))
    await until('b refused it', () => b.statistics().refusedStreams > 0)
    return utf8('welcome')
  })
  const asked = await b.dial(a.addresses()[0] ?? '', mesh.signal)
  await b.request(asked, 'join', utf8('please'), mesh.signal)
  b.admit([{ peer: a.self, addresses: a.addresses() }])
  await until('both hear each other', () => {
    a.publish('state', utf8('a'))
    b.publish('state', utf8('b'))
    return heard.a > 0 && heard.b > 0
  })
  expect(a.connected()).toEqual([b.self])
})
