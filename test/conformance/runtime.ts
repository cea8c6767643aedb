// What every container runtime promises, as far as its capabilities go. Called by runtime-*.test.ts with a real one.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bytes, concat, text, utf8 } from '../../src/lib/bytes.ts'
import {
  type ContainerRuntime,
  type ContainerSpec,
  type Observed,
  type ObservedContainer,
  RuntimeError,
  type SandboxSpec,
  type Security,
} from '../../src/world/runtime.ts'
import * as specs from '../runtime-specs.ts'
import { client, plainResources, plainSecurity, type Size } from '../runtime-specs.ts'

export type Harness = {
  readonly name: string
  /** Makes what the runtime needs and returns how to open it: each call is an agent that was started again. */
  readonly start: () => Promise<{
    readonly open: (signal: AbortSignal) => Promise<ContainerRuntime>
    readonly folder: string
    /** With a shell and the usual tools; names the user 'nobody' in `userImage` where images have users. */
    readonly image: string
    readonly userImage?: string
    readonly stop: () => Promise<void>
  }>
  /** Capabilities, known before the runtime is open. */
  readonly can: {
    readonly podNetwork: boolean
    readonly isolation: boolean
    readonly mounts: boolean
    readonly terminals: boolean
  }
  /** An echo server for one connection on `address:port`, as a command. */
  readonly echoServer: (address: string, port: number) => readonly string[]
  /** Free ports where pods share the host's. */
  readonly port: number
}

export function runtimeSuite(harness: Harness): void {
  describe(`runtime ${harness.name}`, () => {
    const ended = new AbortController()
    const { signal } = ended
    const { can } = harness
    let runtime: ContainerRuntime
    let started: Awaited<ReturnType<Harness['start']>>
    let pods = 0

    beforeAll(async () => {
      started = await harness.start()
      runtime = await started.open(signal)
    }, 180_000)
    afterAll(async () => {
      if (started === undefined) return
      if (runtime !== undefined) await specs.removePods(runtime)
      ended.abort()
      await started.stop()
    }, 120_000)

    function sandboxSpec(more: Partial<SandboxSpec> = {}): SandboxSpec {
      const number = ++pods
      const plain = specs.sandboxSpec(number)
      return {
        ...plain,
        ...(can.podNetwork && more.hostNetwork !== true ? { ip: `10.213.0.${9 + number}` } : {}),
        cgroupParent: can.isolation ? `/frt/pod${plain.uid}` : '',
        ...more,
      }
    }

    const containerSpec = (sandbox: SandboxSpec, command: readonly string[], more: Partial<ContainerSpec> = {}) =>
      specs.containerSpec(sandbox, started.image, command, more)

    const observed = async (uid: string): Promise<Observed | undefined> =>
      (await runtime.observe(signal)).find(pod => pod.uid === uid)

    async function makeSandbox(more: Partial<SandboxSpec> = {}): Promise<{ spec: SandboxSpec; id: string }> {
      const spec = sandboxSpec(more)
      await runtime.perform({ kind: 'createSandbox', sandbox: spec }, signal)
      const id = (await observed(spec.uid))?.sandbox?.id
      if (id === undefined) throw new Error('no sandbox')
      return { spec, id }
    }

    const until = (uid: string, name: string, kind: ObservedContainer['state']['kind'], attempt = 0) =>
      specs.untilState(runtime, uid, name, kind, attempt)

    /** Starts a container in a pod of its own and waits for `kind`. */
    async function run(
      script: string,
      kind: 'running' | 'exited',
      more: Partial<ContainerSpec> = {},
      sandboxMore: Partial<SandboxSpec> = {},
    ) {
      const sandbox = await makeSandbox(sandboxMore)
      const container = containerSpec(sandbox.spec, ['sh', '-c', script], more)
      await runtime.perform({ kind: 'startContainer', container, sandboxId: sandbox.id }, signal)
      const found = await until(sandbox.spec.uid, container.name, kind)
      return { sandbox, container, found, id: found.id, uid: sandbox.spec.uid }
    }

    const readLogs = (id: string, options: Parameters<typeof specs.readLogs>[2] = {}) =>
      specs.readLogs(runtime, id, options)

    async function logsOf(script: string, more: Partial<ContainerSpec> = {}, sandboxMore: Partial<SandboxSpec> = {}) {
      return await readLogs((await run(script, 'exited', more, sandboxMore)).id)
    }

    async function exec(
      id: string,
      command: readonly string[],
      given: {
        input?: string
        tty?: boolean
        sizes?: readonly Size[]
        signal?: AbortSignal
      } = {},
    ) {
      const { stdio, said } = client(given.input, given.sizes)
      const options = { command, tty: given.tty ?? false, stdin: given.input !== undefined }
      const code = await runtime.exec(id, options, stdio, given.signal ?? signal)
      return { code, ...said() }
    }

    describe('sandboxes', () => {
      test('creating one twice is creating it once, and observe gives back what was said', async () => {
        const { spec, id } = await makeSandbox()
        await runtime.perform({ kind: 'createSandbox', sandbox: spec }, signal)
        const pod = await observed(spec.uid)
        expect(pod).toMatchObject({
          uid: spec.uid,
          namespace: 'default',
          name: spec.name,
          containers: [],
          sandbox: { id, attempt: 0, running: true, annotations: spec.annotations },
        })
        expect(pod?.sandbox?.ip).toBe(spec.ip)
        expect(Math.abs((pod?.sandbox?.createdMs ?? 0) - Date.now())).toBeLessThan(60_000)
        await runtime.perform({ kind: 'removeSandbox', uid: spec.uid, id }, signal)
        await runtime.perform({ kind: 'removeSandbox', uid: spec.uid, id }, signal)
        expect(await observed(spec.uid)).toBeUndefined()
      })

      test('a new attempt takes the place of the old', async () => {
        const { spec, id } = await makeSandbox()
        await runtime.perform({ kind: 'createSandbox', sandbox: { ...spec, attempt: 1 } }, signal)
        const pod = await observed(spec.uid)
        expect(pod?.sandbox).toMatchObject({ attempt: 1, running: true })
        expect(pod?.sandbox?.id).not.toBe(id)
      })
    })

    describe('containers', () => {
      test('runs with its environment, arguments and working directory, and says who it is', async () => {
        const script = 'echo "$GREETING from $1 in $(pwd)"; exec sleep 1000'
        const { found, id, container, uid, sandbox } = await run(script, 'running', {
          args: ['name', 'argument'],
          workingDir: '/tmp',
          env: [{ name: 'GREETING', value: 'hi there' }],
          annotations: { restartPolicy: 'Always' },
        })
        expect(found).toMatchObject({
          name: 'main',
          kind: 'app',
          attempt: 0,
          specHash: 'hash',
          image: container.image,
          annotations: { restartPolicy: 'Always' },
        })
        expect(found.statusId).toBe(`${runtime.capabilities.name}://${id}`)
        expect(found.state).toMatchObject({ kind: 'running' })
        if (found.state.kind === 'running') {
          expect(Math.abs(found.state.startedMs - Date.now())).toBeLessThan(60_000)
          expect(found.state.pid).toBeGreaterThan(1)
        }
        expect(await untilLog(id, /in/)).toBe('hi there from argument in /tmp\n')
        await runtime.perform({ kind: 'startContainer', container, sandboxId: sandbox.id }, signal)
        expect((await observed(uid))?.containers).toHaveLength(1)
      })

      async function untilLog(id: string, wanted: RegExp): Promise<string> {
        for (let round = 0; round < 400; round++) {
          const log = await readLogs(id)
          if (wanted.test(log)) return log
          await sleep(25)
        }
        throw new Error(`never in the log: ${wanted}`)
      }

      test('an exit code is kept, also over the second start of the same attempt', async () => {
        const { found, container, sandbox, uid } = await run('echo out; exit 7', 'exited')
        expect(found.state).toMatchObject({ kind: 'exited', exitCode: 7, oomKilled: false })
        if (found.state.kind === 'exited') expect(found.state.finishedMs).toBeGreaterThanOrEqual(found.state.startedMs)
        await runtime.perform({ kind: 'startContainer', container, sandboxId: sandbox.id }, signal)
        expect((await observed(uid))?.containers.map(c => c.state.kind)).toEqual(['exited'])
      })

      test('each attempt is a container of its own, and the dead one keeps its log until it is removed', async () => {
        const { container, sandbox, uid, id } = await run('echo attempt one; exit 1', 'exited')
        const second = { ...container, attempt: 1, command: ['sh', '-c', 'echo attempt two'] }
        await runtime.perform({ kind: 'startContainer', container: second, sandboxId: sandbox.id }, signal)
        const other = await until(uid, 'main', 'exited', 1)
        expect(await readLogs(id)).toBe('attempt one\n')
        expect(await readLogs(other.id)).toBe('attempt two\n')
        await runtime.perform({ kind: 'removeContainer', id }, signal)
        await runtime.perform({ kind: 'removeContainer', id }, signal)
        expect((await observed(uid))?.containers.map(c => c.attempt)).toEqual([1])
      })

      test('a command that does not exist is an error with a reason, and leaves the pod alone', async () => {
        const { spec, id } = await makeSandbox()
        const container = containerSpec(spec, ['/no/such/program'])
        const failure = await runtime
          .perform({ kind: 'startContainer', container, sandboxId: id }, signal)
          .then(() => undefined)
          .catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(RuntimeError)
        expect((failure as RuntimeError).reason).toMatch(/^(Run|Create)ContainerError$/)
        expect((failure as RuntimeError).message).toMatch(/no such file|not found/i)
        const pod = await observed(spec.uid)
        expect(pod?.sandbox?.running).toBe(true)
        const [left] = pod?.containers ?? []
        if (left !== undefined) {
          expect(left.state).toMatchObject({ kind: 'exited' })
          if (left.state.kind === 'exited') expect([126, 127, 128]).toContain(left.state.exitCode)
        }
      })

      test('stop sends TERM and waits; the second stop is nothing', async () => {
        const { id, uid } = await run(
          'trap "echo bye; exit 9" TERM; echo up; while true; do sleep 0.05; done',
          'running',
        )
        await untilLog(id, /up/)
        const from = Date.now()
        await runtime.perform({ kind: 'stopContainer', id, graceMs: 30_000 }, signal)
        expect(Date.now() - from).toBeLessThan(20_000)
        const stopped = await until(uid, 'main', 'exited')
        expect(stopped.state).toMatchObject({ kind: 'exited', exitCode: 9 })
        expect(await readLogs(id)).toBe('up\nbye\n')
        await runtime.perform({ kind: 'stopContainer', id, graceMs: 30_000 }, signal)
      })

      test('stop sends the signal that the spec names', async () => {
        const script = 'trap "exit 5" USR1; trap "" TERM; echo up; while true; do sleep 0.05; done'
        const { id, uid } = await run(script, 'running', { stopSignal: 'SIGUSR1' })
        await untilLog(id, /up/)
        await runtime.perform({ kind: 'stopContainer', id, graceMs: 30_000 }, signal)
        expect((await until(uid, 'main', 'exited')).state).toMatchObject({ exitCode: 5 })
      })

      test('stop kills what does not end in time', async () => {
        const { id, uid } = await run('trap "" TERM; echo up; while true; do sleep 0.05; done', 'running')
        await untilLog(id, /up/)
        await runtime.perform({ kind: 'stopContainer', id, graceMs: 1_000 }, signal)
        expect((await until(uid, 'main', 'exited')).state).toMatchObject({ exitCode: 137, oomKilled: false })
      })

      test('removing a running container ends it', async () => {
        const { id, uid } = await run('exec sleep 1000', 'running')
        await runtime.perform({ kind: 'removeContainer', id }, signal)
        expect((await observed(uid))?.containers).toEqual([])
        await runtime.perform({ kind: 'stopContainer', id, graceMs: 0 }, signal)
      })

      test('the termination message is what the container wrote', async () => {
        const source = join(started.folder, `message-${pods}`)
        const target = can.isolation ? '/dev/termination-log' : '/termination-log'
        const path = can.isolation ? target : `$FLOTILLA_ROOT${target}`
        await run(`printf 'last words' > "${path}"`, 'exited', { terminationMessage: { source, target } })
        expect(readFileSync(source, 'utf8')).toBe('last words')
      })
    })

    describe('logs', () => {
      test('both streams come, in order, alone when asked, with stamps when asked', async () => {
        const { id } = await run('echo one; sleep 0.2; echo two >&2; sleep 0.2; printf three', 'exited')
        expect(await readLogs(id)).toMatch(/^one\ntwo\nthree\n?$/)
        expect(await readLogs(id, { stream: 'stderr' })).toBe('two\n')
        expect(await readLogs(id, { stream: 'stdout' })).toMatch(/^one\nthree\n?$/)
        expect(await readLogs(id, { timestamps: true })).toMatch(
          /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one\n\d{4}\S+Z two\n\d{4}\S+Z three\n?$/,
        )
      })

      test('tail, since and limit cut as kubectl asks', async () => {
        const { id } = await run('echo 1; echo 2; sleep 1.2; echo 3; echo 4', 'exited')
        expect(await readLogs(id, { tailLines: 3 })).toBe('2\n3\n4\n')
        expect(await readLogs(id, { tailLines: 0 })).toBe('')
        expect(await readLogs(id, { limitBytes: 5 })).toBe('1\n2\n3')
        const stamped = (await readLogs(id, { timestamps: true })).split('\n')
        const third = Date.parse((stamped[2] ?? '').split(' ')[0] ?? '')
        expect(await readLogs(id, { sinceMs: third - 500 })).toBe('3\n4\n')
        expect(await readLogs(id, { sinceMs: Date.now() + 60_000 })).toBe('')
      })

      test('a line longer than any buffer comes back whole, with one stamp', async () => {
        const { id } = await run("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end", 'exited')
        expect(await readLogs(id)).toBe(`${'x'.repeat(100_000)}\nend\n`)
        expect(await readLogs(id, { timestamps: true })).toMatch(/^\S+Z x{100000}\n\S+Z end\n$/)
      })

      test('following ends when the container ends, and misses nothing', async () => {
        const { id } = await run('for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done', 'running')
        expect(await readLogs(id, { follow: true })).toBe('line 1\nline 2\nline 3\nline 4\nline 5\n')
      })

      test('following ends when the reader wants no more', async () => {
        const { id } = await run('echo first; exec sleep 1000', 'running')
        const done = new AbortController()
        let said = ''
        for await (const bytes of runtime.logs(id, { follow: true, timestamps: false }, done.signal)) {
          said += text(bytes)
          done.abort()
        }
        expect(said).toBe('first\n')
      })
    })

    describe('exec', () => {
      test('gives the exit code and keeps the streams apart', async () => {
        const { id } = await run('exec sleep 1000', 'running', { env: [{ name: 'FRUIT', value: 'plum' }] })
        expect(await exec(id, ['sh', '-c', 'echo $FRUIT; echo trouble >&2; exit 42'])).toEqual({
          code: 42,
          stdout: 'plum\n',
          stderr: 'trouble\n',
        })
      })

      test('the process sees the end of stdin, and what it says after that arrives', async () => {
        const { id } = await run('exec sleep 1000', 'running')
        const input = `${'word '.repeat(40_000)}\n`
        const answer = await exec(id, ['sh', '-c', 'wc -w; echo done'], { input })
        expect(answer.code).toBe(0)
        expect(answer.stdout.replaceAll(' ', '')).toBe('40000\ndone\n')
      })

      test.runIf(can.terminals)('a terminal has the size that the client says', async () => {
        const { id } = await run('exec sleep 1000', 'running')
        const answer = await exec(
          id,
          [
            'sh',
            '-c',
            'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do stty size; sleep 0.1; done; tty',
          ],
          { tty: true, sizes: [{ width: 132, height: 43 }], input: '' },
        )
        expect(answer.stdout).toContain('43 132\r\n')
        expect(answer.stdout).toContain('/dev/')
      })

      test('a program that does not exist ends with 126 or 127', async () => {
        const { id } = await run('exec sleep 1000', 'running')
        const answer = await exec(id, ['/no/such/program'])
        expect([126, 127]).toContain(answer.code)
        expect(answer.stdout + answer.stderr).toMatch(/no such file|not found/i)
      })

      test('is killed when nobody wants it any more', async () => {
        const { id } = await run('exec sleep 1000', 'running')
        const done = new AbortController()
        const { stdio, said } = client()
        const running = runtime.exec(
          id,
          { command: ['sh', '-c', 'echo $$; exec sleep 987'], tty: false, stdin: false },
          stdio,
          done.signal,
        )
        const settled = running.then(() => 'ended').catch(() => 'rejected')
        for (let round = 0; round < 400 && said().stdout === ''; round++) await sleep(25)
        const pid = said().stdout.trim()
        expect(pid).toMatch(/^\d+$/)
        done.abort()
        expect(await settled).toBe('rejected')
        let gone = false
        for (let round = 0; round < 200 && !gone; round++) {
          gone =
            (await exec(id, ['sh', '-c', `kill -0 ${pid} 2>/dev/null && ! grep -q "State.*Z" /proc/${pid}/status`]))
              .code !== 0
          await sleep(25)
        }
        expect(gone).toBe(true)
      })

      test('on a container that does not run is an error, as is attaching', async () => {
        const { id } = await run('exit 0', 'exited')
        await expect(exec(id, ['true'])).rejects.toBeInstanceOf(RuntimeError)
        const attached = runtime.attach(id, { tty: false, stdin: false }, client().stdio, signal)
        await expect(attached).rejects.toMatchObject({ reason: 'NotFound' })
      })
    })

    test('attach carries stdin to the container and its output back', async () => {
      const { id, uid } = await run('read line; echo "you said $line"; cat; exit 3', 'running', {
        stdin: true,
        stdinOnce: true,
      })
      const { stdio, said } = client('hello\nand more\n')
      await runtime.attach(id, { tty: false, stdin: true }, stdio, signal)
      expect(said().stdout).toBe('you said hello\nand more\n')
      expect((await until(uid, 'main', 'exited')).state).toMatchObject({ exitCode: 3 })
    })

    test.runIf(can.terminals)('attach with a terminal resizes the container and echoes', async () => {
      const { id, uid } = await run('read line; stty size; echo "got $line"; exit 0', 'running', {
        stdin: true,
        tty: true,
      })
      const done = Promise.withResolvers<void>()
      const { stdio, said } = client('', [{ width: 111, height: 37 }], async function* () {
        await sleep(500)
        yield utf8('typed\n')
        await done.promise
      })
      await runtime.attach(id, { tty: true, stdin: true }, stdio, signal)
      done.resolve()
      await until(uid, 'main', 'exited')
      expect(said().stdout).toContain('37 111\r\n')
      expect(said().stdout).toContain('got typed\r\n')
    })

    test('an agent that was started again adopts what runs: state, logs, exec, exit codes', async () => {
      const { id, uid, found, container, sandbox } = await run(
        'echo before; while [ ! -e "$0" ]; do sleep 0.05; done; echo after; exit 4',
        'running',
        { args: [can.isolation ? '/tmp/go' : join(started.folder, 'go')] },
      )
      runtime = await started.open(signal)
      const again = (await observed(uid))?.containers[0]
      expect(again).toEqual(found)
      await runtime.perform({ kind: 'createSandbox', sandbox: sandbox.spec }, signal)
      await runtime.perform({ kind: 'startContainer', container, sandboxId: sandbox.id }, signal)
      expect((await observed(uid))?.containers).toHaveLength(1)
      const go = can.isolation ? '/tmp/go' : join(started.folder, 'go')
      expect((await exec(id, ['sh', '-c', `touch ${go}`])).code).toBe(0)
      expect((await until(uid, 'main', 'exited')).state).toMatchObject({ exitCode: 4 })
      runtime = await started.open(signal)
      expect((await until(uid, 'main', 'exited')).state).toMatchObject({ exitCode: 4 })
      expect(await readLogs(id)).toBe('before\nafter\n')
    })

    test('changes are hinted: a first look at every pod, then starts and ends', async () => {
      const early = await run('exec sleep 1000', 'running')
      const done = new AbortController()
      const hinted: string[] = []
      const reading = (async () => {
        for await (const uid of runtime.changed(done.signal)) hinted.push(uid)
      })()
      const waitFor = async (uid: string, count: number) => {
        for (let round = 0; round < 400; round++) {
          if (hinted.filter(hint => hint === uid).length >= count) return
          await sleep(25)
        }
        throw new Error(`no hint of ${uid}: ${hinted}`)
      }
      await waitFor(early.uid, 1)
      const late = await run('sleep 0.5', 'running')
      await waitFor(late.uid, 1)
      await until(late.uid, 'main', 'exited')
      hinted.length = 0
      await runtime.perform({ kind: 'stopContainer', id: early.id, graceMs: 0 }, signal)
      await waitFor(early.uid, 1)
      done.abort()
      await reading
    })

    test('dial reaches a server that listens on 127.0.0.1 alone, and half-closes', async () => {
      const sandbox = await makeSandbox()
      const container = containerSpec(sandbox.spec, harness.echoServer('127.0.0.1', harness.port))
      await runtime.perform({ kind: 'startContainer', container, sandboxId: sandbox.id }, signal)
      const connection = await dialed(sandbox.spec.uid, harness.port)
      await connection.write(utf8('ping '))
      await connection.write(utf8('pong'))
      await connection.closeWrite()
      const parts: Bytes[] = []
      for await (const bytes of connection.read()) parts.push(bytes)
      expect(text(concat(parts))).toBe('ping pong')
      connection.abort()
      await expect(runtime.dial(sandbox.spec.uid, harness.port + 7, signal)).rejects.toMatchObject({
        reason: 'Unavailable',
      })
      await expect(runtime.dial('no-such-pod', 80, signal)).rejects.toMatchObject({ reason: 'NotFound' })
    })

    async function dialed(uid: string, port: number) {
      for (let round = 0; ; round++)
        try {
          return await runtime.dial(uid, port, signal)
        } catch (error) {
          if (round > 100) throw error
          await sleep(50)
        }
    }

    describe.runIf(can.podNetwork)('pod network', () => {
      test('a pod has its address, name and DNS settings', async () => {
        const sandbox = await makeSandbox()
        const container = containerSpec(sandbox.spec, [
          ...[
            'sh',
            '-c',
            'ip -4 addr show eth0 | grep -o "inet [0-9.]*"; hostname; cat /etc/resolv.conf; ip route | head -1',
          ],
        ])
        await runtime.perform({ kind: 'startContainer', container, sandboxId: sandbox.id }, signal)
        const log = await readLogs((await until(sandbox.spec.uid, 'main', 'exited')).id)
        expect(log).toContain(`inet ${sandbox.spec.ip}\n${sandbox.spec.hostname}\n`)
        expect(log).toContain('nameserver 10.213.0.2')
        expect(log).toContain('search default.svc.cluster.local')
        expect(log).toContain('ndots:5')
        expect(log).toContain('default via 169.254.1.1')
      })

      test('pods reach one another, and containers of one pod share 127.0.0.1', async () => {
        const server = await makeSandbox()
        const serve = containerSpec(server.spec, harness.echoServer('0.0.0.0', 8_080))
        await runtime.perform({ kind: 'startContainer', container: serve, sandboxId: server.id }, signal)
        const ask = (address: string) =>
          `for i in $(seq 100); do x=$(echo hi | nc -w 2 ${address} 8080 2>/dev/null) && [ -n "$x" ] && echo got $x && exit 0; sleep 0.1; done; exit 1`
        expect(await logsOf(ask(server.spec.ip ?? ''))).toBe('got hi\n')
        const again = containerSpec(server.spec, harness.echoServer('127.0.0.1', 8_080), { attempt: 1 })
        await until(server.spec.uid, 'main', 'exited')
        await runtime.perform({ kind: 'startContainer', container: again, sandboxId: server.id }, signal)
        const side = containerSpec(server.spec, ['sh', '-c', ask('127.0.0.1')], { name: 'side' })
        await runtime.perform({ kind: 'startContainer', container: side, sandboxId: server.id }, signal)
        expect(await readLogs((await until(server.spec.uid, 'side', 'exited')).id)).toBe('got hi\n')
      })

      test('a pod in the host network sees the host and has DNS settings all the same', async () => {
        const log = await logsOf('readlink /proc/self/ns/net; cat /etc/resolv.conf', {}, { hostNetwork: true })
        const { readlinkSync } = await import('node:fs')
        expect(log).toContain(readlinkSync('/proc/self/ns/net'))
        expect(log).toContain('nameserver 10.213.0.2')
        expect(log).toContain('ndots:5')
      })

      test('sysctls hold in the pod', async () => {
        const log = await logsOf(
          'cat /proc/sys/net/ipv4/ip_unprivileged_port_start',
          {},
          {
            sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
          },
        )
        expect(log).toBe('80\n')
      })
    })

    describe.runIf(can.isolation)('isolation', () => {
      test('a shared PID namespace shows the other containers, a private one does not', async () => {
        const shared = await makeSandbox({ sharePid: true })
        const sleeper = containerSpec(shared.spec, ['sleep', '876'])
        await runtime.perform({ kind: 'startContainer', container: sleeper, sandboxId: shared.id }, signal)
        const look = containerSpec(shared.spec, ['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'], {
          name: 'look',
        })
        await runtime.perform({ kind: 'startContainer', container: look, sandboxId: shared.id }, signal)
        const log = await readLogs((await until(shared.spec.uid, 'look', 'exited')).id)
        expect(log).toContain('sleep 876')
        expect(log).toContain('/pause')
        expect(await logsOf('echo $$')).toBe('1\n')
      })

      test('user, groups and no-new-privileges', async () => {
        const security = {
          ...plainSecurity,
          uid: 1_000,
          gid: 2_000,
          supplementalGroups: [3_000],
          noNewPrivileges: true,
        }
        expect(await logsOf('id -u; id -g; id -G; grep NoNewPrivs /proc/self/status', { security })).toBe(
          '1000\n2000\n2000 3000\nNoNewPrivs:\t1\n',
        )
        expect(await logsOf('id -u; id -g', { security: { ...plainSecurity, gid: 7 } })).toBe('0\n7\n')
      })

      test('the user of the image, and a group of the spec with it', async () => {
        const image = started.userImage ?? ''
        expect((await runtime.image(image, signal))?.user).toBe('nobody')
        expect(await logsOf('id -u', { image })).toBe('65534\n')
        expect(await logsOf('id -u; id -g', { image, security: { ...plainSecurity, gid: 7 } })).toBe('65534\n7\n')
      })

      test('capabilities are dropped and added', async () => {
        const show = 'grep CapEff /proc/self/status | tr -d "\\t"'
        const bounds = (security: Partial<Security>) => logsOf(show, { security: { ...plainSecurity, ...security } })
        expect(await bounds({})).toBe('CapEff:00000000a80425fb\n')
        expect(await bounds({ dropCapabilities: ['ALL'] })).toBe('CapEff:0000000000000000\n')
        expect(await bounds({ dropCapabilities: ['ALL'], addCapabilities: ['NET_ADMIN'] })).toBe(
          'CapEff:0000000000001000\n',
        )
      })

      test('a root file system that may not be written, and one that may', async () => {
        const script = 'echo x > /file && cat /file || echo no'
        expect(await logsOf(script)).toBe('x\n')
        expect(await logsOf(script, { security: { ...plainSecurity, readOnlyRoot: true } })).toContain('no\n')
      })

      test('limits of memory, processor and processes hold', async () => {
        const { found } = await run(
          'sleep 0.2; head -c 100000000 /dev/zero | tail > /dev/null & wait $!; exit 137',
          'exited',
          {
            resources: { ...plainResources, memoryLimitBytes: 16 * 2 ** 20 },
          },
        )
        expect(found.state).toMatchObject({ kind: 'exited', exitCode: 137, oomKilled: true })
        const files =
          'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true'
        const log = await logsOf(files, { resources: { ...plainResources, cpuLimitMilli: 250, pidsLimit: 77 } })
        expect(log).toContain('25000')
        expect(log).toContain('77')
      })

      test('usage counts what a container takes', async () => {
        const { id } = await run('i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exec sleep 1000', 'running')
        for (let round = 0; round < 400; round++) {
          const usage = (await runtime.usage(signal)).get(id)
          if (usage !== undefined && usage.cpuNanoseconds > 50_000_000) {
            expect(usage.memoryUsageBytes).toBeGreaterThan(0)
            expect(usage.memoryWorkingSetBytes).toBeLessThanOrEqual(usage.memoryUsageBytes)
            return
          }
          await sleep(50)
        }
        throw new Error('no usage')
      })

      test('mounts: a folder to read and write, one to read alone, and a single file', async () => {
        const folder = join(started.folder, `mounts-${pods}`)
        mkdirSync(folder)
        writeFileSync(join(folder, 'in'), 'from outside')
        const mount = (source: string, target: string, readOnly: boolean) => ({
          source,
          target,
          readOnly,
          propagation: 'private' as const,
        })
        const log = await logsOf(
          'cat /data/in; echo from inside > /data/out; (echo x > /fixed/x) 2>/dev/null || echo refused; cat /etc/hosts',
          {
            mounts: [
              mount(folder, '/data', false),
              mount(folder, '/fixed', true),
              mount(join(folder, 'in'), '/etc/hosts', true),
            ],
          },
        )
        expect(log).toMatch(/^from outsiderefused\nfrom outside/)
        expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('from inside\n')
      })

      test('what is mounted later on the host is seen in a slave mount, and not in a private one', async () => {
        const folder = join(started.folder, `propagation-${pods}`)
        mkdirSync(join(folder, 'later'), { recursive: true })
        const mount = (target: string, propagation: 'private' | 'rslave') => ({
          ...{ source: folder, target, readOnly: false, propagation },
        })
        const mounts = [mount('/slave', 'rslave'), mount('/private', 'private')]
        const { id } = await run('exec sleep 1000', 'running', { mounts })
        spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(folder, 'later')])
        writeFileSync(join(folder, 'later/file'), 'seen')
        const seen = await exec(id, [
          'sh',
          '-c',
          'cat /slave/later/file; cat /private/later/file 2>/dev/null || echo -no',
        ])
        spawnSync('umount', ['-l', join(folder, 'later')])
        expect(seen.stdout).toBe('seen-no\n')
      })

      test('the default filter refuses new namespaces, and a spec can ask for none', async () => {
        const script = 'unshare -U true 2>/dev/null && echo allowed || echo refused'
        expect(await logsOf(script)).toBe('refused\n')
        expect(await logsOf(script, { security: { ...plainSecurity, seccomp: 'unconfined' } })).toBe('allowed\n')
      })

      test("a pod in the host's PID namespace sees the host's processes, and shares memory within a pod alone", async () => {
        const script = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -q vitest && echo host; ls /dev/shm'
        expect(await logsOf(script, {}, { hostPid: true })).toBe('host\n')
        const { sandbox, uid } = await run('echo x > /dev/shm/mine; exec sleep 1000', 'running')
        const side = containerSpec(
          sandbox.spec,
          ['sh', '-c', 'until cat /dev/shm/mine; do sleep 0.05; done 2>/dev/null'],
          {
            name: 'side',
          },
        )
        await runtime.perform({ kind: 'startContainer', container: side, sandboxId: sandbox.id }, signal)
        expect(await readLogs((await until(uid, 'side', 'exited')).id)).toBe('x\n')
        expect(await logsOf('ls /dev/shm')).toBe('')
      })

      test('a mount whose source is not there is an error of this container', async () => {
        const { spec, id } = await makeSandbox()
        const mounts = [
          { source: '/no/such/folder', target: '/data', readOnly: false, propagation: 'private' as const },
        ]
        const container = containerSpec(spec, ['true'], { mounts })
        await expect(
          runtime.perform({ kind: 'startContainer', container, sandboxId: id }, signal),
        ).rejects.toMatchObject({ reason: expect.stringMatching(/ContainerError$/) })
      })
    })

    describe('images', () => {
      test('one that is there has an ID, one that is not is undefined', async () => {
        const info = await runtime.image(started.image, signal)
        expect(info?.id).not.toBe('')
        expect(info?.names.join(' ')).toContain(started.image)
        expect((await runtime.images(signal)).map(image => image.id)).toContain(info?.id)
        const missing =
          can.isolation && runtime.capabilities.name === 'docker' ? 'no-such-image:1' : 'dir:/no/such/folder'
        expect(await runtime.image(missing, signal)).toBeUndefined()
      })

      test('one that is used is not removed', async () => {
        const { id } = await run('exec sleep 1000', 'running')
        const removed = runtime.perform({ kind: 'removeImage', image: started.image }, signal)
        await expect(removed).rejects.toMatchObject({ reason: 'Unavailable' })
        expect(await exec(id, ['sh', '-c', 'exit 3'])).toMatchObject({ code: 3 })
      })

      test('an image that cannot be had is ErrImagePull, a bad name is InvalidImageName', async () => {
        const missing = runtime.capabilities.name === 'docker' ? '127.0.0.1:1/no-such-image:1' : 'dir:/no/such/folder'
        await expect(runtime.perform({ kind: 'pull', image: missing, auths: [] }, signal)).rejects.toMatchObject({
          reason: 'ErrImagePull',
        })
        await expect(
          runtime.perform({ kind: 'pull', image: 'What Is This?', auths: [] }, signal),
        ).rejects.toMatchObject({ reason: 'InvalidImageName' })
      })
    })
  })
}
