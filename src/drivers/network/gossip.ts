// Topics on gossipsub. Each message is signed by its origin, so `from` is proved however many peers passed it on.
import { type GossipSub, TopicValidatorResult } from '@libp2p/gossipsub'
import type { Bytes } from '../../lib/bytes.ts'
import type { Log } from '../../world/log.ts'
import { type PeerId, peerId } from '../../world/network.ts'
import { errorText } from './errors.ts'
import { gossipBytesMax } from './library.ts'

type Handler = (from: PeerId, message: Bytes) => void

export type Topics = {
  publish(topic: string, message: Bytes): void
  onGossip(topic: string, handler: Handler): Disposable
}

const nameOf = (topic: string): string => `/flotilla/${topic}/1`

export function topicsOn(
  pubsub: GossipSub,
  admitted: (peer: PeerId) => boolean,
  log: Log,
  signal: AbortSignal,
): Topics {
  const topics = new Map<string, Set<Handler>>()
  pubsub.addEventListener('message', ({ detail: message }) => {
    if (message.type !== 'signed') return
    const from = peerId(message.from.toString())
    if (!admitted(from)) return
    for (const handler of [...(topics.get(message.topic) ?? [])]) handler(from, message.data)
  })
  return {
    publish(topic, message) {
      if (signal.aborted) return
      if (message.length > gossipBytesMax) {
        log.error('gossip is over the limit and was not sent', { topic, bytes: message.length })
        return
      }
      pubsub.publish(nameOf(topic), message).catch(error => {
        log.debug('gossip could not be published', { topic, error: errorText(error) })
      })
    },
    onGossip(topic, handler) {
      const name = nameOf(topic)
      let handlers = topics.get(name)
      if (handlers === undefined) {
        handlers = new Set()
        topics.set(name, handlers)
        pubsub.topicValidators.set(name, (_hop, message) => {
          if (message.type !== 'signed' || message.data.length > gossipBytesMax) return TopicValidatorResult.Reject
          // Another peer may have admitted the origin before us: no fault of the one who passed it on.
          return admitted(peerId(message.from.toString())) ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore
        })
        pubsub.subscribe(name)
      }
      handlers.add(handler)
      return {
        [Symbol.dispose]() {
          if (!handlers.delete(handler) || handlers.size > 0 || signal.aborted) return
          topics.delete(name)
          pubsub.topicValidators.delete(name)
          pubsub.unsubscribe(name)
        },
      }
    },
  }
}
