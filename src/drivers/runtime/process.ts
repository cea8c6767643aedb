// Plain child processes of the agent's own user, under the honest name "process": for laptops and machines without root and
// Docker. What it is not: no images (the reference is `host`, or `dir:/path` for a working folder whose bin/ comes first in
// PATH), no address of its own for a pod (all share the host's, so two pods cannot listen on the same port), no limits, no
// users, no mounts. A container's volumes are symlinks below a private folder that $FLOTILLA_ROOT names: what is mounted at
// /etc/app is at $FLOTILLA_ROOT/etc/app, and read-only is not enforced. A spec that needs more is refused as Unsupported.
import { access, constants, mkdir, readdir, readFile, rm, stat, symlink } from 'node:fs/promises'
import { homedir, hostname, release, tmpdir } from 'node:os'
import { delimiter, dirname, isAbsolute, join, normalize } from 'node:path'
import {
  type ContainerRuntime,
  type ContainerSpec,
  type ImageInfo,
  RuntimeError,
  type SandboxSpec,
} from '../../world/runtime.ts'
import type { RuntimeWorld } from './common.ts'
import { helperProgram } from './pause/helper.ts'
import { nodeShim } from './pause/shim-node.ts'
import { processStat, type ShimCommand, signalProcess } from './shim.ts'
import { type Backend, shimmedRuntime } from './shimmed.ts'

export type ProcessOptions = {
  readonly stateDir: string
  /** The shim to use; by default the native one where it runs. */
  readonly shim?: 'native' | 'node'
}

type Sandbox = { readonly hostname: string }
type Container = { readonly cwd: string; readonly env: Readonly<Record<string, string>> }

export async function openProcess(
  world: RuntimeWorld,
  options: ProcessOptions,
  signal: AbortSignal,
): Promise<ContainerRuntime> {
  signal.throwIfAborted()
  const native = options.shim === 'node' ? undefined : await helperProgram(options.stateDir)
  const shim: ShimCommand = native === undefined ? nodeShim() : [native]
  return await shimmedRuntime(world, options.stateDir, processBackend(shim, native !== undefined), signal)
}

function processBackend(shim: ShimCommand, native: boolean): Backend<Sandbox, Container> {
  return {
    capabilities: {
      name: 'process',
      version: release(),
      podNetwork: false,
      images: false,
      limits: false,
      users: false,
      mounts: false,
    },
    shim,
    image,
    images: async signal => [await image('host', signal)].filter(found => found !== undefined),
    async pull(name, signal) {
      if ((await image(name, signal)) === undefined)
        throw new RuntimeError('ErrImagePull', `there is no folder ${folderOf(name) ?? name}`)
    },
    async removeImage() {
      // There is nothing of ours to remove: the folder is the user's.
    },
    async openSandbox(spec) {
      refuseSandbox(spec)
      return { hostname: spec.hostname }
    },
    async sandboxRuns() {
      return true
    },
    async closeSandbox() {},
    async prepare(spec, sandbox, { folder }, signal) {
      refuseContainer(spec, native)
      const found = await image(spec.image, signal)
      if (found === undefined) throw new RuntimeError('CreateContainerError', `there is no folder ${spec.image}`)
      const words = [...spec.command, ...spec.args]
      if (words.length === 0)
        throw new RuntimeError('CreateContainerError', 'no command: the process runtime has no image that names one')
      const root = join(folder, 'root')
      await linkMounts(spec, root)
      const base = folderOf(spec.image)
      const cwd = spec.workingDir ?? base ?? root
      const env = environment(spec, root, base, sandbox.state.hostname)
      const [first = '', ...rest] = words
      return {
        launch: {
          program: [await findProgram(first, env['PATH'] ?? ''), ...rest],
          flags: ['-w', cwd, ...(spec.security.noNewPrivileges ? ['-n'] : [])],
          env,
        },
        state: { cwd, env },
        imageId: found.id,
      }
    },
    async failure(_, what, code) {
      const why =
        code === 2 ? 'no such file or directory' : code === 13 ? 'permission denied' : code === 0 ? '' : `error ${code}`
      return why === '' ? what : `${what}: ${why}`
    },
    async abandon() {},
    async discard() {},
    async kill(_, started) {
      // The shim then ends what the process leaves behind.
      await signalProcess(started, 'SIGKILL')
    },
    async exec(record, { command, tty }) {
      if (tty && !native) throw new RuntimeError('Unsupported', 'the process runtime has no terminals on this machine')
      const { cwd, env } = record.state
      const [first = '', ...rest] = command
      return { program: [await findProgram(first, env['PATH'] ?? ''), ...rest], cwd, env }
    },
    // A pod may have been given an address of the loopback range, which its programs may listen on.
    dialTarget: ({ spec }, port) => ({ ips: spec.ip === undefined ? ['127.0.0.1'] : [spec.ip, '127.0.0.1'], port }),
    async usage(_, started) {
      return await usageOfTree(started.pid)
    },
  }
}

async function image(name: string, _signal: AbortSignal): Promise<ImageInfo | undefined> {
  const folder = folderOf(name)
  const found = folder === undefined ? undefined : await stat(folder).catch(() => undefined)
  if (folder !== undefined && found?.isDirectory() !== true) return undefined
  return { id: name, names: [name], bytes: 0, user: '' }
}

/** `dir:/path` → the path, `host` → undefined. Throws for everything else. */
function folderOf(name: string): string | undefined {
  if (name === 'host') return undefined
  if (name.startsWith('dir:/')) return normalize(name.slice(4))
  if (/\s/.test(name) || name === '')
    throw new RuntimeError('InvalidImageName', `couldn't parse image name ${JSON.stringify(name)}`)
  throw new RuntimeError(
    'Unsupported',
    `this node has no container images: it runs plain processes (image ${JSON.stringify(name)}; it knows "host" and "dir:/path")`,
  )
}

function refuse(what: string): never {
  throw new RuntimeError('Unsupported', `this node runs plain processes, without containers: it has no ${what}`)
}

function refuseSandbox(spec: SandboxSpec): void {
  if (Object.keys(spec.sysctls).length > 0) refuse('sysctls of a pod')
}

function refuseContainer(spec: ContainerSpec, native: boolean): void {
  const { resources, security } = spec
  if (security.uid !== undefined && security.uid !== process.getuid?.()) refuse(`way to run as user ${security.uid}`)
  if (security.gid !== undefined && security.gid !== process.getgid?.()) refuse(`way to run as group ${security.gid}`)
  if (security.supplementalGroups.length > 0) refuse('supplemental groups')
  if (security.privileged) refuse('privileged containers')
  if (security.readOnlyRoot) refuse('read-only root file system')
  if (security.addCapabilities.length > 0) refuse('capabilities to add')
  // Without root there are none to drop.
  if (security.dropCapabilities.length > 0 && process.getuid?.() === 0) refuse('way to drop capabilities of root')
  if (security.noNewPrivileges && !native) refuse('way to forbid new privileges on this system')
  if (resources.memoryLimitBytes !== undefined) refuse('memory limits')
  if (resources.cpuLimitMilli !== undefined) refuse('CPU limits')
  if (resources.pidsLimit !== undefined) refuse('process limits')
  if (spec.tty && !native) refuse('terminals on this system')
}

/** Nothing of the agent's own environment: it may hold secrets. */
function environment(
  spec: ContainerSpec,
  root: string,
  base: string | undefined,
  podHostname: string,
): Readonly<Record<string, string>> {
  const hostPath = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  const path = base === undefined ? hostPath : [join(base, 'bin'), base, hostPath].join(delimiter)
  return {
    PATH: path,
    HOME: homedir(),
    TMPDIR: tmpdir(),
    HOSTNAME: podHostname === '' ? hostname() : podHostname,
    ...Object.fromEntries(spec.env.map(({ name, value }) => [name, value])),
    FLOTILLA_ROOT: root,
  }
}

async function linkMounts(spec: ContainerSpec, root: string): Promise<void> {
  // Links of an earlier try may point elsewhere. `rm` takes links away, it does not follow them.
  await rm(root, { recursive: true, force: true })
  await mkdir(root, { recursive: true })
  const { terminationMessage } = spec
  const all = [...spec.mounts, ...(terminationMessage === undefined ? [] : [terminationMessage])]
  const targets = all.map(({ target }) => normalize(`/${target}`))
  for (const [i, { source }] of all.entries()) {
    const target = targets[i] ?? '/'
    if (target === '/' || targets.some((other, j) => j !== i && (other === target || other.startsWith(`${target}/`))))
      refuse(`way to mount something inside ${target}`)
    await access(source).catch(() => {
      throw new RuntimeError('CreateContainerError', `the mount's source ${source} is not there`)
    })
    await mkdir(join(root, dirname(target)), { recursive: true })
    await symlink(source, join(root, target))
  }
}

/** As execvp searches. A name that is not found comes back as it is, and the start says so. */
async function findProgram(name: string, path: string): Promise<string> {
  if (name.includes('/')) return name
  for (const folder of path.split(delimiter)) {
    if (!isAbsolute(folder)) continue
    const candidate = join(folder, name)
    try {
      await access(candidate, constants.X_OK)
      if ((await stat(candidate)).isFile()) return candidate
    } catch {
      // Not here.
    }
  }
  return name
}

const ticksPerSecond = 100
const pageBytes = 4_096

/** The process and its descendants. Undefined where there is no /proc. */
async function usageOfTree(root: number) {
  let ticks = 0
  let pages = 0
  const waiting = [root]
  const seen = new Set<number>()
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    if (seen.has(pid)) continue
    seen.add(pid)
    const found = await processStat(pid)
    if (found === undefined) {
      if (pid === root) return undefined
      continue
    }
    ticks += found.ticks
    pages += found.pages
    const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
    for (const thread of threads) {
      const children = await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')
      waiting.push(...children.split(' ').filter(Boolean).map(Number))
    }
  }
  const memory = pages * pageBytes
  return { cpuNanoseconds: (ticks / ticksPerSecond) * 1e9, memoryUsageBytes: memory, memoryWorkingSetBytes: memory }
}
