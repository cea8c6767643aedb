// The audit log as a file of lines that only this user may read. It is set aside under a name with the time when it grows
// over its size, and what was set aside goes when there are too many or when it is too old, like upstream's
// --audit-log-maxsize, -maxbackup and -maxage.
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import type { AuditLog } from '../world/audit.ts'
import type { Clock } from '../world/clock.ts'

export type AuditLogLimits = {
  readonly bytesMax: number
  /** How many files that were set aside are kept. */
  readonly backupCountMax: number
  readonly ageMsMax: number
}

export const defaultAuditLogLimits: AuditLogLimits = {
  bytesMax: 100 * 2 ** 20,
  backupCountMax: 10,
  ageMsMax: 30 * 24 * 3_600_000,
}

export async function openAuditLog(
  clock: Pick<Clock, 'nowMs'>,
  path: string,
  limits: AuditLogLimits,
): Promise<AuditLog & AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const flags = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW
  const reopen = async (): Promise<FileHandle> => {
    const opened = await open(path, flags, 0o600)
    await opened.chmod(0o600)
    return opened
  }
  let file: FileHandle | undefined = await reopen()
  let size = (await file.stat()).size
  let queue: Promise<void> = Promise.resolve()

  async function write(text: string): Promise<void> {
    const bytes = Buffer.from(text)
    if (size > 0 && size + bytes.length > limits.bytesMax) await setAside()
    file ??= await reopen()
    await file.appendFile(bytes)
    size += bytes.length
  }

  async function setAside(): Promise<void> {
    await file?.close()
    file = undefined
    await rename(path, await freeName(path, clock.nowMs()))
    size = 0
    await prune(path, limits, clock.nowMs())
  }

  await prune(path, limits, clock.nowMs())
  return {
    append(line) {
      const done = queue.then(() => write(`${line}\n`))
      // One that fails must not keep those behind it from being tried.
      queue = done.catch(() => undefined)
      return done
    },
    async [Symbol.asyncDispose]() {
      await queue
      await file?.close()
      file = undefined
    },
  }
}

/** audit.log becomes audit-2026-01-02T03-04-05.000.log. */
async function freeName(path: string, nowMs: number): Promise<string> {
  const { stem, ending } = partsOf(path)
  for (let ms = nowMs; ; ms++) {
    const name = join(dirname(path), `${stem}-${stampOf(ms)}${ending}`)
    const taken = await stat(name).catch(() => undefined)
    if (taken === undefined) return name
  }
}

const stampOf = (ms: number): string => new Date(ms).toISOString().replaceAll(':', '-').replace('Z', '')

function partsOf(path: string): { readonly stem: string; readonly ending: string } {
  const ending = extname(path)
  return { stem: basename(path, ending), ending }
}

async function prune(path: string, limits: AuditLogLimits, nowMs: number): Promise<void> {
  const { stem, ending } = partsOf(path)
  const folder = dirname(path)
  const pattern = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/
  const stampIn = (name: string) => name.slice(stem.length + 1, name.length - ending.length)
  const names = (await readdir(folder)).filter(
    name => name.startsWith(`${stem}-`) && name.endsWith(ending) && pattern.test(stampIn(name)),
  )
  const newestFirst = names.toSorted().toReversed()
  const oldest = stampOf(nowMs - limits.ageMsMax)
  const gone = newestFirst.filter((name, i) => i >= limits.backupCountMax || stampIn(name) < oldest)
  for (const name of gone) await unlink(join(folder, name))
}
