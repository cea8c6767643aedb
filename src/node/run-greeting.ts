// Peers greet each other: whenever a connection comes up and every few seconds after that. It tells which cluster the other
// is of (succession.ts says what follows from that), and how long the way to it is, for the choice of voters.
import * as net from 'node:net'
import type { MeshNetwork } from '../drivers/network/libp2p.ts'
import { onAbort } from '../lib/abort.ts'
import { type AdmittedPeer, MeshError, type PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { Questions } from './run-questions.ts'
import { type Greeting, type Judgement, judge, type SignedSuccession } from './succession.ts'

const greetEveryMs = 10_000
const answerMs = 5_000
/** Round trips that are remembered: with one every ten seconds, about ten minutes. */
const roundTripCountMax = 64
/** Failures count half after so many answers, and half again after as many more. */
const answersPerHalving = 8
const complainEveryMs = 60_000
const lookAgainMs = 250
const connectMs = 1_500

/** What we know of the way to a peer. */
export type Link = {
  /** Round trips of the last minutes, the newest last. A greeting is small: this is the way and the other's event loop. */
  readonly roundTripsMs: readonly number[]
  /** Greetings of the last minutes that got no answer, and connections that broke. */
  readonly failures: number
}

export type Self = Greeting & { readonly authorityPem: string | undefined }

export interface Greeter extends Disposable {
  self(): Promise<Self>
  links(): ReadonlyMap<PeerId, Link>
  /** What is wrong between clusters at this moment, in words. */
  conflict(): string | undefined
  /**
   * Resolves when each of these peers has been judged, or somebody of our own cluster knows a leader. Those that nothing
   * listens for are waited for `leastMs`; one that listens and says nothing, or shows no proof yet, for `mostMs`.
   */
  met(
    peers: readonly AdmittedPeer[],
    times: { readonly leastMs: number; readonly mostMs: number },
    signal: AbortSignal,
  ): Promise<void>
  /** Resolves when this peer's own cluster turns out to be the past, while it has no leader. */
  readonly abandoned: Promise<SignedSuccession>
}

type Known = {
  roundTripsMs: number[]
  failures: number
  answers: number
  /** What it said last, on the connection that stands. */
  greeting: Greeting | undefined
  judgement: Judgement | undefined
  complainedMs: number
}

/** Greets until the signal. `self` is asked anew for each greeting. */
export function openGreeter(
  world: World,
  network: MeshNetwork,
  questions: Questions,
  self: () => Promise<Self>,
  signal: AbortSignal,
): Greeter {
  const { clock } = world
  const log = world.log.with({ component: 'greeting' })
  const known = new Map<PeerId, Known>()
  const waiting = new Set<() => void>()
  const abandoned = Promise.withResolvers<SignedSuccession>()
  /** While the peers are being met for the first time, nothing is concluded from the word of one of them. */
  let isMeeting = false

  function about(peer: PeerId): Known {
    const found = known.get(peer)
    if (found !== undefined) return found
    const fresh: Known = {
      roundTripsMs: [],
      failures: 0,
      answers: 0,
      greeting: undefined,
      judgement: undefined,
      complainedMs: Number.NEGATIVE_INFINITY,
    }
    known.set(peer, fresh)
    return fresh
  }

  /** Ourselves; led also when another of our cluster knows a leader that we have not heard of yet. */
  async function own(): Promise<Self> {
    const me = await self()
    const led = [...known.values()].some(({ greeting }) => greeting?.clusterId === me.clusterId && greeting.led)
    return led ? { ...me, led } : me
  }

  async function told(): Promise<Greeting> {
    const { authorityPem: _, ...greeting } = await self()
    return greeting
  }

  function conclude({ judgement }: Known): void {
    if (judgement?.kind === 'abandoned' && !isMeeting) abandoned.resolve(judgement.by)
  }

  async function take(peer: PeerId, theirs: Greeting): Promise<void> {
    const it = about(peer)
    it.greeting = theirs
    const judgement = judge(await own(), theirs)
    it.judgement = judgement
    for (const wake of [...waiting]) wake()
    conclude(it)
    if (judgement.kind === 'same' || judgement.kind === 'abandoned') return
    const nowMs = clock.monotonicMs()
    if (nowMs - it.complainedMs < complainEveryMs) return
    it.complainedMs = nowMs
    const fields = { peer, node: theirs.node, cluster: theirs.clusterId }
    if (judgement.kind === 'conflict') log.error(judgement.why, fields)
    else if (judgement.kind === 'outdated') log.info('a peer of the abandoned cluster was told of ours', fields)
    else log.warn('a peer is of another cluster', fields)
  }

  async function greet(peer: PeerId): Promise<void> {
    const it = about(peer)
    const startedMs = clock.monotonicMs()
    try {
      using deadline = clock.deadline(answerMs, signal)
      const theirs = await questions.ask<Greeting>(peer, 'greet', await told(), deadline.signal)
      it.roundTripsMs.push(clock.monotonicMs() - startedMs)
      if (it.roundTripsMs.length > roundTripCountMax) it.roundTripsMs.shift()
      it.answers += 1
      if (it.answers % answersPerHalving === 0) it.failures = Math.floor(it.failures / 2)
      await take(peer, theirs)
    } catch (error) {
      if (signal.aborted) return
      // One that refuses has answered: it may not know us yet.
      if (error instanceof MeshError && error.reason !== 'refused') it.failures += 1
      log.debug('a peer did not answer a greeting', { peer, error: String(error) })
    }
  }

  const handlers = [
    questions.on('greet', async (from, asked) => {
      const theirs = asked as Partial<Greeting>
      if (typeof theirs.clusterId === 'string') {
        await take(from, {
          ...theirs,
          clusterId: theirs.clusterId,
          node: String(theirs.node),
          led: theirs.led === true,
        })
      }
      return await told()
    }),
    network.onConnectionChange((peer, connected) => {
      if (connected) {
        void greet(peer)
        return
      }
      const it = known.get(peer)
      // One that never got as far as a greeting is not a way that broke.
      if (it?.greeting === undefined) return
      it.failures += 1
      it.greeting = undefined
      it.judgement = undefined
    }),
  ]

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await Promise.all(network.connected().map(greet))
      await clock.sleep(greetEveryMs, signal)
    }
  }
  void run()

  return {
    self,
    links: () => known,
    conflict() {
      const connected = new Set(network.connected())
      for (const [peer, { judgement }] of known) {
        if (judgement?.kind === 'conflict' && connected.has(peer)) return judgement.why
      }
      return undefined
    },
    async met(peers, times, until) {
      const others = peers.filter(({ peer }) => peer !== network.self)
      const judgementOf = (peer: PeerId) => known.get(peer)?.judgement?.kind
      const startedMs = clock.monotonicMs()
      isMeeting = true
      while (!until.aborted) {
        const me = await own()
        // With its own cluster alive there is nothing to ask.
        if (me.led) break
        const unproved = others.filter(({ peer }) => judgementOf(peer) === 'foreign')
        const silent = others.filter(({ peer }) => judgementOf(peer) === undefined)
        if (unproved.length === 0 && silent.length === 0) break
        const passedMs = clock.monotonicMs() - startedMs
        if (passedMs >= times.mostMs) break
        if (passedMs >= times.leastMs && unproved.length === 0) {
          const there = await Promise.all(silent.map(({ addresses }) => listens(addresses)))
          if (!there.includes(true)) break
        }
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting.add(resolve)
        using pause = clock.deadline(lookAgainMs, until)
        using _ = onAbort(pause.signal, resolve)
        await promise
        waiting.delete(resolve)
        // Whoever began the cluster again may only just be starting, and bring its proof in a moment.
        const connected = new Set(network.connected())
        await Promise.all(unproved.filter(({ peer }) => connected.has(peer)).map(({ peer }) => greet(peer)))
      }
      isMeeting = false
      const me = await own()
      for (const it of known.values()) {
        if (it.greeting !== undefined) it.judgement = judge(me, it.greeting)
        conclude(it)
      }
    },
    abandoned: abandoned.promise,
    [Symbol.dispose]() {
      for (const handler of handlers) handler[Symbol.dispose]()
    },
  }
}

/** Of round trips: the one that 9 of 10 are not longer than, in ms; undefined without any. */
export function roundTripMs({ roundTripsMs }: Link): number | undefined {
  const sorted = roundTripsMs.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * 0.9) - 1)]
}

/** Whether anything takes a TCP connection at one of these multiaddrs: the kernel answers, however busy the process is. */
async function listens(addresses: readonly string[]): Promise<boolean> {
  const places = addresses.flatMap(address => {
    const [, host, port] = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)/.exec(address) ?? []
    return host === undefined ? [] : [{ host, port: Number(port) }]
  })
  return (await Promise.all(places.map(connects))).includes(true)
}

function connects(place: { readonly host: string; readonly port: number }): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect({ ...place, timeout: connectMs })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}
