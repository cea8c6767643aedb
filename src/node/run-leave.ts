// Ways out of the cluster. `leave` is a peer's own: it says so on its Node, the leader takes its vote and its membership when
// that is safe (controllers/membership.ts), then its Node is deleted. `remove` is for one that is gone: its Node is deleted, and
// the leader takes the rest. Both are level-based: what a crash interrupts goes on with the next leader.
import { leavingAnnotation } from '../api/annotations.ts'
import { ApiError } from '../api/error.ts'
import { type Node, node as nodeKind } from '../api/kinds/node.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import type { Client } from '../client/client.ts'
import type { GossipView } from '../gossip/gossip.ts'
import type { MemberInfo, Store } from '../kv/store.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import type { Questions } from './run-questions.ts'
import type { Seats } from './run-seats.ts'
import { isLeaving, peerOf } from './status.ts'

const pollMs = 200
const leaveMs = 60_000
const removeMs = 30_000
/** The answer must reach the one that leaves before its Node, and with it its admission, is gone. */
const farewellMs = 1_000

export type LeaveParts = {
  readonly world: World
  readonly client: Client
  readonly store: Store
  readonly questions: Questions
  readonly seats: Seats
  readonly nodeName: string
  readonly gossip: () => GossipView
}

/** Pods on this node that a drain would move: not those of a DaemonSet, not finished ones. */
export async function podsInTheWay(parts: LeaveParts, signal: AbortSignal): Promise<readonly string[]> {
  const { items } = await parts.client.list(podKind, { fieldSelector: `spec.nodeName=${parts.nodeName}` }, signal)
  return items
    .filter(({ status }) => status.phase !== 'Succeeded' && status.phase !== 'Failed')
    .filter(
      ({ metadata }) => !metadata.ownerReferences?.some(one => one.kind === 'DaemonSet' && one.controller === true),
    )
    .map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`)
}

/** Resolves when this peer is no member any more and its Node is about to be deleted: it must stop now. */
export async function leave(
  parts: LeaveParts,
  abandonPods: boolean,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { world, client, store, questions, nodeName } = parts
  const { self } = world.network
  using deadline = world.clock.deadline(leaveMs, signal)
  if (store.status().members.every(({ peer }) => peer === self)) {
    throw new Error(
      'this is the only peer: with it the cluster would end. Stop it instead, or take its data directory away',
    )
  }
  const inTheWay = await podsInTheWay(parts, deadline.signal)
  if (inTheWay.length > 0 && !abandonPods) {
    const some = inTheWay.slice(0, 5).join(', ') + (inTheWay.length > 5 ? ', …' : '')
    throw new Error(
      `${inTheWay.length} pods run here (${some}). Move them first: kubectl drain ${nodeName} --ignore-daemonsets ` +
        '--delete-emptydir-data; or end them here, to be replaced elsewhere, with --abandon-pods',
    )
  }
  const body = { metadata: { annotations: { [leavingAnnotation]: 'true' } }, spec: { unschedulable: true } }
  await client.patch(nodeKind, { name: nodeName }, { type: 'merge', body }, deadline.signal)
  say(`${nodeName} is marked as leaving; waiting until it has no vote and no membership`)
  let last = ''
  for (;;) {
    const news = await step()
    if (news === 'left') return
    if (news !== last) say(news)
    last = news
    if (deadline.signal.aborted) {
      // It stays marked, so a second try goes on from here.
      throw new Error(`not within ${leaveMs / 1_000} s: ${last}. Try again; \`flotilla status\` says who is missing`)
    }
    await world.clock.sleep(pollMs, deadline.signal)
  }

  async function step(): Promise<string> {
    const { leader, members, role } = store.status()
    if (leader === undefined) return 'waiting for a leader'
    if (leader === self) {
      const others = members.filter(({ peer, role: its }) => peer !== self && its === 'voter')
      if (role !== 'leader' || others.length === 0) return 'waiting until another peer can lead'
      try {
        await store.transferLeadership(deadline.signal)
        return 'leadership was handed over'
      } catch (error) {
        return `leadership cannot be handed over yet: ${String(error)}`
      }
    }
    try {
      const { left } = await questions.ask<{ left: boolean }>(leader, 'leave', {}, deadline.signal)
      return left ? 'left' : 'waiting until the leader has taken it out'
    } catch (error) {
      return `the leader does not answer: ${String(error)}`
    }
  }
}

/** Answers on the leader whether the asker is out, and then deletes its Node. */
export function serveLeave(parts: LeaveParts, signal: AbortSignal): Disposable {
  const { world, client, store, questions, seats } = parts
  return questions.on('leave', async (from, _, until) => {
    const node = await nodeOf(client, from, until)
    if (node !== undefined && !isLeaving(node)) throw new Error('its Node does not say that it leaves')
    if (seats.has(from)) return { left: false }
    // The membership must be out on a majority too, not only in this log.
    await store.newest(until)
    if (node !== undefined) {
      void (async () => {
        await world.clock.sleep(farewellMs, signal)
        await deleteNode(client, node, signal)
      })().catch(error => world.log.warn('the Node of a peer that left was not deleted', { error: String(error) }))
    }
    return { left: true }
  })
}

/** Takes a dead peer out of the cluster. `target` is a node name or a peer ID. Resolves when it is no member any more. */
export async function remove(
  parts: LeaveParts,
  target: string,
  force: boolean,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { world, client, store, seats } = parts
  using deadline = world.clock.deadline(removeMs, signal)
  const { leader, members } = store.status()
  if (leader === undefined) throw new Error(seats.leaderlessWords)
  const { items: nodes } = await client.list(nodeKind, {}, deadline.signal)
  const node = nodes.find(one => one.metadata.name === target || peerOf(one) === target)
  const peer = (node === undefined ? undefined : peerOf(node)) ?? members.find(one => one.peer === target)?.peer
  if (node === undefined && peer === undefined) {
    throw new Error(`no peer and no node is called ${target}: \`flotilla status\` lists them`)
  }
  const name = node?.metadata.name ?? target
  if (peer === world.network.self) throw new Error(`${name} is this peer: use \`flotilla leave\``)
  if (peer === leader)
    throw new Error(`${name} leads the cluster at this moment, so it lives: use \`flotilla leave\` there`)
  const isAlive = (one: MemberInfo) =>
    one.peer === world.network.self || one.peer === leader || parts.gossip().members.get(one.peer)?.state === 'alive'
  const refusal = peer !== undefined && seats.has(peer) ? whyNotRemove(members, peer, isAlive) : undefined
  if (refusal !== undefined) throw new Error(refusal)
  const its = members.find(one => one.peer === peer)
  if (its !== undefined && isAlive(its) && !force) {
    throw new Error(`${name} is alive: \`flotilla leave\` there is the clean way. To remove it all the same: --force`)
  }
  if (node !== undefined) await deleteNode(client, node, deadline.signal)
  say(`the Node ${name} is deleted: its pods are replaced elsewhere, and it is not admitted any more`)
  while (peer !== undefined && seats.has(peer)) {
    if (deadline.signal.aborted) {
      throw new Error(
        `${name} is still a member after ${removeMs / 1_000} s; the leader goes on with it as soon as a majority answers`,
      )
    }
    await world.clock.sleep(pollMs, deadline.signal)
  }
}

/** Those who are left must be able to decide: more than half of their voters alive. */
export function whyNotRemove(
  members: readonly MemberInfo[],
  peer: PeerId | undefined,
  isAlive: (member: MemberInfo) => boolean,
): string | undefined {
  const voters = members.filter(({ role }) => role === 'voter')
  if (!voters.some(one => one.peer === peer)) return undefined
  const left = voters.filter(one => one.peer !== peer)
  const alive = left.filter(isAlive).length
  if (alive * 2 > left.length) return undefined
  return (
    `without it ${alive} of ${left.length} voters would be there, which is no majority: the cluster could not decide ` +
    'anything any more. Bring another voter back first, or run `flotilla recover` on the peer with the newest copy'
  )
}

async function nodeOf(client: Client, peer: PeerId, signal: AbortSignal): Promise<Node | undefined> {
  const { items } = await client.list(nodeKind, {}, signal)
  return items.find(one => peerOf(one) === peer)
}

async function deleteNode(client: Client, node: Node, signal: AbortSignal): Promise<void> {
  try {
    await client.delete(nodeKind, { name: node.metadata.name }, { uid: node.metadata.uid }, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'NotFound') throw error
  }
}
