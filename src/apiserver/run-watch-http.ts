// A watch as an answer of HTTP: one JSON frame per line, pulled by the client. The place that it takes among the watches is
// given back when the stream ends, however it ends.
import { ApiError, statusOf } from '../api/error.ts'
import type { Kind, KubeObject } from '../api/kind.ts'
import type { Selectors } from '../api/select.ts'
import { partialObjectMetadata, toTable } from '../api/table.ts'
import type { Revision } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { HttpRequest, HttpResponse } from '../world/http.ts'
import type { View } from './answer.ts'
import { countOf } from './decode.ts'
import { revisionOf } from './list.ts'
import { isTrue, type ResourceRoute } from './route.ts'
import { list, type ReadContext } from './run-read.ts'
import { changes } from './run-watch.ts'
import { added, bookmark, type Change, frame, frameOf, objectIn } from './watch.ts'

const timeoutSecondsMin = 1_800
const bookmarkEveryMs = 30_000

export function watchResponse(
  context: ReadContext,
  kind: Kind,
  asked: ResourceRoute,
  query: URLSearchParams,
  view: View,
  request: HttpRequest,
  place: Disposable,
  /** Ends every watch: this peer stops. */
  stopping: AbortSignal,
): HttpResponse {
  try {
    const plan = planOf(asked, query)
    // Also when the client goes before it has read the first frame.
    onAbort(request.signal, () => place[Symbol.dispose]())
    const body = frames(context, kind, asked.namespace, plan, view, request.signal, place, stopping)
    return {
      kind: 'stream',
      code: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-cache, private' },
      body,
    }
  } catch (error) {
    place[Symbol.dispose]()
    throw error
  }
}

type Plan = {
  readonly selectors: Selectors
  /** undefined: begin with all that there is, as ADDED. */
  readonly after: Revision | undefined
  /** The list before may come from what is here already. */
  readonly cached: boolean
  /** Say when all that there was has been sent. */
  readonly sayInitial: boolean
  readonly atLeast: string
  readonly bookmarks: boolean
  readonly timeoutMs: number
}

function planOf(asked: ResourceRoute, query: URLSearchParams): Plan {
  const resourceVersion = query.get('resourceVersion') ?? ''
  const match = query.get('resourceVersionMatch') ?? ''
  const initial = query.get('sendInitialEvents')
  const revision = resourceVersion === '' ? 0 : revisionOf(resourceVersion)
  if (initial !== null && match !== 'NotOlderThan') {
    throw new ApiError(
      'BadRequest',
      'sendInitialEvents: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    )
  }
  if (initial === null && match !== '') {
    throw new ApiError(
      'BadRequest',
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    )
  }
  const wantsInitial = initial !== null && isTrue(initial)
  const fieldSelector = query.get('fieldSelector') ?? ''
  const labelSelector = query.get('labelSelector') ?? ''
  // A watch of one object by its path is one with a selector on the name.
  const fields =
    asked.name === undefined ? fieldSelector : [fieldSelector, `metadata.name=${asked.name}`].filter(Boolean).join(',')
  const seconds = countOf(query, 'timeoutSeconds')
  return {
    selectors: { ...(labelSelector !== '' && { labelSelector }), ...(fields !== '' && { fieldSelector: fields }) },
    after: wantsInitial || revision === 0 ? (initial !== null && !wantsInitial ? -1 : undefined) : revision,
    cached: resourceVersion === '0',
    sayInitial: wantsInitial,
    atLeast: wantsInitial && revision > 0 ? resourceVersion : '',
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    timeoutMs: 1_000 * (seconds > 0 ? Math.min(seconds, 86_400) : timeoutSecondsMin),
  }
}

async function* frames(
  context: ReadContext,
  kind: Kind,
  namespace: string | undefined,
  plan: Plan,
  view: View,
  signal: AbortSignal,
  place: Disposable,
  stopping: AbortSignal,
): AsyncGenerator<string> {
  const { clock } = context.world
  using _ = place
  const ended = new AbortController()
  using timeout = clock.deadline(plan.timeoutMs, signal)
  using __ = onAbort(timeout.signal, () => ended.abort())
  using ___ = onAbort(stopping, () => ended.abort())
  const shape = shaper(kind, view, () => clock.nowMs())
  const mark = (revision: Revision, initial: boolean) => {
    const object = bookmark(kind, revision, initial)
    return frame('BOOKMARK', view.answers.as === 'Object' ? object : partialObjectMetadata(object))
  }
  let seen = plan.after === -1 ? context.store.revision() : (plan.after ?? 0)
  try {
    if (plan.after === undefined) {
      const query = {
        limit: 0,
        continue: '',
        resourceVersion: plan.cached ? '0' : plan.atLeast,
        resourceVersionMatch: plan.atLeast === '' ? '' : 'NotOlderThan',
      }
      const listed = await list(context, kind, namespace, plan.selectors, query, ended.signal)
      for (const item of listed.items) yield shape.frame(added(item))
      seen = listed.revision
      if (plan.sayInitial && plan.bookmarks) yield mark(seen, true)
    }
    let marked = { revision: seen, atMs: clock.monotonicMs() }
    for await (const batch of changes(context, kind, namespace, plan.selectors, seen, ended.signal)) {
      let text = ''
      for (const change of batch.changes) text += shape.frame(change)
      if (text !== '') yield text
      seen = batch.revision
      const due = clock.monotonicMs() - marked.atMs >= bookmarkEveryMs
      if (plan.bookmarks && due && seen > marked.revision) {
        marked = { revision: seen, atMs: clock.monotonicMs() }
        yield mark(seen, false)
      }
    }
    // The next watch can go on from here, without what it has seen.
    if (plan.bookmarks && !signal.aborted && seen > marked.revision) yield mark(seen, false)
  } catch (error) {
    if (ended.signal.aborted && !(error instanceof ApiError)) return
    if (!(error instanceof ApiError)) throw error
    yield frame('ERROR', statusOf(error))
  }
}

/** How the objects of a watch are shown: as they are stored, as rows, or by their metadata. */
function shaper(kind: Kind, view: View, nowMs: () => number) {
  const { answers, includeObject } = view
  let first = true
  const of = (object: KubeObject): unknown => {
    if (answers.as === 'Object') return object
    if (answers.as !== 'Table') return partialObjectMetadata(object)
    const table = toTable(kind, [object], nowMs(), {
      includeObject,
      version: answers.version,
      columnDefinitions: first,
      listMeta: { resourceVersion: object.metadata.resourceVersion },
    })
    first = false
    return table
  }
  return {
    frame: (change: Change) => (answers.as === 'Object' ? frameOf(change) : frame(change.type, of(objectIn(change)))),
  }
}
