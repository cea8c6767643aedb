// The volumes of one pod as they stand on this machine's disk. One writer at a time: containers that start side by side and
// the refresh of changed references would otherwise tread on each other's half-written files.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { type Context, MountError } from './context.ts'
import type { References } from './env.ts'
import type { Pod } from './plan.ts'
import { openTokens } from './run-tokens.ts'
import { podFolder, resolveSubPath, writeVolume } from './run-volume.ts'
import { hostsFileOf } from './spec.ts'
import { volumeOf } from './volume.ts'

export interface Mounts {
  /** Makes every volume there and current; gives where each lies. Rejects with MountError. */
  write(pod: Pod, references: References): Promise<ReadonlyMap<string, string>>
  /** Brings the files of volumes up to date; what cannot be had stays as it was, and is told once. Never rejects. */
  refresh(pod: Pod, references: References): Promise<void>
  /** Where a path below a volume's folder lies, links followed, made when missing. Rejects with ConfigError. */
  subPath(source: string, sub: string): Promise<string>
  /** The pod's /etc/hosts; undefined where the runtime's own is right. */
  hostsFile(pod: Pod, ip: string | undefined): Promise<string | undefined>
  /** When a token in a volume has to be renewed, on the wall clock. */
  dueAtMs(): number | undefined
}

export function openMounts(context: Context, uid: string, signal: AbortSignal): Mounts {
  const folder = podFolder(context.config.stateDir, uid)
  const tokens = openTokens(context, uid, signal)
  const complaints = new Map<string, string>()
  let last: Promise<unknown> = Promise.resolve()

  function alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work)
    // Whoever asked hears of the failure; the next in line does not depend on it.
    last = mine.catch(() => undefined)
    return mine
  }

  async function writeOne(pod: Pod, volume: Volume, references: References): Promise<string> {
    try {
      const planned = volumeOf(pod, volume, references, tokens.source)
      return await writeVolume(folder, planned, pod.spec.securityContext.fsGroup)
    } catch (error) {
      throw new MountError(`MountVolume.SetUp failed for volume "${volume.name}" : ${textOf(error)}`, { cause: error })
    }
  }

  async function fetchTokens(pod: Pod): Promise<void> {
    try {
      await tokens.fetch(pod)
    } catch (error) {
      throw new MountError(`MountVolume.SetUp failed: no service account token : ${textOf(error)}`, { cause: error })
    }
  }

  return {
    dueAtMs: tokens.dueAtMs,
    subPath: resolveSubPath,
    write: (pod, references) =>
      alone(async () => {
        await fetchTokens(pod)
        const at = new Map<string, string>()
        for (const volume of pod.spec.volumes ?? []) at.set(volume.name, await writeOne(pod, volume, references))
        return at
      }),
    refresh: (pod, references) =>
      alone(async () => {
        const complain = (name: string, error: unknown) => {
          if (signal.aborted || complaints.get(name) === textOf(error)) return
          complaints.set(name, textOf(error))
          context.record(pod, 'Warning', 'FailedMount', textOf(error))
        }
        await fetchTokens(pod).catch(error => complain('', error))
        for (const volume of pod.spec.volumes ?? []) {
          if (volume.emptyDir !== undefined || volume.hostPath !== undefined) continue
          try {
            await writeOne(pod, volume, references)
            complaints.delete(volume.name)
          } catch (error) {
            complain(volume.name, error)
          }
        }
      }),
    async hostsFile(pod, ip) {
      const own = pod.spec.hostNetwork === true && (pod.spec.hostAliases ?? []).length === 0
      if (!context.runtime.capabilities.mounts || own || ip === undefined) return undefined
      const file = path.join(folder, 'etc-hosts')
      const text = hostsFileOf(pod, context.config.node, ip, await fs.readFile('/etc/hosts', 'utf8'))
      await fs.mkdir(folder, { recursive: true })
      await fs.writeFile(file, text, { mode: 0o644 })
      return file
    },
  }
}

type Volume = NonNullable<Pod['spec']['volumes']>[number]

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
