// The runc runtime beyond conformance: its kinds of images, hostile layers, privileges. In namespaces of its own.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openRunc } from '../../src/drivers/runtime/runc.ts'
import { type TarEntry, tar } from '../../src/drivers/runtime/tar.ts'
import { type Bytes, utf8 } from '../../src/lib/bytes.ts'
import type { ContainerRuntime, ContainerSpec } from '../../src/world/runtime.ts'
import { busyboxEntries } from '../images.ts'
import { insideNamespaces } from '../namespaces.ts'
import {
  containerSpec,
  plainSecurity,
  readLogs,
  removePods,
  runPod,
  sandboxSpec,
  untilState,
  world,
} from '../runtime-specs.ts'

function missing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux'
  if (spawnSync('runc', ['--version']).status !== 0) return 'runc'
  return undefined
}

if (insideNamespaces('test/drivers/runtime-runc.test.ts', 'fru', missing()))
  describe('the runc runtime', () => {
    const { signal } = new AbortController()
    let folder: string
    let runtime: ContainerRuntime

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'fru-'))
      runtime = await openRunc(
        world,
        { stateDir: join(folder, 'state'), mtu: 1_450, nodePodIp: () => '10.215.0.1' },
        signal,
      )
    }, 60_000)
    afterEach(async () => await removePods(runtime))
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    let pods = 0
    async function logOf(image: string, script: string, more: Partial<ContainerSpec> = {}): Promise<string> {
      const pod = sandboxSpec(++pods, { ip: `10.215.0.${9 + pods}`, cgroupParent: '/fru' })
      const { id } = await runPod(runtime, pod, containerSpec(pod, image, ['sh', '-c', script], more), 'exited')
      return await readLogs(runtime, id)
    }
    const pull = (image: string) => runtime.perform({ kind: 'pull', image, auths: [] }, signal)
    const file = (path: string, content: string): TarEntry => ({
      kind: 'file',
      path,
      mode: 0o644,
      bytes: utf8(content),
    })
    const dir = (path: string): TarEntry => ({ kind: 'folder', path, mode: 0o755 })

    /** An OCI image layout of these layers, the lowest first. */
    function layout(name: string, layers: readonly Bytes[], config: object): string {
      const root = join(folder, name)
      mkdirSync(join(root, 'blobs/sha256'), { recursive: true })
      const add = (bytes: Bytes) => {
        const hash = createHash('sha256').update(bytes).digest('hex')
        writeFileSync(join(root, 'blobs/sha256', hash), bytes)
        return { digest: `sha256:${hash}`, size: bytes.length }
      }
      const json = (value: unknown) => add(utf8(JSON.stringify(value)))
      const manifest = json({ config: json({ config }), layers: layers.map(layer => add(gzipSync(layer))) })
      const other = { ...json({}), platform: { os: 'linux', architecture: 's390x' } }
      writeFileSync(join(root, 'index.json'), JSON.stringify({ manifests: [other, manifest] }))
      return `oci:${root}`
    }

    test('an OCI layout: layers over one another, removed files are gone, the configuration holds', async () => {
      const bottom = tar([
        ...busyboxEntries(),
        dir('d'),
        file('d/a', 'a'),
        file('d/b', 'b'),
        dir('e'),
        file('e/x', 'x'),
      ])
      const top = tar([
        dir('d'),
        file('d/.wh.a', ''),
        file('d/c', 'c'),
        dir('e'),
        file('e/.wh..wh..opq', ''),
        file('e/y', 'y'),
      ])
      const image = layout('layers', [bottom, top], {
        Entrypoint: ['/bin/sh', '-c'],
        Cmd: ['true'],
        Env: ['PATH=/bin', 'WHO=me'],
      })
      expect(await runtime.image(image, signal)).toBeUndefined()
      await pull(image)
      await pull(image)
      expect(await logOf(image, 'ls /d /e; echo $WHO')).toBe('/d:\nb\nc\n\n/e:\ny\nme\n')
      const before = await runtime.images(signal)
      expect(before.map(({ names }) => names[0])).toContain(image)
      await removePods(runtime)
      await runtime.perform({ kind: 'removeImage', image }, signal)
      expect(await runtime.image(image, signal)).toBeUndefined()
    })

    test('a layer cannot write through a link that another made', async () => {
      const victim = join(folder, 'victim')
      mkdirSync(victim)
      const bottom = tar([...busyboxEntries(), { kind: 'symlink', path: 'link', target: victim }])
      const top = tar([file('link/planted', 'evil'), file('link/.wh.other', '')])
      const image = layout('hostile', [bottom, top], { Env: ['PATH=/bin'] })
      writeFileSync(join(victim, 'other'), 'stays')
      await pull(image).catch(() => {})
      expect(readdirSync(victim)).toEqual(['other'])
    })

    test("an image whose /etc is a link does not lead to the host's files", async () => {
      const victim = join(folder, 'host-etc')
      mkdirSync(victim)
      symlinkSync('/nowhere', join(victim, 'resolv.conf'))
      const entries = busyboxEntries().filter(({ path }) => !path.startsWith('etc'))
      const image = layout('linked', [tar([...entries, { kind: 'symlink', path: 'etc', target: victim }])], {})
      await pull(image)
      await logOf(image, 'cat /etc/resolv.conf').catch(() => {})
      expect(readdirSync(victim)).toEqual(['resolv.conf'])
    })

    test('an agent that is killed with -9 takes no container along', async () => {
      writeFileSync(join(folder, 'agent.tar'), tar(busyboxEntries()))
      const from = (path: string) => JSON.stringify(join(import.meta.dirname, path))
      const pod = sandboxSpec(900, { ip: '10.215.0.200', cgroupParent: '/fru' })
      const script = 'i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 6'
      const container = containerSpec(pod, `tar:${folder}/agent.tar`, ['sh', '-c', script])
      const source = `
        const { openRunc } = await import(${from('../../src/drivers/runtime/runc.ts')})
        const { runPod, world } = await import(${from('../runtime-specs.ts')})
        const options = { stateDir: ${JSON.stringify(join(folder, 'state'))}, mtu: 1450, nodePodIp: () => '10.215.0.1' }
        const { signal } = new AbortController()
        const runtime = await openRunc(world, options, signal)
        await runtime.perform({ kind: 'pull', image: ${JSON.stringify(container.image)}, auths: [] }, signal)
        await runPod(runtime, ${JSON.stringify(pod)}, ${JSON.stringify(container)}, 'running')
        console.log('started')
        setInterval(() => {}, 1000)`
      const agent = spawn(process.execPath, ['--input-type=module', '-e', source], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await new Promise(resolve => agent.stdout.once('data', resolve))
      const ended = new Promise(resolve => agent.once('exit', resolve))
      agent.kill('SIGKILL')
      await ended
      const { id } = await untilState(runtime, pod.uid, 'main', 'running')
      expect((await untilState(runtime, pod.uid, 'main', 'exited')).state).toMatchObject({ exitCode: 6 })
      expect(await readLogs(runtime, id)).toBe(Array.from({ length: 60 }, (_, i) => `line ${i}\n`).join(''))
    })

    test('a plain tar of a root file system, a folder, and archives that are not any', async () => {
      writeFileSync(join(folder, 'root.tar'), tar([...busyboxEntries(), file('etc/mark', 'plain')]))
      await pull(`tar:${folder}/root.tar`)
      expect(await logOf(`tar:${folder}/root.tar`, 'cat /etc/mark')).toBe('plain')
      mkdirSync(join(folder, 'rootfs'))
      spawnSync('tar', ['-xf', join(folder, 'root.tar'), '-C', join(folder, 'rootfs')])
      expect(await logOf(`dir:${folder}/rootfs`, 'cat /etc/mark; echo changed > /etc/mark')).toBe('plain')
      expect(readFileSync(join(folder, 'rootfs/etc/mark'), 'utf8')).toBe('plain')
      writeFileSync(join(folder, 'broken.tar'), 'this is not an archive')
      await expect(pull(`tar:${folder}/broken.tar`)).rejects.toMatchObject({ reason: 'ErrImagePull' })
      await expect(pull('nginx:1')).rejects.toMatchObject({
        reason: 'ErrImagePull',
        message: expect.stringContaining('no registry'),
      })
    })

    test("the host's own root: its programs run, what is written stays in memory", async () => {
      const mark = `/usr/frt-${process.pid}`
      const script = `head -1 /etc/os-release; echo x > ${mark} && cat ${mark}; mkdir /data && ls -d /data`
      const log = await logOf('host', script)
      expect(log).toBe(`${readFileSync('/etc/os-release', 'utf8').split('\n')[0]}\nx\n/data\n`)
      expect(existsSync(mark)).toBe(false)
      expect(existsSync('/data')).toBe(false)
    })

    test('privileged has every capability of the machine, sees its devices, and writes /proc/sys', async () => {
      const security = { ...plainSecurity, privileged: true }
      const own = /CapBnd:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
      const script =
        'grep -q "CapEff.*$0" /proc/self/status && echo all; echo host-x > /proc/sys/kernel/hostname && hostname; ls -l $1 | cut -d" " -f1'
      writeFileSync(join(folder, 'p.tar'), tar([...busyboxEntries()]))
      await pull(`tar:${folder}/p.tar`)
      expect(await logOf(`tar:${folder}/p.tar`, script, { security, args: [own ?? '', '/dev/kmsg'] })).toMatch(
        /^all\nhost-x\nc/,
      )
      expect(await logOf(`tar:${folder}/p.tar`, 'ls /dev/kmsg || echo none')).toContain('none')
    })

    test('nothing is left on the machine when the pods are gone', async () => {
      expect(readdirSync(join(folder, 'state/containers'))).toEqual([])
      expect(readdirSync(join(folder, 'state/pods'))).toEqual([])
      expect(readdirSync(join(folder, 'state/runc'))).toEqual([])
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(join(folder, 'state'))
      expect(spawnSync('ip', ['-br', 'link']).stdout.toString()).not.toMatch(/^fl/m)
    })
  })
