import { expect, test } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { prng } from '../../src/lib/prng.ts'
import {
  makeToken,
  parseToken,
  proveToken,
  signGrant,
  type Token,
  type Transcript,
  tokenLifeMs,
  verifyGrant,
  verifyProof,
  writeToken,
} from '../../src/node/token.ts'
import { peerId } from '../../src/world/network.ts'

const random = prng(3)
const seeds = [
  { peer: peerId('12D3KooWDqPXojQEW5EqxTPhkSici12RswsqZUHTF2YQhx4K3igc'), addresses: ['/ip4/192.0.2.1/tcp/4001'] },
]
const nowMs = 1_800_000_000_000
const make = (more = {}) =>
  makeToken(count => random.bytes(count), { caHash: 'ab'.repeat(32), seeds, role: 'control', nowMs, ...more })
function read(text: string): Token {
  const parsed = parseToken(text)
  if (parsed.kind === 'bad') throw new Error(parsed.why)
  return parsed.token
}
const transcript = (tokenId: string): Transcript => ({
  joiner: peerId('joiner'),
  asked: peerId('asked'),
  tokenId,
  nonce: random.bytes(32),
  challenge: random.bytes(32),
  nodeName: 'pi',
  addresses: ['/ip4/192.0.2.9/tcp/4001'],
  witness: false,
})

test('a token names the cluster and where to ask, and is one word that fits a line of a chat', () => {
  const { text, record } = make()
  const token = read(text)
  expect(token).toMatchObject({ id: record.id, caHash: 'ab'.repeat(32), seeds })
  expect(token.secret.length * 8).toBeGreaterThanOrEqual(128)
  expect(text).toMatch(/^flotilla1\.[A-Za-z0-9_-]+$/)
  expect(text.length).toBeLessThan(300)
  expect(writeToken(token)).toBe(text)
  expect(parseToken(`  ${text}\n`).kind).toBe('token')
})

test('a record lives a day unless told otherwise, and the secret cannot be found in it', () => {
  const { text, record } = make()
  expect(record.expiresMs - record.createdMs).toBe(tokenLifeMs)
  expect(make({ lifeMs: 60_000, uses: 1 }).record).toMatchObject({ expiresMs: nowMs + 60_000, usesLeft: 1 })
  const secret = Buffer.from(read(text).secret)
  const stored = JSON.stringify(record)
  for (const form of ['hex', 'base64', 'base64url'] as const) expect(stored).not.toContain(secret.toString(form))
})

test('every single wrong, missing or added character is noticed', () => {
  const { text } = make()
  for (let i = 0; i < text.length; i++) {
    const other = text[i] === 'A' ? 'B' : 'A'
    expect(parseToken(text.slice(0, i) + other + text.slice(i + 1)).kind).toBe('bad')
    expect(parseToken(text.slice(0, i)).kind).toBe('bad')
  }
  expect(parseToken(`${text}AAAA`)).toEqual({ kind: 'bad', why: 'damaged' })
  expect(parseToken('')).toEqual({ kind: 'bad', why: 'not-a-token' })
  expect(parseToken('K10abc::server:def')).toEqual({ kind: 'bad', why: 'not-a-token' })
  expect(parseToken(text.replace('flotilla1', 'flotilla2'))).toEqual({ kind: 'bad', why: 'other-version' })
  expect(parseToken('flotilla1.' + 'A'.repeat(100_000))).toEqual({ kind: 'bad', why: 'damaged' })
})

test('a proof holds for its token and its transcript alone', () => {
  const { text, record } = make()
  const token = read(text)
  const agreed = transcript(token.id)
  const proof = proveToken(token, agreed)
  expect(verifyProof(record, agreed, proof)).toBe(true)
  for (const other of [
    { ...agreed, joiner: peerId('thief') },
    { ...agreed, asked: peerId('in-between') },
    { ...agreed, nonce: random.bytes(32) },
    { ...agreed, challenge: random.bytes(32) },
    { ...agreed, nodeName: 'other' },
    { ...agreed, addresses: [] },
    { ...agreed, witness: true },
    { ...agreed, nodeName: 'pi/ip4/192.0.2.9/tcp/4001', addresses: [] },
  ]) {
    expect(verifyProof(record, other, proof)).toBe(false)
  }
  expect(verifyProof(make().record, agreed, proof)).toBe(false)
  for (let i = 0; i < proof.length; i++) {
    const bent = Uint8Array.from(proof)
    bent[i] = (bent[i] ?? 0) ^ 1
    expect(verifyProof(record, agreed, bent)).toBe(false)
  }
  for (const bad of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(33)]) {
    expect(verifyProof(record, agreed, bad)).toBe(false)
  }
})

test('who can read the store can neither join with it nor is the answer of a stranger believed', () => {
  const { text, record } = make()
  const token = read(text)
  const agreed = transcript(token.id)
  // The best a reader of the record can do is to use what is stored as if it were the secret.
  for (const stolen of [record.storedKey, record.serverKey]) {
    const secret = new Uint8Array(Buffer.from(stolen, 'hex'))
    expect(verifyProof(record, agreed, proveToken({ ...token, secret }, agreed))).toBe(false)
  }
  const grant = utf8('the grant')
  const signature = signGrant(record, agreed, grant)
  expect(verifyGrant(token, agreed, grant, signature)).toBe(true)
  expect(verifyGrant(token, agreed, utf8('another grant'), signature)).toBe(false)
  expect(verifyGrant(token, transcript(token.id), grant, signature)).toBe(false)
  expect(verifyGrant(token, agreed, grant, signGrant(make().record, agreed, grant))).toBe(false)
})
