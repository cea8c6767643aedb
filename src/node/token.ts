// Join tokens. Pure: randomness and time are arguments. A token names the cluster (the hash of its CA) and where to ask, so
// `flotilla join --token …` needs nothing else, and holds 160 secret bits that never travel: joiner and cluster prove to each
// other that they know them, the way SCRAM does (RFC 5802, section 3), bound to both peer IDs and fresh nonces of both sides.
// The store keeps two hashes, from which the secret cannot be had: who reads the store cannot join with it. Salt and iterations
// are left out because the secret is random, not a password.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type Bytes, concat, utf8 } from '../lib/bytes.ts'
import { JoinTokenSchema } from '../wire/gen/flotilla/v1/join_pb.ts'
import { type PeerId, peerId } from '../world/network.ts'

export const tokenLifeMs = 24 * 60 * 60 * 1000
const idBytes = 8,
  secretBytes = 20,
  checkBytes = 4
const prefix = 'flotilla1.'
const tokenTextLengthMax = 4_096

/** A peer to ask, as of when the token was made. */
export type Seed = { readonly peer: PeerId; readonly addresses: readonly string[] }

export type Token = {
  /** Names the record in the store; not secret. */
  readonly id: string
  readonly secret: Bytes
  /** SHA-256 of the CA certificate, hex. */
  readonly caHash: string
  readonly seeds: readonly Seed[]
}

/** What the store keeps. */
export type TokenRecord = {
  readonly id: string
  readonly createdMs: number
  readonly expiresMs: number
  /** How many more machines may join with it; absent: any number until it expires. */
  readonly usesLeft?: number
  /** What its holders may become: only some tokens let a machine hold a replica, with all Secrets in it. */
  readonly role: 'control' | 'worker'
  /** A machine with a new key may take over this Node with it, pods and all: for one whose key is lost. */
  readonly replaces?: string
  readonly storedKey: string
  readonly serverKey: string
}

export type NewToken = {
  readonly caHash: string
  readonly seeds: readonly Seed[]
  readonly role: TokenRecord['role']
  readonly nowMs: number
  readonly lifeMs?: number
  readonly uses?: number
  readonly replaces?: string
}

/** A new token as text for people, shown once, and its record for the store. */
export function makeToken(
  randomBytes: (count: number) => Bytes,
  wanted: NewToken,
): { readonly text: string; readonly record: TokenRecord } {
  const id = hex(randomBytes(idBytes))
  const secret = randomBytes(secretBytes)
  const record: TokenRecord = {
    id,
    createdMs: wanted.nowMs,
    expiresMs: wanted.nowMs + (wanted.lifeMs ?? tokenLifeMs),
    ...(wanted.uses === undefined ? {} : { usesLeft: wanted.uses }),
    role: wanted.role,
    ...(wanted.replaces === undefined ? {} : { replaces: wanted.replaces }),
    storedKey: hex(sha256(clientKeyOf(secret))),
    serverKey: hex(serverKeyOf(secret)),
  }
  return { text: writeToken({ id, secret, caHash: wanted.caHash, seeds: wanted.seeds }), record }
}

export function writeToken(token: Token): string {
  const body = toBinary(
    JoinTokenSchema,
    create(JoinTokenSchema, {
      id: unhex(token.id),
      secret: token.secret,
      caHash: unhex(token.caHash),
      seeds: token.seeds.map(({ peer, addresses }) => ({ peer, addresses: [...addresses] })),
    }),
  )
  return prefix + Buffer.from(concat([body, sha256(body).subarray(0, checkBytes)])).toString('base64url')
}

export type ParsedToken =
  | { readonly kind: 'token'; readonly token: Token }
  | { readonly kind: 'bad'; readonly why: 'not-a-token' | 'other-version' | 'damaged' }

/** Reads a token as a person pasted it. Total. */
export function parseToken(text: string): ParsedToken {
  const trimmed = text.trim()
  if (!/^flotilla[0-9]{1,3}\./.test(trimmed)) return { kind: 'bad', why: 'not-a-token' }
  if (!trimmed.startsWith(prefix)) return { kind: 'bad', why: 'other-version' }
  const encoded = trimmed.slice(prefix.length)
  if (!/^[A-Za-z0-9_-]+$/.test(encoded) || encoded.length > tokenTextLengthMax) return { kind: 'bad', why: 'damaged' }
  const all = new Uint8Array(Buffer.from(encoded, 'base64url'))
  const body = all.subarray(0, Math.max(0, all.length - checkBytes))
  if (!sameBytes(all.subarray(body.length), sha256(body).subarray(0, checkBytes)))
    return { kind: 'bad', why: 'damaged' }
  try {
    const read = fromBinary(JoinTokenSchema, body)
    if (read.id.length !== idBytes || read.secret.length < 16 || read.caHash.length !== 32) {
      return { kind: 'bad', why: 'damaged' }
    }
    const seeds = read.seeds.filter(({ peer }) => peer !== '')
    return {
      kind: 'token',
      token: {
        id: hex(read.id),
        secret: read.secret,
        caHash: hex(read.caHash),
        seeds: seeds.map(({ peer, addresses }) => ({ peer: peerId(peer), addresses })),
      },
    }
  } catch {
    // The checksum is right and the content is not: made by another program.
    return { kind: 'bad', why: 'damaged' }
  }
}

/** All that both sides must agree on for a proof to hold; each part with its length, so that none can run into the next. */
export type Transcript = {
  readonly joiner: PeerId
  readonly asked: PeerId
  readonly tokenId: string
  readonly nonce: Bytes
  readonly challenge: Bytes
  readonly nodeName: string
  readonly addresses: readonly string[]
  readonly witness: boolean
}

/** The joiner's proof that it holds the token. */
export function proveToken(token: Token, transcript: Transcript): Bytes {
  const clientKey = clientKeyOf(token.secret)
  return xor(clientKey, hmac(sha256(clientKey), transcriptBytes(transcript)))
}

/** Whether `proof` was made by a holder of the token that `record` is of. In constant time. */
export function verifyProof(record: TokenRecord, transcript: Transcript, proof: Bytes): boolean {
  const storedKey = unhex(record.storedKey)
  if (proof.length !== 32 || storedKey.length !== 32) return false
  const clientKey = xor(proof, hmac(storedKey, transcriptBytes(transcript)))
  return sameBytes(sha256(clientKey), storedKey)
}

/** The cluster's proof that it made the token, over the answer that it gives. */
export function signGrant(record: TokenRecord, transcript: Transcript, grant: Bytes): Bytes {
  return hmac(unhex(record.serverKey), concat([transcriptBytes(transcript), sha256(grant)]))
}

export function verifyGrant(token: Token, transcript: Transcript, grant: Bytes, signature: Bytes): boolean {
  const expected = hmac(serverKeyOf(token.secret), concat([transcriptBytes(transcript), sha256(grant)]))
  return sameBytes(signature, expected)
}

function transcriptBytes(transcript: Transcript): Bytes {
  const { joiner, asked, tokenId, nonce, challenge, nodeName, addresses, witness } = transcript
  const as = witness ? 'witness' : 'peer'
  const parts = ['flotilla join 1', joiner, asked, tokenId, nonce, challenge, as, nodeName, ...addresses]
  return concat(
    parts.flatMap(part => {
      const bytes = typeof part === 'string' ? utf8(part) : part
      return [Uint8Array.of(bytes.length >>> 8, bytes.length & 0xff), bytes]
    }),
  )
}

const clientKeyOf = (secret: Bytes): Bytes => hmac(secret, utf8('Client Key'))
const serverKeyOf = (secret: Bytes): Bytes => hmac(secret, utf8('Server Key'))
const hmac = (key: Bytes, bytes: Bytes): Bytes => new Uint8Array(createHmac('sha256', key).update(bytes).digest())
const sha256 = (bytes: Bytes): Bytes => new Uint8Array(createHash('sha256').update(bytes).digest())
const hex = (bytes: Bytes): string => Buffer.from(bytes).toString('hex')
const unhex = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'hex'))
const xor = (a: Bytes, b: Bytes): Bytes => a.map((byte, i) => byte ^ (b[i] ?? 0))
/** In a time that tells only whether they are of one length. */
export const sameBytes = (a: Bytes, b: Bytes): boolean => a.length === b.length && timingSafeEqual(a, b)
