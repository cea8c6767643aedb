// An API server whose every refusal must stand in its audit log: who was refused, how they showed who they are, and with
// which code. Whoever asks through it needs to say nothing of that.
import type { ApiserverConfig } from '../../src/apiserver/run.ts'
import { methodAnnotation } from '../../src/apiserver/run-audit.ts'
import { type Asking, asking } from './ask.ts'
import type { MemoryStore } from './memory-store.ts'
import { admin, testApiserver } from './setup.ts'

type Recorded = {
  readonly auditID: string
  readonly stage: string
  readonly user: { readonly username?: string }
  readonly responseStatus?: { readonly code: number }
  readonly annotations?: Readonly<Record<string, string>>
}

export async function auditedApiserver(more: Partial<ApiserverConfig> = {}, store?: MemoryStore) {
  const lines: string[] = []
  const ended = new Map<string, Recorded>()
  const append = async (line: string) => {
    lines.push(line)
    const event = JSON.parse(line) as Recorded
    if (event.stage === 'ResponseComplete') ended.set(event.auditID, event)
  }
  const audit = { policy: { rules: [{ level: 'Metadata' as const }] }, log: { append } }
  const api = await testApiserver({ audit, ...more }, store)
  const plain = asking(api)
  let count = 0
  const ask: Asking = async (url, asked = {}) => {
    count += 1
    const id = asked.headers?.['audit-id'] ?? `asked-${count}`
    const answer = await plain(url, { ...asked, headers: { ...asked.headers, 'audit-id': id } })
    if (answer.code < 400) return answer
    const event = ended.get(id)
    const told = { code: event?.responseStatus?.code, method: event?.annotations?.[methodAnnotation] }
    const token = asked.headers?.['authorization'] === undefined ? 'none' : 'token'
    const wanted = { code: answer.code, method: asked.identity === null ? token : 'certificate' }
    const user = asked.identity === null ? event?.user.username : (asked.identity ?? admin).user
    if (JSON.stringify(told) !== JSON.stringify(wanted) || event?.user.username !== user) {
      throw new Error(`${url}: ${JSON.stringify(wanted)} of ${user} is not on the record: ${JSON.stringify(event)}`)
    }
    return answer
  }
  return { ...api, ask, audit: lines }
}
