// Containers by runc as root, without Docker: real images from files, limits, users, mounts and pod networks, with the agent
// owning what a daemon would: bundles, overlay mounts, and a shim per container that keeps log and exit code (shimmed.ts).
// A pod's sandbox is a pause process, itself a runc container; the others join its namespaces.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, lstat, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onAbort } from '../../lib/abort.ts'
import { utf8 } from '../../lib/bytes.ts'
import { type ContainerRuntime, type ContainerSpec, RuntimeError, type SandboxSpec } from '../../world/runtime.ts'
import { command } from '../dataplane/command.ts'
import { attachPod, detachPod } from '../podnet.ts'
import { mayLowerOomScore, removePodGroup, usageOfProcess } from './cgroup.ts'
import { interfaceName, type RuntimeWorld, resolverText } from './common.ts'
import { exists, writeJson } from './files.ts'
import { helperProgram } from './pause/helper.ts'
import { pauseProgram, processor } from './pause/image.ts'
import { type RuncImages, runcImages, type UnpackedImage } from './runc-images.ts'
import {
  type BindMount,
  capabilityNames,
  commandOf,
  containerConfig,
  type Device,
  type MachineTraits,
  type PodNamespaces,
  pauseConfig,
} from './runc-spec.ts'
import { userOf } from './runc-users.ts'
import { processStat, runs, type ShimCommand, signalProcess } from './shim.ts'
import { type Backend, type SandboxRecord, shimmedRuntime } from './shimmed.ts'

export type RuncOptions = {
  readonly stateDir: string
  readonly mtu: number
  /** The node's own address in the pod network, undefined until it has one. */
  readonly nodePodIp: () => string | undefined
}

type Sandbox = { readonly pid: number; readonly start: number }
type Container = { readonly sharedPid: boolean; readonly cgroup: string; readonly memoryMounted: boolean }

/** Rejects with RuntimeError Unavailable and why, when runc does not really work here: a container is run to see. */
export async function openRunc(
  world: RuntimeWorld,
  options: RuncOptions,
  signal: AbortSignal,
): Promise<ContainerRuntime> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new RuntimeError('Unavailable', 'runc needs root on Linux')
  const helper = await helperProgram(options.stateDir)
  if (helper === undefined) throw new RuntimeError('Unavailable', `no shim for ${process.arch}`)
  try {
    const version = /runc version (\S+)/.exec(await command('runc', ['--version'], { signal }))?.[1] ?? 'unknown'
    const traits = await machineTraits()
    const backend = runcBackend(options, [helper], version, traits, runcImages(join(options.stateDir, 'images')))
    await backend.probe(signal)
    return await shimmedRuntime(world, options.stateDir, backend, signal)
  } catch (error) {
    if (signal.aborted || error instanceof RuntimeError) throw error
    throw new RuntimeError('Unavailable', `runc does not work here: ${(error as Error).message}`, { cause: error })
  }
}

async function machineTraits(): Promise<MachineTraits> {
  const status = await readFile('/proc/self/status', 'utf8')
  const bounding = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const unifiedCgroups = await exists('/sys/fs/cgroup/cgroup.controllers')
  return {
    capabilities: new Set(capabilityNames.filter((_, number) => (bounding & (1n << BigInt(number))) !== 0n)),
    lowersOomScore: await mayLowerOomScore(),
    unifiedCgroups,
    swapLimit: unifiedCgroups || (await exists('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes')),
  }
}

function runcBackend(
  options: RuncOptions,
  shim: ShimCommand,
  version: string,
  traits: MachineTraits,
  images: RuncImages,
): Backend<Sandbox, Container> & { probe(signal: AbortSignal): Promise<void> } {
  const root = join(options.stateDir, 'runc')
  const runc = (args: readonly string[], signal?: AbortSignal) =>
    command('runc', ['--root', root, ...args], signal === undefined ? {} : { signal })
  const remove = async (id: string, signal: AbortSignal) => {
    if (await exists(join(root, id))) await runc(['delete', '--force', id], signal)
  }

  async function openPause(
    spec: SandboxSpec,
    id: string,
    cgroup: string,
    folder: string,
    signal: AbortSignal,
  ): Promise<Sandbox> {
    const kind = processor(process.arch)
    if (kind === undefined) throw new RuntimeError('FailedCreatePodSandBox', `no pause program for ${process.arch}`)
    await remove(id, signal)
    for (const name of ['proc', 'sys', 'dev']) await mkdir(join(folder, 'rootfs', name), { recursive: true })
    await writeFile(join(folder, 'rootfs', 'pause'), pauseProgram(kind), { mode: 0o755 })
    await writeJson(join(folder, 'config.json'), pauseConfig(spec, cgroup, traits))
    const log = join(folder, 'runc.log')
    await rm(log, { force: true })
    const flags = ['--root', root, '--log', log, '--log-format', 'json', 'run', '--detach']
    await detached([...flags, '--bundle', folder, '--pid-file', join(folder, 'pid'), id], log, signal)
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'))
    const start = (await processStat(pid))?.start
    if (start === undefined) throw new RuntimeError('FailedCreatePodSandBox', 'the pause process ended at once')
    return { pid, start }
  }

  return {
    capabilities: {
      name: 'runc',
      version,
      podNetwork: true,
      images: true,
      limits: true,
      users: true,
      mounts: true,
    },
    shim,
    image: name => images.image(name),
    images: () => images.images(),
    pull: (name, signal) => images.pull(name, signal),
    removeImage: name => images.remove(name),

    async probe(signal) {
      const folder = join(options.stateDir, 'probe')
      const id = `probe-${process.pid}`
      await mkdir(folder, { recursive: true, mode: 0o711 })
      const spec: SandboxSpec = {
        ...{ uid: id, namespace: '', name: id, attempt: 0, hostname: 'probe', hostNetwork: false, hostPid: false },
        ...{ hostIpc: false, sharePid: false, dns: { servers: [], searches: [], options: [] }, sysctls: {} },
        ...{ cgroupParent: '', annotations: {} },
      }
      try {
        await openPause(spec, id, `/flotilla-${id}`, folder, signal)
      } finally {
        await remove(id, signal).catch(() => {})
        await removePodGroup(`/flotilla-${id}`, id, true)
        await rm(folder, { recursive: true, force: true })
      }
    },

    async openSandbox(spec, folder, before, signal) {
      const nodePodIp = options.nodePodIp()
      if (spec.ip !== undefined && nodePodIp === undefined)
        throw new RuntimeError('FailedCreatePodSandBox', 'this node has no addresses for pods yet')
      await writePodFiles(spec, folder)
      if (!spec.hostIpc) await mountTmpfs(join(folder, 'shm'), 'mode=1777,size=65536k', signal)
      const sandbox =
        before ?? (await openPause(spec, sandboxId(folder), cgroupOf(spec, sandboxId(folder)), folder, signal))
      if (spec.ip !== undefined && nodePodIp !== undefined && !spec.hostNetwork)
        await attachPod(
          {
            netnsPath: `/proc/${sandbox.pid}/ns/net`,
            ip: spec.ip,
            nodePodIp,
            mtu: options.mtu,
            name: interfaceName(spec.uid),
          },
          signal,
        )
      return sandbox
    },

    sandboxRuns: ({ state }) => runs(state.pid, state.start),

    async closeSandbox({ id, folder, spec }, signal) {
      await remove(id, signal)
      if (spec.ip !== undefined && !spec.hostNetwork) await detachPod(interfaceName(spec.uid))
      await unmountBelow(folder, signal)
      await removePodGroup(spec.cgroupParent, spec.uid, false)
    },

    async prepare(spec, sandbox, { id, folder }, signal) {
      const image = await images.find(spec.image)
      if (image === undefined) throw new RuntimeError('CreateContainerError', `no such image: ${spec.image}`)
      if (commandOf(spec, image.config).length === 0)
        throw new RuntimeError('CreateContainerError', 'no command specified')
      await unmountBelow(folder, signal)
      await remove(id, signal)
      const memoryMounted = await mountRoot(image, folder, signal)
      const rootfs = join(folder, 'rootfs')
      const user = await userOf(rootfs, spec.security, image.config.user)
      const cgroup = cgroupOf(spec, id)
      const config = containerConfig(
        spec,
        image.config,
        user,
        namespacesOf(sandbox),
        await bindsOf(spec, sandbox, rootfs),
        cgroup,
        traits,
        spec.security.privileged ? await hostDevices('/dev') : [],
      )
      await writeJson(join(folder, 'config.json'), config)
      const flags = ['-r', '-o', groupFile(traits, 'memory', cgroup), '-k', groupFile(traits, 'pids', cgroup)]
      const console_ = spec.tty ? ['--console-socket', 'console.sock'] : []
      return {
        launch: {
          flags,
          program: [
            ...[await programPath('runc'), '--root', root, '--log', join(folder, 'runc.log'), '--log-format', 'json'],
            ...['run', '--detach', '--bundle', folder, '--pid-file', join(folder, 'pid'), ...console_, id],
          ],
          env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
        },
        state: { sharedPid: sandbox.spec.sharePid || sandbox.spec.hostPid, cgroup, memoryMounted },
        imageId: image.id,
        ...(image.config.stopSignal === '' ? {} : { stopSignal: image.config.stopSignal }),
      }
    },

    failure: async ({ folder }, what) => (await lastError(join(folder, 'runc.log'))) ?? what,

    async abandon({ id, folder }, signal) {
      await remove(id, signal)
      await unmountBelow(folder, signal)
    },

    async discard({ id, folder, labels, state }, _, signal) {
      await remove(id, signal)
      await unmountBelow(folder, signal)
      const uid = labels['io.kubernetes.pod.uid']
      if (uid !== undefined) await removePodGroup(state.cgroup.slice(0, state.cgroup.lastIndexOf('/')), uid, false)
    },

    async kill({ id, state }, started) {
      // The end of the first process of a PID namespace is the end of all in it; the shim ends the rest in a shared one.
      if (!(await signalProcess(started, 'SIGKILL')) && state.sharedPid)
        await runc(['kill', '--all', id, 'KILL']).catch(() => {})
    },

    async exec({ id, folder }, { command: words, tty }) {
      const name = createHash('sha256')
        .update(utf8(`${process.hrtime.bigint()} ${id}`))
        .digest('hex')
        .slice(0, 16)
      const pidFile = join(folder, `exec-${name}.pid`)
      const log = join(folder, `exec-${name}.log`)
      return {
        program: [
          ...[await programPath('runc'), '--root', root, '--log', log, '--log-format', 'json', 'exec'],
          ...['--pid-file', pidFile, ...(tty ? ['--tty'] : []), id, ...words],
        ],
        env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', TERM: 'xterm' },
        async kill() {
          const pid = Number(await readFile(pidFile, 'utf8'))
          const group = (await processStat(pid))?.group
          if (pid > 1) process.kill(group === pid ? -pid : pid, 'SIGKILL')
        },
        async code(code) {
          const failure = code === 255 ? await lastError(log) : undefined
          await rm(pidFile, { force: true })
          await rm(log, { force: true })
          if (failure === undefined) return code
          return /no such file|not found/.test(failure) ? 127 : /permission denied/.test(failure) ? 126 : code
        },
      }
    },

    dialTarget({ spec, state }, port) {
      if (spec.hostNetwork) return { ips: ['127.0.0.1'], port }
      const [helper] = shim
      return { ips: spec.ip === undefined ? [] : [spec.ip], netns: `/proc/${state.pid}/ns/net`, helper, port }
    },

    usage: async (_, started) => await usageOfProcess(started.pid),
  }
}

function cgroupOf({ cgroupParent }: { readonly cgroupParent: string }, id: string): string {
  return `${cgroupParent === '' ? '/flotilla' : cgroupParent}/${id}`
}

/** runc's name of a pause: the folder's. */
function sandboxId(folder: string): string {
  return folder.slice(folder.lastIndexOf('/') + 1)
}

function namespacesOf({ spec, state: { pid } }: SandboxRecord<Sandbox>): PodNamespaces {
  const of = (name: string) => `/proc/${pid}/ns/${name}`
  return {
    ...(spec.hostNetwork ? {} : { network: of('net'), uts: of('uts') }),
    ...(spec.hostIpc ? {} : { ipc: of('ipc') }),
    ...(spec.sharePid && !spec.hostPid ? { pid: of('pid') } : {}),
    hostPid: spec.hostPid,
  }
}

async function writePodFiles(spec: SandboxSpec, folder: string): Promise<void> {
  await writeFile(join(folder, 'resolv.conf'), resolverText(spec.dns))
  await writeFile(join(folder, 'hostname'), `${spec.hostname}\n`)
  const own = spec.ip === undefined ? '' : `${spec.ip}\t${spec.hostname}\n`
  await writeFile(join(folder, 'hosts'), `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${own}`)
}

/** The spec's mounts, and the pod's own files and shared memory where the spec has none. */
async function bindsOf(
  spec: ContainerSpec,
  { folder, spec: pod }: SandboxRecord<Sandbox>,
  rootfs: string,
): Promise<readonly BindMount[]> {
  const binds: BindMount[] = [...spec.mounts]
  for (const { source } of spec.mounts)
    await access(source).catch(() => {
      throw new RuntimeError('CreateContainerError', `the mount's source ${source} is not there`)
    })
  if (spec.terminationMessage !== undefined) binds.push({ ...spec.terminationMessage, readOnly: false })
  const add = (source: string, target: string) => {
    if (!binds.some(bind => bind.target === target)) binds.push({ source, target, readOnly: false })
  }
  add(pod.hostIpc ? '/dev/shm' : join(folder, 'shm'), '/dev/shm')
  // An image whose /etc is a link would lead us to the host's own files.
  const etc = await lstat(join(rootfs, 'etc')).catch(() => undefined)
  for (const name of ['resolv.conf', 'hosts', 'hostname']) {
    if (name !== 'resolv.conf' && pod.hostNetwork) continue
    // On a machine where it is a link, runc would make the mount at the link's end: out of the way with it.
    const target = join(rootfs, 'etc', name)
    const found = etc?.isDirectory() === true ? await lstat(target).catch(() => undefined) : undefined
    if (found?.isSymbolicLink() === true) await rm(target)
    add(join(folder, name), `/etc/${name}`)
  }
  return binds
}

/** The device files of the machine; terminals and what is mounted below /dev are the container's own. */
async function hostDevices(folder: string): Promise<readonly Device[]> {
  const own = ['/dev/pts', '/dev/shm', '/dev/mqueue', '/dev/console', '/dev/ptmx', '/dev/tty']
  const all: Device[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (own.includes(path)) continue
    if (entry.isDirectory()) all.push(...(await hostDevices(path)))
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) continue
    const { rdev, mode, uid, gid } = found
    // As glibc's gnu_dev_major and gnu_dev_minor; the upper halves are beyond 32 bits and unused by Linux.
    const major = Math.floor(rdev / 256) & 0xfff
    const minor = (rdev & 0xff) | (Math.floor(rdev / 4_096) & 0xfff00)
    all.push({ path, type: entry.isBlockDevice() ? 'b' : 'c', major, minor, fileMode: mode & 0o777, uid, gid })
  }
  return all
}

/** True when what the container writes is kept in memory. */
async function mountRoot(image: UnpackedImage, folder: string, signal: AbortSignal): Promise<boolean> {
  const rootfs = join(folder, 'rootfs')
  await mkdir(rootfs, { recursive: true })
  const lower = [...image.layers].reverse()
  // Colons and commas would end the option; our own folders have none unless the user's path has.
  const escaped = lower.map(layer => layer.replace(/[\\:,]/g, '\\$&')).join(':')
  const mount = async (above: string) => {
    for (const name of ['upper', 'work']) {
      await rm(join(above, name), { recursive: true, force: true })
      await mkdir(join(above, name), { recursive: true })
    }
    const layers = `lowerdir=${escaped},upperdir=${join(above, 'upper')},workdir=${join(above, 'work')}`
    await command('mount', ['-t', 'overlay', 'overlay', '-o', layers, rootfs], { signal })
  }
  // Folders that overlap, as with the machine's own root, are no layers of one another; neither is an overlay of its own.
  const overlaps =
    image.host ||
    (await Promise.all(image.layers.map(layer => realpath(layer)))).some(layer => folder.startsWith(`${layer}/`))
  if (!overlaps)
    try {
      await mount(folder)
      return false
    } catch (error) {
      if (signal.aborted) throw error
    }
  const memory = join(folder, 'memory')
  try {
    await mountTmpfs(memory, 'mode=755,size=256m', signal)
    await mount(memory)
    return true
  } catch (error) {
    if (signal.aborted || image.host) throw error
  }
  // No overlayfs here: a copy, layer by layer.
  for (const layer of image.layers) await command('cp', ['-a', `${layer}/.`, rootfs], { signal, timeoutMs: 600_000 })
  await removeWhiteouts(rootfs, image, signal)
  return false
}

async function removeWhiteouts(rootfs: string, image: UnpackedImage, signal: AbortSignal): Promise<void> {
  if (image.layers.length < 2) return
  await command(
    'find',
    [
      rootfs,
      '-xdev',
      '-type',
      'c',
      '-inum',
      '+0',
      '-exec',
      'sh',
      '-c',
      'for f; do [ "$(stat -c %t:%T "$f")" = 0:0 ] && rm -f "$f"; done; true',
      'sh',
      '{}',
      '+',
    ],
    { signal, timeoutMs: 600_000 },
  )
}

async function mountTmpfs(at: string, flags: string, signal: AbortSignal): Promise<void> {
  await mkdir(at, { recursive: true })
  if ((await mountsBelow(at)).includes(at)) return
  await command('mount', ['-t', 'tmpfs', '-o', flags, 'tmpfs', at], { signal })
}

async function mountsBelow(folder: string): Promise<readonly string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  const targets = lines.map(line =>
    (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))),
  )
  const real = await realpath(folder).catch(() => folder)
  return targets.filter(target => [folder, real].some(base => target === base || target.startsWith(`${base}/`)))
}

/** Must come before the folder is removed: what is mounted there is not ours to remove. */
async function unmountBelow(folder: string, signal: AbortSignal): Promise<void> {
  for (const target of (await mountsBelow(folder)).toReversed()) await command('umount', ['-l', target], { signal })
  const left = await mountsBelow(folder)
  if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`)
}

function groupFile(traits: MachineTraits, controller: 'memory' | 'pids', cgroup: string): string {
  const file = controller === 'pids' ? 'cgroup.procs' : traits.unifiedCgroups ? 'memory.events' : 'memory.oom_control'
  return traits.unifiedCgroups ? `/sys/fs/cgroup${cgroup}/${file}` : `/sys/fs/cgroup/${controller}${cgroup}/${file}`
}

/** Runs runc without pipes: the container would inherit them and keep them open. */
async function detached(args: readonly string[], log: string, signal: AbortSignal): Promise<void> {
  const child = spawn('runc', args, { stdio: 'ignore' })
  using _ = onAbort(signal, () => child.kill('SIGKILL'))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  if (signal.aborted) throw signal.reason
  if (code !== 0) throw new Error((await lastError(log)) ?? `runc ended with ${code}`)
}

/** runc's log is one JSON object a line. */
async function lastError(log: string): Promise<string | undefined> {
  const text = await readFile(log, 'utf8').catch(() => '')
  for (const line of text.trim().split('\n').toReversed())
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string }
      if (level === 'error' && msg !== undefined) return msg
    } catch {
      // A torn line says nothing.
    }
  return undefined
}

let runcPath: string | undefined
async function programPath(name: string): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(':')) {
    if (runcPath !== undefined) break
    if (await exists(join(folder, name))) runcPath = join(folder, name)
  }
  if (runcPath === undefined) throw new Error(`${name} is not in PATH`)
  return runcPath
}
