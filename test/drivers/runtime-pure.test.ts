// What the runtimes decide without an outside: labels, framing, log records, references, OCI and Docker bodies.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { field, groupsOf } from '../../src/drivers/runtime/cgroup.ts'
import { authsFor, parseReference } from '../../src/drivers/runtime/docker-images.ts'
import {
  containerBody,
  cpuShares,
  type DaemonTraits,
  sandboxBody,
  sliceName,
} from '../../src/drivers/runtime/docker-spec.ts'
import { joinStamped } from '../../src/drivers/runtime/docker-streams.ts'
import { containerLabels, identityOf, sandboxLabels } from '../../src/drivers/runtime/labels.ts'
import { pauseArchive } from '../../src/drivers/runtime/pause/image.ts'
import { imageSource } from '../../src/drivers/runtime/runc-images.ts'
import {
  commandOf,
  containerConfig,
  type ImageConfig,
  type MachineTraits,
} from '../../src/drivers/runtime/runc-spec.ts'
import { printer, recordParser } from '../../src/drivers/runtime/shim-log.ts'
import { signalNumber } from '../../src/drivers/runtime/signals.ts'
import { demultiplexer } from '../../src/drivers/runtime/streams.ts'
import { type Bytes, concat, text, utf8 } from '../../src/lib/bytes.ts'
import { containerSpec, plainResources, plainSecurity, sandboxSpec } from '../runtime-specs.ts'

const sandbox = sandboxSpec(1, { ip: '10.0.0.9', cgroupParent: '/kubepods/pod1', sharePid: true })
const container = containerSpec(sandbox, 'busybox', ['sh'], { attempt: 3, annotations: { 'a/b': 'ü "quoted"' } })

describe('labels', () => {
  test('give back what was put on, and nothing for labels of others or damaged ones', () => {
    expect(identityOf(sandboxLabels('me', sandbox))).toEqual({
      type: 'sandbox',
      uid: sandbox.uid,
      namespace: 'default',
      pod: 'pod-1',
      attempt: 0,
      cgroupParent: '/kubepods/pod1',
      annotations: sandbox.annotations,
      sharePid: true,
      ip: '10.0.0.9',
    })
    const labels = containerLabels('me', container, 'box')
    expect(identityOf(labels)).toMatchObject({
      type: 'container',
      name: 'main',
      kind: 'app',
      attempt: 3,
      specHash: 'hash',
      image: 'busybox',
      sandboxId: 'box',
      annotations: { 'a/b': 'ü "quoted"' },
    })
    expect(identityOf({})).toBeUndefined()
    for (const name of Object.keys(labels)) {
      const damaged = identityOf({ ...labels, [name]: '\u0000' })
      if (/attempt|annotations|type|kind$/.test(name)) expect(damaged, name).toBeUndefined()
    }
  })
})

describe('streams', () => {
  test('frames come out the same however the bytes are cut', () => {
    const frameOf = (kind: number, bytes: Bytes) => {
      const header = Buffer.alloc(8)
      header[0] = kind
      header.writeUInt32BE(bytes.length, 4)
      return concat([header, bytes])
    }
    const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 })), { maxLength: 8 })
    fc.assert(
      fc.property(frames, fc.array(fc.nat(60), { maxLength: 12 }), (sent, cuts) => {
        const whole = concat(sent.map(([kind, bytes]) => frameOf(kind, bytes)))
        const demultiplex = demultiplexer()
        const got = cut(whole, cuts).flatMap(chunk => demultiplex(chunk))
        expect(got.map(({ stream, bytes }) => [stream, [...bytes]])).toEqual(
          sent.map(([kind, bytes]) => [kind === 2 ? 'stderr' : 'stdout', [...bytes]]),
        )
      }),
    )
  })

  test('records of one long line keep the first stamp alone, for each stream', () => {
    const join = joinStamped()
    const frame = (stream: 'stdout' | 'stderr', line: string) => text(join({ stream, bytes: utf8(line) }))
    expect(frame('stdout', 'T1 aaa')).toBe('T1 aaa')
    expect(frame('stderr', 'T2 err\n')).toBe('T2 err\n')
    expect(frame('stdout', 'T3 bbb\n')).toBe('bbb\n')
    expect(frame('stdout', 'T4 ccc\n')).toBe('T4 ccc\n')
  })

  test('log records come out the same however the file is read, and torn or foreign lines are left out', () => {
    const file = utf8(
      'S1 stdout F one\nS2 stderr P tw\nS3 stdout F \nS4 stderr F o\nrubbish\nS5 stdin F no\nS6 stdout F torn',
    )
    fc.assert(
      fc.property(fc.array(fc.nat(30), { maxLength: 10 }), cuts => {
        const parse = recordParser()
        const print = printer({ follow: false, timestamps: true })
        const printed = cut(file, cuts).flatMap(chunk =>
          parse(Buffer.from(chunk)).map(record => print(record)?.toString()),
        )
        expect(printed).toEqual(['S1 one\n', 'S2 tw', 'S3 \n', 'o\n'])
      }),
    )
  })
})

function cut(whole: Bytes, cuts: readonly number[]): Bytes[] {
  const parts: Bytes[] = []
  let rest = whole
  for (const at of cuts) {
    parts.push(rest.subarray(0, at))
    rest = rest.subarray(at)
  }
  return [...parts, rest]
}

describe('references', () => {
  test('always have a version, since Docker would pull every tag', () => {
    const version = (name: string) => {
      const { repository, version } = parseReference(name)
      return [repository, version]
    }
    expect(version('nginx')).toEqual(['nginx', 'latest'])
    expect(version('localhost:5000/a/b')).toEqual(['localhost:5000/a/b', 'latest'])
    expect(version('localhost:5000/a/b:v1')).toEqual(['localhost:5000/a/b', 'v1'])
    const digest = `sha256:${'0'.repeat(64)}`
    expect(version(`a/b:v1@${digest}`)).toEqual(['a/b', digest])
    for (const bad of ['', 'a b', 'UPPER', 'a:', 'a@', '/a', 'a?b=c', 'a#b'])
      expect(() => parseReference(bad), bad).toThrow(/parse image name/)
  })

  test('credentials fit by registry and path, the most specific first', () => {
    const auth = (server: string) => ({ server, username: server, password: '' })
    const fitting = (image: string, ...servers: string[]) =>
      authsFor(image, servers.map(auth)).map(({ server }) => server)
    expect(fitting('nginx:1', 'https://index.docker.io/v1/', 'quay.io')).toEqual(['https://index.docker.io/v1/'])
    expect(fitting('me/app:1', 'docker.io/me', 'docker.io', 'docker.io/other')).toEqual(['docker.io/me', 'docker.io'])
    expect(fitting('quay.io/me/app:1', 'quay.io', '*.io', 'quay.io.evil.com', 'docker.io')).toEqual(['quay.io', '*.io'])
    expect(fitting('r.io:5000/a:1', 'r.io', 'r.io:5000')).toEqual(['r.io:5000'])
  })

  test('of files are told from references of a registry', () => {
    expect(imageSource('host')).toEqual({ kind: 'host' })
    expect(imageSource('file:///a/b.tar')).toEqual({ kind: 'tar', path: '/a/b.tar' })
    expect(imageSource('oci:/a/../b')).toEqual({ kind: 'oci', path: '/b' })
    expect(() => imageSource('nginx')).toThrow(/no registry/)
    expect(() => imageSource('Not an image')).toThrow(/parse image name/)
  })
})

const traits: DaemonTraits = { cgroupDriver: 'cgroupfs', lowersOomScore: true, podNetwork: true }

describe('Docker bodies', () => {
  test('the pause is deterministic: the image has the same ID on every machine', () => {
    expect(pauseArchive('x64')).toEqual(pauseArchive('x64'))
    expect(pauseArchive('arm64')).not.toEqual(pauseArchive('x64'))
  })

  test('systemd gets slices, a daemon without the right gets no lower OOM score, one elsewhere its own bridge', () => {
    const other: DaemonTraits = { cgroupDriver: 'systemd', lowersOomScore: false, podNetwork: false }
    const body = sandboxBody({ ...sandbox, cgroupParent: '/kubepods/burstable/pod1-2' }, {}, other)
    expect(body).toMatchObject({
      HostConfig: { NetworkMode: 'bridge', CgroupParent: 'kubepods-burstable-pod1_2.slice', OomScoreAdj: 0 },
    })
    expect(sandboxBody(sandbox, {}, traits)).toMatchObject({ HostConfig: { NetworkMode: 'none', OomScoreAdj: -998 } })
    expect(sliceName('/a/b-c')).toBe('a-b_c.slice')
  })

  test('a container joins its pod, and a host network pod has nothing that Docker refuses with it', () => {
    const box = { id: 'box', hostNetwork: false, hostPid: false, hostIpc: false, sharePid: true }
    const body = containerBody(container, box, {}, '', traits)
    expect(body).toMatchObject({
      Entrypoint: ['sh'],
      HostConfig: { NetworkMode: 'container:box', IpcMode: 'container:box', PidMode: 'container:box' },
    })
    const onHost = sandboxBody({ ...sandbox, hostNetwork: true }, {}, traits)
    expect(onHost).not.toHaveProperty('Hostname')
    expect(onHost).toMatchObject({ HostConfig: { NetworkMode: 'host', UTSMode: 'host' } })
  })

  test('CPU shares have the kernel bounds', () => {
    expect([cpuShares(0), cpuShares(100), cpuShares(1_000), cpuShares(1e9)]).toEqual([2, 102, 1_024, 262_144])
  })
})

describe('OCI bundles', () => {
  const image: ImageConfig = {
    command: ['serve'],
    entrypoint: ['/run'],
    env: ['A=image', 'B=image', 'broken'],
    user: '',
    workingDir: '/work',
    stopSignal: '',
  }
  const machine: MachineTraits = {
    capabilities: new Set(['CHOWN', 'NET_ADMIN', 'SYS_ADMIN']),
    lowersOomScore: false,
    unifiedCgroups: true,
    swapLimit: false,
  }
  const user = { uid: 1, gid: 2, groups: [3], home: '/home/me' }
  const config = (more: Partial<typeof container>) =>
    containerConfig(
      { ...container, ...more },
      image,
      user,
      { hostPid: false, network: '/n' },
      [],
      '/g/id',
      machine,
      [],
    ) as {
      process: { args: string[]; env: string[]; cwd: string; capabilities: { effective: string[] } }
      linux: { seccomp?: { syscalls: { names: string[] }[] }; namespaces: { type: string }[]; maskedPaths?: string[] }
    }

  test('command and arguments follow Kubernetes: a command puts both of the image aside, arguments only its command', () => {
    const words = (command: string[], args: string[]) => commandOf({ ...container, command, args }, image)
    expect(words([], [])).toEqual(['/run', 'serve'])
    expect(words([], ['x'])).toEqual(['/run', 'x'])
    expect(words(['c'], [])).toEqual(['c'])
    expect(words(['c'], ['x'])).toEqual(['c', 'x'])
  })

  test('the environment of the spec wins over that of the image', () => {
    const { env, cwd } = config({ env: [{ name: 'A', value: 'spec' }] }).process
    expect(env).toContain('A=spec')
    expect(env).toContain('B=image')
    expect(env).toContain('HOME=/home/me')
    expect(env).not.toContain('A=image')
    expect(cwd).toBe('/work')
  })

  test('privileged means all that this machine has to give, and no filters', () => {
    const privileged = config({ security: { ...plainSecurity, privileged: true } })
    expect(privileged.process.capabilities.effective).toEqual(['CAP_CHOWN', 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN'])
    expect(privileged.linux.seccomp).toBeUndefined()
    expect(privileged.linux.maskedPaths).toBeUndefined()
  })

  test('a capability that is given gives its system calls back', () => {
    const refused = (addCapabilities: string[]) =>
      config({ security: { ...plainSecurity, addCapabilities } }).linux.seccomp?.syscalls.flatMap(
        ({ names }) => names,
      ) ?? []
    expect(refused([])).toContain('mount')
    expect(refused(['CAP_SYS_ADMIN'])).not.toContain('mount')
    expect(refused(['SYS_ADMIN'])).toContain('keyctl')
    expect(config({ security: { ...plainSecurity, seccomp: 'unconfined' } }).linux.seccomp).toBeUndefined()
  })

  test('limits are set only where they are asked for', () => {
    expect(config({})).not.toHaveProperty('linux.resources.memory')
    expect(
      config({ resources: { ...plainResources, memoryLimitBytes: 5e7, cpuLimitMilli: 1, pidsLimit: 9 } }),
    ).toMatchObject({ linux: { resources: { memory: { limit: 5e7 }, cpu: { quota: 1_000 }, pids: { limit: 9 } } } })
  })
})

test('signals by name, by number, real-time ones too', () => {
  expect(['SIGTERM', 'term', '15', 'SIGRTMIN+3', 'RTMAX-1'].map(signalNumber)).toEqual([15, 15, 15, 37, 63])
  expect(['', 'SIGNOTHING', undefined].map(signalNumber)).toEqual([undefined, undefined, undefined])
})

test('cgroup files of both versions are understood', () => {
  const old = groupsOf('11:memory:/pods/a\n4:cpu,cpuacct:/pods/b\n0::/c')
  expect([old.get('memory'), old.get('cpuacct'), old.get('')]).toEqual(['/pods/a', '/pods/b', '/c'])
  expect(field('usage_usec 77\nuser_usec 3\n', 'usage_usec')).toBe(77)
  expect(field('a 1\n', 'b')).toBe(0)
})
