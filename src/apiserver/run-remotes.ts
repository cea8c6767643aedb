// What the servers behind this one say of themselves: asked when their APIService, Service or endpoints change and from time to
// time, kept while they are silent, and shown with what this server says of itself.
import { ApiError } from '../api/error.ts'
import { type ApiService, apiService } from '../api/kinds/apiservice.ts'
import { encodeOpenApiV2 } from '../api/openapi-v2.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import { text } from '../lib/bytes.ts'
import type { HttpResponse } from '../world/http.ts'
import { type Claim, type Place, passed, proxyHeaders, sameWay, type Verdict, withVerdict } from './aggregate.ts'
import { mergedAggregated, mergedGroup, mergedGroupList, type Remote } from './aggregate-discovery.ts'
import { mergedV2 } from './aggregate-openapi.ts'
import { json } from './answer.ts'
import { answerV3, type DocumentAsked, type DocumentV3, indexV3, urlOfV3 } from './openapi-paths.ts'
import { etagOf } from './paths.ts'
import { pathNotFound } from './route.ts'
import type { AggregateContext } from './run-aggregate.ts'
import { type Dial, type FrontProxy, openUpstream, type Upstream } from './run-upstream.ts'
import { keyOf, objectOf } from './stored.ts'

/** How often it is looked whether a Service leads elsewhere now. Only while somebody else answers for anything. */
const lookMs = 1_000
const askAgainMs = 30_000
const askAgainAfterFailureMs = 5_000
const askTimeoutMs = 5_000
const documentBytesMax = 32 * 1024 * 1024

/** Gives what this server itself would answer; throws NotFound, or gives undefined, where it has nothing. */
type Own = (path: string, accept: string | undefined) => HttpResponse | undefined
type OwnDocument = (asked: DocumentAsked) => HttpResponse | undefined

export interface Remotes {
  /** From now on these are all. */
  follow(claims: readonly Claim[]): void
  upstream(claim: Claim): Upstream
  /** What `own` gives, with what the others said. */
  discovery(path: string, accept: string | undefined, own: Own): HttpResponse | undefined
  openApi(asked: DocumentAsked, own: OwnDocument): HttpResponse | undefined
}

type Entry = {
  claim: Claim
  readonly upstream: Upstream
  resources: readonly JsonObject[] | undefined
  current: boolean
  v3: (DocumentV3 & { readonly url: string }) | undefined
  v2: { readonly etag: string; readonly document: JsonObject } | undefined
  /** Where it was when it was last asked. */
  place: string
  dueMs: number
}

type Ways = {
  readonly dial: Dial
  place(claim: Claim): Promise<Place>
  frontProxy(signal: AbortSignal): Promise<FrontProxy | undefined>
}

export function openRemotes(context: AggregateContext, ways: Ways, signal: AbortSignal): Remotes {
  const { world, store, client } = context
  const { clock } = world
  const entries = new Map<string, Entry>()
  let running = false

  function follow(claims: readonly Claim[]): void {
    const names = new Set(claims.map(({ name }) => name))
    for (const [name, entry] of entries) {
      if (names.has(name)) continue
      entry.upstream.close()
      entries.delete(name)
    }
    for (const claim of claims) {
      const old = entries.get(claim.name)
      if (old && sameWay(old.claim, claim)) {
        old.claim = claim
        continue
      }
      old?.upstream.close()
      const upstream = openUpstream(clock, claim, ways.dial, ways.frontProxy, signal)
      const nothing = { resources: undefined, current: false, v3: undefined, v2: undefined }
      entries.set(claim.name, { claim, upstream, ...nothing, place: '', dueMs: 0 })
    }
    if (!running && entries.size > 0) void run()
  }

  async function run(): Promise<void> {
    running = true
    while (!signal.aborted && entries.size > 0) {
      await Promise.all([...entries.values()].map(entry => attend(entry)))
      await clock.sleep(lookMs, signal)
    }
    running = false
  }

  async function attend(entry: Entry): Promise<void> {
    const { claim } = entry
    try {
      const place = await ways.place(claim)
      const where = JSON.stringify(place)
      if (where === entry.place && clock.monotonicMs() < entry.dueMs) return
      entry.place = where
      const verdict = place.kind === 'found' ? await ask(entry, place) : missing(place)
      // Another way has been named meanwhile.
      if (entries.get(claim.name) !== entry) return
      entry.current = verdict.status === 'True'
      entry.dueMs = clock.monotonicMs() + (entry.current ? askAgainMs : askAgainAfterFailureMs)
      await note(claim, verdict)
    } catch (error) {
      entry.dueMs = clock.monotonicMs() + askAgainAfterFailureMs
      if (!signal.aborted) {
        world.log.debug('what an APIService is to say was not written yet', { name: claim.name, error: String(error) })
      }
    }
  }

  /** Whether it answers, and all that it says of itself. */
  async function ask(entry: Entry, { endpoints }: Extract<Place, { kind: 'found' }>): Promise<Verdict> {
    const { group, version } = entry.claim
    const path = `/apis/${group}/${version}`
    const [first] = endpoints
    const url = `https://${first?.address ?? ''}:${first?.port ?? 0}${path}`
    const failed = (why: string): Verdict => ({
      status: 'False',
      reason: 'FailedDiscoveryCheck',
      message: `failing or missing response from ${url}: ${why}`,
    })
    try {
      const { code, body } = await readText(entry, path)
      if (code < 200 || code > 299) return failed(`bad status from ${url}: ${code}`)
      entry.resources = resourcesIn(JSON.parse(body) as Json)
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error))
    }
    await Promise.all([readV3(entry), readV2(entry)]).catch(error => {
      // Without its schemas a server is as good as before; what it said earlier stands.
      world.log.debug('the schemas of another server were not read', { group, version, error: String(error) })
    })
    return passed
  }

  async function readV3(entry: Entry): Promise<void> {
    const { group, version } = entry.claim
    const index = await readText(entry, '/openapi/v3')
    if (index.code !== 200) return
    const { paths = {} } = JSON.parse(index.body) as { paths?: Record<string, { serverRelativeURL?: string }> }
    const url = paths[`apis/${group}/${version}`]?.serverRelativeURL
    if (url === undefined || !url.startsWith('/') || url === entry.v3?.url) return
    const { code, body } = await readText(entry, url)
    if (code === 200) entry.v3 = { url, text: JSON.stringify(JSON.parse(body)), etag: etagOf(body) }
  }

  async function readV2(entry: Entry): Promise<void> {
    const { code, body } = await readText(entry, '/openapi/v2')
    if (code !== 200) return
    const etag = etagOf(body)
    if (entry.v2?.etag === etag) return
    const document = JSON.parse(body) as JsonObject
    // One that cannot be shown throws here, and does not take the others along.
    encodeOpenApiV2(mergedV2(emptyV2, [{ ...entry.claim, document }]))
    entry.v2 = { etag, document }
  }

  async function readText(entry: Entry, path: string): Promise<{ readonly code: number; readonly body: string }> {
    using deadline = clock.deadline(askTimeoutMs, signal)
    // Of this group, everything may be read, whatever the other server makes of rights.
    const asker = { user: 'system:kube-aggregator', groups: ['system:masters'] }
    const headers = proxyHeaders({ accept: 'application/json', 'user-agent': 'flotilla' }, asker, '127.0.0.1')
    const response = await entry.upstream.send(
      { method: 'GET', path, headers, body: new Uint8Array() },
      deadline.signal,
    )
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of response) {
      length += (chunk as Buffer).length
      if (length > documentBytesMax) throw new Error(`the answer is longer than ${documentBytesMax} bytes`)
      chunks.push(chunk as Buffer)
    }
    return { code: response.statusCode ?? 0, body: text(Buffer.concat(chunks)) }
  }

  /** The one that leads writes it down; all find it out. */
  async function note(claim: Claim, verdict: Verdict): Promise<void> {
    if (store.status().role !== 'leader') return
    const found = await store.get(keyOf(apiService, undefined, claim.name))
    const next = found && withVerdict(objectOf<ApiService>(found), verdict, clock.nowMs())
    if (next === undefined) return
    using deadline = clock.deadline(askTimeoutMs, signal)
    await client.updateStatus(apiService, next, deadline.signal)
  }

  const remotes = (): readonly Remote[] =>
    [...entries.values()].map(({ claim, resources, current }) => {
      const { group, version, priority } = claim
      return { group, version, priority, resources, current }
    })

  function discovery(path: string, accept: string | undefined, own: Own): HttpResponse | undefined {
    const others = remotes()
    const [, root, group = '', ...rest] = path.split('/')
    const ofGroup = root === 'apis' && rest.length === 0
    if (others.length === 0 || !ofGroup) return own(path, accept)
    if (group !== '') {
      if (!others.some(remote => remote.group === group)) return own(path, accept)
      return json(200, mergedGroup(objectIn(orNothing(own, path, accept)), group, others) ?? {})
    }
    const answer = own(path, accept)
    const mine = objectIn(answer)
    if (answer?.kind !== 'whole' || mine === undefined) return answer
    if (mine['kind'] === 'APIGroupList') return json(200, mergedGroupList(mine, others))
    const body = JSON.stringify(mergedAggregated(mine, others))
    return json(answer.code, body, { ...answer.headers, etag: etagOf(body) })
  }

  let merged: { readonly of: string; readonly document: JsonObject; readonly etag: string } | undefined

  function openApi(asked: DocumentAsked, own: OwnDocument): HttpResponse | undefined {
    const { path } = asked
    if (entries.size === 0 || !path.startsWith('/openapi/')) return own(asked)
    const others = [...entries.values()]
    const nameOf = ({ group, version }: Claim) => `apis/${group}/${version}`
    if (path === '/openapi/v3') {
      const mine = objectIn(own(asked)) ?? {}
      const theirs = others.map(({ claim, v3 }): [string, Json | undefined] => {
        const name = nameOf(claim)
        return [name, v3 && { serverRelativeURL: urlOfV3(name, v3) }]
      })
      const paths = { ...(mine['paths'] as JsonObject), ...Object.fromEntries(theirs) }
      return indexV3(JSON.parse(JSON.stringify(paths)) as JsonObject)
    }
    const theirs = others.find(({ claim }) => path === `/openapi/v3/${nameOf(claim)}`)
    if (theirs !== undefined) {
      if (theirs.v3 === undefined) throw new ApiError('NotFound', pathNotFound)
      return answerV3(nameOf(theirs.claim), theirs.v3, asked)
    }
    if (path !== '/openapi/v2') return own(asked)
    // What is taken, and whether anything can be, our own document decides.
    const answer = own(asked)
    const plain = own({ ...asked, accept: 'application/json' })
    if (answer?.kind !== 'whole' || plain?.kind !== 'whole') return answer
    const of = [plain.headers['etag'], ...others.map(({ v2 }) => v2?.etag)].join()
    if (merged?.of !== of) {
      const documents = others.flatMap(({ claim, v2 }) => (v2 ? [{ ...claim, document: v2.document }] : []))
      const document = mergedV2(JSON.parse(String(plain.body)) as JsonObject, documents)
      merged = { of, document, etag: etagOf(of) }
    }
    const type = answer.headers['content-type'] ?? ''
    if (type === 'application/json') return json(200, merged.document, { etag: merged.etag })
    const etag = `${merged.etag.slice(0, -1)}-pb"`
    return { kind: 'whole', code: 200, headers: { 'content-type': type, etag }, body: encodeOpenApiV2(merged.document) }
  }

  return {
    follow,
    upstream(claim) {
      const entry = entries.get(claim.name)
      if (entry === undefined) throw new ApiError('NotFound', pathNotFound)
      return entry.upstream
    },
    discovery,
    openApi,
  }
}

const emptyV2: JsonObject = { swagger: '2.0', info: { title: '', version: '' }, paths: {}, definitions: {} }

/** Of an APIResourceList; what is no resource is left out. */
function resourcesIn(list: Json): readonly JsonObject[] {
  const { resources } = (list ?? {}) as { readonly resources?: Json }
  if (!Array.isArray(resources)) return []
  return (resources as readonly Json[]).filter(
    (one): one is JsonObject =>
      typeof one === 'object' && one !== null && typeof (one as JsonObject)['name'] === 'string',
  )
}

function missing({ reason, message }: Extract<Place, { kind: 'missing' }>): Verdict {
  return { status: 'False', reason, message }
}

/** The document that an answer of ours carries. */
function objectIn(answer: HttpResponse | undefined): JsonObject | undefined {
  return answer?.kind === 'whole' ? (JSON.parse(String(answer.body)) as JsonObject) : undefined
}

function orNothing(own: Own, path: string, accept: string | undefined): HttpResponse | undefined {
  try {
    return own(path, accept)
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'NotFound') return undefined
    throw error
  }
}
