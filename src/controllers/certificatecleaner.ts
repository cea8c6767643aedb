// Takes away certificate requests that nobody needs any longer: an hour after they were answered, a day after they were
// made when nobody answered. Who asked has fetched the certificate long before.
// After kubernetes pkg/controller/certificates/cleaner.
import {
  type CertificateSigningRequest,
  certificateSigningRequest as requestKind,
} from '../api/kinds/certificatesigningrequest.ts'
import { createdMs, timeMs } from '../client/objects.ts'
import { defineSweep, type Plan, remove } from './controller.ts'

const hourMs = 3_600_000
export const answeredKeptMs = hourMs
export const pendingKeptMs = 24 * hourMs

export const certificateCleanerController = defineSweep({
  name: 'certificatecleaner',
  delayMs: 1_000,
  reads: { requests: requestKind },
  reconcile({ requests }, { nowMs }): Plan {
    const all = requests.list().map(request => ({ request, endMs: endMsOf(request) }))
    const next = all.filter(({ endMs }) => endMs > nowMs).map(({ endMs }) => endMs)
    return {
      changes: all.filter(({ endMs }) => endMs <= nowMs).map(({ request }) => remove(requestKind, request)),
      ...(next.length > 0 && { againAtMs: Math.min(...next) }),
    }
  },
})

function endMsOf(request: CertificateSigningRequest): number {
  const { conditions = [], certificate } = request.status
  const ends = conditions.flatMap(({ type, lastUpdateTime }) => {
    const isAnswered = type === 'Denied' || type === 'Failed' || (type === 'Approved' && certificate !== undefined)
    if (isAnswered) return [timeMs(lastUpdateTime) + answeredKeptMs]
    return type === 'Approved' ? [timeMs(lastUpdateTime) + pendingKeptMs] : []
  })
  const known = ends.filter(ms => Number.isFinite(ms))
  return known.length > 0 ? Math.min(...known) : createdMs(request) + pendingKeptMs
}
