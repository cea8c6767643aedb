// The Kubernetes API: one function from request to response, the same on every control peer, and the client that our own
// components use in the same process. Who asks is found here, once; reads come from this peer's replica, writes go to
// the leader (run-forward.ts).
import { verbsOf } from '../api/discovery.ts'
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { metricsGroup } from '../api/kinds/nodemetrics.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import { scale as scaleKind } from '../api/kinds/scale.ts'
import type { Json } from '../api/schema.ts'
import type { Client } from '../client/client.ts'
import { type Store, StoreError } from '../kv/store.ts'
import { onAbort, type Until } from '../lib/abort.ts'
import type { HttpRequest, HttpResponse, HttpsCaller, Identity } from '../world/http.ts'
import type { MeshStream, PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'
import { chain } from './admission/chain.ts'
import { openAdmission } from './admission/run.ts'
import { certificateSteps, type MaySign, signerAsked } from './admission/run-certificates.ts'
import { admitConnect } from './admission/run-connect.ts'
import { escalationHook } from './admission/run-escalation.ts'
import { eventRateHook } from './admission/run-eventratelimit.ts'
import { externalIpsHook } from './admission/run-externalips.ts'
import { lastSteps } from './admission/run-hooks.ts'
import { equivalentsIn } from './admission/run-webhooks.ts'
import {
  failure,
  json,
  offersOf,
  plain,
  respondAnswer,
  respondMade,
  respondObject,
  respondStored,
  viewOf,
  warningHeaders,
} from './answer.ts'
import { respondList } from './answer-list.ts'
import { type Attributes, createAsked, forbidden } from './authorize.ts'
import { checkSite } from './crosssite.ts'
import { noteDeprecation } from './custom.ts'
import { type Body, bodyBytesMax, decode, nameOfBody, unsupportedPatch, type YamlReader } from './decode.ts'
import { impersonation } from './impersonate.ts'
import { Limiter } from './limits.ts'
import type { Notes } from './notes.ts'
import { openApi } from './openapi-paths.ts'
import type { Operation } from './operation.ts'
import { checkListOptions, countOf, deleteBody, selectorsOf, writeQuery } from './options.ts'
import { discovery, discoveryAsked, discoveryIn, rootPaths, type Version, versionAnswer } from './paths.ts'
import { type Quorum, quorum } from './quorum.ts'
import { isTrue, methodNotAllowed, pathNotFound, type ResourceRoute, type Route, routeOf } from './route.ts'
import { type AggregateConfig, openAggregator } from './run-aggregate.ts'
import { type AuditConfig, auditIdOf, openAuditor, type Trail } from './run-audit.ts'
import { authenticate, openTokens, type ServiceAccountKeys, unauthorized, withReaders } from './run-auth.ts'
import { type Decided, openAuthorizer } from './run-authorize.ts'
import { makeDefaults } from './run-bootstrap.ts'
import { bootstrapTokens } from './run-bootstraptoken.ts'
import { breather } from './run-breather.ts'
import { openCatalog } from './run-catalog.ts'
import { type ClientOptions, openClient } from './run-client.ts'
import { convertersOf } from './run-conversion.ts'
import { openFairness } from './run-fairness.ts'
import { acceptForwarded, type ForwardContext, fromStore, write } from './run-forward.ts'
import { type MetricsContext, nodeProxy, readMetrics } from './run-metrics.ts'
import { type OidcConfig, oidcTokens } from './run-oidc.ts'
import { openPace } from './run-pace.ts'
import { socketOver } from './run-proxy.ts'
import { followRbac } from './run-rbac.ts'
import { get, list, reach } from './run-read.ts'
import { review } from './run-review.ts'
import { makeServiceCidr } from './run-servicecidr.ts'
import { type Kubelets, openForward, session } from './run-session.ts'
import { openNodeStats } from './run-stats.ts'
import { openTelemetry } from './run-telemetry.ts'
import { credentialIdOf, issuedCredentialKey, issueToken } from './run-token.ts'
import { watchResponse } from './run-watch-http.ts'
import { openWebhooks, type WebhookContext } from './run-webhook.ts'
import { serviceRange } from './services.ts'
import { checkSize } from './size.ts'
import { objectOf } from './stored.ts'
import { scaleOf, unanswered } from './subresource.ts'
import { makes } from './write.ts'

export type ApiserverConfig = {
  /** IPv4, '10.96.0.0/16'. */
  readonly serviceCidr: string
  readonly nodePortRange: { readonly from: number; readonly to: number }
  readonly version: Version
  readonly serviceAccountKeys: ServiceAccountKeys
  /** People who log in at an OpenID Connect provider; absent: nobody does. */
  readonly oidc?: OidcConfig & { readonly caller: HttpsCaller }
  /** Whose agent runs the pods of a node. */
  peerOfNode(name: string): PeerId | undefined
  /** A stream of protocol `kubelet` to that peer; for this peer itself a pipe to its own kubelet. */
  kubeletOf(peer: PeerId, signal: AbortSignal): Promise<MeshStream>
  /** What `kubectl get quorum` shows; absent: nobody is there to ask. */
  readonly quorum?: (signal: AbortSignal) => Promise<readonly Quorum[]>
  /** How API servers behind this one are reached, and what they see of it. */
  readonly aggregate?: AggregateConfig
  /** Where it is written down who did what; absent: nowhere. */
  readonly audit?: AuditConfig
  /** Reads long texts in YAML. */
  readonly readYaml: YamlReader
  /** How webhooks are called; absent: every call fails. */
  readonly caller?: HttpsCaller
  /** Further checks of /readyz, by name; a text says what is wrong. */
  readonly readiness?: Readonly<Record<string, () => string | undefined>>
}

export interface Apiserver {
  /** Never rejects. */
  handle(request: HttpRequest): Promise<HttpResponse>
  /** Trusted as `identity`: nothing that this client asks is refused for want of rights. */
  client(identity: Identity, options?: ClientOptions): Client
  /** Whether somebody may do something, by the rules that requests are held to. */
  may(identity: Identity, asked: Attributes): Promise<boolean>
  /** Makes what every cluster has: the four namespaces. For the leader, once per term; idempotent. */
  bootstrap(term: number, signal: AbortSignal): Promise<void>
  /** Resolves once the signal has ended everything. */
  readonly done: Promise<void>
}

const requestTimeoutMs = 60_000
const openPaths = new Set([
  '/healthz',
  '/livez',
  '/readyz',
  '/version',
  '/openid/v1/jwks',
  '/.well-known/openid-configuration',
])

export function openApiserver(world: World, store: Store, config: ApiserverConfig, signal: AbortSignal): Apiserver {
  serviceRange(config.serviceCidr)
  const services = { serviceCidr: config.serviceCidr, nodePortRange: config.nodePortRange }
  const roles = followRbac(world, store, signal)
  const authorizer = openAuthorizer(store, roles)
  const maySign: MaySign = async (identity, verb, name) =>
    (await authorizer.decide(identity, signerAsked(verb, name))).allowed
  const kubelets: Kubelets = { peerOfNode: config.peerOfNode, open: config.kubeletOf }
  const dialPod: WebhookContext['dialPod'] = async (pod, port, until) =>
    config.peerOfNode(pod.spec.nodeName ?? '') === undefined
      ? undefined
      : socketOver(await openForward(context, kubelets, pod, port, until))
  const webhooks = openWebhooks({ world, store, caller: config.caller, dialPod })
  const catalog = openCatalog(world, store, convertersOf({ world, webhooks }, signal), signal)
  const steps = [
    ...chain,
    { hook: eventRateHook(world) },
    { hook: externalIpsHook(authorizer) },
    ...certificateSteps(maySign),
    { hook: escalationHook(authorizer, roles) },
    ...lastSteps({
      world,
      store,
      webhooks,
      authorizer,
      kinds: () => catalog.kinds(),
      equivalents: kind => equivalentsIn(catalog.kinds(), kind),
    }),
  ]
  const pace = openPace(world.clock)
  const context: ForwardContext = { world, store, pace, services, catalog, admission: openAdmission(store, steps) }
  const { serviceAccountKeys: accountKeys, oidc } = config
  const tokens = withReaders(openTokens(world, store, accountKeys), accountKeys.audiences, [
    bootstrapTokens(world, store),
    ...(oidc === undefined ? [] : [oidcTokens(world, oidc, oidc.caller, signal)]),
  ])
  const auditor = config.audit && openAuditor(world, config.audit)
  const fairness = openFairness(world, store, signal)
  const telemetry = openTelemetry(world, store, () => catalog.kinds(), config.version)
  const limiter = new Limiter()
  const log = world.log.with({ component: 'apiserver' })
  const metrics: MetricsContext = { world, store, pace, stats: openNodeStats(world, kubelets, signal) }

  async function handle(request: HttpRequest): Promise<HttpResponse> {
    const trail = auditor?.begin(request)
    const noted: Record<string, string> = { 'audit-id': trail?.auditID ?? auditIdOf(request, world.random) }
    const response = withHeaders(await respond(trail?.request ?? request, trail, noted), noted)
    return trail === undefined ? response : await trail.answered(response)
  }

  /** `noted`: headers of whatever the answer comes to be. */
  async function respond(request: HttpRequest, trail: Trail | undefined, noted: Noted): Promise<HttpResponse> {
    try {
      return await answer(request, trail, noted)
    } catch (error) {
      if (error instanceof ApiError) return failure(error, request.headers['accept'])
      if (error instanceof StoreError) return failure(fromStore(error), request.headers['accept'])
      log.error('a request failed', { method: request.method, path: request.path, error: stackOf(error) })
      return failure(new ApiError('InternalError', 'an internal error; the log of this peer says which'))
    }
  }

  async function answer(request: HttpRequest, trail: Trail | undefined, noted: Noted): Promise<HttpResponse> {
    if (signal.aborted) throw new ApiError('ServiceUnavailable', 'this peer is stopping', { retryAfterSeconds: 1 })
    const { asked, query } = routeOf(request)
    if (asked.kind === 'path' && (asked.verb === 'get' || asked.verb === 'head')) {
      const open = openAnswer(asked.path, query)
      if (open !== undefined) return await open
    }
    const shown = authenticate(request, tokens)
    const known = shown instanceof Promise ? await shown : shown
    if (known === undefined) throw unauthorized()
    if (trail !== undefined) await trail.asked(asked, known)
    checkSite(request)
    const other = impersonation(request.headers)
    if (other !== undefined) {
      for (const need of other.needs) await demand(known, need)
      trail?.speaksFor(other.identity)
    }
    const identity = other?.identity ?? known
    const attributes: Attributes =
      asked.kind === 'path'
        ? asked
        : {
            kind: 'resource',
            verb: asked.verb,
            group: asked.group,
            resource: asked.resource,
            subresource: asked.subresource ?? '',
            // The rights over a namespace's own object are asked for in that namespace, as upstream.
            namespace: asked.namespace ?? (asked.resource === 'namespaces' ? (asked.name ?? '') : ''),
            name: asked.name ?? '',
            fieldSelector: query.get('fieldSelector') ?? '',
          }
    // What is known already is not waited for: each wait costs a request more than most of what it waits for.
    const entered = isLong(asked) ? undefined : fairness.enter(identity, attributes, request)
    using seat = entered instanceof Promise ? await entered : entered
    Object.assign(noted, seat?.headers)
    const demanded = demand(identity, attributes, trail)
    if (demanded !== undefined) await demanded
    const claimed = aggregator.claim(asked)
    const claim = claimed instanceof Promise ? await claimed : claimed
    if (claim !== undefined) {
      const watches = asked.kind === 'resource' && asked.verb === 'watch'
      const place = limiter.enter(watches ? 'watch' : 'session', identity.user)
      return await aggregator.proxy(claim, request, identity, place)
    }
    if (asked.kind === 'resource') return await resource(request, asked, query, identity, notesOf(trail, noted))
    if (asked.verb !== 'get' && asked.verb !== 'head') throw notAllowed()
    return pathAnswer(asked.path, request)
  }

  /** Throws Forbidden, at once or later. */
  function demand(identity: Identity, attributes: Attributes, trail?: Trail): void | Promise<void> {
    const heed = ({ allowed, why }: Decided) => {
      trail?.decided(allowed, why)
      if (!allowed) throw forbidden(identity, attributes, why)
    }
    const decided = authorizer.decide(identity, attributes)
    return decided instanceof Promise ? decided.then(heed) : heed(decided)
  }

  function pathAnswer(path: string, request: HttpRequest): HttpResponse {
    if (path === '/metrics') return telemetry.answer()
    if (path === '/') return json(200, rootPaths(catalog.kinds()))
    const { accept } = request.headers
    const { gitVersion } = config.version
    const wanted = discoveryAsked(path, accept)
    const told = wanted && aggregator.discovery(path, wanted.accept, (...asked) => discovery(catalog.kinds(), ...asked))
    const hash = new URLSearchParams(request.query).get('hash') ?? ''
    const document = { path, accept, hash, nowMs: world.clock.nowMs() }
    const found =
      wanted && told
        ? discoveryIn(wanted.media, told)
        : aggregator.openApi(document, asked => openApi(catalog.kinds(), asked, gitVersion))
    if (found === undefined) throw new ApiError('NotFound', pathNotFound)
    const etag = found.kind === 'whole' ? found.headers['etag'] : undefined
    if (
      found.kind === 'whole' &&
      etag !== undefined &&
      (request.headers['if-none-match'] ?? '').split(/, */).includes(etag)
    ) {
      const { 'content-type': _, ...headers } = found.headers
      return { kind: 'whole', code: 304, headers, body: '' }
    }
    return found
  }

  /** What also those get who have not said who they are. */
  function openAnswer(path: string, query: URLSearchParams): HttpResponse | Promise<HttpResponse> | undefined {
    const [, root = '', check] = path.split('/')
    if (['healthz', 'livez', 'readyz'].includes(root)) return health(root, check, isTrue(query.get('verbose')))
    if (!openPaths.has(path)) return undefined
    if (path === '/version') return json(200, versionAnswer(config.version))
    if (path === '/openid/v1/jwks') {
      return tokens.jwks().then(keys => json(200, keys, { 'content-type': 'application/jwk-set+json' }))
    }
    return tokens.jwks().then(({ keys }) =>
      json(200, {
        issuer: tokens.issuer,
        jwks_uri: `${tokens.issuer}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [...new Set(keys.map(({ alg }) => alg))].toSorted(),
      }),
    )
  }

  function health(root: string, only: string | undefined, verbose: boolean): HttpResponse {
    const checks: Record<string, () => string | undefined> = {
      ping: () => undefined,
      ...(root === 'readyz' && {
        leader: () => (store.status().leader === undefined ? 'no leader is known' : undefined),
        shutdown: () => (signal.aborted ? 'this peer is stopping' : undefined),
        ...config.readiness,
      }),
    }
    const names = only === undefined ? Object.keys(checks) : Object.keys(checks).filter(name => name === only)
    if (only !== undefined && names.length === 0) return plain(404, 'there is no such check\n')
    const results = names.map(name => ({ name, wrong: checks[name]?.() }))
    const failed = results.some(({ wrong }) => wrong !== undefined)
    if (!failed && !verbose) return plain(200, 'ok')
    const lines = results.map(({ name, wrong }) =>
      wrong === undefined ? `[+]${name} ok` : `[-]${name} failed: ${wrong}`,
    )
    return plain(failed ? 503 : 200, `${lines.join('\n')}\n${root} check ${failed ? 'failed' : 'passed'}\n`)
  }

  async function resource(
    request: HttpRequest,
    asked: ResourceRoute,
    query: URLSearchParams,
    identity: Identity,
    notes: Notes,
  ) {
    const found = catalog.find(asked, request)
    const kind = found instanceof Promise ? await found : found
    noteDeprecation(kind, notes)
    const deeper = asked.rest !== undefined && asked.subresource !== 'proxy'
    if (deeper || (kind.scope === 'Cluster' && asked.namespace !== undefined)) {
      throw new ApiError('NotFound', pathNotFound)
    }
    // A name without a namespace names nothing; a list over all namespaces is fine.
    const alone = kind.stored && kind.scope === 'Namespaced' && asked.namespace === undefined
    if (alone && (asked.name !== undefined || asked.verb === 'create' || asked.verb === 'deletecollection')) {
      throw notAllowed()
    }
    let wanted = { asked, query }
    if (asked.subresource !== undefined) {
      wanted = await admitConnect({ ...context, notes }, kind, wanted, identity, request.signal)
      const live = await session(context, kubelets, wanted.asked, wanted.query, request, limiter, identity)
      if (live !== undefined) return live
    }
    if (asked.verb === 'watch') {
      requireStored(kind)
      const place = limiter.enter('watch', identity.user)
      return watchResponse(
        context,
        kind,
        asked,
        query,
        viewOf(request.headers, query, world.clock.nowMs(), offersOf(kind, true)),
        request,
        place,
        catalog.ended(kind) ?? signal,
      )
    }
    const reads = asked.verb === 'get' || asked.verb === 'list'
    // Of the replica: whatever is waited for there has its own, shorter limit.
    if (reads && kind.stored && kind.custom === undefined && asked.subresource === undefined)
      return await readResource(kind, wanted.asked, query, request, request)
    using deadline = world.clock.deadline(requestTimeoutMs, request.signal)
    try {
      if (reads) return await readResource(kind, wanted.asked, query, request, deadline)
      return await writeResource(kind, asked, query, request, identity, notes, deadline.signal)
    } catch (error) {
      if (error instanceof ApiError || !deadline.signal.aborted) throw error
      throw new ApiError('Timeout', 'the request did not complete within its time', undefined, { cause: error })
    }
  }

  async function readResource(
    kind: Kind,
    asked: ResourceRoute,
    query: URLSearchParams,
    request: HttpRequest,
    until: Until,
  ): Promise<HttpResponse> {
    if (asked.subresource === 'proxy') {
      const proxied = await nodeProxy(metrics, asked, until.signal)
      if (proxied !== undefined) return proxied
    }
    const view = viewOf(request.headers, query, world.clock.nowMs(), offersOf(kind))
    if (kind.group === metricsGroup)
      return await readMetrics(metrics, kind, asked, selectorsOf(query), view, until.signal)
    if (kind.readOnly) {
      // Of the parts that have a ComponentStatus in Kubernetes, none is one here.
      const made = kind === quorum ? ((await config.quorum?.(until.signal)) ?? []) : []
      return respondMade(kind, made, asked.name, store.revision(), view)
    }
    requireStored(kind)
    const resourceVersion = query.get('resourceVersion') ?? ''
    if (asked.verb === 'list') {
      checkListOptions(query, false)
      const selectors = selectorsOf(query)
      const wanted = {
        limit: countOf(query, 'limit'),
        continue: query.get('continue') ?? '',
        resourceVersion,
        resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
      }
      return respondList(kind, await list(context, kind, asked.namespace, selectors, wanted, until), view, pace)
    }
    const stored = await get(context, kind, asked.namespace, asked.name ?? '', resourceVersion, until)
    const { subresource } = asked
    if (subresource === 'scale' && kind.subresources.includes('scale')) {
      return respondObject(scaleKind, 200, scaleOf(objectOf(stored), kind.custom?.scale) as unknown as Json, view)
    }
    const readable = ['status', 'ephemeralcontainers', 'resize']
    const known =
      subresource === undefined ||
      kind.subresources.includes(subresource) ||
      (kind === podKind && readable.includes(subresource))
    if (!known) throw unanswered(kind, subresource)
    return respondStored(kind, stored, view)
  }

  async function writeResource(
    kind: Kind,
    asked: ResourceRoute,
    query: URLSearchParams,
    request: HttpRequest,
    identity: Identity,
    notes: Notes,
    until: AbortSignal,
  ): Promise<HttpResponse> {
    if (kind.readOnly) throw notAllowed()
    if (asked.verb === 'deletecollection' && !verbsOf(kind).includes(asked.verb)) throw notAllowed()
    const view = viewOf(request.headers, query, world.clock.nowMs(), offersOf(kind))
    const options = writeQuery(query, request.headers, asked.verb)
    const bytes = await request.body(bodyBytesMax)
    if (bytes === undefined) {
      throw new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${bodyBytesMax}`)
    }
    checkSize(asked.verb, bytes)
    const breathe = breather(world.clock)
    const deletes = asked.verb === 'delete' || asked.verb === 'deletecollection'
    const type = request.headers['content-type']
    const read =
      deletes && bytes.length === 0
        ? { value: null, duplicates: new Map() }
        : decode(bytes, type, options.fieldValidation)
    const body: Body = 'yaml' in read ? { ...read, ...(await config.readYaml(read.yaml, until)) } : read
    if ((asked.verb === 'patch') !== (body.patch !== undefined)) throw unsupportedPatch()
    const breath = breathe()
    if (breath !== undefined) await breath

    if (asked.verb === 'create' && !kind.stored && kind.kind !== 'Binding') {
      return respondObject(kind, 201, await review(kind, body, asked.namespace, identity, authorizer, tokens), view)
    }
    if (asked.verb === 'create' && kind.plural === 'serviceaccounts' && asked.subresource === 'token') {
      await reach(context, { kind: 'newest' }, { signal: until })
      const account = { namespace: asked.namespace ?? '', name: asked.name ?? '' }
      const issued = await issueToken(store, tokens, identity, account, body.value)
      notes.annotate({ key: issuedCredentialKey, value: credentialIdOf(issued) })
      return respondObject(kind, 201, issued, view)
    }
    // The old way to bind: POST /bindings with the pod's name in the body.
    const place: Pick<Operation, 'resource' | 'name' | 'subresource'> =
      kind.kind === 'Binding'
        ? { resource: podKind.plural, name: nameOfBody(kind, body.value), subresource: 'binding' }
        : {
            resource: asked.resource,
            ...(asked.name !== undefined && { name: asked.name }),
            ...(asked.subresource !== undefined && { subresource: asked.subresource }),
          }
    const deletion = deletes ? deleteBody(body.value, query) : undefined
    const mayCreate = (body.patch === 'apply' && asked.subresource === undefined) || makes(kind, asked)
    const creation = mayCreate ? await authorizer.decide(identity, createAsked(asked)) : undefined
    const { labelSelector, fieldSelector } = selectorsOf(query)
    const op: Operation = {
      verb: asked.verb as Operation['verb'],
      group: asked.group,
      version: asked.version,
      ...place,
      ...(asked.namespace !== undefined && { namespace: asked.namespace }),
      body: deletion?.options ?? body.value,
      duplicates: body.duplicates,
      ...(body.patch !== undefined && { patch: body.patch }),
      ...options,
      // apply must say who applies; a name made up from the program would own fields for ever.
      fieldManager: body.patch === 'apply' ? (query.get('fieldManager') ?? '') : options.fieldManager,
      dryRun: deletion?.dryRun ?? options.dryRun,
      ...(creation?.allowed === false && { createRefused: creation.why }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
      identity,
    }
    if (asked.verb === 'create' && asked.name !== undefined && asked.subresource === undefined) {
      throw notAllowed()
    }
    const done = await write(context, op, until, notes)
    roles.wrote(op.group, op.resource, done.revision)
    const shown = asked.subresource === 'scale' ? scaleKind : kind
    return respondAnswer(shown, done, view)
  }

  const forwarded = acceptForwarded(context)
  const done = new Promise<void>(resolve => {
    onAbort(signal, () => {
      forwarded[Symbol.dispose]()
      resolve()
    })
  })
  const posts: Parameters<typeof openClient>[3] = async (kind, key, subresource, body) =>
    kind.plural === 'serviceaccounts' && subresource === 'token'
      ? await tokens.issue(key.namespace ?? '', key.name, body)
      : undefined

  const itself: Identity = { user: 'system:apiserver', groups: ['system:masters'] }
  const aggregator = openAggregator(
    {
      world: { clock: world.clock, log },
      store,
      config: config.aggregate ?? {},
      kinds: () => catalog.kinds(),
      dialPod,
      client: openClient(context, itself, {}, posts),
    },
    signal,
  )

  return {
    handle: telemetry.measured(handle),
    may: async (identity, asked) => (await authorizer.decide(identity, asked)).allowed,
    client: (identity, options = {}) => openClient(context, identity, options, posts),
    async bootstrap(term, until) {
      const client = openClient(context, itself, { term }, posts)
      await makeDefaults(client, until)
      await makeServiceCidr(client, config.serviceCidr, world.clock.nowMs(), until)
      await aggregator.register(client, until)
    },
    done,
  }
}

type Noted = Record<string, string>

/** Warnings go into the header of whatever the answer comes to be. */
function notesOf(trail: Trail | undefined, noted: Noted): Notes {
  const said: string[] = []
  return {
    annotate: annotation => trail?.annotate(annotation),
    warn(text) {
      said.push(text)
      Object.assign(noted, warningHeaders(said))
    },
  }
}

function withHeaders(response: HttpResponse, noted: Readonly<Noted>): HttpResponse {
  if (response.kind !== 'whole' && response.kind !== 'stream') return response
  const { headers } = response
  const warning = [noted['warning'], headers['warning']].filter(text => text !== undefined).join(', ')
  return { ...response, headers: { ...headers, ...noted, ...(warning !== '' && { warning }) } }
}

/** What goes on for as long as somebody looks takes no seat: it is counted by limits.ts. */
function isLong(asked: Route): boolean {
  if (asked.kind === 'path') return false
  return asked.verb === 'watch' || ['attach', 'exec', 'log', 'portforward', 'proxy'].includes(asked.subresource ?? '')
}

function requireStored(kind: Kind): void {
  if (!kind.stored) throw notAllowed()
}

function notAllowed(): ApiError {
  return new ApiError('MethodNotAllowed', methodNotAllowed)
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
