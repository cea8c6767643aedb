// The helper program (shim.c) as a file that can be run.
import { createHash } from 'node:crypto'
import { chmod, mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import * as programs from './bytes.ts'
import { processor } from './image.ts'

/** Its path, written there once; undefined where there is none for this machine (not Linux, another processor). */
export async function helperProgram(stateDir: string): Promise<string | undefined> {
  const kind = processor(process.arch)
  if (process.platform !== 'linux' || kind === undefined) return undefined
  const packed = (programs as { shimPrograms?: Record<string, string> }).shimPrograms?.[kind]
  if (packed === undefined) return undefined
  const bytes = gunzipSync(Buffer.from(packed, 'base64'))
  const folder = join(stateDir, 'bin')
  const path = join(folder, `shim-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`)
  const there = await stat(path).catch(() => undefined)
  if (there?.size === bytes.length) return path
  await mkdir(folder, { recursive: true })
  // Under another name first: two agents may do this at once, and a torn program must never be run.
  const temporary = `${path}.${process.pid}`
  await writeFile(temporary, bytes)
  await chmod(temporary, 0o755)
  await rename(temporary, path)
  return path
}
