// The process runtime beyond conformance: agents and shims that are killed, what is refused, volumes, logs that are rotated.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDocker } from '../../src/drivers/runtime/docker.ts'
import { openRuntime } from '../../src/drivers/runtime/open.ts'
import { helperProgram } from '../../src/drivers/runtime/pause/helper.ts'
import { openProcess } from '../../src/drivers/runtime/process.ts'
import { runs, startShim } from '../../src/drivers/runtime/shim.ts'
import { readLog } from '../../src/drivers/runtime/shim-log.ts'
import { text } from '../../src/lib/bytes.ts'
import type { ContainerRuntime, ContainerSpec, Security } from '../../src/world/runtime.ts'
import {
  containerSpec,
  plainResources,
  plainSecurity,
  readLogs,
  removePods,
  runPod,
  sandboxSpec,
  untilState,
  world,
} from '../runtime-specs.ts'

const { signal } = new AbortController()
const linux = process.platform === 'linux'
let folder: string
let runtime: ContainerRuntime
const open = () => openProcess(world, { stateDir: join(folder, 'state') }, signal)

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'frt-process-'))
  runtime = await open()
})
afterEach(async () => {
  await removePods(runtime)
  rmSync(folder, { recursive: true, force: true })
})

const shell = (script: string, more: Partial<ContainerSpec> = {}) =>
  containerSpec(sandboxSpec(1), 'host', ['sh', '-c', script], more)

describe('what survives', () => {
  /** An agent in a process of its own that starts a container and then waits to be killed. */
  function startAgent(script: string): ChildProcess {
    const source = `
      const { openProcess } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/drivers/runtime/process.ts'))})
      const { runPod, sandboxSpec, containerSpec, world } = await import(${JSON.stringify(join(import.meta.dirname, '../runtime-specs.ts'))})
      const runtime = await openProcess(world, { stateDir: ${JSON.stringify(join(folder, 'state'))} }, new AbortController().signal)
      const container = containerSpec(sandboxSpec(1), 'host', ['sh', '-c', ${JSON.stringify(script)}])
      await runPod(runtime, sandboxSpec(1), container, 'running')
      console.log('started')
      setInterval(() => {}, 1000)`
    return spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  test('an agent that is killed with -9 takes no container along, and its successor has the whole log and the exit code', async () => {
    const agent = startAgent('i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 6')
    await new Promise(resolve => agent.stdout?.once('data', resolve))
    const ended = new Promise(resolve => agent.once('exit', resolve))
    agent.kill('SIGKILL')
    await ended
    const before = await untilState(runtime, sandboxSpec(1).uid, 'main', 'running')
    const after = await untilState(runtime, sandboxSpec(1).uid, 'main', 'exited')
    expect(after.id).toBe(before.id)
    expect(after.state).toMatchObject({ exitCode: 6, oomKilled: false })
    expect(await readLogs(runtime, after.id)).toBe(Array.from({ length: 40 }, (_, i) => `line ${i}\n`).join(''))
  })

  test.runIf(linux)('a container whose shim is killed is ended too, and says so', async () => {
    const { id } = await runPod(runtime, sandboxSpec(1), shell('exec sleep 1000'), 'running')
    const started = JSON.parse(readFileSync(join(folder, 'state/containers', id, 'started.json'), 'utf8'))
    process.kill(started.shim, 'SIGKILL')
    const { state } = await untilState(runtime, sandboxSpec(1).uid, 'main', 'exited')
    expect(state).toMatchObject({ exitCode: 255, error: expect.stringContaining('shim') })
    // It may be a zombie for a while, which whoever inherits it reaps.
    expect(await runs(started.pid, started.start)).toBe(false)
  })

  test.runIf(linux)('a process number that was given to somebody else is not our container', async () => {
    const { id } = await runPod(runtime, sandboxSpec(1), shell('exec sleep 1000'), 'running')
    const path = join(folder, 'state/containers', id, 'started.json')
    const started = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...started, start: started.start + 1, shimStart: started.shimStart + 1 }))
    const { state } = await untilState(runtime, sandboxSpec(1).uid, 'main', 'exited')
    expect(state).toMatchObject({ exitCode: 255 })
    // Stopping it must not hit the process that has its number now.
    await runtime.perform({ kind: 'stopContainer', id, graceMs: 0 }, signal)
    expect(process.kill(started.pid, 0)).toBe(true)
    process.kill(started.pid, 'SIGKILL')
  })

  test('a container that was made and never started is started, and what was never finished is swept', async () => {
    const { id, sandboxId } = await runPod(runtime, sandboxSpec(1), shell('echo once'), 'exited')
    for (const name of ['started.json', 'exit.json', 'log', 'claimed'])
      rmSync(join(folder, 'state/containers', id, name), { force: true })
    mkdirSync(join(folder, 'state/containers/abcdef'))
    runtime = await open()
    expect(readdirSync(join(folder, 'state/containers'))).toEqual([id])
    expect((await runtime.observe(signal))[0]?.containers[0]?.state).toEqual({ kind: 'created' })
    await runtime.perform({ kind: 'startContainer', container: shell('echo once'), sandboxId }, signal)
    await untilState(runtime, sandboxSpec(1).uid, 'main', 'exited')
    expect(await readLogs(runtime, id)).toBe('once\n')
  })

  test.runIf(linux)('what a container leaves running in the background ends with it', async () => {
    const script = 'setsid sleep 1000 & echo $!; sleep 0.2; exit 0'
    const { id } = await runPod(runtime, sandboxSpec(1), shell(script), 'exited')
    const pid = Number(await readLogs(runtime, id))
    expect(pid).toBeGreaterThan(1)
    expect(await runs(pid, 0)).toBe(false)
  })
})

describe('what is refused, and what stands in', () => {
  const refused = async (container: ContainerSpec) => {
    const sandbox = sandboxSpec(1)
    await runtime.perform({ kind: 'createSandbox', sandbox }, signal)
    const id = (await runtime.observe(signal))[0]?.sandbox?.id ?? ''
    return await runtime
      .perform({ kind: 'startContainer', container, sandboxId: id }, signal)
      .then(() => 'accepted')
      .catch(error => `${error.reason}: ${error.message}`)
  }
  const secured = (security: Partial<Security>) => shell('true', { security: { ...plainSecurity, ...security } })

  test('limits, users, privileges and images are', async () => {
    expect(await refused(shell('true', { resources: { ...plainResources, memoryLimitBytes: 1e8 } }))).toMatch(
      /^Unsupported: .*memory limits/,
    )
    expect(await refused(shell('true', { resources: { ...plainResources, cpuLimitMilli: 100 } }))).toMatch(/CPU limits/)
    expect(await refused(secured({ uid: (process.getuid?.() ?? 0) + 1 }))).toMatch(/^Unsupported: .*user/)
    expect(await refused(secured({ privileged: true }))).toMatch(/^Unsupported/)
    expect(await refused(secured({ readOnlyRoot: true }))).toMatch(/^Unsupported/)
    expect(await refused({ ...shell('true'), image: 'nginx:1' })).toMatch(/^Unsupported: .*no container images/)
    expect(await refused(containerSpec(sandboxSpec(1), 'host', []))).toMatch(/^CreateContainerError: no command/)
    await expect(
      runtime.perform({ kind: 'createSandbox', sandbox: sandboxSpec(2, { sysctls: { a: 'b' } }) }, signal),
    ).rejects.toMatchObject({ reason: 'Unsupported' })
  })

  test('volumes are links below $FLOTILLA_ROOT, one inside another is refused', async () => {
    const source = join(folder, 'volume')
    mkdirSync(source)
    writeFileSync(join(source, 'key'), 'value')
    const mount = (target: string) => ({ source, target, readOnly: true, propagation: 'private' as const })
    const script = 'cat "$FLOTILLA_ROOT/etc/app/key"; echo more > "$FLOTILLA_ROOT/data/new"'
    const mounted = shell(script, { mounts: [mount('/etc/app'), mount('/data')] })
    const { id, found } = await runPod(runtime, sandboxSpec(1), mounted, 'exited')
    expect(found.state).toMatchObject({ exitCode: 0 })
    expect(await readLogs(runtime, id)).toBe('value')
    await runtime.perform({ kind: 'removeContainer', id }, signal)
    expect(readdirSync(source)).toEqual(['key', 'new'])
    expect(await refused(shell('true', { mounts: [mount('/data'), mount('/data/inner')] }))).toMatch(/^Unsupported/)
  })

  test('a folder as the image is the working folder, and its programs come first', async () => {
    mkdirSync(join(folder, 'app/bin'), { recursive: true })
    writeFileSync(join(folder, 'app/bin/hello'), '#!/bin/sh\necho "hello from $(basename "$PWD")"\n', { mode: 0o755 })
    const container = containerSpec(sandboxSpec(1), `dir:${folder}/app`, ['hello'])
    const { id } = await runPod(runtime, sandboxSpec(1), container, 'exited')
    expect(await readLogs(runtime, id)).toBe('hello from app\n')
  })

  test("nothing of the agent's environment reaches a container", async () => {
    process.env['FLOTILLA_TEST_SECRET'] = 'hush'
    try {
      const { id } = await runPod(runtime, sandboxSpec(1), shell('env'), 'exited')
      const log = await readLogs(runtime, id)
      expect(log).not.toContain('hush')
      expect(log).toContain('HOSTNAME=host-1\n')
    } finally {
      delete process.env['FLOTILLA_TEST_SECRET']
    }
  })
})

describe.runIf(linux)('the log of a shim', () => {
  async function shimLog(script: string, bytesMax: number, follow: boolean): Promise<{ log: string; files: string[] }> {
    const at = join(folder, 'state/containers/ab')
    mkdirSync(at)
    const helper = await helperProgram(join(folder, 'state'))
    if (helper === undefined) throw new Error('no helper')
    const launch = {
      program: ['/bin/sh', '-c', script],
      flags: ['-m', String(bytesMax)],
      env: { PATH: '/usr/bin:/bin' },
    }
    await startShim(world, [helper], at, launch, signal)
    const ended = async () => readdirSync(at).includes('exit.json')
    if (!follow) while (!(await ended())) await sleep(20)
    let log = ''
    for await (const bytes of readLog(world, at, { follow, timestamps: false }, ended, signal)) log += text(bytes)
    while (!(await ended())) await sleep(20)
    const files = readdirSync(at).filter(name => name.startsWith('log'))
    rmSync(at, { recursive: true })
    return { log, files }
  }

  test('never takes more than two files of its bound, and keeps the newest lines', async () => {
    const { log, files } = await shimLog('i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done', 20_000, false)
    expect(files).toEqual(['log', 'log.1'])
    const lines = log.trimEnd().split('\n')
    expect(lines.at(-1)).toBe('line 2999')
    const first = Number(lines[0]?.split(' ')[1])
    expect(first).toBeGreaterThan(1_000)
    expect(lines).toEqual(Array.from({ length: 3_000 - first }, (_, i) => `line ${first + i}`))
  })

  test('is followed over a rotation without a gap', async () => {
    const { log } = await shimLog(
      'i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.003; done',
      8_000,
      true,
    )
    expect(log).toBe(Array.from({ length: 300 }, (_, i) => `line ${i}\n`).join(''))
  })
})

describe('choosing', () => {
  const options = () => ({
    stateDir: join(folder, 'choice'),
    dockerSocket: join(folder, 'docker.sock'),
    owner: 'test/node',
    mtu: 1_450,
    nodePodIp: () => undefined,
  })

  test('processes are what always works, and asking for what is not there says why', async () => {
    const asked = await openRuntime('process', world, options(), signal)
    expect(asked.runtime.capabilities.name).toBe('process')
    await expect(openRuntime('docker', world, options(), signal)).rejects.toMatchObject({
      reason: 'Unavailable',
      message: expect.stringContaining('no Docker daemon answers'),
    })
  })

  test('a Docker that was here the last time is waited for before another runtime is chosen', async () => {
    mkdirSync(join(folder, 'choice'))
    writeFileSync(join(folder, 'choice/chosen'), 'docker')
    const from = Date.now()
    const opened = await openRuntime('auto', world, { ...options(), patienceMs: 1_200 }, signal)
    expect(Date.now() - from).toBeGreaterThanOrEqual(1_200)
    expect(opened.why).toContain('no Docker daemon answers')
    expect(readFileSync(join(folder, 'choice/chosen'), 'utf8')).toBe(opened.runtime.capabilities.name)
  })

  test('a socket that never answers is no Docker, after two seconds', async () => {
    const server = createServer(() => {})
    await new Promise<void>(resolve => server.listen(join(folder, 'docker.sock'), resolve))
    try {
      const { dockerSocket: socketPath, ...rest } = options()
      const from = Date.now()
      expect(await openDocker(world, { ...rest, socketPath }, signal)).toBeUndefined()
      expect(Date.now() - from).toBeLessThan(20_000)
    } finally {
      server.close()
    }
  })
})
