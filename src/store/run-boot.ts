// What a store begins with: the log and the applied state as the disk has them, checked against each other. Founds the
// cluster where it was told to, and refuses to begin where something acknowledged is gone.
import type { Bytes } from '../lib/bytes.ts'
import type { Restored } from '../raft/types.ts'
import type { World } from '../world/world.ts'
import type { Settings } from './config.ts'
import { isFullError, StoreFull } from './full.ts'
import { type Generation, type LogState, StoreDamage } from './log.ts'
import { decodePeers, encodePeers, type Peers } from './members.ts'
import { restore } from './restore.ts'
import { type OpenedLog, openLog, type RunLog } from './run-log.ts'
import { openSpace, type Space } from './run-space.ts'
import { clearState, type LoadedState, openState, type RunState } from './run-state.ts'

export type Boot = {
  readonly log: RunLog
  readonly state: RunState
  readonly loaded: LoadedState | undefined
  readonly restored: Restored
  readonly peers: Peers
  readonly space: Space
}

/** Throws StoreDamage when the disk lost something, StoreFull when there is no room to begin. */
export async function boot(world: World, settings: Settings): Promise<Boot> {
  try {
    return await open(world, settings, false)
  } catch (error) {
    if (!isFullError(error)) throw error
    if ((await world.disk.reserve?.release()) !== true) throw new StoreFull(error)
    world.log.error('the disk is full: the reserve is used to start, and no new work is taken until there is room')
    return await open(world, settings, true).catch(second => {
      throw isFullError(second) ? new StoreFull(second) : second
    })
  }
}

async function open(world: World, settings: Settings, wasFull: boolean): Promise<Boot> {
  const space = openSpace(world, settings.reserveBytes, wasFull)
  try {
    const identity = { cluster: settings.clusterId, member: settings.member }
    const { zeroBytesAhead, segmentBytesMax } = settings
    const { clock } = world
    const opened = await openLog(world.disk, identity, world.log, { zeroBytesAhead, segmentBytesMax, space, clock })
    const both = await openBoth(world, settings, opened)
    space.begin()
    return { ...both, space }
  } catch (error) {
    space.close()
    throw error
  }
}

async function openBoth(world: World, settings: Settings, opened: OpenedLog): Promise<Omit<Boot, 'space'>> {
  const { log, found } = opened
  let logState = opened.state
  try {
    const { loaded, state } = await openApplied(world, logState)
    try {
      if (found === 'new' || found === 'unused') {
        if (loaded !== undefined) throw new StoreDamage('missing', 'there is applied state but no log')
        if (settings.expectExisting && found === 'new')
          throw new StoreDamage('missing', 'this member has run before and its log is gone')
        // So that a member that stops before its first entry is not taken for one that lost its log.
        if (found === 'new') await log.begin()
        if (settings.bootstrap) logState = await foundCluster(world, settings, log)
      }
      const restored = restore(logState, loaded)
      const fields = { index: restored.base.index, entries: restored.entries.length, term: restored.hard.term }
      world.log.info('store opened', { found, ...fields })
      return { log, state, loaded, restored, peers: peersOf(restored, loaded?.context) }
    } catch (error) {
      await state.close()
      throw error
    }
  } catch (error) {
    await log.close()
    throw error
  }
}

/** The first entry of a cluster says who it is: its founder, the only voter. */
async function foundCluster(world: World, settings: Settings, log: RunLog): Promise<LogState> {
  const membership = { voters: [settings.member], learners: [], removed: [] }
  const context = encodePeers(membership, new Map([[settings.member, world.network.self]]))
  const hard = { term: 1, vote: undefined }
  const entries = [{ index: 1, term: 1, kind: 'membership', membership, context }] as const
  await log.append({ hard, entries })
  world.log.info('founded a new cluster', { cluster: settings.clusterId, member: settings.member })
  return { hard, entries, base: { index: 0, term: 0 }, generation: 0 }
}

/** A state that is damaged while the whole log is there is made again from the log. */
async function openApplied(
  world: World,
  { base, generation }: LogState,
): Promise<{ loaded: LoadedState | undefined; state: RunState }> {
  try {
    return await openState(world.disk, generation)
  } catch (error) {
    if (!(error instanceof StoreDamage) || base.index > 0) throw error
    world.log.warn('the applied state is damaged and is made again from the log', { why: error.message })
    return await rebuilt(world, generation)
  }
}

async function rebuilt(world: World, generation: Generation): ReturnType<typeof openState> {
  await clearState(world.disk, generation)
  return await openState(world.disk, generation)
}

function peersOf(restored: Restored, context: Bytes | undefined): Peers {
  const peers = new Map(context === undefined ? [] : decodePeers(context))
  for (const entry of restored.entries) {
    if (entry.kind === 'membership') for (const [member, peer] of decodePeers(entry.context)) peers.set(member, peer)
  }
  return peers
}
