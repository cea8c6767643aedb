// Images without a daemon and without a registry, by what their reference names:
//   host             the machine's own root file system, with changes kept in memory
//   dir:/path        a folder that is a root file system
//   tar:/path, file:///path.tar   a docker-archive (docker save), an OCI archive, or a plain tar of a root file system
//   oci:/path        an OCI image layout
// Archives are unpacked once, each layer into a folder of its own, to be stacked by overlayfs; so a layer can never write
// through a symlink that another one made. A pull is the unpacking.
import { createHash } from 'node:crypto'
import { lstat, mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { utf8 } from '../../lib/bytes.ts'
import { type ImageInfo, RuntimeError } from '../../world/runtime.ts'
import { command } from '../dataplane/command.ts'
import { exists, readJson, writeJson } from './files.ts'
import { processor } from './pause/image.ts'
import type { ImageConfig } from './runc-spec.ts'

export type UnpackedImage = {
  readonly id: string
  readonly name: string
  readonly bytes: number
  readonly config: ImageConfig
  /** Folders, the lowest first. */
  readonly layers: readonly string[]
  /** The root file system of the machine is among the layers: what is written must not lie below it. */
  readonly host: boolean
}

export type RuncImages = {
  /** What is unpacked already, or needs no unpacking. */
  find(name: string): Promise<UnpackedImage | undefined>
  image(name: string): Promise<ImageInfo | undefined>
  images(): Promise<readonly ImageInfo[]>
  pull(name: string, signal: AbortSignal): Promise<void>
  remove(name: string): Promise<void>
}

const noConfig: ImageConfig = { command: [], entrypoint: [], env: [], user: '', workingDir: '', stopSignal: '' }
const unpackTimeoutMs = 600_000

type Source =
  | { readonly kind: 'host' }
  | { readonly kind: 'dir'; readonly path: string }
  | { readonly kind: 'tar'; readonly path: string }
  | { readonly kind: 'oci'; readonly path: string }

/** Throws RuntimeError for what this runtime cannot have. */
export function imageSource(name: string): Source {
  if (name === 'host') return { kind: 'host' }
  const [, scheme, path] = /^(dir|tar|oci|file):(?:\/\/)?(\/\S*)$/.exec(name) ?? []
  if (scheme !== undefined && path !== undefined)
    return { kind: scheme === 'file' ? 'tar' : (scheme as 'dir' | 'tar' | 'oci'), path: normalize(path) }
  if (!/^[A-Za-z0-9][A-Za-z0-9._\-/:@]*$/.test(name))
    throw new RuntimeError('InvalidImageName', `couldn't parse image name ${JSON.stringify(name)}`)
  throw new RuntimeError(
    'ErrImagePull',
    `runc has no registry: ${JSON.stringify(name)} is none of host, dir:/path, tar:/path, oci:/path (or run Docker here)`,
  )
}

export function runcImages(folder: string): RuncImages {
  async function find(name: string): Promise<UnpackedImage | undefined> {
    const source = imageSource(name)
    if (source.kind === 'host') return { id: 'host', name, bytes: 0, config: noConfig, layers: ['/'], host: true }
    if (source.kind === 'dir') {
      if ((await stat(source.path).catch(() => undefined))?.isDirectory() !== true) return undefined
      const path = await realpath(source.path)
      const config = (await readJson<Partial<ImageConfig>>(join(path, '.flotilla-image.json'))) ?? {}
      return { id: name, name, bytes: 0, config: { ...noConfig, ...config }, layers: [path], host: path === '/' }
    }
    const key = await keyOf(source)
    return key === undefined ? undefined : await readJson<UnpackedImage>(join(folder, key, 'image.json'))
  }

  async function pull(name: string, signal: AbortSignal): Promise<void> {
    if ((await find(name)) !== undefined) return
    const source = imageSource(name)
    const key = source.kind === 'tar' || source.kind === 'oci' ? await keyOf(source) : undefined
    if (key === undefined || (source.kind !== 'tar' && source.kind !== 'oci'))
      throw new RuntimeError('ErrImagePull', `failed to pull image "${name}": it is not there`)
    // Under another name until it is whole.
    const temporary = join(folder, `${key}.new`)
    await rm(temporary, { recursive: true, force: true })
    await mkdir(temporary, { recursive: true })
    try {
      const image = await unpack(name, source, temporary, signal)
      const layers = image.layers.map(layer => layer.replace(temporary, join(folder, key)))
      await writeJson(join(temporary, 'image.json'), { ...image, layers })
      await rm(join(folder, key), { recursive: true, force: true })
      await rename(temporary, join(folder, key))
    } catch (error) {
      await rm(temporary, { recursive: true, force: true })
      if (signal.aborted) throw error
      throw new RuntimeError('ErrImagePull', `failed to unpack image "${name}": ${(error as Error).message}`, {
        cause: error,
      })
    }
  }

  async function unpacked(): Promise<(UnpackedImage & { folder: string })[]> {
    const all: (UnpackedImage & { folder: string })[] = []
    for (const key of await readdir(folder).catch(() => [])) {
      const image = await readJson<UnpackedImage>(join(folder, key, 'image.json'))
      if (image !== undefined && !key.endsWith('.new')) all.push({ ...image, folder: join(folder, key) })
    }
    return all
  }

  return {
    find,
    async image(name) {
      try {
        const found = await find(name)
        return found === undefined ? undefined : infoOf(found)
      } catch (error) {
        // A reference that needs a registry is not there; `pull` says why it never will be.
        if (error instanceof RuntimeError && error.reason === 'ErrImagePull') return undefined
        throw error
      }
    },
    images: async () => [{ id: 'host', names: ['host'], bytes: 0, user: '' }, ...(await unpacked()).map(infoOf)],
    pull,
    async remove(name) {
      for (const image of await unpacked())
        if (image.name === name || image.id === name) await rm(image.folder, { recursive: true, force: true })
    },
  }
}

function infoOf({ id, name, bytes, config }: UnpackedImage): ImageInfo {
  return { id, names: [name], bytes, user: config.user }
}

/** Another key when the file was written anew. */
async function keyOf(source: Source & { path: string }): Promise<string | undefined> {
  const path = source.kind === 'oci' ? join(source.path, 'index.json') : source.path
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  if (found === undefined || !found.isFile()) return undefined
  return createHash('sha256')
    .update(utf8(`${source.kind} ${path} ${found.size} ${found.mtimeNs}`))
    .digest('hex')
    .slice(0, 32)
}

async function unpack(
  name: string,
  source: { readonly kind: 'tar' | 'oci'; readonly path: string },
  folder: string,
  signal: AbortSignal,
): Promise<UnpackedImage> {
  let content = source.path
  if (source.kind === 'tar') {
    content = join(folder, 'content')
    const names = await tarNames(source.path, signal)
    const archive = names.some(entry => entry === 'manifest.json' || entry === 'oci-layout' || entry === 'index.json')
    if (!archive) {
      const layer = join(folder, 'layer-0')
      await extract(source.path, layer, [], signal)
      const id = `sha256:${createHash('sha256')
        .update(await readFile(source.path))
        .digest('hex')}`
      return { id, name, bytes: (await stat(source.path)).size, config: noConfig, layers: [layer], host: false }
    }
    await extract(source.path, content, [], signal)
  }
  const found = (await dockerArchiveParts(content)) ?? (await layoutParts(content))
  const layers: string[] = []
  for (const [index, blob] of found.layers.entries()) {
    const layer = join(folder, `layer-${index}`)
    await unpackLayer(blob, layer, layers, signal)
    layers.push(layer)
  }
  const configuration = await readFile(found.config)
  if (source.kind === 'tar') await rm(content, { recursive: true, force: true })
  return {
    id: `sha256:${createHash('sha256').update(configuration).digest('hex')}`,
    name,
    bytes: found.bytes,
    config: configOf(JSON.parse(configuration.toString()) as OciConfig),
    layers,
    host: false,
  }
}

type Parts = { readonly config: string; readonly layers: readonly string[]; readonly bytes: number }

async function dockerArchiveParts(content: string): Promise<Parts | undefined> {
  const manifest = await readJson<readonly { Config: string; Layers: readonly string[] }[]>(
    join(content, 'manifest.json'),
  )
  const [first] = manifest ?? []
  if (first === undefined) return undefined
  const layers = first.Layers.map(layer => within(content, layer))
  const sizes = await Promise.all(layers.map(async layer => (await stat(layer)).size))
  return { config: within(content, first.Config), layers, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

type Descriptor = {
  readonly mediaType?: string
  readonly digest: string
  readonly size: number
  readonly platform?: { readonly os?: string; readonly architecture?: string }
}

/** An OCI image layout (image-spec 1.0): index → (index →) manifest → config and layers. */
async function layoutParts(content: string): Promise<Parts> {
  const blob = (digest: string) => within(content, join('blobs', ...digest.split(':')))
  let index = await readJson<{ manifests?: readonly Descriptor[] }>(join(content, 'index.json'))
  for (let depth = 0; depth < 4; depth++) {
    const fitting = index?.manifests?.find(({ platform }) => {
      const here = platform?.architecture === undefined || processor(platform.architecture) === processor(process.arch)
      return here && (platform?.os ?? 'linux') === 'linux'
    })
    if (fitting === undefined) break
    const inner = await readJson<{
      manifests?: readonly Descriptor[]
      config?: Descriptor
      layers?: readonly Descriptor[]
    }>(blob(fitting.digest))
    if (inner?.config !== undefined && inner.layers !== undefined)
      return {
        config: blob(inner.config.digest),
        layers: inner.layers.map(({ digest }) => blob(digest)),
        bytes: inner.layers.reduce((sum, { size }) => sum + size, 0),
      }
    index = inner
  }
  throw new Error('neither a docker-archive nor an OCI layout with an image for this machine')
}

/** Names in a manifest are the image maker's. */
function within(folder: string, name: string): string {
  const path = join(folder, normalize(`/${name}`))
  if (!path.startsWith(`${folder}/`)) throw new Error(`a name that leads out of the archive: ${name}`)
  return path
}

type OciConfig = {
  readonly config?: {
    readonly Cmd?: readonly string[] | null
    readonly Entrypoint?: readonly string[] | null
    readonly Env?: readonly string[] | null
    readonly User?: string
    readonly WorkingDir?: string
    readonly StopSignal?: string
  } | null
}

function configOf({ config }: OciConfig): ImageConfig {
  return {
    command: config?.Cmd ?? [],
    entrypoint: config?.Entrypoint ?? [],
    env: config?.Env ?? [],
    user: config?.User ?? '',
    workingDir: config?.WorkingDir ?? '',
    stopSignal: config?.StopSignal ?? '',
  }
}

/** Whiteouts (`.wh.<name>`: removed, `.wh..wh..opq`: the folder begins empty) become overlayfs' own: a device 0/0. */
async function unpackLayer(blob: string, layer: string, below: readonly string[], signal: AbortSignal): Promise<void> {
  const names = await tarNames(blob, signal)
  await extract(blob, layer, ['--exclude=.wh.*'], signal)
  const removed = new Set<string>()
  for (const name of names) {
    const parts = name.split('/')
    const last = parts.at(-1) ?? ''
    const folder = parts.slice(0, -1).join('/')
    if (last === '.wh..wh..opq') {
      for (const lower of below)
        for (const entry of await readdir(join(lower, folder)).catch(() => []))
          if (!(await exists(join(layer, folder, entry)))) removed.add(join(folder, entry))
    } else if (last.startsWith('.wh.')) removed.add(join(folder, last.slice(4)))
  }
  for (const name of removed) {
    const path = within(layer, name)
    await makeRealFolder(layer, dirname(path))
    await command('mknod', [path, 'c', '0', '0'], { signal })
  }
}

/** Throws when a link is on the way: what is made there would be made outside of the layer. */
async function makeRealFolder(layer: string, folder: string): Promise<void> {
  let at = layer
  for (const part of folder.slice(layer.length).split('/').filter(Boolean)) {
    at = join(at, part)
    const found = await lstat(at).catch(() => undefined)
    if (found === undefined) await mkdir(at)
    else if (!found.isDirectory())
      throw new Error(`a whiteout below something that is no folder: ${at.slice(layer.length)}`)
  }
}

/** Without the leading `./`, folders without the trailing slash. */
async function tarNames(archive: string, signal: AbortSignal): Promise<readonly string[]> {
  const listed = await command('tar', ['-tf', archive, '--quoting-style=literal'], {
    signal,
    timeoutMs: unpackTimeoutMs,
  })
  return listed
    .split('\n')
    .map(line => line.replace(/^(\.\/)+/, '').replace(/\/$/, ''))
    .filter(line => line !== '' && line !== '.')
}

async function extract(archive: string, folder: string, flags: readonly string[], signal: AbortSignal): Promise<void> {
  await mkdir(folder, { recursive: true })
  const args = ['-xf', archive, '-C', folder, '--numeric-owner', '--same-owner', '--same-permissions', ...flags]
  await command('tar', args, { signal, timeoutMs: unpackTimeoutMs })
}
