// The API as people use it: the real kubectl, oldest, middle and newest, against a real port.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pod as podKind } from '../../src/api/kinds/pod.ts'
import { peerId } from '../../src/world/network.ts'
import { fakeKubelet } from './fake-kubelet.ts'
import { installed, Kubectl } from './kubectl.ts'
import { servedApiserver } from './served.ts'

const web = (replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`
const runningPod = (name: string) => ({
  metadata: { name, namespace: 'default' },
  spec: { nodeName: 'n1', containers: [{ name: 'a', image: 'nginx' }] },
})

describe.each(installed(['1.27', '1.30', '1.33']))('kubectl %s', version => {
  let api: Awaited<ReturnType<typeof servedApiserver>>
  let kubectl: Kubectl
  const kubelet = fakeKubelet()

  beforeAll(async () => {
    api = await servedApiserver({ peerOfNode: peerId, kubeletOf: () => kubelet.open() })
    const cache = join(api.folder, 'cache')
    await mkdir(cache)
    kubectl = new Kubectl(version, api.kubeconfig, cache)
    const made = await api.client.create(podKind, runningPod('box'), api.signal)
    await api.client.updateStatus(podKind, { ...made, status: { ...made.status, phase: 'Running' } }, api.signal)
  })
  afterAll(async () => {
    await api.close()
  })

  test('creates, shows, applies, edits, patches and deletes', async () => {
    const replicas = () => kubectl.ok('get deploy web -o jsonpath={.spec.replicas}')
    expect(await kubectl.ok('create -f -', web(1))).toBe('deployment.apps/web created\nservice/web created')
    expect((await kubectl.run('create -f -', web(1))).err).toContain('deployments.apps "web" already exists')
    expect(await kubectl.ok('get deploy')).toMatch(/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/1 +0 +0 +\d+s$/)
    expect(await kubectl.ok('get deploy,svc -o name')).toBe('deployment.apps/web\nservice/web')
    expect(await kubectl.ok('get deploy web -o yaml')).toContain('progressDeadlineSeconds: 600')

    expect(await kubectl.ok('apply -f -', web(2))).toContain('deployment.apps/web configured')
    expect(await replicas()).toBe('2')
    expect(await kubectl.ok('apply -f -', web(2))).toContain('deployment.apps/web unchanged')
    // For kubectl itself what it applied on its own side is its own; for another manager it is not.
    const conflict = await kubectl.run('apply --server-side --field-manager=other -f -', web(3))
    expect(conflict.err).toContain('conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas')
    await kubectl.ok('apply --server-side -f -', web(3))
    expect(await replicas()).toBe('3')
    await kubectl.ok('scale deploy web --replicas=4')
    expect(await replicas()).toBe('4')
    const editor = join(api.folder, 'editor.sh')
    await writeFile(editor, '#!/bin/sh\nsed -i "s/replicas: 4/replicas: 5/" "$1"\n')
    await chmod(editor, 0o755)
    expect(await kubectl.ok('edit deploy web', '', { EDITOR: editor })).toBe('deployment.apps/web edited')
    expect(await replicas()).toBe('5')
    await kubectl.ok('patch deploy web -p {"spec":{"replicas":6}}')
    await kubectl.ok('patch deploy web --type=json -p [{"op":"test","path":"/spec/replicas","value":6}]')
    await kubectl.ok('patch deploy web --type=merge -p {"spec":{"replicas":7}}')
    expect(await replicas()).toBe('7')
    await kubectl.ok('label deploy web tier=front')
    await kubectl.ok('annotate deploy web note=x')
    await kubectl.ok('set image deploy/web a=nginx:2')
    expect(
      await kubectl.ok('get deploy -l tier=front -o jsonpath={.items[*].spec.template.spec.containers[0].image}'),
    ).toBe('nginx:2')
    const diff = await kubectl.run('diff -f -', web(8))
    expect([diff.code, diff.out]).toEqual([1, expect.stringContaining('+  replicas: 8')])
    await kubectl.ok('rollout restart deploy web')
    await kubectl.ok('wait --for=jsonpath={.spec.replicas}=7 deploy/web --timeout=10s')
    expect(await kubectl.ok('describe deploy web')).toContain('Replicas:               7 desired')
    await kubectl.ok('expose deploy web --name=second --port=81')
    await kubectl.ok('replace -f -', web(1))
    expect(await kubectl.ok('delete -f -', web(1))).toContain('deployment.apps "web" deleted')
    expect((await kubectl.run('get deploy web')).err).toBe(
      'Error from server (NotFound): deployments.apps "web" not found\n',
    )
    await kubectl.ok('delete svc --all')
  })

  test('creates with its own commands, whatever form their bodies have', async () => {
    await kubectl.ok('create configmap c --from-literal=a=b')
    await kubectl.ok('create secret generic s --from-literal=a=b')
    await kubectl.ok('create namespace n')
    await kubectl.ok('create deployment d --image=x')
    await kubectl.ok('create serviceaccount me')
    expect(await kubectl.ok('create token me')).toMatch(/^eyJ/)
    await kubectl.ok('run p --image=x --restart=Never --env=A=B')
    expect(await kubectl.ok('get secret s -o jsonpath={.data.a}')).toBe('Yg==')
    expect(await kubectl.ok('get pods --field-selector=metadata.name=p -o name')).toBe('pod/p')
    await kubectl.ok('delete pod p')
    expect(
      (await kubectl.run('create -f -', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndta: {}\n')).err,
    ).toContain('unknown field "dta"')
    expect(await kubectl.ok('create configmap dry --from-literal=a=b --dry-run=server')).toContain('server dry run')
    expect((await kubectl.run('get configmap dry')).code).toBe(1)
    await kubectl.ok('delete cm,deploy,secret,sa --all')
  })

  test('finds its way: discovery, explain, rights, health', async () => {
    expect(await kubectl.ok('api-resources')).toMatch(/deployments +deploy +apps\/v1 +true +Deployment/)
    expect(await kubectl.ok('api-versions')).toContain('apps/v1')
    expect(await kubectl.ok('explain pod.spec.containers')).toContain('imagePullPolicy')
    expect(await kubectl.ok('explain deployment --recursive')).toContain('maxSurge')
    expect(await kubectl.ok('auth can-i delete nodes')).toBe('yes')
    const refused = await kubectl.run('auth can-i delete nodes --as=somebody')
    expect(refused.out).toBe('no\n')
    expect((await kubectl.run('get pods --as=somebody')).err).toContain('User "somebody" cannot list resource "pods"')
    expect(await kubectl.ok('get all')).toContain('pod/box')
    expect(await kubectl.ok('get --raw /readyz')).toBe('ok')
    expect(await kubectl.ok('version -o json')).toContain('v1.33.0+flotilla-test')
    expect(await kubectl.ok('get events')).toBe('')
    await kubectl.ok('events')
  })

  test('watches: what happens is shown as it happens', async () => {
    const watch = kubectl.start(['get', 'configmaps', '-w', '--no-headers'])
    await kubectl.ok('create configmap watched --from-literal=a=b')
    await watch.says('watched   1')
    await kubectl.ok('patch configmap watched -p {"data":{"c":"d"}}')
    await watch.says('watched   2')
    watch.kill()
    await kubectl.ok('delete configmap watched')
  })

  test('logs, whole and followed', async () => {
    expect(await kubectl.ok('logs box --tail=2')).toBe('line 0\nline 1')
    expect(await kubectl.ok('logs -f box')).toMatch(/line 4\nfollowed$/)
    expect((await kubectl.run('logs box -c none')).err).toContain('container none is not valid for pod box')
  })

  test('exec passes input, output and the exit code', async () => {
    expect(await kubectl.ok('exec box -- echo hi')).toBe('hi')
    const failed = await kubectl.start(['exec', 'box', '--', 'sh', '-c', 'echo oh >&2; exit 3']).done
    expect([failed.code, failed.err]).toEqual([3, 'oh\ncommand terminated with exit code 3\n'])
    const bytes = randomBytes(3_000_000)
    const sum = createHash('md5').update(bytes).digest('hex')
    expect(await kubectl.ok('exec -i box -- md5sum', bytes)).toContain(sum)
    const much = await kubectl.start(['exec', 'box', '--', 'head', '-c', '2000000', '/dev/zero']).done
    expect(much.out.length).toBe(2_000_000)
    expect(await kubectl.ok('attach -i box', 'attached\n')).toContain('attached')
  })

  test('cp copies both ways', async () => {
    const [from, to, back] = ['from', 'to', 'back'].map(name => join(api.folder, name)) as [string, string, string]
    const bytes = randomBytes(300_000)
    await writeFile(from, bytes)
    await kubectl.ok(`cp ${from} box:${to}`)
    await kubectl.ok(`cp box:${to} ${back}`)
    expect((await readFile(back)).equals(bytes)).toBe(true)
  })

  test('port-forward carries many connections', async () => {
    const body = randomBytes(1_000_000)
    const server = createServer((_, response) => void response.end(body)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const forward = kubectl.start(['port-forward', '--address=127.0.0.1', 'pod/box', `:${port}`])
    await forward.says('Forwarding from 127.0.0.1:')
    const local = /127\.0\.0\.1:(\d+)/.exec(forward.out())?.[1]
    const fetched = await Promise.all(
      [1, 2, 3].map(async () => Buffer.from(await (await fetch(`http://127.0.0.1:${local}`)).arrayBuffer())),
    )
    expect(fetched.every(each => each.equals(body))).toBe(true)
    forward.kill()
    server.close()
  })

  test('pods and services are reached through the API', async () => {
    const server = createServer((asked, answer) => {
      asked.setEncoding('utf8')
      let body = ''
      asked.on('data', text => (body += text)).on('end', () => answer.end(`${asked.method} ${asked.url} ${body}`))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const at = '/api/v1/namespaces/default'
    expect(await kubectl.ok(`get --raw ${at}/pods/box:${port}/proxy/a/b?c=d`)).toBe('GET /a/b?c=d')
    expect(await kubectl.ok(`create --raw ${at}/pods/box:${port}/proxy/x -f -`, 'hello')).toBe('POST /x hello')
    await kubectl.ok(
      'create -f -',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: [
          { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [{ name: 'w', port: 80 }] } },
          {
            apiVersion: 'discovery.k8s.io/v1',
            kind: 'EndpointSlice',
            metadata: { name: 's-1', labels: { 'kubernetes.io/service-name': 's' } },
            addressType: 'IPv4',
            ports: [{ name: 'w', port, protocol: 'TCP' }],
            endpoints: [{ addresses: ['10.1.2.3'], targetRef: { kind: 'Pod', name: 'box', namespace: 'default' } }],
          },
        ],
      }),
    )
    expect(await kubectl.ok(`get --raw ${at}/services/s:w/proxy/y`)).toBe('GET /y')
    const none = await kubectl.run(`get --raw ${at}/services/s:99/proxy/`)
    expect(none.err).toContain('no service port "99" found')
    await kubectl.ok('delete svc/s endpointslice/s-1')
    server.close()
  })
})
