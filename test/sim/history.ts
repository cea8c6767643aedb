// The verdict on what the clients of one run saw: strict serializability of the whole store, by the order of revisions
// and by search, with what the replicas applied to tell what became of operations that got no answer.
import { describeOperation, type Operation } from '../check/history.ts'
import { checkStore } from '../check/model.ts'
import { describeAnomaly, replay } from '../check/revisions.ts'
import { must } from './safety.ts'
import type { Truth } from './truth.ts'

/** Of the search: a run's history takes a few steps for each operation. */
const statesMax = 200_000
const shownCount = 5

export function checkHistory(history: readonly Operation[], truth: Truth): void {
  const replayed = replay(history, truth.log())
  must(replayed.kind === 'ok', 'linearizability', () => {
    const anomalies = replayed.anomalies.slice(0, shownCount).map(describeAnomaly)
    return `${replayed.kind}, ${replayed.anomalyCount} anomalies by revisions\n${anomalies.join('\n')}`
  })
  const verdict = checkStore(replayed.history, { states: statesMax })
  must(verdict.kind === 'ok', 'linearizability', () => {
    if (verdict.kind === 'unknown') return `unknown by search: ${verdict.why}`
    const stuck = verdict.kind === 'illegal' ? verdict.stuck.slice(0, shownCount).map(describeOperation) : []
    return `${verdict.kind} by search\n${stuck.join('\n')}`
  })
}
