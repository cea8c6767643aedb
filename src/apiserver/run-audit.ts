// Follows one request from its arrival to its answer and writes down what the policy wants (audit.ts). A request whose
// record cannot be written goes on; the log of this peer says so, at most once a minute.
import { isIP } from 'node:net'
import type { Json, JsonObject } from '../api/schema.ts'
import type { Bytes } from '../lib/bytes.ts'
import { text } from '../lib/bytes.ts'
import { goDuration } from '../lib/duration.ts'
import type { AuditLog } from '../world/audit.ts'
import type { HttpRequest, HttpResponse, Identity } from '../world/http.ts'
import type { World } from '../world/world.ts'
import {
  type AuditEvent,
  type Extent,
  extentOf,
  type Level,
  lineOf,
  type Policy,
  type Stage,
  type Subject,
} from './audit.ts'
import { decode } from './decode.ts'
import type { Annotation } from './notes.ts'
import type { Route } from './route.ts'

export type AuditConfig = { readonly log: AuditLog; readonly policy: Policy }

export interface Trail {
  readonly auditID: string
  /** The request to answer: what it carries is noted where the policy wants it. */
  readonly request: HttpRequest
  /** Who asks for what, before it is judged. */
  asked(route: Route, user: Identity | undefined): Promise<void>
  /** For whom it is carried out, when that is somebody else. */
  speaksFor(other: Identity): void
  decided(allowed: boolean, why: string): void
  /** What else is to be known of it. The first word on a key stays. */
  annotate(annotation: Annotation): void
  /** The answer to give: its end is noted. */
  answered(response: HttpResponse): Promise<HttpResponse>
}

export interface Auditor {
  begin(request: HttpRequest): Trail
}

/** How they showed who they are: without it nobody can tell a stolen token from a stolen key. */
export const methodAnnotation = 'flotilla.dev/authentication'

const nobody: Identity = { user: '', groups: [] }
const idLengthMax = 64
const userAgentLengthMax = 1_024
const complainMs = 60_000

export function openAuditor(world: Pick<World, 'clock' | 'random' | 'log'>, config: AuditConfig): Auditor {
  let complainedMs = Number.NEGATIVE_INFINITY

  async function append(line: string): Promise<void> {
    try {
      await config.log.append(line)
    } catch (error) {
      const now = world.clock.monotonicMs()
      if (now - complainedMs < complainMs) return
      complainedMs = now
      world.log.error('an audit event could not be written', { error: String(error) })
    }
  }

  return { begin: request => trailOf(world, config.policy, request, append) }
}

/** Every answer says by which ID its request is known, whether it is written down or not; a client may choose it. */
export function auditIdOf({ headers }: Pick<HttpRequest, 'headers'>, random: World['random']): string {
  const asked = headers['audit-id'] ?? ''
  return asked !== '' && asked.length <= idLengthMax ? asked : random.uuid()
}

/** In the order in which authentication looks. */
function methodOf({ certificate, headers }: HttpRequest): 'certificate' | 'token' | 'none' {
  if (certificate !== undefined) return 'certificate'
  return headers['authorization'] === undefined ? 'none' : 'token'
}

function trailOf(
  world: Pick<World, 'clock' | 'random'>,
  policy: Policy,
  given: HttpRequest,
  append: (line: string) => Promise<void>,
): Trail {
  const receivedAtMs = world.clock.nowMs()
  const auditID = auditIdOf(given, world.random)
  let route: Route | undefined
  let user = nobody
  let other: Identity | undefined
  let extent: Extent | undefined
  let sent: Bytes | undefined
  const annotations = new Map<string, Annotation>()
  const annotate = (annotation: Annotation) => {
    if (!annotations.has(annotation.key)) annotations.set(annotation.key, annotation)
  }
  annotate({ key: methodAnnotation, value: methodOf(given) })

  const request = new Followed(given, bytes => {
    sent = bytes
  })

  async function write(stage: Stage, answer: { code?: number; body?: Json } = {}): Promise<void> {
    if (extent === undefined || extent.level === 'None' || extent.omitStages.includes(stage)) return
    const { level } = extent
    const atMs = world.clock.nowMs()
    if (stage === 'ResponseComplete') noteLatency(atMs - receivedAtMs, annotate)
    const requestObject = sent === undefined ? undefined : parsed(sent, given.headers['content-type'])
    const about = named(aboutOf(route, given, user), requestObject)
    const failed = answer.code !== undefined && answer.code >= 400
    const userAgent = given.headers['user-agent']
    const line = lineOf(
      {
        level,
        auditID,
        stage,
        requestURI: given.query === '' ? given.path : `${given.path}?${given.query}`,
        verb: about.verb,
        user,
        ...(other && { impersonated: other }),
        sources: sourcesOf(given),
        ...(userAgent !== undefined && { userAgent: cut(userAgent) }),
        about,
        ...identityOf(about, requestObject),
        ...(route?.kind === 'resource' && { apiVersion: route.version }),
        ...(answer.code !== undefined && { code: answer.code }),
        ...(failed && { status: (answer.body ?? {}) as JsonObject }),
        ...(requestObject !== undefined && stage !== 'RequestReceived' && { requestObject }),
        ...(answer.body !== undefined && { responseObject: answer.body }),
        receivedAtMs,
        atMs,
        annotations: shownAt(level, annotations.values()),
      },
      extent.omitManagedFields,
    )
    await append(line)
  }

  async function begin(at: Route | undefined, who: Identity): Promise<void> {
    route = at
    user = who
    extent = extentOf(policy, aboutOf(at, given, who))
    await write('RequestReceived')
  }

  return {
    auditID,
    request,
    asked: (at, who) => begin(at, who ?? nobody),
    speaksFor(identity) {
      other = identity
    },
    decided(allowed, why) {
      annotate({ key: 'authorization.k8s.io/decision', value: allowed ? 'allow' : 'forbid' })
      annotate({ key: 'authorization.k8s.io/reason', value: why })
    },
    annotate,
    async answered(response) {
      // Refused before anybody knew what it asks for.
      if (extent === undefined) await begin(undefined, given.certificate ?? nobody)
      const ended = (code: number) => write('ResponseComplete', { code })
      switch (response.kind) {
        case 'whole': {
          const wanted = extent?.level === 'RequestResponse' || response.code >= 400
          const body = wanted ? answerOf(response) : undefined
          await write('ResponseComplete', { code: response.code, ...(body !== undefined && { body }) })
          return response
        }
        case 'stream':
          await write('ResponseStarted', { code: response.code })
          return { ...response, body: followed(response.body, () => ended(response.code)) }
        default: {
          // The connection becomes another: its end is known where we carry it.
          await write('ResponseStarted', { code: 101 })
          if (!('run' in response)) return response
          const run = async (...all: Parameters<typeof response.run>) => {
            try {
              await (response.run as (...given: readonly unknown[]) => Promise<void>)(...all)
            } finally {
              await ended(101)
            }
          }
          return { ...response, run } as HttpResponse
        }
      }
    },
  }
}

function cut(userAgent: string): string {
  return userAgent.length > userAgentLengthMax ? `${userAgent.slice(0, userAgentLengthMax)}...TRUNCATED` : userAgent
}

/** The addresses that proxies say they speak for can be made up; the last one, that of the connection, cannot. */
function sourcesOf({ headers, remote }: HttpRequest): readonly string[] {
  const named = (headers['x-forwarded-for'] ?? '').split(',').map(text => text.trim())
  const sources = named.filter(text => isIP(text) !== 0)
  const real = (headers['x-real-ip'] ?? '').trim()
  if (isIP(real) !== 0 && !sources.includes(real)) sources.push(real)
  return sources.at(-1) === remote ? sources : [...sources, remote]
}

const latencyNotedMs = 500

/** The same request, whose body is told when it is read. */
class Followed implements HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: HttpRequest['headers']
  readonly certificate: HttpRequest['certificate']
  readonly remote: string
  readonly upgrade: HttpRequest['upgrade']
  readonly #given: HttpRequest
  readonly #told: (bytes: Bytes | undefined) => void

  constructor(given: HttpRequest, told: (bytes: Bytes | undefined) => void) {
    this.method = given.method
    this.path = given.path
    this.query = given.query
    this.headers = given.headers
    this.certificate = given.certificate
    this.remote = given.remote
    this.upgrade = given.upgrade
    this.#given = given
    this.#told = told
  }

  async body(bytesMax: number): Promise<Bytes | undefined> {
    const bytes = await this.#given.body(bytesMax)
    this.#told(bytes)
    return bytes
  }

  get signal(): AbortSignal {
    return this.#given.signal
  }
}

/** As upstream: of a request that took long. */
function noteLatency(ms: number, annotate: (annotation: Annotation) => void): void {
  if (ms <= latencyNotedMs) return
  annotate({ key: 'apiserver.latency.k8s.io/total', value: ms < 1_000 ? `${ms}ms` : goDuration(ms) })
}

function shownAt(level: Level, annotations: Iterable<Annotation>): Readonly<Record<string, string>> {
  const shown = [...annotations].filter(({ ofBody }) => ofBody !== true || level !== 'Metadata')
  return Object.fromEntries(shown.map(({ key, value }) => [key, value]))
}

async function* followed<T>(body: AsyncIterable<T>, end: () => Promise<void>): AsyncGenerator<T> {
  try {
    yield* body
  } finally {
    await end()
  }
}

function aboutOf(route: Route | undefined, request: HttpRequest, user: Identity): Subject {
  if (route === undefined) return { kind: 'path', user, verb: request.method.toLowerCase(), path: request.path }
  if (route.kind === 'path') return { ...route, user }
  const { verb, group, resource, subresource = '', namespace = '', name = '' } = route
  return { kind: 'resource', user, verb, group, resource, subresource, namespace, name }
}

/** What is made says its name itself. */
function named(about: Subject, body: Json | undefined): Subject {
  if (about.kind !== 'resource' || about.name !== '' || about.verb !== 'create') return about
  const { metadata } = (body ?? {}) as { readonly metadata?: { readonly name?: Json } }
  return typeof metadata?.name === 'string' ? { ...about, name: metadata.name } : about
}

function identityOf(about: Subject, body: Json | undefined): Pick<AuditEvent, 'uid' | 'resourceVersion'> {
  if (about.verb !== 'create' && about.verb !== 'update') return {}
  const { metadata } = (body ?? {}) as { readonly metadata?: { readonly uid?: Json; readonly resourceVersion?: Json } }
  const { uid, resourceVersion } = metadata ?? {}
  return {
    ...(typeof uid === 'string' && { uid }),
    ...(typeof resourceVersion === 'string' && { resourceVersion }),
  }
}

/** undefined: nothing that could be shown, or a long text in YAML. What is no object has been refused already. */
function parsed(bytes: Bytes, type: string | undefined): Json | undefined {
  if (bytes.length === 0) return undefined
  try {
    const read = decode(bytes, type, 'Ignore')
    return 'yaml' in read ? undefined : read.value
  } catch {
    return undefined
  }
}

function answerOf({ headers, body }: Extract<HttpResponse, { kind: 'whole' }>): Json | undefined {
  const type = headers['content-type'] ?? ''
  if (headers['content-encoding'] !== undefined) return undefined
  try {
    if (type.startsWith('application/json')) return JSON.parse(typeof body === 'string' ? body : text(body)) as Json
    return typeof body === 'string' ? undefined : parsed(body, type)
  } catch {
    return undefined
  }
}
