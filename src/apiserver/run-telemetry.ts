// Counts the requests of this peer's API server, and answers GET /metrics.
import type { Kind } from '../api/kind.ts'
import type { Store } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { HttpRequest, HttpResponse } from '../world/http.ts'
import type { World } from '../world/world.ts'
import type { Version } from './paths.ts'
import { type Route, routeOf } from './route.ts'
import { counted, family, Telemetry } from './telemetry.ts'

type Handle = (request: HttpRequest) => Promise<HttpResponse>

export interface Measuring {
  /** The same, counted. */
  measured(handle: Handle): Handle
  /** What GET /metrics says. */
  answer(): HttpResponse
}

export function openTelemetry(
  world: Pick<World, 'clock'>,
  store: Store,
  kinds: () => readonly Kind[],
  version: Version,
): Measuring {
  const { clock } = world
  const telemetry = new Telemetry()

  return {
    measured: handle => async request => {
      const beganMs = clock.monotonicMs()
      const what = counted(understood(request), kinds())
      const end = (code: number) => telemetry.ended(what, code, (clock.monotonicMs() - beganMs) / 1_000)
      telemetry.begun(what)
      const response = await handle(request)
      if (response.kind === 'whole') end(response.code)
      // The driver lets the signal abort when the connection, or this request's part of it, is over, however it ends.
      else onAbort(request.signal, () => end(response.kind === 'stream' ? response.code : 101))
      return response
    },
    answer: () => ({
      kind: 'whole',
      code: 200,
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
      body: `${[...telemetry.lines(), ...ofStore(store), ...ofProcess(version)].join('\n')}\n`,
    }),
  }
}

function understood(request: HttpRequest): Route | undefined {
  try {
    return routeOf(request).asked
  } catch {
    // The server refuses it by itself.
    return undefined
  }
}

function ofStore(store: Store): readonly string[] {
  const { term, role, appliedIndex, commitIndex, compactedRevision } = store.status()
  const roles = ['leader', 'follower', 'candidate', 'learner']
  const one = (value: number) => [{ labels: '', value }]
  return [
    ...family('flotilla_store_revision', 'gauge', 'The newest revision applied here.', one(store.revision())),
    ...family(
      'flotilla_store_compacted_revision',
      'gauge',
      'Up to where the history is forgotten.',
      one(compactedRevision),
    ),
    ...family('flotilla_raft_term', 'gauge', 'The term of this peer.', one(term)),
    ...family(
      'flotilla_raft_role',
      'gauge',
      'Which part this peer has: 1 for the one it has.',
      roles.map(each => ({ labels: `role="${each}"`, value: each === role ? 1 : 0 })),
    ),
    ...family(
      'flotilla_raft_commit_index',
      'gauge',
      'Up to where the log is committed, as known here.',
      one(commitIndex),
    ),
    ...family('flotilla_raft_applied_index', 'gauge', 'Up to where the log is applied here.', one(appliedIndex)),
  ]
}

function ofProcess({ gitVersion, gitCommit, major, minor, platform }: Version): readonly string[] {
  const { user, system } = process.cpuUsage()
  const one = (value: number) => [{ labels: '', value }]
  const build = `git_commit="${gitCommit}",git_version="${gitVersion}",major="${major}",minor="${minor}",platform="${platform}"`
  return [
    ...family('kubernetes_build_info', 'gauge', 'Which version this is.', [{ labels: build, value: 1 }]),
    ...family('process_cpu_seconds_total', 'counter', 'Processor time used, in seconds.', one((user + system) / 1e6)),
    ...family('process_resident_memory_bytes', 'gauge', 'Resident memory in bytes.', one(process.memoryUsage.rss())),
  ]
}
