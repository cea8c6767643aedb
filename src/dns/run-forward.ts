// Asks the node's own resolvers for names that are not the cluster's, and keeps their answers for a short while. What they
// say is passed on byte by byte; only id, spelling of the question and remaining time to live are the client's.
import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { connect, isIP, isIPv6 } from 'node:net'
import { onAbort } from '../lib/abort.ts'
import { type Bytes, concat, equalBytes } from '../lib/bytes.ts'
import type { Clock } from '../world/clock.ts'
import type { Log } from '../world/log.ts'
import type { Random } from '../world/random.ts'
import {
  type DnsRecord,
  decodeHeard,
  decodeQuery,
  encodeQuestion,
  type Heard,
  type Query,
  type Rcode,
  rcodes,
  replay,
  withId,
} from './packet.ts'

export type Upstream = { readonly ip: string; readonly port: number }
export type Transport = 'udp' | 'tcp'

export type ForwardConfig = {
  /** Fixed upstreams; without them the name servers of `resolvConf`. */
  readonly upstreams?: readonly Upstream[]
  readonly resolvConf: string
  /** Addresses of this server, never asked: a node may have itself in its resolv.conf. */
  readonly own: readonly string[]
}

export const attemptMs = 2_000
export const totalMs = 5_000
export const inFlightMax = 512
const cachedMax = 2_000
const cachedBytesMax = 4_096
const cachedSecondsMax = 30
const upstreamsMax = 3
const rereadMs = 5_000

export type Resolved = { readonly rcode: Rcode; readonly answers: readonly DnsRecord[] }

export interface Forwarder {
  /** The answer's bytes, or undefined when nobody answered in time. */
  forward(query: Query, bytes: Bytes, transport: Transport, signal: AbortSignal): Promise<Uint8Array | undefined>
  /** Aliases and addresses of a name. */
  resolve(name: string, type: number, signal: AbortSignal): Promise<Resolved>
}

/** Name servers as resolv.conf lists them; total. */
export function nameServers(resolvConf: string): readonly string[] {
  return resolvConf.split('\n').flatMap(line => {
    const ip = /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? ''
    return isIP(ip.replace(/%.*$/, '')) === 0 ? [] : [ip]
  })
}

type World = { readonly clock: Clock; readonly random: Random; readonly log: Log }
type Cached = { readonly bytes: Bytes; readonly heard: Heard; readonly atMs: number; readonly untilMs: number }

export function openForwarder({ clock, random, log }: World, config: ForwardConfig): Forwarder {
  const cache = new Map<string, Cached>()
  let known: readonly Upstream[] = config.upstreams ?? []
  let readAtMs = Number.NEGATIVE_INFINITY
  let inFlight = 0

  async function upstreams(): Promise<readonly Upstream[]> {
    if (config.upstreams !== undefined || clock.monotonicMs() - readAtMs < rereadMs) return known
    readAtMs = clock.monotonicMs()
    try {
      const listed = nameServers(await readFile(config.resolvConf, 'utf8')).filter(ip => !config.own.includes(ip))
      if (listed.length === 0 && known.length > 0)
        log.warn('no name server is left to forward to', { file: config.resolvConf })
      known = listed.slice(0, upstreamsMax).map(ip => ({ ip, port: 53 }))
    } catch (error) {
      log.warn('the name servers of the node are not known', { error: String(error) })
    }
    return known
  }

  async function askAll(bytes: Bytes, transport: Transport, signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (inFlight >= inFlightMax) return undefined
    inFlight++
    try {
      using whole = clock.deadline(totalMs, signal)
      for (const upstream of await upstreams()) {
        using attempt = clock.deadline(attemptMs, whole.signal)
        const id = random.bytes(2)
        const sent = concat([id, bytes.subarray(2)])
        const ask = transport === 'udp' ? askUdp : askTcp
        const heard = await ask(upstream, sent, attempt.signal)
        // A server that cannot answer is not the last word while there is another.
        if (heard !== undefined && (decodeHeard(heard)?.rcode ?? rcodes.SERVFAIL) !== rcodes.SERVFAIL) return heard
        if (whole.signal.aborted) return undefined
      }
      return undefined
    } finally {
      inFlight--
    }
  }

  function keep(key: string, bytes: Bytes, heard: Heard): void {
    const seconds = Math.min(heard.ttl, cachedSecondsMax)
    const lasting = heard.rcode === rcodes.NOERROR || heard.rcode === rcodes.NXDOMAIN
    if (seconds === 0 || heard.truncated || !lasting || bytes.length > cachedBytesMax) return
    const atMs = clock.monotonicMs()
    cache.delete(key)
    cache.set(key, { bytes, heard, atMs, untilMs: atMs + seconds * 1_000 })
    if (cache.size <= cachedMax) return
    const [oldest] = cache.keys()
    if (oldest !== undefined) cache.delete(oldest)
  }

  async function forward(query: Query, bytes: Bytes, transport: Transport, signal: AbortSignal) {
    const { name, type, class: code } = query.question
    const { edns, checkingDisabled, recursionDesired } = query
    const key = JSON.stringify([name, type, code, edns, checkingDisabled, recursionDesired, transport])
    const kept = cache.get(key)
    const nowMs = clock.monotonicMs()
    if (kept !== undefined && kept.untilMs > nowMs)
      return replay(kept.bytes, kept.heard, query, Math.floor((nowMs - kept.atMs) / 1_000))
    const answered = await askAll(bytes, transport, signal)
    const heard = answered === undefined ? undefined : decodeHeard(answered)
    if (answered === undefined || heard === undefined) return undefined
    keep(key, answered, heard)
    return withId(answered, query.id)
  }

  return {
    forward,
    async resolve(name, type, signal) {
      const failed: Resolved = { rcode: 'SERVFAIL', answers: [] }
      if (name.length > 253) return failed
      const bytes = encodeQuestion(0, name, type)
      const query = decodeQuery(bytes)
      if (query.kind === 'malformed') return failed
      let answered = await forward(query, bytes, 'udp', signal)
      if (answered !== undefined && decodeHeard(answered)?.truncated === true)
        answered = await forward(query, bytes, 'tcp', signal)
      const heard = answered === undefined ? undefined : decodeHeard(answered)
      if (heard === undefined) return failed
      const rcode =
        heard.rcode === rcodes.NXDOMAIN ? 'NXDOMAIN' : heard.rcode === rcodes.NOERROR ? 'NOERROR' : 'SERVFAIL'
      const wanted = (record: DnsRecord) => record.type !== 'raw' || record.code === type
      return { rcode, answers: heard.answers.filter(wanted) }
    },
  }
}

/** Answers that are not to this question (a guess, or one that comes late) are passed over. */
function answersTo(sent: Bytes, received: Bytes): boolean {
  const heard = decodeHeard(received)
  const asked = decodeQuery(sent)
  if (heard === undefined || asked.kind === 'malformed') return false
  return heard.id === asked.id && equalBytes(heard.question, asked.question.bytes)
}

function askUdp({ ip, port }: Upstream, sent: Bytes, signal: AbortSignal): Promise<Uint8Array | undefined> {
  // A socket of its own for each question: its random port is half of what protects from forged answers.
  const socket = createSocket(isIPv6(ip.replace(/%.*$/, '')) ? 'udp6' : 'udp4')
  return new Promise(resolve => {
    let over = false
    const done = (bytes: Uint8Array | undefined) => {
      if (over) return
      over = true
      listener[Symbol.dispose]()
      socket.close()
      resolve(bytes)
    }
    // Refused, no route: the next upstream is asked; that nobody answers is the caller's to tell.
    socket.on('error', () => done(undefined))
    socket.on('message', message => {
      if (answersTo(sent, message)) done(message)
    })
    const listener = onAbort(signal, () => queueMicrotask(() => done(undefined)))
    socket.connect(port, ip, () => {
      if (!over) socket.send(sent)
    })
  })
}

function askTcp({ ip, port }: Upstream, sent: Bytes, signal: AbortSignal): Promise<Uint8Array | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host: ip, port })
    let received: Bytes = new Uint8Array()
    const done = (bytes: Uint8Array | undefined) => {
      listener[Symbol.dispose]()
      socket.destroy()
      resolve(bytes)
    }
    socket.on('error', () => done(undefined))
    socket.on('close', () => done(undefined))
    socket.on('data', chunk => {
      received = concat([received, chunk])
      const [high = 0, low = 0] = received
      const size = high * 256 + low
      if (received.length < 2 + size || received.length < 2) return
      const message = Uint8Array.from(received.subarray(2, 2 + size))
      done(answersTo(sent, message) ? message : undefined)
    })
    const listener = onAbort(signal, () => queueMicrotask(() => done(undefined)))
    socket.write(concat([Uint8Array.of(sent.length >>> 8, sent.length & 255), sent]))
  })
}
