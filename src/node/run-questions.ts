// What our own agents ask each other about the cluster itself: one JSON question and one JSON answer on the mesh protocol
// `status`. Whoever asks is admitted (a Node stands for it) and proved by its peer ID; each handler checks what it may ask.

import type { MeshNetwork } from '../drivers/network/libp2p.ts'
import { text, utf8 } from '../lib/bytes.ts'
import type { PeerId } from '../world/network.ts'

export type Question = 'greet' | 'member' | 'rejoin' | 'leave' | 'remove' | 'quorum' | 'backups'

/** Gets the question's fields as they came, unchecked; an Error it throws is told to the asker by its message. */
export type Answerer = (from: PeerId, asked: Readonly<Record<string, unknown>>, signal: AbortSignal) => unknown

export interface Questions extends Disposable {
  /** One answerer per question. Disposing takes it out: askers are then told that nobody answers. */
  on(question: Question, answer: Answerer): Disposable
  /** Rejects with the other side's words, or MeshError when it cannot be reached. */
  ask<T>(peer: PeerId, question: Question, fields: object, signal: AbortSignal): Promise<T>
}

export class QuestionError extends Error {
  override readonly name = 'QuestionError'
}

export function openQuestions(network: MeshNetwork): Questions {
  const answerers = new Map<string, Answerer>()
  const serving = network.onRequest('status', async (from, body, signal) => {
    try {
      const { question, ...fields } = JSON.parse(text(body)) as Record<string, unknown>
      const answer = answerers.get(String(question))
      if (answer === undefined) throw new QuestionError(`this peer does not answer "${question}" at this moment`)
      return utf8(JSON.stringify({ answer: (await answer(from, fields, signal)) ?? null }))
    } catch (error) {
      return utf8(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }))
    }
  })
  return {
    on(question, answer) {
      answerers.set(question, answer)
      return {
        [Symbol.dispose]() {
          if (answerers.get(question) === answer) answerers.delete(question)
        },
      }
    },
    async ask<T>(peer: PeerId, question: Question, fields: object, signal: AbortSignal): Promise<T> {
      const bytes = await network.request(peer, 'status', utf8(JSON.stringify({ question, ...fields })), signal)
      const { answer, error } = JSON.parse(text(bytes)) as { answer?: T; error?: string }
      if (error !== undefined) throw new QuestionError(error)
      return answer as T
    },
    [Symbol.dispose]: () => serving[Symbol.dispose](),
  }
}
