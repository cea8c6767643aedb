// Volumes as files and mounts. Pure: from the pod and what it refers to, the files of each volume and where each mount's
// source lies below the pod's folder; run-volume.ts writes them.
import type { KeyToPath, Volume } from '../api/types/volume.ts'
import { ConfigError, fieldOf, type References, resourceFieldOf } from './env.ts'
import type { Pod } from './plan.ts'

export type VolumeFile = {
  readonly path: string
  readonly mode: number
  readonly content:
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'base64'; readonly base64: string }
}

export type PlannedVolume =
  | {
      readonly kind: 'emptyDir'
      readonly name: string
      readonly medium: string
      readonly sizeLimit: string | undefined
    }
  | { readonly kind: 'hostPath'; readonly name: string; readonly path: string; readonly type: string }
  /** Written whole into a fresh folder, then swapped in by one rename of the `..data` link. */
  | { readonly kind: 'files'; readonly name: string; readonly files: readonly VolumeFile[] }
  | { readonly kind: 'unsupported'; readonly name: string; readonly what: string }

/** Tokens are asked of the API, so they come from outside: by audience and life. */
export type TokenSource = (audience: string, expirationSeconds: number) => string | undefined

/** Throws ConfigError when something that is not optional is missing. */
export function volumeOf(pod: Pod, volume: Volume, references: References, token: TokenSource): PlannedVolume {
  const { name } = volume
  if (volume.emptyDir !== undefined) {
    const { medium = '', sizeLimit } = volume.emptyDir
    return { kind: 'emptyDir', name, medium, sizeLimit }
  }
  if (volume.hostPath !== undefined) {
    return { kind: 'hostPath', name, path: volume.hostPath.path, type: volume.hostPath.type }
  }
  if (volume.configMap !== undefined) {
    const { name: source = '', items, optional, defaultMode } = volume.configMap
    return { kind: 'files', name, files: configMapFiles(source, items, optional, defaultMode, references) }
  }
  if (volume.secret !== undefined) {
    const { secretName = '', items, optional, defaultMode } = volume.secret
    return { kind: 'files', name, files: secretFiles(secretName, items, optional, defaultMode, references) }
  }
  if (volume.downwardAPI !== undefined) {
    const { items = [], defaultMode } = volume.downwardAPI
    return { kind: 'files', name, files: items.map(item => downwardFile(pod, item, defaultMode, references)) }
  }
  if (volume.projected !== undefined) {
    const { sources = [], defaultMode } = volume.projected
    const files = sources.flatMap(source => {
      const { configMap, secret, downwardAPI, serviceAccountToken } = source
      if (configMap !== undefined) {
        return configMapFiles(configMap.name ?? '', configMap.items, configMap.optional, defaultMode, references)
      }
      if (secret !== undefined) {
        return secretFiles(secret.name ?? '', secret.items, secret.optional, defaultMode, references)
      }
      if (downwardAPI !== undefined) {
        return (downwardAPI.items ?? []).map(item => downwardFile(pod, item, defaultMode, references))
      }
      if (serviceAccountToken !== undefined) {
        const { audience = '', expirationSeconds, path } = serviceAccountToken
        const text = token(audience, expirationSeconds)
        if (text === undefined) throw new ConfigError(`the service account token for ${name} has not been issued yet`)
        // With fsGroup the group may read it, by run-volume.ts, and nobody else.
        return [file(path, pod.spec.securityContext.fsGroup === undefined ? defaultMode : 0o600, text)]
      }
      throw new ConfigError(`volume ${name}: a projected source of a kind that is not supported`)
    })
    return { kind: 'files', name, files }
  }
  const what = Object.keys(volume).find(key => key !== 'name') ?? 'nothing'
  return { kind: 'unsupported', name, what }
}

function file(path: string, mode: number, text: string): VolumeFile {
  return { path: safePath(path), mode, content: { kind: 'text', text } }
}

/** A path inside the volume: relative, without a step out of it, and none of the names that the swap by `..data` needs. */
function safePath(path: string): string {
  if (path === '' || path.startsWith('/') || path.startsWith('..') || path.split('/').includes('..')) {
    throw new ConfigError(`"${path}" is no path inside a volume`)
  }
  return path
}

function picked(
  what: string,
  source: string,
  all: readonly (readonly [key: string, content: VolumeFile['content']])[],
  items: readonly KeyToPath[] | undefined,
  optional: boolean | undefined,
  mode: number,
): readonly VolumeFile[] {
  if (items === undefined || items.length === 0) {
    return all.map(([key, content]) => ({ path: safePath(key), mode, content }))
  }
  return items.flatMap(item => {
    const found = all.find(([key]) => key === item.key)
    if (found !== undefined) return [{ path: safePath(item.path), mode: item.mode ?? mode, content: found[1] }]
    if (optional === true) return []
    throw new ConfigError(`${what} "${source}" references non-existent key: ${item.key}`)
  })
}

function configMapFiles(
  source: string,
  items: readonly KeyToPath[] | undefined,
  optional: boolean | undefined,
  mode: number,
  references: References,
): readonly VolumeFile[] {
  const found = references.configMap(source)
  if (found === undefined) {
    if (optional === true) return []
    throw new ConfigError(`configmap "${source}" not found`)
  }
  const all = [
    ...Object.entries(found.data ?? {}).map(([key, text]) => [key, { kind: 'text', text }] as const),
    ...Object.entries(found.binaryData ?? {}).map(([key, base64]) => [key, { kind: 'base64', base64 }] as const),
  ]
  return picked('configmap', source, all, items, optional, mode)
}

function secretFiles(
  source: string,
  items: readonly KeyToPath[] | undefined,
  optional: boolean | undefined,
  mode: number,
  references: References,
): readonly VolumeFile[] {
  const found = references.secret(source)
  if (found === undefined) {
    if (optional === true) return []
    throw new ConfigError(`secret "${source}" not found`)
  }
  const all = Object.entries(found.data ?? {}).map(([key, base64]) => [key, { kind: 'base64', base64 }] as const)
  return picked('secret', source, all, items, optional, mode)
}

type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number]

function downwardFile(pod: Pod, item: DownwardItem, mode: number, references: References): VolumeFile {
  const at = item.mode ?? mode
  if (item.fieldRef !== undefined) return file(item.path, at, fieldOf(pod, item.fieldRef.fieldPath, references))
  if (item.resourceFieldRef === undefined) throw new ConfigError(`downward file ${item.path} names no field`)
  const { containerName = '' } = item.resourceFieldRef
  const container = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(c => c.name === containerName)
  if (container === undefined) throw new ConfigError(`downward file ${item.path}: no container "${containerName}"`)
  return file(item.path, at, resourceFieldOf(pod, container, item.resourceFieldRef, references))
}
