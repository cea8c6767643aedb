// Runs the small programs of the system (ip, nft, mount, cp), and waits.
import { execFile, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** What it printed. Rejects with what it complained of when it fails. */
export async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, args, { maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

/** The same, with `input` to read. */
export async function runWith(input: string, program: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const [out, complaint] = [text(child.stdout), text(child.stderr)]
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${await complaint}`)
  return await out
}

export const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, Math.max(0, ms)))

/** One clock for all that is recorded, in whole microseconds. */
export const now = () => Math.round(performance.now() * 1000)
