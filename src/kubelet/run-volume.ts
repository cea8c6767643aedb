// Writes what volume.ts planned: folders below <state>/pods/<uid>, file volumes swapped in whole by one rename, so that a
// container never sees half of an update. Called by run.ts before containers start and whenever a reference changed.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { canonicalJson } from '../lib/canonical.ts'
import { numberOf } from '../lib/quantity.ts'
import { ConfigError } from './env.ts'
import type { PlannedVolume, VolumeFile } from './volume.ts'

const exec = promisify(execFile)

export function podFolder(stateDir: string, uid: string): string {
  return path.join(stateDir, 'pods', uid)
}

/** Makes the volume there and current; gives its path on the host. Throws ConfigError for what cannot be had. */
export async function writeVolume(folder: string, volume: PlannedVolume, fsGroup: number | undefined): Promise<string> {
  const at = path.join(folder, 'volumes', volume.name)
  switch (volume.kind) {
    case 'emptyDir':
      return await emptyDir(at, volume, fsGroup)
    case 'hostPath':
      return await hostPath(volume.path, volume.type)
    case 'files':
      await publish(at, volume.files, fsGroup)
      return at
    case 'unsupported':
      throw new ConfigError(`volume "${volume.name}": ${volume.what} volumes are not supported on this node`)
  }
}

async function emptyDir(
  at: string,
  volume: Extract<PlannedVolume, { kind: 'emptyDir' }>,
  fsGroup: number | undefined,
): Promise<string> {
  if (volume.medium !== '' && volume.medium !== 'Memory') {
    throw new ConfigError(`emptyDir of medium "${volume.medium}" is not supported on this node`)
  }
  const there = await exists(at)
  await fs.mkdir(at, { recursive: true })
  if (volume.medium === 'Memory') {
    // The folder alone says nothing: the machine may have been restarted, or the agent killed before the mount.
    const [own, parent] = await Promise.all([fs.lstat(at), fs.stat(path.dirname(at))])
    if (own.dev !== parent.dev) return at
    const size = volume.sizeLimit === undefined ? '' : `,size=${numberOf(volume.sizeLimit)}`
    await exec('mount', ['-t', 'tmpfs', '-o', `mode=0777${size}`, 'tmpfs', at])
  } else if (there) return at
  await fs.chmod(at, fsGroup === undefined ? 0o777 : 0o2777)
  if (fsGroup !== undefined) await fs.chown(at, -1, fsGroup)
  return at
}

/** https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types */
async function hostPath(at: string, type: string): Promise<string> {
  if (!path.isAbsolute(at) || at.split('/').includes('..')) throw new ConfigError(`hostPath "${at}" is not absolute`)
  if (type === 'DirectoryOrCreate') await fs.mkdir(at, { recursive: true, mode: 0o755 })
  if (type === 'FileOrCreate') await (await fs.open(at, 'a', 0o644)).close()
  const found = await fs.stat(at).catch(ifMissing)
  if (found === undefined) {
    if (type !== '') throw new ConfigError(`hostPath type check failed: ${at} does not exist`)
    // As upstream does by way of the runtime: a missing source without a type becomes a folder.
    await fs.mkdir(at, { recursive: true, mode: 0o755 })
    return at
  }
  const fits: Readonly<Record<string, boolean>> = {
    '': true,
    Directory: found.isDirectory(),
    DirectoryOrCreate: found.isDirectory(),
    File: found.isFile(),
    FileOrCreate: found.isFile(),
    Socket: found.isSocket(),
    CharDevice: found.isCharacterDevice(),
    BlockDevice: found.isBlockDevice(),
  }
  if (fits[type] !== true) throw new ConfigError(`hostPath type check failed: ${at} is not a ${type}`)
  return at
}

/** The layout of a Kubernetes volume: <file> -> ..data/<file>, ..data -> ..<stamp>, one rename swaps all. */
async function publish(at: string, files: readonly VolumeFile[], fsGroup: number | undefined): Promise<void> {
  await fs.mkdir(at, { recursive: true, mode: 0o755 })
  const stamp = `..${createHash('sha256').update(canonicalJson({ files, fsGroup })).digest('hex').slice(0, 20)}`
  const data = path.join(at, '..data')
  const current = await linkAt(data)
  if (current === stamp) return
  const fresh = path.join(at, stamp)
  await fs.rm(fresh, { recursive: true, force: true })
  await fs.mkdir(fresh, { mode: 0o755 })
  for (const file of files) {
    const target = path.join(fresh, file.path)
    await fs.mkdir(path.dirname(target), { recursive: true })
    const { content } = file
    const bytes = content.kind === 'text' ? Buffer.from(content.text) : Buffer.from(content.base64, 'base64')
    await fs.writeFile(target, bytes)
    await fs.chmod(target, fsGroup === undefined ? file.mode : file.mode | 0o440)
    if (fsGroup !== undefined) await fs.chown(target, -1, fsGroup)
  }
  const link = path.join(at, `..data_${stamp}`)
  await fs.rm(link, { force: true })
  await fs.symlink(stamp, link)
  await fs.rename(link, data)
  const tops = new Set(files.map(file => file.path.split('/')[0] ?? ''))
  for (const top of tops) {
    const entry = path.join(at, top)
    if ((await linkAt(entry)) === undefined) {
      await fs.symlink(path.join('..data', top), entry)
    }
  }
  for (const entry of await fs.readdir(at)) {
    if (!entry.startsWith('..') && !tops.has(entry)) await fs.rm(path.join(at, entry), { force: true })
    else if (entry.startsWith('..') && entry !== '..data' && entry !== stamp) {
      await fs.rm(path.join(at, entry), { recursive: true, force: true })
    }
  }
}

/**
 * The host path of a subPath, links followed, proved to lie inside the volume: Docker would follow a link out of it.
 * A missing one is made as a folder that is as open as the volume.
 */
export async function resolveSubPath(source: string, sub: string): Promise<string> {
  if (path.isAbsolute(sub) || sub.split('/').includes('..')) throw new ConfigError(`subPath "${sub}" leaves the volume`)
  const root = await fs.realpath(source)
  const inside = (at: string) => at === root || at.startsWith(`${root}/`)
  const wanted = path.join(root, sub)
  let missing: string[] = []
  let base = wanted
  while (!(await exists(base))) {
    missing = [path.basename(base), ...missing]
    base = path.dirname(base)
  }
  const real = await fs.realpath(base).catch(ifMissing)
  if (real === undefined) throw new ConfigError(`subPath "${sub}" leads through a link to nothing`)
  if (!inside(real)) throw new ConfigError(`subPath "${sub}" leads out of the volume`)
  const { mode } = await fs.stat(root)
  let at = real
  for (const name of missing) {
    at = path.join(at, name)
    await fs.mkdir(at)
    await fs.chmod(at, mode & 0o7777)
  }
  return at
}

async function exists(at: string): Promise<boolean> {
  return (await fs.lstat(at).catch(ifMissing)) !== undefined
}

/** Where a link points to; undefined: there is none. */
async function linkAt(at: string): Promise<string | undefined> {
  return await fs.readlink(at).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EINVAL') return undefined
    return ifMissing(error)
  })
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
}

/**
 * Takes a pod's folder away, and first every mount below it (tmpfs volumes, and what a container may have mounted back
 * to us by Bidirectional propagation): what lies behind a mount is never deleted.
 */
export async function removePodFolder(folder: string): Promise<void> {
  for (const at of await mountsBelow(folder)) await exec('umount', [at])
  await fs.rm(folder, { recursive: true, force: true })
}

/** The innermost first. Where there is no /proc there are no mounts of ours. */
async function mountsBelow(folder: string): Promise<readonly string[]> {
  const real = await fs.realpath(folder).catch(ifMissing)
  const table = await fs.readFile('/proc/self/mountinfo', 'utf8').catch(ifMissing)
  if (real === undefined || table === undefined) return []
  const unescaped = (text: string) =>
    text.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))
  return table
    .split('\n')
    .map(line => unescaped(line.split(' ')[4] ?? ''))
    .filter(at => at.startsWith(`${real}/`))
    .reverse()
}
