// The API of pods as the official suite uses it: what of a pod can be changed and by which path, and what is refused before
// any node hears of it.
import { describe, expect, test } from 'vitest'
import { podNamed } from '../../apiserver/ask.ts'
import { type Answer, ask, oneApi, openWatch, patch, post, put, remove } from './wire.ts'

const pods = '/api/v1/namespaces/default/pods'
const container = (more: object = {}) => ({ name: 'c', image: 'i:1', ...more })
const causesOf = ({ body }: Answer) =>
  body.details?.causes?.map(({ field = '', message }) => `${field}: ${message}`) ?? []

describe('pods', () => {
  const one = oneApi()
  const make = (name: string, spec: object = {}, labels: object = {}) =>
    post(one.api, pods, podNamed(name, spec, { labels }))

  test.each<[string, object, string]>([
    ['Guaranteed', { requests: { cpu: '100m', memory: '100Mi' }, limits: { cpu: '100m', memory: '100Mi' } }, 'same'],
    ['Guaranteed', { limits: { cpu: '100m', memory: '100Mi' } }, 'limits alone'],
    ['Burstable', { requests: { cpu: '100m' } }, 'some'],
    ['BestEffort', {}, 'none'],
  ])('QOSClass is %s for %j', async (expected, resources, name) => {
    const { body } = await make(`qos-${name.replace(' ', '-')}`, { containers: [container({ resources })] })
    expect(body['status']).toEqual({ phase: 'Pending', qosClass: expected })
  })

  test('nothing finer than a thousandth is asked for: it is rounded up', async () => {
    const resources = { requests: { cpu: '0.0001', memory: '128974848' }, limits: { cpu: '1.0001', memory: '0.2Gi' } }
    const { body } = await make('fine', { containers: [container({ resources })] })
    expect(body['spec']).toMatchObject({
      containers: [
        {
          resources: {
            requests: { cpu: '1m', memory: '128974848' },
            limits: { cpu: '1001m', memory: '214748364800m' },
          },
        },
      ],
    })
  })

  test('is created, watched, patched as Go writes a pod, and deleted with others by its label', async () => {
    const since = (await ask(one.api, pods)).body.metadata.resourceVersion
    const chosen = 'labelSelector=test-pod-static%3Dtrue'
    const watch = await openWatch(one.api, `${pods}?watch=1&${chosen}&resourceVersion=${since}`)
    await make('static', { terminationGracePeriodSeconds: 1 }, { 'test-pod-static': 'true' })
    const patched = await patch(one.api, `${pods}/static`, 'strategic', {
      metadata: { creationTimestamp: null, labels: { 'test-pod': 'patched' } },
      spec: { containers: [{ name: 'c', image: 'httpd', resources: {} }], terminationGracePeriodSeconds: 1 },
      status: {},
    })
    expect(patched.body).toMatchObject({
      metadata: { labels: { 'test-pod-static': 'true', 'test-pod': 'patched' }, generation: 2 },
      spec: { containers: [{ image: 'httpd' }] },
    })
    const deleted = await remove(one.api, `${pods}?${chosen}`, { gracePeriodSeconds: 1 })
    expect([deleted.code, deleted.body.kind]).toEqual([200, 'PodList'])
    expect((await ask(one.api, `${pods}/static`)).code).toBe(404)
    expect(await watch.names(3)).toEqual(['ADDED static', 'MODIFIED static', 'DELETED static'])
    watch.close()
  })

  test('its status is patched and replaced by its own path, and counts no generation', async () => {
    await make('told')
    const { body } = await patch(one.api, `${pods}/told/status`, 'merge', {
      metadata: { annotations: { patchedstatus: 'true' } },
      status: { message: 'Patched by e2e test', reason: 'E2E' },
    })
    expect(body).toMatchObject({
      metadata: { annotations: { patchedstatus: 'true' }, generation: 1 },
      status: { message: 'Patched by e2e test', reason: 'E2E', phase: 'Pending' },
    })
    const gate = { type: 'k8s.io/test-condition1', status: 'True' }
    const strategic = await patch(one.api, `${pods}/told/status`, 'strategic', { status: { conditions: [gate] } })
    expect(strategic.body['status']).toMatchObject({ conditions: [gate], reason: 'E2E' })
    const read = (await ask(one.api, `${pods}/told/status`)).body
    const conditions = [{ type: 'Ready', status: 'False' }]
    const updated = await put(one.api, `${pods}/told/status`, { ...read, status: { phase: 'Running', conditions } })
    expect(updated.body['status']).toMatchObject({ phase: 'Running', conditions, qosClass: 'BestEffort' })
  })

  test('activeDeadlineSeconds can be set and made shorter, nothing else', async () => {
    await make('deadline')
    const set = (activeDeadlineSeconds: number | null) =>
      patch(one.api, `${pods}/deadline`, 'merge', { spec: { activeDeadlineSeconds } })
    expect((await set(30)).body.metadata.generation).toBe(2)
    expect((await set(5)).body['spec']).toMatchObject({ activeDeadlineSeconds: 5 })
    expect(causesOf(await set(9))).toEqual([
      'spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value',
    ])
    expect(causesOf(await set(null))).toEqual([
      'spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value',
    ])
    expect((await set(0)).code).toBe(422)
  })

  test('containers neither come nor go', async () => {
    await make('counted')
    for (const list of ['containers', 'initContainers']) {
      const spec = { [list]: [{ name: 'd', image: 'i:1' }] }
      expect(causesOf(await patch(one.api, `${pods}/counted`, 'strategic', { spec }))).toEqual([
        `spec.${list}: Forbidden: pod updates may not add or remove containers`,
      ])
    }
  })

  test.each<[string, object]>([
    ['another grace period', { terminationGracePeriodSeconds: 5 }],
    ['another variable', { containers: [container({ env: [{ name: 'A', value: 'b' }] })] }],
    ['another node', { nodeName: 'elsewhere' }],
  ])('%s is refused', async (_, spec) => {
    await make('fixed')
    const refused = await patch(one.api, `${pods}/fixed`, 'strategic', { spec })
    expect(causesOf(refused)).toEqual([
      expect.stringMatching(/^spec: Forbidden: pod updates may not change fields other than/),
    ])
  })
})

describe('ephemeral-containers', () => {
  const one = oneApi()
  const debugger1 = { name: 'debugger', image: 'busybox', stdin: true, tty: true }

  test('join a pod by their own path, and count a generation', async () => {
    await post(one.api, pods, podNamed('joined'))
    const at = `${pods}/joined/ephemeralcontainers`
    expect((await ask(one.api, at)).body.metadata).toMatchObject({ name: 'joined', generation: 1 })
    const patched = await patch(one.api, at, 'strategic', { spec: { ephemeralContainers: [debugger1] } })
    expect(patched.body.metadata.generation).toBe(2)
    expect(patched.body['spec']).toMatchObject({
      ephemeralContainers: [{ ...debugger1, imagePullPolicy: 'Always', terminationMessagePolicy: 'File' }],
    })
    const spec = patched.body['spec'] as { ephemeralContainers: object[] }
    const more = { name: 'second', image: 'busybox', targetContainerName: 'c' }
    const updated = await put(one.api, at, {
      ...patched.body,
      spec: { ...spec, ephemeralContainers: [...spec.ephemeralContainers, more] },
    })
    expect(updated.body.metadata.generation).toBe(3)
  })

  test('stay as they came', async () => {
    await post(one.api, pods, podNamed('stays'))
    const at = `${pods}/stays/ephemeralcontainers`
    const { body } = await patch(one.api, at, 'strategic', { spec: { ephemeralContainers: [debugger1] } })
    const changed = await patch(one.api, at, 'strategic', {
      spec: { ephemeralContainers: [{ name: 'debugger', image: 'other' }] },
    })
    expect(causesOf(changed)).toEqual([
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debugger" may not be changed\n',
    ])
    const spec = body['spec'] as object
    for (const ephemeralContainers of [[], null, [{ name: 'other', image: 'i' }]]) {
      const removed = await put(one.api, at, { ...body, spec: { ...spec, ephemeralContainers } })
      expect(causesOf(removed)).toEqual([
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debugger" may not be removed\n',
      ])
    }
    const plain = await put(one.api, `${pods}/stays`, { ...body, spec: { ...spec, ephemeralContainers: null } })
    expect(plain.body['spec']).toMatchObject({ ephemeralContainers: [{ name: 'debugger' }] })
  })

  test('have no ports, probes, hooks or resources, a name of their own, and a target that is there', async () => {
    await post(one.api, pods, podNamed('narrow'))
    const wrong = {
      name: 'c',
      image: 'i',
      ports: [{ containerPort: 80 }],
      livenessProbe: { exec: { command: ['x'] } },
      lifecycle: { preStop: { exec: { command: ['x'] } } },
      resources: { limits: { cpu: '1' } },
      targetContainerName: 'nobody',
    }
    const refused = await patch(one.api, `${pods}/narrow/ephemeralcontainers`, 'strategic', {
      spec: { ephemeralContainers: [wrong] },
    })
    expect(causesOf(refused).toSorted()).toEqual([
      'spec.ephemeralContainers[0].lifecycle: Forbidden: cannot be set for an Ephemeral Container',
      'spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container',
      'spec.ephemeralContainers[0].name: Duplicate value: "c"',
      'spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container',
      'spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container',
      'spec.ephemeralContainers[0].targetContainerName: Not found: "nobody"',
    ])
    expect((await post(one.api, pods, podNamed('early', { ephemeralContainers: [debugger1] }))).code).toBe(422)
    const of = await patch(one.api, `${pods}/nobody/ephemeralcontainers`, 'strategic', { spec: {} })
    expect([of.code, of.body.details?.name]).toEqual([404, 'nobody'])
  })
})

/** What is wrong with a pod, in the words in which upstream says it. */
const refusals: Readonly<Record<string, readonly (readonly [string, object, readonly string[]])[]>> = {
  sysctls: [
    [
      'names that are none',
      {
        securityContext: {
          sysctls: ['foo-', 'kernel.shmmax', 'safe-and-unsafe', 'bar..'].map(name => ({ name, value: '1' })),
        },
      },
      ['foo-', 'bar..'].map(
        name =>
          `spec.securityContext.sysctls[${name === 'foo-' ? 0 : 3}].name: Invalid value: "${name}": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`,
      ),
    ],
    [
      'one twice',
      { securityContext: { sysctls: [1, 2].map(() => ({ name: 'kernel.shm_rmid_forced', value: '1' })) } },
      ['spec.securityContext.sysctls[1].name: Duplicate value: "kernel.shm_rmid_forced"'],
    ],
    [
      'those of a namespace that is the host’s',
      {
        hostNetwork: true,
        hostIPC: true,
        securityContext: {
          sysctls: ['net/ipv4/ip_forward', 'kernel.sem', 'kernel.shmmax', 'vm.swappiness'].map(name => ({
            name,
            value: '1',
          })),
        },
      },
      [
        'spec.securityContext.sysctls[0].name: Invalid value: "net/ipv4/ip_forward": may not be specified when \'hostNetwork\' is true',
        'spec.securityContext.sysctls[1].name: Invalid value: "kernel.sem": may not be specified when \'hostIPC\' is true',
        'spec.securityContext.sysctls[2].name: Invalid value: "kernel.shmmax": may not be specified when \'hostIPC\' is true',
      ],
    ],
  ],
  'variable-expansion': [
    [
      'a subPathExpr that is absolute',
      mounted({ subPathExpr: '/tmp' }),
      ['spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "/tmp": must be a relative path'],
    ],
    [
      'a subPathExpr that leads out',
      mounted({ subPathExpr: 'a/../../b' }),
      ['spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "a/../../b": must not contain \'..\''],
    ],
    [
      'subPath and subPathExpr',
      mounted({ subPathExpr: '$(A)', subPath: 'a' }),
      [
        'spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "$(A)": subPathExpr and subPath are mutually exclusive',
      ],
    ],
  ],
  'downward-env': [
    [
      'a field that has no name',
      told({ fieldRef: { fieldPath: 'spec.foo' } }),
      [
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo',
      ],
    ],
    [
      'a field that no variable holds',
      told({ fieldRef: { fieldPath: 'status.phase' } }),
      [
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
      ],
    ],
    [
      'a part of a field that has none',
      told({ fieldRef: { fieldPath: "metadata.name['a']" } }),
      [
        "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['a']\": error converting fieldPath: field label does not support subscript: metadata.name['a']",
      ],
    ],
    [
      'a resource that is none',
      told({ resourceFieldRef: { resource: 'limits.gpu' } }),
      [
        'spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"',
      ],
    ],
    [
      'a divisor that fits no CPU',
      told({ resourceFieldRef: { resource: 'limits.cpu', divisor: '1Mi' } }),
      [
        'spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource',
      ],
    ],
    [
      'a file of a resource without its container',
      fileOf({ resourceFieldRef: { resource: 'limits.cpu' } }),
      ['spec.volumes[0].downwardAPI.items[0].resourceFieldRef.containerName: Required value'],
    ],
    [
      'a file of what only variables hold',
      fileOf({ fieldRef: { fieldPath: 'status.podIP' } }),
      [
        'spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"',
      ],
    ],
  ],
  hostport: [
    [
      'a host port that is not the container’s own on the host’s network',
      { hostNetwork: true, containers: [container({ ports: [{ containerPort: 80, hostPort: 8080 }] })] },
      [
        'spec.containers[0].ports[0].hostPort: Invalid value: 8080: must match `containerPort` when `hostNetwork` is true',
      ],
    ],
    [
      'one port twice',
      {
        containers: [
          container({ ports: [1, 2].map(() => ({ containerPort: 80, hostPort: 54_321, hostIP: '127.0.0.1' })) }),
        ],
      },
      ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP/127.0.0.1/54321"'],
    ],
  ],
  'lifecycle-hooks': [
    [
      'a sleep beyond the grace period',
      { containers: [container({ lifecycle: { preStop: { sleep: { seconds: 31 } } } })] },
      [
        'spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)',
      ],
    ],
    [
      'a hook that does nothing',
      { containers: [container({ lifecycle: { postStart: {} } })] },
      ['spec.containers[0].lifecycle.postStart: Required value: must specify a handler type'],
    ],
  ],
  'security-context': [
    [
      'a user below zero, and a group',
      { securityContext: { runAsUser: -1, supplementalGroups: [-2] } },
      [
        'spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive',
        'spec.securityContext.supplementalGroups[0]: Invalid value: -2: must be between 0 and 2147483647, inclusive',
      ],
    ],
    [
      'a profile of the node that has no name',
      { securityContext: { seccompProfile: { type: 'Localhost' } } },
      [
        'spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
      ],
    ],
    [
      'a kind of profile that there is not',
      { containers: [container({ securityContext: { seccompProfile: { type: 'Free' } } })] },
      [
        'spec.containers[0].securityContext.seccompProfile.type: Unsupported value: "Free": supported values: "Localhost", "RuntimeDefault", "Unconfined"',
      ],
    ],
    [
      'a name for the runtime’s own profile',
      { securityContext: { appArmorProfile: { type: 'RuntimeDefault', localhostProfile: 'x' } } },
      [
        'spec.securityContext.appArmorProfile.localhostProfile: Invalid value: "x": can only be set when AppArmor type is Localhost',
      ],
    ],
    [
      'a way to change owners that there is not',
      { securityContext: { fsGroupChangePolicy: 'Never' } },
      [
        'spec.securityContext.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"',
      ],
    ],
  ],
  'what a pod is made of': [
    [
      'a path of the host of no known type',
      { volumes: [{ name: 'v', hostPath: { path: '/v', type: 'Pipe' } }] },
      [
        'spec.volumes[0].hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
      ],
    ],
    [
      'a driver whose name is none',
      { volumes: [{ name: 'v', csi: { driver: 'a b' } }] },
      [expect.stringContaining('spec.volumes[0].csi.driver: Invalid value: "a b": a lowercase RFC 1123 subdomain')],
    ],
    [
      'a restart policy of one container',
      { containers: [container({ restartPolicy: 'Always' })] },
      ['spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers'],
    ],
    [
      'an operating system that nobody has',
      { os: { name: 'plan9' } },
      ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"'],
    ],
    [
      'a gate twice',
      { schedulingGates: [{ name: 'a' }, { name: 'a' }] },
      ['spec.schedulingGates[1]: Duplicate value: "a"'],
    ],
    [
      'a topology that is no label',
      {
        affinity: {
          podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'a b', namespaces: ['A'] }] },
        },
      },
      [
        expect.stringContaining(
          'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: Invalid value: "A"',
        ),
        expect.stringContaining(
          'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "a b"',
        ),
      ],
    ],
  ],
  secrets: [
    [
      'a key that is none',
      told({ secretKeyRef: { name: 's', key: 'a/b' } }),
      [
        expect.stringContaining(
          'spec.containers[0].env[0].valueFrom.secretKeyRef.key: Invalid value: "a/b": a valid config key',
        ),
      ],
    ],
  ],
}

function mounted(more: object): object {
  return {
    volumes: [{ name: 'v', emptyDir: {} }],
    containers: [container({ volumeMounts: [{ name: 'v', mountPath: '/v', ...more }] })],
  }
}

function told(valueFrom: object): object {
  return { containers: [container({ env: [{ name: 'A', valueFrom }] })] }
}

function fileOf(ref: object): object {
  return { volumes: [{ name: 'v', downwardAPI: { items: [{ path: 'file', ...ref }] } }] }
}

describe.each(Object.entries(refusals))('%s', (_, cases) => {
  const one = oneApi()
  test.each(cases)('%s is refused', async (_, spec, expected) => {
    const refused = await post(one.api, pods, podNamed('refused', spec))
    expect([refused.code, refused.body.reason]).toEqual([422, 'Invalid'])
    expect(causesOf(refused)).toEqual(expected)
  })
})

describe('what the kubelet resolves is taken as it is', () => {
  const one = oneApi()
  test.each<[string, object]>([
    [
      'a name of a sysctl with slashes',
      { securityContext: { sysctls: [{ name: 'kernel/shm_rmid_forced', value: '1' }] } },
    ],
    ['a variable in a path', mounted({ subPathExpr: '$(POD_NAME)' })],
    ['backticks in a path', mounted({ subPathExpr: '`hostname`' })],
    ['a label', told({ fieldRef: { fieldPath: "metadata.labels['app.kubernetes.io/name']" } })],
    ['an annotation in capitals', told({ fieldRef: { fieldPath: "metadata.annotations['myAnnotation']" } })],
    ['memory in mebibytes', told({ resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } })],
    ['huge pages', told({ resourceFieldRef: { resource: 'requests.hugepages-2Mi' } })],
    ['a file of all labels', fileOf({ fieldRef: { fieldPath: 'metadata.labels' } })],
    ['a file of a limit', fileOf({ resourceFieldRef: { containerName: 'c', resource: 'limits.cpu', divisor: '1m' } })],
  ])('%s', async (name, spec) => {
    const metadata = { generateName: `${name.replaceAll(/[^a-z]/g, '')}-` }
    const { code, body } = await post(one.api, pods, { ...podNamed('x', spec), metadata })
    expect([code, body.message]).toEqual([201, undefined])
  })
})
