// A peer in a process of its own, so that a test can kill or freeze it. Says its identity on standard output as JSON, admits
// the peer named in its arguments, then answers `api` requests with what it was asked and sends what it gets on `raft` back.
import { join } from 'node:path'
import { loadIdentity } from '../../src/drivers/identity.ts'
import { openNetwork } from '../../src/drivers/network/libp2p.ts'
import { peerId } from '../../src/world/network.ts'
import { clock, log, random } from './mesh.ts'

// A machine whose clock is wrong, for as long as this process lives.
const shiftMs = Number(process.env['FLOTILLA_TEST_CLOCK_SHIFT_MS'] ?? 0)
const realNow = Date.now
Date.now = () => realNow() + shiftMs

const [folder = '', listen = '', friend = '', address = ''] = process.argv.slice(2)
const { privateKey } = await loadIdentity(join(folder, 'peer.key'))
const signal = new AbortController().signal
const network = await openNetwork({ clock, random, log }, { privateKey, listen: [listen], mdns: false }, signal)
network.onRequest('api', async (_from, body) => body)
network.onMessage('raft', (from, message) => network.send(from, 'raft', message))
network.admit([{ peer: peerId(friend), addresses: [address] }])
process.stdout.write(`${JSON.stringify({ peer: network.self, addresses: network.addresses() })}\n`)
