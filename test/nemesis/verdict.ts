// What became of the run: every checker on what was recorded, and the numbers that say whether the run was worth anything.
import type { Operation } from '../check/history.ts'
import { describeOperation } from '../check/history.ts'
import { checkKeys } from '../check/keys.ts'
import { checkStore, type State } from '../check/model.ts'
import { describeAnomaly, replay } from '../check/revisions.ts'
import { checkWatches, type Finding, logOfWatches, type WatchSession } from '../check/watches.ts'
import { explain } from '../check/wgl.ts'
import type { SystemUnderTest } from './systems.ts'

const searchMsMax = 120_000

/** One checker's word. `unknown` counts as failed. */
export type Check = {
  readonly name: string
  readonly kind: 'ok' | 'illegal' | 'unknown'
  /** How much it looked at. */
  readonly checked: number
  /** How many things are wrong; 0 when it is only not decided. */
  readonly anomalies: number
  /** For people: the first few. */
  readonly details: readonly string[]
}

const detailsMax = 5

export function checkRun(
  history: readonly Operation[],
  sessions: readonly WatchSession[],
  start: State,
  until: number | undefined,
  system: SystemUnderTest,
): readonly Check[] {
  const log = logOfWatches(sessions, start.revision + 1)
  const replayed = replay(history, log, start)
  const checks: Check[] = [
    {
      name: 'log of the watches',
      kind: log.isComplete ? 'ok' : 'unknown',
      checked: log.revisions.size,
      anomalies: 0,
      details: log.isComplete ? [] : ['no watcher saw some of the revisions'],
    },
    {
      name: 'replay by revisions',
      kind: replayed.kind,
      checked: replayed.history.length,
      anomalies: replayed.kind === 'illegal' ? replayed.anomalyCount : 0,
      details: replayed.anomalies.slice(0, detailsMax).map(describeAnomaly),
    },
  ]
  const store = checkStore(replayed.history, { timeMs: searchMsMax }, start)
  checks.push({
    name: 'linearizability of the whole store',
    kind: store.kind,
    checked: replayed.history.length,
    anomalies: store.kind === 'illegal' ? 1 : 0,
    details: store.kind === 'ok' ? [] : [explain(store, describeOperation, detailsMax)],
  })
  const keys = checkKeys(replayed.history, { timeMs: searchMsMax })
  checks.push({
    name: 'linearizability key by key',
    kind: keys.kind,
    checked: keys.operations,
    anomalies: keys.failures.filter(({ kind }) => kind === 'illegal').length,
    details: keys.failures.slice(0, detailsMax).map(({ key, message }) => `${key}: ${message}`),
  })
  const compacted = new Set(history.flatMap(({ request }) => (request.kind === 'compact' ? [request.revision] : [])))
  const findings = checkWatches(sessions, replayed.changes, {
    history,
    ...(until !== undefined && { until }),
    mayMiss: change => system.mayMiss?.(change, compacted) ?? false,
  })
  checks.push({
    name: 'watches',
    kind: findings.length === 0 ? 'ok' : 'illegal',
    checked: sessions.length,
    anomalies: findings.length,
    details: [...byProperty(findings)].slice(0, detailsMax),
  })
  return checks
}

function byProperty(findings: readonly Finding[]): readonly string[] {
  return [...Map.groupBy(findings, ({ property }) => property)].map(
    ([property, all]) => `${property}, ${all.length} times; ${all[0]?.watcher}: ${all[0]?.message}`,
  )
}

/** The value below which this share of all lie; undefined when there are none. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
}
