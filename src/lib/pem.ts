// Blocks of PEM text (RFC 7468) among anything else, found in one pass however the text was made: what strangers send is read
// here, and only then given, as bytes, to libraries whose patterns take their time.
import type { Bytes } from './bytes.ts'

export type PemBlock = {
  /** 'CERTIFICATE'. */
  readonly type: string
  /** What stands between the lines: headers, if any, and base64. */
  readonly body: string
  /** The whole, with its lines of BEGIN and END. */
  readonly text: string
}

const begin = '-----BEGIN '
const dashes = '-----'

/** In order. A block without its end ends the search: what follows could not be told from its body. */
export function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = []
  let at = text.indexOf(begin)
  while (at >= 0) {
    const typeAt = at + begin.length
    const typeEnd = text.indexOf(dashes, typeAt)
    if (typeEnd < 0) break
    const type = text.slice(typeAt, typeEnd)
    const end = `${dashes}END ${type}${dashes}`
    const endAt = text.indexOf(end, typeEnd + dashes.length)
    if (endAt < 0) break
    blocks.push({ type, body: text.slice(typeEnd + dashes.length, endAt), text: text.slice(at, endAt + end.length) })
    at = text.indexOf(begin, endAt + end.length)
  }
  return blocks
}

const sequenceTag = 0x30

/** What is in a block: undefined when that is no base64, or has headers, or is no ASN.1 SEQUENCE as all certificates are. */
export function derOf({ body }: PemBlock): Bytes | undefined {
  const base64 = body.replace(/\s/g, '')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined
  const bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0))
  return bytes[0] === sequenceTag ? bytes : undefined
}
