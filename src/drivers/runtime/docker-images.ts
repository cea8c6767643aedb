// Images of Docker: pulling with credentials, looking up, removing. Called by docker.ts.
import type { Bytes } from '../../lib/bytes.ts'
import { type ImageInfo, type RegistryAuth, RuntimeError } from '../../world/runtime.ts'
import { type DockerApi, DockerError } from './docker-api.ts'
import { pauseImageName } from './pause/image.ts'

type InspectedImage = {
  readonly Id: string
  readonly RepoTags?: readonly string[] | null
  readonly RepoDigests?: readonly string[] | null
  readonly Size: number
  readonly Config?: { readonly User?: string } | null
}

export type DockerImages = {
  image(name: string, signal: AbortSignal): Promise<ImageInfo | undefined>
  images(signal: AbortSignal): Promise<readonly ImageInfo[]>
  pull(name: string, auths: readonly RegistryAuth[], signal: AbortSignal): Promise<void>
  remove(name: string, signal: AbortSignal): Promise<void>
  load(archive: Bytes, signal: AbortSignal): Promise<void>
  /** For a pod's status: the repository digest where the image came from a registry, else its ID. */
  digestOf(id: string, signal: AbortSignal): Promise<string>
}

export function dockerImages(api: DockerApi): DockerImages {
  /** An ID is a hash of what it names, so these never change; bounded by dropping all. */
  const digests = new Map<string, string>()
  const digestCountMax = 1_024

  async function inspect(name: string, signal: AbortSignal): Promise<InspectedImage | undefined> {
    try {
      return await api.json<InspectedImage>({ method: 'GET', path: `/images/${name}/json` }, signal)
    } catch (error) {
      if (error instanceof DockerError && error.status === 404) return undefined
      throw imageError(name, error)
    }
  }

  async function image(name: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    const reference = parseReference(name)
    // A digest is of the registry's manifest, which Docker finds by the full name only.
    const found = await inspect(/^sha256:[0-9a-f]{64}$/.test(name) ? name : reference.text, signal)
    return found === undefined ? undefined : imageInfo(found)
  }

  async function images(signal: AbortSignal): Promise<readonly ImageInfo[]> {
    const listed = await api.json<readonly InspectedImage[]>({ method: 'GET', path: '/images/json' }, signal)
    const all = listed.filter(({ RepoTags }) => !(RepoTags ?? []).includes(pauseImageName)).map(imageInfo)
    // The list does not say the user; nobody asks it of all images, so it is left to `image`.
    return all
  }

  async function pull(name: string, auths: readonly RegistryAuth[], signal: AbortSignal): Promise<void> {
    const reference = parseReference(name)
    const fitting = authsFor(reference.text, auths)
    // As the kubelet does: each credential that fits in turn, or none at all.
    const attempts = fitting.length === 0 ? [undefined] : fitting
    let failure: unknown
    for (const auth of attempts)
      try {
        return await pullOnce(reference, auth, signal)
      } catch (error) {
        if (signal.aborted || (error instanceof RuntimeError && error.reason === 'Unavailable')) throw error
        failure = error
      }
    throw imageError(name, failure)
  }

  async function pullOnce(reference: Reference, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<void> {
    const { repository, version } = reference
    const stream = await api.stream(
      {
        method: 'POST',
        path: '/images/create',
        query: { fromImage: repository, tag: version },
        ...(auth === undefined
          ? {}
          : { auth: { username: auth.username, password: auth.password, serveraddress: auth.server } }),
      },
      signal,
    )
    await readProgress(stream, signal)
  }

  return {
    image,
    images,
    pull,
    async remove(name, signal) {
      try {
        // An ID with several names is removed name by name: Docker refuses it at once, and force would ignore users.
        const isId = /^(sha256:)?[0-9a-f]{12,64}$/.test(name)
        const tags = isId ? ((await inspect(name, signal))?.RepoTags ?? []) : []
        for (const each of tags.length > 1 ? tags : [name])
          await api.json({ method: 'DELETE', path: `/images/${each}`, also: [404] }, signal)
      } catch (error) {
        throw error instanceof DockerError ? new RuntimeError('Unavailable', error.message, { cause: error }) : error
      }
    },
    async load(archive, signal) {
      await readProgress(await api.stream({ method: 'POST', path: '/images/load', archive }, signal), signal)
    },
    async digestOf(id, signal) {
      const known = digests.get(id)
      if (known !== undefined) return known
      const found = await inspect(id, signal)
      const digest = found?.RepoDigests?.[0] ?? id
      if (digests.size >= digestCountMax) digests.clear()
      digests.set(id, digest)
      return digest
    },
  }
}

/** Docker says 200 first and puts the error into the stream of progress. */
async function readProgress(stream: AsyncIterable<unknown> & { destroy(): void }, signal: AbortSignal): Promise<void> {
  let rest = ''
  try {
    for await (const chunk of stream) {
      const lines = (rest + String(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.trim() !== '') checkProgress(line)
    }
    if (rest.trim() !== '') checkProgress(rest)
  } catch (error) {
    if (signal.aborted || error instanceof DockerError) throw error
    throw new RuntimeError('Unavailable', `Docker broke off: ${(error as Error).message}`, { cause: error })
  } finally {
    stream.destroy()
  }
}

function checkProgress(line: string): void {
  const { error } = JSON.parse(line) as { error?: string }
  if (error !== undefined) throw new DockerError(500, error)
}

function imageInfo(found: InspectedImage): ImageInfo {
  return {
    id: found.Id,
    names: [...(found.RepoTags ?? []), ...(found.RepoDigests ?? [])].filter(name => !name.startsWith('<none>')),
    bytes: found.Size,
    user: found.Config?.User ?? '',
  }
}

function imageError(name: string, error: unknown): unknown {
  if (!(error instanceof DockerError)) return error
  if (/invalid reference format|repository name must be lowercase/.test(error.message))
    return new RuntimeError('InvalidImageName', `couldn't parse image name "${name}": ${error.message}`, {
      cause: error,
    })
  return new RuntimeError('ErrImagePull', `failed to pull image "${name}": ${error.message}`, { cause: error })
}

export type Reference = {
  /** With a tag or a digest, always. */
  readonly text: string
  readonly repository: string
  readonly version: string
}

/** Docker pulls every tag of a repository when it is told none. Throws InvalidImageName. */
export function parseReference(name: string): Reference {
  const bad = () => new RuntimeError('InvalidImageName', `couldn't parse image name ${JSON.stringify(name)}`)
  if (!/^[A-Za-z0-9][A-Za-z0-9._\-/:@[\]]*$/.test(name)) throw bad()
  const [named = '', digest] = name.split('@')
  const colon = named.lastIndexOf(':')
  const tagged = colon > named.lastIndexOf('/')
  const repository = tagged ? named.slice(0, colon) : named
  const tag = tagged ? named.slice(colon + 1) : 'latest'
  if (repository === '' || tag === '' || digest === '') throw bad()
  // The registry may have capitals (it is a host name), the rest may not.
  if (/[A-Z]/.test(repository.split('/').at(-1) ?? '')) throw bad()
  return digest === undefined
    ? { text: `${repository}:${tag}`, repository, version: tag }
    : { text: `${repository}@${digest}`, repository, version: digest }
}

/** Credentials for the registry of an image, the most specific first; a server may name a path or have `*` in its host. */
export function authsFor(image: string, auths: readonly RegistryAuth[]): readonly RegistryAuth[] {
  const first = image.split('/')[0] ?? ''
  const remote = image.includes('/') && (/[.:]/.test(first) || first === 'localhost')
  const whole = remote ? image : `docker.io/${image.includes('/') ? image : `library/${image}`}`
  return auths
    .filter(({ server }) => {
      const [host = '', ...path] = plainServer(server).split('/')
      const [imageHost = '', ...imagePath] = whole.split('/')
      const prefix = path.filter(part => part !== '' && part !== 'v1' && part !== 'v2')
      return hostFits(host, imageHost) && prefix.every((part, i) => imagePath[i]?.split(/[:@]/)[0] === part)
    })
    .toSorted((a, b) => plainServer(b.server).length - plainServer(a.server).length)
}

function plainServer(server: string): string {
  const plain = server.replace(/^https?:\/\//, '').replace(/\/+$/, '')
  return plain.replace(/^(index|registry-1|registry)\.docker\.io(?=\/|$)/, 'docker.io')
}

function hostFits(pattern: string, host: string): boolean {
  const parts = pattern.split('.')
  const hostParts = host.split('.')
  return (
    parts.length === hostParts.length &&
    parts.every((part, i) => {
      const escaped = part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\*', '[^.]*')
      return new RegExp(`^${escaped}$`).test(hostParts[i] ?? '')
    })
  )
}
