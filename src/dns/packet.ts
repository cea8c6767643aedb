// DNS messages as bytes (RFC 1035, EDNS0 of RFC 6891). Pure and total: any bytes are a query, or malformed. Names are lower
// case without the last dot; the question is echoed as it came, since resolvers check its spelling (0x20).
import { type Bytes, concat } from '../lib/bytes.ts'
import { parseIpv4 } from '../lib/cidr.ts'

export const typeCodes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
} as const
export type TypeName = keyof typeof typeCodes
const classInternet = 1

export const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const
export type Rcode = keyof typeof rcodes

export type DnsRecord = { readonly name: string; readonly ttl: number } & (
  | { readonly type: 'A'; readonly address: string }
  | { readonly type: 'CNAME' | 'PTR' | 'NS'; readonly target: string }
  | { readonly type: 'TXT'; readonly text: string }
  | {
      readonly type: 'SRV'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }
  | {
      readonly type: 'SOA'
      readonly primary: string
      readonly mailbox: string
      readonly serial: number
      readonly minimum: number
    }
  /** What another server said, taken over as it is: no names within. */
  | { readonly type: 'raw'; readonly code: number; readonly data: Bytes }
)

export type Question = {
  readonly name: string
  /** The type's number; not all have a name here. */
  readonly type: number
  readonly class: number
  /** Name, type and class as they came. */
  readonly bytes: Bytes
}

export type Query = {
  readonly kind: 'query'
  readonly id: number
  readonly opcode: number
  readonly recursionDesired: boolean
  readonly checkingDisabled: boolean
  readonly question: Question
  readonly edns: { readonly size: number; readonly dnssecOk: boolean } | undefined
}

/** `id` is there when the sender can be told that it made a mistake. */
export type Malformed = { readonly kind: 'malformed'; readonly id: number | undefined }

/** Larger answers over UDP could be fragmented (DNS flag day 2020). */
export const udpSizeMax = 1232
const udpSizeMin = 512
const labelBytesMax = 63
const nameBytesMax = 255

class Broken extends Error {}

const u16 = (bytes: Bytes, at: number): number => {
  const [high, low] = [bytes[at], bytes[at + 1]]
  if (high === undefined || low === undefined) throw new Broken()
  return high * 256 + low
}
const u32 = (bytes: Bytes, at: number): number => u16(bytes, at) * 65_536 + u16(bytes, at + 2)

/** Follows compression pointers backwards only, so it ends. Bytes that could be mistaken for text are escaped. */
function readName(bytes: Bytes, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let at = start
  let end: number | undefined
  let length = 0
  let lowest = start
  for (;;) {
    const size = bytes[at]
    if (size === undefined) throw new Broken()
    if (size === 0) return { name: labels.join('.'), end: end ?? at + 1 }
    if (size >= 0xc0) {
      const to = u16(bytes, at) & 0x3fff
      if (to >= lowest) throw new Broken()
      end ??= at + 2
      lowest = to
      at = to
      continue
    }
    if (size > labelBytesMax || at + 1 + size > bytes.length) throw new Broken()
    length += size + 1
    if (length > nameBytesMax) throw new Broken()
    const label = [...bytes.subarray(at + 1, at + 1 + size)].map(byte =>
      byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c ? String.fromCharCode(byte) : `\\${byte}`,
    )
    labels.push(label.join('').toLowerCase())
    at += 1 + size
  }
}

function readQuestion(bytes: Bytes): Question & { readonly end: number } {
  if (u16(bytes, 4) !== 1) throw new Broken()
  const { name, end } = readName(bytes, 12)
  return { name, type: u16(bytes, end), class: u16(bytes, end + 2), bytes: bytes.subarray(12, end + 4), end: end + 4 }
}

type RawRecord = {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly ttlAt: number
  readonly data: Bytes
  readonly dataAt: number
  readonly section: 'answer' | 'authority' | 'additional'
}

function readRecords(bytes: Bytes, from: number): readonly RawRecord[] {
  const records: RawRecord[] = []
  let at = from
  const sections = [
    ['answer', 6],
    ['authority', 8],
    ['additional', 10],
  ] as const
  for (const [section, countAt] of sections) {
    for (let left = u16(bytes, countAt); left > 0; left--) {
      const { name, end } = readName(bytes, at)
      const size = u16(bytes, end + 8)
      if (end + 10 + size > bytes.length) throw new Broken()
      const [type, code, ttl] = [u16(bytes, end), u16(bytes, end + 2), u32(bytes, end + 4)]
      const data = bytes.subarray(end + 10, end + 10 + size)
      records.push({ name, type, class: code, ttl, ttlAt: end + 4, data, dataAt: end + 10, section })
      at = end + 10 + size
    }
  }
  return records
}

function total<T, U>(read: () => T, otherwise: U): T | U {
  try {
    return read()
  } catch (error) {
    if (error instanceof Broken) return otherwise
    throw error
  }
}

/** A message that is itself a response is malformed without an id: answering it could make two servers talk for ever. */
export function decodeQuery(bytes: Bytes): Query | Malformed {
  if (bytes.length < 12) return { kind: 'malformed', id: undefined }
  const flags = u16(bytes, 2)
  if ((flags & 0x8000) !== 0) return { kind: 'malformed', id: undefined }
  const id = u16(bytes, 0)
  return total<Query, Malformed>(
    () => {
      const { end, ...question } = readQuestion(bytes)
      const opt = readRecords(bytes, end).find(record => record.type === typeCodes.OPT)
      return {
        kind: 'query',
        id,
        opcode: (flags >> 11) & 15,
        recursionDesired: (flags & 0x0100) !== 0,
        checkingDisabled: (flags & 0x0010) !== 0,
        question,
        edns: opt === undefined ? undefined : { size: opt.class, dnssecOk: (opt.ttl & 0x8000) !== 0 },
      }
    },
    { kind: 'malformed', id },
  )
}

class Writer {
  private readonly parts: number[] = []
  /** Where a name, as text, was written first. */
  private readonly names = new Map<string, number>()
  get size(): number {
    return this.parts.length
  }
  u8(value: number): void {
    this.parts.push(value & 255)
  }
  u16(value: number): void {
    this.parts.push((value >>> 8) & 255, value & 255)
  }
  u32(value: number): void {
    this.u16(value >>> 16)
    this.u16(value)
  }
  bytes(bytes: Bytes): void {
    for (const byte of bytes) this.parts.push(byte)
  }
  /** Says that `name` stands at `at`, so that later names point there. */
  known(name: string, at: number): void {
    let from = at
    let rest = name
    while (rest !== '') {
      if (!this.names.has(rest)) this.names.set(rest, from)
      const dot = rest.indexOf('.')
      if (dot < 0 || rest.includes('\\')) return
      from += dot + 1
      rest = rest.slice(dot + 1)
    }
  }
  name(name: string): void {
    let rest = name
    while (rest !== '') {
      const at = this.names.get(rest)
      if (at !== undefined) {
        this.u16(0xc000 | at)
        return
      }
      if (this.size < 0x4000) this.names.set(rest, this.size)
      const dot = rest.indexOf('.')
      const label = (dot < 0 ? rest : rest.slice(0, dot)).slice(0, labelBytesMax)
      this.u8(label.length)
      for (let i = 0; i < label.length; i++) this.u8(label.charCodeAt(i))
      rest = dot < 0 ? '' : rest.slice(dot + 1)
    }
    this.u8(0)
  }
  patch16(at: number, value: number): void {
    this.parts[at] = (value >>> 8) & 255
    this.parts[at + 1] = value & 255
  }
  done(): Uint8Array {
    return Uint8Array.from(this.parts)
  }
}

function writeRecord(out: Writer, record: DnsRecord): void {
  out.name(record.name)
  out.u16(record.type === 'raw' ? record.code : typeCodes[record.type])
  out.u16(classInternet)
  out.u32(record.ttl)
  const sizeAt = out.size
  out.u16(0)
  switch (record.type) {
    case 'A':
      out.u32(parseIpv4(record.address) ?? 0)
      break
    case 'CNAME':
    case 'PTR':
    case 'NS':
      out.name(record.target)
      break
    case 'TXT': {
      const text = record.text.slice(0, 255)
      out.u8(text.length)
      for (let i = 0; i < text.length; i++) out.u8(text.charCodeAt(i))
      break
    }
    case 'SRV':
      out.u16(record.priority)
      out.u16(record.weight)
      out.u16(record.port)
      out.name(record.target)
      break
    case 'SOA':
      out.name(record.primary)
      out.name(record.mailbox)
      for (const value of [record.serial, 7_200, 1_800, 86_400, record.minimum]) out.u32(value)
      break
    case 'raw':
      out.bytes(record.data)
      break
  }
  out.patch16(sizeAt, out.size - sizeAt - 2)
}

export type Response = {
  readonly rcode: Rcode
  /** This server is the authority for the name. */
  readonly authoritative: boolean
  readonly answers: readonly DnsRecord[]
  readonly authorities: readonly DnsRecord[]
  readonly additionals: readonly DnsRecord[]
}

function encode(query: Query, response: Response, truncated: boolean): Uint8Array {
  const out = new Writer()
  const { rcode, answers, authorities, additionals } = response
  out.u16(query.id)
  out.u16(
    0x8000 |
      (query.opcode << 11) |
      (response.authoritative ? 0x0400 : 0) |
      (truncated ? 0x0200 : 0) |
      (query.recursionDesired ? 0x0100 : 0) |
      0x0080 |
      (query.checkingDisabled ? 0x0010 : 0) |
      rcodes[rcode],
  )
  out.u16(1)
  out.u16(answers.length)
  out.u16(authorities.length)
  out.u16(additionals.length + (query.edns === undefined ? 0 : 1))
  out.bytes(query.question.bytes)
  out.known(query.question.name, 12)
  for (const record of [...answers, ...authorities, ...additionals]) writeRecord(out, record)
  if (query.edns !== undefined) {
    out.u8(0)
    out.u16(typeCodes.OPT)
    out.u16(udpSizeMax)
    out.u32(query.edns.dnssecOk ? 0x8000 : 0)
    out.u16(0)
  }
  return out.done()
}

/** How many bytes an answer over UDP may have. */
export function udpLimit(query: Query): number {
  return Math.min(udpSizeMax, Math.max(udpSizeMin, query.edns?.size ?? udpSizeMin))
}

/**
 * At most `limit` bytes: what is too much falls away, additional records first, and once an answer does, the TC bit says
 * so. The answers that fit are still sent, for resolvers that do not ask again over TCP (musl's old one).
 */
export function encodeResponse(query: Query, response: Response, limit: number): Uint8Array {
  const whole = encode(query, response, false)
  if (whole.length <= limit) return whole
  const bare = encode(query, { ...response, additionals: [] }, false)
  if (bare.length <= limit) return bare
  let [fits, tooMany] = [0, response.answers.length]
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1
    const some = { ...response, answers: response.answers.slice(0, middle), authorities: [], additionals: [] }
    if (encode(query, some, true).length <= limit) fits = middle
    else tooMany = middle
  }
  return encode(
    query,
    { ...response, answers: response.answers.slice(0, fits), authorities: [], additionals: [] },
    true,
  )
}

/** The answer to what could not be read, or undefined when it is better to say nothing. */
export function encodeMalformed(malformed: Malformed): Uint8Array | undefined {
  if (malformed.id === undefined) return undefined
  const out = new Writer()
  out.u16(malformed.id)
  out.u16(0x8080 | rcodes.FORMERR)
  for (let i = 0; i < 4; i++) out.u16(0)
  return out.done()
}

/** A question of our own to another server, in the way a client puts it. */
export function encodeQuestion(id: number, name: string, type: number): Uint8Array {
  const out = new Writer()
  out.u16(id)
  out.u16(0x0100)
  for (const count of [1, 0, 0, 1]) out.u16(count)
  out.name(name)
  out.u16(type)
  out.u16(classInternet)
  out.u8(0)
  out.u16(typeCodes.OPT)
  out.u16(udpSizeMax)
  out.u32(0)
  out.u16(0)
  return out.done()
}

/** What another server answered, as far as somebody who passes it on must know it. */
export type Heard = {
  readonly id: number
  readonly rcode: number
  readonly truncated: boolean
  readonly question: Bytes
  /** The least time to live of its records, 0 without any. */
  readonly ttl: number
  /** Where each time to live stands in the bytes. */
  readonly ttlAt: readonly number[]
  /** Addresses and aliases of the answer section. */
  readonly answers: readonly DnsRecord[]
}

export function decodeHeard(bytes: Bytes): Heard | undefined {
  return total(() => {
    const flags = u16(bytes, 2)
    if ((flags & 0x8000) === 0) return undefined
    const { end, bytes: question } = readQuestion(bytes)
    const records = readRecords(bytes, end)
    const timed = records.filter(record => record.type !== typeCodes.OPT)
    return {
      id: u16(bytes, 0),
      rcode: flags & 15,
      truncated: (flags & 0x0200) !== 0,
      question,
      ttl: timed.length === 0 ? 0 : Math.min(...timed.map(record => record.ttl)),
      ttlAt: timed.map(record => record.ttlAt),
      answers: records.flatMap((record): readonly DnsRecord[] => {
        const { name, ttl, type, data } = record
        if (record.section !== 'answer') return []
        if (type === typeCodes.CNAME) return [{ name, ttl, type: 'CNAME', target: readName(bytes, record.dataAt).name }]
        return type === typeCodes.A || type === typeCodes.AAAA ? [{ name, ttl, type: 'raw', code: type, data }] : []
      }),
    }
  }, undefined)
}

/** The bytes of an answer kept for `ageSeconds`, as the answer to this query. */
export function replay(bytes: Bytes, heard: Heard, query: Query, ageSeconds: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[0] = query.id >>> 8
  copy[1] = query.id & 255
  copy.set(query.question.bytes, 12)
  const view = new DataView(copy.buffer)
  for (const at of heard.ttlAt) view.setUint32(at, Math.max(0, view.getUint32(at) - ageSeconds))
  return copy
}

/** The same message under another id. */
export function withId(bytes: Bytes, id: number): Uint8Array {
  return concat([Uint8Array.of(id >>> 8, id & 255), bytes.subarray(2)]) as Uint8Array
}
