// Sandboxes, containers, addresses, admission, probes and quality of service as functions of the pod.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { nextAddress, nodePodIp } from '../../src/kubelet/address.ts'
import { refusalOf } from '../../src/kubelet/admission.ts'
import { foldProbe, hasFailed, initialProbe } from '../../src/kubelet/probe.ts'
import { qosOf, resourcesOf } from '../../src/kubelet/qos.ts'
import { resolveSubPath, writeVolume } from '../../src/kubelet/run-volume.ts'
import { containerSpecOf, dnsOf, hostsFileOf, sandboxOf } from '../../src/kubelet/spec.ts'
import { node, podOf, references } from './cases.ts'

const main = (more: object = {}) => ({ name: 'main', image: 'app', ...more })
const podWith = (spec: object) => podOf({ spec: { containers: [main()], ...spec } })

test.each([
  [{}, ['169.254.20.10'], 'default.svc.cluster.local'],
  [{ hostNetwork: true }, ['192.168.1.1'], 'home.arpa'],
  [{ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }, ['169.254.20.10'], 'default.svc.cluster.local'],
  [{ dnsPolicy: 'Default' }, ['192.168.1.1'], 'home.arpa'],
  [{ dnsPolicy: 'None', dnsConfig: { nameservers: ['1.1.1.1'], searches: ['x'] } }, ['1.1.1.1'], 'x'],
])('DNS of %j asks %j and searches %s first', (spec, servers, search) => {
  const dns = dnsOf(podWith(spec), node)
  expect(dns.servers).toEqual(servers)
  expect(dns.searches[0]).toBe(search)
})

test('own DNS options replace those of the policy', () => {
  const dnsConfig = { options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] }
  expect(dnsOf(podWith({ dnsConfig }), node).options).toEqual(['ndots:2', 'edns0'])
})

test('host names: cut, given, whole by name, or the node’s own', () => {
  const named = (spec: object, name = 'web') => {
    const pod = podWith(spec)
    return sandboxOf({ ...pod, metadata: { ...pod.metadata, name } }, node, 0, undefined).hostname
  }
  expect(named({}, `${'a'.repeat(62)}-b`)).toBe('a'.repeat(62))
  expect(named({ hostname: 'h' })).toBe('h')
  expect(named({ hostNetwork: true })).toBe('one')
  expect(named({ hostname: 'h', subdomain: 's', setHostnameAsFQDN: true })).toBe('h.s.default.svc.cluster.local')
  expect(() => named({ hostname: 'h'.repeat(60), subdomain: 's', setHostnameAsFQDN: true })).toThrow('64 characters')
})

test('/etc/hosts is known as managed, with subdomain and aliases', () => {
  const hostAliases = [{ ip: '1.2.3.4', hostnames: ['a', 'b'] }]
  const text = hostsFileOf(podWith({ hostname: 'h', subdomain: 's', hostAliases }), node, '10.42.0.5', '')
  expect(text.split('\n')[0]).toBe('# Kubernetes-managed hosts file.')
  expect(text).toContain('10.42.0.5\th.s.default.svc.cluster.local\th\n')
  expect(text).toContain('# Entries added by HostAliases.\n1.2.3.4\ta\tb\n')
  const host = hostsFileOf(podWith({ hostNetwork: true, hostAliases }), node, '192.168.1.10', '127.0.0.1 localhost\n')
  expect(host).toMatch(/^# Kubernetes-managed hosts file \(host network\)\.\n127\.0\.0\.1 localhost\n/)
})

function spec(container: object, podSpec: object = {}, imageUser = '') {
  const pod = podOf({ spec: { volumes: [{ name: 'v', emptyDir: {} }], ...podSpec, containers: [main(container)] } })
  const [first] = pod.spec.containers
  if (first === undefined) throw new Error('no container')
  return containerSpecOf(pod, first, node, {
    ...{ type: 'app' as const, attempt: 0, backoffMs: undefined, specHash: 'h', sandboxId: 's', sandboxAttempt: 0 },
    ...{ references: references(), hostsFile: '/f/hosts', terminationFile: undefined, imageUser },
    source: volume => (volume === 'v' ? '/volumes/v' : undefined),
    subPath: (source, sub) => `${source}/${sub}`,
  })
}

test('command and arguments are expanded, a first attempt carries no back-off', () => {
  const made = spec({ command: ['a', '$(X)'], args: ['$(Y)'], env: [{ name: 'X', value: '1' }] })
  expect([made.command, made.args]).toEqual([['a', '1'], ['$(Y)']])
  expect(Object.keys(made.annotations)).not.toContain('flotilla.dev/backoff-ms')
})

test.each([
  [{ subPath: 'a/b' }, '/volumes/v/a/b'],
  [{ subPathExpr: '$(X)/b' }, '/volumes/v/one/b'],
  [{ subPathExpr: '$$(X)' }, '/volumes/v/$(X)'],
  [{}, '/volumes/v'],
])('a mount with %j shows %s', (mount, source) => {
  const env = [{ name: 'X', value: 'one' }]
  expect(spec({ env, volumeMounts: [{ name: 'v', mountPath: '/m', ...mount }] }).mounts[0]?.source).toBe(source)
})

test.each(['..', '/etc', 'a/../../b', '`id`'])('a subPathExpr that becomes %s is refused', value => {
  const volumeMounts = [{ name: 'v', mountPath: '/m', subPathExpr: '$(X)' }]
  expect(() => spec({ env: [{ name: 'X', value }], volumeMounts })).toThrow('no path inside the volume')
  expect(() => spec({ volumeMounts })).toThrow('$(X) names no variable')
})

test('an own /etc/hosts mount stands; otherwise the managed one is mounted', () => {
  expect(spec({}).mounts).toMatchObject([{ source: '/f/hosts', target: '/etc/hosts' }])
  const own = spec({ volumeMounts: [{ name: 'v', mountPath: '/etc/hosts' }] }).mounts
  expect(own).toMatchObject([{ source: '/volumes/v' }])
})

test.each([
  [{ runAsUser: 0 }, '', "container's runAsUser breaks non-root policy"],
  [{}, '', 'image will run as root'],
  [{}, 'nobody', 'non-numeric user (nobody)'],
])('runAsNonRoot refuses %j of image user "%s"', (securityContext, user, message) => {
  expect(() => spec({ securityContext: { runAsNonRoot: true, ...securityContext } }, {}, user)).toThrow(message)
})

test('addresses go round, and leave out network, node and broadcast', () => {
  expect(nextAddress('10.42.1.0/29', new Set(), undefined)).toBe('10.42.1.2')
  expect(nextAddress('10.42.1.0/29', new Set(['10.42.1.6']), '10.42.1.5')).toBe('10.42.1.2')
  expect(nextAddress('10.42.1.0/30', new Set(['10.42.1.2']), undefined)).toBeUndefined()
  expect(nextAddress('10.42.1.0/29', new Set(), '10.99.0.9')).toBe('10.42.1.2')
  expect(nextAddress('nonsense', new Set(), undefined)).toBeUndefined()
  expect(nodePodIp('10.42.1.0/24')).toBe('10.42.1.1')
  expect(() => nodePodIp('nonsense')).toThrow('is no IPv4 CIDR')
})

test('a node refuses what it has no room for', () => {
  const room = { cpuMilli: 1_000, memoryBytes: 2 ** 30, pods: 3 }
  const asks = (cpu: string, more: object = {}) =>
    podOf({ spec: { containers: [main({ resources: { requests: { cpu } }, ...more })] } })
  expect(refusalOf(asks('600m'), [asks('400m')], room)).toBeUndefined()
  expect(refusalOf(asks('601m'), [asks('400m')], room)?.reason).toBe('OutOfcpu')
  expect(refusalOf(asks('0'), [asks('0'), asks('0'), asks('0')], room)?.reason).toBe('OutOfpods')
  const port = (hostIP?: string) =>
    asks('0', { ports: [{ containerPort: 1, hostPort: 80, ...(hostIP && { hostIP }) }] })
  expect(refusalOf(port('127.0.0.1'), [port()], room)?.reason).toBe('NodePorts')
  expect(refusalOf(port('127.0.0.1'), [port('127.0.0.2')], room)).toBeUndefined()
  // A sidecar runs beside the init container after it.
  const init = (cpu: string, more: object = {}) => ({
    name: `i${cpu}`,
    image: 'app',
    resources: { requests: { cpu } },
    ...more,
  })
  const beside = podOf({
    spec: { initContainers: [init('500m', { restartPolicy: 'Always' }), init('501m')], containers: [main()] },
  })
  expect(refusalOf(beside, [], room)?.reason).toBe('OutOfcpu')
})

test.each([
  ['BestEffort', {}],
  ['Burstable', { requests: { cpu: '1' } }],
  ['Burstable', { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } }],
  ['Guaranteed', { limits: { cpu: '1', memory: '1Gi' } }],
] as const)('%s is the quality of %j', (quality, resources) => {
  const pod = podOf({ spec: { containers: [main({ resources })] } })
  expect(qosOf(pod.spec)).toBe(quality)
})

test('oom_score_adj follows the share of memory', () => {
  const score = (memory: string) =>
    resourcesOf({ resources: { requests: { memory } } }, 'Burstable', 4 * 2 ** 30).oomScoreAdj
  expect([score('0'), score('2Gi'), score('4Gi')]).toEqual([999, 500, 3])
})

test('a probe turns after its threshold, and readiness never ends a container', () => {
  const probe = { successThreshold: 2, failureThreshold: 2, timeoutSeconds: 1, periodSeconds: 1 }
  const fold = (kind: 'liveness' | 'readiness', results: string, held = false) =>
    [...results].reduce((state, result) => foldProbe(state, probe, result === '+'), initialProbe(kind, held))
  expect(fold('readiness', '+').holds).toBe(false)
  expect(fold('readiness', '++').holds).toBe(true)
  expect(fold('readiness', '++-').holds).toBe(true)
  expect(fold('readiness', '++--').holds).toBe(false)
  expect(fold('readiness', '-', true).holds).toBe(true)
  expect(hasFailed('liveness', fold('liveness', '-+-'), probe)).toBe(false)
  expect(hasFailed('liveness', fold('liveness', '--'), probe)).toBe(true)
  expect(hasFailed('readiness', fold('readiness', '--'), probe)).toBe(false)
})

test('subPaths stay inside, links followed, and new folders are as open as the volume', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fkb-sub-'))
  try {
    const volume = join(folder, 'v')
    mkdirSync(volume, { mode: 0o777 })
    symlinkSync('/etc', join(volume, 'out'))
    symlinkSync('nowhere', join(volume, 'dangling'))
    await expect(resolveSubPath(volume, 'out/passwd')).rejects.toThrow('leads out of the volume')
    await expect(resolveSubPath(volume, '../x')).rejects.toThrow('leaves the volume')
    await expect(resolveSubPath(volume, 'dangling')).rejects.toThrow('a link to nothing')
    const made = await resolveSubPath(volume, 'a/b')
    expect(statSync(made).mode & 0o777).toBe(statSync(volume).mode & 0o777)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a volume of files is swapped whole, and what went from it is gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fkb-vol-'))
  try {
    const file = (path: string, text: string) => ({ path, mode: 0o600, content: { kind: 'text' as const, text } })
    const write = (...files: ReturnType<typeof file>[]) =>
      writeVolume(folder, { kind: 'files', name: 'v', files }, undefined)
    const at = await write(file('a', '1'), file('deep/b', '2'))
    expect([readFileSync(join(at, 'a'), 'utf8'), readFileSync(join(at, 'deep/b'), 'utf8')]).toEqual(['1', '2'])
    expect(statSync(join(at, 'a')).mode & 0o777).toBe(0o600)
    await write(file('a', 'new'))
    expect(readFileSync(join(at, 'a'), 'utf8')).toBe('new')
    expect(() => statSync(join(at, 'deep'))).toThrow('ENOENT')
    writeFileSync(join(folder, 'plain'), '')
    const host = (path: string, type: string) =>
      writeVolume(folder, { kind: 'hostPath', name: 'h', path, type }, undefined)
    expect(await host(join(folder, 'plain'), 'File')).toBe(join(folder, 'plain'))
    await expect(host(join(folder, 'plain'), 'Directory')).rejects.toThrow('is not a Directory')
    await expect(host('relative', '')).rejects.toThrow('is not absolute')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
