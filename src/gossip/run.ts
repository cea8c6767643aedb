// Gossip made to live: says about once a second that this peer is there, on a change at once what runs here, hears the others,
// and lets the core judge. Its messages are small: the endpoints travel when they changed, when somebody new needs them, and
// every `fullMs` for whoever missed that.
import { onAbort } from '../lib/abort.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import { type Allowed, endpointCountMax } from './accept.ts'
import { decodeHeartbeat, encodeHeartbeat } from './codec.ts'
import {
  expectPeers,
  type GossipTimes,
  gossipTimes,
  hear,
  knownOf,
  lost,
  type Now,
  sameEndpoints,
  startGossip,
  tick,
  viewOf,
} from './core.ts'
import type { Gossip, GossipView, LiveEndpoint } from './gossip.ts'

export type GossipConfig = {
  readonly intervalMs: number
  readonly fullMs: number
  /** The least time between two messages, however much changes. */
  readonly gapMs: number
  readonly topic: string
  readonly times: GossipTimes
}
export const gossipConfig: GossipConfig = {
  intervalMs: 1_000,
  fullMs: 10_000,
  gapMs: 50,
  topic: 'state',
  times: gossipTimes,
}

/** The farewell gets this long to leave before the network may stop. */
const farewellMs = 150

export type RunningGossip = Gossip & {
  /** Who should be there: the peers of all Nodes. Others are forgotten; one that stays silent turns dead. */
  expect(peers: readonly PeerId[]): void
  /** The store's bindings changed: endpoints that were withheld may be shown now, or the other way round. */
  recheck(): void
  /** Stop without a farewell: the process restarts and its pods go on, so nobody should take their endpoints away. */
  stayQuiet(): void
  /** Resolves when the signal has ended it and its farewell is out. Stop the network only then. */
  readonly done: Promise<void>
}

export function runGossip(
  world: Pick<World, 'clock' | 'network' | 'log'>,
  options: Partial<GossipConfig>,
  allowed: Allowed,
  signal: AbortSignal,
): RunningGossip {
  const config = { ...gossipConfig, ...options }
  const { clock, network } = world
  const log = world.log.with({ component: 'gossip' })
  const now = (): Now => ({ monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() })
  let state = startGossip(network.self, config.times, now())
  let sequence = 0
  let own: readonly LiveEndpoint[] = []
  let ownSequence = 0
  let quiet = false
  let fullWanted = true
  let lastFullMs = Number.NEGATIVE_INFINITY
  let lastSentMs = Number.NEGATIVE_INFINITY
  let sending = false
  let cached: GossipView | undefined
  /** The store may bind a pod after its peer spoke of it: a view that withheld something is made anew each time. */
  let withheld = false
  let waiting: (() => void)[] = []

  function changed(): void {
    cached = undefined
    const all = waiting
    waiting = []
    for (const wake of all) wake()
  }

  function view(): GossipView {
    if (cached === undefined || withheld) {
      const made = viewOf(state, own, allowed, now())
      cached = made.view
      withheld = made.withheld
    }
    return cached
  }

  function send(leaving: boolean): void {
    const nowMs = clock.monotonicMs()
    const full = leaving || fullWanted || nowMs - lastFullMs >= config.fullMs
    if (full) {
      fullWanted = false
      lastFullMs = nowMs
    }
    lastSentMs = nowMs
    sequence++
    network.publish(
      config.topic,
      encodeHeartbeat({
        incarnation: state.incarnation,
        sequence,
        leaving,
        endpointsSequence: ownSequence,
        endpoints: full ? (leaving ? [] : own) : undefined,
        known: full ? knownOf(state) : [],
      }),
    )
  }

  /** Everybody should hear all of us soon: at once, unless we have just spoken. */
  async function sendFullSoon(): Promise<void> {
    fullWanted = true
    if (sending || signal.aborted) return
    sending = true
    try {
      // What else changes in this turn goes in the same message.
      const waitMs = Math.max(0, config.gapMs - (clock.monotonicMs() - lastSentMs))
      await clock.sleep(waitMs, signal)
      if (!signal.aborted) send(false)
    } finally {
      sending = false
    }
  }

  const hearing = network.onGossip(config.topic, (from, message) => {
    const heartbeat = decodeHeartbeat(message)
    if (heartbeat === undefined) {
      log.debug('a heartbeat could not be read', { peer: from, bytes: message.length })
      return
    }
    const before = state.words.get(from)?.state
    const heard = hear(state, from, heartbeat, now())
    state = heard.state
    cached = undefined // when a peer was last heard is part of the view, though nobody is woken for it
    if (heard.newcomer) void sendFullSoon()
    if (heard.changed) {
      const after = state.words.get(from)?.state
      if (after !== before) log.info('peer', { peer: from, was: before ?? 'unknown', is: after })
      changed()
    }
  })
  const watching = network.onConnectionChange((peer, connected) => {
    if (connected) {
      void sendFullSoon()
      return
    }
    const result = lost(state, peer, clock.monotonicMs())
    state = result.state
    if (result.changed) changed()
  })

  async function run(): Promise<void> {
    using _hearing = hearing
    using _watching = watching
    while (!signal.aborted) {
      const result = tick(state, clock.monotonicMs())
      if (result.changed) {
        for (const [peer, word] of result.state.words) {
          const was = state.words.get(peer)?.state
          if (was !== word.state) log.info('peer', { peer, was, is: word.state })
        }
      }
      state = result.state
      if (result.changed || withheld) changed()
      if (!sending) send(false)
      await clock.sleep(config.intervalMs, signal)
    }
    changed()
    if (quiet) return
    send(true)
    await clock.sleep(farewellMs, new AbortController().signal)
  }

  return {
    view,
    async *follow(inner) {
      while (!inner.aborted && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting.push(resolve)
        yield view()
        const ended = () => resolve()
        using _inner = onAbort(inner, ended)
        using _outer = onAbort(signal, ended)
        await promise
        waiting = waiting.filter(wake => wake !== resolve)
      }
    },
    announce(endpoints) {
      let next: readonly LiveEndpoint[] = sortedBy(endpoints, ({ uid }) => uid)
      if (next.length > endpointCountMax) {
        log.error('more endpoints than gossip carries; the rest is not announced', { count: next.length })
        next = next.slice(0, endpointCountMax)
      }
      if (sameEndpoints(next, own)) return
      own = next
      // The sequence of the next message, which is the first to carry them.
      ownSequence = sequence + 1
      changed()
      void sendFullSoon()
    },
    expect(peers) {
      const result = expectPeers(state, peers, clock.monotonicMs())
      state = result.state
      if (result.changed) changed()
    },
    recheck: changed,
    stayQuiet() {
      quiet = true
    },
    done: run(),
  }
}
