// Joining over real networks.
import { expect, test } from 'vitest'
import type { MeshNetwork } from '../../src/drivers/network/libp2p.ts'
import { certificateHash, makeAuthority } from '../../src/drivers/pki.ts'
import { decideJoin, type JoinQuestion } from '../../src/node/join.ts'
import { type JoinAnswer, type JoinError, type JoinGrant, joinCluster, serveJoin } from '../../src/node/run-join.ts'
import { makeToken, parseToken, type TokenRecord, writeToken } from '../../src/node/token.ts'
import type { PeerId } from '../../src/world/network.ts'
import { clock, log, openMesh, random, until } from '../conformance/mesh.ts'

/** One peer that is a cluster, as far as joining is concerned. */
async function cluster(network: MeshNetwork) {
  const { certificatePem: caPem } = await makeAuthority('test', Date.now())
  const tokens = new Map<string, TokenRecord>()
  const nodes = new Map<string, PeerId>([['first', network.self]])
  const admitted: JoinQuestion[] = []
  const grant: JoinGrant = {
    clusterId: 'c-1',
    memberId: 'm-2',
    caPem,
    peers: [{ peer: network.self, addresses: network.addresses(), control: true }],
    clusterCidr: '10.244.0.0/16',
    serviceCidr: '10.96.0.0/16',
    clusterName: 'home',
    origin: 'c-0',
    past: ['c-0'],
  }
  const admit = async (question: JoinQuestion): Promise<JoinAnswer> => {
    const decision = decideJoin(
      question,
      tokens.get(question.tokenId),
      {
        record: { clusterName: 'home' },
        peerOfNode: name => nodes.get(name),
        nodeOfPeer: peer => [...nodes].find(([, other]) => other === peer)?.[0],
      },
      Date.now(),
    )
    if (decision.kind === 'refuse') return { kind: 'refused', why: decision.why, message: decision.message }
    tokens.set(decision.token.id, decision.token)
    nodes.set(question.nodeName, question.peer)
    admitted.push(question)
    return { kind: 'admitted', grant }
  }
  const serving = serveJoin({ clock, random, log, network }, { lookup: async id => tokens.get(id), admit })
  const token = (more: { lifeMs?: number; uses?: number; seeds?: boolean } = {}): string => {
    const { text, record } = makeToken(count => random.bytes(count), {
      caHash: certificateHash(caPem),
      seeds: more.seeds === false ? [] : [{ peer: network.self, addresses: network.addresses() }],
      role: 'control',
      nowMs: Date.now(),
      ...(more.lifeMs === undefined ? {} : { lifeMs: more.lifeMs }),
      ...(more.uses === undefined ? {} : { uses: more.uses }),
    })
    tokens.set(record.id, record)
    return text
  }
  return { token, admitted, grant, serving, tokens }
}

type Wish = { target?: string; token: string; nodeName?: string; discoverMs?: number }
const join = (network: MeshNetwork, { target, token, nodeName = 'pi', discoverMs = 300 }: Wish, signal: AbortSignal) =>
  joinCluster({ clock, random, log }, network, { target, token, nodeName, discoverMs }, signal)
const reasonOf = (promise: Promise<unknown>): Promise<JoinError['reason'] | 'none'> =>
  promise.then(
    () => 'none',
    (error: JoinError) => error.reason,
  )

test('the token alone is enough to join, by peer ID, by multiaddr and by host:port too', async () => {
  await using mesh = openMesh()
  const peer = await mesh.open('peer')
  const { token, admitted, grant } = await cluster(peer)
  const address = peer.addresses()[0] ?? ''
  const port = /tcp\/(\d+)/.exec(address)?.[1]
  const targets = [
    undefined,
    peer.self,
    address,
    address.replace(/\/p2p\/.*/, ''),
    `127.0.0.1:${port}`,
    `localhost:${port}`,
  ]
  for (const [i, target] of targets.entries()) {
    const joiner = await mesh.open(`joiner${i}`)
    const wish = { token: token(), nodeName: `pi-${i}`, ...(target === undefined ? {} : { target }) }
    const reply = await join(joiner, wish, mesh.signal)
    expect(reply).toMatchObject({
      clusterId: grant.clusterId,
      memberId: grant.memberId,
      caPem: grant.caPem,
      clusterName: 'home',
      origin: 'c-0',
      past: ['c-0'],
      via: peer.self,
    })
    expect(reply.peers.map(one => one.peer)).toEqual([peer.self])
    expect(reply.peers[0]?.addresses.every(one => one.endsWith(peer.self))).toBe(true)
    expect(admitted.at(-1)).toMatchObject({ peer: joiner.self, nodeName: `pi-${i}`, addresses: joiner.addresses() })
    // What node/run.ts does with the reply, on both sides: the connection that stands is used on.
    joiner.admit(reply.peers)
    peer.admit([{ peer: joiner.self, addresses: joiner.addresses() }])
    await until('connected', () => joiner.connected().length === 1)
    await joiner.stop()
  }
})

test('each reason not to get in has its own error', async () => {
  await using mesh = openMesh()
  const [peer, joiner, other] = [await mesh.open('peer'), await mesh.open('joiner'), await mesh.open('other')]
  const { token, admitted } = await cluster(peer)
  const foreign = await cluster(other)
  const target = peer.addresses()[0] ?? ''
  const why = (wish: Wish) => reasonOf(join(joiner, wish, mesh.signal))
  expect(await why({ token: 'hello' })).toBe('bad-token')
  expect(await why({ token: token().slice(0, -1) })).toBe('bad-token')
  expect(await why({ token: token({ lifeMs: -1 }) })).toBe('expired')
  expect(await why({ token: token({ uses: 0 }) })).toBe('used-up')
  expect(await why({ token: token(), nodeName: 'first' })).toBe('name-taken')
  expect(await why({ token: token(), nodeName: 'Not A Name' })).toBe('bad-name')
  expect(await why({ target, token: foreign.token() })).toBe('unknown-token')
  expect(await why({ target: 'nowhere', token: token() })).toBe('bad-target')
  expect(await why({ target: joiner.self.replace(/.$/, 'x'), token: token() })).not.toBe('none')
  expect(await why({ target: other.self, token: token() })).toBe('peer-not-found')
  expect(await why({ target: '/ip4/127.0.0.1/tcp/1', token: token() })).toBe('unreachable')
  expect(await why({ target: target.replace(peer.self, other.self), token: token() })).toBe('wrong-peer')
  const fresh = await mesh.open('fresh')
  expect(await reasonOf(join(fresh, { token: token({ seeds: false }) }, mesh.signal))).toBe('peer-not-found')
  // The right token's name with a wrong secret.
  const parsed = parseToken(token())
  if (parsed.kind === 'bad') throw new Error(parsed.why)
  const guess = writeToken({ ...parsed.token, secret: random.bytes(20) })
  expect(await why({ token: guess })).toBe('wrong-token')
  expect(admitted).toEqual([])
  for (let i = 0; i < 4; i++) await why({ token: guess })
  expect(await why({ token: token() })).toBe('slow-down')
})

test('a peer that lets everybody in without knowing the token is not believed', async () => {
  await using mesh = openMesh()
  const [peer, liar, joiner] = [await mesh.open('peer'), await mesh.open('liar'), await mesh.open('joiner')]
  const { token, tokens } = await cluster(peer)
  const text = token()
  const { certificatePem: caPem } = await makeAuthority('liar', Date.now())
  // It admits whoever comes, with a record that it made up.
  const made = makeToken(count => random.bytes(count), { caHash: '', seeds: [], role: 'control', nowMs: Date.now() })
  serveJoin(
    { clock, random, log, network: liar },
    {
      lookup: async () => made.record,
      admit: async () => ({ kind: 'refused', why: 'not-ready', message: '' }),
    },
  )
  expect(await reasonOf(join(joiner, { target: liar.addresses()[0] ?? '', token: text }, mesh.signal))).toBe(
    'wrong-token',
  )
  // It has read the store of the cluster, so it can check proofs, but its own CA is not the one that the token names.
  const thief = await mesh.open('thief')
  const names = { clusterName: 'n', origin: 'c', past: [] }
  const grant = { clusterId: 'c', memberId: 'm', caPem, peers: [], clusterCidr: '', serviceCidr: '', ...names }
  serveJoin(
    { clock, random, log, network: thief },
    { lookup: async id => tokens.get(id), admit: async () => ({ kind: 'admitted', grant }) },
  )
  expect(await reasonOf(join(joiner, { target: thief.addresses()[0] ?? '', token: text }, mesh.signal))).toBe(
    'other-cluster',
  )
})

test('a proof that was seen cannot be used again, and nonsense is answered in kind', async () => {
  await using mesh = openMesh()
  const [peer, joiner] = [await mesh.open('peer'), await mesh.open('joiner')]
  const { token, admitted } = await cluster(peer)
  const sent: Uint8Array[] = []
  const recording: MeshNetwork = {
    ...joiner,
    request: (to, protocol, body, signal) => {
      sent.push(body)
      return joiner.request(to, protocol, body, signal)
    },
  }
  await join(recording, { token: token(), nodeName: 'pi' }, mesh.signal)
  expect(admitted.length).toBe(1)
  const [hello = new Uint8Array(), proof = new Uint8Array()] = sent
  for (const body of [proof, hello, proof, new Uint8Array(), random.bytes(100)]) {
    await joiner.request(peer.self, 'join', body, mesh.signal)
  }
  expect(admitted.length).toBe(1)
})

test('a peer that mDNS finds is asked when the token names no address', async () => {
  await using mesh = openMesh()
  // Multicast does not work everywhere: the hints are what is tested, told as mDNS tells them.
  const [peer, joiner] = [await mesh.open('peer'), await mesh.open('joiner')]
  const { token } = await cluster(peer)
  let tell: Parameters<MeshNetwork['onDiscovered']>[0] = () => {}
  const found = new Map<PeerId, readonly string[]>()
  const hinted: MeshNetwork = {
    ...joiner,
    discovered: () => found,
    onDiscovered(handler) {
      tell = handler
      return { [Symbol.dispose]() {} }
    },
  }
  setTimeout(() => {
    found.set(peer.self, peer.addresses())
    tell(peer.self, peer.addresses())
  }, 200)
  const reply = await join(hinted, { token: token({ seeds: false }), discoverMs: 20_000 }, mesh.signal)
  expect(reply.via).toBe(peer.self)
})
