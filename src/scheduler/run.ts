// Runs the scheduler on the leader: feeds the state from watches, takes pods from the queue one by one, and binds them.
// A decision is synchronous; only the writes that follow from it wait, and many of them at once.
import { ApiError } from '../api/error.ts'
import type { KubeObject } from '../api/kind.ts'
import { namespace as namespaceKind } from '../api/kinds/namespace.ts'
import { type Node, node as nodeKind } from '../api/kinds/node.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { type Service, service as serviceKind } from '../api/kinds/service.ts'
import type { Client } from '../client/client.ts'
import { isDeleting, isFinished, podCondition } from '../client/objects.ts'
import { follow } from '../client/run-follow.ts'
import { recorder } from '../client/run-record.ts'
import { onAbort } from '../lib/abort.ts'
import { sameJson } from '../lib/canonical.ts'
import { rfc3339 } from '../lib/duration.ts'
import type { World } from '../world/world.ts'
import { type Preemption, preempt } from './preempt.ts'
import { podQueue } from './queue.ts'
import { type Decision, explain, schedule } from './schedule.ts'
import { clusterState, isChoosy } from './state.ts'

export const schedulerName = 'default-scheduler'
const bindingCountMax = 64
/** After so many decisions in a row, other work of the process gets its turn. */
const decisionsPerTurn = 32

/** Until the signal aborts; returns when all has stopped. Never throws for what one pod does. */
export async function runScheduler(
  world: Pick<World, 'clock' | 'random' | 'log'>,
  client: Client,
  signal: AbortSignal,
): Promise<void> {
  const log = world.log.with({ component: 'scheduler' })
  const pods = follow(world, client, podKind, {}, {}, signal)
  const nodes = follow(world, client, nodeKind, {}, {}, signal)
  const namespaces = follow(world, client, namespaceKind, {}, {}, signal)
  const services = follow(world, client, serviceKind, {}, {}, signal)
  const followed = [pods, nodes, namespaces, services]
  const events = recorder(world, client, schedulerName, signal)
  const state = clusterState()
  const queue = podQueue()
  const writing = new Set<Promise<void>>()
  const nowMs = () => world.clock.monotonicMs()
  let alarm = new AbortController()
  state.setServices((name): readonly Service[] => services.view.list(name))

  function seePod(before: Pod | undefined, after: Pod | undefined): void {
    const old = before ?? after
    if (before !== undefined && before.metadata.uid !== after?.metadata.uid) {
      state.removePod(before.metadata.uid)
      queue.remove(before.metadata.uid)
    }
    if (after !== undefined) {
      state.setPod(after)
      if (!isWaiting(after)) queue.remove(after.metadata.uid)
      else if (before === undefined || !isWaiting(before) || !sameWish(before, after)) queue.add(after, nowMs())
      else queue.refresh(after)
    }
    // Room may have become free, or somebody has come that a waiting pod wants to be near.
    const wasThere = before !== undefined && isRunning(before)
    const isThere = after !== undefined && isRunning(after)
    if (wasThere && !isThere) queue.wake(nowMs())
    else if (old !== undefined && isThere && (!wasThere || !sameJson(before.metadata.labels, after.metadata.labels))) {
      queue.wake(nowMs(), waiting => isChoosy(waiting) || (waiting.spec.topologySpreadConstraints ?? []).length > 0)
    }
  }

  function seeNode(before: Node | undefined, after: Node | undefined): void {
    if (after === undefined) state.removeNode(before?.metadata.name ?? '')
    else state.setNode(after)
    if (before === undefined || after === undefined || !sameRoom(before, after)) queue.wake(nowMs())
  }

  async function write(pod: Pod, what: string, task: () => Promise<void>): Promise<void> {
    try {
      await task()
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.reason === 'NotFound')) return
      log.warn(`could not ${what}`, { pod: nameOf(pod), error: String(error) })
    }
  }

  async function bind(pod: Pod, node: string): Promise<void> {
    const { uid } = pod.metadata
    try {
      const metadata = { name: pod.metadata.name, namespace: pod.metadata.namespace ?? '', uid }
      const body = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata,
        target: { apiVersion: 'v1', kind: 'Node', name: node },
      }
      await client.post(podKind, keyFor(pod), 'binding', body, signal)
      events.tell({
        about: pod,
        type: 'Normal',
        reason: 'Scheduled',
        message: `Successfully assigned ${nameOf(pod)} to ${node}`,
      })
    } catch (error) {
      state.forget(uid)
      if (signal.aborted) return
      queue.retry(uid, nowMs())
      // Gone, or bound by somebody else: the watch will say so.
      const isRace = error instanceof ApiError && (error.reason === 'NotFound' || error.reason === 'Conflict')
      if (!isRace) log.warn('could not bind', { pod: nameOf(pod), node, error: String(error) })
    }
  }

  async function refuse(pod: Pod, message: string, preemption: Preemption): Promise<void> {
    events.tell({ about: pod, type: 'Warning', reason: 'FailedScheduling', message })
    const nominated = preemption.kind === 'evict' ? preemption.node : undefined
    await say(pod, { status: 'False', reason: 'Unschedulable', message }, nominated)
    if (preemption.kind === 'none') return
    const { name, uid } = pod.metadata
    for (const victim of preemption.victims) {
      await write(victim, 'preempt', async () => {
        const condition = {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'PreemptionByScheduler',
          message: `${schedulerName}: preempting to accommodate a higher priority pod`,
          lastTransitionTime: rfc3339(world.clock.nowMs()),
        }
        const body = { metadata: { uid: victim.metadata.uid }, status: { conditions: [condition] } }
        await client.patch(podKind, keyFor(victim), { type: 'strategic', body, subresource: 'status' }, signal)
        await client.delete(podKind, keyFor(victim), { uid: victim.metadata.uid }, signal)
        const text = `Preempted by pod ${uid} on node ${preemption.node}`
        events.tell({ about: victim, type: 'Normal', reason: 'Preempted', message: text })
        log.info('preempted', { victim: nameOf(victim), for: name, node: preemption.node })
      })
    }
  }

  /** Why the pod has no node, as its condition PodScheduled; written only when it says something new. */
  async function say(
    pod: Pod,
    condition: { readonly status: 'False'; readonly reason: string; readonly message: string },
    nominated?: string,
  ): Promise<void> {
    const known = podCondition(pod, 'PodScheduled')
    const same =
      known?.status === condition.status && known.reason === condition.reason && known.message === condition.message
    const isNominated = nominated === undefined || nominated === pod.status.nominatedNodeName
    if (same && isNominated) return
    const lastTransitionTime =
      known?.status === condition.status ? known.lastTransitionTime : rfc3339(world.clock.nowMs())
    const conditions = [{ type: 'PodScheduled', ...condition, ...(lastTransitionTime && { lastTransitionTime }) }]
    const status = { conditions, ...(nominated !== undefined && { nominatedNodeName: nominated }) }
    const body = { metadata: { uid: pod.metadata.uid }, status }
    await write(pod, 'tell why a pod is not scheduled', async () => {
      await client.patch(podKind, keyFor(pod), { type: 'strategic', body, subresource: 'status' }, signal)
    })
  }

  function start(task: Promise<void>): void {
    writing.add(task)
    void task.finally(() => {
      writing.delete(task)
      alarm.abort()
    })
  }

  function decide(pod: Pod): void {
    const { uid } = pod.metadata
    let decision: Decision
    try {
      if ((pod.spec.schedulingGates ?? []).length > 0) {
        queue.park(uid, nowMs())
        const message = 'Scheduling is blocked due to non-empty scheduling gates'
        start(say(pod, { status: 'False', reason: 'SchedulingGated', message }))
        return
      }
      decision = schedule(pod, state, world.random.float())
      if (decision.kind === 'bind') {
        state.assume(pod, decision.node)
        start(bind(pod, decision.node))
        return
      }
      const preemption = preempt(pod, state, decision.reasons)
      queue.park(uid, nowMs())
      if (preemption.kind === 'evict') state.nominate(pod, preemption.node)
      else if (pod.status.nominatedNodeName === undefined) state.nominate(pod, undefined)
      const ending = preemption.kind === 'none' ? ` preemption: ${preemption.message}` : ''
      start(refuse(pod, `${explain(decision.reasons)}${ending}`, preemption))
    } catch (error) {
      log.error('could not decide', { pod: nameOf(pod), error: String(error) })
      queue.retry(uid, nowMs())
    }
  }

  const listening = [
    pods.onChange(changes => {
      for (const { before, after } of changes) seePod(before, after)
      alarm.abort()
    }),
    nodes.onChange(changes => {
      for (const { before, after } of changes) seeNode(before, after)
      alarm.abort()
    }),
    namespaces.onChange(changes => {
      for (const { key, after } of changes) state.setNamespace(key, after)
    }),
  ]
  // Nothing is decided before everything has been seen once. Rejects only when the signal aborts before.
  const ready = await Promise.all(followed.map(({ synced }) => synced)).then(
    () => true,
    () => false,
  )
  while (ready && !signal.aborted) {
    alarm = new AbortController()
    for (let count = 0; count < decisionsPerTurn && writing.size < bindingCountMax; count++) {
      const pod = queue.take(nowMs())
      if (pod === undefined) break
      decide(pod)
    }
    const nextAtMs = writing.size < bindingCountMax ? queue.nextAtMs() : undefined
    await rest(nextAtMs === undefined ? 3_600_000 : nextAtMs - nowMs())
  }
  for (const listener of listening) listener[Symbol.dispose]()
  await Promise.all([...writing, ...followed.map(({ done }) => done)])
  await events.idle()

  async function rest(ms: number): Promise<void> {
    if (alarm.signal.aborted || signal.aborted) return
    const either = new AbortController()
    using _a = onAbort(alarm.signal, () => either.abort())
    using _b = onAbort(signal, () => either.abort())
    // Zero lets the event loop turn once.
    await world.clock.sleep(Math.max(ms, 0), either.signal)
  }
}

function keyFor({ metadata }: KubeObject): { readonly namespace: string; readonly name: string } {
  return { namespace: metadata.namespace ?? '', name: metadata.name }
}

function nameOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}

/** Ours to place. */
function isWaiting(pod: Pod): boolean {
  return !pod.spec.nodeName && pod.spec.schedulerName === schedulerName && !isDeleting(pod) && !isFinished(pod)
}

/** Takes room on a node. */
function isRunning(pod: Pod): boolean {
  return Boolean(pod.spec.nodeName) && !isFinished(pod)
}

function sameWish(a: Pod, b: Pod): boolean {
  return sameJson([a.spec, a.metadata.labels], [b.spec, b.metadata.labels])
}

/** Nothing changed on the node that could matter to a pod that waits. */
function sameRoom(a: Node, b: Node): boolean {
  const room = ({ metadata, spec, status }: Node) => [
    metadata.labels,
    spec.taints,
    spec.unschedulable,
    status.allocatable,
  ]
  return sameJson(room(a), room(b))
}
