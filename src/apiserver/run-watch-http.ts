// A watch as an answer of HTTP: one JSON frame per line, or protobuf frames behind their lengths, pulled by the client. The
// place that it takes among the watches is given back when the stream ends, however it ends.
import { ApiError, statusOf } from '../api/error.ts'
import type { Kind, KubeObject } from '../api/kind.ts'
import { encodeBody, encodeWatchEvent } from '../api/protobuf.ts'
import type { JsonObject } from '../api/schema.ts'
import type { Selectors } from '../api/select.ts'
import { bookmarkTable, partialObjectMetadata, toTable } from '../api/table.ts'
import type { Revision } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import { type Bytes, concat } from '../lib/bytes.ts'
import type { HttpRequest, HttpResponse } from '../world/http.ts'
import type { World } from '../world/world.ts'
import type { View } from './answer.ts'
import { bodyOf, protobufOf } from './encode.ts'
import { revisionOf } from './list.ts'
import { contentTypeOf } from './negotiate.ts'
import { checkListOptions, countOf, selectorsOf } from './options.ts'
import { isTrue, type ResourceRoute } from './route.ts'
import { list, type ReadContext } from './run-read.ts'
import { changes, matcher } from './run-watch.ts'
import { added, bookmark, type Change, frame, frameOf, objectIn } from './watch.ts'

/** Upstream's min-request-timeout. Who says nothing gets up to twice that, so that not all watches end at once. */
const timeoutSecondsMin = 1_800
const bookmarkEveryMs = 30_000
/** How many objects of what there is at the beginning are sent together. */
const chunkCount = 100

export function watchResponse(
  context: ReadContext & { readonly world: Pick<World, 'random'> },
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
    const plan = planOf(asked, query, context.world.random.float())
    // A selector that says nothing is refused before there is a stream.
    matcher(kind, plan.selectors)
    // Also when the client goes before it has read the first frame.
    onAbort(request.signal, () => place[Symbol.dispose]())
    const body = frames(context, kind, asked.namespace, plan, view, request, place, stopping)
    const headers = { 'content-type': contentTypeOf(view.answers.media, true), 'cache-control': 'no-cache, private' }
    return { kind: 'stream', code: 200, headers, body }
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

/** `chance` in [0, 1). */
function planOf(asked: ResourceRoute, query: URLSearchParams, chance: number): Plan {
  checkListOptions(query, true)
  const resourceVersion = query.get('resourceVersion') ?? ''
  const initial = query.get('sendInitialEvents')
  const revision = resourceVersion === '' ? 0 : revisionOf(resourceVersion)
  const wantsInitial = initial !== null && isTrue(initial)
  const { labelSelector = '', fieldSelector = '' } = selectorsOf(query)
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
    timeoutMs: 1_000 * (seconds > 0 ? Math.min(seconds, 86_400) : timeoutSecondsMin * (1 + chance)),
  }
}

async function* frames(
  context: ReadContext,
  kind: Kind,
  namespace: string | undefined,
  plan: Plan,
  view: View,
  request: HttpRequest,
  place: Disposable,
  stopping: AbortSignal,
): AsyncGenerator<string | Bytes> {
  const { clock } = context.world
  const { signal } = request
  using _ = place
  const ended = new AbortController()
  using timeout = clock.deadline(plan.timeoutMs, signal)
  using __ = onAbort(timeout.signal, () => ended.abort())
  using ___ = onAbort(stopping, () => ended.abort())
  // Over a WebSocket each frame is a message of its own, which needs no length.
  const isSocket = request.upgrade === 'websocket'
  const shape = shaper(kind, view, !isSocket, () => clock.nowMs())
  let seen = plan.after === -1 ? context.store.revision() : (plan.after ?? 0)
  try {
    if (plan.after === undefined) {
      const query = {
        limit: 0,
        continue: '',
        resourceVersion: plan.cached ? '0' : plan.atLeast,
        resourceVersionMatch: plan.atLeast === '' ? '' : 'NotOlderThan',
      }
      const listed = await list(context, kind, namespace, plan.selectors, query, ended)
      for (let at = 0; at < listed.items.length; at += chunkCount) {
        // Others run in between.
        if (at > 0) yield ''
        const made = listed.items.slice(at, at + chunkCount).map(item => shape.frame(added(item)))
        if (isSocket) yield* made
        else yield joined(made)
      }
      seen = listed.revision
      if (plan.sayInitial && plan.bookmarks) yield shape.bookmark(seen, true)
    }
    let marked = { revision: seen, atMs: clock.monotonicMs() }
    for await (const batch of changes(context, kind, namespace, plan.selectors, seen, ended.signal)) {
      const made = batch.changes.map(change => shape.frame(change))
      if (isSocket) yield* made
      else if (made.length > 0) yield joined(made)
      seen = batch.revision
      const due = clock.monotonicMs() - marked.atMs >= bookmarkEveryMs
      if (plan.bookmarks && due && seen > marked.revision) {
        marked = { revision: seen, atMs: clock.monotonicMs() }
        yield shape.bookmark(seen, false)
      }
    }
    // The next watch can go on from here, without what it has seen.
    if (plan.bookmarks && !signal.aborted && seen > marked.revision) yield shape.bookmark(seen, false)
  } catch (error) {
    if (ended.signal.aborted && !(error instanceof ApiError)) return
    if (!(error instanceof ApiError)) throw error
    yield shape.error(error)
  }
}

type Frame = string | Bytes

/** All of one kind: texts or bytes. */
function joined(made: readonly Frame[]): Frame {
  const [first = ''] = made
  if (made.length === 1) return first
  return typeof first === 'string' ? made.join('') : concat(made as readonly Bytes[])
}

/** How the objects of a watch are shown: as they are stored, as rows, or by their metadata; as JSON or as protobuf. */
function shaper(kind: Kind, view: View, inStream: boolean, nowMs: () => number) {
  const { answers, includeObject } = view
  const framed = (type: string, object: JsonObject): Frame => {
    const bytes = answers.media === 'protobuf' ? protobufOf(kind, object) : undefined
    return bytes === undefined ? frame(type, object) : encodeWatchEvent(type, bytes, inStream)
  }
  let isFirst = true
  const tableOptions = (version: 'v1' | 'v1beta1', object: KubeObject) => {
    const columnDefinitions = isFirst
    isFirst = false
    return { includeObject, version, columnDefinitions, listMeta: { resourceVersion: object.metadata.resourceVersion } }
  }
  const partial = (object: KubeObject) =>
    partialObjectMetadata(object, answers.as === 'Object' ? 'v1' : answers.version)
  return {
    frame: (change: Change): Frame => {
      if (answers.as === 'Object') {
        if (answers.media !== 'protobuf') return frameOf(change)
        const isThere = change.type !== 'DELETED'
        const body = isThere ? bodyOf(kind, change.stored) : encodeBody(kind.schema, asJson(objectIn(change)))
        return encodeWatchEvent(change.type, body, inStream)
      }
      const object = objectIn(change)
      if (answers.as !== 'Table') return framed(change.type, partial(object))
      return framed(change.type, toTable(kind, [object], nowMs(), tableOptions(answers.version, object)))
    },
    bookmark: (revision: Revision, initial: boolean): Frame => {
      const object = bookmark(kind, revision, initial)
      if (answers.as === 'Object') return framed('BOOKMARK', asJson(object))
      if (answers.as !== 'Table') return framed('BOOKMARK', partial(object))
      return framed('BOOKMARK', bookmarkTable(kind, object, tableOptions(answers.version, object)))
    },
    error: (error: ApiError): Frame => framed('ERROR', statusOf(error)),
  }
}

function asJson(object: KubeObject): JsonObject {
  return object as unknown as JsonObject
}
