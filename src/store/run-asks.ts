// Carries questions to the member that can answer them and answers those of others (ask.ts). What only the leader knows
// is asked of it wherever it is, and asked again while nobody leads, until the time-out.
import { StoreError } from '../kv/store.ts'
import type { LeaseId, LeaseInfo } from '../kv/txn.ts'
import type { Log } from '../world/log.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import { type Ask, decodeAsk, decodeTold, encodeAsk, encodeTold, type IndexHash, type Told } from './ask.ts'
import type { LeaseTimes } from './run-leases.ts'

const againMs = 50

export type AsksConfig = {
  readonly clusterId: string
  readonly requestTimeoutMs: number
  readonly isMember: (peer: PeerId) => boolean
  readonly leads: () => boolean
  /** Of the leader, when another peer leads. */
  readonly leaderPeer: () => PeerId | undefined
  readonly times: LeaseTimes
  readonly hashes: (indexes: readonly number[]) => readonly IndexHash[]
  /** Aborts with the store. */
  readonly ending: AbortSignal
}

export interface Asks extends Disposable {
  renewLease(lease: LeaseId, signal?: AbortSignal): Promise<{ readonly ttlSeconds: number } | undefined>
  lease(lease: LeaseId, signal?: AbortSignal): Promise<LeaseInfo | undefined>
  /** Undefined when the peer does not answer in time. */
  hashesOf(peer: PeerId, indexes: readonly number[]): Promise<readonly IndexHash[] | undefined>
}

export function createAsks({ network, clock }: World, log: Log, config: AsksConfig): Asks {
  const { clusterId, requestTimeoutMs, times, ending } = config

  async function answer(ask: Ask, signal: AbortSignal | undefined): Promise<Told> {
    if (ask.kind === 'hashes') return { kind: 'hashes', hashes: config.hashes(ask.indexes) }
    try {
      if (ask.kind === 'renew') {
        const renewed = await times.renew(ask.lease, signal)
        return renewed === undefined ? { kind: 'no-lease' } : { kind: 'renewed', ...renewed }
      }
      const info = await times.look(ask.lease, signal)
      return info === undefined ? { kind: 'no-lease' } : { kind: 'lease', info }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return { kind: error.reason === 'not-leader' ? 'not-leader' : 'unavailable' }
    }
  }

  const handler = network.onRequest('store', async (from, body, signal) => {
    const asked = decodeAsk(body)
    if (asked === undefined || asked.cluster !== clusterId || !config.isMember(from)) {
      throw new Error(`${from} asked something that is not for this store`)
    }
    return encodeTold(await answer(asked.ask, signal))
  })

  async function askPeer(peer: PeerId, ask: Ask, signal: AbortSignal): Promise<Told> {
    try {
      const told = decodeTold(await network.request(peer, 'store', encodeAsk(clusterId, ask), signal))
      if (told !== undefined) return told
      log.warn('an answer does not decode', { from: peer, about: ask.kind })
    } catch (error) {
      log.debug('a question was not answered', { to: peer, about: ask.kind, why: String(error) })
    }
    return { kind: 'unavailable' }
  }

  async function askLeader(ask: Ask, signal: AbortSignal | undefined): Promise<Told> {
    using deadline = clock.deadline(requestTimeoutMs, signal ?? ending)
    while (!deadline.signal.aborted && !ending.aborted) {
      const leader = config.leaderPeer()
      const told = config.leads()
        ? await answer(ask, deadline.signal)
        : leader === undefined
          ? undefined
          : await askPeer(leader, ask, deadline.signal)
      if (told !== undefined && told.kind !== 'not-leader' && told.kind !== 'unavailable') return told
      await clock.sleep(againMs, deadline.signal)
    }
    if (ending.aborted) throw new StoreError('closed', 'the store is closed')
    throw new StoreError('unavailable', 'no leader answered in time; try again')
  }

  const unexpected = (told: Told) => new StoreError('unavailable', `the leader answered with ${told.kind}; try again`)

  return {
    async renewLease(lease, signal) {
      const told = await askLeader({ kind: 'renew', lease }, signal)
      if (told.kind === 'no-lease') return undefined
      if (told.kind !== 'renewed') throw unexpected(told)
      return { ttlSeconds: told.ttlSeconds }
    },
    async lease(lease, signal) {
      const told = await askLeader({ kind: 'lease', lease }, signal)
      if (told.kind === 'no-lease') return undefined
      if (told.kind !== 'lease') throw unexpected(told)
      return told.info
    },
    async hashesOf(peer, indexes) {
      using deadline = clock.deadline(requestTimeoutMs, ending)
      const told = await askPeer(peer, { kind: 'hashes', indexes }, deadline.signal)
      return told.kind === 'hashes' ? told.hashes : undefined
    },
    [Symbol.dispose]: () => handler[Symbol.dispose](),
  }
}
