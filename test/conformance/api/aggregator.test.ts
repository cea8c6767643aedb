// Aggregation: a real API server behind ours, reached through the endpoints of its Service.
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiService } from '../../../src/api/kinds/apiservice.ts'
import { configMap } from '../../../src/api/kinds/configmap.ts'
import { endpointSlice } from '../../../src/api/kinds/endpointslice.ts'
import { namespace } from '../../../src/api/kinds/namespace.ts'
import { pod as podKind } from '../../../src/api/kinds/pod.ts'
import { service } from '../../../src/api/kinds/service.ts'
import type { JsonObject } from '../../../src/api/schema.ts'
import { claimOf, placeOf } from '../../../src/apiserver/aggregate.ts'
import { frontProxyUser } from '../../../src/apiserver/run-register.ts'
import { issueClient, issueServing, makeAuthority } from '../../../src/drivers/pki.ts'
import { peerId } from '../../../src/world/network.ts'
import { customApi, definition, definitionUrl } from '../../apiserver/definitions.ts'
import { type Extension, extensionServer, group, version } from '../../apiserver/extension.ts'
import { fakeKubelet } from '../../apiserver/fake-kubelet.ts'
import { installed, Kubectl } from '../../apiserver/kubectl.ts'
import { servedApiserver } from '../../apiserver/served.ts'
import { type Ask, request } from '../../apiserver/setup.ts'

const { signal } = new AbortController()
const name = `${version}.${group}`
const root = `/apis/${group}/${version}`
/** Of a range for documentation: nobody has it, so a connection that ends somewhere went where it was led. */
const address = '192.0.2.10'

let api: Awaited<ReturnType<typeof servedApiserver>>
let extension: Extension
let caBundle: string
const kubelet = fakeKubelet()

beforeAll(async () => {
  const now = Date.now()
  const serving = await makeAuthority('extension-ca', now)
  const front = await makeAuthority('front-proxy-ca', now)
  const shown = await issueClient(front, { user: frontProxyUser, groups: [] }, now)
  const names = { nodeName: 'flunders', hosts: ['flunders.wardle.svc'], serviceIp: '127.0.0.1' }
  caBundle = Buffer.from(serving.certificatePem).toString('base64')
  extension = await extensionServer(await issueServing(serving, names, now), front.certificatePem, () => ({
    port: api.port,
    ca: api.certs.ca,
    ...api.admin,
  }))
  api = await servedApiserver({
    peerOfNode: peerId,
    kubeletOf: () => kubelet.open(),
    aggregate: {
      clientCaPem: serving.certificatePem,
      frontProxy: async () => ({ caPem: front.certificatePem, certPem: shown.certificatePem, keyPem: shown.keyPem }),
      dial: async (to, port) => {
        if (to !== address) throw new Error(`connect ECONNREFUSED ${to}:${port}`)
        return connect(port, '127.0.0.1')
      },
    },
  })
  await api.client.create(namespace, { metadata: { name: 'wardle' } }, signal)
  const metadata = { name: 'flunders', namespace: 'wardle' }
  await api.client.create(service, { metadata, spec: { ports: [{ port: 443, targetPort: extension.port }] } }, signal)
  await api.client.create(
    endpointSlice,
    {
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'flunders' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address] }],
      ports: [{ name: '', port: extension.port, protocol: 'TCP' }],
    },
    signal,
  )
  await claim(name, version)
  await condition(name, 'Passed')
})
afterAll(async () => {
  await extension.stop()
  await api.close()
})

async function claim(as: string, of: string, more: JsonObject = {}): Promise<void> {
  const spec = { group, version: of, groupPriorityMinimum: 1_000, versionPriority: 15, caBundle, ...more }
  const to = { service: { namespace: 'wardle', name: 'flunders' } }
  await api.client.create(apiService, { metadata: { name: as }, spec: { ...to, ...spec } }, signal)
}

async function until<T>(look: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
  for (let round = 0; round < 600; round++) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(50)
  }
  throw new Error(`never seen: ${what}`)
}

/** Waits for the condition Available with this reason. */
async function condition(of: string, reason: string) {
  return await until(async () => {
    const { status } = await api.client.get(apiService, { name: of }, signal)
    return status.conditions?.find(one => one.type === 'Available' && one.reason === reason)
  }, `${of} ${reason}`)
}

async function ask(url: string, more: Ask = {}) {
  const answer = await api.apiserver.handle(request(url, more))
  if (answer.kind !== 'whole' && answer.kind !== 'stream') throw new Error(answer.kind)
  let text = ''
  if (answer.kind === 'whole')
    text = typeof answer.body === 'string' ? answer.body : Buffer.from(answer.body).toString()
  else for await (const chunk of answer.body) text += Buffer.from(chunk).toString()
  return { code: answer.code, headers: answer.headers, text, body: text.startsWith('{') ? JSON.parse(text) : undefined }
}

const flunder = (named: string) => ({
  apiVersion: `${group}/${version}`,
  kind: 'Flunder',
  metadata: { name: named },
  spec: { reference: 'x' },
})
const flunders = `${root}/namespaces/default/flunders`

describe('aggregator', () => {
  test('what a Service claims is created, read, listed and deleted there', async () => {
    const made = await ask(flunders, { body: flunder('a') })
    expect(made).toMatchObject({
      code: 201,
      headers: { 'x-extension': 'yes' },
      body: { metadata: { name: 'a', namespace: 'default' } },
    })
    expect((await ask(`${flunders}/a`)).body).toMatchObject({ kind: 'Flunder', spec: { reference: 'x' } })
    expect((await ask(`${root}/flunders?limit=500`)).body.items).toHaveLength(1)
    expect(extension.seen.at(-1)?.url).toBe(`${root}/flunders?limit=500`)
    expect((await ask(flunders, { body: flunder('a') })).body).toMatchObject({ reason: 'AlreadyExists' })
    expect((await ask(`${flunders}/a`, { method: 'DELETE' })).body).toMatchObject({ status: 'Success' })
    expect((await ask(`${flunders}/a`)).body).toMatchObject({ code: 404, message: `flunders.${group} "a" not found` })
  })

  test('the other server is told who asks, by nobody but us', async () => {
    const identity = {
      user: 'Müller',
      uid: 'u-1',
      groups: ['system:masters', 'one, two'],
      extra: { 'example.com/Scopes': ['a', 'b'] },
    }
    const { code } = await ask(`${flunders}?limit=1`, {
      identity,
      headers: {
        authorization: 'Bearer secret',
        'x-remote-user': 'root',
        'x-remote-group': 'system:masters',
        'x-remote-extra-evil': 'yes',
        'x-remote-uid': '0',
        'x-forwarded-for': '10.0.0.1',
        'x-mine': 'kept',
      },
    })
    expect(code).toBe(200)
    const last = extension.seen.at(-1)
    expect(last).toMatchObject({ user: 'Müller', groups: ['system:masters', 'one, two', 'system:authenticated'] })
    expect(last?.headers).toMatchObject({
      'x-remote-uid': 'u-1',
      'x-remote-extra-example.com%2fscopes': 'a, b',
      'x-forwarded-for': '10.0.0.1, 127.0.0.1',
      'x-mine': 'kept',
      host: 'flunders.wardle.svc:443',
    })
    expect(Object.keys(last?.headers ?? {})).not.toContain('authorization')
    expect(Object.keys(last?.headers ?? {})).not.toContain('x-remote-extra-evil')
  })

  test('a name that would be a header of its own goes nowhere', async () => {
    const before = extension.seen.length
    const identity = { user: 'eve\r\nx-remote-user: root', groups: ['system:masters'] }
    expect(await ask(flunders, { identity })).toMatchObject({ code: 400 })
    expect(extension.seen.slice(before).filter(({ url }) => url === flunders)).toEqual([])
  })

  test('who has no rights here does not get there', async () => {
    const before = extension.seen.length
    const { code, body } = await ask(flunders, { identity: { user: 'eve', groups: ['system:authenticated'] } })
    expect(code).toBe(403)
    expect(body.message).toContain(`flunders.${group} is forbidden: User "eve" cannot list resource "flunders"`)
    expect(await ask(flunders, { identity: null })).toMatchObject({ code: 401 })
    expect(extension.seen.slice(before).filter(({ url }) => url === flunders)).toEqual([])
  })

  test('a watch streams as it happens, and its end is told to the other server', async () => {
    const gone = new AbortController()
    const answer = await api.apiserver.handle(request(`${flunders}?watch=true`, { signal: gone.signal }))
    if (answer.kind !== 'stream') throw new Error('no stream')
    const lines = answer.body[Symbol.asyncIterator]()
    await ask(flunders, { body: flunder('w') })
    const first = await lines.next()
    expect(JSON.parse(Buffer.from(first.value as Uint8Array).toString())).toMatchObject({
      type: 'ADDED',
      object: { metadata: { name: 'w' } },
    })
    gone.abort()
    await lines.next().catch(() => undefined)
    await ask(`${flunders}/w`, { method: 'DELETE' })
  })

  test('an upgrade is the other server’s: bytes go both ways, and who asks is told there', async () => {
    const socket = await new Promise<Duplex>((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'websocket', 'x-remote-user': 'root' }
      const { cert, key } = api.admin
      const path = `${root}/namespaces/default/flunders/a/console`
      httpsRequest({ host: '127.0.0.1', port: api.port, ca: api.certs.ca, cert, key, path, headers })
        .on('upgrade', (response, socket: Duplex, head) => {
          expect(response.headers).toMatchObject({ 'x-extension': 'yes', upgrade: 'websocket' })
          if (head.length > 0) socket.unshift(head)
          resolve(socket)
        })
        .on('response', response => reject(new Error(String(response.statusCode))))
        .on('error', reject)
        .end()
    })
    let said = ''
    socket.setEncoding('utf8').on('data', text => (said += text))
    await until(() => (said === 'admin no token\n' ? true : undefined), 'who it is')
    socket.write('hello')
    await until(() => (said.endsWith('HELLO') ? true : undefined), 'the echo')
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.end()
    await closed
    // What is no server of ours is refused in its own words.
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'websocket' }
      const { cert, key } = api.admin
      const path = `/apis/${group}/v9/things`
      httpsRequest({ host: '127.0.0.1', port: api.port, ca: api.certs.ca, cert, key, path, headers })
        .on('response', response => resolve(response.statusCode))
        .on('error', reject)
        .end()
    })
    expect(answer).toBe(404)
  })

  test('nobody is redirected by another server (A3, CVE-2022-3172)', async () => {
    const { code, headers, text } = await ask(`${flunders}/a/moved`)
    expect({ code, text }).toEqual({
      code: 502,
      text: 'the backend attempted to redirect this request, which is not permitted',
    })
    expect(headers['location']).toBeUndefined()
  })

  test('a custom kind is registered while it is defined', async () => {
    const custom = await customApi()
    const registered = '/apis/apiregistration.k8s.io/v1/apiservices/v1.stable.example.com'
    expect(await custom.ask(registered)).toMatchObject({ code: 404 })
    await custom.define(definition('things', 'Thing', [{}]))
    const found = await until(async () => {
      const { code, body } = await custom.ask(registered)
      return code === 200 ? body : undefined
    }, 'its APIService')
    expect(found).toMatchObject({
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'true' } },
      spec: { groupPriorityMinimum: 1_000, versionPriority: 100 },
      status: { conditions: [{ status: 'True', reason: 'Local' }] },
    })
    const gone = await custom.ask(definitionUrl('things.stable.example.com'), { method: 'DELETE' })
    expect(gone).toMatchObject({ code: 200 })
    await until(async () => ((await custom.ask(registered)).code === 404 ? true : undefined), 'its end')
    custom.stop()
  })

  test('paths deeper than ours are passed on, and are none of ours', async () => {
    expect(await ask(`${flunders}/a/portforward/22/tcp`)).toMatchObject({
      code: 404,
      headers: { 'x-extension': 'yes' },
    })
    expect(extension.seen.at(-1)?.url).toBe(`${flunders}/a/portforward/22/tcp`)
    const own = await ask('/apis/apps/v1/namespaces/default/deployments/a/scale/more')
    expect(own).toMatchObject({ code: 404 })
    expect(own.headers['x-extension']).toBeUndefined()
  })

  test('discovery shows all servers as one, in the order of their priorities', async () => {
    const groups = (await ask('/apis')).body.groups as { name: string; preferredVersion: JsonObject }[]
    const names = groups.map(each => each.name)
    expect(groups.find(each => each.name === group)?.preferredVersion).toEqual({
      groupVersion: `${group}/${version}`,
      version,
    })
    expect(names.indexOf('apps')).toBeLessThan(names.indexOf(group))
    // 1000, before metrics.k8s.io with 100.
    expect(names.indexOf(group)).toBeLessThan(names.indexOf('metrics.k8s.io'))
    expect((await ask(`/apis/${group}`)).body).toMatchObject({ kind: 'APIGroup', name: group, versions: [{ version }] })
    expect((await ask(root)).body.resources[0]).toMatchObject({ name: 'flunders', kind: 'Flunder' })
    expect(await ask('/apis/none.example.com')).toMatchObject({ code: 404 })

    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    const whole = await ask('/apis', { accept })
    const found = whole.body.items.find((item: { metadata: { name: string } }) => item.metadata.name === group)
    expect(found.versions).toEqual([
      {
        version,
        freshness: 'Current',
        resources: [
          {
            resource: 'flunders',
            responseKind: { group, version, kind: 'Flunder' },
            scope: 'Namespaced',
            singularResource: 'flunder',
            verbs: ['create', 'delete', 'get', 'list', 'watch'],
            shortNames: ['fl'],
            categories: ['all'],
            subresources: [
              {
                subresource: 'status',
                responseKind: { group, version, kind: 'Flunder' },
                verbs: ['get', 'patch', 'update'],
              },
            ],
          },
        ],
      },
    ])
    const etag = whole.headers['etag'] ?? ''
    expect(await ask('/apis', { accept, headers: { 'if-none-match': etag } })).toMatchObject({ code: 304 })
  })

  test('OpenAPI has the schemas of the other server', async () => {
    const { serverRelativeURL } = (await ask('/openapi/v3')).body.paths[root.slice(1)]
    const document = (await ask(serverRelativeURL)).body
    const flunderName = 'io.k8s.sample-apiserver.pkg.apis.wardle.v1alpha1.Flunder'
    expect(document.components.schemas[flunderName].description).toBe('Flunder is an example.')
    const v2 = (await ask('/openapi/v2', { accept: 'application/json' })).body
    expect(v2.definitions[flunderName]).toBeDefined()
    expect(v2.definitions.Unused).toBeUndefined()
    // One name means one thing: what all servers share is ours.
    expect(v2.definitions['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'].description).not.toBe('another one')
    const path = v2.paths[`${root}/namespaces/{namespace}/flunders`]
    expect(path.post.parameters.map((each: { name: string }) => each.name)).toEqual(['body', 'namespace'])
    expect(v2.paths['/apis/other.example.com/v1/things']).toBeUndefined()
    const type = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
    expect((await ask('/openapi/v2', { accept: type })).text).toContain(flunderName)
  })

  test('each group and version of our own has an APIService that says Local', async () => {
    const { items } = await api.client.list(apiService, {}, signal)
    const shown = new Map(items.map(item => [item.metadata.name, item]))
    expect([...shown.keys()]).toEqual(
      expect.arrayContaining(['v1.', 'v1.apps', 'v2.autoscaling', 'v1beta1.metrics.k8s.io', name]),
    )
    expect(shown.get('v1.apps')).toMatchObject({
      spec: { group: 'apps', version: 'v1', groupPriorityMinimum: 17_800, versionPriority: 15 },
      status: { conditions: [{ type: 'Available', status: 'True', reason: 'Local' }] },
    })
    expect(shown.get('v1.')?.spec).toMatchObject({ groupPriorityMinimum: 18_000, versionPriority: 1 })
    expect(shown.has('v1.apiregistration.k8s.io')).toBe(false)
  })

  test('servers behind find in a ConfigMap whom to believe', async () => {
    const { data } = await api.client.get(
      configMap,
      { namespace: 'kube-system', name: 'extension-apiserver-authentication' },
      signal,
    )
    expect(data).toMatchObject({
      'requestheader-allowed-names': '["front-proxy-client"]',
      'requestheader-username-headers': '["X-Remote-User"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    })
    expect(data?.['client-ca-file']).toContain('BEGIN CERTIFICATE')
    expect(data?.['requestheader-client-ca-file']).toContain('BEGIN CERTIFICATE')
  })

  test('a server that cannot prove who it is gets nothing, unless that is wanted', async () => {
    const foreign = Buffer.from((await makeAuthority('another', Date.now())).certificatePem).toString('base64')
    await claim(`v2.${group}`, 'v2', { caBundle: foreign })
    await condition(`v2.${group}`, 'FailedDiscoveryCheck')
    const before = extension.seen.length
    const refused = await ask(`/apis/${group}/v2/namespaces/default/flunders`)
    expect(refused).toMatchObject({ code: 503, headers: { 'content-type': 'text/plain; charset=utf-8' } })
    expect(refused.text).toMatch(/^error trying to reach service: .*(certificate|signature)/)
    expect(extension.seen.slice(before).filter(({ url }) => url.includes('/v2/'))).toEqual([])
    await api.client.delete(apiService, { name: `v2.${group}` }, {}, signal)

    await claim(`v3.${group}`, 'v3', { caBundle: '', insecureSkipTLSVerify: true })
    // It serves no v3, and says so: it was reached.
    await until(
      async () => ((await ask(`/apis/${group}/v3/things`)).headers['x-extension'] === 'yes' ? true : undefined),
      'v3',
    )
    expect((await condition(`v3.${group}`, 'FailedDiscoveryCheck')).message).toMatch(
      new RegExp(`^failing or missing response from (https://\\S+/apis/${group}/v3): bad status from \\1: 404$`),
    )
    await api.client.delete(apiService, { name: `v3.${group}` }, {}, signal)
    await until(
      async () => ((await ask(`/apis/${group}/v3/things`)).headers['x-extension'] === undefined ? true : undefined),
      'no v3',
    )
  })

  test('the condition says why a Service leads nowhere, and requests are refused meanwhile', async () => {
    const of = `v4.${group}`
    const away = (more: JsonObject) => claim(of, 'v4', { service: { namespace: 'wardle', ...more } })
    await away({ name: 'nobody' })
    expect(await condition(of, 'ServiceNotFound')).toMatchObject({
      status: 'False',
      message: 'service/nobody in "wardle" is not present',
    })
    expect(await ask(`/apis/${group}/v4/things`)).toMatchObject({ code: 503, text: 'service unavailable\n' })
    await api.client.delete(apiService, { name: of }, {}, signal)
    await away({ name: 'flunders', port: 444 })
    expect((await condition(of, 'ServicePortError')).message).toBe(
      'service/flunders in "wardle" is not listening on port 444',
    )
    await api.client.delete(apiService, { name: of }, {}, signal)
    await api.client.create(
      service,
      { metadata: { name: 'empty', namespace: 'wardle' }, spec: { ports: [{ port: 443 }] } },
      signal,
    )
    await away({ name: 'empty' })
    expect((await condition(of, 'EndpointsNotFound')).message).toBe(
      'cannot find endpointslices for service/empty in "wardle"',
    )
    const slice = {
      metadata: { name: 'empty', namespace: 'wardle', labels: { 'kubernetes.io/service-name': 'empty' } },
      addressType: 'IPv4' as const,
      endpoints: [{ addresses: [address], conditions: { ready: false } }],
      ports: [{ name: '', port: extension.port, protocol: 'TCP' }],
    }
    await api.client.create(endpointSlice, slice, signal)
    expect((await condition(of, 'MissingEndpoints')).message).toBe(
      'endpointslices for service/empty in "wardle" have no addresses with port name ""',
    )
    await api.client.delete(apiService, { name: of }, {}, signal)
  })

  test('a server in a pod is reached through the agent of its node, with no route to its address', async () => {
    const metadata = { name: 'inside', namespace: 'wardle' }
    const spec = { nodeName: 'n1', containers: [{ name: 'a', image: 'x' }] }
    const made = await api.client.create(podKind, { metadata, spec }, signal)
    await api.client.create(service, { metadata, spec: { ports: [{ port: 443 }] } }, signal)
    const targetRef = { kind: 'Pod', ...metadata, uid: made.metadata.uid }
    await api.client.create(
      endpointSlice,
      {
        metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'inside' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['192.0.2.99'], targetRef }],
        ports: [{ name: '', port: extension.port, protocol: 'TCP' }],
      },
      signal,
    )
    const to = { namespace: 'wardle', name: 'inside' }
    await claim(`v5.${group}`, 'v5', { service: to, caBundle: '', insecureSkipTLSVerify: true })
    const asked = () => kubelet.requests.find(({ pod, ask: what }) => pod === 'inside' && what.case === 'portForward')
    await until(async () => {
      const { headers } = await ask(`/apis/${group}/v5/things`)
      return headers['x-extension'] === 'yes' ? true : undefined
    }, 'an answer')
    expect(asked()?.ask.value).toMatchObject({ port: extension.port })
    await api.client.delete(apiService, { name: `v5.${group}` }, {}, signal)
  })

  test('endpoints without a pod never lead to a peer itself or its link (A3)', () => {
    const local = {
      metadata: { name: `v1.${group}` },
      spec: { group, version: 'v1', groupPriorityMinimum: 1, versionPriority: 1 },
    }
    const claimed = claimOf({
      ...local,
      spec: { ...local.spec, service: { namespace: 'wardle', name: 'x', port: 443 } },
      status: {},
    } as never)
    if (claimed === undefined) throw new Error('no claim')
    const at = (...addresses: string[]) => {
      const slice = { endpoints: addresses.map(one => ({ addresses: [one] })), ports: [{ name: '', port: 1 }] }
      const found = placeOf(claimed, { spec: { ports: [{ port: 443 }] } } as never, [slice as never])
      return found.kind === 'found' ? found.endpoints.map(each => each.address) : found.reason
    }
    const bad = [
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '169.254.169.254',
      '224.0.0.1',
      '::1',
      '::',
      'fe80::1',
      '::ffff:127.0.0.1',
    ]
    expect(at(...bad)).toBe('MissingEndpoints')
    expect(at(...bad, '10.0.0.1', 'fd00::1')).toEqual(['10.0.0.1', 'fd00::1'])
  })

  test('nobody takes from this server what it answers itself', async () => {
    await api.client.delete(apiService, { name: 'v1.apps' }, {}, signal)
    const spec = { group: 'apps', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1, caBundle }
    const to = { service: { namespace: 'wardle', name: 'flunders' } }
    await api.client.create(apiService, { metadata: { name: 'v1.apps' }, spec: { ...spec, ...to } }, signal)
    const listed = await ask('/apis/apps/v1/deployments')
    expect(listed).toMatchObject({ code: 200, body: { kind: 'DeploymentList' } })
    await api.client.delete(apiService, { name: 'v1.apps' }, {}, signal)
    await api.apiserver.bootstrap(1, signal)
    expect((await api.client.get(apiService, { name: 'v1.apps' }, signal)).spec.service).toBeUndefined()
  })

  describe.each(installed(['1.27', '1.33']))('kubectl %s', kubectlVersion => {
    let kubectl: Kubectl
    beforeAll(() => {
      kubectl = new Kubectl(kubectlVersion, api.kubeconfig, `${api.folder}/${kubectlVersion}`)
    })

    test('creates, gets, watches, explains and deletes what another server serves', async () => {
      expect(await kubectl.ok('api-resources --api-group wardle.example.com --no-headers -o name')).toBe(
        `flunders.${group}`,
      )
      expect(await kubectl.ok('create -f -', JSON.stringify(flunder('one')))).toBe(`flunder.${group}/one created`)
      expect(await kubectl.ok('get fl')).toMatch(/^NAME +AGE\none +/)
      expect(await kubectl.ok('get flunders one -o jsonpath={.spec.reference}')).toBe('x')
      const watch = kubectl.start(['get', 'flunders', '-w', '-o', 'name'])
      await watch.says(`flunder.${group}/one`)
      await until(() => extension.seen.find(({ url }) => url.includes('watch=')), 'the watch')
      expect(await kubectl.ok('create -f -', JSON.stringify(flunder('two')))).toBe(`flunder.${group}/two created`)
      await watch.says(`flunder.${group}/two`)
      watch.kill()
      await watch.done
      extension.seen.splice(0)
      expect(await kubectl.ok('explain flunder')).toContain('Flunder is an example.')
      expect((await kubectl.run('create -f -', JSON.stringify(flunder('one')))).err).toContain('AlreadyExists')
      expect(await kubectl.ok('delete flunder one two')).toContain(`flunder.${group} "one" deleted`)
      expect((await kubectl.run('get flunder one')).err).toContain('NotFound')
      const rows = await kubectl.ok(`get apiservices v1.apps ${name} --no-headers`)
      expect(rows.split('\n').map(line => line.split(/\s+/).slice(0, 3))).toEqual([
        ['v1.apps', 'Local', 'True'],
        [name, 'wardle/flunders', 'True'],
      ])
    })
  })

  test('the other server asks us who a token is of, and what they may', async () => {
    const kubectl = new Kubectl(installed(['1.33'])[0] ?? '1.33', api.kubeconfig, `${api.folder}/token`)
    if (installed(['1.33']).length === 0) return
    await kubectl.ok('create serviceaccount robot')
    const token = await kubectl.ok('create token robot')
    const direct = async () => {
      return await new Promise<{ code: number; body: string }>((resolve, reject) => {
        const headers = {
          authorization: `Bearer ${token}`,
          'x-remote-user': 'root',
          'x-remote-group': 'system:masters',
        }
        httpsRequest(
          { host: '127.0.0.1', port: extension.port, path: flunders, headers, rejectUnauthorized: false },
          answer => {
            let body = ''
            answer.on('data', chunk => (body += chunk))
            answer.on('end', () => resolve({ code: answer.statusCode ?? 0, body }))
          },
        )
          .on('error', reject)
          .end()
      })
    }
    expect(await direct()).toMatchObject({
      code: 403,
      body: expect.stringContaining('system:serviceaccount:default:robot'),
    })
    await kubectl.ok(`create clusterrole flunders --verb=list --resource=flunders.${group}`)
    await kubectl.ok('create clusterrolebinding flunders --clusterrole=flunders --serviceaccount=default:robot')
    expect(await direct()).toMatchObject({ code: 200, body: expect.stringContaining('FlunderList') })
  })

  test('a server that breaks is Stale in discovery, its schemas stay, and what it says oddly harms nobody', async () => {
    extension.broken = 500
    // A change of the endpoints is looked at at once.
    const endpoints = async (count: number) => {
      const slice = await api.client.get(endpointSlice, { namespace: 'wardle', name: 'flunders' }, signal)
      const all = Array.from({ length: count }, () => ({ addresses: [address] }))
      await api.client.update(endpointSlice, { ...slice, endpoints: all }, signal)
    }
    await endpoints(2)
    const failed = await condition(name, 'FailedDiscoveryCheck')
    expect(failed.status).toBe('False')
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    const shown = async () => {
      const { items } = (await ask('/apis', { accept })).body
      return items.find((item: { metadata: { name: string } }) => item.metadata.name === group).versions[0]
    }
    expect(await shown()).toMatchObject({ freshness: 'Stale', resources: [{ resource: 'flunders' }] })
    expect((await ask('/openapi/v3')).body.paths[root.slice(1)]).toBeDefined()
    extension.broken = undefined
    extension.more = true
    await endpoints(1)
    await condition(name, 'Passed')
    const again = await until(async () => {
      const found = await shown()
      return found.resources.length === 2 ? found : undefined
    }, 'the new resource')
    expect(again.freshness).toBe('Current')

    extension.odd = true
    await endpoints(2)
    const odd = await until(async () => {
      const found = await shown()
      return found.resources[0].resource === 'odd' ? found : undefined
    }, 'what is odd')
    expect(odd.resources).toHaveLength(1)
    const binary = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
    expect(await ask('/openapi/v2', { accept: binary })).toMatchObject({ code: 200 })
    expect(await ask('/openapi/v2', { accept: 'application/json' })).toMatchObject({ code: 200 })
  })
})
