// What the official suite does with kubectl, where no container has to run; and the requests that kubectl's commands make,
// line by line, answered as it needs them.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { podNamed } from '../../apiserver/ask.ts'
import { installed, Kubectl } from '../../apiserver/kubectl.ts'
import { servedApiserver } from '../../apiserver/served.ts'
import { type Api, ask, oneApi, openWatch, patch, post, remove } from './wire.ts'

const core = '/api/v1/namespaces/default'
const labels = { app: 'agnhost', role: 'primary' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'agnhost', image: 'agnhost:2' }] } }

/** A controller and its one pod, which runs on a node that says all about itself. */
async function furnish(api: Api): Promise<void> {
  const heard = '2026-01-02T03:04:05Z'
  const node = {
    metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } },
    status: {
      addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
      capacity: { cpu: '4', memory: '8Gi', pods: '110' },
      allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          message: 'ready',
          lastHeartbeatTime: heard,
          lastTransitionTime: heard,
        },
      ],
      nodeInfo: {
        architecture: 'amd64',
        bootID: 'b',
        containerRuntimeVersion: 'docker://28',
        kernelVersion: '6.1',
        kubeProxyVersion: '',
        kubeletVersion: 'v1.33.0',
        machineID: 'm',
        operatingSystem: 'linux',
        osImage: 'Debian',
        systemUUID: 's',
      },
    },
  }
  await post(api, '/api/v1/nodes', node)
  const lease = { metadata: { name: 'n1' }, spec: { holderIdentity: 'n1', renewTime: '2026-01-02T03:04:05.000000Z' } }
  await post(api, '/api/v1/namespaces', { metadata: { name: 'kube-node-lease' } })
  await post(api, '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', lease)
  const controller = await post(api, `${core}/replicationcontrollers`, {
    metadata: { name: 'agnhost-primary', labels },
    spec: { replicas: 1, selector: labels, template },
  })
  await patch(api, `${core}/replicationcontrollers/agnhost-primary/status`, 'merge', {
    status: { replicas: 1, readyReplicas: 1, observedGeneration: 1 },
  })
  const owner = { apiVersion: 'v1', kind: 'ReplicationController', name: 'agnhost-primary', controller: true }
  const ownerReferences = [{ ...owner, uid: controller.body.metadata.uid }]
  const spec = { ...template.spec, nodeName: 'n1' }
  const pod = await post(api, `${core}/pods`, podNamed('agnhost-primary-x', spec, { labels, ownerReferences }))
  await patch(api, `${core}/pods/agnhost-primary-x/status`, 'merge', {
    status: {
      phase: 'Running',
      podIP: '10.244.0.1',
      podIPs: [{ ip: '10.244.0.1' }],
      hostIP: '192.0.2.1',
      startTime: heard,
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [
        {
          name: 'agnhost',
          image: 'agnhost:2',
          imageID: '',
          ready: true,
          restartCount: 0,
          state: { running: { startedAt: heard } },
        },
      ],
    },
  })
  const { uid } = pod.body.metadata
  await post(api, `${core}/events`, {
    metadata: { name: 'agnhost-primary-x.1' },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'agnhost-primary-x', uid },
    reason: 'Started',
    message: 'Started container agnhost',
    type: 'Normal',
    source: { component: 'kubelet', host: 'n1' },
    firstTimestamp: heard,
    lastTimestamp: heard,
    count: 1,
  })
}

describe.each(installed(['1.27', '1.33']))('cli/kubectl %s', version => {
  let api: Awaited<ReturnType<typeof servedApiserver>>
  let kubectl: Kubectl
  beforeAll(async () => {
    api = await servedApiserver()
    const cache = join(api.folder, 'cache')
    await mkdir(cache)
    kubectl = new Kubectl(version, api.kubeconfig, cache)
    await furnish(api)
  })
  afterAll(async () => {
    await api.close()
  })

  test.each<[string, readonly RegExp[]]>([
    [
      'describe pod agnhost-primary-x',
      [
        /Name: +agnhost-primary-x/,
        /Namespace: +default/,
        /Labels: +app=agnhost\n +role=primary/,
        /Annotations: +<none>/,
        /Status: +Running/,
        /IP: +10\.244\.0\.1/,
        /Controlled By: +ReplicationController\/agnhost-primary/,
        /Image: +agnhost:2/,
        /State: +Running/,
        /QoS Class: +BestEffort/,
        /Started +\S+ +kubelet +Started container agnhost/,
      ],
    ],
    [
      'describe rc agnhost-primary',
      [
        /Name: +agnhost-primary/,
        /Selector: +app=agnhost,role=primary/,
        /Labels: +app=agnhost\n +role=primary/,
        /Replicas: +1 current \/ 1 desired/,
        /Pods Status: +1 Running \/ 0 Waiting \/ 0 Succeeded \/ 0 Failed/,
        /Pod Template:/,
        /Events:/,
      ],
    ],
    [
      'describe node n1',
      [
        /Name: +n1/,
        /CreationTimestamp:/,
        /Type +Status +LastHeartbeatTime +LastTransitionTime +Reason +Message/,
        /Ready +True .* KubeletReady +ready/,
        /InternalIP: +192\.0\.2\.1/,
        /Capacity:\n +cpu: +4/,
        /Kernel Version: +6\.1/,
        /Container Runtime Version: +docker:\/\/28/,
        /Kubelet Version: +v1\.33\.0/,
        /HolderIdentity: +n1/,
        /Non-terminated Pods: +\(1 in total\)/,
        /default +agnhost-primary-x/,
      ],
    ],
    [
      'describe namespace default',
      [/Name: +default/, /Labels: +kubernetes\.io\/metadata\.name=default/, /Status: +Active/],
    ],
    ['cluster-info', [/Kubernetes control plane is running at/]],
    ['api-versions', [/^v1$/m]],
    ['version', [/Client Version/, /Server Version: .*1\.33/]],
  ])('%s', async (command, expected) => {
    const out = await kubectl.ok(command)
    // Colours are for people.
    const plain = out.replaceAll(/\u001b\[[0-9;]*m/g, '')
    for (const line of expected) expect(plain).toMatch(line)
  })

  test('expose a controller, and a service', async () => {
    await kubectl.ok('expose rc agnhost-primary --name=rm2 --port=1234 --target-port=6379')
    await kubectl.ok('expose service rm2 --name=rm3 --port=2345 --target-port=6379')
    const { body } = await ask(api, `${core}/services/rm3`)
    expect(body['spec']).toMatchObject({ selector: labels, ports: [{ port: 2345, targetPort: 6379, protocol: 'TCP' }] })
    const described = await kubectl.ok('describe service rm3')
    expect(described).toMatch(/Selector: +app=agnhost,role=primary/)
    expect(described).toMatch(/Port: +<unset> +2345\/TCP/)
    expect(described).toMatch(/Session Affinity: +None/)
    await kubectl.ok('delete service rm2 rm3')
  })

  test('label, and see the label in a column of its own; patch with an annotation', async () => {
    await kubectl.ok('label pods agnhost-primary-x testing-label=testing-label-value')
    expect(await kubectl.ok('get pod agnhost-primary-x -L testing-label')).toMatch(
      /TESTING-LABEL\n.*testing-label-value$/,
    )
    await kubectl.ok('label pods agnhost-primary-x testing-label-')
    expect(await kubectl.ok('get pod agnhost-primary-x -L testing-label')).not.toContain('testing-label-value')
    await kubectl.ok('patch pod agnhost-primary-x -p {"metadata":{"annotations":{"x":"y"}}}')
    expect(await kubectl.ok('get pod agnhost-primary-x -o jsonpath={.metadata.annotations.x}')).toBe('y')
  })

  test('run, look in every form, try a patch on the server, replace, and delete at once', async () => {
    await kubectl.ok('run e2e --image=httpd:1 --pod-running-timeout=2m0s --labels=run=e2e')
    const shown = async () => (await ask(api, `${core}/pods/e2e`)).body['spec'] as { containers: { image: string }[] }
    await kubectl.ok('patch pod e2e -p {"spec":{"containers":[{"name":"e2e","image":"busybox:1"}]}} --dry-run=server')
    expect((await shown()).containers[0]?.image).toBe('httpd:1')
    const json = await kubectl.ok('get pod e2e -o json')
    await kubectl.ok('replace -f -', json.replaceAll('httpd:1', 'busybox:1'))
    expect((await shown()).containers[0]?.image).toBe('busybox:1')
    expect(await kubectl.ok('get pods -l run=e2e --no-headers')).toMatch(/^e2e +0\/1 +Pending +0 +\S+$/)
    const names = '{{range.items}}{{.metadata.name}},{{end}}'
    expect(await kubectl.ok(`get pods -l run=e2e -o template --template=${names}`)).toBe('e2e,')
    await kubectl.ok('delete --grace-period=0 --force -f -', json)
    expect((await kubectl.run('get pod e2e')).err).toContain('pods "e2e" not found')
  })

  test('scale a controller, from what it is and from what it has to be', async () => {
    await kubectl.ok('scale rc agnhost-primary --replicas=2')
    const wrong = await kubectl.run('scale rc agnhost-primary --current-replicas=9 --replicas=3')
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('Expected replicas to be 9, was 2')])
    await kubectl.ok('scale rc agnhost-primary --current-replicas=2 --replicas=1')
    expect(await kubectl.ok('get rc agnhost-primary -o jsonpath={.spec.replicas}')).toBe('1')
  })

  test('lists in parts are one table', async () => {
    for (let i = 0; i < 5; i++)
      await post(api, `${core}/configmaps`, { metadata: { name: `part-${i}`, labels: { part: 'y' } } })
    const table = await kubectl.ok('get configmaps -l part=y --chunk-size=2')
    expect(table.split('\n').map(line => line.split(' ')[0])).toEqual([
      'NAME',
      ...[0, 1, 2, 3, 4].map(i => `part-${i}`),
    ])
    const sorted = await kubectl.ok('get configmaps -l part=y --sort-by={.metadata.name} -o name')
    expect(sorted.split('\n')).toHaveLength(5)
  })

  test('drain respects a budget until it allows the eviction', async () => {
    const own = { drained: 'yes' }
    await post(api, '/api/v1/nodes', { metadata: { name: 'n2' } })
    await post(api, `${core}/pods`, podNamed('guarded', { nodeName: 'n2' }, { labels: own }))
    await patch(api, `${core}/pods/guarded/status`, 'merge', {
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    })
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
    await post(api, budgets, { metadata: { name: 'guard' }, spec: { minAvailable: 1, selector: { matchLabels: own } } })
    await patch(api, `${budgets}/guard/status`, 'merge', {
      status: { observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
    })
    const refused = await kubectl.run('drain n2 --force --timeout=1s')
    expect(refused.code).toBe(1)
    expect(refused.out + refused.err).toContain("Cannot evict pod as it would violate the pod's disruption budget.")
    expect((await ask(api, '/api/v1/nodes/n2')).body['spec']).toMatchObject({ unschedulable: true })
    await remove(api, `${budgets}/guard`)
    const drained = kubectl.run('drain n2 --force --grace-period=0 --timeout=60s')
    const gone = async () => (await ask(api, `${core}/pods/guarded`)).body.metadata?.deletionTimestamp
    await expect
      .poll(async () => (await ask(api, `${core}/pods/guarded`)).code === 404 || (await gone()) !== undefined, {
        timeout: 20_000,
      })
      .toBe(true)
    // What a kubelet does once the pod has ended.
    await remove(api, `${core}/pods/guarded`, { gracePeriodSeconds: 0 })
    expect((await drained).out).toContain('node/n2 drained')
  })
})

const table =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'

describe('the requests that kubectl makes', () => {
  const one = oneApi()
  const kubectlHeaders = {
    'accept-encoding': 'gzip',
    'kubectl-command': 'kubectl get',
    'kubectl-session': '11e1a42d-1914-4c8b-a911-174e3e927744',
    'user-agent': 'kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0',
  }
  beforeAll(() => furnish(one.api))

  test.each<[string, string, string]>([
    ['version', '/version', 'major'],
    ['api-versions', '/apis?timeout=32s', 'groups'],
    [
      'cluster-info',
      '/api/v1/namespaces/kube-system/services?labelSelector=kubernetes.io%2Fcluster-service%3Dtrue',
      'items',
    ],
    ['get events', `${core}/events?limit=500`, 'items'],
    [
      'describe node',
      '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1%2Cstatus.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&limit=500',
      'items',
    ],
    [
      'describe node',
      '/api/v1/events?fieldSelector=involvedObject.kind%3DNode%2CinvolvedObject.uid%3Dn1%2CinvolvedObject.name%3Dn1%2CinvolvedObject.namespace%3D&limit=500',
      'items',
    ],
    [
      'describe service',
      '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb&limit=500',
      'items',
    ],
    ['drain', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&limit=500', 'items'],
    ['run -i', `${core}/pods?fieldSelector=metadata.name%3Dagnhost-primary-x&limit=500&resourceVersion=0`, 'items'],
    ['auth can-i', '/api/v1', 'resources'],
  ])('%s: GET %s', async (_, url, member) => {
    const { code, body } = await ask(one.api, url, { headers: kubectlHeaders })
    expect([code, Object.keys(body)]).toEqual([200, expect.arrayContaining([member])])
  })

  test('get: a table whose rows know their names, in parts, and the way to the rest', async () => {
    for (const name of ['a', 'b', 'c']) await post(one.api, `${core}/configmaps`, { metadata: { name } })
    const first = await ask(one.api, `${core}/configmaps?limit=2`, { accept: table, headers: kubectlHeaders })
    expect(first.headers['content-type']).toBe('application/json')
    expect(first.body).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { remainingItemCount: 1 },
    })
    const names = (rows: typeof first.body.rows) => rows.map(({ object }) => [object?.kind, object?.metadata.name])
    expect(names(first.body.rows)).toEqual([
      ['PartialObjectMetadata', 'a'],
      ['PartialObjectMetadata', 'b'],
    ])
    const rest = await ask(one.api, `${core}/configmaps?limit=2&continue=${first.body.metadata.continue}`, {
      accept: table,
    })
    expect(names(rest.body.rows)).toEqual([['PartialObjectMetadata', 'c']])
    const sorted = await ask(one.api, `${core}/configmaps?includeObject=Object&limit=500`, { accept: table })
    expect(names(sorted.body.rows)[0]).toEqual(['ConfigMap', 'a'])
  })

  test('describe: the events of one object, whatever the order of the terms', async () => {
    const pod = (await ask(one.api, `${core}/pods/agnhost-primary-x`)).body
    const terms = [
      'involvedObject.name%3Dagnhost-primary-x',
      'involvedObject.namespace%3Ddefault',
      `involvedObject.uid%3D${pod.metadata.uid}`,
      'involvedObject.kind%3DPod',
    ]
    for (const order of [terms, terms.toReversed(), terms.slice(0, 3)]) {
      const { body } = await ask(one.api, `${core}/events?fieldSelector=${order.join('%2C')}&limit=500`)
      expect(body.items).toHaveLength(1)
    }
  })

  test('wait and rollout status: a list of any moment, then a watch with bookmarks from there', async () => {
    const chosen = 'fieldSelector=metadata.name%3Dagnhost-primary-x'
    const { body } = await ask(one.api, `${core}/pods?${chosen}&limit=500&resourceVersion=0`)
    const since = body.metadata.resourceVersion
    const watch = await openWatch(
      one.api,
      `${core}/pods?allowWatchBookmarks=true&${chosen}&resourceVersion=${since}&timeoutSeconds=327&watch=true`,
    )
    await patch(one.api, `${core}/pods/agnhost-primary-x`, 'merge', { metadata: { annotations: { waited: 'for' } } })
    expect(await watch.names(1)).toEqual(['MODIFIED agnhost-primary-x'])
    watch.close()
  })

  test('delete: the options in the body, and in the Status the uid that is waited for', async () => {
    const made = await post(one.api, `${core}/configmaps`, { metadata: { name: 'deleted' } })
    const { code, body } = await remove(one.api, `${core}/configmaps/deleted`, { propagationPolicy: 'Background' })
    expect([code, body['status'], body.details]).toEqual([
      200,
      'Success',
      { name: 'deleted', kind: 'configmaps', uid: made.body.metadata.uid },
    ])
    const gone = await ask(one.api, `${core}/configmaps/deleted`)
    expect([gone.code, gone.body.reason, gone.body.details]).toEqual([
      404,
      'NotFound',
      { name: 'deleted', kind: 'configmaps' },
    ])
  })

  test('drain: an eviction that a budget refuses says no time to wait, for kubectl tells of it and asks again', async () => {
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
    const spec = { minAvailable: 1, selector: { matchLabels: labels } }
    await post(one.api, budgets, { metadata: { name: 'guard' }, spec })
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'agnhost-primary-x' } }
    const evict = () => post(one.api, `${core}/pods/agnhost-primary-x/eviction`, eviction)
    const early = await evict()
    expect([early.code, early.headers['retry-after'], early.body.details?.retryAfterSeconds]).toEqual([429, '10', 10])
    const status = {
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: 1,
      desiredHealthy: 1,
      expectedPods: 1,
    }
    await patch(one.api, `${budgets}/guard/status`, 'merge', { status })
    const refused = await evict()
    expect([refused.code, refused.body.reason, refused.body.details?.causes?.[0]?.reason]).toEqual([
      429,
      'TooManyRequests',
      'DisruptionBudget',
    ])
    expect(refused.headers).not.toHaveProperty('retry-after')
    expect(refused.body.details).not.toHaveProperty('retryAfterSeconds')
  })
})
