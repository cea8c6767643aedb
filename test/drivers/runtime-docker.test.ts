// The Docker runtime beyond conformance: a daemon that dies, registries with passwords, pods that were left half made,
// several agents on one daemon. In namespaces of its own.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openDocker } from '../../src/drivers/runtime/docker.ts'
import { connectDocker } from '../../src/drivers/runtime/docker-api.ts'
import { containerBody } from '../../src/drivers/runtime/docker-spec.ts'
import { containerLabels } from '../../src/drivers/runtime/labels.ts'
import { pauseImageName } from '../../src/drivers/runtime/pause/image.ts'
import type { ContainerRuntime, RegistryAuth } from '../../src/world/runtime.ts'
import { type Dockerd, startDockerd } from '../dockerd.ts'
import { busyboxArchive, nodeArchive } from '../images.ts'
import { insideNamespaces } from '../namespaces.ts'
import { startRegistry } from '../registry.ts'
import { containerSpec, readLogs, removePods, runPod, sandboxSpec, untilState, world } from '../runtime-specs.ts'

function missing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux'
  if (spawnSync('dockerd', ['--version']).status !== 0) return 'dockerd'
  return undefined
}

if (insideNamespaces('test/drivers/runtime-docker.test.ts', 'frd', missing()))
  describe('the Docker runtime', () => {
    const { signal } = new AbortController()
    let dockerd: Dockerd
    let runtime: ContainerRuntime
    const pod = (number: number) => sandboxSpec(number, { ip: `10.214.0.${9 + number}`, cgroupParent: '/frd' })
    const shell = (number: number, script: string) => containerSpec(pod(number), 'busybox:test', ['sh', '-c', script])

    async function open(owner = 'test/node-1'): Promise<ContainerRuntime> {
      const stateDir = join(dockerd.folder, 'state')
      mkdirSync(stateDir, { recursive: true })
      const { socketPath } = dockerd
      const options = { socketPath, stateDir, owner, mtu: 1_450, nodePodIp: () => '10.214.0.1' }
      const opened = await openDocker(world, options, signal)
      if (opened === undefined) throw new Error('no Docker')
      return opened
    }

    beforeAll(async () => {
      dockerd = await startDockerd('frd')
      await dockerd.load(busyboxArchive())
      runtime = await open()
    }, 180_000)
    afterEach(async () => await removePods(runtime))
    afterAll(async () => await dockerd?.stop(), 120_000)

    test('a daemon that is killed and comes back: hints go on, the log has no gap, an exit in between is known', async () => {
      const stay = pod(1)
      const leave = pod(2)
      const lines = 'i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exec sleep 1000'
      const { id } = await runPod(runtime, stay, shell(1, lines), 'running')
      await runPod(runtime, leave, shell(2, 'sleep 1; exit 5'), 'running')
      const done = new AbortController()
      const hinted: string[] = []
      const reading = (async () => {
        for await (const uid of runtime.changed(done.signal)) hinted.push(uid)
      })()
      while (hinted.length < 2) await sleep(20)
      await dockerd.kill()
      await expect(runtime.observe(signal)).rejects.toMatchObject({ reason: 'Unavailable' })
      await expect(
        runtime.perform({ kind: 'startContainer', container: shell(1, 'true'), sandboxId: 'x' }, signal),
      ).rejects.toMatchObject({ reason: 'Unavailable' })
      hinted.length = 0
      await sleep(1_500)
      await dockerd.start()
      while (!hinted.includes(stay.uid) || !hinted.includes(leave.uid)) await sleep(20)
      done.abort()
      await reading
      expect((await untilState(runtime, leave.uid, 'main', 'exited')).state).toMatchObject({ exitCode: 5 })
      expect((await untilState(runtime, stay.uid, 'main', 'running')).id).toBe(id)
      let log = ''
      while (!log.includes('line 59')) log = await readLogs(runtime, id)
      expect(log).toBe(Array.from({ length: 60 }, (_, i) => `line ${i}\n`).join(''))
    })

    test('pulling: with the right password among several, and with the words of the registry where it fails', async () => {
      const registry = await startRegistry({ username: 'me', password: 'secret' })
      const image = `${registry.address}/${registry.repository}:v1`
      const pull = (name: string, ...auths: RegistryAuth[]) =>
        runtime.perform({ kind: 'pull', image: name, auths }, signal)
      const auth = (password: string) => ({ server: registry.address, username: 'me', password })
      try {
        await expect(pull(image)).rejects.toMatchObject({
          reason: 'ErrImagePull',
          message: expect.stringMatching(/no basic auth|unauthorized|authentication required/),
        })
        await expect(pull(image, auth('wrong'))).rejects.toMatchObject({ reason: 'ErrImagePull' })
        expect(await runtime.image(image, signal)).toBeUndefined()
        await pull(image, auth('wrong'), auth('secret'))
        const info = await runtime.image(image, signal)
        expect(info?.names).toContain(image)
        await expect(pull(image.replace(':v1', ':v2'), auth('secret'))).rejects.toMatchObject({
          reason: 'ErrImagePull',
          message: expect.stringContaining('manifest unknown'),
        })
        const { found } = await runPod(runtime, pod(3), { ...shell(3, 'true'), image }, 'exited')
        expect(found.imageId).toMatch(new RegExp(`^${registry.address}/team/app@sha256:[0-9a-f]{64}$`))
        await removePods(runtime)
        await runtime.perform({ kind: 'removeImage', image }, signal)
        await runtime.perform({ kind: 'removeImage', image }, signal)
        expect(await runtime.image(image, signal)).toBeUndefined()
      } finally {
        await registry.stop()
      }
    })

    test('a sandbox that has lost its network does not count as running, and is mended when it is asked for', async () => {
      const sandbox = pod(4)
      const { sandboxId } = await runPod(runtime, sandbox, shell(4, 'exec sleep 1000'), 'running')
      const name = `fl${createHash('sha256').update(sandbox.uid).digest('hex').slice(0, 12)}`
      expect(spawnSync('ip', ['link', 'del', name]).status).toBe(0)
      const again = await open()
      const running = async () => (await again.observe(signal)).find(({ uid }) => uid === sandbox.uid)?.sandbox
      expect(await running()).toMatchObject({ id: sandboxId, running: false })
      await again.perform({ kind: 'createSandbox', sandbox }, signal)
      expect(await running()).toMatchObject({ id: sandboxId, running: true })
    })

    test('a container that was made and not started, when the agent was killed, is started', async () => {
      const { sandboxId } = await runPod(runtime, pod(5), shell(5, 'echo first'), 'exited')
      const second = { ...shell(5, 'echo second'), name: 'second' }
      const api = await connectDocker(dockerd.socketPath, signal)
      const traits = { cgroupDriver: 'cgroupfs', lowersOomScore: false, podNetwork: true } as const
      const box = { id: sandboxId, hostNetwork: false, hostPid: false, hostIpc: false, sharePid: false }
      const body = containerBody(second, box, containerLabels('test/node-1', second, sandboxId), '', traits)
      const name = `flotilla_second_${second.pod}_default_${second.uid}_0`
      const made = await api.json<{ Id: string }>(
        { method: 'POST', path: '/containers/create', query: { name }, body },
        signal,
      )
      expect((await untilState(runtime, second.uid, 'second', 'created')).id).toBe(made.Id)
      await runtime.perform({ kind: 'startContainer', container: second, sandboxId }, signal)
      const found = await untilState(runtime, second.uid, 'second', 'exited')
      expect(found.id).toBe(made.Id)
      expect(await readLogs(runtime, found.id)).toBe('second\n')
    })

    test("another agent's pods on the same daemon are not seen and not touched", async () => {
      const { sandboxId } = await runPod(runtime, pod(6), shell(6, 'exec sleep 1000'), 'running')
      const other = await open('test/node-2')
      expect(await other.observe(signal)).toEqual([])
      const { uid } = pod(6)
      await expect(other.perform({ kind: 'removeSandbox', uid, id: sandboxId }, signal)).rejects.toThrow(/not ours/)
      await expect(other.perform({ kind: 'createSandbox', sandbox: pod(6) }, signal)).rejects.toThrow(/not ours/)
      await expect(other.dial(uid, 80, signal)).rejects.toMatchObject({ reason: 'NotFound' })
      expect((await runtime.observe(signal))[0]?.sandbox).toMatchObject({ id: sandboxId, running: true })
    })

    test('the pause image comes back when somebody has removed it, and is not among the images', async () => {
      await runPod(runtime, pod(7), shell(7, 'true'), 'exited')
      await removePods(runtime)
      await runtime.perform({ kind: 'removeImage', image: pauseImageName }, signal)
      await runPod(runtime, pod(7), shell(7, 'true'), 'exited')
      const names = (await runtime.images(signal)).flatMap(image => image.names)
      expect(names).toContain('busybox:test')
      expect(names).not.toContain(pauseImageName)
    })

    test('node runs as a container', async () => {
      await dockerd.load(nodeArchive())
      const container = containerSpec(pod(8), 'node:test', ['node', '-e', 'console.log(process.version)'])
      const { id } = await runPod(runtime, pod(8), container, 'exited')
      expect(await readLogs(runtime, id)).toBe(`${process.version}\n`)
    })
  })
