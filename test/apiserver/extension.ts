// An API server behind the API server, as the sample API server of Kubernetes is: it serves `flunders` of wardle.example.com over
// HTTPS, believes a front proxy by its certificate and everybody else by TokenReview, and asks by SubjectAccessReview who may.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Issued } from '../../src/drivers/pki.ts'

export const group = 'wardle.example.com'
export const version = 'v1alpha1'
const root = `/apis/${group}/${version}`

export type Main = { readonly port: number; readonly ca: string; readonly cert: string; readonly key: string }
export type Seen = {
  readonly method: string
  readonly url: string
  readonly user: string
  readonly groups: readonly string[]
  readonly headers: IncomingMessage['headers']
}

type Flunder = {
  metadata: {
    name: string
    namespace: string
    resourceVersion: string
    uid: string
    creationTimestamp: string
    [key: string]: unknown
  }
  [key: string]: unknown
}
type Who = { readonly user: string; readonly groups: readonly string[] }

export type Extension = {
  readonly port: number
  /** The requests that came in, with whom they were taken to come from. */
  readonly seen: Seen[]
  /** What it answers to everything, instead of serving; undefined: it serves. */
  broken: number | undefined
  /** A further resource in its discovery. */
  more: boolean
  /** Its discovery and its schemas hold what they should not. */
  odd: boolean
  stop(): Promise<void>
}

/** `requestHeaderCa` is whose certificates a front proxy shows; `main` gives what is needed to ask the main server back. */
export async function extensionServer(serving: Issued, requestHeaderCa: string, main: () => Main): Promise<Extension> {
  const flunders = new Map<string, Flunder>()
  const watchers = new Set<(type: string, object: Flunder) => void>()
  const seen: Seen[] = []
  let revision = 100
  const state = { broken: undefined as number | undefined, more: false, odd: false }

  async function whoIs(request: IncomingMessage): Promise<Who | undefined> {
    const socket = request.socket as TLSSocket
    const proxied = socket.authorized && socket.getPeerCertificate().subject?.CN === 'front-proxy-client'
    const user = request.headers['x-remote-user']
    if (proxied && typeof user === 'string') {
      return {
        user: Buffer.from(user, 'latin1').toString('utf8'),
        groups: request.headersDistinct['x-remote-group'] ?? [],
      }
    }
    const [, token] = /^Bearer (.*)$/.exec(request.headers.authorization ?? '') ?? []
    if (token === undefined) return undefined
    const review = await askMain(main(), '/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token },
    })
    const { authenticated, user: found } = review.status
    return authenticated ? { user: found.username, groups: found.groups } : undefined
  }

  async function mayDo({ user, groups }: Who, verb: string, namespace: string, name: string): Promise<boolean> {
    if (groups.includes('system:masters')) return true
    const review = await askMain(main(), '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, groups, resourceAttributes: { verb, group, version, resource: 'flunders', namespace, name } },
    })
    return review.status.allowed
  }

  function tell(type: string, object: Flunder): void {
    for (const watcher of watchers) watcher(type, object)
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://extension')
    const answer = (code: number, body: unknown) => {
      response.writeHead(code, { 'content-type': 'application/json', 'x-extension': 'yes' })
      response.end(`${JSON.stringify(body)}\n`)
    }
    const status = (code: number, reason: string, message: string) =>
      answer(code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, message, code })
    if (url.pathname.endsWith('/moved')) {
      response.writeHead(302, { location: 'https://169.254.169.254/latest' })
      return void response.end()
    }
    if (state.broken !== undefined) return status(state.broken, 'InternalError', 'broken')
    const who = await whoIs(request)
    seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      user: who?.user ?? '',
      groups: who?.groups ?? [],
      headers: request.headers,
    })
    if (who === undefined) return status(401, 'Unauthorized', 'Unauthorized')
    const documents: Record<string, unknown> = {
      [root]: state.odd
        ? { resources: [null, 7, { name: 1 }, { name: 'odd', kind: 'Odd' }] }
        : resourceList(state.more),
      '/openapi/v3': { paths: { [root.slice(1)]: { serverRelativeURL: `/openapi/v3${root}?hash=${state.more}` } } },
      [`/openapi/v3${root}`]: openApi3,
      '/openapi/v2': state.odd
        ? { paths: { [`${root}/odd`]: { get: { responses: { 200: { schema: { properties: 7, items: null } } } } } } }
        : openApi2,
    }
    const document = documents[url.pathname]
    if (document !== undefined) return answer(200, document)
    const [, namespace, resource, name] =
      new RegExp(`^${root}(?:/namespaces/([^/]+))?/(flunders)(?:/(.+))?$`).exec(url.pathname) ?? []
    if (resource === undefined) return status(404, 'NotFound', 'the server could not find the requested resource')
    const watching = url.searchParams.get('watch') === 'true' || url.searchParams.get('watch') === '1'
    const verb = watching
      ? 'watch'
      : request.method === 'GET'
        ? name === undefined
          ? 'list'
          : 'get'
        : request.method === 'POST'
          ? 'create'
          : 'delete'
    if (!(await mayDo(who, verb, namespace ?? '', name ?? ''))) {
      return status(403, 'Forbidden', `flunders.${group} is forbidden: User "${who.user}" cannot ${verb} it`)
    }
    const key = `${namespace}/${name}`
    const inScope = [...flunders.values()].filter(
      one => namespace === undefined || one.metadata.namespace === namespace,
    )
    switch (verb) {
      case 'watch': {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.flushHeaders()
        const watcher = (type: string, object: Flunder) => void response.write(`${JSON.stringify({ type, object })}\n`)
        watchers.add(watcher)
        response.on('close', () => watchers.delete(watcher))
        return
      }
      case 'list':
        return answer(200, {
          kind: 'FlunderList',
          apiVersion: `${group}/${version}`,
          metadata: { resourceVersion: String(revision) },
          items: inScope,
        })
      case 'create': {
        const object = JSON.parse(await bodyOf(request)) as Flunder
        const made = `${namespace}/${object.metadata.name}`
        if (flunders.has(made))
          return status(409, 'AlreadyExists', `flunders.${group} "${object.metadata.name}" already exists`)
        revision++
        const metadata = {
          ...object.metadata,
          namespace: namespace ?? '',
          uid: `uid-${revision}`,
          resourceVersion: String(revision),
          creationTimestamp: '2026-01-01T00:00:00Z',
        }
        const whole: Flunder = { ...object, metadata }
        flunders.set(made, whole)
        answer(201, whole)
        return tell('ADDED', whole)
      }
      default: {
        const found = flunders.get(key)
        if (found === undefined) return status(404, 'NotFound', `flunders.${group} "${name}" not found`)
        if (verb === 'get') return answer(200, found)
        flunders.delete(key)
        answer(200, {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Success',
          details: { name, group, kind: 'flunders', uid: found.metadata.uid },
        })
        tell('DELETED', found)
      }
    }
  }

  const server = createServer(
    {
      cert: serving.certificatePem,
      key: serving.keyPem,
      ca: requestHeaderCa,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      serve(request, response).catch(error => {
        response.writeHead(500)
        response.end(String(error))
      })
    },
  )
  // Says what comes back in capitals, after it has said who it is taken to be.
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => {})
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\nX-Extension: yes\r\n\r\n`,
    )
    socket.write(`${request.headers['x-remote-user']} ${request.headers.authorization ?? 'no token'}\n`)
    socket.on('data', bytes => socket.write(String(bytes).toUpperCase()))
    socket.on('end', () => socket.end())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(state, {
    port: (server.address() as AddressInfo).port,
    seen,
    async stop() {
      server.closeAllConnections()
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  })
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

type Review = { status: { authenticated: boolean; allowed: boolean; user: { username: string; groups: string[] } } }

function askMain(main: Main, path: string, body: unknown): Promise<Review> {
  const { port, ca, cert, key } = main
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      { host: '127.0.0.1', port, ca, cert, key, path, method: 'POST', headers: { 'content-type': 'application/json' } },
      response => bodyOf(response).then(text => resolve(JSON.parse(text) as Review), reject),
    )
    outgoing.on('error', reject)
    outgoing.end(JSON.stringify(body))
  })
}

const verbs = ['create', 'delete', 'get', 'list', 'watch']

function resourceList(more: boolean) {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${group}/${version}`,
    resources: [
      {
        name: 'flunders',
        singularName: 'flunder',
        namespaced: true,
        kind: 'Flunder',
        verbs,
        shortNames: ['fl'],
        categories: ['all'],
      },
      {
        name: 'flunders/status',
        singularName: '',
        namespaced: true,
        kind: 'Flunder',
        verbs: ['get', 'patch', 'update'],
      },
      ...(more ? [{ name: 'fischers', singularName: 'fischer', namespaced: false, kind: 'Fischer', verbs }] : []),
    ],
  }
}

const flunderName = 'io.k8s.sample-apiserver.pkg.apis.wardle.v1alpha1.Flunder'
const gvk = [{ group, version, kind: 'Flunder' }]
const flunderSchema = (reference: string) => ({
  type: 'object',
  description: 'Flunder is an example.',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { $ref: `${reference}/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta` },
    spec: { type: 'object', properties: { reference: { type: 'string', description: 'What it refers to.' } } },
  },
  'x-kubernetes-group-version-kind': gvk,
})

const openApi3 = {
  openapi: '3.0.0',
  info: { title: 'wardle', version: 'v0' },
  paths: {
    [`${root}/namespaces/{namespace}/flunders`]: {
      post: {
        parameters: [{ name: 'fieldValidation', in: 'query', schema: { type: 'string' } }],
        requestBody: { content: { '*/*': { schema: { $ref: `#/components/schemas/${flunderName}` } } } },
        responses: { 200: { description: 'OK' } },
        'x-kubernetes-action': 'post',
        'x-kubernetes-group-version-kind': gvk[0],
      },
    },
    [`${root}/namespaces/{namespace}/flunders/{name}`]: {
      patch: {
        parameters: [{ name: 'fieldValidation', in: 'query', schema: { type: 'string' } }],
        responses: { 200: { description: 'OK' } },
        'x-kubernetes-action': 'patch',
        'x-kubernetes-group-version-kind': gvk[0],
      },
    },
  },
  components: {
    schemas: {
      [flunderName]: flunderSchema('#/components/schemas'),
      'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta': { type: 'object' },
    },
  },
}

const openApi2 = {
  swagger: '2.0',
  info: { title: 'wardle', version: 'v0' },
  paths: {
    [`${root}/namespaces/{namespace}/flunders`]: {
      parameters: [{ $ref: '#/parameters/namespace-vgWSWtn3' }],
      post: {
        consumes: ['*/*'],
        produces: ['application/json'],
        parameters: [{ name: 'body', in: 'body', required: true, schema: { $ref: `#/definitions/${flunderName}` } }],
        responses: {
          200: { description: 'OK', schema: { $ref: `#/definitions/${flunderName}` } },
          401: { description: 'Unauthorized' },
        },
        'x-kubernetes-action': 'post',
        'x-kubernetes-group-version-kind': gvk[0],
      },
    },
    '/apis/other.example.com/v1/things': { get: { responses: {} } },
  },
  parameters: {
    'namespace-vgWSWtn3': { name: 'namespace', in: 'path', required: true, type: 'string', uniqueItems: true },
  },
  definitions: {
    [flunderName]: flunderSchema('#/definitions'),
    'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta': { type: 'object', description: 'another one' },
    Unused: { type: 'object' },
  },
}
