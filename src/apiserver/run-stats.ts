// What the kubelets measured, asked for over the mesh: of all nodes at once, and never oftener than every few seconds however
// many clients ask.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { onAbort } from '../lib/abort.ts'
import { text } from '../lib/bytes.ts'
import { encodeFrame, frameDecoder } from '../wire/frame.ts'
import { KubeletRequestSchema, type StatsReply, StatsReplySchema } from '../wire/gen/flotilla/v1/kubelet_pb.ts'
import type { World } from '../world/world.ts'
import type { Kubelets } from './run-session.ts'
import { channels } from './session.ts'

/** A kubelet that nobody asked lately measures for a second before it answers. */
export const answerTimeoutMs = 4_000
/** Kubelets look every ten seconds, so what is this old is as new as anything. */
export const keptMs = 5_000

export interface NodeStats {
  /** Undefined: the node does not answer. Never rejects. */
  of(node: string): Promise<StatsReply | undefined>
}

export function openNodeStats(world: Pick<World, 'clock' | 'log'>, kubelets: Kubelets, signal: AbortSignal): NodeStats {
  const { clock } = world
  const kept = new Map<string, { readonly untilMs: number; readonly reply: Promise<StatsReply | undefined> }>()

  async function ask(node: string): Promise<StatsReply | undefined> {
    using deadline = clock.deadline(answerTimeoutMs, signal)
    try {
      return await askKubelet(kubelets, node, deadline.signal)
    } catch (error) {
      world.log.debug('a node says nothing of its use', { node, error: String(error) })
      return undefined
    }
  }

  return {
    of(node) {
      const nowMs = clock.monotonicMs()
      for (const [name, { untilMs }] of kept) if (untilMs <= nowMs) kept.delete(name)
      const known = kept.get(node)
      if (known !== undefined) return known.reply
      const reply = ask(node)
      kept.set(node, { untilMs: nowMs + keptMs, reply })
      return reply
    },
  }
}

async function askKubelet(kubelets: Kubelets, node: string, signal: AbortSignal): Promise<StatsReply> {
  const peer = kubelets.peerOfNode(node)
  if (peer === undefined) throw new Error('no peer is known for it')
  const stream = await kubelets.open(peer, signal)
  using _ = onAbort(signal, () => stream.abort())
  try {
    const request = create(KubeletRequestSchema, { ask: { case: 'stats', value: {} } })
    await stream.write(encodeFrame(toBinary(KubeletRequestSchema, request)))
    const decoder = frameDecoder()
    for await (const bytes of stream.read()) {
      for (const payload of decoder.push(bytes)) {
        const body = payload.subarray(1)
        if (payload[0] === channels.stdout) return fromBinary(StatsReplySchema, body)
        if (payload[0] === channels.status) throw new Error(text(body))
      }
    }
    throw new Error('its kubelet ended without an answer')
  } finally {
    stream.abort()
  }
}
