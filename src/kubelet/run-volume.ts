// Writes what volume.ts planned: folders below <state>/pods/<uid>, file volumes swapped in whole by one rename, so that a
// container never sees half of an update. Called by run.ts before containers start and whenever a reference changed.
import { execFile } from 'node:child_process'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { ConfigError } from './env.ts'
import { shortHash } from './hash.ts'
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
  const there = await exists(at)
  await fs.mkdir(at, { recursive: true })
  if (!there) {
    if (volume.medium === 'Memory') {
      const size = volume.sizeLimit === undefined ? '' : `,size=${quantityBytes(volume.sizeLimit)}`
      await exec('mount', ['-t', 'tmpfs', '-o', `mode=0777${size}`, 'tmpfs', at])
    }
    await fs.chmod(at, fsGroup === undefined ? 0o777 : 0o2777)
    if (fsGroup !== undefined) await fs.chown(at, -1, fsGroup)
  }
  return at
}

function quantityBytes(text: string): number {
  const match = /^(\d+)(Ki|Mi|Gi|k|M|G)?$/.exec(text)
  if (match === null) throw new ConfigError(`emptyDir sizeLimit "${text}" is no whole number of bytes`)
  const units = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, k: 1e3, M: 1e6, G: 1e9 }
  return (Number(match[1]) * units[(match[2] ?? 'Ki') as keyof typeof units]) / (match[2] === undefined ? 2 ** 10 : 1)
}

/** https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types */
async function hostPath(at: string, type: string): Promise<string> {
  if (!path.isAbsolute(at) || at.split('/').includes('..')) throw new ConfigError(`hostPath "${at}" is not absolute`)
  if (type === 'DirectoryOrCreate') await fs.mkdir(at, { recursive: true, mode: 0o755 })
  if (type === 'FileOrCreate') await (await fs.open(at, 'a', 0o644)).close()
  const found = await fs.stat(at).catch(() => undefined)
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
  const stamp = `..${shortHash(files)}${files.length.toString(16)}`
  const data = path.join(at, '..data')
  const current = await fs.readlink(data).catch(() => undefined)
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
    await fs.chmod(target, fsGroup === undefined ? file.mode : file.mode | 0o040)
    if (fsGroup !== undefined) await fs.chown(target, -1, fsGroup)
  }
  const link = path.join(at, `..data_${stamp}`)
  await fs.rm(link, { force: true })
  await fs.symlink(stamp, link)
  await fs.rename(link, data)
  const tops = new Set(files.map(file => file.path.split('/')[0] ?? ''))
  for (const top of tops) {
    const entry = path.join(at, top)
    if ((await fs.readlink(entry).catch(() => undefined)) === undefined) {
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
 * A missing one is made as a folder.
 */
export async function resolveSubPath(source: string, sub: string): Promise<string> {
  if (path.isAbsolute(sub) || sub.split('/').includes('..')) throw new ConfigError(`subPath "${sub}" leaves the volume`)
  const root = await fs.realpath(source)
  const wanted = path.join(root, sub)
  let missing: string[] = []
  let base = wanted
  while (!(await exists(base))) {
    missing = [path.basename(base), ...missing]
    base = path.dirname(base)
  }
  const real = await fs.realpath(base)
  if (real !== root && !real.startsWith(`${root}/`)) throw new ConfigError(`subPath "${sub}" leads out of the volume`)
  const whole = path.join(real, ...missing)
  if (missing.length > 0) await fs.mkdir(whole, { recursive: true, mode: 0o750 })
  return whole
}

async function exists(at: string): Promise<boolean> {
  return (await fs.lstat(at).catch(() => undefined)) !== undefined
}

/** Takes a pod's folder away, tmpfs mounts first. Never follows a mount or link out of it. */
export async function removePodFolder(folder: string): Promise<void> {
  const volumes = path.join(folder, 'volumes')
  for (const name of await fs.readdir(volumes).catch(() => [])) {
    const at = path.join(volumes, name)
    const [own, parent] = await Promise.all([fs.lstat(at), fs.stat(volumes)])
    if (own.isDirectory() && own.dev !== parent.dev) await exec('umount', [at])
  }
  await fs.rm(folder, { recursive: true, force: true })
}
