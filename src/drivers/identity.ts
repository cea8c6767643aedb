// Who this machine is: an Ed25519 key on disk, in libp2p's protobuf form. The peer ID is the hash of its public half, so whoever
// holds the file is this peer: it is made for one user alone and refused when others may read it.
import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import type { Bytes } from '../lib/bytes.ts'
import { type PeerId, peerId } from '../world/network.ts'

export class IdentityError extends Error {
  override readonly name = 'IdentityError'
}

export type Identity = {
  readonly peer: PeerId
  /** libp2p's protobuf form, for openNetwork. A secret. */
  readonly privateKey: Bytes
  /** True when there was no key and one was made. */
  readonly made: boolean
}

/** Loads the key at `path`, or makes one when there is none. Throws IdentityError with what to do about it. */
export async function loadIdentity(path: string): Promise<Identity> {
  const found = await readIdentity(path)
  if (found !== undefined) return { ...found, made: false }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const fresh = privateKeyToProtobuf(await generateKeyPair('Ed25519'))
  // Written aside and linked into place: link() fails when the name is taken, so two processes that start at once agree on
  // one key, and a crash leaves no half key under the name.
  const aside = `${path}.${randomUUID()}.new`
  const file = await open(aside, 'wx', 0o600)
  try {
    try {
      await file.writeFile(fresh)
      await file.sync()
    } finally {
      await file.close()
    }
    try {
      await link(aside, path)
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw new IdentityError(`cannot write the key ${path}: ${String(error)}`)
    }
  } finally {
    await rm(aside, { force: true })
  }
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
  const now = await readIdentity(path)
  if (now === undefined) throw new IdentityError(`the key ${path} vanished while it was made`)
  return { ...now, made: true }
}

/** The identity at `path`, or undefined when there is no such file. */
export async function readIdentity(path: string): Promise<Omit<Identity, 'made'> | undefined> {
  let bytes: Bytes
  try {
    const { mode, uid } = await stat(path)
    if ((mode & 0o077) !== 0) {
      throw new IdentityError(
        `the key ${path} can be read by others (mode ${(mode & 0o777).toString(8)}). Whoever has read it can act as this ` +
          `machine. If you trust all who could: chmod 600 ${path}. If not: remove it, and join again with a new key.`,
      )
    }
    const me = process.getuid?.()
    if (me !== undefined && me !== 0 && uid !== me) {
      throw new IdentityError(`the key ${path} belongs to another user (uid ${uid}); run as that user, or chown it`)
    }
    bytes = new Uint8Array(await readFile(path))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    if (error instanceof IdentityError) throw error
    throw new IdentityError(`cannot read the key ${path}: ${String(error)}`)
  }
  try {
    const key = privateKeyFromProtobuf(bytes)
    if (key.type !== 'Ed25519') throw new Error(`it is of type ${key.type}, not Ed25519`)
    return { peer: peerId(peerIdFromPrivateKey(key).toString()), privateKey: bytes }
  } catch (error) {
    throw new IdentityError(
      `${path} does not hold a key of this program (${error instanceof Error ? error.message : String(error)}). Restore it ` +
        'from a backup, or remove it: this machine then becomes a new peer and has to join again.',
    )
  }
}

/** The peer ID that `text` names, or undefined when it is none. */
export function parsePeerId(text: string): PeerId | undefined {
  try {
    const parsed = peerIdFromString(text)
    return parsed.type === 'Ed25519' ? peerId(parsed.toString()) : undefined
  } catch {
    return undefined
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
