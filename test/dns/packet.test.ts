import * as twin from 'dns-packet'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type DnsRecord,
  decodeHeard,
  decodeQuery,
  encodeMalformed,
  encodeQuestion,
  encodeResponse,
  type Query,
  type Response,
  replay,
  udpLimit,
} from '../../src/dns/packet.ts'

const label = fc.stringMatching(/^[a-z0-9_][a-z0-9-]{0,20}$/)
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map(labels => labels.join('.'))
const address = fc.ipV4().filter(ip => !/(^|\.)0\d/.test(ip))
const record: fc.Arbitrary<DnsRecord> = fc.oneof(
  fc.record({ type: fc.constant('A' as const), name, ttl: fc.nat(3600), address }),
  fc.record({
    type: fc.constantFrom('CNAME' as const, 'PTR' as const, 'NS' as const),
    name,
    ttl: fc.nat(3600),
    target: name,
  }),
  fc.record({
    type: fc.constant('SRV' as const),
    name,
    ttl: fc.nat(3600),
    priority: fc.nat(9),
    weight: fc.nat(9),
    port: fc.nat(65_535),
    target: name,
  }),
  fc.record({ type: fc.constant('TXT' as const), name, ttl: fc.nat(3600), text: label }),
)

function queryOf(bytes: Uint8Array): Query {
  const query = decodeQuery(bytes)
  if (query.kind === 'malformed') throw new Error('malformed')
  return query
}
const ask = (name: string, type: twin.StringRecordType = 'A', more: Partial<twin.Packet> = {}) =>
  new Uint8Array(
    twin.encode({ type: 'query', id: 4711, flags: twin.RECURSION_DESIRED, questions: [{ type, name }], ...more }),
  )
const plain = (answers: readonly DnsRecord[]): Response => ({
  rcode: 'NOERROR',
  authoritative: true,
  answers,
  authorities: [],
  additionals: [],
})
const shape = (answer: twin.Answer) => {
  const record = answer as unknown as { type: string; name: string; ttl: number; data: unknown }
  return { type: record.type, name: record.name, ttl: record.ttl, data: record.data }
}
const expected = (r: DnsRecord) => ({
  type: r.type,
  name: r.name,
  ttl: r.ttl,
  data:
    r.type === 'A'
      ? r.address
      : r.type === 'SRV'
        ? { priority: r.priority, weight: r.weight, port: r.port, target: r.target }
        : r.type === 'TXT'
          ? [Buffer.from(r.text)]
          : 'target' in r
            ? r.target
            : undefined,
})

test('another implementation reads what is written, compressed names included', () => {
  fc.assert(
    fc.property(name, fc.array(record, { maxLength: 12 }), (asked, answers) => {
      const bytes = encodeResponse(queryOf(ask(asked)), plain(answers), 65_535)
      const read = twin.decode(Buffer.from(bytes))
      expect(read.id).toBe(4711)
      expect(read.questions?.[0]?.name).toBe(asked)
      expect(read.answers?.map(shape)).toEqual(answers.map(expected))
    }),
  )
})

test('any bytes are a query or malformed, and what is cut off or twisted never throws', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), bytes => void [decodeQuery(bytes), decodeHeard(bytes)]))
  fc.assert(
    fc.property(name, fc.array(record, { maxLength: 5 }), fc.nat(), fc.nat(255), (asked, answers, at, value) => {
      const bytes = encodeResponse(queryOf(ask(asked)), plain(answers), 65_535)
      bytes[at % bytes.length] = value
      decodeHeard(bytes)
      decodeHeard(bytes.subarray(0, at % bytes.length))
      bytes[2] = 1
      decodeQuery(bytes)
    }),
  )
})

test('names that point at themselves or forwards are malformed', () => {
  const bytes = ask('a.b')
  bytes.set([0xc0, 12], 12)
  expect(decodeQuery(bytes)).toEqual({ kind: 'malformed', id: 4711 })
})

test('a response is never answered, a broken query is told FORMERR', () => {
  const response = encodeResponse(queryOf(ask('a.b')), plain([]), 512)
  expect(encodeMalformed(decodeQuery(response) as never)).toBeUndefined()
  const cut = ask('a.b').subarray(0, 14)
  expect(twin.decode(Buffer.from(encodeMalformed(decodeQuery(cut) as never) ?? [])).id).toBe(4711)
})

test('the question comes back as it was spelled', () => {
  const bytes = encodeResponse(queryOf(ask('WeB.Default')), plain([]), 512)
  expect(twin.decode(Buffer.from(bytes)).questions?.[0]?.name).toBe('WeB.Default')
  expect(queryOf(ask('WeB.Default')).question.name).toBe('web.default')
})

test('an answer over UDP is cut at 512 bytes, or at what EDNS allows, with the TC bit and as much as fits', () => {
  const answers = Array.from(
    { length: 60 },
    (_, i): DnsRecord => ({ type: 'A', name: 'web.default.svc.cluster.local', ttl: 5, address: `10.42.0.${i + 1}` }),
  )
  const small = queryOf(ask('web.default.svc.cluster.local'))
  const cut = encodeResponse(small, plain(answers), udpLimit(small))
  expect(cut.length).toBeLessThanOrEqual(512)
  const read = twin.decode(Buffer.from(cut))
  expect((read as { flag_tc?: boolean }).flag_tc).toBe(true)
  expect(read.answers?.length).toBeGreaterThan(20)
  const opt = {
    type: 'OPT' as const,
    name: '.' as const,
    udpPayloadSize: 4096,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  }
  const large = queryOf(ask('web.default.svc.cluster.local', 'A', { additionals: [opt as unknown as twin.Answer] }))
  const whole = encodeResponse(large, plain(answers), udpLimit(large))
  expect(whole.length).toBeLessThanOrEqual(1232)
  expect(twin.decode(Buffer.from(whole)).answers).toHaveLength(60)
  expect(twin.decode(Buffer.from(whole)).additionals?.[0]?.type).toBe('OPT')
})

test('a kept answer gets the id and spelling of the new question, and less time to live', () => {
  const bytes = encodeResponse(
    queryOf(ask('a.example')),
    plain([{ type: 'A', name: 'a.example', ttl: 30, address: '192.0.2.1' }]),
    512,
  )
  const heard = decodeHeard(bytes)
  if (heard === undefined) throw new Error('unheard')
  expect(heard.ttl).toBe(30)
  const again = twin.decode(Buffer.from(replay(bytes, heard, queryOf(ask('A.Example', 'A', { id: 99 })), 12)))
  expect([again.id, again.questions?.[0]?.name, again.answers?.map(shape)[0]?.ttl]).toEqual([99, 'A.Example', 18])
})

test('a question of our own is one that others understand', () => {
  const read = twin.decode(Buffer.from(encodeQuestion(7, 'example.org', 28)))
  expect(read.questions).toEqual([{ name: 'example.org', type: 'AAAA', class: 'IN' }])
})
